/*
 * claim.c
 *		payments.claim, and by hand what the worker does when nobody claims.
 *
 * Both lock the event, so one comes before the other, and finds what it did.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "order_claim.h"

#define MAX_ORDERS	100000

PG_FUNCTION_INFO_V1(payments_claim);
PG_FUNCTION_INFO_V1(payments_refund_unclaimed);

/* payments.claim: see 70_functions.sql. */
Datum
payments_claim(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	PayOrder	order;

	pay_args_require(fcinfo, 0, "order_id");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pay_db_connect();
	if (!pay_order_lock(order_id, &order))
		pay_order_unknown(order_id);
	pay_order_claim(&order, GetUserNameFromId(GetSessionUserId(), false),
					GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_VOID();
}

/* payments.refund_unclaimed: see 70_functions.sql. */
Datum
payments_refund_unclaimed(PG_FUNCTION_ARGS)
{
	static const PayShard all = {0, 1};
	TimestampTz now = GetCurrentTimestamp();
	int32		max;
	int32		ended = 0;

	pay_args_require(fcinfo, 0, "max_orders");
	max = PG_GETARG_INT32(0);
	if (max < 1 || max > MAX_ORDERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_orders is out of range"),
				 errhint("It is a number from 1 to %d.", MAX_ORDERS)));
	pay_db_connect();
	for (int32 i = 0; i < max; i++)
	{
		PayOrder	order;

		if (!pay_order_claim_find(all, now, &order))
			break;
		if (pay_order_claim_end(&order, now))
			ended++;
	}
	pay_db_finish();
	PG_RETURN_INT32(ended);
}
