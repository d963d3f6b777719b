/*
 * worker_queue_read.c
 *		What the worker reads of the queue's table, and how much at once.
 *
 * A read passes over dead rows.  While somebody holds an old snapshot nothing
 * removes them, so a sweep meets all that were ever open since, which may be
 * millions, at a microsecond or so for each; and nothing else goes on in the
 * turn that does it.  So a read that took too long goes half as far the next
 * time, and one that was quick twice as far.  test/t/105_dead_queue.pl
 */
#include "postgres.h"

#include "clock.h"
#include "schedule.h"
#include "worker.h"

#define READS			8		/* in a turn */
#define READ_TIME		40		/* ms: a read that takes longer took too long */
#define LEAST_REACH		10000

static int64 reach = PAY_SCHEDULE_END;	/* ids that a read may pass over */

static bool fit_reach(int64 ms, int64 after, int64 upto);

/* Some of what waits in the table, one merchant after the other. */
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
		int64		clock = pay_clock_ms();
		int64		upto = reach < PAY_SCHEDULE_END - after ? after + reach :
		PAY_SCHEDULE_END;
		PayQueueRow *found;
		bool		may_charge = pay_worker_merchant_keys(merchant_id)->may_charge;
		int			n = pay_psp_queue_read(worker->shard, merchant_id,
										   may_charge, after, upto,
										   PAY_SCHEDULE_READ, &found);
		PayScheduleRow *rows = palloc(sizeof(PayScheduleRow) * Max(n, 1));

		was_quick = fit_reach(pay_clock_ms() - clock, after, upto);
		if (n == PAY_SCHEDULE_READ)
			upto = found[n - 1].call_id;
		else if (upto < PAY_SCHEDULE_END && upto >= pay_psp_queue_newest())
			upto = PAY_SCHEDULE_END;
		for (int i = 0; i < n; i++)
		{
			rows[i].call_id = found[i].call_id;
			rows[i].due_at = pay_worker_queue_clock(found[i].due_at, now);
		}
		pay_schedule_read(schedule, merchant_id, rows, n, upto, pay_clock_ms());
	}
}

/* Learn from a read how far the next one may go.  False: it took too long. */
static bool
fit_reach(int64 ms, int64 after, int64 upto)
{
	if (ms <= READ_TIME)
	{
		if (ms < READ_TIME / 4)
			reach = reach < PAY_SCHEDULE_END / 2 ? reach * 2 : PAY_SCHEDULE_END;
		return true;
	}
	upto = Min(upto, pay_psp_queue_newest());
	reach = Max(Min(reach, upto - after) / 2, LEAST_REACH);
	return false;
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
