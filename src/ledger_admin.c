/*
 * ledger_admin.c
 *		What operators do to accounts: limits, states, stripes.
 *
 * Each call locks the account's balance rows, changes what they say about it,
 * and writes an event that says the same.  Postings read state and limits from
 * the row that they lock, so a call takes effect between two of them, never in
 * the middle of one.
 *
 * A call that finds everything as it would have it changes nothing and writes
 * no event, so that it can be repeated when its answer was lost.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "errors.h"
#include "ledger_account.h"
#include "ledger_argument.h"
#include "ledger_state.h"

/* A change of state, and which it needs */
typedef struct StateChange
{
	const char *event;
	char		from;
	char		to;
	const char *needs;			/* for the hint */
} StateChange;

static const StateChange freezing = {"frozen", PAY_LEDGER_OPEN, PAY_LEDGER_FROZEN, "open"};
static const StateChange unfreezing = {"unfrozen", PAY_LEDGER_FROZEN, PAY_LEDGER_OPEN, "frozen"};
static const StateChange closing = {"closed", PAY_LEDGER_OPEN, PAY_LEDGER_CLOSED, "open"};
static const StateChange reopening = {"reopened", PAY_LEDGER_CLOSED, PAY_LEDGER_OPEN, "closed"};

static void change_state(FunctionCallInfo fcinfo, const StateChange *change);
static bool was_done(int64 account_id, const StateChange *change,
					 const char *reason);
static void check_empty(const PayLedgerLocked *account);
static void check_can_stripe(const PayLedgerLocked *account, int stripes);
static void fold(int64 account_id, int stripes);
static void unfold(int64 account_id, int present, int stripes);
static char *required_text(FunctionCallInfo fcinfo, int n, const char *name);

PG_FUNCTION_INFO_V1(payments_set_account_limits);
PG_FUNCTION_INFO_V1(payments_set_account_stripes);
PG_FUNCTION_INFO_V1(payments_freeze_account);
PG_FUNCTION_INFO_V1(payments_unfreeze_account);
PG_FUNCTION_INFO_V1(payments_close_account);
PG_FUNCTION_INFO_V1(payments_reopen_account);

/*
 * payments.set_account_limits: errors 22004, 22023 and 22003 for arguments,
 * PY012, PY018 when it is closed, 55000 when it has stripes, PY019 when it is
 * past the limit already.
 */
Datum
payments_set_account_limits(PG_FUNCTION_ARGS)
{
	static PayStatement set = {
		"UPDATE payments.ledger_balance SET floor = $2, ceiling = $3"
		" WHERE account_id OPERATOR(pg_catalog.=) $1"
		" AND (floor IS DISTINCT FROM $2 OR ceiling IS DISTINCT FROM $3)",
		3, {INT8OID, NUMERICOID, NUMERICOID}
	};
	char	   *code = required_text(fcinfo, 0, "account");
	char	   *reason = required_text(fcinfo, 3, "reason");
	TimestampTz now = GetCurrentTimestamp();
	PayLedgerLocked account;
	Datum		values[3];
	char		nulls[3] = {' ', 'n', 'n'};

	pay_db_connect();
	pay_ledger_state_lock(code, now, &account);
	if (account.state == PAY_LEDGER_CLOSED)
		pay_ledger_state_not_open(account.id, code, account.state);
	if (account.stripes > 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("account \"%s\" cannot have limits", code),
				 errdetail("Its balance is spread over %d rows.",
						   account.stripes),
				 errhint("Make it exact first: payments.set_account_stripes with 1.")));

	values[0] = Int64GetDatum(account.id);
	for (int i = 1; i <= 2; i++)
	{
		if (PG_ARGISNULL(i))
			continue;
		values[i] = pay_ledger_state_limit(PG_GETARG_DATUM(i),
										   account.currency,
										   i == 1 ? "floor" : "ceiling");
		nulls[i] = ' ';
	}
	if (nulls[1] == ' ' && nulls[2] == ' ' &&
		DatumGetBool(DirectFunctionCall2(numeric_gt, values[1], values[2])))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("floor is above ceiling"),
				 errhint("Give a floor up to the ceiling, or NULL for no limit.")));

	if (pay_db_run(&set, values, nulls) > 0)
	{
		pay_ledger_state_check_limits(account.id, code, account.overdue);
		pay_ledger_state_record(account.id, "limited", reason, now);
	}
	pay_db_finish();
	PG_RETURN_VOID();
}

