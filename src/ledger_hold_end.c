/*
 * ledger_hold_end.c
 *		Ends of holds: posted, voided, expired.
 *
 * Owns payments.ledger_hold_end and payments.ledger_hold_open.  Whoever ends a
 * hold takes its row in ledger_hold_open first, so that one ends it and the
 * others wait, and find its end.
 *
 * Locks: open holds, then balances.  Who ends due holds with a balance locked
 * already skips those that others have locked, and so waits for nobody.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_argument.h"
#include "ledger_entries.h"
#include "ledger_hold.h"
#include "ledger_state.h"

typedef struct Hold
{
	int64		id;
	bool		open;			/* we have its row */
	int64		account_id;
	char	   *account;
	bool		debit;			/* the account's normal side */
	int64		amount;			/* mills */
	char	   *order_id;
	TimestampTz expires_at;		/* 0: never */
	char	   *outcome;		/* NULL: none yet */
	char	   *reason;
} Hold;

/* Expire what a query "due" names; its last part is the caller's. */
#define EXPIRE_DUE \
	" gone AS (DELETE FROM payments.ledger_hold_open o USING due" \
	" WHERE o.hold_id OPERATOR(pg_catalog.=) due.hold_id RETURNING o.hold_id, o.account_id, o.amount)," \
	" ended AS (INSERT INTO payments.ledger_hold_end (hold_id, outcome, actor, ended_at)" \
	" SELECT gone.hold_id, 'expired', SESSION_USER, $1 FROM gone)"

static void take_hold(int64 id, Hold *hold);
static void write_end(const Hold *hold, const char *outcome, int64 amount,
					  int64 transaction_id, const char *reason,
					  TimestampTz now);
static int64 sum_amounts(uint64 n);
static int64 taken(const Hold *hold, const PayLedgerPosting *posting);
pg_noreturn static void has_ended(const Hold *hold, const char *outcome);

PG_FUNCTION_INFO_V1(payments_post_hold);
PG_FUNCTION_INFO_V1(payments_void_hold);
PG_FUNCTION_INFO_V1(payments_expire_holds);

/*
 * payments.post_hold: errors 22004, 22023 and 22003 for arguments, PY021 when
 * there is no such hold, PY022 when it was voided or has expired, PY011 when
 * it was posted with other content, and those of pay_ledger_post.
 */
Datum
payments_post_hold(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayLedgerPosting posting = {0};
	PayLedgerPlace place = {0, 0};
	Hold		hold;
	int64		amount;

	pay_args_require(fcinfo, 0, "hold_id");
	pay_args_require(fcinfo, 1, "kind");
	pay_args_require(fcinfo, 2, "entries");

	pay_db_connect();
	posting.transaction_key = "-";	/* the caller has no say in it */
	posting.kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	posting.effective_at = PG_ARGISNULL(3) ? PAY_LEDGER_NOW :
		pay_ledger_argument_time(PG_GETARG_TIMESTAMPTZ(3), place);
	if (!PG_ARGISNULL(4))
		posting.description = text_to_cstring(PG_GETARG_TEXT_PP(4));
	if (!PG_ARGISNULL(5))
		posting.metadata = pay_ledger_argument_metadata(PG_GETARG_DATUM(5));
	pay_ledger_argument_check(&posting, place);
	pay_ledger_entries_read(PG_GETARG_JSONB_P(2), &posting);

	take_hold(PG_GETARG_INT64(0), &hold);
	posting.transaction_key = psprintf("hold:" INT64_FORMAT, hold.id);
	posting.order_id = hold.order_id;
	if (hold.open)
	{
		if (hold.expires_at != 0 && hold.expires_at <= now)
			has_ended(&hold, "expired");
		amount = taken(&hold, &posting);
		posting.release_account = hold.account;
		posting.release_amount = hold.amount;
		posting.release_until = hold.expires_at;
		pay_ledger_post(&posting, 1, now);
		write_end(&hold, "posted", amount, posting.id, NULL, now);
	}
	else if (strcmp(hold.outcome, "posted") == 0)
		pay_ledger_post(&posting, 1, now);
	else
		has_ended(&hold, hold.outcome);
	pay_db_finish();
	PG_RETURN_INT64(posting.id);
}

/*
 * What the entries take from the held account: more than nothing, and no more
 * than is held.
 */
