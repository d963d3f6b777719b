/*
 * refund_state.h
 *		The states of a refund and the transitions between them.
 *
 * One const table, pure, without SQL.  The enum's values stand in the order of
 * the SQL enum's labels.
 */
#ifndef PAY_REFUND_STATE_H
#define PAY_REFUND_STATE_H

#include <stdbool.h>

typedef enum PayRefundState
{
	PAY_REFUND_REQUESTED,		/* other refunds of the payment come first */
	PAY_REFUND_EXECUTING,		/* its call is open */
	PAY_REFUND_SUCCESS,
	PAY_REFUND_FAILURE,
	PAY_REFUND_UNKNOWN			/* its call is open, and may have been
								 * executed */
} PayRefundState;

#define PAY_REFUND_STATES	(PAY_REFUND_UNKNOWN + 1)

extern bool pay_refund_state_allows(PayRefundState from, PayRefundState to);
extern bool pay_refund_state_is_final(PayRefundState state);
extern const char *pay_refund_state_name(PayRefundState state);

/* false when the label is none of ours */
extern bool pay_refund_state_from_name(const char *label,
									   PayRefundState *state);

#endif							/* PAY_REFUND_STATE_H */
