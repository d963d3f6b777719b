/*
 * wake.h
 *		Waking the worker of a database, and those who wait for an order.
 *
 * Without the library in shared_preload_libraries there is no shared memory;
 * every function here then does nothing, or says so by its result.
 */
#ifndef PAY_WAKE_H
#define PAY_WAKE_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Register the transaction callbacks; once per process, from _PG_init. */
extern void pay_wake_register(void);

/* Is there shared memory (was the library preloaded)? */
extern bool pay_wake_available(void);

/*
 * This transaction queued a call, or made one due: the worker that looks after
 * its order gets a hint when it commits.
 */
extern void pay_wake_enqueued(const char *order_id, int64 call_id,
							  int64 merchant_id, TimestampTz due_at);

/* Workers take a turn when this commits: something is to be looked at. */
extern void pay_wake_look(void);

/*
 * Has this transaction queued a call that is not committed yet?  Not so when
 * the savepoint inside which it did was rolled back.
 */
extern bool pay_wake_uncommitted(void);

/*
 * Wait for news of an order: prepare before looking at the table, then sleep
 * (true: woken, perhaps for nothing; false: the time is up), and cancel in the
 * end, also on error.  Without shared memory sleep waits on the latch alone.
 */
extern void pay_wake_wait_prepare(const char *order_id);
extern bool pay_wake_wait_sleep(const char *order_id, long timeout_ms);
extern void pay_wake_wait_cancel(void);

/*
 * Until when, by a clock that nobody can set; and how many milliseconds are left
 * until then.
 */
extern int64 pay_wake_wait_until(long timeout_ms);
extern long pay_wake_wait_left(int64 end);

/*
 * After commit: this order has a new state.  The second is for use before the
 * commit, and wakes when it happens.
 */
extern void pay_wake_settled(const char *order_id);
extern void pay_wake_settled_at_commit(const char *order_id);

#endif							/* PAY_WAKE_H */
