/*
 * order_abandoned.h
 *		Orders that nobody confirmed: how they end, and how they begin anew.
 *
 * pay_order_abandon, which both the fail redirect and expiry call, stands in
 * order.h.  All functions need pay_db_connect.
 */
#ifndef PAY_ORDER_ABANDONED_H
#define PAY_ORDER_ABANDONED_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "order.h"

/* The failure code of an order whose time is over */
#define PAY_ORDER_EXPIRED_CODE	"EXPIRED"

/* A walk over the orders whose time is over, in the order of their times. */
typedef struct PayOrderWalk
{
	/* what to look at */
	TimestampTz since;			/* checked out later than this */
	char	  **passed_over;	/* merchants */
	int			n_passed_over;

	/* how far the walk has come */
	TimestampTz after;
	int64		after_id;
} PayOrderWalk;

/*
 * Since when this database has had one history: an order that was checked out
 * later and has no payment key was never confirmed.  An older one may have been,
 * in a history that a promotion or a restore has lost.  DT_NOBEGIN when no run
 * of a worker was in another one, DT_NOEND when all were.
 */
extern TimestampTz pay_order_history_begin(void);

/*
 * Lock the next order that nobody confirmed and whose time is over, and move
 * the walk behind it; false: there is none.  What somebody has locked is passed
 * over: he may be confirming it.
 */
extern bool pay_order_walk_next(PayOrderWalk *walk, TimestampTz now,
								PayOrder *order);

/* End it, with its event: FAILURE, EXPIRED.  The order is locked. */
extern bool pay_order_expire(const PayOrder *order, TimestampTz now);

/*
 * All orders over the same lines: the first of them, which is locked, and the
 * newest, the only one that can still be paid.  False: no such order.
 */
extern bool pay_order_lock_family(const char *order_id, char **first,
								  char **newest);

/* A retry was inserted: it is the newest now. */
extern void pay_order_set_newest(const char *first, const char *newest);

#endif							/* PAY_ORDER_ABANDONED_H */
