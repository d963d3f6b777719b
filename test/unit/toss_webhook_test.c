/*
 * toss_webhook_test.c
 *		Three envelopes are told apart by their structure, and anything else is
 *		garbage; never a crash, and nothing that could not be stored or shown.
 */
#include <stdlib.h>

#include "memory.h"
#include "tap.h"
#include "toss_webhook.h"

#define PAYMENT(rest) \
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"createdAt\":\"2026-11-22T10:16:03.10488\"," \
	"\"data\":{\"mId\":\"m\",\"paymentKey\":\"pk_1\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\"" \
	",\"method\":\"카드\",\"card\":{\"status\":\"X\",\"number\":\"1234\"}" rest "}}"
#define DEPOSIT(time) \
	"{\"createdAt\":\"" time "\",\"secret\":\"ps_secret\",\"status\":\"DONE\"," \
	"\"transactionKey\":\"t1\",\"orderId\":\"ORDER-1\"}"
#define PAYOUT(name) \
	"{\"eventType\":\"" name "\",\"createdAt\":\"2026-11-22T10:16:03+09:00\",\"version\":\"2022-11-16\"," \
	"\"eventId\":\"e1\",\"entityType\":\"payout\",\"entityBody\":{\"status\":\"COMPLETED\",\"orderId\":\"x\"}}"

static PayTossWebhook webhook;

static void
read_bytes(const char *bytes, size_t len)
{
	/* exactly as long as it is, so that reading on is seen */
	char	   *copy = malloc(len > 0 ? len : 1);

	memory_reset();
	memcpy(copy, bytes, len);
	pay_toss_webhook_read(copy, len, &webhook);
	free(copy);
}

static void
read_text(const char *text)
{
	read_bytes(text, strlen(text));
}

static bool
is(PayTossWebhookKind kind, const char *event_type, const char *payment_key,
   const char *order_id, const char *status, const char *transaction_key,
   const char *secret)
{
	return webhook.kind == kind && webhook.reason == NULL &&
		same_text(webhook.event_type, event_type) &&
		same_text(webhook.payment_key, payment_key) &&
		same_text(webhook.order_id, order_id) &&
		same_text(webhook.status, status) &&
		same_text(webhook.transaction_key, transaction_key) &&
		same_text(webhook.secret, secret);
}

static void
test_envelopes(void)
{
	read_text(PAYMENT(",\"lastTransactionKey\":\"t1\",\"secret\":\"ps_x\""));
	ok(is(PAY_WEBHOOK_PAYMENT, "PAYMENT_STATUS_CHANGED", "pk_1", "ORDER-1", "DONE", "t1", "ps_x"),
	   "a payment's status");
	ok(webhook.has_time && webhook.created_us == INT64_C(1795310163104880),
	   "its time is Korean, with a fraction of any length");
	read_text(PAYMENT(",\"lastTransactionKey\":null,\"secret\":null"));
	ok(is(PAY_WEBHOOK_PAYMENT, "PAYMENT_STATUS_CHANGED", "pk_1", "ORDER-1", "DONE", NULL, NULL),
	   "one that never had a transaction");

	read_text("{\"before\":{\"paymentKey\":\"pk_2\",\"orderId\":\"ORDER-2\"},\"eventType\":\"PAYMENT_STATUS_CHANGED\","
			  "\"data\":{\"paymentKey\":\"pk_1\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\",\"a\":[{\"status\":\"X\"}]},"
			  "\"after\":{\"paymentKey\":\"pk_3\",\"status\":\"ABORTED\",\"secret\":\"x\"}}");
	ok(is(PAY_WEBHOOK_PAYMENT, "PAYMENT_STATUS_CHANGED", "pk_1", "ORDER-1", "DONE", NULL, NULL),
	   "objects beside the data do not count");

	read_text(DEPOSIT("2026-11-22T10:20:00.000000"));
	ok(is(PAY_WEBHOOK_DEPOSIT, "DEPOSIT_CALLBACK", NULL, "ORDER-1", "DONE", "t1", "ps_secret") &&
	   webhook.has_time && webhook.created_us == INT64_C(1795310400000000), "a deposit");
	read_text(DEPOSIT("2026-11-22T10:20:00+09:00"));
	ok(webhook.has_time && webhook.created_us == INT64_C(1795310400000000),
	   "whose time may have an offset");
	read_text(DEPOSIT("yesterday"));
	ok(webhook.kind == PAY_WEBHOOK_DEPOSIT && !webhook.has_time, "or be none");

	read_text(PAYOUT("payout.changed"));
	ok(is(PAY_WEBHOOK_SIGNED, "payout.changed", NULL, NULL, NULL, NULL, NULL) &&
	   same_text(webhook.event_id, "e1") && webhook.has_time, "a payout");
	read_text(PAYOUT("seller.changed"));
	ok(webhook.kind == PAY_WEBHOOK_SIGNED, "a seller");
	read_text(PAYOUT("ars-reservation.changed"));
	ok(webhook.kind == PAY_WEBHOOK_OTHER, "another of that envelope");
}

