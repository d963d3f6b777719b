/*
 * psp_expire.h
 *		Calls to the PSP: what was never sent, and is not worth sending any more.
 *
 * Connects by itself, and runs inside a transaction of the caller.
 */
#ifndef PAY_PSP_EXPIRE_H
#define PAY_PSP_EXPIRE_H

#include "postgres.h"

#include "utils/timestamp.h"

/* The failure code of such an order */
#define PAY_EXPIRED_UNSENT	"EXPIRED_UNSENT"

/* Some of the calls in the queue, and which of them were never sent. */
typedef struct PayExpiry
{
	/* what to look at */
	const int64 *merchant_ids;	/* whose */
	int			n_merchants;
	TimestampTz since;			/* queued well after this time */
	int64		after;			/* behind this id, */
	int64		upto;			/* not behind that one, */
	int			max;			/* so many */

	/* what was found; texts are in the caller's context */
	int64		last;			/* all up to this id were read */
	int64		first;			/* the first that is expired, or 0 */
	TimestampTz next_at;		/* when the next of them expires, or DT_NOEND */
	int			n_expired;
	char	  **expired;		/* order ids */
} PayExpiry;

/*
 * End those whose order's time is over as FAILURE.  Only a call of which no
 * attempt was ever begun: what was begun may have been sent, and is asked about
 * whatever its age.  Rows that somebody has locked are left for later.
 */
extern void pay_psp_expire(PayExpiry *expiry, TimestampTz now);

#endif							/* PAY_PSP_EXPIRE_H */
