/*
 * toss_list_test.c
 *		A page of Toss's list: what is bad in a row is the row's own affair, and
 *		a body is a list, an error or garbage; never a crash.
 */
#include <stdlib.h>

#include "memory.h"
#include "tap.h"
#include "toss_list.h"

#define ROW(rest) \
	"{\"mId\":\"m\",\"transactionKey\":\"t1\",\"paymentKey\":\"pk_1\"," \
	"\"orderId\":\"ORDER-1\",\"method\":\"카드\",\"customerKey\":null," \
	"\"status\":\"DONE\",\"transactionAt\":\"2026-11-22T10:16:02+09:00\"," \
	"\"currency\":\"KRW\"" rest "}"
#define GOOD	ROW(",\"amount\":15000")

static PayTossList list;

static void
read_text(const char *text)
{
	size_t		len;
	char	   *copy;

	memory_reset();
	copy = memory_exact(text, &len);
	pay_toss_list_read(copy, len, &list);
	free(copy);
}

static bool
is_good(const PayTossRow *row)
{
	return row->problem == NULL &&
		strcmp(row->transaction_key, "t1") == 0 &&
		strcmp(row->payment_key, "pk_1") == 0 &&
		strcmp(row->order_id, "ORDER-1") == 0 &&
		strcmp(row->status, "DONE") == 0 &&
		strcmp(row->currency, "KRW") == 0 &&
		row->has_amount && row->amount == 15000000 &&
		row->has_time && row->time_us == INT64_C(1795310162000000);
}

static void
test_rows(void)
{
	read_text("[]");
	ok(list.verdict == PAY_TOSS_LIST_ROWS && list.n == 0, "an empty list");
	read_text(" [" GOOD ",\n" GOOD "] ");
	ok(list.verdict == PAY_TOSS_LIST_ROWS && list.n == 2 &&
	   is_good(&list.rows[0]) && is_good(&list.rows[1]), "two rows");
	read_text("[" ROW(",\"amount\":-15000.0") "]");
	ok(list.n == 1 && is_good(&list.rows[0]), "a negative amount is one");
	read_text("[" ROW(",\"amount\":0") "]");
	ok(list.n == 1 && list.rows[0].problem == NULL && list.rows[0].amount == 0,
	   "so is nothing");
	read_text("[" ROW(",\"amount\":15000,\"deep\":{\"amount\":1,\"x\":[[{}]]}") "]");
	ok(list.n == 1 && is_good(&list.rows[0]), "what is deeper does not count");
}

/* Each stands between two good rows. */
static const char *const bad_rows[] = {
	"1", "\"x\"", "null", "true", "[]", "[" GOOD "]", "{}",
	ROW(""),
	ROW(",\"amount\":null"),
	ROW(",\"amount\":\"15000\""),
	ROW(",\"amount\":1e15"),
	ROW(",\"amount\":1e999999999"),
	ROW(",\"amount\":123456789012345678901234567890"),
	ROW(",\"amount\":0.0001"),
	ROW(",\"amount\":[1]"),
	ROW(",\"amount\":{\"a\":1}"),
	ROW(",\"amount\":15000,\"amount\":15000"),
	ROW(",\"amount\":15000,\"status\":\"DONE\""),
	"{\"transactionKey\":\"t1\"}",
	"{\"transactionKey\":7,\"paymentKey\":\"pk_1\",\"orderId\":\"ORDER-1\",\"status\":\"DONE\","
	"\"transactionAt\":\"2026-11-22T10:16:02+09:00\",\"currency\":\"KRW\",\"amount\":1}",
};

/* A good row with one text replaced. */
static const struct
{
	const char *key;
	const char *value;
}			bad_texts[] =
{
	{"transactionKey", ""}, {"transactionKey", "a b"}, {"transactionKey", "ä"},
	{"transactionKey", "a\\u0001"}, {"transactionKey", "a\\nb"},
	{"transactionKey", "12345678901234567890123456789012345678901234567890123456789012345"},
	{"paymentKey", ""}, {"paymentKey", "a/b"}, {"paymentKey", ".."}, {"paymentKey", "a'b"},
	{"orderId", ""}, {"orderId", "한국"}, {"orderId", "a b"},
	{"orderId", "12345678901234567890123456789012345678901234567890123456789012345"},
	{"status", ""}, {"status", "done"}, {"status", "DONE;"},
	{"currency", ""}, {"currency", "KR"}, {"currency", "KRWON"}, {"currency", "krw"},
	{"transactionAt", ""}, {"transactionAt", "yesterday"}, {"transactionAt", "9999-01-01T00:00:00Z"},
};

static void
check_bad(const char *row)
{
	char		text[4096];

	snprintf(text, sizeof(text), "[" GOOD ",%s," GOOD "]", row);
	read_text(text);
	tap_check(list.verdict == PAY_TOSS_LIST_ROWS && list.n == 3, "%s: %s", row,
			  list.reason ? list.reason : "other rows");
	if (list.n == 3)
		tap_check(is_good(&list.rows[0]) && is_good(&list.rows[2]) &&
				  list.rows[1].problem != NULL, "%s", row);
}

