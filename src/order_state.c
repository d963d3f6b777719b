/*
 * order_state.c
 *		The transitions of a payment order, as data.
 *
 * Owns the one table that says which state may follow which.  The trigger that
 * enforces it, and everything that asks beforehand, come here.  A state does
 * not lead to itself: an update that keeps the state is no transition, and its
 * caller must not ask.  test/unit/order_state_test.c walks all the pairs.
 */
#include "order_state.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[PAY_ORDER_STATES] = {
	[PAY_ORDER_NOT_STARTED] = "NOT_STARTED",
	[PAY_ORDER_EXECUTING] = "EXECUTING",
	[PAY_ORDER_SUCCESS] = "SUCCESS",
	[PAY_ORDER_FAILURE] = "FAILURE",
	[PAY_ORDER_UNKNOWN] = "UNKNOWN",
};

/* allowed[from][to]; what is not named is forbidden, SUCCESS and FAILURE end */
static const bool allowed[PAY_ORDER_STATES][PAY_ORDER_STATES] = {
	[PAY_ORDER_NOT_STARTED] = {
		[PAY_ORDER_EXECUTING] = true,	/* confirm accepted */
		[PAY_ORDER_FAILURE] = true, /* fail redirect, or expired */
	},
	[PAY_ORDER_EXECUTING] = {
		[PAY_ORDER_SUCCESS] = true,
		[PAY_ORDER_FAILURE] = true,
		[PAY_ORDER_UNKNOWN] = true,
	},
	[PAY_ORDER_UNKNOWN] = {
		[PAY_ORDER_SUCCESS] = true,
		[PAY_ORDER_FAILURE] = true,
	},
};

static bool
is_state(PayOrderState state)
{
	return (unsigned int) state < PAY_ORDER_STATES;
}

/*
 * May an order go from one state to the other?  A value that is no state at
 * all is never allowed, so that damaged input cannot read past the table.
 */
bool
pay_order_state_allows(PayOrderState from, PayOrderState to)
{
	return is_state(from) && is_state(to) && allowed[from][to];
}

/* Is there no way out of the state? */
bool
pay_order_state_is_final(PayOrderState state)
{
	if (!is_state(state))
		return false;

	for (int to = 0; to < PAY_ORDER_STATES; to++)
	{
		if (allowed[state][to])
			return false;
	}
	return true;
}

/* The SQL label of a state, or NULL for a value that is none. */
const char *
pay_order_state_name(PayOrderState state)
{
	return is_state(state) ? state_names[state] : NULL;
}

/* The state of a SQL label; false, and *state untouched, for other text. */
bool
pay_order_state_from_name(const char *label, PayOrderState *state)
{
	for (int i = 0; i < PAY_ORDER_STATES; i++)
	{
		if (strcmp(label, state_names[i]) == 0)
		{
			*state = (PayOrderState) i;
			return true;
		}
	}
	return false;
}
