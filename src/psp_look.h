/*
 * psp_look.h
 *		Calls to the PSP: a look at a payment that nothing is open about.
 *
 * For whoever has reason to think that Toss knows more than we do: a webhook,
 * the list of transactions, a person.  Needs pay_db_connect.
 */
#ifndef PAY_PSP_LOOK_H
#define PAY_PSP_LOOK_H

#include "postgres.h"

#include "utils/timestamp.h"

/* What came of the wish to look at an order's payment */
typedef enum PayLookState
{
	PAY_LOOK_QUEUED,			/* Toss is going to be asked */
	PAY_LOOK_LATER,				/* somebody has locked the order, has an open
								 * call of it, or has just asked */
	PAY_LOOK_TOO_OFTEN,			/* it was asked about so often lately */
	PAY_LOOK_UNPAID				/* there is no such order, or no payment of it */
} PayLookState;

typedef struct PayLook
{
	const char *order_id;		/* each at most once */
	PayLookState state;			/* the result */
	int64		call_id;		/* when queued */
} PayLook;

/*
 * Queue a call that only asks, for each of these orders that has a payment and
 * no open call.  Locks the events, in key order, and passes over what somebody
 * has locked.  With bounded no order is asked about again within two seconds,
 * nor more than ten times an hour, or fifty times a day.
 */
extern void pay_psp_look(PayLook *looks, int n, bool bounded,
						 TimestampTz now);

#endif							/* PAY_PSP_LOOK_H */