static void
test_bad_rows(void)
{
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++)
		check_bad(bad_rows[i]);
	tap_checked("a row that is bad leaves the others good");

	for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++)
	{
		static const char *const keys[] = {
			"transactionKey", "paymentKey", "orderId", "status", "currency",
			"transactionAt"
		};
		static const char *const values[] = {
			"t1", "pk_1", "ORDER-1", "DONE", "KRW", "2026-11-22T10:16:02+09:00"
		};
		char		row[2048] = "{\"amount\":15000";

		for (int k = 0; k < 6; k++)
		{
			char		piece[256];

			snprintf(piece, sizeof(piece), ",\"%s\":\"%s\"", keys[k],
					 strcmp(keys[k], bad_texts[i].key) == 0 ?
					 bad_texts[i].value : values[k]);
			strcat(row, piece);
		}
		strcat(row, "}");
		check_bad(row);
	}
	tap_checked("so does one with a text that is not of its form");

	/* a row that cannot be used still says which one it is */
	read_text("[" ROW(",\"amount\":1e99") "]");
	ok(list.rows[0].problem != NULL && !list.rows[0].has_amount &&
	   strcmp(list.rows[0].transaction_key, "t1") == 0, "what it has is kept");
}

static const char *const garbage[] = {
	"", " ", "[", "[" GOOD, "[" GOOD ",]", "[" GOOD "]]", "[" GOOD "] []", "1", "\"x\"", "null",
	"{}", "{\"rows\":[]}", "<html>", "[{\"a\":\"\\u0000\"}]", "[\"\xff\"]", "[{\"a\":\"\\ud800\"}]",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
};

static void
test_garbage(void)
{
	size_t		len = PAY_TOSS_MAX_LIST + 1;
	char	   *big = malloc(len);
	char	   *p = big;

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
	{
		read_text(garbage[i]);
		tap_check(list.verdict == PAY_TOSS_LIST_GARBAGE && list.reason != NULL &&
				  list.rows == NULL && list.n == 0, "%s", garbage[i]);
	}
	memset(big, ' ', len);
	memcpy(big, "[]", 2);
	memory_reset();
	pay_toss_list_read(big, len, &list);
	tap_check(list.verdict == PAY_TOSS_LIST_GARBAGE, "too large");
	*p++ = '[';
	for (int i = 0; i <= PAY_TOSS_MAX_ROWS; i++)
		p += sprintf(p, "%s1", i ? "," : "");
	*p++ = ']';
	pay_toss_list_read(big, p - big, &list);
	tap_check(list.verdict == PAY_TOSS_LIST_GARBAGE, "too many rows");
	free(big);
	tap_checked("anything else is garbage, whole");

	read_text("{\"code\":\"INVALID_DATE\",\"message\":\"m\"}");
	ok(list.verdict == PAY_TOSS_LIST_ERROR && strcmp(list.code, "INVALID_DATE") == 0, "an error");
	read_text(" {\"version\":\"x\",\"traceId\":\"y\",\"error\":{\"code\":\"FORBIDDEN_REQUEST\",\"message\":\"m\"}}");
	ok(list.verdict == PAY_TOSS_LIST_ERROR && strcmp(list.code, "FORBIDDEN_REQUEST") == 0, "of the second shape, too");
}

static void
test_path(void)
{
	PayTossListRequest request = {
		.from_us = INT64_C(1795310162000000), .to_us = INT64_C(1795310163000000), .rows = 500
	};
	char		path[400];

	tap_check(pay_toss_list_path(&request, path, sizeof(path)) == (int) strlen(path) &&
			  strcmp(path, "/v1/transactions?startDate=2026-11-22T10:16:02"
					 "&endDate=2026-11-22T10:16:03&limit=500") == 0, "%s", path);
	request.after = "a&b=%?-._~Z9";
	tap_check(pay_toss_list_path(&request, path, sizeof(path)) > 0 &&
			  strstr(path, "&startingAfter=a%26b%3D%25%3F-._~Z9&limit=500") != NULL, "%s", path);
	tap_check(pay_toss_list_path(&request, path, 100) == -1, "no room");
	request.after = "a b";
	tap_check(pay_toss_list_path(&request, path, sizeof(path)) == -1, "a cursor that is none");
	request.after = "";
	tap_check(pay_toss_list_path(&request, path, sizeof(path)) == -1, "an empty cursor");
	request.after = NULL;
	request.rows = 0;
	tap_check(pay_toss_list_path(&request, path, sizeof(path)) == -1, "no rows");
	request.rows = 1;
	request.to_us = request.from_us - 1;
	tap_check(pay_toss_list_path(&request, path, sizeof(path)) == -1, "backwards");
	request.to_us = INT64_MAX;
	tap_check(pay_toss_list_path(&request, path, sizeof(path)) == -1, "for ever");
	tap_checked("what is asked for");
}

int
main(void)
{
	test_rows();
	test_bad_rows();
	test_garbage();
	test_path();
	return tap_end();
}
