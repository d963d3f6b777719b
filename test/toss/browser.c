/*-------------------------------------------------------------------------
 *
 * browser.c
 *	  The buyer's browser and bank, as calls of the control interface.
 *
 * What the payment window would do: open, authenticate, fail, be closed; and
 * what a bank does with a virtual account.  The rules are those of the state
 * machine; a call that does not fit the state answers 409 and changes
 * nothing.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "control.h"

static bool
valid_key(const char *key)
{
	return *key != '\0' && strlen(key) <= 200 &&
		strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789-_=.") == strlen(key);
}

static bool
has_approved(const char *order_id)
{
	const Order *order = sim_order_find(order_id);

	for (const Payment *payment = order ? order->newest : NULL;
		 payment != NULL; payment = payment->older)
	{
		if (payment->executions > 0)
			return true;
	}
	return false;
}

/*
 * Reads what the browser would have asked for; order_id, if given, goes
 * before the object's own.  NULL, or the name of the member that is wrong.
 */
static const char *
read_payment(const JsonDoc *doc, const JsonNode *object,
			 const char *order_id, PaymentRequest *request)
{
	const JsonNode *amount = sim_json_member(doc, object, "amount");
	const char *mid = sim_json_string(doc, object, "mid", NULL);

	request->key = sim_json_string(doc, object, "paymentKey", NULL);
	request->order_id = order_id ? order_id :
		sim_json_string(doc, object, "orderId", "");
	request->order_name = sim_json_string(doc, object, "orderName",
										  "테스트 상품");
	request->currency = sim_json_string(doc, object, "currency", "KRW");
	request->method = sim_method_find(sim_json_string(doc, object, "method",
													  "카드"));
	request->mid = mid ? sim_api_key_mid(mid) : sim_api_key_default()->mid;
	if (request->key != NULL && !valid_key(request->key))
		return "paymentKey";
	if (!sim_order_id_valid(request->order_id))
		return "orderId";
	if (amount == NULL ||
		(amount->kind != JSON_NUMBER && amount->kind != JSON_STRING) ||
		amount->length == 0 ||
		!sim_amount_parse(amount->text, amount->length, &request->amount) ||
		request->amount <= 0)
		return "amount";
	if (strlen(request->currency) != 3 ||
		strspn(request->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return "currency";
	if (strcmp(request->currency, "KRW") == 0 &&
		request->amount % AMOUNT_SCALE != 0)
		return "amount";
	if (request->method == NULL)
		return "method";
	if (request->mid == NULL)
		return "mid";
	return NULL;
}

static void
write_made(Text *out, const Payment *payment)
{
	sim_text_add(out, "{\"paymentKey\":");
	sim_text_add_json(out, payment->key);
	sim_text_add(out, ",\"orderId\":");
	sim_text_add_json(out, payment->order->id);
	sim_text_add(out, ",\"amount\":");
	sim_amount_write(out, payment->amount);
	sim_text_add(out, "}");
}

/* Creates one payment; NULL and an answered problem if it cannot be. */
static Payment *
make_payment(Call *call, const JsonNode *object, const char *order_id,
			 bool authenticate, int *status)
{
	PaymentRequest request;
	const char *wrong = read_payment(&call->json, object, order_id,
									 &request);
	Payment    *payment;

	if (wrong != NULL)
	{
		*status = sim_control_bad_value(call, wrong);
		return NULL;
	}
	if (request.key != NULL && sim_payment_find(request.key) != NULL)
	{
		*status = sim_control_problem(call, 409, "DUPLICATED_PAYMENT_KEY",
									  "the payment key is taken");
		return NULL;
	}
	if (!sim_settings.duplicate_order && has_approved(request.order_id))
	{
		*status = sim_control_problem(call, 400, "DUPLICATED_ORDER_ID",
									  "the order was already paid");
		return NULL;
	}
	payment = sim_payment_create(&request);
	if (authenticate)
		sim_payment_authenticate(payment);
	return payment;
}

static int
create(Call *call, bool authenticate)
{
	int			status = 200;
	Payment    *payment = make_payment(call, &call->json.nodes[0], NULL,
									   authenticate, &status);

	if (payment == NULL)
		return status;
	write_made(&call->out, payment);
	sim_text_add(&call->out, "\n");
	return 200;
}

int
sim_browser_pay(Call *call)
{
	return create(call, true);
}

int
sim_browser_create(Call *call)
{
	return create(call, false);
}

/*
 * Many payments in one call: {"orderIds":[...], "amount":...} with one
 * amount for all, or {"payments":[{...}, ...]}.
 */
int
sim_browser_bulk(Call *call)
{
	const JsonNode *root = &call->json.nodes[0];
	const JsonNode *ids = sim_json_member(&call->json, root, "orderIds");
	const JsonNode *list = sim_json_member(&call->json, root, "payments");
	const JsonNode *from = ids ? ids : list;
	bool		first = true;
	int			status = 400;

	if (from == NULL || from->kind != JSON_ARRAY)
		return sim_control_bad_value(call, "orderIds or payments");
	sim_text_add(&call->out, "{\"payments\":[");
	for (const JsonNode *node = sim_json_first(&call->json, from);
		 node != NULL; node = sim_json_next(&call->json, node))
	{
		Payment    *payment;

		if (node->kind != (ids ? JSON_STRING : JSON_OBJECT))
			return sim_control_bad_value(call, ids ? "orderIds" : "payments");
		payment = make_payment(call, ids ? root : node,
							   ids ? node->text : NULL, true, &status);
		if (payment == NULL)
			return status;
		sim_text_add(&call->out, first ? "" : ",\n");
		write_made(&call->out, payment);
		first = false;
	}
	sim_text_add(&call->out, "]}\n");
	return 200;
}

/* The payment named in the body; NULL and an answered problem otherwise. */
static Payment *
named_payment(Call *call, int *status)
{
	const char *key = sim_json_string(&call->json, &call->json.nodes[0],
									  "paymentKey", NULL);
	Payment    *payment = key ? sim_payment_find(key) : NULL;

	if (key == NULL)
		*status = sim_control_bad_value(call, "paymentKey");
	else if (payment == NULL)
		*status = sim_control_problem(call, 404, "NOT_FOUND_PAYMENT",
									  "there is no such payment");
	return payment;
}

static int
wrong_state(Call *call, Payment *payment)
{
	return sim_control_problem(call, 409, "WRONG_STATE",
							   sim_status_name(sim_payment_status(payment)));
}

static int
show(Call *call, Payment *payment)
{
	sim_payment_status(payment);
	sim_payment_write(&call->out, payment, payment->version_count - 1, NULL);
	sim_text_add(&call->out, "\n");
	return 200;
}

int
sim_browser_authenticate(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);

	if (payment == NULL)
		return status;
	if (sim_payment_status(payment) != STATUS_READY || payment->abandoned)
		return wrong_state(call, payment);
	sim_payment_authenticate(payment);
	return show(call, payment);
}

/* The buyer closes the window: no state changes, but he will not be back. */
int
sim_browser_abandon(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);

	if (payment == NULL)
		return status;
	payment->abandoned = true;
	sim_text_add(&call->out, "{\"code\":\"PAY_PROCESS_CANCELED\",\"message\":"
				 "\"사용자에 의해 결제가 취소되었습니다.\"}\n");
	return 200;
}

