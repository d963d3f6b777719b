/*
 * refund_state.c
 *		The transitions of a refund, as data.
 *
 * As order_state.c for orders: the trigger that enforces them, and everything
 * that asks beforehand, come here.  test/unit/refund_test.c walks all the pairs.
 */
#include "refund_state.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[PAY_REFUND_STATES] = {
	[PAY_REFUND_REQUESTED] = "REQUESTED",
	[PAY_REFUND_EXECUTING] = "EXECUTING",
	[PAY_REFUND_SUCCESS] = "SUCCESS",
	[PAY_REFUND_FAILURE] = "FAILURE",
	[PAY_REFUND_UNKNOWN] = "UNKNOWN",
};

/* allowed[from][to]; what is not named is forbidden, SUCCESS and FAILURE end */
static const bool allowed[PAY_REFUND_STATES][PAY_REFUND_STATES] = {
	[PAY_REFUND_REQUESTED] = {
		[PAY_REFUND_EXECUTING] = true,	/* its turn has come */
		[PAY_REFUND_FAILURE] = true,	/* it never does */
	},
	[PAY_REFUND_EXECUTING] = {
		[PAY_REFUND_SUCCESS] = true,
		[PAY_REFUND_FAILURE] = true,
		[PAY_REFUND_UNKNOWN] = true,
	},
	[PAY_REFUND_UNKNOWN] = {
		[PAY_REFUND_SUCCESS] = true,
		[PAY_REFUND_FAILURE] = true,
	},
};

static bool
is_state(PayRefundState state)
{
	return (unsigned int) state < PAY_REFUND_STATES;
}

bool
pay_refund_state_allows(PayRefundState from, PayRefundState to)
{
	return is_state(from) && is_state(to) && allowed[from][to];
}

/* Is there no way out of the state? */
bool
pay_refund_state_is_final(PayRefundState state)
{
	if (!is_state(state))
		return false;

	for (int to = 0; to < PAY_REFUND_STATES; to++)
	{
		if (allowed[state][to])
			return false;
	}
	return true;
}

/* The SQL label of a state, or NULL for a value that is none. */
const char *
pay_refund_state_name(PayRefundState state)
{
	return is_state(state) ? state_names[state] : NULL;
}

/* The state of a SQL label; false, and *state untouched, for other text. */
bool
pay_refund_state_from_name(const char *label, PayRefundState *state)
{
	for (int i = 0; i < PAY_REFUND_STATES; i++)
	{
		if (strcmp(label, state_names[i]) == 0)
		{
			*state = (PayRefundState) i;
			return true;
		}
	}
	return false;
}
