/*
 * call_fuzz.c
 *		A whole call, from the first request to its end, with any PSP.
 *
 * The input is a sequence of events, two bytes each: what happens to the next
 * request, on the wire and at Toss, and how long nothing happens afterwards.
 * Answers are bytes, and go through the reader of JSON, the interpretation and
 * the resolution, as in the worker.  A small model knows what is true at Toss:
 *
 *	- a success is believed only when the money was taken;
 *	- an order fails only when none was, and none can be any more;
 *	- doubt is not forgotten, and the next attempt comes in bounded time.
 *
 * Unlike test/unit/resolution_test.c, which walks every path of a model in
 * steps, this one takes any times, any documented code and any bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "resolution.h"
#include "toss.h"

#define PAYMENT_KEY		"tgen_20261122101530Ab3dE"
#define ORDER_ID		"ORD-20261122-000123"
#define SECOND			INT64_C(1000000)
#define MINUTE			(60 * SECOND)
#define LAG				(20 * SECOND)	/* of a query behind an execution */
#define MAX_DELAY		(300 * SECOND)
#define MAX_KEYS		64

typedef enum Truth
{
	IN_PROGRESS,
	DONE,
	ABORTED
} Truth;

/* An answer as Toss keeps it under a key; status 0: none yet. */
typedef struct Kept
{
	int			status;
	char		body[512];
} Kept;

typedef struct World
{
	PayTime		now;
	PayTime		authenticated_at;	/* when the payment's window opened */
	Truth		truth;
	PayTime		done_at;
	bool		running;		/* a confirm is being worked on */
	int			running_key;
	int			key;			/* that the call has now */
	Kept		kept[MAX_KEYS];
	PayCallState state;
} World;

/* What comes back */
typedef struct Reply
{
	PayTransport transport;
	int			status;
	char		body[512];
} Reply;

#define must(condition) must_at(condition, #condition)

static void
must_at(bool holds, const char *condition)
{
	if (!holds)
	{
		fprintf(stderr, "not so: %s\n", condition);
		abort();
	}
}

static void
payment_body(char *body, const char *status, int distortion)
{
	snprintf(body, 512,
			 "{\"version\":\"%s\",\"paymentKey\":\"%s\",\"orderId\":\"%s\","
			 "\"currency\":\"%s\",\"totalAmount\":%s,\"status\":\"%s\"}",
			 distortion == 1 ? "2021-01-01" : "2022-11-16",
			 distortion == 2 ? "tgen_another" : PAYMENT_KEY,
			 distortion == 3 ? "ORD-another" : ORDER_ID,
			 distortion == 4 ? "USD" : "KRW",
			 distortion == 5 ? "15001" : distortion == 6 ? "\"15000\"" : "15000",
			 distortion == 7 ? "NEWLY_INVENTED" : status);
}

static void
keep(World *world, const Reply *reply)
{
	Kept	   *kept = &world->kept[world->key];

	kept->status = reply->status;
	memcpy(kept->body, reply->body, sizeof(kept->body));
}

static void
execute(World *world)
{
	must(world->truth == IN_PROGRESS);
	world->truth = DONE;
	world->done_at = world->now;
}

static bool
window_is_open(const World *world)
{
	return world->now - world->authenticated_at < PAY_CONFIRM_WINDOW;
}

/* A documented code of this operation and meaning, or of any doubt. */
static const PayTossCode *
code_of(PayTossOperation operation, PayTossMeaning meaning, int which)
{
	const PayTossCode *found = NULL;

	for (int i = 0; i < pay_toss_codes_count; i++)
	{
		const PayTossCode *code = &pay_toss_codes[i];

		if (code->operation == operation && code->meaning == meaning)
		{
			found = code;
			if (which-- == 0)
				break;
		}
	}
	must(found != NULL);
	return found;
}

static void
answer_code(Reply *reply, const PayTossCode *code)
{
	reply->transport = PAY_TRANSPORT_ANSWERED;
	reply->status = code->http_status;
	snprintf(reply->body, sizeof(reply->body),
			 "{\"code\":\"%s\",\"message\":\"no\"}", code->code);
}

static void
answer_payment(Reply *reply, const char *status, int distortion)
{
	reply->transport = PAY_TRANSPORT_ANSWERED;
	reply->status = 200;
	payment_body(reply->body, status, distortion);
}

