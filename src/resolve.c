/*
 * resolve.c
 *		What a person does about a call that does not end: retry and resolve.
 *
 * Both lock the event and then the call, so a worker that settles the order or
 * claims the call comes before or after, never in between; and both leave a
 * row in payments.operator_action.
 *
 * resolve closes what evidence could not decide.  It believes a person, so it
 * asks first whether he can know: an order may be resolved only when the PSP
 * cannot change its mind any more, and nothing of ours is on its way there.
 * The sale is booked by the function that books the worker's answers, under
 * the same key, and whatever comes in later is evidence.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "deposit.h"
#include "errors.h"
#include "operator_action.h"
#include "operator_argument.h"
#include "order.h"
#include "order_status.h"
#include "psp_look.h"
#include "psp_operator.h"
#include "settle.h"
#include "wake.h"

/* Of a failure that a person decided */
#define FAILURE_CODE "RESOLVED_BY_OPERATOR"

/* From then on the PSP executes no confirm of the order any more. */
#define SETTLED_BY_TIME	(PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE)

PG_FUNCTION_INFO_V1(payments_retry);
PG_FUNCTION_INFO_V1(payments_resolve);

static int64 look(const char *order_id, TimestampTz now);
static void read_proof(FunctionCallInfo fcinfo, const PayOrder *order,
					   TimestampTz now, PayOperatorAction *action);
static void refuse_proof(FunctionCallInfo fcinfo);
static void check_repeated(const PayOperatorAction *action,
						   const PayOperatorAction *before);
static void check_call(const PayOrder *order, bool is_open,
					   const PayOpenCall *call, bool succeeded,
					   TimestampTz now);
pg_noreturn static void refuse(const char *order_id, char *detail,
							   const char *hint);
static void settle(const PayOrder *order, const PayOperatorAction *action,
				   bool succeeded, TimestampTz now);

/*
 * payments.retry: an operator's push.  It only ever asks the PSP: the next
 * attempt is a query, whatever it would have been, unless nothing was sent.
 * When the order has ended it opens a call that looks at the payment.
 */
Datum
payments_retry(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayOperatorAction action = {.action = "retry"};
	PayOrder	order;
	PayOpenCall call;

	pay_args_require(fcinfo, 0, "order_id");
	action.order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	action.note = pay_operator_note(fcinfo, 1);

	pay_db_connect();
	if (!pay_order_lock(action.order_id, &order))
		pay_order_unknown(action.order_id);
	if (!pay_psp_operator_lock(action.order_id, &call))
		action.call_id = look(action.order_id, now);
	else if (call.state != 'S')
	{
		pay_psp_operator_push(action.order_id, now);
		action.call_id = call.call_id;
	}
	if (action.call_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NO_OPEN_CALL),
				 errmsg("order \"%s\" has no call that could be retried",
						action.order_id),
				 errhint("A call cannot be pushed while it is in flight, and the PSP knows nothing of an order that nobody confirmed; see payments.open_calls.")));
	pay_operator_action_record(&action, now);
	pay_db_finish();
	PG_RETURN_VOID();
}

/* The call that looks at the payment; 0 when there is no payment. */
static int64
look(const char *order_id, TimestampTz now)
{
	PayLook		wanted = {order_id};

	pay_psp_look(&wanted, 1, false, now);
	return wanted.call_id;
}

/* payments.resolve: see 70_functions.sql. */
Datum
payments_resolve(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayOperatorAction action = {.action = "resolve"};
	PayOperatorAction before;
	PayOrder	order;
	PayOrderState state;
	PayOpenCall call;
	bool		succeeded;
	bool		is_open;

	pay_operator_sees_evidence();
	pay_args_require(fcinfo, 0, "order_id");
	pay_args_require(fcinfo, 2, "note");
	action.order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	succeeded = pay_operator_outcome(fcinfo, 1);
	action.outcome = succeeded ? "succeeded" : "failed";
	action.note = pay_operator_note(fcinfo, 2);

	pay_db_connect();
	if (!pay_order_lock(action.order_id, &order))
		pay_order_unknown(action.order_id);
	if (succeeded)
		read_proof(fcinfo, &order, now, &action);
	else
		refuse_proof(fcinfo);

	if (pay_operator_action_find(action.order_id, &before))
		check_repeated(&action, &before);
	else
	{
		is_open = pay_psp_operator_lock(action.order_id, &call);
		check_call(&order, is_open, &call, succeeded, now);
		action.call_id = call.call_id;
		pay_operator_action_record(&action, now);
		settle(&order, &action, succeeded, now);
		pay_psp_operator_close(action.order_id, &call);
		if (succeeded && pay_psp_operator_was_canceled(action.order_id))
			(void) look(action.order_id, now);
		pay_wake_settled_at_commit(action.order_id);
	}
	(void) pay_order_state(action.order_id, true, &state, NULL);
	pay_db_finish();
	PG_RETURN_DATUM(pay_order_status_datum(state));
}

/*
 * What the operator read at the PSP has to be our payment: whoever cannot say
 * its amount and key has not looked, or has looked at another.
 */
