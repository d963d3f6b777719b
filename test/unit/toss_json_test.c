/*
 * toss_json_test.c
 *		A body is a Payment, or an error, or garbage; never a crash.
 */
#include <stdlib.h>

#include "memory.h"
#include "tap.h"
#include "toss_json.h"
#include "toss_parse.h"

/* The four fields that make a Payment, to be put into a body. */
#define FOUR \
	"\"paymentKey\":\"pk\",\"orderId\":\"order1\",\"status\":\"DONE\"," \
	"\"totalAmount\":15000"

static const char full[] =
"{\"mId\":\"tgen_shop01\",\"lastTransactionKey\":\"txrd_a01\","
"\"paymentKey\":\"tgen_20261122101530Ab3dE\",\"orderId\":\"ORD-20261122-000123\","
"\"orderName\":\"테스트 상품 외 1건\",\"taxExemptionAmount\":0,\"status\":\"DONE\","
"\"requestedAt\":\"2026-11-22T10:15:30+09:00\",\"approvedAt\":\"2026-11-22T10:16:02+09:00\","
"\"useEscrow\":false,\"cultureExpense\":false,"
"\"card\":{\"issuerCode\":\"71\",\"acquirerCode\":\"71\",\"number\":\"12345678****000*\","
"\"installmentPlanMonths\":0,\"isInterestFree\":false,\"interestPayer\":null,"
"\"cardType\":\"신용\",\"ownerType\":\"개인\",\"amount\":15000},"
"\"virtualAccount\":{\"accountType\":\"일반\",\"accountNumber\":\"X123\",\"bankCode\":\"20\","
"\"customerName\":\"김토스\",\"dueDate\":\"2026-11-29T10:15:30+09:00\",\"expired\":false,"
"\"refundReceiveAccount\":{\"bankCode\":\"99\",\"accountNumber\":\"secret\"}},"
"\"transfer\":null,\"cancels\":[{\"transactionKey\":\"other\",\"status\":\"x\",\"code\":\"y\"}],"
"\"secret\":\"ps_abc\",\"type\":\"NORMAL\",\"easyPay\":{\"provider\":\"토스페이\",\"amount\":0},"
"\"failure\":{\"code\":\"F\",\"message\":\"m\"},\"isPartialCancelable\":true,"
"\"receipt\":{\"url\":\"https://example.com/r\"},\"checkout\":{\"url\":\"https://example.com/c\"},"
"\"currency\":\"KRW\",\"totalAmount\":15000.0,\"balanceAmount\":1.5e4,\"vat\":1364,"
"\"method\":\"카드\",\"version\":\"2022-11-16\",\"metadata\":{\"status\":\"mine\",\"code\":\"c\"}}";

static PayTossBody body;

static void
read_text(const char *text)
{
	size_t		len;
	char	   *copy;

	memory_reset();
	copy = memory_exact(text, &len);
	pay_toss_json_read(copy, len, &body);
	free(copy);
}

static bool
is_garbage(void)
{
	static const PayTossBody empty;
	PayTossBody rest = body;

	if (body.verdict != PAY_TOSS_JSON_GARBAGE || body.reason == NULL)
		return false;
	rest.verdict = empty.verdict;
	rest.reason = NULL;
	return memcmp(&rest.code, &empty.code,
				  sizeof(rest) - offsetof(PayTossBody, code)) == 0;
}

