/*
 * resolve_refund.c
 *		What a person decides about a refund that evidence could not decide.
 *
 * As resolve.c for payments: under the locks of the event and the call, with a
 * row in payments.operator_action, and by the functions that book the worker's
 * answers.  That a refund succeeded takes the cancel's name at the PSP, under
 * which it is booked once.  That it failed is believed only when nothing of it
 * is on its way; should it have been executed all the same, the next answer that
 * shows the payment shows a cancel that is not booked (refund_foreign.c).
 *
 * One that was never sent can be withdrawn in the same way.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "errors.h"
#include "operator_action.h"
#include "operator_argument.h"
#include "order.h"
#include "psp_look.h"
#include "psp_operator.h"
#include "refund.h"
#include "settle.h"
#include "wake.h"

#define MAX_KEY			200		/* bytes */

/* Of a failure that a person decided */
#define FAILURE_CODE	"RESOLVED_BY_OPERATOR"

/* So long a request of ours may be running at the PSP. */
#define SETTLED_BY_TIME	(15 * USECS_PER_MINUTE)

PG_FUNCTION_INFO_V1(payments_resolve_refund);

/* What is known of the refund. */
typedef struct Subject
{
	PayRefundState state;
	int64		amount;
	bool		was_sent;		/* an attempt of it was begun, ever */
} Subject;

static void look(const char *order_id, TimestampTz now);
static void read_subject(const char *order_id, int64 refund_id,
						 Subject *subject);
static void read_proof(FunctionCallInfo fcinfo, const PayOrder *order,
					   const Subject *subject, TimestampTz now,
					   PayOperatorAction *action);
static bool is_repeated(const PayOperatorAction *action);
static bool check_call(const PayOperatorAction *action, const Subject *subject,
					   PayOpenCall *call, TimestampTz now);
pg_noreturn static void refuse(const PayOperatorAction *action, char *detail,
							   const char *hint);
static void settle(const PayOrder *order, const Subject *subject,
				   const PayOperatorAction *action, bool succeeded,
				   TimestampTz now);

/* payments.resolve_refund: see 70_functions.sql. */
Datum
payments_resolve_refund(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayOperatorAction action = {.action = "resolve_refund"};
	Subject		subject;
	PayOrder	order;
	PayOpenCall call;
	bool		succeeded;

	pay_operator_sees_evidence();
	pay_args_require(fcinfo, 0, "order_id");
	pay_args_require(fcinfo, 1, "refund_id");
	pay_args_require(fcinfo, 3, "note");
	action.order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	action.refund_id = PG_GETARG_INT64(1);
	succeeded = pay_operator_outcome(fcinfo, 2);
	action.outcome = succeeded ? "succeeded" : "failed";
	action.note = pay_operator_note(fcinfo, 3);

	pay_db_connect();
	if (!pay_order_lock(action.order_id, &order))
		pay_order_unknown(action.order_id);
	read_subject(action.order_id, action.refund_id, &subject);
	if (succeeded)
		read_proof(fcinfo, &order, &subject, now, &action);
	else if (!PG_ARGISNULL(4) || !PG_ARGISNULL(5) || !PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount, transaction_key and refunded_at belong to outcome \"succeeded\""),
				 errhint("A refund that failed has none of them at the PSP.")));

	if (!is_repeated(&action))
	{
		bool		is_open = check_call(&action, &subject, &call, now);

		action.call_id = is_open ? call.call_id : 0;
		pay_operator_action_record(&action, now);
		settle(&order, &subject, &action, succeeded, now);
		if (is_open)
			pay_psp_operator_close(action.order_id, &call);
		pay_refund_next(action.order_id, now);
		look(action.order_id, now);
		pay_wake_settled_at_commit(action.order_id);
		read_subject(action.order_id, action.refund_id, &subject);
	}
	pay_db_finish();
	PG_RETURN_DATUM(pay_refund_status_datum(subject.state));
}

/* Unless the next refund is going to: is it so, and what else was cancelled? */
static void
look(const char *order_id, TimestampTz now)
{
	PayLook		wanted = {order_id};

	pay_psp_look(&wanted, 1, false, now);
}

static void
read_subject(const char *order_id, int64 refund_id, Subject *subject)
{
	static PayStatement read = {
		"SELECT r.amount, EXISTS (SELECT FROM payments.psp_call c JOIN payments.psp_attempt a"
		" ON a.call_id OPERATOR(pg_catalog.=) c.id WHERE c.refund_id OPERATOR(pg_catalog.=) r.id)"
		" FROM payments.refund r"
		" WHERE r.order_id OPERATOR(pg_catalog.=) $1 AND r.id OPERATOR(pg_catalog.=) $2",
		2, {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	Int64GetDatum(refund_id)};

	if (!pay_refund_state(order_id, refund_id, &subject->state))
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_REFUND),
				 errmsg("order \"%s\" has no refund " INT64_FORMAT,
						order_id, refund_id),
				 errhint("payments.refund returns the id; see payments.refunds.")));
	pay_db_run(&read, values, NULL);
	subject->amount = pay_db_mills(0, 1);
	subject->was_sent = pay_db_bool(0, 2);
}