static void
read_proof(FunctionCallInfo fcinfo, const PayOrder *order, TimestampTz now,
		   PayOperatorAction *action)
{
	pay_args_require(fcinfo, 3, "amount");
	pay_args_require(fcinfo, 4, "payment_key");
	action->amount = pay_amount_from_caller(PG_GETARG_DATUM(3),
											order->minor_units,
											order->currency, "amount");
	action->payment_key = text_to_cstring(PG_GETARG_TEXT_PP(4));
	action->currency = order->currency;
	if (action->amount != order->amount)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_AMOUNT),
				 errmsg("amount of order \"%s\" does not match",
						order->order_id),
				 errdetail("It was resolved over %s, the order is over %s %s.",
						   pay_amount_text(action->amount),
						   pay_amount_text(order->amount), order->currency),
				 errhint("Look the payment up by its order id; nothing was changed.")));
	if (order->payment_key == NULL ||
		strcmp(action->payment_key, order->payment_key) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_PAYMENT_KEY),
				 errmsg("payment key given for order \"%s\" is not its own",
						order->order_id),
				 errhint("Give the payment key that the PSP's dashboard shows for this order id; nothing was changed.")));

	if (PG_ARGISNULL(5))
		return;
	action->approved_at = PG_GETARG_TIMESTAMPTZ(5);
	if (action->approved_at < order->created_at || action->approved_at > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("approved_at is out of range"),
				 errhint("It lies between the order's checkout and now.")));
}

static void
refuse_proof(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(3) && PG_ARGISNULL(4) && PG_ARGISNULL(5))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("amount, payment_key and approved_at belong to outcome \"succeeded\""),
			 errhint("A payment that failed has none of them at the PSP.")));
}

/*
 * Whether
 */

/* Resolved before: the same again is nothing, anything else is an error. */
static void
check_repeated(const PayOperatorAction *action,
			   const PayOperatorAction *before)
{
	if (strcmp(action->outcome, before->outcome) != 0 ||
		strcmp(action->note, before->note) != 0 ||
		action->approved_at != before->approved_at)
		refuse(action->order_id,
			   psprintf("It was resolved as %s by \"%s\": %s",
						before->outcome, before->actor, before->note),
			   "An order is resolved once; corrections are new rows. See payments.operator_action.");
}

/*
 * May a person decide?  Only when nothing of ours is on its way, something was
 * sent, and nothing that was sent can still change the outcome.  That it was
 * approved is certain at any time, of a call that waits for a person.
 */
static void
check_call(const PayOrder *order, bool is_open, const PayOpenCall *call,
		   bool succeeded, TimestampTz now)
{
	const char *order_id = order->order_id;
	bool		is_dead = is_open && call->state == 'D';
	PayOrderState state;

	if (!is_open || !call->is_confirm)
	{
		(void) pay_order_state(order_id, true, &state, NULL);
		refuse(order_id, psprintf("It is %s and has no open %s.",
								  pay_order_state_name(state),
								  is_open ? "confirm" : "call"),
			   pay_order_state_is_final(state) ?
			   "A final state stays; corrections are new rows." :
			   "Nothing was sent for it; an order that nobody confirmed expires.");
	}
	if (call->state == 'S')
		refuse(order_id, "Its call is in flight.",
			   "Wait for the answer; see payments.open_calls.");
	if (call->first_sent_at == 0)
		refuse(order_id, "No confirm was ever sent for it.",
			   "See payments.worker_status for what stands in the way of sending.");
	if (call->phase == PAY_PHASE_DEPOSIT && !is_dead)
		refuse(order_id, "The PSP issued an account that the buyer may still pay into.",
			   "Cancel the payment at the PSP: the worker asks, and then a person can decide.");
	if (now - call->first_sent_at < SETTLED_BY_TIME &&
		!(is_dead && succeeded))
		refuse(order_id, psprintf("Its first confirm was sent at %s, and may be executed for %d minutes.",
								  timestamptz_to_str(call->first_sent_at),
								  (int) (SETTLED_BY_TIME / USECS_PER_MINUTE)),
			   "Wait that long; meanwhile the worker may find out, or payments.retry makes it ask.");
	if (!succeeded && pay_psp_operator_is_approved(order_id))
		refuse(order_id, "The last that the PSP said of the money is that it was approved; see payments.psp_answer.",
			   "Resolve it as succeeded; or, if the payment was cancelled at the PSP since, payments.retry first.");
}

static void
refuse(const char *order_id, char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_NOT_TO_RESOLVE),
			 errmsg("order \"%s\" cannot be resolved", order_id),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/*
 * What the worker's settling would do, had the PSP said so.  The event is
 * locked already; it is locked again because the row's place is needed.
 */
static void
settle(const PayOrder *order, const PayOperatorAction *action,
	   bool succeeded, TimestampTz now)
{
	PayOrder	locked;
	PayOrderOutcome outcome = {&locked, order->order_id};

	if (pay_order_lock_many(&order->order_id, 1, &locked) != 1)
		elog(ERROR, "could not lock order \"%s\" again", order->order_id);
	outcome.reason = psprintf("resolved by an operator: %s", action->outcome);
	outcome.state = succeeded ? PAY_ORDER_SUCCESS : PAY_ORDER_FAILURE;
	if (succeeded)
	{
		outcome.psp_status = "DONE";
		outcome.approved_at = action->approved_at;
	}
	else
		outcome.code = FAILURE_CODE;
	pay_settle_outcomes(&locked, &outcome, 1, now);
	if (succeeded)
		pay_deposit_resolved(&locked, action->approved_at, now);
}
