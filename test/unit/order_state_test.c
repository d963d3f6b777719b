/*
 * order_state_test.c
 *		The transitions of design section 4, all 25 pairs, and nothing else.
 */
#include "order_state.h"
#include "tap.h"

/* Written down from the design, not from the code. */
static const char *const permitted[] = {
	"NOT_STARTED EXECUTING", "NOT_STARTED FAILURE",
	"EXECUTING SUCCESS", "EXECUTING FAILURE", "EXECUTING UNKNOWN",
	"UNKNOWN SUCCESS", "UNKNOWN FAILURE",
};

static const char *const labels[] = {
	"NOT_STARTED", "EXECUTING", "SUCCESS", "FAILURE", "UNKNOWN",
};

int
main(void)
{
	PayOrderState state;
	int			n_allowed = 0;

	for (int from = 0; from < PAY_ORDER_STATES; from++)
	{
		for (int to = 0; to < PAY_ORDER_STATES; to++)
		{
			char		pair[64];
			bool		expected = false;

			snprintf(pair, sizeof(pair), "%s %s", labels[from], labels[to]);
			for (size_t i = 0; i < sizeof(permitted) / sizeof(permitted[0]); i++)
				expected = expected || strcmp(permitted[i], pair) == 0;
			tap_check(pay_order_state_allows(from, to) == expected, "%s", pair);
			n_allowed += pay_order_state_allows(from, to);
		}
	}
	tap_check(n_allowed == 7, "%d allowed", n_allowed);
	tap_checked("the transitions are those of the design");

	for (int i = 0; i < PAY_ORDER_STATES; i++)
	{
		bool		final = i == PAY_ORDER_SUCCESS || i == PAY_ORDER_FAILURE;

		tap_check(pay_order_state_is_final(i) == final, "%s", labels[i]);
		tap_check(same_text(pay_order_state_name(i), labels[i]), "%s", labels[i]);
		tap_check(pay_order_state_from_name(labels[i], &state) &&
				  (int) state == i, "%s", labels[i]);
	}
	tap_checked("final states, names, and their order");

	state = PAY_ORDER_EXECUTING;
	tap_check(!pay_order_state_from_name("", &state), "empty");
	tap_check(!pay_order_state_from_name("success", &state), "lower case");
	tap_check(!pay_order_state_from_name("SUCCESS ", &state), "blank");
	tap_check(state == PAY_ORDER_EXECUTING, "touched");
	for (int i = -3; i < 10; i++)
	{
		if (i >= 0 && i < PAY_ORDER_STATES)
			continue;
		for (int j = -3; j < 10; j++)
			tap_check(!pay_order_state_allows(i, j) &&
					  !pay_order_state_allows(j, i), "%d %d", i, j);
		tap_check(!pay_order_state_is_final(i), "%d", i);
		tap_check(pay_order_state_name(i) == NULL, "%d", i);
	}
	tap_checked("what is no state leads nowhere");

	return tap_end();
}