static int64
taken(const Hold *hold, const PayLedgerPosting *posting)
{
	int64		net = 0;

	for (int i = 0; i < posting->n_entries; i++)
	{
		const PayLedgerEntry *entry = &posting->entries[i];

		if (strcmp(entry->account, hold->account) == 0 &&
			pg_add_s64_overflow(net, entry->amount, &net))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("account \"%s\" cannot change by so much at once",
							hold->account),
					 errhint("A hold is posted by entries that take what is held, or a part of it.")));
	}
	if (hold->debit)
		net = -net;
	if (net <= 0 || net > hold->amount)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 net <= 0 ?
				 errmsg("entries take nothing from account \"%s\"",
						hold->account) :
				 errmsg("entries take more from account \"%s\" than is held",
						hold->account),
				 net <= 0 ?
				 errdetail("Hold " INT64_FORMAT " holds %s there.", hold->id,
						   pay_amount_text(hold->amount)) :
				 errdetail("Hold " INT64_FORMAT " holds %s, the entries take %s.",
						   hold->id, pay_amount_text(hold->amount),
						   pay_amount_text(net)),
				 errhint("Give entries that %s the account by what is held, or a part of it.",
						 hold->debit ? "credit" : "debit")));
	return net;
}

/*
 * payments.void_hold: errors 22004 and 22023 for arguments, PY021 when there is
 * no such hold, PY022 when it has ended in another way or for another reason.
 */
Datum
payments_void_hold(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	Hold		hold;
	char	   *reason;

	pay_args_require(fcinfo, 0, "hold_id");
	pay_args_require(fcinfo, 1, "reason");
	reason = pay_ledger_argument_text(fcinfo, 1, "reason");

	pay_db_connect();
	take_hold(PG_GETARG_INT64(0), &hold);
	if (hold.open)
	{
		write_end(&hold, "voided", 0, 0, reason, now);
		pay_ledger_hold_lower(hold.account_id, hold.amount);
	}
	else if (strcmp(hold.outcome, "voided") != 0 ||
			 strcmp(hold.reason, reason) != 0)
		has_ended(&hold, hold.outcome);
	pay_db_finish();
	PG_RETURN_VOID();
}

/*
 * payments.expire_holds: errors 22004, 22023.  Skips holds that others are
 * ending; locks balances by account id.
 */
Datum
payments_expire_holds(PG_FUNCTION_ARGS)
{
	static PayStatement expire = {
		"WITH due AS (SELECT hold_id FROM payments.ledger_hold_open"
		" WHERE expires_at OPERATOR(pg_catalog.<=) $1 ORDER BY expires_at, hold_id LIMIT $2"
		" FOR UPDATE SKIP LOCKED)," EXPIRE_DUE
		" SELECT account_id, amount FROM gone ORDER BY account_id",
		2, {TIMESTAMPTZOID, INT4OID}
	};
	int64	   *accounts;
	int64	   *amounts;
	uint64		n;
	Datum		values[2];

	pay_args_require(fcinfo, 0, "max_holds");
	if (PG_GETARG_INT32(0) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_holds is out of range"),
				 errhint("It must be at least 1.")));

	pay_db_connect();
	values[0] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[1] = PG_GETARG_DATUM(0);
	n = pay_db_run(&expire, values, NULL);

	/* the next statement throws this result away */
	accounts = palloc(sizeof(int64) * Max(n, 1));
	amounts = palloc(sizeof(int64) * Max(n, 1));
	for (uint64 row = 0; row < n; row++)
	{
		accounts[row] = pay_db_int64(row, 1);
		amounts[row] = pay_db_mills(row, 2);
	}
	for (uint64 row = 0; row < n; row++)
		pay_ledger_hold_lower(accounts[row], amounts[row]);
	pay_db_finish();
	PG_RETURN_INT32((int32) n);
}

int64
pay_ledger_hold_expire_due(int64 account_id, TimestampTz now, int64 *others)
{
	static PayStatement expire = {
		"WITH due AS (SELECT hold_id FROM payments.ledger_hold_open"
		" WHERE account_id OPERATOR(pg_catalog.=) $2 AND expires_at OPERATOR(pg_catalog.<=) $1"
		" FOR UPDATE SKIP LOCKED)," EXPIRE_DUE
		" SELECT amount FROM gone",
		2, {TIMESTAMPTZOID, INT8OID}
	};
	static PayStatement read_others = {
		"SELECT amount FROM ONLY payments.ledger_hold_open"
		" WHERE account_id OPERATOR(pg_catalog.=) $2 AND expires_at OPERATOR(pg_catalog.<=) $1",
		2, {TIMESTAMPTZOID, INT8OID}
	};
	Datum		values[2] = {TimestampTzGetDatum(now),
	Int64GetDatum(account_id)};
	int64		ended = sum_amounts(pay_db_run(&expire, values, NULL));

	*others = sum_amounts(pay_db_run(&read_others, values, NULL));
	return ended;
}

