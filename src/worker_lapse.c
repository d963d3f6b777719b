/*
 * worker_lapse.c
 *		What a worker does about orders that nobody confirmed: when their time is
 *		over, they end (order_abandoned.c).
 *
 * A round with each sweep, from the order that expired first to the newest.
 * Each order has a transaction of its own, in a pass of the worker's loop; one
 * that cannot be ended is passed over, and tried again in the next round.  Nobody
 * waits for the commit to be flushed: an expiry that a crash undoes is done again,
 * and the order cannot be confirmed meanwhile.
 *
 * Orders of a merchant who may not be charged from here stay as they are: what
 * this database does not know may be known where he is.  test/t/062_expiry.pl
 */
#include "postgres.h"

#include "commands/async.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "clock.h"
#include "db.h"
#include "order_abandoned.h"
#include "wake.h"
#include "worker.h"

#define LOCK_TIMEOUT	"100"	/* ms; somebody may be at its lines for long */

static int64 step_at = 0;		/* pay_clock_ms */
static int64 taken_at = 0;		/* the last one */
static bool in_round = false;
static PayOrderWalk walk;		/* where the round has come to */
static bool found;				/* by the step that is being taken */
static char ended[65];			/* the order that it ended, or "" */

static void begin_round(PayWorker *worker);
static void pass_over(PayWorker *worker, const char *merchant);

/* When to take a step (pay_clock_ms), as far as nothing else happens. */
int64
pay_worker_lapse_at(const PayWorker *worker)
{
	if (worker->holding || worker->withheld[0] != '\0' ||
		worker->asking[0] != '\0')
		return PAY_NEVER;
	return Min(step_at, taken_at + pay_guc_sweep_interval * INT64CONST(1000));
}

/* Take a step if it is time. */
void
pay_worker_lapse(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_LAPSE};
	int64		now = pay_clock_ms();

	if (ShutdownRequestPending || worker->gone[0] != '\0' ||
		now < pay_worker_lapse_at(worker))
		return;

	taken_at = now;
	found = false;
	ended[0] = '\0';
	if (pay_worker_try_turn(worker, &turn))
	{
		if (ended[0] != '\0')
		{
			pg_atomic_fetch_add_u64(&worker->slot->counters[PAY_COUNT_SETTLED], 1);
			pay_wake_settled(ended);
		}
	}
	else if (worker->gone[0] == '\0' &&
			 pay_worker_may_log(worker, PAY_LOG_LAPSE, turn.failure.message))
		ereport(WARNING,
				(errmsg("payments worker cannot end an order that nobody confirmed in time"),
				 errdetail("%s", turn.failure.message),
				 errhint("It is tried again every payments.sweep_interval; everything else goes on."),
				 errhidestmt(true)));

	in_round = found;
	step_at = found ? now : now + pay_guc_sweep_interval * INT64CONST(1000);
}

/* The step itself, for worker_turn.c; returns how many orders ended. */
int
pay_worker_lapse_work(PayWorker *worker, TimestampTz now)
{
	PayOrder	order;
	PayMerchantKeys keys;

	if (!pay_worker_may_claim(worker))
		return 0;
	pay_worker_arming_turn(worker);
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);

	pay_db_connect();
	if (!in_round)
		begin_round(worker);
	found = pay_order_walk_next(&walk, now, &order);
	if (found)
	{
		pay_worker_keys_of(order.merchant, &keys);
		if (!keys.may_charge)
			pass_over(worker, order.merchant);
		else if (pay_order_expire(&order, now))
			strlcpy(ended, order.order_id, sizeof(ended));
	}
	pay_db_finish();
	if (ended[0] != '\0' && pay_guc_notify)
		Async_Notify("payments_event", "");
	return ended[0] != '\0' ? 1 : 0;
}

static void
begin_round(PayWorker *worker)
{
	for (int i = 0; i < walk.n_passed_over; i++)
		pfree(walk.passed_over[i]);
	walk.n_passed_over = 0;
	walk.since = pay_order_history_begin();
	walk.after = DT_NOBEGIN;
	walk.after_id = 0;
}

/* The rest of this round does not look at a merchant's orders. */
static void
pass_over(PayWorker *worker, const char *merchant)
{
	int			n = walk.n_passed_over;

	if (walk.passed_over == NULL)
		walk.passed_over = MemoryContextAlloc(worker->context, sizeof(char *));
	walk.passed_over = repalloc(walk.passed_over, sizeof(char *) * (n + 1));
	walk.passed_over[n] = MemoryContextStrdup(worker->context, merchant);
	walk.n_passed_over = n + 1;
}
