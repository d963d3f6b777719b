/*-------------------------------------------------------------------------
 *
 * confirm.c
 *	  POST /v1/payments/confirm: the only call that moves money.
 *
 * The checks are in one order: the request by itself, the payment it names,
 * who may confirm it and for what, and last its state.  The lock is held
 * throughout, so a payment is executed once however many requests race.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "simulator.h"

#define MAX_PAYMENT_KEY 200

/*
 * Reads the body and notes which payment it is about.  False if the body is
 * not an object with the two ids; execution then answers INVALID_REQUEST.
 */
bool
sim_confirm_read(Request *request)
{
	const char *key;
	const char *order_id;

	if (!sim_json_parse(&request->json, request->body.data,
						request->body.length))
		return false;
	key = sim_json_string(&request->json, &request->json.nodes[0],
						  "paymentKey", NULL);
	order_id = sim_json_string(&request->json, &request->json.nodes[0],
							   "orderId", NULL);
	if (key != NULL)
		request->payment_key = sim_copy(key, strlen(key));
	if (order_id != NULL)
		request->order_id = sim_copy(order_id, strlen(order_id));
	return key != NULL && order_id != NULL && *key != '\0' &&
		strlen(key) <= MAX_PAYMENT_KEY;
}

static bool
read_amount(const Request *request, Amount *amount)
{
	const JsonNode *node = sim_json_member(&request->json,
										   &request->json.nodes[0], "amount");

	if (node == NULL || (node->kind != JSON_NUMBER &&
						 !(node->kind == JSON_STRING &&
						   sim_settings.quoted_amount)))
		return false;
	return node->length > 0 &&
		sim_amount_parse(node->text, node->length, amount) && *amount > 0;
}

/* With the switch "auto", a key with the prefix is made up on the spot. */
static Payment *
create_automatic(const Request *request, Amount amount)
{
	size_t		length = strlen(sim_settings.auto_prefix);
	PaymentRequest wanted = {
		.key = request->payment_key,
		.order_id = request->order_id,
		.mid = request->api_key->mid,
		.currency = "KRW",
		.amount = amount,
	};
	Payment    *payment;

	if (length == 0 ||
		strncmp(request->payment_key, sim_settings.auto_prefix, length) != 0)
		return NULL;
	wanted.method = sim_method_find("CARD");
	payment = sim_payment_create(&wanted);
	sim_payment_authenticate(payment);
	return payment;
}

/* Is this request about what the buyer agreed to?  The error, or NULL. */
static const char *
check_identity(const Request *request, const Payment *payment, Amount amount)
{
	if (payment->mid != request->api_key->mid)
		return sim_settings.merchant_mismatch;
	if (strcmp(payment->order->id, request->order_id) != 0)
		return "FORBIDDEN_REQUEST";
	if (payment->amount != amount)
		return sim_settings.amount_mismatch;
	return NULL;
}

/* May a payment in this state be executed?  The error, or NULL. */
static const char *
check_state(Payment *payment)
{
	switch (sim_payment_status(payment))
	{
		case STATUS_READY:		/* not authenticated: unknown at Toss */
		case STATUS_EXPIRED:
			return "NOT_FOUND_PAYMENT_SESSION";
		case STATUS_IN_PROGRESS:
			break;
		default:
			if (sim_settings.session_hides_done &&
				sim_clock_now() > payment->authenticated_at + 600 * SECOND)
				return "NOT_FOUND_PAYMENT_SESSION";
			return "ALREADY_PROCESSED_PAYMENT";
	}
	if (strcmp(payment->currency, "KRW") == 0 &&
		payment->amount < sim_method_minimum(payment->method))
		return "BELOW_MINIMUM_AMOUNT";
	return NULL;
}

/* Moves the money, in the simulator's books. */
static void
execute(Request *request, Payment *payment)
{
	bool		deposit = sim_method_is_deposit(payment->method);

	sim_payment_add_version(payment, deposit ? STATUS_WAITING_FOR_DEPOSIT :
							STATUS_DONE, sim_clock_now(), NULL);
	payment->executions++;
	sim_journal_add(deposit ? "issue" : "charge", payment,
					request->idempotency_key, request->api_key,
					request->trace);
	sim_transaction_add(payment);
}

/* Executes the confirm and says what Toss answers; the lock must be held. */
Answer
sim_confirm_execute(Request *request)
{
	Payment    *payment;
	const char *problem;
	Amount		amount;

	if (request->payment_key == NULL || request->order_id == NULL ||
		*request->payment_key == '\0' ||
		strlen(request->payment_key) > MAX_PAYMENT_KEY ||
		!read_amount(request, &amount))
		return sim_answer_code("INVALID_REQUEST");
	if (!sim_order_id_valid(request->order_id))
		return sim_answer_code("INVALID_ORDER_ID");

	payment = sim_payment_find(request->payment_key);
	if (payment == NULL)
		payment = create_automatic(request, amount);
	if (payment == NULL)
		return sim_answer_code("NOT_FOUND_PAYMENT_SESSION");

	problem = check_identity(request, payment, amount);
	if (problem == NULL && payment->busy > 0)
		problem = "ALREADY_PROCESSING_REQUEST";
	if (problem == NULL)
		problem = check_state(payment);
	if (problem != NULL)
		return sim_answer_code(problem);

	execute(request, payment);
	request->done = "executed";
	return sim_answer_payment(payment);
}

/* A fault makes the approval fail for good; the lock must be held. */
void
sim_confirm_abort(Request *request, const Code *code)
{
	Payment    *payment = request->payment_key ?
	sim_payment_find(request->payment_key) : NULL;

	if (payment == NULL || sim_payment_status(payment) != STATUS_IN_PROGRESS)
		return;
	sim_payment_add_version(payment, STATUS_ABORTED, sim_clock_now(), code);
	request->done = "aborted";
}
