/*
 * resolution_test.c
 *		No path of the resolution loses or doubles money.
 *
 * Besides a few rows for each rule, the test walks every path there is: a
 * model of Toss answers each attempt in every way that is possible in its
 * state (executed or not, now or later, the answer lost, the worker killed, a
 * query that lags), and what the resolution decides is checked against what
 * the model knows to be true.
 */
#include <stdlib.h>

#include "resolution.h"
#include "tap.h"

#define SECOND			INT64_C(1000000)
#define MINUTE			(60 * SECOND)
#define T0				(INT64_C(1000000) * MINUTE)

static const PayTossMeaning all_meanings[] = {
	PAY_MEANS_APPROVED, PAY_MEANS_WAITING, PAY_MEANS_CANCELED, PAY_MEANS_ABORTED,
	PAY_MEANS_OPEN, PAY_MEANS_REFUSED, PAY_MEANS_MISCONFIGURED, PAY_MEANS_LATER,
	PAY_MEANS_BUSY, PAY_MEANS_UNCERTAIN, PAY_MEANS_LOOKUP_FAILED,
	PAY_MEANS_NOT_SENT, PAY_MEANS_NO_ANSWER, PAY_MEANS_LAPSED,
};

#define N_MEANINGS ((int) (sizeof(all_meanings) / sizeof(all_meanings[0])))

static PayCallState
fresh_state(PayTossOperation operation)
{
	PayCallState state = {
		.operation = operation,
		.reached_psp = true,
		.phase = PAY_PHASE_TRYING,
		.first_sent_at = T0,
	};

	return state;
}

static PayDecision
resolve(PayCallState state, PayTossMeaning meaning, PayTime age)
{
	PayDecision decision;

	memset(&decision, 0x5a, sizeof(decision));
	pay_resolve(&state, meaning, T0 + age, &decision);
	return decision;
}

/* ---- single rules ---- */

static void
test_confirm_rules(void)
{
	PayCallState state = fresh_state(PAY_TOSS_CONFIRM);
	PayDecision d;

	d = resolve(state, PAY_MEANS_APPROVED, SECOND);
	tap_check(d.action == PAY_ACTION_SUCCEED && !d.orders_unknown, "approved");
	d = resolve(state, PAY_MEANS_WAITING, SECOND);
	tap_check(d.action == PAY_ACTION_AWAIT_DEPOSIT && d.delay == 5 * MINUTE &&
			  !d.orders_unknown && !d.outcome_unknown &&
			  d.phase == PAY_PHASE_DEPOSIT, "waiting");
	d = resolve(state, PAY_MEANS_WAITING, 180 * MINUTE);
	tap_check(d.delay == 15 * MINUTE, "less and less often");
	d = resolve(state, PAY_MEANS_WAITING, 7 * 24 * 60 * MINUTE);
	tap_check(d.delay == 120 * MINUTE, "but often enough");
	state.deposit_due_at = T0 + 7 * 24 * 60 * MINUTE + 20 * MINUTE;
	d = resolve(state, PAY_MEANS_WAITING, 7 * 24 * 60 * MINUTE);
	tap_check(d.delay == 21 * MINUTE, "and when its time is over");
	state.deposit_due_at = 0;
	d = resolve(state, PAY_MEANS_REFUSED, SECOND);
	tap_check(d.action == PAY_ACTION_FAIL && !d.orders_unknown, "refused");
	d = resolve(state, PAY_MEANS_MISCONFIGURED, SECOND);
	tap_check(d.action == PAY_ACTION_FAIL, "misconfigured");
	d = resolve(state, PAY_MEANS_LATER, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 30 * SECOND &&
			  d.key_answered && !d.orders_unknown && !d.outcome_unknown, "later");
	d = resolve(state, PAY_MEANS_BUSY, SECOND);
	tap_check(d.action == PAY_ACTION_RESEND && d.delay == SECOND &&
			  d.outcome_unknown && d.orders_unknown && !d.key_answered, "busy");
	state.failures = 3;
	d = resolve(state, PAY_MEANS_BUSY, 20 * SECOND);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 8 * SECOND &&
			  d.outcome_unknown && !d.key_answered, "busy for the fourth time");
	d = resolve(state, PAY_MEANS_BUSY, 16 * MINUTE);
	tap_check(d.action == PAY_ACTION_RESEND, "the same behind the window");
	state.failures = 0;
	d = resolve(state, PAY_MEANS_UNCERTAIN, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 0 && d.outcome_unknown &&
			  d.orders_unknown && d.key_answered, "uncertain");
	d = resolve(state, PAY_MEANS_NO_ANSWER, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == SECOND &&
			  d.outcome_unknown && d.orders_unknown && !d.key_answered, "no answer");
	d = resolve(state, PAY_MEANS_NOT_SENT, SECOND);
	tap_check(d.action == PAY_ACTION_RESEND && d.delay == SECOND &&
			  !d.outcome_unknown && !d.orders_unknown && !d.key_answered, "not sent");
	tap_checked("the first answer to a confirm");

	state.outcome_unknown = true;
	d = resolve(state, PAY_MEANS_REFUSED, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 0 && d.outcome_unknown &&
			  d.phase == PAY_PHASE_REFUSED && d.key_answered, "refused");
	d = resolve(state, PAY_MEANS_NOT_SENT, SECOND);
	tap_check(d.action == PAY_ACTION_RESEND && d.outcome_unknown, "not sent");
	d = resolve(state, PAY_MEANS_LATER, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY && d.outcome_unknown, "later");
	d = resolve(state, PAY_MEANS_NOT_SENT, 14 * MINUTE);
	tap_check(d.action == PAY_ACTION_RESEND, "within the grace period");
	d = resolve(state, PAY_MEANS_NOT_SENT, 16 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "behind it");
	d = resolve(state, PAY_MEANS_NOT_SENT, PAY_KEY_LIFETIME + MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "with an old key");
	d = resolve(state, PAY_MEANS_NO_ANSWER, 16 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "no answer, behind it");
	d = resolve(state, PAY_MEANS_BUSY, 60 * MINUTE);
	tap_check(d.action == PAY_ACTION_RESEND, "busy for an hour");
	d = resolve(state, PAY_MEANS_BUSY, PAY_KEY_LIFETIME + MINUTE);
	tap_check(d.action == PAY_ACTION_ESCALATE, "busy for a key's life");
	state.key_answered = true;
	d = resolve(state, PAY_MEANS_NOT_SENT, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY, "with an answered key");
	state.operation = PAY_TOSS_QUERY;
	state.asks_for_others = true;
	d = resolve(state, PAY_MEANS_LOOKUP_FAILED, SECOND);
	tap_check(d.action == PAY_ACTION_QUERY, "a probe, with an answered key");
	state.asks_for_others = false;
	state.key_changed = true;
	for (int minutes = 0; minutes <= 60; minutes += 4)
	{
		d = resolve(state, PAY_MEANS_OPEN, minutes * MINUTE);
		tap_check(d.action == PAY_ACTION_QUERY && d.outcome_unknown,
				  "another key finds nothing: that proves nothing");
	}
	state.failures = 40;
	d = resolve(state, PAY_MEANS_OPEN, 60 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "not for what told nothing");
	state.contradictions = 5;
	d = resolve(state, PAY_MEANS_OPEN, 60 * MINUTE);
	tap_check(d.action == PAY_ACTION_ESCALATE, "then a person looks");
	tap_checked("answers behind doubt");
}

