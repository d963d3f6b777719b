/*
 * wait.c
 *		Step 9 of the flow: waiting for the result.
 *
 * The waiter sleeps on a condition variable that the worker broadcasts after
 * each settling commit, and looks at the order again at least once a second,
 * so that it also ends when the state changed in some other way.  Nothing is
 * locked meanwhile.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "errors.h"
#include "order.h"
#include "order_status.h"
#include "wake.h"

#define MAX_SLEEP_MS	1000

PG_FUNCTION_INFO_V1(payments_wait_for);
PG_FUNCTION_INFO_V1(payments_pay);

static void check_can_see(const char *order_id);
static PayOrderState wait_until_final(const char *order_id, long timeout_ms);

/* payments.wait_for: see 70_functions.sql. */
Datum
payments_wait_for(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	long		timeout_ms;
	PayOrderState state;

	pay_args_require(fcinfo, 0, "order_id");
	pay_args_require(fcinfo, 1, "timeout");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	timeout_ms = pay_args_milliseconds(PG_GETARG_INTERVAL_P(1), "timeout");

	check_can_see(order_id);
	state = wait_until_final(order_id, timeout_ms);
	PG_RETURN_DATUM(pay_order_status_datum(state));
}

/* Waiting is pointless where the answer could never be seen. */
static void
check_can_see(const char *order_id)
{
	if (pay_wake_uncommitted())
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_COMMITTED),
				 errmsg("cannot wait for order \"%s\" in the transaction that confirmed it",
						order_id),
				 errdetail("The call is sent only after this transaction has committed."),
				 errhint("Commit first, or use CALL payments.pay.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for an order at this isolation level"),
				 errdetail("A REPEATABLE READ or SERIALIZABLE transaction does not see the result."),
				 errhint("Call it in a READ COMMITTED transaction of its own.")));
}

static PayOrderState
wait_until_final(const char *order_id, long timeout_ms)
{
	int64		end = pay_wake_wait_until(timeout_ms);
	PayOrderState state;
	bool		worth_waiting;

	PG_TRY();
	{
		for (;;)
		{
			long		left;

			/* prepare before looking, so that no news falls between */
			pay_wake_wait_prepare(order_id);
			pay_db_connect();
			if (!pay_order_state(order_id, true, &state, &worth_waiting))
				pay_order_unknown(order_id);
			pay_db_finish();
			if (!worth_waiting)
				break;

			left = pay_wake_wait_left(end);
			if (left <= 0)
				break;
			pay_wake_wait_sleep(order_id, Min(left, MAX_SLEEP_MS));
			CHECK_FOR_INTERRUPTS();
		}
	}
	PG_FINALLY();
	{
		pay_wake_wait_cancel();
	}
	PG_END_TRY();
	return state;
}

/*
 * payments.pay: see 70_functions.sql.  It commits, so it can have neither
 * SECURITY DEFINER nor a SET clause; all names in it are qualified and all
 * work is done by the two functions that have both.
 */
Datum
payments_pay(PG_FUNCTION_ARGS)
{
	static PayStatement confirm = {
		"SELECT payments.confirm($1, $2, $3, $4)",
		4, {TEXTOID, TEXTOID, NUMERICOID, INTERVALOID}
	};
	static const int confirm_arguments[] = {0, 1, 2, 5};
	static PayStatement wait_for = {
		"SELECT payments.wait_for($1, $2)", 2, {TEXTOID, INTERVALOID}
	};
	bool		atomic = !(fcinfo->context &&
						   IsA(fcinfo->context, CallContext) &&
						   !castNode(CallContext, fcinfo->context)->atomic);
	char		nulls[lengthof(confirm_arguments)];
	Datum		values[lengthof(confirm_arguments)];
	Datum		row[1];
	bool		row_nulls[1];

	if (atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("payments.pay cannot run inside a transaction block"),
				 errdetail("It commits the confirmation before it waits for the result."),
				 errhint("Call it on its own, or use payments.confirm, COMMIT and payments.wait_for.")));
	pay_args_require(fcinfo, 3, "timeout");
	(void) pay_args_milliseconds(PG_GETARG_INTERVAL_P(3), "timeout");

	/* whatever wait_for would refuse is refused before anything is queued */
	if (IsolationUsesXactSnapshot() ||
		DefaultXactIsoLevel >= XACT_REPEATABLE_READ)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("payments.pay cannot run at this isolation level"),
				 errdetail("A REPEATABLE READ or SERIALIZABLE transaction does not see the result."),
				 errhint("Set default_transaction_isolation to read committed.")));

	pay_db_connect_committing();
	for (int i = 0; i < lengthof(confirm_arguments); i++)
	{
		values[i] = PG_GETARG_DATUM(confirm_arguments[i]);
		nulls[i] = PG_ARGISNULL(confirm_arguments[i]) ? 'n' : ' ';
	}
	pay_db_run(&confirm, values, nulls);
	pay_db_commit();

	values[1] = PG_GETARG_DATUM(3);
	pay_db_run(&wait_for, values, NULL);
	row[0] = pay_db_datum(0, 1, &row_nulls[0]);
	pay_db_finish();

	return pay_args_record(fcinfo, row, row_nulls);
}
