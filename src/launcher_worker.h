/*
 * launcher_worker.h
 *		One worker, as the launcher sees it: by the number of its slot.
 */
#ifndef PAY_LAUNCHER_WORKER_H
#define PAY_LAUNCHER_WORKER_H

#include "postgres.h"

/* Times are of pay_clock_ms; this one never comes. */
#define PAY_LAUNCHER_NEVER	INT64_MAX

/* The slot was given to another database or shard: nothing is known of it. */
extern void pay_launcher_worker_forget(int n);

/* From being started, before it has come to its slot, until it is gone. */
extern bool pay_launcher_worker_lives(int n);

/* Tell it to stop, once. */
extern void pay_launcher_worker_stop(int n);

/* It does not live: if it did before, plan when the next one may start. */
extern void pay_launcher_worker_ended(int n, int64 now);

/*
 * Start one if it is time; asked: somebody wants it to be soon.  Returns when to
 * come back if nothing happens before.
 */
extern int64 pay_launcher_worker_start(int n, int64 now, bool asked);

/* Why there is none. */
extern void pay_launcher_worker_report(int n, const char *reason);

#endif							/* PAY_LAUNCHER_WORKER_H */
