/*
 * worker_queue_read.c
 *		What the worker reads of the queue's table, and how much at once.
 */
#include "postgres.h"

#include "clock.h"
#include "reach.h"
#include "schedule.h"
#include "worker.h"

#define READS			8		/* in a turn */

StaticAssertDecl(PAY_REACH_END == PAY_SCHEDULE_END, "the end is the end");

static int	read_calls(PayWorker *worker, int64 merchant_id, int64 after,
					   int64 *upto, PayQueueRow **rows, bool *was_quick);

/*
 * Some of what waits in the table, one merchant after the other; after a read
 * that took long the rest is left to the next turn.
 */
void
pay_worker_queue_read(PayWorker *worker, PaySchedule *schedule,
					  TimestampTz now)
{
	int64		merchant_id;
	int64		after;
	bool		was_quick = true;

	for (int reads = 0; reads < READS && was_quick &&
		 pay_schedule_wants(schedule, &merchant_id, &after); reads++)
	{
		PayQueueRow *found;
		int64		upto;
		int			n = read_calls(worker, merchant_id, after, &upto, &found,
								   &was_quick);
		PayScheduleRow *rows = palloc(sizeof(PayScheduleRow) * Max(n, 1));

		for (int i = 0; i < n; i++)
		{
			rows[i].call_id = found[i].call_id;
			rows[i].due_at = pay_worker_queue_clock(found[i].due_at, now);
		}
		pay_schedule_read(schedule, merchant_id, rows, n, upto, pay_clock_ms());
	}
}

/* Returns how many there are up to which id. */
static int
read_calls(PayWorker *worker, int64 merchant_id, int64 after, int64 *upto,
		   PayQueueRow **rows, bool *was_quick)
{
	static PayReach reach = {PAY_REACH_FIRST};
	int64		newest = pay_psp_queue_newest();
	int64		clock = pay_clock_ms();
	int			n;

	*upto = pay_reach_upto(&reach, after, newest);
	n = pay_psp_queue_read(worker->shard, merchant_id,
						   pay_worker_merchant_keys(merchant_id)->may_charge,
						   after, *upto, PAY_SCHEDULE_READ, rows);
	if (n == PAY_SCHEDULE_READ)
		*upto = (*rows)[n - 1].call_id;
	*was_quick = pay_reach_fit(&reach, pay_clock_ms() - clock,
							   Min(*upto, newest) - after);
	return n;
}

/* By the worker's clock: the server's may be set, ours may not. */
int64
pay_worker_queue_clock(TimestampTz due_at, TimestampTz now)
{
	int64		clock = pay_clock_ms();

	if (TIMESTAMP_IS_NOEND(due_at))
		return PAY_SCHEDULE_NEVER;
	return due_at <= now ? clock : clock + (due_at - now) / 1000 + 1;
}
