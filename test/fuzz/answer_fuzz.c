/*
 * answer_fuzz.c
 *		Any bytes as Toss's answer: no crash, and nothing wrong believed.
 *
 * The first byte of the input chooses the operation, the next two the status;
 * the rest is the body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "resolution.h"
#include "toss.h"

#define PAYMENT_KEY		"tgen_20261122101530Ab3dE"
#define TOKEN			"0123456789abcdef"
#define ORDER_ID		"ORD-20261122-000123"

static void
must(bool condition)
{
	if (!condition)
		abort();
}

/* Look at every string to its end: it is terminated, and inside its piece. */
static void
touch(const PayTossBody *body)
{
	const char *const *strings = (const char *const *) &body->code;
	size_t		n = (offsetof(PayTossBody, n_cancels) - offsetof(PayTossBody, code)) / sizeof(char *);

	for (size_t i = 0; i < n; i++)
	{
		if (body->verdict == PAY_TOSS_JSON_GARBAGE)
			must(strings[i] == NULL);
		else if (strings[i] != NULL)
			must(strlen(strings[i]) <= PAY_TOSS_MAX_BODY);
	}
	must(body->n_cancels == 0 || body->verdict != PAY_TOSS_JSON_GARBAGE);
	for (int i = 0; i < body->n_cancels; i++)
		must(body->cancels[i].reason == NULL ||
			 strlen(body->cancels[i].reason) <= PAY_TOSS_MAX_BODY);
	must((body->verdict == PAY_TOSS_JSON_GARBAGE) == (body->reason != NULL));
}

static bool
is_documented(PayTossOperation operation, const char *code, PayTossMeaning meaning)
{
	for (int i = 0; i < pay_toss_codes_count; i++)
	{
		if (pay_toss_codes[i].operation == operation &&
			pay_toss_codes[i].meaning == meaning &&
			strcmp(pay_toss_codes[i].code, code) == 0)
			return true;
	}
	return false;
}

static void
check(const PayTossRequest *request, int status, const PayTossBody *body,
	  const PayTossAnswer *answer)
{
	switch (answer->meaning)
	{
		case PAY_MEANS_APPROVED:
		case PAY_MEANS_WAITING:
		case PAY_MEANS_CANCELED:
		case PAY_MEANS_ABORTED:
		case PAY_MEANS_REFUNDED:
			must(status == 200 && body->verdict == PAY_TOSS_JSON_PAYMENT &&
				 strcmp(body->payment_key, PAYMENT_KEY) == 0 &&
				 strcmp(body->order_id, ORDER_ID) == 0);
			must((answer->meaning == PAY_MEANS_REFUNDED) <= (answer->cancel != NULL));
			if (answer->cancel != NULL)
				must(strstr(answer->cancel->reason, "[rf:" TOKEN "]") != NULL);
			break;
		case PAY_MEANS_REFUSED:
		case PAY_MEANS_MISCONFIGURED:
		case PAY_MEANS_BUSY:
			must(status >= 400 && status <= 499 &&
				 is_documented(request->operation, body->code, answer->meaning));
			break;
		case PAY_MEANS_LATER:
			must(status == 429 ||
				 is_documented(request->operation, body->code, answer->meaning));
			break;
		case PAY_MEANS_OPEN:
			must(request->operation == PAY_TOSS_QUERY);
			break;
		default:
			break;
	}
	must(answer->code != NULL && strlen(answer->code) <= 100);
	if (answer->detail != NULL)
		must(strpbrk(answer->detail, "\n\r\x1b") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PayTossRequest request = {
		.payment_key = PAYMENT_KEY,
		.order_id = ORDER_ID,
		.currency = "KRW",
		.amount = 15000000,
	};
	static const PayTossRefund refund = {TOKEN, "reason", 5000000, 15000000};
	PayCallState state = {.reached_psp = true, .phase = PAY_PHASE_TRYING};
	PayTossBody body;
	PayTossAnswer answer;
	PayDecision decision;
	char	   *copy;
	int			status;

	if (size < 3)
		return 0;
	request.operation = data[0] % 2 == 0 ? PAY_TOSS_QUERY :
		data[0] % 4 == 1 ? PAY_TOSS_CONFIRM : PAY_TOSS_CANCEL;
	if (request.operation == PAY_TOSS_CANCEL || data[0] % 4 == 2)
		request.refund = &refund;
	status = data[1] < 128 ? 200 : 100 + (data[1] * 256 + data[2]) % 500;

	/* a copy of its own, so that reading beyond the end is seen */
	copy = malloc(size - 3 + 1);
	memcpy(copy, data + 3, size - 3);
	copy = realloc(copy, size > 3 ? size - 3 : 1);
	pay_toss_json_read(copy, size - 3, &body);
	free(copy);

	touch(&body);
	pay_toss_interpret(&request, PAY_TRANSPORT_ANSWERED, status, &body, &answer);
	check(&request, status, &body, &answer);

	state.operation = request.operation;
	state.is_refund = request.refund != NULL;
	pay_resolve(&state, answer.meaning, 1000000, &decision);
	must(decision.action != PAY_ACTION_SUCCEED ||
		 strcmp(body.status, "DONE") == 0);
	must(decision.action != PAY_ACTION_REFUND ||
		 answer.meaning == PAY_MEANS_REFUNDED);
	memory_reset();
	return 0;
}