static void
test_query_rules(void)
{
	PayCallState state = fresh_state(PAY_TOSS_QUERY);
	PayDecision d;

	state.outcome_unknown = true;
	state.key_answered = true;
	d = resolve(state, PAY_MEANS_APPROVED, MINUTE);
	tap_check(d.action == PAY_ACTION_SUCCEED, "approved");
	d = resolve(state, PAY_MEANS_WAITING, MINUTE);
	tap_check(d.action == PAY_ACTION_AWAIT_DEPOSIT, "waiting");
	d = resolve(state, PAY_MEANS_ABORTED, MINUTE);
	tap_check(d.action == PAY_ACTION_FAIL, "aborted");
	d = resolve(state, PAY_MEANS_CANCELED, MINUTE);
	tap_check(d.action == PAY_ACTION_ESCALATE && d.orders_unknown, "canceled");
	d = resolve(state, PAY_MEANS_OPEN, MINUTE);
	tap_check(d.action == PAY_ACTION_RENEW && d.outcome_unknown && !d.key_answered &&
			  d.delay >= SECOND, "open, answered key");
	d = resolve(state, PAY_MEANS_OPEN, 10 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 30 * SECOND, "window over");
	d = resolve(state, PAY_MEANS_OPEN, 15 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && d.phase == PAY_PHASE_TRYING, "grace");
	d = resolve(state, PAY_MEANS_OPEN, 15 * MINUTE + 1);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 30 * SECOND &&
			  d.phase == PAY_PHASE_EXPIRED, "expired, seen once");
	state.phase = PAY_PHASE_EXPIRED;
	d = resolve(state, PAY_MEANS_OPEN, 16 * MINUTE);
	tap_check(d.action == PAY_ACTION_FAIL, "expired, seen twice");
	d = resolve(state, PAY_MEANS_OPEN, MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "the clock went back");
	state.phase = PAY_PHASE_REFUSED;
	d = resolve(state, PAY_MEANS_OPEN, MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 30 * SECOND, "refused before");
	state.phase = PAY_PHASE_TRYING;
	state.key_answered = false;
	d = resolve(state, PAY_MEANS_OPEN, MINUTE);
	tap_check(d.action == PAY_ACTION_RESEND && d.delay == 0, "open, unanswered key");
	d = resolve(state, PAY_MEANS_LOOKUP_FAILED, MINUTE);
	tap_check(d.action == PAY_ACTION_RESEND && d.delay == SECOND, "could not look, unanswered key");
	d = resolve(state, PAY_MEANS_NOT_SENT, MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == SECOND, "not even asked");
	d = resolve(state, PAY_MEANS_OPEN, 10 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "no resending when the window is over");
	d = resolve(state, PAY_MEANS_NO_ANSWER, 10 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY, "nor when that cannot be seen");
	state.reached_psp = false;
	d = resolve(state, PAY_MEANS_OPEN, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_RESEND, "never sent");
	state.outcome_unknown = false;
	for (int is_probe = 0; is_probe < 2; is_probe++)
	{
		state.asks_for_others = is_probe;
		d = resolve(state, PAY_MEANS_LOOKUP_FAILED, MINUTE);
		tap_check(d.action == (is_probe ? PAY_ACTION_RESEND : PAY_ACTION_QUERY) && !d.outcome_unknown,
				  "never sent, and could not look: sent if it asked as a probe");
		d = resolve(state, PAY_MEANS_NO_ANSWER, MINUTE);
		tap_check(d.action == (is_probe ? PAY_ACTION_RESEND : PAY_ACTION_QUERY), "the same without an answer");
	}
	state = fresh_state(PAY_TOSS_QUERY);
	state.outcome_unknown = true;
	d = resolve(state, PAY_MEANS_LAPSED, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && d.delay == 30 * SECOND &&
			  d.phase == PAY_PHASE_LAPSED && !d.outcome_unknown && d.key_answered,
			  "closed, seen once");
	state.phase = PAY_PHASE_LAPSED;
	d = resolve(state, PAY_MEANS_LAPSED, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_FAIL, "closed, seen twice");
	d = resolve(state, PAY_MEANS_APPROVED, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_SUCCEED, "paid at the last moment");
	d = resolve(state, PAY_MEANS_WAITING, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_AWAIT_DEPOSIT && d.phase == PAY_PHASE_DEPOSIT, "open again");
	d = resolve(state, PAY_MEANS_OPEN, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && d.orders_unknown, "closed, and not there");
	d = resolve(state, PAY_MEANS_LOOKUP_FAILED, 1000 * MINUTE);
	tap_check(d.phase == PAY_PHASE_LAPSED, "could not look");
	tap_checked("answers to a query");

	state = fresh_state(PAY_TOSS_QUERY);
	state.phase = PAY_PHASE_DEPOSIT;
	for (int i = 0; i < 5; i++)
	{
		state.contradictions = i;
		d = resolve(state, PAY_MEANS_OPEN, 1000 * MINUTE);
		tap_check(d.action == PAY_ACTION_QUERY && d.contradictions == i + 1, "%d", i);
		d = resolve(state, PAY_MEANS_UNCERTAIN, 1000 * MINUTE);
		tap_check(d.action == PAY_ACTION_QUERY, "%d", i);
	}
	state.contradictions = 5;
	d = resolve(state, PAY_MEANS_OPEN, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_ESCALATE, "open where an account was issued");
	d = resolve(state, PAY_MEANS_UNCERTAIN, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_ESCALATE, "mismatch");
	d = resolve(state, PAY_MEANS_LOOKUP_FAILED, 1000 * MINUTE);
	tap_check(d.action == PAY_ACTION_QUERY && !d.orders_unknown, "could not look");
	tap_checked("contradictions go to a person");
}

