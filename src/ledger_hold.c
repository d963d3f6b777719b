/*
 * ledger_hold.c
 *		payments.hold: reserving part of what is available on an account.
 *
 * Owns payments.ledger_hold.  The sum of an account's open holds stands in its
 * balance row, which the hold locks: two holds, or a hold and a posting, that
 * race for the same money take turns there.
 *
 * Locks: the key (by inserting the hold), then the balance.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "currency.h"
#include "args.h"
#include "db.h"
#include "errors.h"
#include "ledger_account.h"
#include "ledger_argument.h"
#include "ledger_hold.h"
#include "ledger_state.h"

#define MAX_KEY_LENGTH		200
#define MAX_ORDER_ID_LENGTH	64

/* The arguments of payments.hold */
enum
{
	HOLD_KEY,
	ACCOUNT,
	AMOUNT,
	CURRENCY,
	EXPIRES_IN,
	ORDER_ID,
	DESCRIPTION,
	METADATA,
	ARGUMENTS
};

typedef struct Hold
{
	const char *code;
	int64		account_id;
	bool		debit;			/* the account's normal side */
	char	   *currency;
	int64		amount;			/* mills */
} Hold;

/* When a hold expires that was made at a time: the zone must not matter. */
#define EXPIRES(created_at, expires_in) \
	"pg_catalog.timezone('UTC', pg_catalog.timezone('UTC', " created_at ")" \
	" OPERATOR(pg_catalog.+) " expires_in ")"

static void check_texts(FunctionCallInfo fcinfo);
static void check_expiry(FunctionCallInfo fcinfo);
static void find_account(Hold *hold);
static void check_currency(const Hold *hold, const char *currency);
static int64 insert_hold(FunctionCallInfo fcinfo, const Hold *hold,
						 TimestampTz now);
static int64 compare_hold(FunctionCallInfo fcinfo, const Hold *hold);
static void reserve(const Hold *hold, TimestampTz now);
static bool lock_balance(const Hold *hold);
static char *check_floor(const Hold *hold, int64 overdue);

PG_FUNCTION_INFO_V1(payments_hold);

/*
 * payments.hold: errors 22004, 22023 and 22003 for arguments, PY012 and PY013
 * for the account, PY011 for a key that came back with other content, PY018
 * when the account is frozen or closed, PY019 when less is available, 55000
 * when its balance has stripes.
 */
Datum
payments_hold(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	Hold		hold = {0};
	int64		id;

	check_texts(fcinfo);
	check_expiry(fcinfo);

	pay_db_connect();
	hold.code = text_to_cstring(PG_GETARG_TEXT_PP(ACCOUNT));
	find_account(&hold);
	if (!PG_ARGISNULL(CURRENCY))
		check_currency(&hold, text_to_cstring(PG_GETARG_TEXT_PP(CURRENCY)));
	hold.amount = pay_amount_from_caller(PG_GETARG_DATUM(AMOUNT),
										 pay_currency_minor_units(hold.currency),
										 hold.currency, "amount");

	id = insert_hold(fcinfo, &hold, now);
	if (id == 0)
		id = compare_hold(fcinfo, &hold);
	else
		reserve(&hold, now);
	pay_db_finish();
	PG_RETURN_INT64(id);
}

/*
 * Arguments
 */

static void
check_texts(FunctionCallInfo fcinfo)
{
	pay_args_require(fcinfo, HOLD_KEY, "hold_key");
	pay_args_require(fcinfo, ACCOUNT, "account");
	pay_args_require(fcinfo, AMOUNT, "amount");
	pay_ledger_argument_key(fcinfo, HOLD_KEY, "hold_key", MAX_KEY_LENGTH);
	pay_ledger_argument_key(fcinfo, ORDER_ID, "order_id", MAX_ORDER_ID_LENGTH);
}

static void
check_expiry(FunctionCallInfo fcinfo)
{
	const Interval *expires_in;

	if (PG_ARGISNULL(EXPIRES_IN))
		return;
	expires_in = PG_GETARG_INTERVAL_P(EXPIRES_IN);
	if (expires_in->month < 0 || expires_in->day < 0 || expires_in->time < 0 ||
		expires_in->month > 120 || expires_in->day > 3660 ||
		(expires_in->month == 0 && expires_in->day == 0 &&
		 expires_in->time == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expires_in is out of range"),
				 errhint("It must be more than 0 and at most 10 years; leave it out for a hold that stays until it is posted or voided.")));
}

