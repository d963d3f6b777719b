/*
 * resolution_look.c
 *		What to do next with a look, given what its answer means.
 *
 * A look asks about a payment whose order is final, because somebody said that
 * there is news of it.  Whatever Toss shows of the payment ends it.  So does that
 * it shows nothing for long: a stranger's word may have begun it, and a refund of
 * the order waits behind it.  What was to be learnt is in Toss's list as well.
 *
 * The promises, walked through in test/unit/resolution_test.c: it never sends
 * anything, never says anything about the order, never comes before a person,
 * and ends.
 */
#include "resolution_step.h"

#define MAX_TRIES	8			/* four minutes */
#define ASK_CAP		(60 * SECOND)
#define ACCOUNT_DELAY	(30 * SECOND)

void
pay_resolve_look(PayTossMeaning meaning, PayDecision *decision)
{
	int			failures = decision->failures;

	switch (meaning)
	{
		case PAY_MEANS_WAITING:
		case PAY_MEANS_LAPSED:

			/*
			 * The order is final, and its account waits: a deposit was taken
			 * back, or the copy that answered lags.  So that is asked twice.
			 */
			if (decision->phase == PAY_PHASE_LAPSED)
				finish(decision, PAY_ACTION_LEARN);
			else
			{
				decision->phase = PAY_PHASE_LAPSED;
				again(decision, PAY_ACTION_QUERY, ACCOUNT_DELAY);
			}
			return;

		case PAY_MEANS_APPROVED:
		case PAY_MEANS_CANCELED:
		case PAY_MEANS_ABORTED:
			finish(decision, PAY_ACTION_LEARN);
			return;

		case PAY_MEANS_NOT_SENT:

			/* Toss has said nothing: neither can a refund be sent */
			again(decision, PAY_ACTION_QUERY, back_off(failures, ASK_CAP));
			return;

		case PAY_MEANS_REFUNDED:
		case PAY_MEANS_OPEN:
		case PAY_MEANS_REFUSED:
		case PAY_MEANS_MISCONFIGURED:
		case PAY_MEANS_LATER:
		case PAY_MEANS_BUSY:
		case PAY_MEANS_UNCERTAIN:
		case PAY_MEANS_LOOKUP_FAILED:
		case PAY_MEANS_NO_ANSWER:
			break;
	}

	if (failures + 1 >= MAX_TRIES)
		finish(decision, PAY_ACTION_GIVE_UP);
	else
		again(decision, PAY_ACTION_QUERY, back_off(failures, ASK_CAP));
}
