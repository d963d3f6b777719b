/*
 * toss_test.c
 *		What every answer of Toss means, and how requests are written.
 *
 * The tables here were written down from Toss's documentation, not from
 * toss.c.
 */
#include <stdlib.h>

#include "memory.h"
#include "money.h"
#include "tap.h"
#include "toss.h"

typedef enum Class
{
	FINAL,						/* refused for good */
	CONFIG,						/* not executed, our fault */
	UNKNOWN,					/* may have been executed */
	LATER,						/* not executed, try later */
	BUSY						/* our key is running */
} Class;

typedef struct Documented
{
	int			status;
	const char *code;
	Class		class;
} Documented;

static const Documented confirm_codes[] = {
	{400, "ALREADY_PROCESSED_PAYMENT", UNKNOWN},
	{400, "ALREADY_PROCESSING_REQUEST", UNKNOWN},
	{400, "PROVIDER_ERROR", UNKNOWN},
	{400, "EXCEED_MAX_CARD_INSTALLMENT_PLAN", FINAL},
	{400, "INVALID_REQUEST", FINAL},
	{400, "NOT_ALLOWED_POINT_USE", FINAL},
	{400, "INVALID_API_KEY", CONFIG},
	{400, "INVALID_REJECT_CARD", FINAL},
	{400, "BELOW_MINIMUM_AMOUNT", FINAL},
	{400, "INVALID_CARD_EXPIRATION", FINAL},
	{400, "INVALID_STOPPED_CARD", FINAL},
	{400, "EXCEED_MAX_DAILY_PAYMENT_COUNT", FINAL},
	{400, "NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT", FINAL},
	{400, "INVALID_CARD_INSTALLMENT_PLAN", FINAL},
	{400, "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN", FINAL},
	{400, "EXCEED_MAX_PAYMENT_AMOUNT", FINAL},
	{400, "NOT_FOUND_TERMINAL_ID", CONFIG},
	{400, "INVALID_AUTHORIZE_AUTH", FINAL},
	{400, "INVALID_CARD_LOST_OR_STOLEN", FINAL},
	{400, "RESTRICTED_TRANSFER_ACCOUNT", FINAL},
	{400, "INVALID_CARD_NUMBER", FINAL},
	{400, "INVALID_UNREGISTERED_SUBMALL", CONFIG},
	{400, "NOT_REGISTERED_BUSINESS", CONFIG},
	{400, "EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT", FINAL},
	{400, "EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT", FINAL},
	{400, "CARD_PROCESSING_ERROR", UNKNOWN},
	{400, "EXCEED_MAX_AMOUNT", FINAL},
	{400, "INVALID_ACCOUNT_INFO_RE_REGISTER", FINAL},
	{400, "NOT_AVAILABLE_PAYMENT", LATER},
	{400, "UNAPPROVED_ORDER_ID", UNKNOWN},
	{400, "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT", FINAL},
	{401, "UNAUTHORIZED_KEY", CONFIG},
	{403, "REJECT_ACCOUNT_PAYMENT", FINAL},
	{403, "REJECT_CARD_PAYMENT", FINAL},
	{403, "REJECT_CARD_COMPANY", FINAL},
	{403, "FORBIDDEN_REQUEST", FINAL},
	{403, "REJECT_TOSSPAY_INVALID_ACCOUNT", FINAL},
	{403, "EXCEED_MAX_AUTH_COUNT", FINAL},
	{403, "EXCEED_MAX_ONE_DAY_AMOUNT", FINAL},
	{403, "NOT_AVAILABLE_BANK", LATER},
	{403, "INVALID_PASSWORD", FINAL},
	{403, "INCORRECT_BASIC_AUTH_FORMAT", CONFIG},
	{403, "FDS_ERROR", FINAL},
	{404, "NOT_FOUND_PAYMENT", FINAL},
	{404, "NOT_FOUND_PAYMENT_SESSION", FINAL},
	{500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING", UNKNOWN},
	{500, "FAILED_INTERNAL_SYSTEM_PROCESSING", UNKNOWN},
	{500, "UNKNOWN_PAYMENT_ERROR", UNKNOWN},
	{400, "INVALID_IDEMPOTENCY_KEY", CONFIG},
	{409, "IDEMPOTENT_REQUEST_PROCESSING", BUSY},

	/* of the overall list */
	{500, "COMMON_ERROR", UNKNOWN},
	{500, "UNKNOWN_ERROR", UNKNOWN},
	{400, "MAINTAINED_METHOD", LATER},
	{404, "NOT_FOUND_MERCHANT", CONFIG},
	{400, "INVALID_PAYMENT_KEY", FINAL},
	{400, "INVALID_ORDER_ID", FINAL},
	{400, "DUPLICATED_ORDER_ID", UNKNOWN},
	{400, "PAY_PROCESS_ABORTED", UNKNOWN},
	{400, "INVALID_TEST_CODE", CONFIG},
	{404, "NOT_FOUND_HTTP_METHOD", CONFIG},
	{400, "EXCEEDS_TRANSFER_AMOUNT_MAXIMUM", FINAL},
};

static const PayTossMeaning meaning_of_class[] = {
	[FINAL] = PAY_MEANS_REFUSED,
	[CONFIG] = PAY_MEANS_MISCONFIGURED,
	[UNKNOWN] = PAY_MEANS_UNCERTAIN,
	[LATER] = PAY_MEANS_LATER,
	[BUSY] = PAY_MEANS_BUSY,
};

static const struct
{
	int			status;
	const char *code;
	bool		open;			/* else: could not look */
}			query_codes[] = {
	{400, "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN_BELOW_AMOUNT", false},
	{401, "UNAUTHORIZED_KEY", false},
	{403, "FORBIDDEN_CONSECUTIVE_REQUEST", false},
	{403, "INCORRECT_BASIC_AUTH_FORMAT", false},
	{404, "NOT_FOUND_PAYMENT", true},
	{404, "NOT_FOUND", false},
	{500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING", false},
};

#define PAYMENT_KEY		"tgen_20261122101530Ab3dE"
#define ORDER_ID		"ORD-20261122-000123"

static const PayTossRequest confirm = {
	.operation = PAY_TOSS_CONFIRM,
	.payment_key = PAYMENT_KEY,
	.order_id = ORDER_ID,
	.currency = "KRW",
	.amount = 15000000,
	.minor_units = 0,
};

static PayTossRequest query;
static PayTossBody body;
static PayTossAnswer answer;

static PayTossMeaning
interpret(const PayTossRequest *request, int status, const char *json)
{
	memory_reset();
	pay_toss_json_read(json, strlen(json), &body);
	pay_toss_interpret(request, PAY_TRANSPORT_ANSWERED, status, &body, &answer);
	return answer.meaning;
}

static PayTossMeaning
interpret_code(const PayTossRequest *request, int status, const char *code)
{
	char		json[512];

	snprintf(json, sizeof(json), "{\"code\":\"%s\",\"message\":\"글\"}", code);
	return interpret(request, status, json);
}

static PayTossMeaning
interpret_payment(const PayTossRequest *request, int status,
				  const char *payment_key, const char *order_id,
				  const char *currency, const char *amount,
				  const char *payment_status, const char *version)
{
	static char json[1024];

	snprintf(json, sizeof(json),
			 "{\"version\":%s,\"paymentKey\":\"%s\",\"orderId\":\"%s\","
			 "\"currency\":%s,\"totalAmount\":%s,\"balanceAmount\":15000,"
			 "\"status\":\"%s\",\"failure\":null}",
			 version, payment_key, order_id, currency, amount, payment_status);
	return interpret(request, status, json);
}

/* The Payment we asked for, in a status. */
static PayTossMeaning
interpret_status(const PayTossRequest *request, int status,
				 const char *payment_status)
{
	return interpret_payment(request, status, PAYMENT_KEY, ORDER_ID, "\"KRW\"",
							 "15000", payment_status, "\"2022-11-16\"");
}

static PayTossMeaning
doubt(const PayTossRequest *request)
{
	return request == &confirm ? PAY_MEANS_UNCERTAIN : PAY_MEANS_LOOKUP_FAILED;
}

/* ---- codes ---- */

static void
test_documented_codes(void)
{
	int			n = 0;
	int			n_there = 0;

	for (size_t i = 0; i < sizeof(confirm_codes) / sizeof(confirm_codes[0]); i++)
	{
		const Documented *row = &confirm_codes[i];
		PayTossMeaning got = interpret_code(&confirm, row->status, row->code);

		tap_check(got == meaning_of_class[row->class], "%s: %s", row->code,
				  pay_toss_meaning_name(got));
		tap_check(same_text(answer.code, row->code) && same_text(answer.detail, "글") &&
				  !answer.suspect, "%s: what is told", row->code);
		n++;
	}
	for (size_t i = 0; i < sizeof(query_codes) / sizeof(query_codes[0]); i++)
	{
		PayTossMeaning got = interpret_code(&query, query_codes[i].status,
											query_codes[i].code);

		tap_check(got == (query_codes[i].open ? PAY_MEANS_OPEN
						  : PAY_MEANS_LOOKUP_FAILED), "%s: %s",
				  query_codes[i].code, pay_toss_meaning_name(got));
		n++;
	}
	for (int i = 0; i < pay_toss_codes_count; i++)
		n_there += pay_toss_codes[i].operation != PAY_TOSS_CANCEL;
	tap_check(n == n_there, "%d rows here, %d there", n, n_there);
	for (int i = 0; i < pay_toss_codes_count; i++)
	{
		for (int j = 0; j < i; j++)
			tap_check(pay_toss_codes[i].operation != pay_toss_codes[j].operation ||
					  strcmp(pay_toss_codes[i].code, pay_toss_codes[j].code) != 0,
					  "%s twice", pay_toss_codes[i].code);
	}
	tap_checked("the 61 codes of a confirm and the 7 of a query");
}

/* The code decides; the status only takes belief away. */
static void
test_code_and_status(void)
{
	for (size_t i = 0; i < sizeof(confirm_codes) / sizeof(confirm_codes[0]); i++)
	{
		const Documented *row = &confirm_codes[i];

		for (int status = 100; status <= 599; status++)
		{
			PayTossMeaning got = interpret_code(&confirm, status, row->code);
			PayTossMeaning expected = meaning_of_class[row->class];

			if (status < 400 || status > 499)
				expected = PAY_MEANS_UNCERTAIN;
			tap_check(got == expected, "%d %s: %s", status, row->code,
					  pay_toss_meaning_name(got));
		}
	}
	for (int status = 100; status <= 599; status++)
	{
		PayTossMeaning got = interpret_code(&query, status, "NOT_FOUND_PAYMENT");

		tap_check((got == PAY_MEANS_OPEN) == (status >= 400 && status <= 499),
				  "%d NOT_FOUND_PAYMENT: %s", status, pay_toss_meaning_name(got));
	}
	tap_checked("every code with every status");
}

static void
test_unknown_codes(void)
{
	static const char *const near[] = {
		"", "REJECT", "REJECT_CARD_PAYMENT2", "REJECT_CARD_PAYMEN", "reject_card_payment",
		" REJECT_CARD_PAYMENT", "REJECT_CARD_PAYMENT ", "REJECT_CARD_PAYMENT\\n",
		"NOT_FOUND_PAYMENT\\u0020", "<script>", "\\u001b[31m", "결제",
	};
	char		code[64];

	for (int i = 0; i < 200; i++)
	{
		snprintf(code, sizeof(code), "INVENTED_%d_%s", i, i % 2 ? "REJECTED" : "NOT_FOUND");
		for (int status = 400; status <= 599; status += 1 + i % 7)
		{
			PayTossMeaning got = interpret_code(&confirm, status, code);

			tap_check(got == (status == 429 ? PAY_MEANS_LATER : PAY_MEANS_UNCERTAIN),
					  "%d %s: %s", status, code, pay_toss_meaning_name(got));
			tap_check(same_text(answer.code, code), "%s", answer.code);
			got = interpret_code(&query, status, code);
			tap_check(got == PAY_MEANS_LOOKUP_FAILED, "%d %s: %s", status, code,
					  pay_toss_meaning_name(got));
		}
	}
	tap_checked("200 invented codes are never a refusal");

	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
	{
		tap_check(interpret_code(&confirm, 403, near[i]) == PAY_MEANS_UNCERTAIN,
				  "'%s'", near[i]);
		tap_check(answer.code != NULL && answer.code[0] != '\0' &&
				  strspn(answer.code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
				  strlen(answer.code), "'%s' is shown as %s", near[i], answer.code);
		tap_check(interpret_code(&query, 404, near[i]) == PAY_MEANS_LOOKUP_FAILED,
				  "'%s'", near[i]);
	}
	interpret(&confirm, 403, "{\"code\":\"REJECT_CARD_PAYMENT\",\"message\":\"a\\nb\"}");
	tap_check(answer.meaning == PAY_MEANS_REFUSED && answer.detail == NULL, "line break");
	interpret(&confirm, 403, "{\"code\":\"REJECT_CARD_PAYMENT\",\"message\":null}");
	tap_check(answer.meaning == PAY_MEANS_REFUSED && answer.detail == NULL, "no message");
	interpret(&confirm, 403, "{\"error\":{\"code\":\"REJECT_CARD_PAYMENT\",\"message\":\"x\"}}");
	tap_check(answer.meaning == PAY_MEANS_REFUSED, "second shape");
	tap_checked("codes that only look like ours, and odd messages");

	tap_check(interpret_code(&confirm, 403, "NOT_FOUND") == PAY_MEANS_UNCERTAIN, "C");
	tap_check(interpret_code(&query, 403, "REJECT_CARD_PAYMENT") == PAY_MEANS_LOOKUP_FAILED, "Q");
	tap_check(interpret_code(&query, 404, "NOT_FOUND_PAYMENT_SESSION") == PAY_MEANS_LOOKUP_FAILED, "Q");
	tap_check(interpret_code(&query, 409, "IDEMPOTENT_REQUEST_PROCESSING") == PAY_MEANS_LOOKUP_FAILED, "Q");
	tap_checked("a code counts only for its operation");
}

/* Every status, with no body, garbage, an error, a Payment. */
static void
test_statuses(void)
{
	for (int status = 0; status <= 700; status++)
	{
		static const char *const garbage[] = {"", "<html>", "{}", "[]", "{\"code\":\"A\"}{}"};

		for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		{
			tap_check(interpret(&confirm, status, garbage[i]) ==
					  (status == 429 ? PAY_MEANS_LATER : PAY_MEANS_UNCERTAIN),
					  "%d %s: %s", status, garbage[i], pay_toss_meaning_name(answer.meaning));
			tap_check(answer.suspect == (status >= 200 && status <= 299), "%d", status);
			if (status >= 100 && status <= 599)
			{
				char		expected[32];

				snprintf(expected, sizeof(expected), "HTTP_%d", status);
				tap_check(same_text(answer.code, expected), "%s", answer.code);
			}
			tap_check(answer.code != NULL && answer.detail != NULL, "%d", status);
			tap_check(interpret(&query, status, garbage[i]) == PAY_MEANS_LOOKUP_FAILED,
					  "%d %s: %s", status, garbage[i], pay_toss_meaning_name(answer.meaning));
		}

		pay_toss_interpret(&confirm, PAY_TRANSPORT_ANSWERED, status, NULL, &answer);
		tap_check(answer.meaning == (status == 429 ? PAY_MEANS_LATER : PAY_MEANS_UNCERTAIN),
				  "%d without a body", status);

		tap_check((interpret_status(&confirm, status, "DONE") == PAY_MEANS_APPROVED) ==
				  (status == 200), "%d with a payment: %s", status,
				  pay_toss_meaning_name(answer.meaning));
		tap_check((interpret_status(&query, status, "DONE") == PAY_MEANS_APPROVED) ==
				  (status == 200), "%d with a payment", status);
		tap_check((interpret_status(&query, status, "ABORTED") == PAY_MEANS_ABORTED) ==
				  (status == 200), "%d with an aborted payment", status);
	}
	tap_checked("every status without a body, and with every kind of body");
}

/* ---- payments ---- */

static void
test_payment_statuses(void)
{
	static const struct
	{
		const char *status;
		PayTossMeaning confirm;
		PayTossMeaning query;
	}			rows[] = {
		{"DONE", PAY_MEANS_APPROVED, PAY_MEANS_APPROVED},
		{"WAITING_FOR_DEPOSIT", PAY_MEANS_WAITING, PAY_MEANS_WAITING},
		{"CANCELED", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
		{"PARTIAL_CANCELED", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
		{"ABORTED", PAY_MEANS_UNCERTAIN, PAY_MEANS_ABORTED},
		{"EXPIRED", PAY_MEANS_UNCERTAIN, PAY_MEANS_ABORTED},
		{"READY", PAY_MEANS_UNCERTAIN, PAY_MEANS_OPEN},
		{"IN_PROGRESS", PAY_MEANS_UNCERTAIN, PAY_MEANS_OPEN},
		{"", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
		{"done", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
		{"DONE ", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
		{"DONE2", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
		{"REFUSED", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
		{"FAILED", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		tap_check(interpret_status(&confirm, 200, rows[i].status) == rows[i].confirm,
				  "confirm, '%s': %s", rows[i].status, pay_toss_meaning_name(answer.meaning));
		tap_check(!answer.suspect && answer.code != NULL && answer.code[0] != '\0',
				  "confirm, '%s'", rows[i].status);
		tap_check(interpret_status(&query, 200, rows[i].status) == rows[i].query,
				  "query, '%s': %s", rows[i].status, pay_toss_meaning_name(answer.meaning));
	}
	tap_checked("every status of a payment, known or not");

	interpret(&query, 200,
			  "{\"version\":\"2022-11-16\",\"paymentKey\":\"" PAYMENT_KEY "\",\"orderId\":\"" ORDER_ID "\","
			  "\"currency\":\"KRW\",\"totalAmount\":15000,\"status\":\"ABORTED\","
			  "\"failure\":{\"code\":\"COMMON_ERROR\",\"message\":\"실패\"}}");
	ok(answer.meaning == PAY_MEANS_ABORTED && same_text(answer.code, "COMMON_ERROR") &&
	   same_text(answer.detail, "실패"), "an aborted payment tells why");
}

/* What only the account says: closed, or cancelled before a deposit. */
static void
test_account(void)
{
	static const struct
	{
		const char *status;
		const char *account;
		const char *approved_at;
		PayTossMeaning confirm;
		PayTossMeaning query;
	}			rows[] = {
		{"WAITING_FOR_DEPOSIT", "{\"bankCode\":\"20\",\"expired\":false}", "null", PAY_MEANS_WAITING, PAY_MEANS_WAITING},
		{"WAITING_FOR_DEPOSIT", "{\"bankCode\":\"20\",\"expired\":null}", "null", PAY_MEANS_WAITING, PAY_MEANS_WAITING},
		{"WAITING_FOR_DEPOSIT", "{\"bankCode\":\"20\"}", "null", PAY_MEANS_WAITING, PAY_MEANS_WAITING},
		{"WAITING_FOR_DEPOSIT", "null", "null", PAY_MEANS_WAITING, PAY_MEANS_WAITING},
		{"WAITING_FOR_DEPOSIT", "{\"bankCode\":\"20\",\"expired\":true}", "null", PAY_MEANS_WAITING, PAY_MEANS_LAPSED},
		{"WAITING_FOR_DEPOSIT", "{\"bankCode\":\"20\",\"expired\":\"true\"}", "null", PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED},
		{"DONE", "{\"bankCode\":\"20\",\"expired\":true}", "\"2026-11-22T10:16:02+09:00\"", PAY_MEANS_APPROVED, PAY_MEANS_APPROVED},
		{"CANCELED", "{\"bankCode\":\"20\",\"expired\":true}", "null", PAY_MEANS_UNCERTAIN, PAY_MEANS_ABORTED},
		{"CANCELED", "{\"bankCode\":\"20\"}", "\"2026-11-22T10:16:02+09:00\"", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
		{"PARTIAL_CANCELED", "{\"bankCode\":\"20\"}", "null", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
		{"CANCELED", "null", "null", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		char		text[1024];

		snprintf(text, sizeof(text),
				 "{\"version\":\"2022-11-16\",\"paymentKey\":\"" PAYMENT_KEY "\",\"orderId\":\"" ORDER_ID "\","
				 "\"currency\":\"KRW\",\"totalAmount\":15000,\"status\":\"%s\",\"approvedAt\":%s,\"virtualAccount\":%s}",
				 rows[i].status, rows[i].approved_at, rows[i].account);
		interpret(&confirm, 200, text);
		tap_check(answer.meaning == rows[i].confirm, "confirm, row %zu: %s", i, pay_toss_meaning_name(answer.meaning));
		interpret(&query, 200, text);
		tap_check(answer.meaning == rows[i].query, "query, row %zu: %s", i, pay_toss_meaning_name(answer.meaning));
		tap_check(answer.meaning != PAY_MEANS_LAPSED || same_text(answer.code, "DEPOSIT_EXPIRED"), "code, row %zu", i);
	}
	tap_checked("what only the account says of a payment");
}

static void
check_mismatch(const char *payment_key, const char *order_id,
			   const char *currency, const char *amount, const char *what)
{
	static const char *const statuses[] = {
		"DONE", "WAITING_FOR_DEPOSIT", "CANCELED", "PARTIAL_CANCELED", "READY",
		"IN_PROGRESS",
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		tap_check(interpret_payment(&confirm, 200, payment_key, order_id, currency,
									amount, statuses[i], "\"2022-11-16\"") ==
				  PAY_MEANS_UNCERTAIN && answer.suspect,
				  "confirm, %s: %s", what, pay_toss_meaning_name(answer.meaning));
		tap_check(interpret_payment(&query, 200, payment_key, order_id, currency,
									amount, statuses[i], "\"2022-11-16\"") ==
				  PAY_MEANS_UNCERTAIN && answer.suspect,
				  "query, %s: %s", what, pay_toss_meaning_name(answer.meaning));
	}
}

static void
test_identity(void)
{
	static const char *const amounts[] = {
		"14999", "15001", "1500", "150000", "0", "-15000", "15000.5", "15000.001",
		"15000.0000000000000000001", "1.5e5", "1.5e3", "15000e1", "1e400",
		"18446744073709566616", "15e-3", "-0", "0.15",
	};
	static const char *const same[] = {
		"15000", "15000.0", "15000.000", "1.5e4", "15e3", "150000e-1", "1.5E+4",
	};
	PayTossRequest dollars = confirm;

	check_mismatch("tgen_20261122101530Ab3dF", ORDER_ID, "\"KRW\"", "15000", "key");
	check_mismatch("TGEN_20261122101530AB3DE", ORDER_ID, "\"KRW\"", "15000", "case of key");
	check_mismatch("", ORDER_ID, "\"KRW\"", "15000", "no key");
	check_mismatch(PAYMENT_KEY "x", ORDER_ID, "\"KRW\"", "15000", "longer key");
	check_mismatch(PAYMENT_KEY, "ORD-20261122-000124", "\"KRW\"", "15000", "order");
	check_mismatch(PAYMENT_KEY, "ORD-20261122-00012", "\"KRW\"", "15000", "shorter order");
	check_mismatch(PAYMENT_KEY, ORDER_ID, "\"USD\"", "15000", "currency");
	check_mismatch(PAYMENT_KEY, ORDER_ID, "\"krw\"", "15000", "case of currency");
	check_mismatch(PAYMENT_KEY, ORDER_ID, "null", "15000", "no currency");
	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
		check_mismatch(PAYMENT_KEY, ORDER_ID, "\"KRW\"", amounts[i], amounts[i]);
	tap_checked("a payment that differs in anything is not believed");

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		tap_check(interpret_payment(&confirm, 200, PAYMENT_KEY, ORDER_ID, "\"KRW\"",
									same[i], "DONE", "\"2022-11-16\"") ==
				  PAY_MEANS_APPROVED, "%s", same[i]);
	dollars.currency = "USD";
	dollars.minor_units = 2;
	dollars.amount = 1250;
	tap_check(interpret_payment(&dollars, 200, PAYMENT_KEY, ORDER_ID, "\"USD\"",
								"1.25", "DONE", "\"2022-11-16\"") ==
			  PAY_MEANS_APPROVED, "dollars");
	tap_check(interpret_payment(&dollars, 200, PAYMENT_KEY, ORDER_ID, "\"USD\"",
								"1.251", "DONE", "\"2022-11-16\"") ==
			  PAY_MEANS_UNCERTAIN, "too fine");
	tap_checked("one amount in many forms is the same");

	/* Ended without money: the keys suffice, and are needed. */
	tap_check(interpret_payment(&query, 200, PAYMENT_KEY, ORDER_ID, "\"MUSD\"",
								"1250000", "EXPIRED", "\"2022-11-16\"") ==
			  PAY_MEANS_ABORTED, "micro dollars");
	tap_check(interpret_payment(&query, 200, "other", ORDER_ID, "\"KRW\"", "15000",
								"ABORTED", "\"2022-11-16\"") == PAY_MEANS_UNCERTAIN, "key");
	tap_check(interpret_payment(&query, 200, PAYMENT_KEY, "other1", "\"KRW\"", "15000",
								"ABORTED", "\"2022-11-16\"") == PAY_MEANS_UNCERTAIN, "order");
	tap_checked("an expired payment is known by its keys");
}

static void
test_version(void)
{
	static const char *const old[] = {
		"null", "\"\"", "\"1.4\"", "\"2022-06-08\"", "\"2022-11-15\"", "\"2022-7-27\"",
		"\"2022-11-16 \"", "\"3.0\"", "\"latest\"", "\"9999\"", "\"2022/11/16\"",
	};
	static const char *const good[] = {
		"\"2022-11-16\"", "\"2022-11-17\"", "\"2024-06-01\"", "\"2030-01-01\"",
	};

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
	{
		tap_check(interpret_payment(&confirm, 200, PAYMENT_KEY, ORDER_ID, "\"KRW\"",
									"15000", "DONE", old[i]) == PAY_MEANS_UNCERTAIN &&
				  answer.detail != NULL, "%s", old[i]);
		tap_check(interpret_payment(&query, 200, PAYMENT_KEY, ORDER_ID, "\"KRW\"",
									"15000", "ABORTED", old[i]) == PAY_MEANS_UNCERTAIN,
				  "%s", old[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		tap_check(interpret_payment(&confirm, 200, PAYMENT_KEY, ORDER_ID, "\"KRW\"",
									"15000", "DONE", good[i]) == PAY_MEANS_APPROVED,
				  "%s", good[i]);
	tap_checked("an old API version is not believed");
}

static void
test_transport(void)
{
	for (int i = 0; i < 2; i++)
	{
		const PayTossRequest *request = i ? &query : &confirm;

		interpret_status(request, 200, "DONE");
		pay_toss_interpret(request, PAY_TRANSPORT_NOT_SENT, 200, &body, &answer);
		tap_check(answer.meaning == PAY_MEANS_NOT_SENT, "not sent");
		pay_toss_interpret(request, PAY_TRANSPORT_NO_ANSWER, 200, &body, &answer);
		tap_check(answer.meaning == PAY_MEANS_NO_ANSWER, "no answer");
		pay_toss_interpret(request, 77, 200, &body, &answer);
		tap_check(answer.meaning == PAY_MEANS_NO_ANSWER, "odd transport");
		pay_toss_interpret(request, PAY_TRANSPORT_NOT_SENT, 0, NULL, &answer);
		tap_check(answer.meaning == PAY_MEANS_NOT_SENT && answer.code != NULL, "no body");
		tap_check(interpret(request, 200, "") == doubt(request), "empty");
	}
	for (int i = 0; i <= PAY_MEANS_LAPSED; i++)
		tap_check(pay_toss_meaning_name(i) != NULL, "%d", i);
	tap_check(same_text(pay_toss_meaning_name(99), "unknown"), "99");
	tap_checked("what the transport says, and names");
}

/* ---- requests ---- */

static void
check_identifier(const char *text, bool key_ok, bool order_ok)
{
	tap_check(pay_toss_valid_payment_key(text) == key_ok, "key '%s'", text);
	tap_check(pay_toss_valid_order_id(text) == order_ok, "order '%s'", text);
}

static void
test_identifiers(void)
{
	char		text[256];

	for (int n = 0; n <= 250; n++)
	{
		memset(text, 'a', n);
		text[n] = '\0';
		check_identifier(text, n >= 1 && n <= 200, n >= 6 && n <= 64);
	}
	for (int c = 1; c < 256; c++)
	{
		bool		good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') || strchr("_=.-", c) != NULL;

		snprintf(text, sizeof(text), "abc%cdef", c);
		check_identifier(text, good, good);
	}
	check_identifier(".", false, false);
	check_identifier("..", false, false);
	check_identifier("......", true, true);
	check_identifier("ORD-20261122-000123", true, true);
	check_identifier("аbcdefg", false, false);
	check_identifier("abcdef\n", false, false);
	tap_checked("keys and ids are of the permitted bytes and lengths");
}

static void
test_requests(void)
{
	char		buf[512];
	PayTossRequest request = confirm;
	const char *expected = "{\"paymentKey\":\"" PAYMENT_KEY "\",\"orderId\":\"" ORDER_ID
	"\",\"amount\":15000}";
	int			n = pay_toss_body(&confirm, buf, sizeof(buf));

	ok(same_text(buf, expected) && n == (int) strlen(expected), "the body: %s", buf);
	for (int size = 0; size <= n; size++)
		tap_check(pay_toss_body(&confirm, buf, size) == -1, "%d bytes", size);
	tap_check(pay_toss_body(&confirm, buf, n + 1) == n && same_text(buf, expected), "fits");
	tap_checked("the body needs room for itself and a zero");

	request.minor_units = 2;
	request.amount = 1250;
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) > 0 &&
			  strstr(buf, "\"amount\":1.25}"), "%s", buf);
	request.amount = 1251;
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) == -1, "too fine");
	request.amount = 0;
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) == -1, "zero");
	request.amount = -1000;
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) == -1, "negative");
	request.amount = INT64_MAX;
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) == -1, "too large");
	request = confirm;
	request.payment_key = "a\",\"amount\":1,\"x\":\"";
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) == -1, "injection by key");
	tap_check(pay_toss_path(&request, buf, sizeof(buf)) == -1, "injection by key");
	request = confirm;
	request.order_id = "abcdef\",\"amount\":1,\"x\":\"";
	tap_check(pay_toss_body(&request, buf, sizeof(buf)) == -1, "injection by order");
	tap_check(pay_toss_body(&query, buf, sizeof(buf)) == -1, "a query has no body");
	tap_checked("a body that would be wrong is not written");

	n = pay_toss_path(&confirm, buf, sizeof(buf));
	tap_check(same_text(buf, "/v1/payments/confirm") && n == 20, "%s", buf);
	n = pay_toss_path(&query, buf, sizeof(buf));
	tap_check(same_text(buf, "/v1/payments/" PAYMENT_KEY) && n == (int) strlen(buf), "%s", buf);
	tap_check(pay_toss_path(&query, buf, n) == -1, "no room for the zero");
	request = query;
	request.payment_key = "a=b-c_d.e==";
	pay_toss_path(&request, buf, sizeof(buf));
	tap_check(same_text(buf, "/v1/payments/a%3Db-c_d.e%3D%3D"), "%s", buf);
	request.payment_key = "..";
	tap_check(pay_toss_path(&request, buf, sizeof(buf)) == -1, "a directory");
	request.payment_key = "a/b";
	tap_check(pay_toss_path(&request, buf, sizeof(buf)) == -1, "a slash");
	tap_checked("paths are percent-encoded");
}

int
main(void)
{
	query = confirm;
	query.operation = PAY_TOSS_QUERY;

	test_documented_codes();
	test_code_and_status();
	test_unknown_codes();
	test_statuses();
	test_payment_statuses();
	test_account();
	test_identity();
	test_version();
	test_transport();
	test_identifiers();
	test_requests();
	memory_reset();
	return tap_end();
}
