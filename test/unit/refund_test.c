/*
 * refund_test.c
 *		Refunds without a server: how amounts are split and taken back, what is
 *		sent, what an answer means, and what is done about it.
 *
 * The codes here were written down from Toss's documentation, not from
 * toss_codes.c.  The last part plays cancels against a small Toss of its own,
 * through everything that may happen.
 */
#include <stdlib.h>

#include "memory.h"
#include "money.h"
#include "refund_state.h"
#include "resolution.h"
#include "tap.h"
#include "toss.h"

#define PAYMENT_KEY		"tgen_20261122101530Ab3dE"
#define ORDER_ID		"ORD-20261122-000123"
#define TOKEN			"0f1e2d3c4b5a69788796"
#define TAG				"[rf:" TOKEN "]"

#define SECOND			INT64_C(1000000)

static const PayTossRefund refund = {TOKEN, "changed \"mind\"", 5000000, 15000000};

static PayTossRequest
make_request(PayTossOperation operation)
{
	PayTossRequest request = {
		.operation = operation,
		.payment_key = PAYMENT_KEY,
		.order_id = ORDER_ID,
		.currency = "KRW",
		.amount = 15000000,
		.refund = &refund,
	};

	return request;
}

/*
 * Amounts
 */

static uint64_t random_state = 1;

static int64_t
draw(int64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int64_t) (random_state >> 1) % below;
}

static void
test_split(void)
{
	static const int64_t units[] = {1000, 100, 10, 1};
	int64_t		most[3] = {1000, 1000, 1000};
	int64_t		parts[8];

	ok(pay_money_split(1000, most, 3, 0, parts) &&
	   parts[0] == 1000 && parts[1] == 0 && parts[2] == 0, "one unit over three");
	ok(pay_money_split(2000, most, 3, 0, parts) &&
	   parts[0] == 1000 && parts[1] == 1000 && parts[2] == 0, "two over three: the first");
	ok(!pay_money_split(3001, most, 3, 0, parts), "finer than the currency");
	ok(!pay_money_split(4000, most, 3, 0, parts), "more than there is");
	ok(!pay_money_split(-1000, most, 3, 0, parts), "negative");
	ok(pay_money_split(0, most, 0, 0, parts), "nothing over nobody");
	most[1] = 5000;
	ok(pay_money_split(3000, most, 3, 0, parts) && parts[1] == 2000 && parts[0] == 1000,
	   "the largest remainder takes what is left");

	for (int round = 0; round < 100000; round++)
	{
		int			digits = (int) draw(4);
		int			n = 1 + (int) draw(8);
		int64_t		limits[8];
		int64_t		total = 0;
		int64_t		sum = 0;
		int64_t		amount;

		for (int i = 0; i < n; i++)
		{
			limits[i] = draw(round % 2 ? 20 : INT64_C(100000000000000)) * units[digits];
			total += limits[i];
		}
		amount = draw(total / units[digits] + 1) * units[digits];
		tap_check(pay_money_split(amount, limits, n, digits, parts), "a split that is possible");
		for (int i = 0; i < n; i++)
		{
			sum += parts[i];
			tap_check(parts[i] >= 0 && parts[i] <= limits[i] && parts[i] % units[digits] == 0,
					  "a part of %lld of at most %lld", (long long) parts[i], (long long) limits[i]);
		}
		tap_check(sum == amount, "parts add up");
	}
	tap_checked("random splits are exact");
}

/* Refunds of a line come and fail in any order; the rest is always possible. */
static void
test_commission(void)
{
	for (int round = 0; round < 20000; round++)
	{
		int64_t		amount = (1 + draw(60)) * 1000;
		int64_t		commission = draw(amount / 1000 + 1) * 1000;
		int64_t		given[64];
		int64_t		of_it[64];
		int			n = 0;
		int64_t		returned = 0;
		int64_t		commission_returned = 0;

		while (returned < amount)
		{
			int64_t		more = (1 + draw((amount - returned) / 1000)) * 1000;

			if (draw(4) == 0 && n > 0)
			{
				/* one of them fails */
				int			i = (int) draw(n);

				returned -= given[i];
				commission_returned -= of_it[i];
				given[i] = given[n - 1];
				of_it[i] = of_it[--n];
				continue;
			}
			given[n] = more;
			of_it[n] = pay_money_commission_back(amount, commission, returned,
												 commission_returned, more, 0);
			tap_check(of_it[n] >= 0 && of_it[n] <= more && of_it[n] % 1000 == 0,
					  "%lld of %lld is commission", (long long) of_it[n], (long long) more);
			returned += more;
			commission_returned += of_it[n++];
			tap_check(commission - commission_returned >= 0 &&
					  commission - commission_returned <= amount - returned,
					  "more commission remains than of the line");
		}
		tap_check(commission_returned == commission, "%lld of %lld came back",
				  (long long) commission_returned, (long long) commission);
	}
	tap_checked("commissions are undone to exactly zero");
	ok(pay_money_commission_back(10000, 1000, 0, 0, 10000, 0) == 1000, "all at once");
	ok(pay_money_commission_back(10000, 1000, 0, 0, 5000, 0) == 0, "half a unit stays");
	ok(pay_money_commission_back(10000, 1000, 5000, 0, 5000, 0) == 1000, "and comes with the rest");
}

