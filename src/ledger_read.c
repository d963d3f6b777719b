/*
 * ledger_read.c
 *		payments.balance: what an account holds, now and at any time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "errors.h"

static Datum read_balance(const char *code, const TimestampTz *as_of);

PG_FUNCTION_INFO_V1(payments_balance);

/*
 * payments.balance: see 70_functions.sql.  Errors: 22004, PY012.
 */
Datum
payments_balance(PG_FUNCTION_ARGS)
{
	MemoryContext caller;
	MemoryContext old;
	TimestampTz as_of = 0;
	char	   *account;
	Datum		balance;

	pay_args_require(fcinfo, 0, "account");
	account = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
		as_of = PG_GETARG_TIMESTAMPTZ(1);

	caller = pay_db_connect();
	balance = read_balance(account, PG_ARGISNULL(1) ? NULL : &as_of);
	old = MemoryContextSwitchTo(caller);
	balance = NumericGetDatum(DatumGetNumericCopy(balance));
	MemoryContextSwitchTo(old);
	pay_db_finish();
	PG_RETURN_DATUM(balance);
}

/*
 * The balance of an account: the present one, or the sum of what was
 * effective at *as_of.  Needs pay_db_connect; sees the caller's snapshot.
 * Raises PY012 when there is no such account.
 */
static Datum
read_balance(const char *code, const TimestampTz *as_of)
{
	static PayStatement present = {
		"SELECT COALESCE((SELECT pg_catalog.trim_scale(pg_catalog.sum(b.balance)) FROM ONLY payments.ledger_balance b"
		" WHERE b.account_id OPERATOR(pg_catalog.=) a.id), 0)"
		" FROM ONLY payments.ledger_account a WHERE a.code OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	static PayStatement past = {
		"SELECT COALESCE((SELECT pg_catalog.sum(e.amount) FROM ONLY payments.ledger_entry e"
		" JOIN ONLY payments.ledger_transaction t ON t.id OPERATOR(pg_catalog.=) e.transaction_id"
		" WHERE e.account_id OPERATOR(pg_catalog.=) a.id AND t.effective_at OPERATOR(pg_catalog.<=) $2), 0)"
		" FROM ONLY payments.ledger_account a WHERE a.code OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	bool		is_null;
	Datum		values[2];

	values[0] = CStringGetTextDatum(code);
	if (as_of != NULL)
		values[1] = TimestampTzGetDatum(*as_of);
	if (pay_db_read(as_of != NULL ? &past : &present, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_ACCOUNT),
				 errmsg("account \"%s\" does not exist", code),
				 errhint("Accounts are opened by their first posting; payments.account_balance lists them.")));
	return pay_db_datum(0, 1, &is_null);
}
