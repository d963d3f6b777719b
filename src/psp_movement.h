/*
 * psp_movement.h
 *		Reconciling: one line of Toss's list beside our books.
 */
#ifndef PAY_PSP_MOVEMENT_H
#define PAY_PSP_MOVEMENT_H

#include "postgres.h"

#include "reconciliation.h"
#include "utils/timestamp.h"

/* A movement, and what it came to. */
typedef struct PayMovement
{
	int64		finding_id;		/* of an open finding that is looked at again */
	char	   *transaction_key;
	char	   *payment_key;
	char	   *order_id;
	char	   *status;
	char	   *currency;
	bool		has_amount;
	int64		amount;
	TimestampTz at;				/* 0: unknown */
	const char *detail;
	PayFinding	finding;
} PayMovement;

/*
 * Say of all that were read what they are.  A cancel is booked when a refund of
 * ours is it, or a posting of somebody's; while a refund of the order is open
 * nobody can say, and a later run sees it again.
 */
extern void pay_psp_movement_judge(PayMovement *movements, int n);

#endif							/* PAY_PSP_MOVEMENT_H */
