/*
 * checkout_expire.c
 *		Ending orders that nobody confirmed in time, by hand.
 *
 * What the worker does by itself, for servers without one.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "order_abandoned.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(payments_expire_checkouts);

/* payments.expire_checkouts: see 70_functions.sql. */
Datum
payments_expire_checkouts(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayOrderWalk walk = {0};
	PayOrder	order;
	int32		max_orders;
	int32		n = 0;

	pay_args_require(fcinfo, 0, "max_orders");
	max_orders = PG_GETARG_INT32(0);
	if (max_orders < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_orders is not positive"),
				 errhint("Give how many orders to end at most.")));

	pay_db_connect();
	walk.since = pay_order_history_begin();
	walk.after = DT_NOBEGIN;
	while (n < max_orders && pay_order_walk_next(&walk, now, &order))
	{
		CHECK_FOR_INTERRUPTS();
		if (pay_order_expire(&order, now))
		{
			pay_wake_settled_at_commit(order.order_id);
			n++;
		}
	}
	pay_db_finish();
	PG_RETURN_INT32(n);
}
