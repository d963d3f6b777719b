/*
 * checkout_retry.c
 *		A fresh order of the same lines, after one that was not paid.
 *
 * Of all orders over the same lines one at most can be paid: a retry is made
 * only when the others are over.  Whoever makes one holds the lock of the first
 * of them, so two who press at the same time get the same retry.
 * test/specs/race_retry_checkout.spec
 *
 * The end of an order whose time is over and the retry of it are one transaction,
 * the caller's: who dies on the way has done neither, and asks again.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "checkout.h"
#include "db.h"
#include "errors.h"
#include "order_abandoned.h"
#include "order_status.h"

PG_FUNCTION_INFO_V1(payments_retry_checkout);

static bool can_be_paid(const char *order_id, PayOrder *newest,
						TimestampTz now);
static void insert_retry(const char *first, const PayOrder *newest,
						 char *new_order_id, Interval *expires_in,
						 PayOrder *retry);

/* payments.retry_checkout: see 70_functions.sql. */
Datum
payments_retry_checkout(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext caller;
	char	   *order_id;
	char	   *new_order_id = NULL;
	char	   *first;
	char	   *newest_id;
	PayOrder	newest;
	PayOrder	retry;
	Datum		result;

	pay_args_require(fcinfo, 0, "order_id");
	pay_args_require(fcinfo, 2, "expires_in");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
	{
		new_order_id = text_to_cstring(PG_GETARG_TEXT_PP(1));
		pay_order_check_id(new_order_id);
	}

	caller = pay_db_connect();
	if (!pay_order_lock_family(order_id, &first, &newest_id) ||
		!pay_order_lock(newest_id, &newest))
		pay_order_unknown(order_id);
	if (!can_be_paid(order_id, &newest, now))
		insert_retry(first, &newest, new_order_id, PG_GETARG_INTERVAL_P(2),
					 &retry);
	else if (new_order_id == NULL || strcmp(new_order_id, newest_id) == 0)
		retry = newest;
	else
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_TO_RETRY),
				 errmsg("order \"%s\" cannot be retried as \"%s\"",
						order_id, new_order_id),
				 errdetail("Order \"%s\" is open, over the same lines.",
						   newest_id),
				 errhint("Pay that one, or end it with payments.fail.")));

	MemoryContextSwitchTo(caller);
	result = pay_checkout_result(fcinfo, &retry);
	pay_db_finish();
	PG_RETURN_DATUM(result);
}

/*
 * Is the newest open?  One whose time is over is ended here, so that a confirm
 * which waits for its lock cannot pay it any more.
 */
static bool
can_be_paid(const char *order_id, PayOrder *newest, TimestampTz now)
{
	PayOrderState state;

	if (!pay_order_state(newest->order_id, true, &state, NULL))
		pay_order_unknown(newest->order_id);
	if (state == PAY_ORDER_NOT_STARTED)
	{
		if (now < newest->expires_at)
			return true;
		(void) pay_order_expire(newest, now);
	}
	else if (state != PAY_ORDER_FAILURE)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_TO_RETRY),
				 errmsg("order \"%s\" cannot be retried", order_id),
				 errdetail("Order \"%s\", over the same lines, is %s.",
						   newest->order_id, pay_order_state_name(state)),
				 errhint("What is paid, or may be, is not paid again: show the buyer that status.")));
	return false;
}

static void
insert_retry(const char *first, const PayOrder *newest, char *new_order_id,
			 Interval *expires_in, PayOrder *retry)
{
	*retry = *newest;
	pay_order_read_lines(retry);
	retry->order_id = new_order_id ? new_order_id :
		pay_checkout_random_id("ord_");
	retry->retry_of = pstrdup(first);
	retry->payment_key = NULL;
	retry->psp_status = NULL;
	pay_checkout_set_times(retry, expires_in);
	if (!pay_order_insert(retry, pay_checkout_random_id("cus_")))
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ORDER_DIFFERS),
				 errmsg("order \"%s\" exists already", retry->order_id),
				 errdetail("It is not the newest order over the lines of \"%s\".",
						   first),
				 errhint("Give another new_order_id, or none.")));
	pay_order_set_newest(first, retry->order_id);
}