/* The sum of the last result's first column */
static int64
sum_amounts(uint64 n)
{
	int64		sum = 0;

	for (uint64 row = 0; row < n; row++)
		if (pg_add_s64_overflow(sum, pay_db_mills(row, 1), &sum))
			elog(ERROR, "sum of holds is out of range");
	return sum;
}

int64
pay_ledger_hold_release_due(int64 account_id, TimestampTz now)
{
	int64		others;
	int64		sum = pay_ledger_hold_expire_due(account_id, now, &others);

	if (sum != 0)
		pay_ledger_hold_lower(account_id, sum);
	return others;
}

/*
 * Read a hold, and take its row when it is open.  Raises PY021 when there is
 * none.
 */
static void
take_hold(int64 id, Hold *hold)
{
	static PayStatement take = {
		"DELETE FROM payments.ledger_hold_open WHERE hold_id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	static PayStatement read = {
		"SELECT h.account_id, a.code, a.kind IN ('asset', 'expense'), h.amount, h.order_id,"
		" COALESCE(h.expires_at, '2000-01-01 00:00:00+00'), e.outcome, e.reason"
		" FROM ONLY payments.ledger_hold h"
		" JOIN ONLY payments.ledger_account a ON a.id OPERATOR(pg_catalog.=) h.account_id"
		" LEFT JOIN ONLY payments.ledger_hold_end e ON e.hold_id OPERATOR(pg_catalog.=) h.id"
		" WHERE h.id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(id)};

	hold->id = id;
	hold->open = pay_db_run(&take, values, NULL) > 0;
	if (pay_db_run(&read, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_HOLD),
				 errmsg("hold " INT64_FORMAT " does not exist", id),
				 errhint("payments.hold returns the id; the view payments.holds shows it.")));
	hold->account_id = pay_db_int64(0, 1);
	hold->account = pay_db_text(0, 2);
	hold->debit = pay_db_bool(0, 3);
	hold->amount = pay_db_mills(0, 4);
	hold->order_id = pay_db_text(0, 5);
	hold->expires_at = pay_db_time(0, 6);
	hold->outcome = pay_db_text(0, 7);
	hold->reason = pay_db_text(0, 8);
	if (hold->open == (hold->outcome != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("open holds are not what they should be: hold " INT64_FORMAT,
						id),
				 errhint("Build them anew: SELECT * FROM payments.rebuild_balances().")));
}

/* amount and transaction_id are 0 unless it was posted. */
static void
write_end(const Hold *hold, const char *outcome, int64 amount,
		  int64 transaction_id, const char *reason, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_hold_end (hold_id, outcome, amount, transaction_id, reason, actor, ended_at)"
		" VALUES ($1, $2, NULLIF($3, 0), NULLIF($4, 0), $5, SESSION_USER, $6)",
		6, {INT8OID, TEXTOID, NUMERICOID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[6];

	values[0] = Int64GetDatum(hold->id);
	values[1] = CStringGetTextDatum(outcome);
	values[2] = pay_amount_to_numeric(amount);
	values[3] = Int64GetDatum(transaction_id);
	values[4] = reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason);
	values[5] = TimestampTzGetDatum(now);
	if (pay_db_run(&insert, values, reason == NULL ? "    n " : NULL) != 1)
		elog(ERROR, "the end of a hold was not written");
}

/* PY022 */
static void
has_ended(const Hold *hold, const char *outcome)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_HOLD_ENDED),
			 strcmp(outcome, "expired") == 0 ?
			 errmsg("hold " INT64_FORMAT " has expired", hold->id) :
			 errmsg("hold " INT64_FORMAT " was %s before", hold->id, outcome),
			 hold->reason == NULL ? 0 :
			 errdetail("The reason was \"%s\".", hold->reason),
			 errhint("A hold ends once; the view payments.holds shows how.")));
}