/* Whoever cannot say its amount and name has not looked, or at another. */
static void
read_proof(FunctionCallInfo fcinfo, const PayOrder *order,
		   const Subject *subject, TimestampTz now, PayOperatorAction *action)
{
	char	   *key;
	size_t		len;

	pay_args_require(fcinfo, 4, "amount");
	pay_args_require(fcinfo, 5, "transaction_key");
	action->amount = pay_amount_from_caller(PG_GETARG_DATUM(4),
											order->minor_units,
											order->currency, "amount");
	action->currency = order->currency;
	action->payment_key = order->payment_key;
	key = text_to_cstring(PG_GETARG_TEXT_PP(5));
	len = strlen(key);
	if (len == 0 || len > MAX_KEY || strspn(key, " \t\r\n") > 0 ||
		strcspn(key, " \t\r\n") != len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("transaction_key is not valid"),
				 errhint("Give the transactionKey of the cancel, as the PSP shows it.")));
	action->transaction_key = key;
	if (action->amount != subject->amount)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_AMOUNT),
				 errmsg("amount of refund " INT64_FORMAT " does not match",
						action->refund_id),
				 errdetail("It was resolved over %s, the refund is over %s %s.",
						   pay_amount_text(action->amount),
						   pay_amount_text(subject->amount), order->currency),
				 errhint("Look for the cancel whose reason ends in the refund's mark; nothing was changed.")));
	if (PG_ARGISNULL(6))
		return;
	action->approved_at = PG_GETARG_TIMESTAMPTZ(6);
	if (action->approved_at < order->created_at || action->approved_at > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("refunded_at is out of range"),
				 errhint("It lies between the order's checkout and now.")));
}

/* Resolved before: the same again is nothing, anything else is an error. */
static bool
is_repeated(const PayOperatorAction *action)
{
	PayOperatorAction before;

	if (!pay_operator_action_find_refund(action->order_id, action->refund_id,
										 &before))
		return false;
	if (strcmp(action->outcome, before.outcome) != 0 ||
		strcmp(action->note, before.note) != 0 ||
		(action->transaction_key != NULL &&
		 strcmp(action->transaction_key, before.transaction_key) != 0))
		refuse(action, psprintf("It was resolved as %s by \"%s\": %s",
								before.outcome, before.actor, before.note),
			   "A refund is resolved once. See payments.operator_action.");
	return true;
}

/*
 * May a person decide?  Returns whether the refund has the order's open call,
 * which is locked then.
 */
static bool
check_call(const PayOperatorAction *action, const Subject *subject,
		   PayOpenCall *call, TimestampTz now)
{
	bool		succeeded = action->transaction_key != NULL;
	bool		is_open;

	if (pay_refund_state_is_final(subject->state))
		refuse(action, psprintf("It is %s.", pay_refund_state_name(subject->state)),
			   "A final state stays; another refund is another row.");
	is_open = pay_psp_operator_lock(action->order_id, call) &&
		call->refund_id == action->refund_id;
	if (!is_open && subject->state != PAY_REFUND_REQUESTED)
		elog(ERROR, "refund " INT64_FORMAT " has no open call",
			 action->refund_id);
	if (is_open && call->state == 'S')
		refuse(action, "Its call is in flight.",
			   "Wait for the answer; see payments.open_calls.");
	if (succeeded && !subject->was_sent)
		refuse(action, "No cancel was ever sent for it.",
			   "See payments.worker_status for what stands in the way of sending.");
	/* of keys before this one a query proved that they did nothing */
	if (is_open && call->state != 'D' && call->first_sent_at != 0 &&
		now - call->first_sent_at < SETTLED_BY_TIME)
		refuse(action, "It was sent, and may be executed for some minutes.",
			   "Wait a quarter of an hour; meanwhile the worker may find out, or payments.retry makes it ask.");
	return is_open;
}

static void
refuse(const PayOperatorAction *action, char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_NOT_TO_RESOLVE),
			 errmsg("refund " INT64_FORMAT " of order \"%s\" cannot be resolved",
					action->refund_id, action->order_id),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/* What the worker's settling would do, had the PSP said so. */
static void
settle(const PayOrder *order, const Subject *subject,
	   const PayOperatorAction *action, bool succeeded, TimestampTz now)
{
	PayRefundOutcome outcome = {.order = order};

	outcome.refund_id = action->refund_id;
	outcome.amount = subject->amount;
	outcome.state = succeeded ? PAY_REFUND_SUCCESS : PAY_REFUND_FAILURE;
	outcome.reason = psprintf("resolved by an operator: %s", action->outcome);
	if (succeeded)
	{
		outcome.transaction_key = pstrdup(action->transaction_key);
		outcome.refunded_at = action->approved_at ? action->approved_at : now;
	}
	else
		outcome.code = pstrdup(FAILURE_CODE);
	pay_refund_read_lines(&outcome, 1);
	pay_settle_refund(&outcome, now);
}