/*
 * Orders of several lines, refunded in whole, by amounts and by lines, of which
 * some fail, until nothing is left: ten thousand of them.
 */
typedef struct Part
{
	int64_t		amount[5];
	int64_t		commission[5];
} Part;

static void
take(int n, const int64_t *amount, const int64_t *commission, int64_t *returned, int64_t *commission_returned, Part *part)
{
	int64_t		left[5];
	int64_t		rest = 0;
	int			only = draw(3) == 0 ? (int) draw(n) : -1;
	int64_t		wanted;

	for (int i = 0; i < n; i++)
		rest += left[i] = only >= 0 && i != only ? 0 : amount[i] - returned[i];
	wanted = draw(5) == 0 ? rest : draw(rest / 1000 + 1) * 1000;
	tap_check(pay_money_split(wanted, left, n, 0, part->amount), "a split that is possible");
	for (int i = 0; i < n; i++)
	{
		part->commission[i] = part->amount[i] == 0 ? 0 :
			pay_money_commission_back(amount[i], commission[i], returned[i], commission_returned[i], part->amount[i], 0);
		returned[i] += part->amount[i];
		commission_returned[i] += part->commission[i];
		tap_check(returned[i] <= amount[i] && commission_returned[i] <= commission[i] &&
				  commission[i] - commission_returned[i] <= amount[i] - returned[i], "never too much");
	}
}

static void
test_sequences(void)
{
	for (int round = 0; round < 10000; round++)
	{
		int			n = 1 + (int) draw(5);
		int64_t		amount[5];
		int64_t		commission[5];
		int64_t		returned[5] = {0};
		int64_t		commission_returned[5] = {0};
		Part		parts[400];
		int			n_parts = 0;
		bool		done = false;

		for (int i = 0; i < n; i++)
		{
			amount[i] = (1 + draw(50)) * 1000;
			commission[i] = draw(amount[i] / 1000 + 1) * 1000;
		}
		while (!done)
		{
			if (n_parts > 0 && n_parts < 300 && draw(4) == 0)
			{
				int			i = (int) draw(n_parts--);

				for (int l = 0; l < n; l++)
				{
					returned[l] -= parts[i].amount[l];
					commission_returned[l] -= parts[i].commission[l];
				}
				parts[i] = parts[n_parts];
			}
			else if (n_parts < 400)
				take(n, amount, commission, returned, commission_returned, &parts[n_parts++]);
			else
				break;
			done = true;
			for (int l = 0; l < n; l++)
				done = done && returned[l] == amount[l];
		}
		for (int l = 0; l < n && done; l++)
			tap_check(commission_returned[l] == commission[l], "the commission came back to the last");
		tap_check(done || n_parts == 400, "it ends");
	}
	tap_checked("sequences of refunds leave exactly nothing");
}

/*
 * States
 */

static void
test_states(void)
{
	static const struct
	{
		PayRefundState from;
		PayRefundState to;
	}			allowed[] = {
		{PAY_REFUND_REQUESTED, PAY_REFUND_EXECUTING},
		{PAY_REFUND_REQUESTED, PAY_REFUND_FAILURE},
		{PAY_REFUND_EXECUTING, PAY_REFUND_SUCCESS},
		{PAY_REFUND_EXECUTING, PAY_REFUND_FAILURE},
		{PAY_REFUND_EXECUTING, PAY_REFUND_UNKNOWN},
		{PAY_REFUND_UNKNOWN, PAY_REFUND_SUCCESS},
		{PAY_REFUND_UNKNOWN, PAY_REFUND_FAILURE},
	};

	for (int from = -1; from <= PAY_REFUND_STATES; from++)
	{
		for (int to = -1; to <= PAY_REFUND_STATES; to++)
		{
			bool		expected = false;

			for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
				expected = expected || (from == (int) allowed[i].from && to == (int) allowed[i].to);
			tap_check(pay_refund_state_allows((PayRefundState) from, (PayRefundState) to) == expected, "from %d to %d", from, to);
		}
		tap_check(pay_refund_state_is_final((PayRefundState) from) ==
				  (from == PAY_REFUND_SUCCESS || from == PAY_REFUND_FAILURE), "%d final", from);
	}
	for (int state = 0; state < PAY_REFUND_STATES; state++)
	{
		PayRefundState read = PAY_REFUND_STATES;

		tap_check(pay_refund_state_from_name(pay_refund_state_name((PayRefundState) state), &read) &&
				  (int) read == state, "%d there and back", state);
	}
	tap_check(pay_refund_state_name(PAY_REFUND_STATES) == NULL, "no name");
	tap_checked("every pair of states");
}