/* Of no payment of an order, whatever is in it */
static const char *const others[] = {
	"{\"eventType\":\"CANCEL_STATUS_CHANGED\",\"createdAt\":\"x\",\"data\":{\"cancelStatus\":\"DONE\",\"transactionKey\":\"t\"}}",
	"{\"eventType\":\"BILLING_DELETED\",\"data\":{\"billingKey\":\"b\",\"reason\":null}}",
	"{\"eventType\":\"METHOD_UPDATED\",\"data\":{\"status\":\"ENABLED\",\"orderId\":7}}",
	"{\"eventType\":\"CUSTOMER_STATUS_CHANGED\",\"data\":{\"status\":[\"CREATED\"]}}",
	"{\"eventType\":\"SOMETHING_NEW\",\"data\":{}}",
	"{\"eventType\":\"something.changed\",\"entityBody\":{}}",
	"{\"entityBody\":{\"data\":{}},\"eventType\":\"a\",\"secret\":\"s\",\"orderId\":\"ORDER-1\"}",
};

static void
test_others(void)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		read_text(others[i]);
		tap_check(webhook.kind == PAY_WEBHOOK_OTHER && webhook.order_id == NULL &&
				  webhook.payment_key == NULL && webhook.event_type != NULL,
				  "%s: %s", others[i], webhook.reason ? webhook.reason : "");
	}
	tap_checked("events about no payment of an order");
}

static const char *const garbage[] = {
	"", " ", "{", "}", "1", "\"x\"", "null", "[]", "{}", "<html>", "a=b&c=d",
	"[" PAYMENT("") "]",
	PAYMENT("") PAYMENT(""),
	PAYMENT("") "x",
	PAYMENT(",\"x\":\"\\u0000\""),
	PAYMENT(",\"x\":\"\\ud800\""),
	PAYMENT(",\"x\":\"\xff\""),
	PAYMENT(",\"status\":\"DONE\""),	/* a key twice */
	PAYMENT(",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":{}}",
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":null}",
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":[]}",
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":\"x\"}",
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":{},\"data\":{}}",
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":{},\"entityBody\":{}}",
	"{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"paymentKey\":\"pk_1\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\"}",
	"{\"data\":{\"paymentKey\":\"pk_1\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\"}}",
	"{\"eventType\":\"\",\"data\":{}}",
	"{\"eventType\":\"a b\",\"data\":{}}",
	"{\"eventType\":7,\"data\":{}}",
	"{\"entityBody\":{}}",
	"{\"eventType\":\"DEPOSIT_CALLBACK\",\"secret\":\"s\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\"}",
	"{\"secret\":\"s\",\"orderId\":\"ORDER-1\"}",
	"{\"secret\":null,\"orderId\":\"ORDER-1\",\"status\":\"DONE\"}",
	"{\"secret\":\"\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\"}",
	"{\"secret\":\"s\",\"status\":\"DONE\"}",
	"{\"secret\":\"s\",\"orderId\":\"ORDER-1\",\"status\":\"done\"}",
	"{\"secret\":\"a\",\"secret\":\"b\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\"}",
	"{\"code\":\"NOT_FOUND_PAYMENT\",\"message\":\"m\"}",
	"{\"paymentKey\":\"pk_1\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\",\"totalAmount\":1,\"secret\":null}",
};