/* The payment fails in the window; answers what the fail URL would carry. */
int
sim_browser_fail(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);
	const Code *code = sim_code_find(sim_json_string(&call->json,
													 &call->json.nodes[0],
													 "code",
													 "PAY_PROCESS_ABORTED"));
	Status		state;

	if (payment == NULL)
		return status;
	if (code == NULL)
		return sim_control_bad_value(call, "code");
	state = sim_payment_status(payment);
	if (state != STATUS_READY && state != STATUS_IN_PROGRESS)
		return wrong_state(call, payment);
	sim_payment_add_version(payment, STATUS_ABORTED, sim_clock_now(), code);
	sim_text_format(&call->out, "{\"code\":\"%s\",\"message\":", code->name);
	sim_text_add_json(&call->out, code->message);
	sim_text_format(&call->out, ",\"orderId\":\"%s\"}\n", payment->order->id);
	return 200;
}

/*
 * What a bank does.  With "late" it takes the deposit although the account is
 * closed: it came in at the last moment, and Toss had not heard of it.
 */
static int
deposit(Call *call, Status from, Status to, const char *kind)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);
	const JsonNode *late = sim_json_member(&call->json,
										   &call->json.nodes[0], "late");
	bool		is_late = late != NULL && late->kind == JSON_TRUE;

	if (payment == NULL)
		return status;
	if (sim_payment_status(payment) != from ||
		!sim_method_is_deposit(payment->method) ||
		(payment->versions[payment->version_count - 1].account_expired &&
		 !is_late))
		return wrong_state(call, payment);
	sim_payment_add_version(payment, to, sim_clock_now(), NULL);
	sim_journal_add(kind, payment, NULL, NULL, NULL);
	sim_transaction_add(payment);
	return show(call, payment);
}