/*
 * A person is called for what is really contradicted, and not for an outage: it
 * may last for hours, end with one odd answer of a copy that lags, and it is
 * nobody's affair.
 */
static void
test_persons(void)
{
	static const PayTossMeaning nothing[] = {
		PAY_MEANS_LOOKUP_FAILED, PAY_MEANS_NO_ANSWER, PAY_MEANS_NOT_SENT,
	};

	for (int kind = 0; kind < 4; kind++)
	{
		PayCallState state = fresh_state(PAY_TOSS_QUERY);
		PayTossMeaning odd = kind == 0 ? PAY_MEANS_UNCERTAIN : PAY_MEANS_OPEN;
		PayTime		all = 0;
		int			n = 0;
		PayDecision d;

		state.outcome_unknown = true;
		state.key_changed = kind == 1 || kind == 3;
		state.is_refund = kind == 3;
		if (kind == 2)
			state.phase = PAY_PHASE_DEPOSIT;

		/* the outage, whatever is asked or sent in it */
		for (int i = 0; i < 200; i++)
		{
			d = resolve(state, nothing[i % 3], MINUTE * (1 + i));
			tap_check(d.action != PAY_ACTION_ESCALATE, "kind %d: for an outage", kind);
			state.failures = d.failures;
			state.contradictions = d.contradictions;
		}
		do
		{
			d = resolve(state, odd, 201 * MINUTE);
			state.failures = d.failures;
			state.contradictions = d.contradictions;
			all += d.delay;
			n++;

			/* one in between that tells nothing neither counts nor forgives */
			if (d.action == PAY_ACTION_QUERY)
			{
				d = resolve(state, PAY_MEANS_LOOKUP_FAILED, 201 * MINUTE);
				state.failures = d.failures;
				state.contradictions = d.contradictions;
			}
		} while (d.action != PAY_ACTION_ESCALATE && n < 100);
		tap_check(n == 6 && all > 7 * MINUTE && all < 8 * MINUTE,
				  "kind %d: after %d answers, %d s", kind, n, (int) (all / SECOND));

		state.contradictions = INT32_MAX;
		d = resolve(state, odd, 201 * MINUTE);
		tap_check(d.action == PAY_ACTION_ESCALATE && d.contradictions > 0, "overflow");
		state.contradictions = -1;
		d = resolve(state, odd, 201 * MINUTE);
		tap_check(d.action == PAY_ACTION_QUERY && d.contradictions == 1, "below zero");
	}
	tap_checked("a person is called for six contradictions in seven minutes, and for no outage");

	/* an answer that is what it should be ends the row */
	{
		PayCallState state = fresh_state(PAY_TOSS_QUERY);
		PayDecision d;

		state.contradictions = 5;
		d = resolve(state, PAY_MEANS_OPEN, MINUTE);
		ok(d.contradictions == 0, "an answer in order ends the row");
	}
}

