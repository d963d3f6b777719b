/*
 * worker_expire.c
 *		What a worker does about calls that were never sent: when their order's
 *		time is over, the order fails (psp_expire.c).
 *
 * In rounds, of short transactions of their own, from the oldest call to the
 * newest: one with each sweep, and one when the next call that was seen waiting
 * expires.  While everything is sent at once there is nothing to see, so an idle
 * worker sleeps.
 *
 * Of several workers the first one does it, for all of them: whoever locks a call
 * first, it or the worker of the call's shard, has it.
 *
 * A row that cannot be ended is passed over, and tried again in the next round;
 * nothing else waits for it.  test/t/057_flow.pl
 */
#include "postgres.h"

#include "commands/async.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"

#include "clock.h"
#include "psp_expire.h"
#include "reach.h"
#include "wake.h"
#include "worker.h"

#define BATCH			500		/* calls looked at in a transaction */
#define STEP_DELAY		50		/* ms between those of a round, at least */
#define STEP_SHARE		25		/* one part in so many of the time, at most */
#define IDLE_SHARE		100		/* the same, while nothing has expired */
#define ROUND_DELAY		1000	/* and between rounds */

static int64 step_at = 0;		/* pay_clock_ms */
static int64 taken_at = 0;		/* the last one */
static int64 after = 0;			/* where the round has come to */
static int	batch = BATCH;
static int64 round_at;			/* of the next round, as this one sees it */
static PayExpiry expiry;		/* of the step that is being taken */
static PayReach reach = {PAY_REACH_FIRST};	/* of a step */
static int64 newest;			/* id of a call, before the step */

static void plan_next(int64 now);

/* When to take a step, as far as nothing else happens. */
int64
pay_worker_expire_at(const PayWorker *worker)
{
	if (worker->shard.number > 0 || worker->holding ||
		worker->withheld[0] != '\0' || worker->asking[0] != '\0')
		return PAY_NEVER;
	return Min(step_at, taken_at + pay_guc_sweep_interval * INT64CONST(1000));
}

/* Take a step if it is time. */
void
pay_worker_expire(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_EXPIRE};
	int64		now = pay_clock_ms();

	if (ShutdownRequestPending || worker->gone[0] != '\0' ||
		now < pay_worker_expire_at(worker))
		return;

	taken_at = now;
	memset(&expiry, 0, sizeof(expiry));
	expiry.last = PAY_REACH_END;
	expiry.next_at = DT_NOEND;
	if (after == 0)
		round_at = now + pay_guc_sweep_interval * INT64CONST(1000);
	if (pay_worker_try_turn(worker, &turn))
	{
		pg_atomic_fetch_add_u64(&worker->slot->counters[PAY_COUNT_SETTLED],
								expiry.n_expired);
		for (int i = 0; i < expiry.n_expired; i++)
			pay_wake_settled(expiry.expired[i]);
		plan_next(now);
		return;
	}

	/* the row that does it is found by taking one, two, four ... of them */
	step_at = now + ROUND_DELAY;
	if (worker->gone[0] != '\0')
		return;
	if (batch == 1 && expiry.first != 0)
		after = expiry.first;
	batch = 1;
	if (pay_worker_may_log(worker, PAY_LOG_UPKEEP, turn.failure.message))
		ereport(WARNING,
				(errmsg("payments worker cannot end a call that was never sent and has expired"),
				 errdetail("%s", turn.failure.message),
				 errhint("It is tried again; everything else goes on."),
				 errhidestmt(true)));
}

/* The step itself, for worker_turn.c; returns how many orders ended. */
int
pay_worker_expire_work(PayWorker *worker, TimestampTz now)
{
	int64	   *merchant_ids;

	if (!pay_worker_may_claim(worker))
		return 0;
	pay_worker_arming_turn(worker);
	expiry.n_merchants = pay_worker_queue_chargeable(worker, &merchant_ids);
	expiry.merchant_ids = merchant_ids;

	/* a promotion may have lost the attempts of what was queued before it */
	expiry.since = pay_worker_shared->was_standby ? MyStartTimestamp : DT_NOBEGIN;
	newest = pay_psp_queue_newest();
	expiry.after = after;
	expiry.upto = pay_reach_upto(&reach, after, newest);
	expiry.max = batch;
	pay_psp_expire(&expiry, now);
	if (expiry.n_expired > 0 && pay_guc_notify)
		Async_Notify("payments_event", "");
	return expiry.n_expired;
}

static void
plan_next(int64 now)
{
	TimestampTz time = GetCurrentTimestamp();
	int64		took = pay_clock_ms() - now;

	(void) pay_reach_fit(&reach, took, Min(expiry.last, newest) - after);
	if (!TIMESTAMP_IS_NOEND(expiry.next_at))
		round_at = Min(round_at, now + Max((expiry.next_at - time) / 1000 + 1,
										   ROUND_DELAY));
	if (expiry.last != PAY_REACH_END)
	{
		int			share = expiry.n_expired > 0 ? STEP_SHARE : IDLE_SHARE;

		after = expiry.last;
		batch = Min(batch * 2, BATCH);
		step_at = now + Max(STEP_DELAY, took * share);
		return;
	}
	after = 0;
	batch = BATCH;
	step_at = round_at;
}