/*
 * payments.set_account_stripes: errors 22004 and 22023 for arguments, PY012,
 * PY018 when it is closed, 55000 when it has limits or holds.
 */
Datum
payments_set_account_stripes(PG_FUNCTION_ARGS)
{
	char	   *code = required_text(fcinfo, 0, "account");
	char	   *reason = required_text(fcinfo, 2, "reason");
	TimestampTz now = GetCurrentTimestamp();
	PayLedgerLocked account;
	int			stripes;

	pay_args_require(fcinfo, 1, "stripes");
	stripes = PG_GETARG_INT32(1);
	pay_ledger_state_check_stripes(stripes);

	pay_db_connect();
	pay_ledger_state_lock(code, now, &account);
	check_can_stripe(&account, stripes);
	if (stripes < account.stripes)
		fold(account.id, stripes);
	else if (stripes > account.stripes)
		unfold(account.id, account.stripes, stripes);
	if (stripes != account.stripes)
		pay_ledger_state_record(account.id, "striped", reason, now);
	pay_db_finish();
	PG_RETURN_VOID();
}

static void
check_can_stripe(const PayLedgerLocked *account, int stripes)
{
	if (account->state == PAY_LEDGER_CLOSED)
		pay_ledger_state_not_open(account->id, account->code, account->state);
	if (stripes == 1 || (!account->limited && account->held == NULL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("account \"%s\" cannot have stripes", account->code),
			 account->limited ?
			 errdetail("It has a floor or a ceiling, which are checked in one row.") :
			 errdetail("Of its balance %s is held, which stands in one row.",
					   account->held),
			 account->limited ?
			 errhint("Take the limits away first: payments.set_account_limits with NULL.") :
			 errhint("Post or void its holds first; payments.holds lists them.")));
}

/*
 * Keep fewer rows: what stood in the others goes to stripe 0.  A poster that
 * waits for one of those finds it gone, and reads the account anew.
 */
static void
fold(int64 account_id, int stripes)
{
	static PayStatement fold_rows = {
		"WITH gone AS (DELETE FROM payments.ledger_balance"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.>=) $2"
		" RETURNING balance)"
		" UPDATE payments.ledger_balance SET stripes = $2, balance = balance"
		" OPERATOR(pg_catalog.+) CASE WHEN stripe OPERATOR(pg_catalog.=) 0"
		" THEN (SELECT COALESCE(pg_catalog.sum(gone.balance), 0) FROM gone) ELSE 0 END"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.<) $2",
		2, {INT8OID, INT4OID}
	};
	Datum		values[2] = {Int64GetDatum(account_id),
	Int32GetDatum(stripes)};

	if (pay_db_run(&fold_rows, values, NULL) != stripes)
		elog(ERROR, "not every balance was written");
}

/* Have more rows: the new ones begin at zero. */
static void
unfold(int64 account_id, int present, int stripes)
{
	static PayStatement announce = {
		"UPDATE payments.ledger_balance SET stripes = $2"
		" WHERE account_id OPERATOR(pg_catalog.=) $1",
		2, {INT8OID, INT4OID}
	};
	static PayStatement add = {
		"INSERT INTO payments.ledger_balance (account_id, stripe, stripes, state, held, balance)"
		" SELECT b.account_id, s.stripe, b.stripes, b.state, 0, 0"
		" FROM ONLY payments.ledger_balance b"
		" CROSS JOIN pg_catalog.generate_series($2, b.stripes OPERATOR(pg_catalog.-) 1) AS s (stripe)"
		" WHERE b.account_id OPERATOR(pg_catalog.=) $1 AND b.stripe OPERATOR(pg_catalog.=) 0",
		2, {INT8OID, INT4OID}
	};
	Datum		values[2] = {Int64GetDatum(account_id),
	Int32GetDatum(stripes)};

	if (pay_db_run(&announce, values, NULL) != present)
		elog(ERROR, "not every balance was written");
	values[1] = Int32GetDatum(present);
	if (pay_db_run(&add, values, NULL) != stripes - present)
		elog(ERROR, "not every balance was written");
}