static void
test_payment(void)
{
	read_text(full);
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT && body.reason == NULL,
			  "%s", body.reason);
	tap_check(same_text(body.mid, "tgen_shop01"), "mid");
	tap_check(same_text(body.last_transaction_key, "txrd_a01"), "last");
	tap_check(same_text(body.payment_key, "tgen_20261122101530Ab3dE"), "key");
	tap_check(same_text(body.order_id, "ORD-20261122-000123"), "order");
	tap_check(same_text(body.status, "DONE"), "status");
	tap_check(same_text(body.requested_at, "2026-11-22T10:15:30+09:00"), "requested");
	tap_check(same_text(body.approved_at, "2026-11-22T10:16:02+09:00"), "approved");
	tap_check(same_text(body.card_issuer_code, "71"), "issuer");
	tap_check(same_text(body.card_type, "신용"), "card type");
	tap_check(same_text(body.installment_plan_months, "0"), "months");
	tap_check(same_text(body.virtual_account_number, "X123"), "account");
	tap_check(same_text(body.virtual_account_bank, "20"), "bank");
	tap_check(same_text(body.virtual_account_due_date, "2026-11-29T10:15:30+09:00"), "due");
	tap_check(same_text(body.virtual_account_expired, "false"), "expired");
	tap_check(same_text(body.secret, "ps_abc"), "secret");
	tap_check(same_text(body.type, "NORMAL"), "type");
	tap_check(same_text(body.easy_pay_provider, "토스페이"), "provider");
	tap_check(same_text(body.failure_code, "F"), "failure");
	tap_check(same_text(body.failure_message, "m"), "message");
	tap_check(same_text(body.receipt_url, "https://example.com/r"), "receipt");
	tap_check(same_text(body.currency, "KRW"), "currency");
	tap_check(same_text(body.total_amount, "15000.0"), "total");
	tap_check(same_text(body.balance_amount, "1.5e4"), "balance");
	tap_check(same_text(body.method, "카드"), "method");
	tap_check(same_text(body.version, "2022-11-16"), "version");
	tap_check(body.code == NULL && body.message == NULL, "error");
	tap_checked("every field of the allow-list is read, from its own place");

	read_text("{" FOUR ",\"card\":null,\"version\":null,\"method\":null,\"code\":null,\"error\":null}");
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT && body.version == NULL &&
			  body.card_type == NULL, "nulls");
	read_text(" \t\r\n{" FOUR "} \n");
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT, "blanks around it");
	read_text("{" FOUR ",\"new\":{\"card\":[1,{\"paymentKey\":2}]},\"other\":[[[]]],\"n\":-0.1e-5,\"t\":true}");
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT && same_text(body.payment_key, "pk"),
			  "unknown fields");
	read_text("{\"x\":1,\"x\":2," FOUR ",\"metadata\":{\"a\":1,\"a\":2}}");
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT, "unknown fields twice");
	read_text("{" FOUR ",\"mId\":\"\\uc2e0\\uC6A9 \\ud83d\\ude00 \\u0041\\u00e9 \\\"\\\\\\/\\b\\f\\n\\r\\t\\u0022\"}");
	tap_check(same_text(body.mid, "신용 😀 Aé \"\\/\b\f\n\r\t\""), "escapes: %s", body.mid);
	read_text("{\"\\u0070aymentKey\":\"pk\",\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":1}");
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT, "escaped key");
	read_text("{" FOUR ",\"mId\":\"{[{[\\\"{[\"}");
	tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT, "brackets in a string");
	tap_checked("what Toss may add or leave out does no harm");
}

static void
test_error(void)
{
	read_text("{\"code\":\"NOT_FOUND_PAYMENT\",\"message\":\"존재하지 않는 결제 정보 입니다.\",\"data\":null}");
	tap_check(body.verdict == PAY_TOSS_JSON_ERROR &&
			  same_text(body.code, "NOT_FOUND_PAYMENT") &&
			  same_text(body.message, "존재하지 않는 결제 정보 입니다."), "v1");
	read_text("{\"version\":\"2022-11-16\",\"traceId\":\"x\",\"error\":{\"code\":\"A\",\"message\":\"b\"}}");
	tap_check(body.verdict == PAY_TOSS_JSON_ERROR && same_text(body.code, "A") &&
			  same_text(body.message, "b"), "v2");
	read_text("{\"code\":\"A\"}");
	tap_check(body.verdict == PAY_TOSS_JSON_ERROR && body.message == NULL, "bare");
	read_text("{\"code\":\"\"}");
	tap_check(body.verdict == PAY_TOSS_JSON_ERROR && same_text(body.code, ""), "empty");
	tap_checked("errors of both shapes");
}

