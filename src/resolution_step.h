/*
 * resolution_step.h
 *		The steps that the rules of resolution are made of.
 *
 * For resolution.c and resolution_refund.c; pure, like them.
 */
#ifndef PAY_RESOLUTION_STEP_H
#define PAY_RESOLUTION_STEP_H

#include "resolution.h"

#define SECOND				INT64_C(1000000)
#define RESEND_CAP			(60 * SECOND)
#define BUSY_CAP			(30 * SECOND)
#define QUERY_CAP			(300 * SECOND)
#define MAX_CONTRADICTIONS	6	/* in a row, before a person looks */
#define MAX_FAILURES		1000000 /* where the count of failures stops */

/* An attempt may have been executed, and we cannot tell. */
static inline void
doubt(PayDecision *decision)
{
	decision->outcome_unknown = true;
	decision->orders_unknown = true;
}

/* What the confirm came to is certain; there is no doubt any more. */
static inline void
finish(PayDecision *decision, PayAction action)
{
	decision->action = action;
	decision->orders_unknown = false;
	decision->outcome_unknown = false;
	decision->failures = 0;
}

/* Nothing was settled: count it, and go on with action after delay. */
static inline void
again(PayDecision *decision, PayAction action, PayTime delay)
{
	decision->action = action;
	decision->delay = delay;
	if (decision->failures < MAX_FAILURES)
		decision->failures++;
}

/* 1, 2, 4 ... seconds for 0, 1, 2 ... failures before this one. */
static inline PayTime
back_off(int failures, PayTime cap)
{
	PayTime		delay = SECOND;

	while (failures-- > 0 && delay < cap)
		delay *= 2;
	return delay < cap ? delay : cap;
}

/*
 * Behind an attempt without an answer a query and the same key take turns, so
 * two failures are one round.  What asks, and what follows one that could not
 * look, comes after 1, 2, 4 ... seconds; what follows one that found nothing
 * comes sooner, the first at once.
 */
static inline PayTime
round_delay(int failures)
{
	return back_off(failures / 2, RESEND_CAP);
}

static inline PayTime
unprocessed_delay(int failures)
{
	return failures < 2 ? 0 : round_delay(failures - 2);
}

/*
 * A query may have reached Toss, and told nothing.  When an attempt of ours was
 * not answered, and while its key can bring something new, that is sent again, or
 * a payment would wait for as long as Toss shows none; otherwise all that is
 * left is to ask.  So what has no attempt here, and is asked about because
 * another server may have made one, is not sent before Toss has spoken.  A call
 * that was to be sent, and asked only to see whether Toss works, is again what it
 * was: it would have to wait for queries that perhaps never work.
 */
static inline void
ask_in_vain(const PayCallState *state, bool in_time, PayDecision *decision)
{
	int			failures = decision->failures;

	if (in_time && (state->outcome_unknown || state->asks_for_others) &&
		!state->key_changed && !decision->key_answered &&
		decision->phase == PAY_PHASE_TRYING)
		again(decision, PAY_ACTION_RESEND, round_delay(failures));
	else
		again(decision, PAY_ACTION_QUERY, back_off(failures, QUERY_CAP));
}

/*
 * A query says what cannot be: another payment than the one we asked for, or
 * nothing where an account was issued.  It is asked again soon, in case one copy
 * lags, and then for some minutes, in which a PSP that has just come back, or a
 * key that was forgotten, may be put right for all orders at once.  Only then a
 * person has to look at each.  Attempts that told nothing do not count.
 */
static inline void
contradiction(const PayCallState *state, PayDecision *decision)
{
	static const int delays[MAX_CONTRADICTIONS - 1] = {1, 4, 60, 120, 240};
	int			before = state->contradictions < 0 ? 0 :
	state->contradictions;

	doubt(decision);
	if (before >= MAX_CONTRADICTIONS - 1)
		again(decision, PAY_ACTION_ESCALATE, 0);
	else
		again(decision, PAY_ACTION_QUERY, delays[before] * SECOND);
	decision->contradictions = before < MAX_CONTRADICTIONS ? before + 1 : before;
}

/* An answer that tells nothing leaves them in a row. */
static inline bool
tells_nothing(PayTossMeaning meaning)
{
	return meaning == PAY_MEANS_LOOKUP_FAILED || meaning == PAY_MEANS_NO_ANSWER ||
		meaning == PAY_MEANS_NOT_SENT;
}

#endif							/* PAY_RESOLUTION_STEP_H */