/*
 * Requests
 */

static void
test_request(void)
{
	PayTossRequest request = make_request(PAY_TOSS_CANCEL);
	PayTossRefund other = refund;
	char		buf[2000];

	request.refund = &other;
	ok(pay_toss_path(&request, buf, sizeof(buf)) > 0 &&
	   same_text(buf, "/v1/payments/" PAYMENT_KEY "/cancel"), "path");
	ok(pay_toss_body(&request, buf, sizeof(buf)) == (int) strlen(buf) &&
	   same_text(buf, "{\"cancelReason\":\"changed \\\"mind\\\" " TAG "\",\"cancelAmount\":5000,"
				 "\"refundableAmount\":15000}"), "body: %s", buf);
	ok(pay_toss_body(&request, buf, 40) == -1, "no room");
	request.currency = "USD";
	request.minor_units = 2;
	other.amount = 1250;
	ok(pay_toss_body(&request, buf, sizeof(buf)) > 0 &&
	   strstr(buf, "\"cancelAmount\":1.25,\"currency\":\"USD\",\"refundableAmount\":15000}") != NULL,
	   "a foreign one names its currency: %s", buf);
	other.reason = "\xea\xb3\xa0\xea\xb0\x9d\t\\\x7f";
	ok(pay_toss_body(&request, buf, sizeof(buf)) > 0 &&
	   strstr(buf, "\"\xea\xb3\xa0\xea\xb0\x9d\\u0009\\\\\\u007f [rf:") != NULL, "escapes");
	other.amount = 1255;
	ok(pay_toss_body(&request, buf, sizeof(buf)) == -1, "finer than the currency");
	other.amount = 0;
	ok(pay_toss_body(&request, buf, sizeof(buf)) == -1, "nothing");
	other.amount = other.balance + 10;
	ok(pay_toss_body(&request, buf, sizeof(buf)) == -1, "more than there is");
	other = refund;
	other.token = "a]b";
	ok(pay_toss_body(&request, buf, sizeof(buf)) == -1, "not a token");
	other.token = "";
	ok(pay_toss_body(&request, buf, sizeof(buf)) == -1, "no token");
	request.refund = NULL;
	ok(pay_toss_body(&request, buf, sizeof(buf)) == -1, "no refund");
}

/* The body of the refund of a deposit, whose account is kept apart from it. */
static void
test_account(void)
{
	static const char *const holder = "\xed\x99\x8d\xea\xb8\xb8\xeb\x8f\x99 \"\\";
	static const char sent[] = "{\"cancelAmount\":5,\"refundReceiveAccount\":{\"bank\":\"88\","
		"\"accountNumber\":\"0123\",\"holderName\":\"\xed\x99\x8d\xea\xb8\xb8\xeb\x8f\x99 \\\"\\\\\"}}";
	PayTossAccount account = {"88", "0123", holder};
	char		buf[200];

	ok(pay_toss_body_to_account("{\"cancelAmount\":5}", &account, buf, sizeof(buf)) == (int) sizeof(sent) - 1 &&
	   same_text(buf, sent), "body with an account: %s", buf);
	for (size_t size = 0; size < sizeof(sent); size++)
		tap_check(pay_toss_body_to_account("{\"cancelAmount\":5}", &account, buf, size) == -1, "room for %d", (int) size);
	tap_checked("no room");
	ok(pay_toss_body_to_account("{\"cancelAmount\":5}", &account, buf, sizeof(sent)) > 0, "just room");
	ok(pay_toss_body_to_account("", &account, buf, sizeof(buf)) == -1, "no body");
	ok(pay_toss_body_to_account("{\"cancelAmount\":5", &account, buf, sizeof(buf)) == -1, "half a body");
}

/*
 * Answers
 */

static PayTossBody body;
static PayTossAnswer answer;

static PayTossMeaning
interpret(PayTossOperation operation, int status, const char *json)
{
	PayTossRequest request = make_request(operation);

	memory_reset();
	pay_toss_json_read(json, strlen(json), &body);
	pay_toss_interpret(&request, PAY_TRANSPORT_ANSWERED, status, &body, &answer);
	return answer.meaning;
}