/* What is no JSON, or no answer to this: too short for a whole Payment. */
static void
answer_bytes(Reply *reply, int status, uint8_t b)
{
	static const char *const bodies[] = {
		"", "<html>", "{", "{}", "[]", "\"DONE\"", "{\"status\":\"DONE\"}", "null",
		"{\"code\":\"\"}", "{\"code\":\"NEW_CODE\"}", "\xff\xfe", "{\"code\":7}"
	};

	reply->transport = PAY_TRANSPORT_ANSWERED;
	reply->status = status;
	snprintf(reply->body, sizeof(reply->body), "%s",
			 bodies[b % (sizeof(bodies) / sizeof(bodies[0]))]);
}

/* A confirm has reached Toss, which does what a says. */
static void
confirm_arrives(World *world, uint8_t a, uint8_t b, Reply *reply)
{
	const Kept *kept = &world->kept[world->key];

	if (kept->status != 0)
	{
		reply->transport = PAY_TRANSPORT_ANSWERED;
		reply->status = kept->status;
		memcpy(reply->body, kept->body, sizeof(reply->body));
		return;
	}
	if (world->running && world->running_key == world->key)
	{
		answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_BUSY, 0));
		return;
	}
	if (world->running)
		answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_UNCERTAIN, 1));
	else if (world->truth != IN_PROGRESS)
		/* "already processed", or "no such session" */
		answer_code(reply, code_of(PAY_TOSS_CONFIRM, b % 2 ? PAY_MEANS_UNCERTAIN :
								   PAY_MEANS_REFUSED, b / 2));
	else if (!window_is_open(world))
		answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_REFUSED, b));
	else
		switch (a % 10)
		{
			case 0:
			case 1:
				execute(world);
				answer_payment(reply, "DONE", 0);
				break;
			case 2:
				execute(world);
				answer_payment(reply, "DONE", b % 8);
				break;
			case 3:
				execute(world);
				answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_UNCERTAIN, b));
				break;
			case 4:
				execute(world);
				answer_bytes(reply, 200 + b, b);
				break;
			case 5:
				answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_REFUSED, b));
				if (b & 128)
					world->truth = ABORTED;
				break;
			case 6:
				answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_LATER, b));
				break;
			case 7:
				answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_MISCONFIGURED, b));
				return;			/* stands before the key is looked at */
			case 8:
				answer_bytes(reply, 100 + 2 * b, b);
				break;
			default:

				/* taken up; answered before it is done, or not at all */
				world->running = true;
				world->running_key = world->key;
				if (b % 2 == 0)
				{
					reply->transport = PAY_TRANSPORT_NO_ANSWER;
					return;
				}
				answer_code(reply, code_of(PAY_TOSS_CONFIRM, PAY_MEANS_UNCERTAIN, b));
				break;
		}
	keep(world, reply);
}

static void
query_arrives(World *world, uint8_t a, uint8_t b, Reply *reply)
{
	static const char *const names[] = {
		[IN_PROGRESS] = "IN_PROGRESS",[DONE] = "DONE",[ABORTED] = "ABORTED"
	};
	Truth		seen = world->truth;

	if (seen == DONE && world->now - world->done_at < LAG && b % 2)
		seen = IN_PROGRESS;
	switch (a % 6)
	{
		case 0:
		case 1:
			answer_payment(reply, names[seen], 0);
			break;
		case 2:
			answer_payment(reply, names[seen], b % 8);
			break;
		case 3:
			if (seen == IN_PROGRESS)
				answer_code(reply, code_of(PAY_TOSS_QUERY, PAY_MEANS_OPEN, 0));
			else
				answer_payment(reply, names[seen], 0);
			break;
		case 4:
			answer_code(reply, code_of(PAY_TOSS_QUERY, PAY_MEANS_LOOKUP_FAILED, b));
			break;
		default:
			answer_bytes(reply, 100 + 2 * b, b);
			break;
	}
}

/* Time passes; what is running comes to an end within the grace period. */
static void
pass_time(World *world, PayTime time, uint8_t b)
{
	world->now += time;
	if (world->running &&
		(b % 4 == 0 || world->now - world->authenticated_at >
		 PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE))
	{
		Kept	   *kept = &world->kept[world->running_key];

		world->running = false;
		if (b & 16)
		{
			execute(world);
			world->done_at -= SECOND;	/* it may have been a while ago */
			if (kept->status == 0)
			{
				kept->status = 200;
				payment_body(kept->body, "DONE", 0);
			}
		}
	}
	if (world->truth == IN_PROGRESS && !world->running &&
		!window_is_open(world) && (b & 32))
		world->truth = ABORTED;
}

