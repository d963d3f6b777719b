/*-------------------------------------------------------------------------
 *
 * cancel.c
 *	  POST /v1/payments/{paymentKey}/cancel: money goes back.
 *
 * The checks are in one order: the request by itself, the payment it names
 * and who may cancel it, its state, the balance that the caller believes in,
 * and last the amount.  Two things are not what one would expect, and are
 * Toss's: partial cancels that add up to everything leave the payment
 * PARTIAL_CANCELED, and one more is then refused for its amount, not for the
 * state.  The lock is held throughout, so requests that race are served one
 * after the other.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "simulator.h"

#define MAX_REASON 200			/* characters */
#define MAX_ACCOUNT 20
#define MAX_HOLDER 60

typedef struct Cancel
{
	const char *reason;
	Amount		amount;			/* 0: all that is left */
	Amount		refundable;		/* -1: not said */
	const char *currency;		/* or NULL */
	const JsonNode *account;	/* or NULL */
} Cancel;

/*
 * Reads the body, and notes the order, so that a fault planned for it matches.
 * False if the body is no object.
 */
bool
sim_cancel_read(Request *request)
{
	const Payment *payment = sim_payment_find(request->payment_key);

	if (payment != NULL)
		request->order_id = sim_copy(payment->order->id,
									 strlen(payment->order->id));
	return sim_json_parse(&request->json, request->body.data,
						  request->body.length) &&
		request->json.nodes[0].kind == JSON_OBJECT;
}

static bool
read_amount(const Request *request, const char *name, Amount *amount)
{
	const JsonNode *node = sim_json_member(&request->json,
										   &request->json.nodes[0], name);

	if (node == NULL || node->kind == JSON_NULL)
		return true;
	return node->kind == JSON_NUMBER && node->length > 0 &&
		sim_amount_parse(node->text, node->length, amount) && *amount >= 0;
}

/* Has a text of 1 to max characters? */
static bool
is_text(const char *text, int max)
{
	int			length = 0;

	if (text == NULL)
		return false;
	for (; *text != '\0'; text++)
		length += ((unsigned char) *text & 0xc0) != 0x80;
	return length > 0 && length <= max;
}

static bool
read_cancel(const Request *request, Cancel *cancel)
{
	const JsonDoc *doc = &request->json;
	const JsonNode *body;
	const JsonNode *node;

	if (doc->count == 0 || doc->nodes[0].kind != JSON_OBJECT)
		return false;
	body = &doc->nodes[0];
	cancel->reason = sim_json_string(doc, body, "cancelReason", NULL);
	cancel->currency = sim_json_string(doc, body, "currency", NULL);
	cancel->account = sim_json_member(doc, body, "refundReceiveAccount");
	if (cancel->account != NULL && cancel->account->kind == JSON_NULL)
		cancel->account = NULL;
	cancel->amount = 0;
	cancel->refundable = -1;
	node = sim_json_member(doc, body, "cancelAmount");
	if (!read_amount(request, "cancelAmount", &cancel->amount) ||
		(node != NULL && node->kind != JSON_NULL && cancel->amount == 0))
		return false;
	return read_amount(request, "refundableAmount", &cancel->refundable) &&
		is_text(cancel->reason, MAX_REASON);
}

/* Where the money of a virtual account goes back to.  The error, or NULL. */
static const char *
check_account(const Request *request, const JsonNode *account)
{
	const JsonDoc *doc = &request->json;
	const char *number;

	if (account == NULL || account->kind != JSON_OBJECT)
		return "INVALID_REQUEST";
	if (!is_text(sim_json_string(doc, account, "bank", NULL), MAX_ACCOUNT))
		return "INVALID_BANK";
	number = sim_json_string(doc, account, "accountNumber", NULL);
	if (!is_text(number, MAX_ACCOUNT) ||
		strspn(number, "0123456789") != strlen(number))
		return "INVALID_REFUND_ACCOUNT_NUMBER";
	if (!is_text(sim_json_string(doc, account, "holderName", NULL),
				 MAX_HOLDER))
		return "INVALID_REFUND_ACCOUNT_INFO";
	return NULL;
}