static const char *
payment(const char *status, const char *cancels)
{
	static char json[4000];

	snprintf(json, sizeof(json), "{\"version\":\"2022-11-16\",\"paymentKey\":\"%s\",\"orderId\":\"%s\","
			 "\"currency\":\"KRW\",\"totalAmount\":15000,\"balanceAmount\":10000,\"status\":\"%s\","
			 "\"cancels\":%s}", PAYMENT_KEY, ORDER_ID, status, cancels);
	return json;
}

#define CANCEL(reason, amount, status) \
	"{\"cancelAmount\":" amount ",\"cancelReason\":\"" reason "\",\"transactionKey\":\"tx_1\"," \
	"\"cancelStatus\":\"" status "\",\"canceledAt\":\"2026-11-27T10:00:00+09:00\"}"

#define OURS	CANCEL("x " TAG, "5000", "DONE")
#define OTHER	CANCEL("x [rf:ffff]", "5000", "DONE")

static void
test_answers(void)
{
	static const struct
	{
		const char *status;
		const char *cancels;
		PayTossMeaning to_cancel;
		PayTossMeaning to_query;
		bool		suspect;
		const char *code;
	}			cases[] = {
		{"PARTIAL_CANCELED", "[" OURS "]", PAY_MEANS_REFUNDED, PAY_MEANS_REFUNDED, false, "CANCEL_DONE"},
		{"CANCELED", "[" OTHER "," OURS "]", PAY_MEANS_REFUNDED, PAY_MEANS_REFUNDED, false, "CANCEL_DONE"},
		{"NEW_STATUS", "[" OURS "]", PAY_MEANS_REFUNDED, PAY_MEANS_REFUNDED, false, "CANCEL_DONE"},
		{"PARTIAL_CANCELED", "[" CANCEL("x " TAG, "5000.0", "DONE") "]", PAY_MEANS_REFUNDED,
		PAY_MEANS_REFUNDED, false, "CANCEL_DONE"},
		{"PARTIAL_CANCELED", "[" OURS "," OURS "]", PAY_MEANS_UNCERTAIN, PAY_MEANS_UNCERTAIN, true, "CANCELED_TWICE"},
		{"PARTIAL_CANCELED", "[" CANCEL(TAG, "5001", "DONE") "]", PAY_MEANS_UNCERTAIN, PAY_MEANS_UNCERTAIN, true,
		"CANCEL_AMOUNT_MISMATCH"},
		{"PARTIAL_CANCELED", "[" CANCEL(TAG, "5000", "IN_PROGRESS") "]", PAY_MEANS_UNCERTAIN,
		PAY_MEANS_LOOKUP_FAILED, false, "CANCEL_IN_PROGRESS"},
		{"PARTIAL_CANCELED", "[" CANCEL(TAG, "5000", "ABORTED") "]", PAY_MEANS_ABORTED, PAY_MEANS_ABORTED, false,
		"CANCEL_ABORTED"},
		{"PARTIAL_CANCELED", "[{\"cancelAmount\":5000,\"cancelReason\":\"" TAG "\",\"cancelStatus\":\"DONE\"}]",
		PAY_MEANS_UNCERTAIN, PAY_MEANS_UNCERTAIN, true, "CANCEL_INCOMPLETE"},
	};
	static const char *const paid[] = {"DONE", "CANCELED", "PARTIAL_CANCELED"};
	static const char *const unpaid[] = {
		"READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", "ABORTED", "EXPIRED", "NEW_STATUS"
	};
	static const char *const absent[] = {
		"null", "[]", "[" OTHER "]", "[" CANCEL(TAG " x", "5000", "DONE") "]",
		"[" CANCEL("rf:" TOKEN "]", "5000", "DONE") "]", "[{\"cancelAmount\":5000}]"
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *json = payment(cases[i].status, cases[i].cancels);

		tap_check(interpret(PAY_TOSS_CANCEL, 200, json) == cases[i].to_cancel &&
				  answer.suspect == cases[i].suspect && same_text(answer.code, cases[i].code),
				  "case %d to a cancel: %s %s", (int) i, pay_toss_meaning_name(answer.meaning), answer.code);
		tap_check(interpret(PAY_TOSS_QUERY, 200, json) == cases[i].to_query &&
				  answer.suspect == cases[i].suspect && same_text(answer.code, cases[i].code),
				  "case %d to a query: %s %s", (int) i, pay_toss_meaning_name(answer.meaning), answer.code);
		tap_check((answer.meaning == PAY_MEANS_REFUNDED) == (answer.cancel != NULL && answer.meaning != PAY_MEANS_ABORTED),
				  "case %d: which cancel", (int) i);
		tap_check(interpret(PAY_TOSS_CANCEL, 500, json) == PAY_MEANS_UNCERTAIN, "case %d with a 500", (int) i);
	}
	tap_checked("cancels of ours");

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
	{
		for (size_t s = 0; s < sizeof(paid) / sizeof(paid[0]); s++)
		{
			tap_check(interpret(PAY_TOSS_QUERY, 200, payment(paid[s], absent[i])) == PAY_MEANS_OPEN &&
					  !answer.suspect, "%s %s, to a query", paid[s], absent[i]);
			tap_check(interpret(PAY_TOSS_CANCEL, 200, payment(paid[s], absent[i])) == PAY_MEANS_UNCERTAIN &&
					  answer.suspect && same_text(answer.code, "CANCEL_MISSING"), "%s %s, to a cancel", paid[s], absent[i]);
		}
		for (size_t s = 0; s < sizeof(unpaid) / sizeof(unpaid[0]); s++)
			tap_check(interpret(PAY_TOSS_QUERY, 200, payment(unpaid[s], absent[i])) == PAY_MEANS_UNCERTAIN &&
					  answer.suspect, "%s %s", unpaid[s], absent[i]);
	}
	tap_checked("payments without it");

	ok(interpret(PAY_TOSS_CANCEL, 200, payment("DONE", "5")) == PAY_MEANS_UNCERTAIN &&
	   body.verdict == PAY_TOSS_JSON_GARBAGE, "cancels that are no array");
	ok(interpret(PAY_TOSS_CANCEL, 200, payment("DONE", "[5]")) == PAY_MEANS_UNCERTAIN &&
	   body.verdict == PAY_TOSS_JSON_GARBAGE, "a cancel that is no object");
	ok(interpret(PAY_TOSS_CANCEL, 200, payment("DONE", "[[]]")) == PAY_MEANS_UNCERTAIN &&
	   body.verdict == PAY_TOSS_JSON_GARBAGE, "nor an array");
	ok(interpret(PAY_TOSS_CANCEL, 200, payment("DONE", "[{\"cancelAmount\":1,\"cancelAmount\":2}]")) == PAY_MEANS_UNCERTAIN &&
	   body.verdict == PAY_TOSS_JSON_GARBAGE, "a key twice");
	ok(interpret(PAY_TOSS_CANCEL, 200, payment("DONE", "[{\"x\":{\"cancelAmount\":\"no\"},\"y\":[{}]}]")) == PAY_MEANS_UNCERTAIN &&
	   body.verdict == PAY_TOSS_JSON_PAYMENT && body.n_cancels == 1 && body.cancels[0].amount == NULL, "what is deeper is passed");
	ok(interpret(PAY_TOSS_QUERY, 200, "{\"version\":\"2022-11-16\",\"paymentKey\":\"other\",\"orderId\":\"" ORDER_ID
				 "\",\"currency\":\"KRW\",\"totalAmount\":15000,\"status\":\"DONE\",\"cancels\":[" OURS "]}") == PAY_MEANS_UNCERTAIN &&
	   same_text(answer.code, "PAYMENT_KEY_MISMATCH"), "another payment");
	ok(interpret(PAY_TOSS_QUERY, 404, "{\"code\":\"NOT_FOUND_PAYMENT\",\"message\":\"x\"}") == PAY_MEANS_UNCERTAIN,
	   "a payment that is gone");
}