static void
test_garbage(void)
{
	static const char *const texts[] = {
		"", " ", "null", "true", "1", "\"text\"", "[]", "{}", "[{" FOUR "}]",
		"{", "}", "{]", "[}", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{" FOUR,
		"{" FOUR "}{", "{" FOUR "}{" FOUR "}", "{" FOUR "} x", "{" FOUR "}]", "{" FOUR ",}",
		"{'code':'A'}", "{code:\"A\"}", "{\"code\":\"A\",}", "{\"code\":\"A\" \"b\":1}",
		"{\"code\":\"A\"}//", "{\"code\":NaN}", "{\"code\":\"A\nB\"}", "{\"code\":\"\\x41\"}",
		"{\"code\":\"\\u00g0\"}", "{\"code\":\"\\u12\"}", "{\"code\":\"\\", "{\"code\":\"\\u",
		"<html><body>502 Bad Gateway</body></html>", "HTTP/1.1 200 OK",
		"\xef\xbb\xbf{\"code\":\"A\"}",

		/* not UTF-8 */
		"{\"code\":\"\xff\"}", "{\"code\":\"\xc0\x80\"}", "{\"code\":\"\xed\xa0\x80\"}",
		"{\"code\":\"\xf5\x80\x80\x80\"}", "{\"code\":\"\xec\x9b\"}", "{\"code\":\"\xb0\xa1\"}",
		"{\"x\":\"\xfe\"," FOUR "}", "{\"code\":\"A\"}\xec",

		/* NUL, and halves of pairs */
		"{\"code\":\"\\u0000\"}", "{\"code\":\"A\",\"x\":\"a\\u0000\"}", "{\"\\u0000\":1,\"code\":\"A\"}",
		"{\"code\":\"\\ud83d\"}", "{\"code\":\"\\ude00\"}", "{\"code\":\"\\ud83d\\u0041\"}",
		"{\"code\":\"\\ud83dx\"}", "{\"code\":\"\\ud83d\\ud83d\"}", "{\"code\":\"\\ud83d\\",

		/* a known key twice */
		"{" FOUR ",\"status\":\"DONE\"}", "{" FOUR ",\"totalAmount\":15000}",
		"{" FOUR ",\"paymentKey\":\"other\"}", "{" FOUR ",\"paymentKey\":null}",
		"{\"paymentKey\":null," FOUR "}", "{" FOUR ",\"\\u0073tatus\":\"DONE\"}",
		"{" FOUR ",\"card\":{},\"card\":{}}", "{" FOUR ",\"card\":null,\"card\":{}}",
		"{" FOUR ",\"card\":{\"cardType\":\"a\",\"cardType\":\"a\"}}",
		"{\"code\":\"A\",\"code\":\"B\"}", "{\"code\":\"A\",\"error\":{\"code\":\"B\"}}",

		/* a known key of another type */
		"{\"paymentKey\":1,\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":1}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":\"15000\"}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":true}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":[1]}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":{}}",
		"{\"paymentKey\":[\"p\"],\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":1}",
		"{" FOUR ",\"card\":\"a\"}", "{" FOUR ",\"card\":[]}", "{" FOUR ",\"easyPay\":\"토스\"}",
		"{" FOUR ",\"card\":{\"cardType\":1}}", "{" FOUR ",\"currency\":410}",
		"{\"code\":1}", "{\"error\":\"A\"}", "{\"code\":{}}",

		/* numbers that are none */
		"{" FOUR ",\"balanceAmount\":01}", "{" FOUR ",\"balanceAmount\":+1}",
		"{" FOUR ",\"balanceAmount\":1.}", "{" FOUR ",\"balanceAmount\":.5}",
		"{" FOUR ",\"balanceAmount\":1e}", "{" FOUR ",\"balanceAmount\":0x1}",
		"{" FOUR ",\"balanceAmount\":Infinity}", "{" FOUR ",\"balanceAmount\":-}",

		/* neither, and both */
		"{\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":1}",
		"{\"paymentKey\":\"p\",\"status\":\"s\",\"totalAmount\":1}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"totalAmount\":1}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"status\":\"s\"}",
		"{\"paymentKey\":\"p\",\"orderId\":\"o\",\"status\":\"s\",\"totalAmount\":null}",
		"{\"data\":{" FOUR "}}", "{\"card\":{" FOUR "}}", "{\"message\":\"m\"}", "{\"code\":null}",
		"{" FOUR ",\"code\":\"A\"}", "{" FOUR ",\"error\":{\"code\":\"A\"}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		read_text(texts[i]);
		tap_check(is_garbage(), "%s", texts[i]);
	}
	memory_reset();
	pay_toss_json_read("{\"code\":\"A\0\"}", 13, &body);
	tap_check(is_garbage(), "a zero byte in a string");
	pay_toss_json_read("{\"code\":\"A\"}\0", 13, &body);
	tap_check(is_garbage(), "a zero byte behind it");
	tap_checked("garbage is garbage, and nothing of it is kept");

	read_text("{\"code\":\"\\u0000\"}");
	tap_check(strstr(body.reason, "NUL") != NULL, "%s", body.reason);
	pay_toss_json_read("{\"code\":\"A\0\"}", 13, &body);
	tap_check(strstr(body.reason, "NUL") != NULL, "%s", body.reason);
	read_text("{\"code\":\"\xff\"}");
	tap_check(strstr(body.reason, "UTF-8") != NULL, "%s", body.reason);
	read_text("<html>");
	tap_check(strstr(body.reason, "not JSON") != NULL, "%s", body.reason);
	tap_checked("and the reason is told");
}

