/*
 * ledger_post.c
 *		payments.post and payments.reverse.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "ledger.h"
#include "ledger_argument.h"
#include "ledger_entries.h"

PG_FUNCTION_INFO_V1(payments_post);
PG_FUNCTION_INFO_V1(payments_reverse);

/*
 * payments.post: see 70_functions.sql.  Errors: 22004, 22023 and 22003 for
 * arguments, and those of pay_ledger_post.
 */
Datum
payments_post(PG_FUNCTION_ARGS)
{
	PayLedgerPosting posting = {0};

	pay_args_require(fcinfo, 0, "transaction_key");
	pay_args_require(fcinfo, 1, "kind");
	pay_args_require(fcinfo, 2, "entries");

	pay_db_connect();
	pay_ledger_argument_header(fcinfo, 3, &posting);
	pay_ledger_entries_read(PG_GETARG_JSONB_P(2), &posting);
	pay_ledger_post(&posting, 1, GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_INT64(posting.id);
}

/*
 * payments.reverse: see 70_functions.sql.  Errors: 22004, 22023 and 22003 for
 * arguments, and those of pay_ledger_reverse and pay_ledger_post.
 */
Datum
payments_reverse(PG_FUNCTION_ARGS)
{
	PayLedgerPosting part = {0};
	char	   *reason;
	int64		id;

	pay_args_require(fcinfo, 0, "ledger_transaction_id");
	pay_args_require(fcinfo, 1, "reason");
	reason = pay_ledger_argument_text(fcinfo, 1, "reason");

	pay_db_connect();
	if (!PG_ARGISNULL(2))
		pay_ledger_entries_read(PG_GETARG_JSONB_P(2), &part);
	id = pay_ledger_reverse(PG_GETARG_INT64(0), reason,
							PG_ARGISNULL(2) ? NULL : &part,
							GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_INT64(id);
}