/* A payment by virtual account, as a bank that took the deposit back leaves it. */
static const char *
deposit(const char *status, const char *approved_at, const char *cancels)
{
	static char json[4000];

	snprintf(json, sizeof(json), "{\"version\":\"2022-11-16\",\"paymentKey\":\"%s\",\"orderId\":\"%s\","
			 "\"currency\":\"KRW\",\"totalAmount\":15000,\"balanceAmount\":0,\"status\":\"%s\",\"approvedAt\":%s,"
			 "\"virtualAccount\":{\"bankCode\":\"20\",\"accountNumber\":\"X1\"},\"cancels\":%s}",
			 PAYMENT_KEY, ORDER_ID, status, approved_at, cancels);
	return json;
}

static void
test_deposits(void)
{
	static const char *const then = "\"2026-11-27T10:00:00+09:00\"";

	ok(interpret(PAY_TOSS_QUERY, 200, deposit("WAITING_FOR_DEPOSIT", "null", "null")) == PAY_MEANS_OPEN &&
	   !answer.suspect && same_text(answer.code, "WAITING_FOR_DEPOSIT"), "taken back, and our cancel is not there");
	ok(interpret(PAY_TOSS_CANCEL, 200, deposit("WAITING_FOR_DEPOSIT", "null", "null")) == PAY_MEANS_UNCERTAIN &&
	   answer.suspect, "as an answer to a cancel it contradicts itself");
	for (int operation = 0; operation < 2; operation++)
	{
		PayTossOperation asked = operation == 0 ? PAY_TOSS_CANCEL : PAY_TOSS_QUERY;

		ok(interpret(asked, 200, deposit("CANCELED", "null", "[" OURS "]")) == PAY_MEANS_ABORTED &&
		   same_text(answer.code, "DEPOSIT_REVERSED") && answer.cancel == NULL, "our cancel of an account that waited gave nothing back");
		ok(interpret(asked, 200, deposit("CANCELED", then, "[" OURS "]")) == PAY_MEANS_REFUNDED, "of one that was paid into it did");
		ok(interpret(asked, 200, deposit("PARTIAL_CANCELED", then, "[" OURS "]")) == PAY_MEANS_REFUNDED, "or in part");
	}
	ok(interpret(PAY_TOSS_QUERY, 200, deposit("CANCELED", "null", "[" OTHER "]")) == PAY_MEANS_OPEN,
	   "somebody else cancelled what waited");
	ok(interpret(PAY_TOSS_QUERY, 200, deposit("CANCELED", "null",
											   "[" CANCEL(TAG, "5001", "DONE") "]")) == PAY_MEANS_UNCERTAIN, "over another amount");
}

