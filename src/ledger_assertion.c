/*
 * ledger_assertion.c
 *		What people say about accounts: which should be zero, what a bank's
 *		statement shows.
 *
 * Owns payments.ledger_clearing and payments.balance_assertion, both of rows
 * that never change.  Nothing here moves money or refuses a posting: views show
 * where the ledger and what was said differ.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "ledger_argument.h"
#include "ledger_read.h"
#include "ledger_state.h"

static Datum text_argument(FunctionCallInfo fcinfo, int n, const char *name);

PG_FUNCTION_INFO_V1(payments_set_clearing);
PG_FUNCTION_INFO_V1(payments_assert_balance);

/*
 * payments.set_clearing: see 46_ledger_reading.sql.  Said again it writes
 * nothing.  Errors: 22004, 22023, PY012.
 */
Datum
payments_set_clearing(PG_FUNCTION_ARGS)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_clearing (id, account_id, clearing, reason, actor, created_at)"
		" SELECT $1, $2, $3, $4, SESSION_USER, $5 WHERE $3 IS DISTINCT FROM COALESCE((SELECT c.clearing"
		" FROM ONLY payments.ledger_clearing c WHERE c.account_id OPERATOR(pg_catalog.=) $2"
		" ORDER BY c.id DESC LIMIT 1), false)",
		5, {INT8OID, INT8OID, BOOLOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[5];

	pay_args_require(fcinfo, 0, "account");
	pay_args_require(fcinfo, 1, "clearing");
	values[3] = text_argument(fcinfo, 2, "reason");

	pay_db_connect();
	values[1] = Int64GetDatum(pay_ledger_read_account(fcinfo, 0, NULL));
	values[0] = Int64GetDatum(pay_db_draw_ids("ledger_clearing_id_seq", 1)[0]);
	values[2] = PG_GETARG_DATUM(1);
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp());
	pay_db_run(&insert, values, NULL);
	pay_db_finish();
	PG_RETURN_VOID();
}

/*
 * payments.assert_balance: see 46_ledger_reading.sql.  Errors: 22004, 22023,
 * 22003, PY012.
 */
Datum
payments_assert_balance(PG_FUNCTION_ARGS)
{
	static PayStatement insert = {
		"INSERT INTO payments.balance_assertion (id, account_id, as_of, amount, source, note, actor, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, SESSION_USER, $7)",
		7, {INT8OID, INT8OID, TIMESTAMPTZOID, NUMERICOID, TEXTOID, TEXTOID,
		TIMESTAMPTZOID}
	};
	char	   *currency;
	int64		id;
	Datum		values[7];

	pay_args_require(fcinfo, 0, "account");
	pay_args_require(fcinfo, 1, "as_of");
	pay_args_require(fcinfo, 2, "amount");
	values[4] = text_argument(fcinfo, 3, "source");
	pay_ledger_argument_text(fcinfo, 4, "note");
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("as_of is infinite"),
				 errhint("Give the time at which the account held the amount.")));

	pay_db_connect();
	values[1] = Int64GetDatum(pay_ledger_read_account(fcinfo, 0, &currency));
	values[3] = pay_ledger_state_limit(PG_GETARG_DATUM(2), currency, "amount");
	id = pay_db_draw_ids("balance_assertion_id_seq", 1)[0];
	values[0] = Int64GetDatum(id);
	values[2] = PG_GETARG_DATUM(1);
	values[5] = PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4);
	values[6] = TimestampTzGetDatum(GetCurrentTimestamp());
	pay_db_run(&insert, values, PG_ARGISNULL(4) ? "     n " : NULL);
	pay_db_finish();
	PG_RETURN_INT64(id);
}

/* A text argument that is there and says something. */
static Datum
text_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	pay_args_require(fcinfo, n, name);
	return CStringGetTextDatum(pay_ledger_argument_text(fcinfo, n, name));
}
