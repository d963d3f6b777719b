/*
 * resolution_refund.c
 *		What to do next with a cancel, given what its answer means.
 *
 * The algorithm of toss-api 9.2, as rules of resolution.c's kind.  The promises
 * are the same, and walked through in test/unit/refund_test.c:
 *
 *	- the refund succeeds only when our token was seen among the payment's
 *	  cancels, and fails only when it was refused and was not among them;
 *	- a new key only when the old one was answered, or is older than Toss's
 *	  memory of it, and two queries, some time apart, did not show our token;
 *	- the same key behind an attempt without an answer only after a query,
 *	  which did not show our token or could not look;
 *	- doubt is never forgotten, and there is always a next action;
 *	- what was executed comes to light by queries alone, and while the key is not
 *	  answered by cancels alone, when the others bring nothing.
 *
 * What cannot be guessed: unlike a confirm, a cancel has no window behind which
 * Toss would not execute it, so time proves nothing.  What does is that a key
 * that was answered is not running any more.  As long as no answer came, and no
 * query shows our token, the same key is sent again: it brings the first answer,
 * or the first execution.  Should all of this be wrong, the balance in the
 * request keeps a second cancel from being executed.
 */
#include "resolution_step.h"

#define LATER_DELAY			(30 * SECOND)
#define UNSEEN_DELAY		(30 * SECOND)	/* between two queries */
#define LATER_CAP			(3600 * SECOND)
#define CANCEL_GAP			SECOND	/* between two cancels of a payment */
#define BUSY_ASKS			4	/* every so many times a query instead */

static void resolve_cancel(const PayCallState *state, PayTossMeaning meaning,
						   PayTime age, PayDecision *decision);
static void resolve_query(const PayCallState *state, PayTossMeaning meaning,
						  PayTime age, PayDecision *decision);
static void resolve_unseen(const PayCallState *state, PayTime age,
						   PayDecision *decision);
static void resend(PayDecision *decision, PayTime age, PayTime delay);

void
pay_resolve_refund(const PayCallState *state, PayTossMeaning meaning,
				   PayTime age, PayDecision *decision)
{
	if (state->operation == PAY_TOSS_QUERY)
		resolve_query(state, meaning, age, decision);
	else
		resolve_cancel(state, meaning, age, decision);
}

static void
resolve_cancel(const PayCallState *state, PayTossMeaning meaning, PayTime age,
			   PayDecision *decision)
{
	int			failures = decision->failures;
	PayTime		delay = back_off(failures, LATER_CAP);

	switch (meaning)
	{
		case PAY_MEANS_REFUNDED:
			finish(decision, PAY_ACTION_REFUND);
			return;

		case PAY_MEANS_ABORTED:
			finish(decision, PAY_ACTION_REFUND_FAIL);
			return;

		case PAY_MEANS_REFUSED:
			decision->key_answered = true;
			decision->phase = PAY_PHASE_REFUSED;
			again(decision, PAY_ACTION_QUERY,
				  failures == 0 ? 0 :
				  back_off(failures - 1,
						   QUERY_CAP));
			return;

		case PAY_MEANS_MISCONFIGURED:
		case PAY_MEANS_LATER:

			/* Not executed: it is kept until it can be. */
			decision->key_answered = true;
			again(decision, PAY_ACTION_QUERY,
				  delay > LATER_DELAY ? delay : LATER_DELAY);
			return;

		case PAY_MEANS_BUSY:
			doubt(decision);
			if (age > PAY_KEY_LIFETIME)
				again(decision, PAY_ACTION_ESCALATE, 0);
			else if (failures % BUSY_ASKS == BUSY_ASKS - 1)
				again(decision, PAY_ACTION_QUERY, back_off(failures, BUSY_CAP));
			else
				resend(decision, age, back_off(failures, BUSY_CAP));
			return;

		case PAY_MEANS_NO_ANSWER:
			doubt(decision);
			again(decision, PAY_ACTION_QUERY, round_delay(failures));
			return;

		case PAY_MEANS_NOT_SENT:
			resend(decision, age, back_off(failures, RESEND_CAP));
			return;

		case PAY_MEANS_APPROVED:
		case PAY_MEANS_WAITING:
		case PAY_MEANS_LAPSED:
		case PAY_MEANS_CANCELED:
		case PAY_MEANS_OPEN:
		case PAY_MEANS_UNCERTAIN:
		case PAY_MEANS_LOOKUP_FAILED:
			break;
	}

	/* Answered, but not understood; or an answer that only a query can get. */
	doubt(decision);
	decision->key_answered = true;
	again(decision, PAY_ACTION_QUERY,
		  failures == 0 ? 0 :
		  back_off(failures - 1, QUERY_CAP));
}