static void
test_codes(void)
{
	static const struct
	{
		int			status;
		const char *code;
		PayTossMeaning meaning;
	}			codes[] = {
		{400, "ALREADY_CANCELED_PAYMENT", PAY_MEANS_REFUSED},
		{400, "INVALID_REFUND_ACCOUNT_INFO", PAY_MEANS_REFUSED},
		{400, "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT", PAY_MEANS_REFUSED},
		{400, "INVALID_REQUEST", PAY_MEANS_REFUSED},
		{400, "INVALID_REFUND_ACCOUNT_NUMBER", PAY_MEANS_REFUSED},
		{400, "INVALID_BANK", PAY_MEANS_REFUSED},
		{400, "NOT_MATCHES_REFUNDABLE_AMOUNT", PAY_MEANS_REFUSED},
		{400, "PROVIDER_ERROR", PAY_MEANS_UNCERTAIN},
		{400, "REFUND_REJECTED", PAY_MEANS_REFUSED},
		{400, "ALREADY_REFUND_PAYMENT", PAY_MEANS_REFUSED},
		{400, "FORBIDDEN_BANK_REFUND_REQUEST", PAY_MEANS_REFUSED},
		{401, "UNAUTHORIZED_KEY", PAY_MEANS_MISCONFIGURED},
		{403, "NOT_CANCELABLE_AMOUNT", PAY_MEANS_REFUSED},
		{403, "FORBIDDEN_CONSECUTIVE_REQUEST", PAY_MEANS_LATER},
		{403, "FORBIDDEN_REQUEST", PAY_MEANS_MISCONFIGURED},
		{403, "NOT_CANCELABLE_PAYMENT", PAY_MEANS_REFUSED},
		{403, "EXCEED_MAX_REFUND_DUE", PAY_MEANS_REFUSED},
		{403, "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT", PAY_MEANS_REFUSED},
		{403, "NOT_ALLOWED_PARTIAL_REFUND", PAY_MEANS_REFUSED},
		{403, "NOT_AVAILABLE_BANK", PAY_MEANS_LATER},
		{403, "INCORRECT_BASIC_AUTH_FORMAT", PAY_MEANS_MISCONFIGURED},
		{403, "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER", PAY_MEANS_REFUSED},
		{403, "EXCEED_CANCEL_LIMIT", PAY_MEANS_LATER},
		{404, "NOT_FOUND_PAYMENT", PAY_MEANS_REFUSED},
		{500, "FAILED_INTERNAL_SYSTEM_PROCESSING", PAY_MEANS_UNCERTAIN},
		{500, "FAILED_REFUND_PROCESS", PAY_MEANS_UNCERTAIN},
		{500, "FAILED_METHOD_HANDLING_CANCEL", PAY_MEANS_UNCERTAIN},
		{500, "FAILED_PARTIAL_REFUND", PAY_MEANS_UNCERTAIN},
		{500, "COMMON_ERROR", PAY_MEANS_UNCERTAIN},
		{500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING", PAY_MEANS_UNCERTAIN},
		{400, "INVALID_IDEMPOTENCY_KEY", PAY_MEANS_MISCONFIGURED},
		{409, "IDEMPOTENT_REQUEST_PROCESSING", PAY_MEANS_BUSY},
		{400, "A_CODE_OF_TOMORROW", PAY_MEANS_UNCERTAIN},
		{429, "A_CODE_OF_TOMORROW", PAY_MEANS_LATER},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
	{
		char		json[200];

		snprintf(json, sizeof(json), "{\"code\":\"%s\",\"message\":\"x\"}", codes[i].code);
		tap_check(interpret(PAY_TOSS_CANCEL, codes[i].status, json) == codes[i].meaning,
				  "%s: %s", codes[i].code, pay_toss_meaning_name(answer.meaning));
		tap_check(interpret(PAY_TOSS_CANCEL, 503, json) == PAY_MEANS_UNCERTAIN, "%s with 503", codes[i].code);
	}
	tap_checked("codes of a cancel");
}

/*
 * What to do: every state with every meaning.
 */

static void
test_rules(void)
{
	static const PayCallPhase phases[] = {
		PAY_PHASE_TRYING, PAY_PHASE_REFUSED, PAY_PHASE_UNSEEN, PAY_PHASE_REFUSED_UNSEEN, 0
	};
	static const PayTime ages[] = {0, SECOND, 3600 * SECOND, PAY_KEY_LIFETIME, PAY_KEY_LIFETIME + 1, 400 * INT64_C(86400) * SECOND};

	for (int bits = 0; bits < 32; bits++)
		for (int m = 0; m <= PAY_MEANS_REFUNDED; m++)
			for (size_t a = 0; a < sizeof(ages) / sizeof(ages[0]); a++)
				for (size_t p = 0; p < sizeof(phases) / sizeof(phases[0]); p++)
					for (int failures = 0; failures < 12; failures++)
					{
						PayTossMeaning meaning = m;
						PayCallState s = {
							.operation = bits & 1 ? PAY_TOSS_CANCEL : PAY_TOSS_QUERY,
							.is_refund = true,
							.outcome_unknown = bits & 2,
							.key_answered = bits & 4,
							.reached_psp = bits & 8,
							.key_changed = bits & 16,
							.phase = phases[p],
							.failures = failures,
						};
						bool		unseen = meaning == PAY_MEANS_OPEN && s.operation == PAY_TOSS_QUERY;
						PayTime		age = s.reached_psp ? ages[a] : 0;
						PayDecision d;
						bool		final;

						pay_resolve(&s, meaning, ages[a], &d);
						final = pay_action_closes(d.action);
						tap_check(d.action != PAY_ACTION_SUCCEED && d.action != PAY_ACTION_FAIL &&
								  d.action != PAY_ACTION_AWAIT_DEPOSIT, "an action of a confirm");
						tap_check(d.delay >= 0 && d.delay <= 3600 * SECOND && strchr("TRUF", d.phase) != NULL, "a decision is complete");
						tap_check((d.action == PAY_ACTION_REFUND) == (meaning == PAY_MEANS_REFUNDED), "success exactly with our token");
						tap_check(d.action != PAY_ACTION_REFUND_FAIL || meaning == PAY_MEANS_ABORTED ||
								  (unseen && !s.key_changed && (s.phase == PAY_PHASE_REFUSED_UNSEEN ||
																(s.phase == PAY_PHASE_REFUSED && !s.outcome_unknown))),
								  "failure without proof");
						tap_check(d.action != PAY_ACTION_RENEW ||
								  (unseen && !s.key_changed && s.reached_psp && s.phase == PAY_PHASE_UNSEEN &&
								   (s.key_answered || age > PAY_KEY_LIFETIME) && d.delay >= SECOND && !d.key_answered && d.phase == PAY_PHASE_TRYING),
								  "a new key without proof");
						tap_check(d.action != PAY_ACTION_RESEND || (d.delay >= SECOND && !s.key_changed) || !unseen, "cancels are a second apart");
						tap_check(d.action != PAY_ACTION_RESEND || d.delay >= SECOND, "cancels are a second apart");
						tap_check(d.action != PAY_ACTION_RESEND || !s.reached_psp || (!s.key_answered && age <= PAY_KEY_LIFETIME), "a key that is over is sent again");
						tap_check(d.action != PAY_ACTION_RESEND ||
								  (s.operation == PAY_TOSS_CANCEL ? meaning == PAY_MEANS_BUSY || meaning == PAY_MEANS_NOT_SENT
								   : unseen || meaning == PAY_MEANS_LOOKUP_FAILED || meaning == PAY_MEANS_NO_ANSWER),
								  "sent again without a query");
						tap_check(final || d.outcome_unknown || !s.outcome_unknown, "doubt was forgotten");
						tap_check(final || d.orders_unknown == d.outcome_unknown, "refund and outcome disagree");
						tap_check(final || d.failures == failures + 1, "a fruitless attempt is counted");
					}
	tap_checked("every state with every meaning");
}

/*
 * A Toss of our own: what is true, and all that a request may meet.
 */

typedef struct World
{
	bool		executed;
	bool		pending;		/* a request of the present key is running */
	char		stored;			/* of the present key: 0, 's'uccess, 'r'efused,
								 * 'e'rror */
	int			keys;
	int			lag;			/* queries that may still show an older state */
	PayCallState state;
	PayTime		now;
} World;

static int	n_paths;
static int	n_refunded;
static int	n_failed;
static int	n_renewed;
static int	n_escalated;

static void play(World world, int depth);

static void
answered(World world, PayTossMeaning meaning, bool sent, int depth)
{
	PayDecision d;

	if (sent && !world.state.reached_psp)
	{
		world.state.reached_psp = true;
		world.state.first_sent_at = world.now;
	}
	pay_resolve(&world.state, meaning, world.now, &d);
	n_paths++;
	switch (d.action)
	{
		case PAY_ACTION_REFUND:
			n_refunded++;
			tap_check(world.executed, "a refund that did not happen");
			return;
		case PAY_ACTION_REFUND_FAIL:
			n_failed++;
			tap_check(!world.executed && !world.pending, "a refund that happened, or may happen, has failed");
			return;
		case PAY_ACTION_ESCALATE:
			n_escalated++;
			return;
		case PAY_ACTION_RENEW:
			n_renewed++;
			tap_check(!world.executed && !world.pending, "a new key although the old one was, or is, executed");
			world.stored = 0;
			world.keys++;
			world.state.reached_psp = false;
			break;
		default:
			break;
	}
	world.state.operation = d.action == PAY_ACTION_RESEND ||
		d.action == PAY_ACTION_RENEW ? PAY_TOSS_CANCEL : PAY_TOSS_QUERY;
	world.state.outcome_unknown = d.outcome_unknown;
	world.state.key_answered = d.key_answered;
	world.state.phase = d.phase;
	world.state.failures = d.failures;
	world.state.contradictions = d.contradictions;
	world.now += d.delay;
	play(world, depth + 1);
}

/* The three ways back of an answer. */
static void
replies(World world, PayTossMeaning meaning, int depth)
{
	answered(world, meaning, true, depth);
	answered(world, PAY_MEANS_NO_ANSWER, true, depth);
	if (world.stored != 'e')
		answered(world, PAY_MEANS_UNCERTAIN, true, depth);
}

static void
play(World world, int depth)
{
	World		next = world;

	if (depth > 8 || world.keys > 3)
		return;

	/* what is running may end at any time */
	if (world.pending)
	{
		next.pending = false;
		next.stored = 's';
		next.executed = true;
		play(next, depth + 1);
		next = world;
	}
	if (world.state.operation == PAY_TOSS_QUERY)
	{
		answered(world, world.executed ? PAY_MEANS_REFUNDED : PAY_MEANS_OPEN, false, depth);
		answered(world, PAY_MEANS_LOOKUP_FAILED, false, depth);
		if (world.executed && world.lag > 0)
		{
			next.lag--;
			answered(next, PAY_MEANS_OPEN, false, depth);
		}
		return;
	}

	answered(world, PAY_MEANS_NOT_SENT, false, depth);
	if (world.pending)
	{
		answered(world, PAY_MEANS_BUSY, true, depth);
		answered(world, PAY_MEANS_NO_ANSWER, true, depth);
		return;
	}
	if (world.stored != 0)
	{
		replies(world, world.stored == 's' ? PAY_MEANS_REFUNDED :
				world.stored == 'r' ? PAY_MEANS_REFUSED : PAY_MEANS_UNCERTAIN, depth);
		return;
	}
	answered(world, PAY_MEANS_NO_ANSWER, true, depth);	/* lost on the way */
	tap_check(!world.executed, "sent again under a key that does not know it");
	next.stored = 'r';
	replies(next, PAY_MEANS_REFUSED, depth);
	replies(next, PAY_MEANS_LATER, depth);
	next.stored = 'e';
	replies(next, PAY_MEANS_UNCERTAIN, depth);
	next.executed = true;
	replies(next, PAY_MEANS_UNCERTAIN, depth);
	next.stored = 's';
	replies(next, PAY_MEANS_REFUNDED, depth);
	next = world;
	next.pending = true;
	answered(next, PAY_MEANS_NO_ANSWER, true, depth);
}

static void
test_worlds(void)
{
	World		world = {.keys = 1,.lag = 1};

	world.state.operation = PAY_TOSS_CANCEL;
	world.state.is_refund = true;
	world.state.phase = PAY_PHASE_TRYING;
	play(world, 0);
	printf("# %d answers, %d refunded, %d failed, %d new keys, %d escalated\n",
		   n_paths, n_refunded, n_failed, n_renewed, n_escalated);
	tap_check(n_refunded > 0 && n_failed > 0 && n_renewed > 0, "everything happened");
	tap_checked("whatever happens, the refund is what it says");
}

int
main(void)
{
	test_split();
	test_commission();
	test_sequences();
	test_states();
	test_request();
	test_account();
	test_answers();
	test_deposits();
	test_codes();
	test_rules();
	test_worlds();
	memory_reset();
	return tap_end();
}