static void
find_account(Hold *hold)
{
	static PayStatement find = {
		"SELECT id, kind IN ('asset', 'expense'), currency FROM ONLY payments.ledger_account"
		" WHERE code OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(hold->code)};

	if (strncmp(hold->code, "seller:", strlen("seller:")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("account \"%s\" is reserved", hold->code),
				 errdetail("A seller's account and wallet change together, by payments only."),
				 errhint("Use an account of your own, for example \"liability:deposits\".")));
	if (pay_db_run(&find, values, NULL) == 0)
		pay_ledger_state_unknown(hold->code);
	hold->account_id = pay_db_int64(0, 1);
	hold->debit = pay_db_bool(0, 2);
	hold->currency = pay_db_text(0, 3);
}

static void
check_currency(const Hold *hold, const char *currency)
{
	if (strcmp(hold->currency, currency) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_CURRENCY),
				 errmsg("cannot hold %s on account \"%s\"", currency,
						hold->code),
				 errdetail("The currency of the account is %s.",
						   hold->currency),
				 errhint("Leave the currency out, or name the account of that currency.")));
}

/*
 * The row
 */

/* Returns 0 when there is a hold with this key: the insert waits for it. */
static int64
insert_hold(FunctionCallInfo fcinfo, const Hold *hold, TimestampTz now)
{
	static PayStatement insert = {
		"WITH h AS (INSERT INTO payments.ledger_hold"
		" (id, hold_key, account_id, currency, amount, order_id, description, metadata, expires_at, actor, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, " EXPIRES("$10", "$9") ", SESSION_USER, $10)"
		" ON CONFLICT (hold_key) DO NOTHING RETURNING id, account_id, amount, expires_at)"
		" INSERT INTO payments.ledger_hold_open (hold_id, account_id, amount, expires_at)"
		" SELECT h.id, h.account_id, h.amount, h.expires_at FROM h",
		10, {INT8OID, TEXTOID, INT8OID, TEXTOID, NUMERICOID, TEXTOID, TEXTOID,
		JSONBOID, INTERVALOID, TIMESTAMPTZOID}
	};
	int64		id = *pay_db_draw_ids("ledger_hold_id_seq", 1);
	Datum		values[10];
	char		nulls[10] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};

	values[0] = Int64GetDatum(id);
	values[1] = PG_GETARG_DATUM(HOLD_KEY);
	values[2] = Int64GetDatum(hold->account_id);
	values[3] = CStringGetTextDatum(hold->currency);
	values[4] = pay_amount_to_numeric(hold->amount);
	values[5] = PG_GETARG_DATUM(ORDER_ID);
	values[6] = PG_GETARG_DATUM(DESCRIPTION);
	values[7] = PG_GETARG_DATUM(METADATA);
	values[8] = PG_GETARG_DATUM(EXPIRES_IN);
	values[9] = TimestampTzGetDatum(now);
	nulls[5] = PG_ARGISNULL(ORDER_ID) ? 'n' : ' ';
	nulls[6] = PG_ARGISNULL(DESCRIPTION) ? 'n' : ' ';
	nulls[7] = PG_ARGISNULL(METADATA) ? 'n' : ' ';
	nulls[8] = PG_ARGISNULL(EXPIRES_IN) ? 'n' : ' ';
	return pay_db_run(&insert, values, nulls) > 0 ? id : 0;
}

/* The id of the hold that is there.  Raises PY011 with what differs. */
static int64
compare_hold(FunctionCallInfo fcinfo, const Hold *hold)
{
	static PayStatement read = {
		"SELECT h.id, pg_catalog.concat_ws(', ',"
		" CASE WHEN h.account_id IS DISTINCT FROM $2 THEN 'account' END,"
		" CASE WHEN h.amount IS DISTINCT FROM $3 THEN 'amount' END,"
		" CASE WHEN h.order_id IS DISTINCT FROM $4 THEN 'order_id' END,"
		" CASE WHEN h.description IS DISTINCT FROM $5 THEN 'description' END,"
		" CASE WHEN h.metadata IS DISTINCT FROM $6 THEN 'metadata' END,"
		" CASE WHEN h.expires_at IS DISTINCT FROM " EXPIRES("h.created_at", "$7") " THEN 'expires_in' END)"
		" FROM ONLY payments.ledger_hold h WHERE h.hold_key OPERATOR(pg_catalog.=) $1",
		7, {TEXTOID, INT8OID, NUMERICOID, TEXTOID, TEXTOID, JSONBOID,
		INTERVALOID}
	};
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};
	char	   *differences;

	values[0] = PG_GETARG_DATUM(HOLD_KEY);
	values[1] = Int64GetDatum(hold->account_id);
	values[2] = pay_amount_to_numeric(hold->amount);
	values[3] = PG_GETARG_DATUM(ORDER_ID);
	values[4] = PG_GETARG_DATUM(DESCRIPTION);
	values[5] = PG_GETARG_DATUM(METADATA);
	values[6] = PG_GETARG_DATUM(EXPIRES_IN);
	nulls[3] = PG_ARGISNULL(ORDER_ID) ? 'n' : ' ';
	nulls[4] = PG_ARGISNULL(DESCRIPTION) ? 'n' : ' ';
	nulls[5] = PG_ARGISNULL(METADATA) ? 'n' : ' ';
	nulls[6] = PG_ARGISNULL(EXPIRES_IN) ? 'n' : ' ';
	if (pay_db_run(&read, values, nulls) != 1)
		elog(ERROR, "a hold that was made is not there");

	differences = pay_db_text(0, 2);
	if (differences[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_PAY_LEDGER_DIFFERS),
				 errmsg("hold \"%s\" was made before with other content",
						text_to_cstring(PG_GETARG_TEXT_PP(HOLD_KEY))),
				 errdetail("What differs: %s.", differences),
				 errhint("A key stands for one content for ever; void the hold, and make another under a new key.")));
	return pay_db_int64(0, 1);
}