static void
resolve_query(const PayCallState *state, PayTossMeaning meaning, PayTime age,
			  PayDecision *decision)
{
	switch (meaning)
	{
		case PAY_MEANS_REFUNDED:
			finish(decision, PAY_ACTION_REFUND);
			return;

		case PAY_MEANS_ABORTED:
			finish(decision, PAY_ACTION_REFUND_FAIL);
			return;

		case PAY_MEANS_OPEN:
			resolve_unseen(state, age, decision);
			return;

		case PAY_MEANS_UNCERTAIN:
			contradiction(state, decision);
			return;

		case PAY_MEANS_LOOKUP_FAILED:
		case PAY_MEANS_NO_ANSWER:
			ask_in_vain(state, age <= PAY_KEY_LIFETIME, decision);
			return;

		case PAY_MEANS_APPROVED:
		case PAY_MEANS_WAITING:
		case PAY_MEANS_LAPSED:
		case PAY_MEANS_CANCELED:
		case PAY_MEANS_REFUSED:
		case PAY_MEANS_MISCONFIGURED:
		case PAY_MEANS_LATER:
		case PAY_MEANS_BUSY:
		case PAY_MEANS_NOT_SENT:
			break;
	}

	again(decision, PAY_ACTION_QUERY,
		  back_off(decision->failures,
				   QUERY_CAP));
}

/*
 * A query did not show our token.  What was sent and never answered is sent
 * again; what was answered is asked about once more, in case the query met a
 * copy that lags, and then ends, or begins anew with another key.
 */
static void
resolve_unseen(const PayCallState *state, PayTime age, PayDecision *decision)
{
	int			failures = decision->failures;
	PayTime		soon = unprocessed_delay(failures);
	bool		key_is_over = decision->key_answered || age > PAY_KEY_LIFETIME;

	if (state->key_changed)
		contradiction(state, decision);
	else if (decision->phase == PAY_PHASE_REFUSED && state->outcome_unknown)
	{
		decision->phase = PAY_PHASE_REFUSED_UNSEEN;
		again(decision, PAY_ACTION_QUERY, UNSEEN_DELAY);
	}
	else if (decision->phase == PAY_PHASE_REFUSED ||
			 decision->phase == PAY_PHASE_REFUSED_UNSEEN)
		finish(decision, PAY_ACTION_REFUND_FAIL);
	else if (!state->reached_psp || !key_is_over)
		again(decision, PAY_ACTION_RESEND,
			  soon > CANCEL_GAP ? soon : CANCEL_GAP);
	else if (decision->phase == PAY_PHASE_UNSEEN)
	{
		decision->phase = PAY_PHASE_TRYING; /* the new key's */
		decision->key_answered = false;
		again(decision, PAY_ACTION_RENEW,
			  back_off(failures, LATER_CAP));
	}
	else
	{
		decision->phase = PAY_PHASE_UNSEEN;
		again(decision, PAY_ACTION_QUERY, UNSEEN_DELAY);
	}
}

/* The same key and bytes again, unless it is over with that key. */
static void
resend(PayDecision *decision, PayTime age, PayTime delay)
{
	bool		ask = decision->key_answered || age > PAY_KEY_LIFETIME;

	again(decision, ask ? PAY_ACTION_QUERY : PAY_ACTION_RESEND, delay);
}
