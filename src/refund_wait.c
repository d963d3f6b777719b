/*
 * refund_wait.c
 *		Waiting for what becomes of a refund.
 *
 * As wait.c for orders: the worker wakes those who wait for the order, also
 * when what it settled was a refund of it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "errors.h"
#include "refund.h"
#include "wake.h"

#define MAX_SLEEP_MS	1000

PG_FUNCTION_INFO_V1(payments_wait_for_refund);

static void check_can_see(int64 refund_id);
static PayRefundState wait_until_final(const char *order_id, int64 refund_id,
									   long timeout_ms);
static void look(const char *order_id, int64 refund_id,
				 PayRefundState *state);

/* payments.wait_for_refund: see 70_functions.sql. */
Datum
payments_wait_for_refund(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	int64		refund_id;
	long		timeout_ms;

	pay_args_require(fcinfo, 0, "order_id");
	pay_args_require(fcinfo, 1, "refund_id");
	pay_args_require(fcinfo, 2, "timeout");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	refund_id = PG_GETARG_INT64(1);
	timeout_ms = pay_args_milliseconds(PG_GETARG_INTERVAL_P(2), "timeout");

	if (timeout_ms > 0)
		check_can_see(refund_id);
	PG_RETURN_DATUM(pay_refund_status_datum(wait_until_final(order_id,
															 refund_id,
															 timeout_ms)));
}

/* Waiting is pointless where the answer could never be seen. */
static void
check_can_see(int64 refund_id)
{
	if (pay_wake_uncommitted())
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_COMMITTED),
				 errmsg("cannot wait for refund " INT64_FORMAT " in the transaction that requested it",
						refund_id),
				 errdetail("The call is sent only after this transaction has committed."),
				 errhint("Commit first.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for a refund at this isolation level"),
				 errdetail("A REPEATABLE READ or SERIALIZABLE transaction does not see the result."),
				 errhint("Call it in a READ COMMITTED transaction of its own.")));
}

static PayRefundState
wait_until_final(const char *order_id, int64 refund_id, long timeout_ms)
{
	int64		end = pay_wake_wait_until(timeout_ms);
	PayRefundState state;

	PG_TRY();
	{
		for (;;)
		{
			long		left;

			/* prepare before looking, so that no news falls between */
			pay_wake_wait_prepare(order_id);
			look(order_id, refund_id, &state);
			left = pay_wake_wait_left(end);
			if (pay_refund_state_is_final(state) || left <= 0)
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

static void
look(const char *order_id, int64 refund_id, PayRefundState *state)
{
	pay_db_connect();
	if (!pay_refund_state(order_id, refund_id, state))
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_REFUND),
				 errmsg("order \"%s\" has no refund " INT64_FORMAT,
						order_id, refund_id),
				 errhint("payments.refund returns the id; see payments.refunds.")));
	pay_db_finish();
}