/*
 * The balance
 */

/*
 * Add the hold to what is held.  When less is available, holds past their time
 * are ended first.
 */
static void
reserve(const Hold *hold, TimestampTz now)
{
	bool		some_held = lock_balance(hold);
	char	   *fault = check_floor(hold, 0);

	if (fault != NULL && some_held)
		fault = check_floor(hold,
							pay_ledger_hold_release_due(hold->account_id, now));
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_LIMIT_CROSSED),
				 errmsg("cannot hold %s %s on account \"%s\"",
						pay_amount_text(hold->amount), hold->currency,
						hold->code),
				 errdetail_internal("%s", fault),
				 errhint("Hold no more than is available; the view payments.accounts shows it.")));
	pay_ledger_hold_lower(hold->account_id, -hold->amount);
}

/*
 * Lock the balance row; returns whether something is held.  Raises what speaks
 * against any hold.
 */
static bool
lock_balance(const Hold *hold)
{
	static PayStatement lock = {
		"SELECT stripes::pg_catalog.int4, state, held OPERATOR(pg_catalog.>) 0,"
		" held OPERATOR(pg_catalog.+) $2 OPERATOR(pg_catalog.>) 9e15"
		" FROM ONLY payments.ledger_balance"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.=) 0::pg_catalog.int2"
		" FOR NO KEY UPDATE",
		2, {INT8OID, NUMERICOID}
	};
	Datum		values[2] = {Int64GetDatum(hold->account_id),
	pay_amount_to_numeric(hold->amount)};

	if (pay_db_run(&lock, values, NULL) == 0)
		pay_ledger_state_rows_missing(hold->code);
	if (pay_db_char(0, 2) != PAY_LEDGER_OPEN)
		pay_ledger_state_not_open(hold->account_id, hold->code,
								  pay_db_char(0, 2));
	if (pay_db_int32(0, 1) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("account \"%s\" cannot have holds", hold->code),
				 errdetail("Its balance is spread over %d rows.",
						   pay_db_int32(0, 1)),
				 errhint("Make it exact first: payments.set_account_stripes with 1.")));

	/* more could not be read, and nothing be posted to the account */
	if (pay_db_bool(0, 4))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("cannot hold so much on account \"%s\"", hold->code),
				 errdetail("All holds of an account together stay below 9 * 10^15 %s.",
						   hold->currency),
				 errhint("Void holds that are not needed; payments.holds lists them.")));
	return pay_db_bool(0, 3);
}

/*
 * What the floor in the locked row has against the hold, or NULL.  overdue of
 * what is held counts as released.
 */
static char *
check_floor(const Hold *hold, int64 overdue)
{
	static PayStatement check = {
		"SELECT CASE WHEN n.balance OPERATOR(pg_catalog.-) n.held OPERATOR(pg_catalog.-) $3 OPERATOR(pg_catalog.<) n.floor"
		" THEN pg_catalog.format('Its balance is %s, of which %s is held, and its floor is %s.', n.balance, n.held, n.floor) END"
		" FROM (SELECT CASE WHEN $2 THEN balance ELSE OPERATOR(pg_catalog.-) balance END AS balance,"
		" held OPERATOR(pg_catalog.-) $4 AS held, floor FROM ONLY payments.ledger_balance"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.=) 0::pg_catalog.int2) n",
		4, {INT8OID, BOOLOID, NUMERICOID, NUMERICOID}
	};
	Datum		values[4];

	values[0] = Int64GetDatum(hold->account_id);
	values[1] = BoolGetDatum(hold->debit);
	values[2] = pay_amount_to_numeric(hold->amount);
	values[3] = pay_amount_to_numeric(overdue);
	pay_db_run(&check, values, NULL);
	return pay_db_text(0, 1);
}

void
pay_ledger_hold_lower(int64 account_id, int64 amount)
{
	static PayStatement lower = {
		"UPDATE payments.ledger_balance SET held = held OPERATOR(pg_catalog.-) $2"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.=) 0::pg_catalog.int2",
		2, {INT8OID, NUMERICOID}
	};
	Datum		values[2] = {Int64GetDatum(account_id),
	pay_amount_to_numeric(amount)};

	if (pay_db_run(&lower, values, NULL) != 1)
		elog(ERROR, "what is held was not written");
}
