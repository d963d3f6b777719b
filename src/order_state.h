/*
 * order_state.h
 *		The states of a payment order and the transitions between them.
 *
 * One const table (design section 4), pure, without SQL.  The enum's values
 * stand in the order of the SQL enum's labels.
 */
#ifndef PAY_ORDER_STATE_H
#define PAY_ORDER_STATE_H

#include <stdbool.h>

typedef enum PayOrderState
{
	PAY_ORDER_NOT_STARTED,
	PAY_ORDER_EXECUTING,
	PAY_ORDER_SUCCESS,
	PAY_ORDER_FAILURE,
	PAY_ORDER_UNKNOWN
} PayOrderState;

#define PAY_ORDER_STATES	(PAY_ORDER_UNKNOWN + 1)

extern bool pay_order_state_allows(PayOrderState from, PayOrderState to);
extern bool pay_order_state_is_final(PayOrderState state);
extern const char *pay_order_state_name(PayOrderState state);

/* false when the label is none of ours */
extern bool pay_order_state_from_name(const char *label, PayOrderState *state);

#endif							/* PAY_ORDER_STATE_H */