/* A payment's event with one text replaced, quotes and all */
static const char *const bad_payments[][3] = {
	{"\"\"", "\"ORDER-1\"", "\"DONE\""}, {"\"a/b\"", "\"ORDER-1\"", "\"DONE\""},
	{"7", "\"ORDER-1\"", "\"DONE\""}, {"null", "\"ORDER-1\"", "\"DONE\""},
	{"\"pk_1\"", "\"\"", "\"DONE\""}, {"\"pk_1\"", "\"한국\"", "\"DONE\""},
	{"\"pk_1\"", "\"a\\nb\"", "\"DONE\""}, {"\"pk_1\"", "{\"a\":1}", "\"DONE\""},
	{"\"pk_1\"", "\"12345678901234567890123456789012345678901234567890123456789012345\"", "\"DONE\""},
	{"\"pk_1\"", "\"ORDER-1\"", "\"\""}, {"\"pk_1\"", "\"ORDER-1\"", "\"done\""},
	{"\"pk_1\"", "\"ORDER-1\"", "\"DONE'; DROP\""}, {"\"pk_1\"", "\"ORDER-1\"", "true"},
};

static void
check_garbage(const char *text)
{
	tap_check(webhook.kind == PAY_WEBHOOK_GARBAGE && webhook.reason != NULL &&
			  webhook.event_type == NULL && webhook.payment_key == NULL &&
			  webhook.order_id == NULL && webhook.status == NULL &&
			  webhook.secret == NULL && !webhook.has_time, "%s", text);
}

static void
test_garbage(void)
{
	size_t		len = PAY_TOSS_MAX_WEBHOOK + 1;
	char	   *big = malloc(len);
	char		text[1024];

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
	{
		read_text(garbage[i]);
		check_garbage(garbage[i]);
	}
	for (size_t i = 0; i < sizeof(bad_payments) / sizeof(bad_payments[0]); i++)
	{
		snprintf(text, sizeof(text), "{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":"
				 "{\"paymentKey\":%s,\"orderId\":%s,\"status\":%s}}",
				 bad_payments[i][0], bad_payments[i][1], bad_payments[i][2]);
		read_text(text);
		check_garbage(text);
	}
	memset(big, ' ', len);
	memcpy(big, PAYMENT(""), strlen(PAYMENT("")));
	read_bytes(big, len);
	check_garbage("too large");
	read_bytes(big, len - 1);
	tap_check(webhook.kind == PAY_WEBHOOK_PAYMENT, "as large as it may be");
	free(big);
	tap_checked("anything else is garbage, whole");

	/* cut at every byte */
	for (size_t i = 0; i < strlen(PAYMENT("")); i++)
	{
		read_bytes(PAYMENT(""), i);
		check_garbage("cut");
	}
	for (size_t i = 0; i < strlen(DEPOSIT("x")); i++)
	{
		read_bytes(DEPOSIT("x"), i);
		check_garbage("cut");
	}
	tap_checked("so is a part of an event");

	read_text(PAYMENT(",\"lastTransactionKey\":\"a b\",\"secret\":7"));
	ok(is(PAY_WEBHOOK_PAYMENT, "PAYMENT_STATUS_CHANGED", "pk_1", "ORDER-1", "DONE", NULL, NULL),
	   "what is not needed may be of any form, and is not there then");
}

int
main(void)
{
	test_envelopes();
	test_others();
	test_garbage();
	return tap_end();
}