static void
test_back_off(void)
{
	static const struct
	{
		PayTossOperation operation;
		PayTossMeaning meaning;
		PayTime		cap;
		bool		key_answered;
		int			turns;		/* how many kinds of attempts alternate */
		bool		in_doubt;
	}			rows[] = {
		{PAY_TOSS_CONFIRM, PAY_MEANS_NOT_SENT, 60 * SECOND, false, 1},
		{PAY_TOSS_CONFIRM, PAY_MEANS_NO_ANSWER, 60 * SECOND, false, 2},
		{PAY_TOSS_CONFIRM, PAY_MEANS_BUSY, 30 * SECOND, false, 1},
		{PAY_TOSS_CONFIRM, PAY_MEANS_UNCERTAIN, 300 * SECOND, false, 1},
		{PAY_TOSS_QUERY, PAY_MEANS_OPEN, 60 * SECOND, false, 2},
		{PAY_TOSS_QUERY, PAY_MEANS_LOOKUP_FAILED, 60 * SECOND, false, 2, true},
		{PAY_TOSS_QUERY, PAY_MEANS_LOOKUP_FAILED, 300 * SECOND, false, 1},
		{PAY_TOSS_QUERY, PAY_MEANS_NO_ANSWER, 60 * SECOND, false, 2, true},
		{PAY_TOSS_QUERY, PAY_MEANS_NO_ANSWER, 300 * SECOND, false, 1},
		{PAY_TOSS_QUERY, PAY_MEANS_LOOKUP_FAILED, 300 * SECOND, true, 1},
		{PAY_TOSS_QUERY, PAY_MEANS_NOT_SENT, 300 * SECOND, false, 1},
		{PAY_TOSS_QUERY, PAY_MEANS_NO_ANSWER, 300 * SECOND, true, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		PayCallState state = fresh_state(rows[i].operation);
		PayTime		before = 0;
		PayDecision d;

		state.key_answered = rows[i].key_answered;
		state.outcome_unknown = rows[i].in_doubt;
		for (int n = 0; n < 40; n++)
		{
			d = resolve(state, rows[i].meaning, SECOND);
			tap_check(d.failures == n + 1, "%d failures", d.failures);
			tap_check(d.delay >= before && d.delay <= rows[i].cap &&
					  (d.delay > before || before == rows[i].cap || n == 0 || n % rows[i].turns != 0), "row %zu, %d: %d s",
					  i, n, (int) (d.delay / SECOND));
			before = d.delay;
			state.failures = d.failures;
			state.contradictions = d.contradictions;
		}
		tap_check(before == rows[i].cap, "row %zu ends at %d s", i, (int) (before / SECOND));
		state.failures = INT32_MAX;
		d = resolve(state, rows[i].meaning, SECOND);
		tap_check(d.delay == rows[i].cap && d.failures > 0, "row %zu overflows", i);
		state.failures = -5;
		d = resolve(state, rows[i].meaning, SECOND);
		tap_check(d.failures == 1, "row %zu below zero", i);
	}
	tap_checked("repetitions come later and later, up to a cap");
}

/* ---- every input ---- */

/*
 * How often attempts were fruitless decides nothing but when, and whether a key
 * that is busy is asked about or sent again.
 */
static void
check_failures(PayCallState state, PayTossMeaning meaning, PayTime age, const PayDecision *d)
{
	PayDecision first;

	state.failures = 0;
	first = resolve(state, meaning, age);
	tap_check(first.action == d->action ||
			  (meaning == PAY_MEANS_BUSY && state.operation == PAY_TOSS_CONFIRM &&
			   (first.action == PAY_ACTION_RESEND || first.action == PAY_ACTION_QUERY) &&
			   (d->action == PAY_ACTION_RESEND || d->action == PAY_ACTION_QUERY)),
			  "failures decide what is done");
	tap_check(first.orders_unknown == d->orders_unknown && first.outcome_unknown == d->outcome_unknown &&
			  first.key_answered == d->key_answered && first.phase == d->phase &&
			  first.contradictions == d->contradictions, "failures decide what is known");
}

static void
test_every_input(void)
{
	static const PayTime ages[] = {
		-MINUTE, 0, SECOND, 9 * MINUTE, 10 * MINUTE - 1, 10 * MINUTE, 12 * MINUTE,
		15 * MINUTE, 15 * MINUTE + 1, 60 * MINUTE, PAY_KEY_LIFETIME, PAY_KEY_LIFETIME + 1,
	};
	static const PayCallPhase phases[] = {
		PAY_PHASE_TRYING, PAY_PHASE_REFUSED, PAY_PHASE_EXPIRED, PAY_PHASE_DEPOSIT,
		PAY_PHASE_LAPSED, 0,
	};

	for (int bits = 0; bits < 32; bits++)
	{
		for (int m = 0; m < N_MEANINGS; m++)
		{
			for (size_t a = 0; a < sizeof(ages) / sizeof(ages[0]); a++)
			{
				for (size_t p = 0; p < sizeof(phases) / sizeof(phases[0]); p++)
				{
					for (int failures = 0; failures < 12; failures++)
					{
						PayCallState s = fresh_state(bits & 1 ? PAY_TOSS_CONFIRM : PAY_TOSS_QUERY);
						PayTossMeaning meaning = all_meanings[m];
						PayDecision d;
						bool		final;

						s.outcome_unknown = bits & 2;
						s.key_answered = bits & 4;
						s.reached_psp = bits & 8;
						s.asks_for_others = bits & 16;
						s.phase = phases[p];
						s.failures = failures;
						d = resolve(s, meaning, ages[a]);
						check_failures(s, meaning, ages[a], &d);
						final = d.action == PAY_ACTION_SUCCEED || d.action == PAY_ACTION_FAIL;

						tap_check((unsigned) d.action <= PAY_ACTION_ESCALATE &&
								  d.delay >= 0 &&
								  d.delay <= (d.action == PAY_ACTION_AWAIT_DEPOSIT ? 120 : 5) * MINUTE &&
								  d.failures >= 0 && strchr("TRXDL", d.phase) != NULL,
								  "a decision is complete");
						tap_check(d.action != PAY_ACTION_SUCCEED || meaning == PAY_MEANS_APPROVED,
								  "success without an approval");
						tap_check(d.action != PAY_ACTION_AWAIT_DEPOSIT || meaning == PAY_MEANS_WAITING,
								  "a deposit without an account");
						tap_check(d.action != PAY_ACTION_RENEW ||
								  (s.operation == PAY_TOSS_QUERY && meaning == PAY_MEANS_OPEN &&
								   s.key_answered && s.reached_psp && ages[a] < PAY_CONFIRM_WINDOW &&
								   (s.phase == PAY_PHASE_TRYING || s.phase == 0)),
								  "a new key without proof");
						tap_check(d.action != PAY_ACTION_RESEND ||
								  (s.operation == PAY_TOSS_CONFIRM ? meaning == PAY_MEANS_BUSY || meaning == PAY_MEANS_NOT_SENT
								   : meaning == PAY_MEANS_OPEN || meaning == PAY_MEANS_LOOKUP_FAILED || meaning == PAY_MEANS_NO_ANSWER),
								  "sent again without a query");
						tap_check(d.action != PAY_ACTION_RESEND || !s.key_answered || !s.reached_psp ||
								  meaning == PAY_MEANS_BUSY,
								  "an answered key is sent again");
						tap_check(final || d.outcome_unknown || !s.outcome_unknown ||
								  meaning == PAY_MEANS_WAITING ||
								  (meaning == PAY_MEANS_LAPSED && s.operation == PAY_TOSS_QUERY),
								  "doubt was forgotten");
						tap_check(final || d.orders_unknown == d.outcome_unknown,
								  "orders and outcome disagree");
						tap_check(d.action != PAY_ACTION_FAIL ||
								  meaning == PAY_MEANS_ABORTED ||
								  (meaning == PAY_MEANS_LAPSED && s.phase == PAY_PHASE_LAPSED) ||
								  (meaning == PAY_MEANS_OPEN && s.phase == PAY_PHASE_EXPIRED &&
								   ages[a] > PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE) ||
								  ((meaning == PAY_MEANS_REFUSED || meaning == PAY_MEANS_MISCONFIGURED) &&
								   s.operation == PAY_TOSS_CONFIRM && !s.outcome_unknown &&
								   (s.phase == PAY_PHASE_TRYING || s.phase == 0)),
								  "failure without proof");
						tap_check(d.action == PAY_ACTION_SUCCEED || d.action == PAY_ACTION_FAIL ||
								  d.action == PAY_ACTION_AWAIT_DEPOSIT || d.failures == failures + 1,
								  "a fruitless attempt is counted");
					}
				}
			}
		}
	}
	tap_checked("every state with every meaning");

	for (int i = 0; i <= PAY_ACTION_ESCALATE; i++)
		tap_check(pay_action_name(i) != NULL, "%d", i);
	tap_check(same_text(pay_action_name(99), "unknown"), "99");
	tap_checked("names");
}

/* ---- the model ---- */

typedef enum Truth
{
	IN_PROGRESS,
	DONE,						/* money moved */
	WAITING,					/* an account is open for money */
	ENDED,						/* aborted or expired: no money, never */
	CANCELED,					/* money moved and went back */
	CLOSED,						/* an account that nobody paid into */
	LAST_MOMENT					/* paid as it closed: a query may lag */
} Truth;

typedef enum Stored
{
	NOTHING,
	S_APPROVED,
	S_WAITING,
	S_REFUSED,
	S_UNCERTAIN,
	S_LATER
} Stored;

#define STEP			5		/* seconds: how fine the model's time is */
#define END_OF_TIME		(25 * 60 / STEP)
#define LAG_STEPS		4		/* a query may lag so far behind */
#define MAX_FAILURES	12		/* more make no difference */

/* The call as its row knows it, and the world as Toss knows it. */
typedef struct World
{
	PayCallState state;			/* of the attempt to come */
	bool		orders_unknown;
	int			age;			/* steps since the first confirm was sent */
	Truth		truth;
	Stored		stored;			/* under the present key */
	bool		running;		/* a request of ours may still be executed */
	bool		running_is_ours;	/* and it has the present key */
	int			lag;			/* steps in which a query may say IN_PROGRESS */
} World;

static const PayTossMeaning stored_meaning[] = {
	[S_APPROVED] = PAY_MEANS_APPROVED,
	[S_WAITING] = PAY_MEANS_WAITING,
	[S_REFUSED] = PAY_MEANS_REFUSED,
	[S_UNCERTAIN] = PAY_MEANS_UNCERTAIN,
	[S_LATER] = PAY_MEANS_LATER,
};

#define SEEN_SIZE		(1 << 24)

static uint64_t *seen;
static size_t n_seen;
static World *todo;
static size_t n_todo;
static size_t max_todo;
static size_t n_ends[PAY_ACTION_ESCALATE + 1];

static uint64_t
encode(const World *w)
{
	uint64_t	code = 1;

	code = code << 1 | (w->state.operation == PAY_TOSS_CONFIRM);
	code = code << 1 | w->state.outcome_unknown;
	code = code << 1 | w->state.key_answered;
	code = code << 1 | w->state.reached_psp;
	code = code << 8 | (uint8_t) w->state.phase;
	code = code << 5 | w->state.failures;
	code = code << 3 | w->state.contradictions;
	code = code << 1 | w->orders_unknown;
	code = code << 10 | w->age;
	code = code << 3 | w->truth;
	code = code << 3 | w->stored;
	code = code << 1 | w->running;
	code = code << 1 | w->running_is_ours;
	code = code << 4 | w->lag;
	return code;
}

/* Go on from here, unless that was done before. */
static void
visit(const World *world)
{
	uint64_t	code = encode(world);
	size_t		place = (code * UINT64_C(0x9E3779B97F4A7C15)) >> 40;

	while (seen[place] != 0)
	{
		if (seen[place] == code)
			return;
		place = (place + 1) % SEEN_SIZE;
	}
	if (++n_seen > SEEN_SIZE / 4 * 3)
	{
		printf("Bail out! too many states\n");
		exit(1);
	}
	seen[place] = code;
	if (n_todo == max_todo)
	{
		max_todo = max_todo * 2 + 1024;
		todo = realloc(todo, max_todo * sizeof(World));
	}
	todo[n_todo++] = *world;
}

static void
pass_time(World *world, int steps)
{
	if (world->state.reached_psp)
		world->age += steps;
	if (world->age > END_OF_TIME)
		world->age = END_OF_TIME;
	world->lag = world->lag > steps ? world->lag - steps : 0;
}

static PayTime
age_of(const World *world)
{
	return (PayTime) world->age * STEP * SECOND;
}

/* The attempt ended with a meaning: decide, check, and go on. */
static void
conclude(World world, PayTossMeaning meaning)
{
	PayDecision d;
	bool		money = world.truth == DONE || world.truth == WAITING ||
	world.truth == CANCELED || world.truth == LAST_MOMENT;

	pay_resolve(&world.state, meaning, T0 + age_of(&world), &d);
	n_ends[d.action]++;

	switch (d.action)
	{
		case PAY_ACTION_SUCCEED:

			/*
			 * A key repeats its approval although somebody has cancelled the
			 * payment since: that is news that comes after the success.
			 */
			tap_check(world.truth == DONE || world.truth == LAST_MOMENT ||
					  (world.truth == CANCELED && world.stored == S_APPROVED &&
					   world.state.operation == PAY_TOSS_CONFIRM),
					  "success, but truth is %d", world.truth);
			return;
		case PAY_ACTION_FAIL:
			tap_check(!money && !world.running,
					  "failure at %d s, but truth is %d, running %d",
					  world.age * STEP, world.truth, world.running);
			return;
		case PAY_ACTION_ESCALATE:
			return;
		case PAY_ACTION_RENEW:
			tap_check(world.stored != NOTHING || world.truth != IN_PROGRESS ||
					  world.state.key_answered, "a new key while the old one is unused");
			world.stored = NOTHING;
			world.running_is_ours = false;
			break;
		case PAY_ACTION_AWAIT_DEPOSIT:
			tap_check(money || world.truth == CLOSED, "a deposit is awaited, but truth is %d", world.truth);
			break;
		default:
			break;
	}

	if (money && d.action != PAY_ACTION_AWAIT_DEPOSIT)
		tap_check(d.outcome_unknown || world.state.phase == PAY_PHASE_DEPOSIT ||
				  d.phase == PAY_PHASE_LAPSED,
				  "money moved, but the outcome counts as known");
	world.orders_unknown = world.orders_unknown || d.orders_unknown;
	world.state.outcome_unknown = d.outcome_unknown;
	world.state.key_answered = d.key_answered;
	world.state.phase = d.phase;
	world.state.failures = d.failures > MAX_FAILURES ? MAX_FAILURES : d.failures;
	world.state.contradictions = d.contradictions;
	world.state.operation = d.action == PAY_ACTION_RESEND || d.action == PAY_ACTION_RENEW
		? PAY_TOSS_CONFIRM : PAY_TOSS_QUERY;
	pass_time(&world, (int) ((d.delay + STEP * SECOND - 1) / (STEP * SECOND)));
	visit(&world);
}

/* The answer was on its way: it arrives, is lost, or meets a dead worker. */
static void
answered(World world, PayTossMeaning meaning)
{
	World		slow = world;

	conclude(world, meaning);
	conclude(world, PAY_MEANS_NO_ANSWER);
	pass_time(&slow, 35 / STEP);
	conclude(slow, PAY_MEANS_NO_ANSWER);

	/* A worker that comes back asks before it sends. */
	if (world.state.operation == PAY_TOSS_CONFIRM)
		world.state.outcome_unknown = world.orders_unknown = true;
	world.state.operation = PAY_TOSS_QUERY;
	visit(&world);
}

static void
executed(World world, Truth truth, Stored stored)
{
	world.truth = truth;
	world.stored = stored;
	world.running = world.running_is_ours = false;
	world.lag = truth == DONE || truth == WAITING ? LAG_STEPS : 0;
	answered(world, stored_meaning[stored]);
}

static bool
window_is_open(const World *world)
{
	return age_of(world) < PAY_CONFIRM_WINDOW;
}

/* A confirm reaches Toss. */
static void
confirm_arrives(World world)
{
	if (world.stored != NOTHING)
	{
		answered(world, stored_meaning[world.stored]);
		return;
	}
	if (world.running && world.running_is_ours)
	{
		answered(world, PAY_MEANS_BUSY);
		return;
	}
	if (world.running)
	{
		/* "is being processed", under an earlier key */
		world.stored = S_UNCERTAIN;
		answered(world, PAY_MEANS_UNCERTAIN);
		return;
	}
	if (world.truth != IN_PROGRESS)
	{
		/* "already processed", or "no such session" */
		executed(world, world.truth, S_UNCERTAIN);
		executed(world, world.truth, S_REFUSED);
		return;
	}
	if (!window_is_open(&world))
	{
		executed(world, ENDED, S_REFUSED);
		executed(world, IN_PROGRESS, S_REFUSED);
		return;
	}

	executed(world, DONE, S_APPROVED);
	executed(world, DONE, S_UNCERTAIN);
	executed(world, WAITING, S_WAITING);
	executed(world, WAITING, S_UNCERTAIN);
	executed(world, ENDED, S_REFUSED);
	executed(world, ENDED, S_UNCERTAIN);
	executed(world, IN_PROGRESS, S_REFUSED);
	executed(world, IN_PROGRESS, S_LATER);
	executed(world, IN_PROGRESS, S_UNCERTAIN);
	answered(world, PAY_MEANS_MISCONFIGURED);

	/* Taken up, and answered before it is done, or not at all. */
	world.running = world.running_is_ours = true;
	conclude(world, PAY_MEANS_NO_ANSWER);
	world.stored = S_UNCERTAIN;
	answered(world, PAY_MEANS_UNCERTAIN);
}

static void
query_arrives(World world)
{
	static const PayTossMeaning visible[] = {
		[IN_PROGRESS] = PAY_MEANS_OPEN, [DONE] = PAY_MEANS_APPROVED,
		[WAITING] = PAY_MEANS_WAITING, [ENDED] = PAY_MEANS_ABORTED,
		[CANCELED] = PAY_MEANS_CANCELED, [CLOSED] = PAY_MEANS_LAPSED,
		[LAST_MOMENT] = PAY_MEANS_APPROVED,
	};

	answered(world, visible[world.truth]);
	conclude(world, PAY_MEANS_LOOKUP_FAILED);
	conclude(world, PAY_MEANS_UNCERTAIN);
	if (world.lag > 0)
		answered(world, world.truth == LAST_MOMENT ? PAY_MEANS_LAPSED : PAY_MEANS_OPEN);
}

/* One attempt, in every way that it can go. */
static void
attempt(World world)
{
	if (world.state.operation == PAY_TOSS_CONFIRM)
	{
		bool		first = !world.state.reached_psp;

		world.state.reached_psp = false;
		if (first)
			conclude(world, PAY_MEANS_NOT_SENT);
		world.state.reached_psp = true;
		if (!first)
			conclude(world, PAY_MEANS_NOT_SENT);
		conclude(world, PAY_MEANS_NO_ANSWER);	/* it never arrived */
		confirm_arrives(world);
	}
	else
	{
		conclude(world, PAY_MEANS_NOT_SENT);
		query_arrives(world);
	}
}

/* What may happen at Toss while nobody looks. */
static void
drift(const World *world)
{
	World		next = *world;

	if (next.running)
	{
		/* It comes to an end, one way or the other, within the grace period. */
		next.running = next.running_is_ours = false;
		if (next.truth == IN_PROGRESS)
		{
			next.truth = DONE;
			next.lag = LAG_STEPS;
			if (world->running_is_ours && next.stored == NOTHING)
				next.stored = S_APPROVED;
			visit(&next);
			next.truth = ENDED;
			if (world->running_is_ours && world->stored == NOTHING)
				next.stored = S_REFUSED;
			visit(&next);
			next.truth = IN_PROGRESS;
			next.stored = world->stored;
		}
		visit(&next);
	}
	else if (next.truth == IN_PROGRESS && !window_is_open(world))
	{
		next.truth = ENDED;
		visit(&next);
	}
	else if (next.truth == WAITING)
	{
		next.truth = DONE;
		visit(&next);
		next.truth = CLOSED;
		visit(&next);
		next.truth = LAST_MOMENT;
		next.lag = LAG_STEPS;
		visit(&next);
	}
	else if (next.truth == DONE)
	{
		next.truth = CANCELED;
		visit(&next);
	}
}

/*
 * From now on one way is dead: queries bring nothing, or confirms are never
 * answered, although they arrive.  Does the call come to an end by the other?
 */
static bool
ends_by_one_way(World world, bool by_queries)
{
	for (int steps = 0; steps < 100; steps++)
	{
		bool		is_query = world.state.operation == PAY_TOSS_QUERY;
		PayTossMeaning meaning = is_query ? PAY_MEANS_LOOKUP_FAILED : PAY_MEANS_NO_ANSWER;
		PayDecision d;

		if (world.truth == IN_PROGRESS && !window_is_open(&world))
			world.truth = ENDED;
		if (!is_query && world.stored == NOTHING && world.truth == IN_PROGRESS)
		{
			world.truth = DONE;
			world.stored = S_APPROVED;
		}
		if (is_query && by_queries)
			meaning = world.truth == IN_PROGRESS ? PAY_MEANS_OPEN
				: world.truth == DONE || world.truth == LAST_MOMENT ? PAY_MEANS_APPROVED
				: world.truth == CLOSED ? PAY_MEANS_LAPSED
				: world.truth == ENDED ? PAY_MEANS_ABORTED : PAY_MEANS_CANCELED;
		else if (!is_query && !by_queries)
			meaning = stored_meaning[world.stored];
		world.state.reached_psp = true;
		pay_resolve(&world.state, meaning, T0 + age_of(&world), &d);
		if (pay_action_closes(d.action) || d.action == PAY_ACTION_ESCALATE)
			return true;
		if (d.action == PAY_ACTION_RENEW)
			world.stored = NOTHING;
		world.state.operation = d.action == PAY_ACTION_RESEND ||
			d.action == PAY_ACTION_RENEW ? PAY_TOSS_CONFIRM : PAY_TOSS_QUERY;
		world.state.outcome_unknown = d.outcome_unknown;
		world.state.key_answered = d.key_answered;
		world.state.phase = d.phase;
		world.state.failures = d.failures;
		world.state.contradictions = d.contradictions;
		pass_time(&world, (int) ((d.delay + STEP * SECOND - 1) / (STEP * SECOND)));
	}
	return false;
}

/* Can another confirm bring the truth, with time for the longest delay? */
static bool
confirms_suffice(const World *world)
{
	return !world->state.key_answered && world->state.phase == PAY_PHASE_TRYING &&
		age_of(world) + 2 * MINUTE < PAY_CONFIRM_WINDOW &&
		(world->stored == S_APPROVED || (world->stored == NOTHING && world->truth == IN_PROGRESS));
}

/* Would Toss have ended what was running by now? */
static bool
is_possible(const World *world)
{
	return !world->running ||
		age_of(world) <= PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE;
}

static void
test_model(void)
{
	World		start = {
		.state = fresh_state(PAY_TOSS_CONFIRM),
	};
	size_t		stuck = 0;
	size_t		one_way = 0;
	size_t		stuck_one_way = 0;

	seen = calloc(SEEN_SIZE, sizeof(uint64_t));
	start.state.reached_psp = false;
	visit(&start);
	while (n_todo > 0)
	{
		World		world = todo[--n_todo];

		if (!is_possible(&world))
		{
			/* Only its ends are. */
			drift(&world);
			continue;
		}
		drift(&world);
		attempt(world);

		/* Toss and the network are well from now on: it comes to an end. */
		if (!world.running && world.truth != WAITING)
		{
			World		well = world;
			int			steps;

			if (!ends_by_one_way(world, true))
				stuck_one_way++;
			if (confirms_suffice(&world))
			{
				one_way++;
				if (!ends_by_one_way(world, false))
					stuck_one_way++;
			}
			well.lag = 0;
			for (steps = 0; steps < 100; steps++)
			{
				PayTossMeaning meaning;
				PayDecision d;

				if (well.truth == IN_PROGRESS && !window_is_open(&well))
					well.truth = ENDED;
				if (well.state.operation == PAY_TOSS_QUERY)
					meaning = well.truth == IN_PROGRESS ? PAY_MEANS_OPEN
						: well.truth == DONE || well.truth == LAST_MOMENT ? PAY_MEANS_APPROVED
						: well.truth == CLOSED ? PAY_MEANS_LAPSED
						: well.truth == ENDED ? PAY_MEANS_ABORTED : PAY_MEANS_CANCELED;
				else if (well.stored != NOTHING)
					meaning = stored_meaning[well.stored];
				else if (well.truth == IN_PROGRESS)
				{
					meaning = PAY_MEANS_APPROVED;
					well.truth = DONE;
				}
				else
					meaning = PAY_MEANS_UNCERTAIN;
				well.state.reached_psp = true;
				pay_resolve(&well.state, meaning, T0 + age_of(&well), &d);
				if (d.action == PAY_ACTION_SUCCEED || d.action == PAY_ACTION_FAIL ||
					d.action == PAY_ACTION_ESCALATE)
					break;
				if (d.action == PAY_ACTION_RENEW)
					well.stored = NOTHING;
				well.state.operation = d.action == PAY_ACTION_RESEND ||
					d.action == PAY_ACTION_RENEW ? PAY_TOSS_CONFIRM : PAY_TOSS_QUERY;
				well.state.outcome_unknown = d.outcome_unknown;
				well.state.key_answered = d.key_answered;
				well.state.phase = d.phase;
				well.state.failures = d.failures;
				well.state.contradictions = d.contradictions;
				pass_time(&well, (int) ((d.delay + STEP * SECOND - 1) / (STEP * SECOND)));
			}
			if (steps == 100)
				stuck++;
		}
	}
	printf("# %zu states; decided %zu successes, %zu failures, %zu escalations, %zu new keys\n",
		   n_seen, n_ends[PAY_ACTION_SUCCEED], n_ends[PAY_ACTION_FAIL],
		   n_ends[PAY_ACTION_ESCALATE], n_ends[PAY_ACTION_RENEW]);
	tap_check(n_ends[PAY_ACTION_SUCCEED] > 0 && n_ends[PAY_ACTION_FAIL] > 0 &&
			  n_ends[PAY_ACTION_RENEW] > 0 && n_ends[PAY_ACTION_ESCALATE] > 0 &&
			  n_ends[PAY_ACTION_AWAIT_DEPOSIT] > 0, "the model reaches every kind of end");
	tap_checked("on every path, a final state is the truth");
	ok(stuck == 0, "from every state the call ends once Toss is well (%zu stuck)", stuck);
	ok(stuck_one_way == 0 && one_way > 0,
	   "by queries alone too, and from %zu states by confirms alone (%zu stuck)", one_way, stuck_one_way);
	free(seen);
	free(todo);
}

/*
 * A look asks, and ends: with what Toss shows, or after so many answers that
 * show nothing.  It says nothing about the order, and needs no person.
 */
static void
test_look(void)
{
	for (int i = 0; i < N_MEANINGS; i++)
	{
		PayTossMeaning meaning = all_meanings[i];
		bool		shows = meaning == PAY_MEANS_APPROVED || meaning == PAY_MEANS_WAITING ||
		meaning == PAY_MEANS_LAPSED || meaning == PAY_MEANS_CANCELED || meaning == PAY_MEANS_ABORTED;
		bool		waits = meaning == PAY_MEANS_WAITING || meaning == PAY_MEANS_LAPSED;
		PayCallState state = {.operation = PAY_TOSS_QUERY,.is_look = true,.phase = PAY_PHASE_TRYING};
		PayTime		all = 0;
		PayDecision d;
		int			n = 0;

		do
		{
			d = resolve(state, meaning, 365 * 24 * 60 * MINUTE);
			tap_check(!d.orders_unknown && !d.outcome_unknown, "it doubts");
			tap_check(d.action == PAY_ACTION_QUERY || pay_action_closes(d.action), "it sends");
			tap_check(d.action != PAY_ACTION_QUERY || d.delay >= SECOND, "it asks at once");
			state.failures = d.failures;
			state.contradictions = d.contradictions;
			state.phase = d.phase;
			all += d.delay;
		} while (d.action == PAY_ACTION_QUERY && ++n < 100);

		/* that an account waits is asked twice, half a minute apart */
		tap_check(!shows || (d.action == PAY_ACTION_LEARN && n == (waits ? 1 : 0)), "news does not end it");
		tap_check(!waits || all == 30 * SECOND, "an account is asked about twice at once");
		tap_check(shows || meaning == PAY_MEANS_NOT_SENT ||
				  (d.action == PAY_ACTION_GIVE_UP && n == 7 && all < 5 * MINUTE),
				  "meaning %d: it ends as %s after %d", meaning, pay_action_name(d.action), n);
		tap_check(meaning != PAY_MEANS_NOT_SENT || (n == 100 && d.delay == MINUTE),
				  "what could not be sent is given up");
	}
	tap_checked("a look asks and ends, and says nothing about the order");
}

int
main(void)
{
	test_look();
	test_confirm_rules();
	test_query_rules();
	test_persons();
	test_back_off();
	test_every_input();
	test_model();
	return tap_end();
}