/* May a payment in this state be cancelled so?  The error, or NULL. */
static const char *
check_state(const Request *request, const Cancel *cancel, Payment *payment,
			Amount balance)
{
	switch (sim_payment_status(payment))
	{
		case STATUS_DONE:
		case STATUS_PARTIAL_CANCELED:
			if (sim_method_is_deposit(payment->method))
				return check_account(request, cancel->account);
			return NULL;
		case STATUS_WAITING_FOR_DEPOSIT:
			if (cancel->amount != 0 && cancel->amount != balance)
				return "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT";
			return NULL;
		case STATUS_CANCELED:
			return "ALREADY_CANCELED_PAYMENT";
		default:
			return "NOT_CANCELABLE_PAYMENT";
	}
}

/* Is this what may be taken back?  The error, or NULL. */
static const char *
check_amount(const Cancel *cancel, const Payment *payment, Amount balance)
{
	bool		is_won = strcmp(payment->currency, "KRW") == 0;

	if (cancel->currency != NULL &&
		strcmp(cancel->currency, payment->currency) != 0)
		return "INVALID_CURRENCY";
	if (!is_won && cancel->amount != 0 && cancel->currency == NULL)
		return "INVALID_REQUEST";
	if (is_won && cancel->amount % AMOUNT_SCALE != 0)
		return "INVALID_REQUEST";
	if (cancel->refundable >= 0 && cancel->refundable != balance)
		return "NOT_MATCHES_REFUNDABLE_AMOUNT";
	if (balance == 0 || cancel->amount > balance)
		return "NOT_CANCELABLE_AMOUNT";
	return NULL;
}

/*
 * Takes amount of a payment back, whoever asked for it; the lock must be held.
 * What partial cancels add up to stays a partial cancel.
 */
void
sim_payment_cancel(Payment *payment, Amount amount, const char *reason)
{
	Amount		balance = payment->versions[payment->version_count - 1].balance;
	Version    *version;

	sim_payment_add_version(payment, amount == payment->amount ?
							STATUS_CANCELED : STATUS_PARTIAL_CANCELED,
							sim_clock_now(), NULL);
	version = &payment->versions[payment->version_count - 1];
	version->canceled = amount;
	version->balance = balance - amount;
	version->reason = sim_copy(reason, strlen(reason));
	sim_transaction_add(payment);
}

/* Executes the cancel and says what Toss answers; the lock must be held. */
Answer
sim_cancel_execute(Request *request)
{
	Payment    *payment = sim_payment_find(request->payment_key);
	int64_t		now = sim_clock_monotonic();
	Cancel		cancel;
	const char *problem = NULL;
	Amount		balance;
	bool		is_deposited;

	if (!read_cancel(request, &cancel))
		return sim_answer_code("INVALID_REQUEST");
	if (payment == NULL)
		return sim_answer_code("NOT_FOUND_PAYMENT");
	if (payment->mid != request->api_key->mid)
		return sim_answer_code(sim_settings.merchant_mismatch);
	if (payment->busy > 0 ||
		(payment->canceled_at != 0 && now - payment->canceled_at <
		 sim_settings.cancel_interval_ms * 1000))
		return sim_answer_code("FORBIDDEN_CONSECUTIVE_REQUEST");

	balance = payment->versions[payment->version_count - 1].balance;
	problem = check_state(request, &cancel, payment, balance);
	if (problem == NULL)
		problem = check_amount(&cancel, payment, balance);
	if (problem != NULL)
		return sim_answer_code(problem);

	is_deposited = sim_payment_status(payment) != STATUS_WAITING_FOR_DEPOSIT;
	sim_payment_cancel(payment, cancel.amount ? cancel.amount : balance,
					   cancel.reason);
	payment->canceled_at = now;
	sim_journal_add(is_deposited ? "cancel" : "withdraw", payment,
					request->idempotency_key, request->api_key,
					request->trace);
	request->done = "executed";
	return sim_answer_payment(payment);
}