/* One request, in the way that a and b say.  False: the call has ended. */
static bool
step(World *world, uint8_t a, uint8_t b)
{
	PayTossRequest request = {
		.operation = world->state.operation,
		.payment_key = PAYMENT_KEY,
		.order_id = ORDER_ID,
		.currency = "KRW",
		.amount = 15000000,
	};
	bool		is_confirm = request.operation == PAY_TOSS_CONFIRM;
	Reply		reply = {.transport = PAY_TRANSPORT_NO_ANSWER};
	PayTossBody body = {.verdict = PAY_TOSS_JSON_GARBAGE};
	PayTossAnswer answer;
	PayDecision decision;
	PayCallState before = world->state;

	if (a % 16 == 0)
		reply.transport = PAY_TRANSPORT_NOT_SENT;
	else
	{
		if (is_confirm && !world->state.reached_psp)
		{
			world->state.reached_psp = true;
			world->state.first_sent_at = world->now;
		}
		if (a % 16 > 1 && is_confirm)
			confirm_arrives(world, a / 16, b, &reply);
		else if (a % 16 > 1)
			query_arrives(world, a / 16, b, &reply);
		if (a % 16 == 2)
			reply.transport = PAY_TRANSPORT_NO_ANSWER;	/* it was lost */
	}

	if (a % 16 == 3)
	{
		/* the worker dies: the next run asks (pay_psp_call_begin_epoch) */
		world->state.outcome_unknown |= is_confirm;
		world->state.operation = PAY_TOSS_QUERY;
		if (world->state.phase == PAY_PHASE_EXPIRED)
			world->state.phase = PAY_PHASE_REFUSED;
		return true;
	}

	if (reply.transport == PAY_TRANSPORT_ANSWERED)
		pay_toss_json_read(reply.body, strlen(reply.body), &body);
	pay_toss_interpret(&request, reply.transport, reply.status, &body, &answer);
	pay_resolve(&world->state, answer.meaning, world->now, &decision);
	memory_reset();

	must(decision.delay >= 0 && decision.delay <= MAX_DELAY);
	switch (decision.action)
	{
		case PAY_ACTION_SUCCEED:
			must(world->truth == DONE);
			return false;
		case PAY_ACTION_FAIL:
			must(world->truth != DONE && !world->running);
			must(reply.transport == PAY_TRANSPORT_ANSWERED);
			return false;
		case PAY_ACTION_ESCALATE:
			must(world->state.failures >= 3);
			return false;
		case PAY_ACTION_RENEW:
			must(before.key_answered && !is_confirm &&
				 answer.meaning == PAY_MEANS_OPEN &&
				 world->now - before.first_sent_at < PAY_CONFIRM_WINDOW);
			if (world->key == MAX_KEYS - 1)
				return false;
			world->key++;
			break;
		case PAY_ACTION_RESEND:
			must(!decision.key_answered);
			break;
		case PAY_ACTION_QUERY:
			break;
		case PAY_ACTION_AWAIT_DEPOSIT:
			must(false);		/* this model issues no accounts */
			break;
		case PAY_ACTION_REFUND:
		case PAY_ACTION_REFUND_FAIL:
			must(false);		/* and takes nothing back */
	}
	must(decision.outcome_unknown || !before.outcome_unknown);
	must(decision.failures > before.failures);

	if (reply.transport == PAY_TRANSPORT_NOT_SENT && !before.reached_psp)
		world->state.reached_psp = false;
	world->state.operation = decision.action == PAY_ACTION_RESEND ||
		decision.action == PAY_ACTION_RENEW ? PAY_TOSS_CONFIRM : PAY_TOSS_QUERY;
	world->state.outcome_unknown = decision.outcome_unknown;
	world->state.key_answered = decision.key_answered;
	world->state.phase = decision.phase;
	world->state.failures = decision.failures;
	world->state.contradictions = decision.contradictions;
	world->now += decision.delay;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static World world;

	memset(&world, 0, sizeof(world));
	world.now = world.authenticated_at = INT64_C(1000000) * MINUTE;
	world.state.operation = PAY_TOSS_CONFIRM;
	world.state.phase = PAY_PHASE_TRYING;

	for (size_t i = 0; i + 2 < size; i += 3)
	{
		uint8_t		wait = data[i + 2];

		/* what would be a confirm is a query behind the window (psp_call.c) */
		if (world.state.reached_psp &&
			world.now - world.state.first_sent_at > PAY_CONFIRM_WINDOW)
			world.state.operation = PAY_TOSS_QUERY;
		if (!step(&world, data[i], data[i + 1]))
			break;
		pass_time(&world, wait < 200 ? wait * SECOND / 4 : (wait - 199) * MINUTE,
				  data[i + 1]);
	}
	return 0;
}
