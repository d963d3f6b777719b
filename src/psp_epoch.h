/*
 * psp_epoch.h
 *		Runs of workers: their epochs, and the calls that a run leaves behind.
 *
 * psp_epoch.c alone writes payments.worker_epoch.  All functions connect by
 * themselves and run inside a transaction of the caller's, at READ COMMITTED.
 */
#ifndef PAY_PSP_EPOCH_H
#define PAY_PSP_EPOCH_H

#include "postgres.h"

#include "shard.h"
#include "utils/timestamp.h"

/*
 * Runs that are over and left calls of this shard in flight.  Returns how many;
 * the array is in the current context.  foreign: one of them was, or may have
 * been, another server's.
 */
extern int	pay_psp_epoch_orphans(PayShard shard, int64 **epochs,
								  bool *foreign);

/*
 * Make their calls pending again, as queries that are due then.  Returns how
 * many there were.
 */
extern int	pay_psp_epoch_adopt(PayShard shard, int64 *epochs, int n,
								TimestampTz due_at);

/*
 * Calls of this shard that an earlier run sent and that are to be asked about
 * by this time, in the order of their ids.  Returns how many; the array is in
 * the current context.
 */
extern int	pay_psp_epoch_in_doubt(PayShard shard, TimestampTz upto,
								   int64 **calls);

/*
 * When the last run began, or its last attempt, as its clock said.  0: there was
 * none.
 */
extern TimestampTz pay_psp_epoch_last_seen(void);

/* Begin a run: the next number, which no other run has. */
extern int64 pay_psp_epoch_draw(PayShard shard, TimestampTz now);

#endif							/* PAY_PSP_EPOCH_H */
