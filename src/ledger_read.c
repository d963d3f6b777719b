/*
 * ledger_read.c
 *		payments.balance: what an account holds, now and at any time.
 *
 * The present balance is the sum of the account's balance rows; any other is
 * put together from snapshots and entries (ledger_snapshot.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "ledger_read.h"
#include "ledger_snapshot.h"
#include "ledger_state.h"

static Datum present_balance(int64 account_id);

PG_FUNCTION_INFO_V1(payments_balance);

/*
 * payments.balance: see 46_ledger_reading.sql.  Errors: 22004, PY012.
 */
Datum
payments_balance(PG_FUNCTION_ARGS)
{
	MemoryContext caller;
	MemoryContext old;
	PayLedgerPart part;
	Datum		balance;

	pay_args_require(fcinfo, 0, "account");
	caller = pay_db_connect();
	part.account_id = pay_ledger_read_account(fcinfo, 0, NULL);
	part.effective_from = part.recorded_from = DT_NOBEGIN;
	part.effective_to = pay_ledger_read_time(fcinfo, 1, DT_NOEND);
	part.recorded_to = pay_ledger_read_time(fcinfo, 2, DT_NOEND);

	if (PG_ARGISNULL(1) && PG_ARGISNULL(2))
		balance = present_balance(part.account_id);
	else
		balance = pay_ledger_snapshot_sum(&part);
	old = MemoryContextSwitchTo(caller);
	balance = NumericGetDatum(DatumGetNumericCopy(balance));
	MemoryContextSwitchTo(old);
	pay_db_finish();
	PG_RETURN_DATUM(balance);
}

/* Numeric in the last result; sees the caller's snapshot. */
static Datum
present_balance(int64 account_id)
{
	static PayStatement add = {
		"SELECT COALESCE(pg_catalog.trim_scale(pg_catalog.sum(b.balance)), 0) FROM ONLY payments.ledger_balance b"
		" WHERE b.account_id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	bool		is_null;
	Datum		values[1] = {Int64GetDatum(account_id)};

	pay_db_read(&add, values, NULL);
	return pay_db_datum(0, 1, &is_null);
}

int64
pay_ledger_read_account(FunctionCallInfo fcinfo, int n, char **currency)
{
	static PayStatement find = {
		"SELECT a.id, a.currency FROM ONLY payments.ledger_account a"
		" WHERE a.code OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1];

	pay_args_require(fcinfo, n, "account");
	values[0] = PG_GETARG_DATUM(n);
	if (pay_db_read(&find, values, NULL) == 0)
		pay_ledger_state_unknown(text_to_cstring(PG_GETARG_TEXT_PP(n)));
	if (currency != NULL)
		*currency = pay_db_text(0, 2);
	return pay_db_int64(0, 1);
}

TimestampTz
pay_ledger_read_time(FunctionCallInfo fcinfo, int n, TimestampTz instead)
{
	return PG_ARGISNULL(n) ? instead : PG_GETARG_TIMESTAMPTZ(n);
}