int
sim_browser_deposit(Call *call)
{
	return deposit(call, STATUS_WAITING_FOR_DEPOSIT, STATUS_DONE, "deposit");
}

int
sim_browser_deposit_error(Call *call)
{
	return deposit(call, STATUS_DONE, STATUS_WAITING_FOR_DEPOSIT,
				   "deposit-error");
}

/* Another system of the merchant's confirms it: one that nobody here knows. */
int
sim_browser_approve(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);
	bool		deposit;

	if (payment == NULL)
		return status;
	if (sim_payment_status(payment) != STATUS_IN_PROGRESS)
		return wrong_state(call, payment);
	deposit = sim_method_is_deposit(payment->method);
	sim_payment_add_version(payment, deposit ? STATUS_WAITING_FOR_DEPOSIT :
							STATUS_DONE, sim_clock_now(), NULL);
	payment->executions++;
	sim_journal_add(deposit ? "issue" : "charge", payment, NULL, NULL, NULL);
	sim_transaction_add(payment);
	return show(call, payment);
}

/*
 * Somebody cancels it in the merchant's dashboard: all that is left, or
 * "amount" of it, for a "reason" of theirs.
 */
int
sim_browser_cancel(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);
	const JsonNode *node = sim_json_member(&call->json,
										   &call->json.nodes[0], "amount");
	Amount		amount;
	Amount		balance;
	Status		state;

	if (payment == NULL)
		return status;
	state = sim_payment_status(payment);
	balance = payment->versions[payment->version_count - 1].balance;
	amount = balance;
	if (node != NULL &&
		(node->kind != JSON_NUMBER ||
		 !sim_amount_parse(node->text, node->length, &amount)))
		return sim_control_bad_value(call, "amount");
	if ((state != STATUS_DONE && state != STATUS_PARTIAL_CANCELED &&
		 !(state == STATUS_WAITING_FOR_DEPOSIT && node == NULL)) ||
		amount <= 0 || amount > balance)
		return wrong_state(call, payment);
	sim_payment_cancel(payment, amount,
					   sim_json_string(&call->json, &call->json.nodes[0],
									   "reason", "대시보드 취소"));
	if (state != STATUS_WAITING_FOR_DEPOSIT)
		sim_journal_add("dashboard", payment, NULL, NULL, NULL);
	return show(call, payment);
}

int
sim_browser_payment(Call *call)
{
	Payment    *payment = sim_payment_find(call->argument);

	if (payment == NULL)
		return sim_control_problem(call, 404, "NOT_FOUND_PAYMENT",
								   "there is no such payment");
	return show(call, payment);
}
