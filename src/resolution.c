/*
 * resolution.c
 *		What to do next with a call, given what its answer means.
 *
 * One handler per operation, and small rules below them; those of a cancel are
 * in resolution_refund.c.  The promises, walked through exhaustively in
 * test/unit/resolution_test.c:
 *
 *	- FAIL only when no attempt can have moved, or can still move, money;
 *	- RENEW only when the key was answered and a query, inside the payment's
 *	  window, found it unprocessed, and nothing was refused or issued before;
 *	- doubt is never forgotten: once an attempt may have executed, only a
 *	  final answer ends that, not another attempt's refusal;
 *	- RESEND behind an attempt without an answer only after a query, which
 *	  found the payment unprocessed or could not look;
 *	- there is always a next action, and each repetition comes later than the
 *	  one before, up to a cap;
 *	- how many attempts were fruitless sets delays, and decides nothing but
 *	  whether a busy key is asked about or sent again;
 *	- a person is called when a query has said what cannot be, six times in a
 *	  row and for seven minutes, and not for what told nothing;
 *	- while a key is not answered its payment comes to an end by queries alone,
 *	  and by the answer to a confirm alone, when the others bring nothing.
 *
 * What cannot be guessed: a refusal belongs to the key that it answers, not to
 * the payment, so behind doubt it is asked about and never believed.  An
 * account to pay into may be paid at any time: once one was issued, "not
 * processed" is a contradiction and proves nothing.  Nor does it when the key
 * or the address has changed since: another merchant's key finds nothing.
 */
#include "resolution_step.h"

#include <stddef.h>

#include "deposit_plan.h"

#define LATER_DELAY			(30 * SECOND)
#define WINDOW_DELAY		(30 * SECOND)	/* between queries as it closes */
#define BUSY_ASKS			4	/* every so many times a query instead */

static const char *const action_names[] = {
	[PAY_ACTION_SUCCEED] = "succeed",
	[PAY_ACTION_FAIL] = "fail",
	[PAY_ACTION_RESEND] = "resend",
	[PAY_ACTION_QUERY] = "query",
	[PAY_ACTION_RENEW] = "renew",
	[PAY_ACTION_AWAIT_DEPOSIT] = "await deposit",
	[PAY_ACTION_ESCALATE] = "escalate",
	[PAY_ACTION_REFUND] = "refund",
	[PAY_ACTION_REFUND_FAIL] = "fail refund",
	[PAY_ACTION_LEARN] = "learn",
	[PAY_ACTION_GIVE_UP] = "give up",
};

static void resolve_confirm(const PayCallState *state, PayTossMeaning meaning,
							PayTime age, PayTime now, PayDecision *decision);
static void resolve_query(const PayCallState *state, PayTossMeaning meaning,
						  PayTime age, PayTime now, PayDecision *decision);
static void resolve_refusal(const PayCallState *state, PayDecision *decision);
static void resolve_open(const PayCallState *state, PayTime age,
						 PayDecision *decision);
static void resend(PayDecision *decision, PayTime age, PayTime delay);
static void await_deposit(const PayCallState *state, PayTime age,
						  PayTime now, PayDecision *decision);
static void resolve_lapse(PayDecision *decision);

/* A caller's zero, or a letter from the future, is the ordinary phase. */
static PayCallPhase
known_phase(PayCallPhase phase)
{
	return phase == PAY_PHASE_REFUSED || phase == PAY_PHASE_EXPIRED ||
		phase == PAY_PHASE_DEPOSIT || phase == PAY_PHASE_LAPSED ||
		phase == PAY_PHASE_UNSEEN || phase == PAY_PHASE_REFUSED_UNSEEN ?
		phase : PAY_PHASE_TRYING;
}

/*
 * Decide.  now and state->first_sent_at are from one clock; a clock that went
 * backwards makes the payment young again, which only delays a failure.
 */
void
pay_resolve(const PayCallState *state, PayTossMeaning meaning, PayTime now,
			PayDecision *decision)
{
	PayTime		age = 0;

	if (state->reached_psp && now > state->first_sent_at)
		age = now - state->first_sent_at;

	/* Unless something is learned, everything stays as it is. */
	decision->action = PAY_ACTION_QUERY;
	decision->delay = 0;
	decision->orders_unknown = state->outcome_unknown;
	decision->outcome_unknown = state->outcome_unknown;
	decision->key_answered = state->key_answered;
	decision->phase = known_phase(state->phase);
	decision->failures = state->failures < 0 ? 0 : state->failures;
	decision->contradictions = tells_nothing(meaning) ? state->contradictions : 0;

	if (state->is_look)
		pay_resolve_look(meaning, decision);
	else if (state->is_refund)
		pay_resolve_refund(state, meaning, age, decision);
	else if (state->operation == PAY_TOSS_CONFIRM)
		resolve_confirm(state, meaning, age, now, decision);
	else
		resolve_query(state, meaning, age, now, decision);
}