static void
test_size_and_depth(void)
{
	size_t		n = 4 * 1024 * 1024;
	char	   *text = malloc(n + 64);
	size_t		max = PAY_TOSS_MAX_BODY;

	/* padded with blanks to exactly the cap, and one more */
	memset(text, ' ', n);
	memcpy(text, "{\"code\":\"A\"}", 12);
	pay_toss_json_read(text, max, &body);
	tap_check(body.verdict == PAY_TOSS_JSON_ERROR, "at the cap");
	pay_toss_json_read(text, max + 1, &body);
	tap_check(is_garbage(), "one byte more");

	for (int depth = 1; depth < 200; depth++)
	{
		/* an error with an array so deep that the whole is depth deep */
		size_t		len = (size_t) sprintf(text, "{\"code\":\"A\",\"x\":");

		for (int i = 1; i < depth; i++)
			text[len++] = '[';
		text[len++] = '1';
		for (int i = 1; i < depth; i++)
			text[len++] = ']';
		text[len++] = '}';
		memory_reset();
		pay_toss_json_read(text, len, &body);
		tap_check((body.verdict == PAY_TOSS_JSON_ERROR) == (depth <= PAY_TOSS_MAX_DEPTH),
				  "depth %d", depth);
	}

	memset(text, '[', n);
	memory_reset();
	pay_toss_json_read(text, PAY_TOSS_MAX_BODY, &body);
	tap_check(is_garbage(), "64 Ki brackets");
	pay_toss_json_read(text, n, &body);
	tap_check(is_garbage(), "4 Mi brackets");
	for (size_t i = 0; i + 5 <= PAY_TOSS_MAX_BODY; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	pay_toss_json_read(text, PAY_TOSS_MAX_BODY / 5 * 5, &body);
	tap_check(is_garbage(), "nested objects");
	free(text);
	tap_checked("size and depth have limits");
}

/* Every prefix and every single-byte change of a real body: no crash. */
static void
test_damaged(void)
{
	size_t		len = strlen(full);
	char	   *copy = malloc(len);

	for (size_t n = 0; n < len; n++)
	{
		memory_reset();
		memcpy(copy, full, n);
		pay_toss_json_read(copy, n, &body);
		tap_check(is_garbage(), "prefix of %zu bytes", n);
	}
	for (size_t i = 0; i < len; i++)
	{
		static const char bytes[] = {'\0', '"', '\\', '{', '[', ',', (char) 0xff, (char) 0xed, 'u'};

		for (size_t k = 0; k < sizeof(bytes); k++)
		{
			memory_reset();
			memcpy(copy, full, len);
			copy[i] = bytes[k];
			pay_toss_json_read(copy, len, &body);
			tap_check(body.verdict == PAY_TOSS_JSON_PAYMENT || is_garbage(),
					  "byte %zu", i);
		}
	}
	free(copy);
	tap_checked("a damaged body is garbage, or still a payment");
}

int
main(void)
{
	test_payment();
	test_error();
	test_garbage();
	test_size_and_depth();
	test_damaged();
	memory_reset();
	return tap_end();
}
