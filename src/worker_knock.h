/*
 * worker_knock.h
 *		Telling workers, and the launcher, that there is something for them.
 */
#ifndef PAY_WORKER_KNOCK_H
#define PAY_WORKER_KNOCK_H

#include "postgres.h"

#include "hint.h"

#define PAY_KNOCK_HINTS		64	/* that a transaction hands over */

/*
 * Knock at the workers of a database, or at the launcher for those that are not
 * there: each gets the hints of its shard (at most PAY_KNOCK_HINTS in all, with
 * the hashes of their orders); all are perhaps asked for a turn, or told that a
 * transaction was prepared.
 */
extern void pay_worker_knock(Oid dboid, const PayHint *hints,
							 const uint32 *hashes, int n, PayHintLoss loss,
							 bool look);
extern void pay_worker_knock_prepared(Oid dboid);
extern void pay_worker_knock_launcher(void);

/* A worker has left that was one of so many: tell those who take over from it. */
extern void pay_worker_knock_heirs(const char *database, int shards);

/* Let the launcher look at everything again, but hurry nothing. */
extern void pay_worker_wake_launcher(void);

/* The worker: take hints; fewer than max are all. */
extern int	pay_worker_knock_take(int n, PayHint *hints, int max,
								  PayHintLoss *loss);

#endif							/* PAY_WORKER_KNOCK_H */