/*
 * States: errors 22004 and 22023 for arguments, PY012, PY018 when the account
 * is in another state than the call needs, unless the same call was the last
 * to change it; and 55000 when an account to be closed is not empty.
 */
Datum
payments_freeze_account(PG_FUNCTION_ARGS)
{
	change_state(fcinfo, &freezing);
	PG_RETURN_VOID();
}

Datum
payments_unfreeze_account(PG_FUNCTION_ARGS)
{
	change_state(fcinfo, &unfreezing);
	PG_RETURN_VOID();
}

Datum
payments_close_account(PG_FUNCTION_ARGS)
{
	change_state(fcinfo, &closing);
	PG_RETURN_VOID();
}

Datum
payments_reopen_account(PG_FUNCTION_ARGS)
{
	change_state(fcinfo, &reopening);
	PG_RETURN_VOID();
}

static void
change_state(FunctionCallInfo fcinfo, const StateChange *change)
{
	static PayStatement set = {
		"UPDATE payments.ledger_balance SET state = $2"
		" WHERE account_id OPERATOR(pg_catalog.=) $1",
		2, {INT8OID, CHAROID}
	};
	char	   *code = required_text(fcinfo, 0, "account");
	char	   *reason = required_text(fcinfo, 1, "reason");
	TimestampTz now = GetCurrentTimestamp();
	PayLedgerLocked account;
	Datum		values[2];

	pay_db_connect();
	pay_ledger_state_lock(code, now, &account);
	if (account.state == change->to && was_done(account.id, change, reason))
	{
		pay_db_finish();
		return;
	}
	if (account.state != change->from)
	{
		if (account.state != PAY_LEDGER_OPEN)
			pay_ledger_state_not_open(account.id, code, account.state);
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ACCOUNT_NOT_OPEN),
				 errmsg("account \"%s\" is open", code),
				 errhint("Only a %s account can be %s.", change->needs,
						 change->event)));
	}
	if (change->to == PAY_LEDGER_CLOSED)
		check_empty(&account);

	values[0] = Int64GetDatum(account.id);
	values[1] = CharGetDatum(change->to);
	if (pay_db_run(&set, values, NULL) != account.stripes)
		elog(ERROR, "not every balance was written");
	pay_ledger_state_record(account.id, change->event, reason, now);
	pay_db_finish();
}

/* Was this the last change of state, for the same reason? */
static bool
was_done(int64 account_id, const StateChange *change, const char *reason)
{
	static PayStatement read = {
		"SELECT e.event OPERATOR(pg_catalog.=) $2 AND e.reason OPERATOR(pg_catalog.=) $3"
		" FROM ONLY payments.ledger_account_event e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) $1"
		" AND e.event IN ('frozen', 'unfrozen', 'closed', 'reopened')"
		" ORDER BY e.id DESC LIMIT 1",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Datum		values[3] = {Int64GetDatum(account_id),
		CStringGetTextDatum(change->event),
	CStringGetTextDatum(reason)};

	return pay_db_run(&read, values, NULL) > 0 && pay_db_bool(0, 1);
}

static void
check_empty(const PayLedgerLocked *account)
{
	if (account->held != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("account \"%s\" cannot be closed", account->code),
				 errdetail("Of its balance %s is held.", account->held),
				 errhint("Post or void its holds first; payments.holds lists them.")));
	if (account->balance != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("account \"%s\" cannot be closed", account->code),
				 errdetail("Its balance is %s, debits positive.",
						   account->balance),
				 errhint("Post its balance to another account first.")));
}

static char *
required_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	pay_args_require(fcinfo, n, name);
	return pay_ledger_argument_text(fcinfo, n, name);
}