static void
resolve_confirm(const PayCallState *state, PayTossMeaning meaning, PayTime age,
				PayTime now, PayDecision *decision)
{
	int			failures = decision->failures;

	switch (meaning)
	{
		case PAY_MEANS_APPROVED:
			finish(decision, PAY_ACTION_SUCCEED);
			return;

		case PAY_MEANS_WAITING:
			await_deposit(state, age, now, decision);
			return;

		case PAY_MEANS_REFUSED:
		case PAY_MEANS_MISCONFIGURED:
			resolve_refusal(state, decision);
			return;

		case PAY_MEANS_LATER:
			decision->key_answered = true;
			again(decision, PAY_ACTION_QUERY, LATER_DELAY);
			return;

		case PAY_MEANS_BUSY:

			/*
			 * Our key is running somewhere.  While the payment's window is
			 * open a query now and then may know more; behind it the end of
			 * the running request is awaited.  A key that has been running
			 * for its whole life is beyond what we understand.
			 */
			doubt(decision);
			if (age > PAY_KEY_LIFETIME)
				again(decision, PAY_ACTION_ESCALATE, 0);
			else if (failures % BUSY_ASKS == BUSY_ASKS - 1 &&
					 age <= PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE)
				again(decision, PAY_ACTION_QUERY, back_off(failures, BUSY_CAP));
			else
				again(decision, PAY_ACTION_RESEND, back_off(failures, BUSY_CAP));
			return;

		case PAY_MEANS_NOT_SENT:
			resend(decision, age, back_off(failures, RESEND_CAP));
			return;

		case PAY_MEANS_NO_ANSWER:
			doubt(decision);
			again(decision, PAY_ACTION_QUERY, round_delay(failures));
			return;

		case PAY_MEANS_UNCERTAIN:
		case PAY_MEANS_CANCELED:
		case PAY_MEANS_ABORTED:
		case PAY_MEANS_OPEN:
		case PAY_MEANS_LOOKUP_FAILED:
		case PAY_MEANS_REFUNDED:
		case PAY_MEANS_LAPSED:
			break;
	}

	/* Answered, but not understood; or an answer that only a query can get. */
	doubt(decision);
	decision->key_answered = true;
	again(decision, PAY_ACTION_QUERY,
		  failures == 0 ? 0 : back_off(failures - 1, QUERY_CAP));
}

static void
resolve_query(const PayCallState *state, PayTossMeaning meaning, PayTime age,
			  PayTime now, PayDecision *decision)
{
	int			failures = decision->failures;

	switch (meaning)
	{
		case PAY_MEANS_APPROVED:
			finish(decision, PAY_ACTION_SUCCEED);
			return;

		case PAY_MEANS_WAITING:
			await_deposit(state, age, now, decision);
			return;

		case PAY_MEANS_LAPSED:
			resolve_lapse(decision);
			return;

		case PAY_MEANS_ABORTED:
			finish(decision, PAY_ACTION_FAIL);
			return;

		case PAY_MEANS_CANCELED:

			/* Money moved and went back: neither final state is the truth. */
			doubt(decision);
			again(decision, PAY_ACTION_ESCALATE, 0);
			return;

		case PAY_MEANS_OPEN:
			resolve_open(state, age, decision);
			return;

		case PAY_MEANS_UNCERTAIN:
			contradiction(state, decision);
			return;

		case PAY_MEANS_LOOKUP_FAILED:
		case PAY_MEANS_NO_ANSWER:
			ask_in_vain(state, age < PAY_CONFIRM_WINDOW, decision);
			return;

		case PAY_MEANS_REFUSED:
		case PAY_MEANS_MISCONFIGURED:
		case PAY_MEANS_LATER:
		case PAY_MEANS_BUSY:
		case PAY_MEANS_NOT_SENT:
		case PAY_MEANS_REFUNDED:
			break;
	}

	again(decision, PAY_ACTION_QUERY, back_off(failures, QUERY_CAP));
}

/*
 * A confirm was refused, or we are to blame that it could not be executed.
 * That is final for the only attempt there ever was.  Behind doubt it is
 * remembered, so that the payment is not tried again: the buyer's bank said no
 * once, and what is left to learn is whether the earlier attempt went through.
 */
