/*
 * confirm.c
 *		Steps 5 and 6 of the flow: the redirects and the notification.
 *
 * confirm is where an order begins to cost money: it checks the amount of the
 * redirect against ours, binds the payment key to the order for ever, moves
 * the orders to EXECUTING and queues the one call.  All of it is one
 * transaction of the caller's; nothing is sent before that has committed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "errors.h"
#include "event.h"
#include "fault.h"
#include "order.h"
#include "order_claim.h"
#include "order_status.h"
#include "psp_call.h"

#define MAX_FAIL_CODE		100
#define MAX_FAIL_MESSAGE	510

/* What nobody has claimed by then never was worth waiting for. */
#define MAX_CLAIM_WITHIN	(INT64CONST(365) * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(payments_confirm);
PG_FUNCTION_INFO_V1(payments_fail);
PG_FUNCTION_INFO_V1(payments_status);

static void check_claim_within(FunctionCallInfo fcinfo);
static void check_amount(const PayOrder *order, Datum amount);
static bool is_repeated(const PayOrder *order, const char *payment_key);
static void queue_call(const PayOrder *order, const char *payment_key,
					   TimestampTz now);
static char *text_argument(FunctionCallInfo fcinfo, int n, const char *name,
						   int max);

/*
 * payments.confirm: see 70_functions.sql.  Locks the event; a second confirm
 * of the same order waits for the first and then finds it repeated.
 */
Datum
payments_confirm(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	char	   *payment_key;
	TimestampTz now = GetCurrentTimestamp();
	PayOrder	order;
	PayOrderState state;

	pay_args_require(fcinfo, 0, "order_id");
	pay_args_require(fcinfo, 1, "payment_key");
	pay_args_require(fcinfo, 2, "amount");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	payment_key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!pay_toss_valid_payment_key(payment_key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("payment_key of order \"%s\" is not valid", order_id),
				 errhint("Pass the paymentKey of the success redirect unchanged.")));

	check_claim_within(fcinfo);

	pay_db_connect();
	if (!pay_order_lock(order_id, &order))
		pay_order_unknown(order_id);
	PAY_FAULT("confirm-locked");
	check_amount(&order, PG_GETARG_DATUM(2));
	if (!pay_order_state(order_id, true, &state, NULL))
		pay_order_unknown(order_id);

	if (!is_repeated(&order, payment_key) && state == PAY_ORDER_NOT_STARTED)
	{
		pay_order_must_be_open(&order, state, now);
		queue_call(&order, payment_key, now);
		if (!PG_ARGISNULL(3))
			pay_order_claim_insert(&order, PG_GETARG_DATUM(3), now);
		state = PAY_ORDER_EXECUTING;
	}
	else if (!PG_ARGISNULL(3) &&
			 !pay_order_claim_same(order_id, PG_GETARG_DATUM(3)))
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ORDER_DIFFERS),
				 errmsg("order \"%s\" was confirmed without this claim_within",
						order_id),
				 errhint("Repeat a confirmation as it was, or without claim_within.")));

	pay_db_finish();
	PG_RETURN_DATUM(pay_order_status_datum(state));
}

/* How long the application may take to claim the order, when it has to. */
static void
check_claim_within(FunctionCallInfo fcinfo)
{
	Interval   *within;
	int64		us;

	if (PG_ARGISNULL(3))
		return;
	within = PG_GETARG_INTERVAL_P(3);
	if (within->month < 0 || within->month > 12 ||
		within->day < 0 || within->day > 366 || within->time < 0 ||
		within->time > MAX_CLAIM_WITHIN)
		us = 0;
	else
		us = ((int64) within->month * DAYS_PER_MONTH + within->day) *
			USECS_PER_DAY + within->time;
	if (us <= 0 || us > MAX_CLAIM_WITHIN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("claim_within is out of range"),
				 errhint("Give a time of up to a year; NULL: the order need not be claimed.")));
}

/* A wrong amount changes nothing: the order stays as it was. */
static void
check_amount(const PayOrder *order, Datum amount)
{
	int64		asked = pay_amount_from_caller(amount, order->minor_units,
											   order->currency, "amount");

	if (asked != order->amount)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_AMOUNT),
				 errmsg("amount of order \"%s\" does not match",
						order->order_id),
				 errdetail("The redirect says %s, the order is over %s %s.",
						   pay_amount_text(asked),
						   pay_amount_text(order->amount), order->currency),
				 errhint("The redirect was tampered with, or belongs to another order; the order is unchanged.")));
}

/*
 * Was this order confirmed before, with the same key?  With another key it is
 * an error: one payment key per event, since two keys could be charged twice.
 */
static bool
is_repeated(const PayOrder *order, const char *payment_key)
{
	if (order->payment_key == NULL)
	{
		if (pay_order_key_taken(payment_key, order->order_id))
			ereport(ERROR,
					(errcode(ERRCODE_PAY_WRONG_PAYMENT_KEY),
					 errmsg("payment key given for order \"%s\" belongs to another order",
							order->order_id),
					 errhint("Pass paymentKey and orderId of one and the same success redirect.")));
		return false;
	}
	if (strcmp(order->payment_key, payment_key) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_PAYMENT_KEY),
				 errmsg("order \"%s\" was confirmed with another payment key",
						order->order_id),
				 errhint("An order is paid once; a new attempt is a new checkout.")));
	return true;
}

static void
queue_call(const PayOrder *order, const char *payment_key, TimestampTz now)
{
	PayCallRequest request = {0};

	pay_order_start(order->order_id, payment_key, now);

	request.order_id = order->order_id;
	request.payment_event_id = order->id;
	request.merchant = order->merchant;
	request.payment_key = payment_key;
	request.currency = order->currency;
	request.minor_units = order->minor_units;
	request.amount = order->amount;
	pay_psp_call_enqueue(&request, now);
	PAY_FAULT("confirm-queued");
}

/*
 * payments.fail: see 70_functions.sql.  Only an order that nobody confirmed
 * can be failed from outside; code and message are the buyer's browser's word
 * and are stored as such.
 */
Datum
payments_fail(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	char	   *code;
	char	   *message;
	TimestampTz now = GetCurrentTimestamp();
	PayOrder	order;
	PayOrderState state;

	pay_args_require(fcinfo, 0, "order_id");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	code = text_argument(fcinfo, 1, "code", MAX_FAIL_CODE);
	message = text_argument(fcinfo, 2, "message", MAX_FAIL_MESSAGE);

	pay_db_connect();
	if (!pay_order_lock(order_id, &order))
		pay_order_unknown(order_id);
	if (pay_order_abandon(order_id, code,
						  psprintf("fail redirect: %s", message), now) > 0)
		pay_event_write_payment("payment.failed", &order, code, now);
	if (!pay_order_state(order_id, true, &state, NULL))
		pay_order_unknown(order_id);

	pay_db_finish();
	PG_RETURN_DATUM(pay_order_status_datum(state));
}

/* A required text, not empty, cut to max bytes at a character's border. */
static char *
text_argument(FunctionCallInfo fcinfo, int n, const char *name, int max)
{
	char	   *value;

	pay_args_require(fcinfo, n, name);
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is empty", name),
				 errhint("Pass code and message of the fail redirect.")));
	value[pg_mbcliplen(value, strlen(value), max)] = '\0';
	return value;
}

Datum
payments_status(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	PayOrderState state;

	pay_args_require(fcinfo, 0, "order_id");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));

	pay_db_connect();
	if (!pay_order_state(order_id, false, &state, NULL))
		pay_order_unknown(order_id);
	pay_db_finish();
	PG_RETURN_DATUM(pay_order_status_datum(state));
}
