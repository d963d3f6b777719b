/*
 * psp_hint.h
 *		Calls to the PSP: what somebody else's word may do to an open one.
 *
 * Needs pay_db_connect.
 */
#ifndef PAY_PSP_HINT_H
#define PAY_PSP_HINT_H

#include "postgres.h"

#include "utils/timestamp.h"

/* What stands in the way of asking about an order now */
typedef enum PayHintState
{
	PAY_HINT_ASKED,				/* nothing: a query is due */
	PAY_HINT_BUSY,				/* it is in flight, or was a moment ago */
	PAY_HINT_UNSENT,			/* its confirm was never sent */
	PAY_HINT_DEAD,				/* it waits for a person */
	PAY_HINT_CLOSED				/* there is no open call */
} PayHintState;

typedef struct PayHint
{
	const char *order_id;
	PayHintState state;			/* the result */
	int64		call_id;		/* when asked */
} PayHint;

/*
 * Make the open calls of these orders due now, as queries, unless they were
 * attempted after not_after.  Locks no event, and waits for no lock: what
 * somebody has locked is busy.
 */
extern void pay_psp_hint(PayHint *hints, int n, TimestampTz not_after,
						 TimestampTz now);

#endif							/* PAY_PSP_HINT_H */