static void
resolve_refusal(const PayCallState *state, PayDecision *decision)
{
	int			failures = decision->failures;

	decision->key_answered = true;
	if (!state->outcome_unknown && decision->phase == PAY_PHASE_TRYING)
	{
		finish(decision, PAY_ACTION_FAIL);
		return;
	}

	if (decision->phase == PAY_PHASE_TRYING)
		decision->phase = PAY_PHASE_REFUSED;
	again(decision, PAY_ACTION_QUERY,
		  failures == 0 ? 0 : back_off(failures - 1, QUERY_CAP));
}

/*
 * A query found the payment unprocessed.  Inside the window it may be tried
 * again.  Then Toss lets it expire, and after a grace period, in which a
 * request of ours may still be running, nothing can approve it any more.
 *
 * That is asked twice, WINDOW_DELAY apart, before the order fails: the first
 * query after a long silence may meet a copy that lags, or be judged by a
 * clock that has just jumped.
 */
static void
resolve_open(const PayCallState *state, PayTime age, PayDecision *decision)
{
	int			failures = decision->failures;

	if (decision->phase == PAY_PHASE_DEPOSIT ||
		decision->phase == PAY_PHASE_LAPSED || state->key_changed)
	{
		contradiction(state, decision);
		return;
	}
	if (!state->reached_psp)
	{
		again(decision, PAY_ACTION_RESEND, unprocessed_delay(failures));
		return;
	}

	if (age > PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE)
	{
		if (decision->phase == PAY_PHASE_EXPIRED)
			finish(decision, PAY_ACTION_FAIL);
		else
		{
			decision->phase = PAY_PHASE_EXPIRED;
			again(decision, PAY_ACTION_QUERY, WINDOW_DELAY);
		}
	}
	else if (age >= PAY_CONFIRM_WINDOW || decision->phase != PAY_PHASE_TRYING)
		again(decision, PAY_ACTION_QUERY, WINDOW_DELAY);
	else if (state->key_answered)
	{
		decision->key_answered = false; /* the new key is not */
		again(decision, PAY_ACTION_RENEW, back_off(failures, RESEND_CAP));
	}
	else
		again(decision, PAY_ACTION_RESEND, unprocessed_delay(failures));
}

/*
 * The same key and bytes again, unless that can teach nothing: an answered key
 * repeats its answer, and behind the window a query tells as much, and goes on
 * telling it when the key has outlived its memory at Toss.
 */
static void
resend(PayDecision *decision, PayTime age, PayTime delay)
{
	bool		ask = decision->key_answered ||
	decision->phase != PAY_PHASE_TRYING ||
	age > PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE;

	again(decision, ask ? PAY_ACTION_QUERY : PAY_ACTION_RESEND, delay);
}

/*
 * Confirmed, and an account to pay into exists.  The outcome of the confirm is
 * known; orders that became UNKNOWN on the way stay so until the deposit,
 * because no transition leads back to EXECUTING.
 */
static void
await_deposit(const PayCallState *state, PayTime age, PayTime now,
			  PayDecision *decision)
{
	finish(decision, PAY_ACTION_AWAIT_DEPOSIT);
	decision->delay = pay_deposit_plan_wait(age, state->deposit_due_at == 0 ?
											INT64_MAX :
											state->deposit_due_at - now);
	decision->key_answered = true;
	decision->phase = PAY_PHASE_DEPOSIT;
}

/*
 * The account is closed, and nobody had paid into it when Toss was asked.  That
 * is asked twice, as behind a payment's window: a deposit of its last moment may
 * not have reached the copy that answered.
 */
static void
resolve_lapse(PayDecision *decision)
{
	if (decision->phase == PAY_PHASE_LAPSED)
	{
		finish(decision, PAY_ACTION_FAIL);
		return;
	}
	decision->orders_unknown = false;
	decision->outcome_unknown = false;
	decision->key_answered = true;
	decision->phase = PAY_PHASE_LAPSED;
	again(decision, PAY_ACTION_QUERY, WINDOW_DELAY);
}

/* The name of an action, as it stands in the table of answers. */
const char *
pay_action_name(PayAction action)
{
	if ((unsigned int) action >= sizeof(action_names) / sizeof(action_names[0]))
		return "unknown";
	return action_names[action];
}

bool
pay_action_closes(PayAction action)
{
	return action == PAY_ACTION_SUCCEED || action == PAY_ACTION_FAIL ||
		action == PAY_ACTION_REFUND || action == PAY_ACTION_REFUND_FAIL ||
		action == PAY_ACTION_LEARN || action == PAY_ACTION_GIVE_UP;
}
