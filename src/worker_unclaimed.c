/*
 * worker_unclaimed.c
 *		What a worker does about paid orders that nobody claims: when their time
 *		is over, they are refunded (order_claim.c).
 *
 * One order, one transaction, one pass of the worker's loop.  It sleeps until the
 * next one is due; that there is a new one it can only have learnt by settling its
 * payment.
 *
 * What cannot be refunded, since a seller's wallet has too little, say, keeps the
 * reason in its row, where people see it, and is tried again.  From where charges
 * may not be sent nothing is refunded either: whoever claims orders may do so
 * elsewhere.  test/t/075_claim.pl
 */
#include "postgres.h"

#include "commands/async.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"

#include "clock.h"
#include "db.h"
#include "fault.h"
#include "order_claim.h"
#include "worker.h"

#define LOCK_TIMEOUT	"100"	/* ms; somebody may be at its lines for long */
#define DELAY			1000	/* ms between looks, as long as none is due */

static int64 step_at = 0;		/* pay_clock_ms */
static int64 taken_at = 0;		/* the last one */
static char order_id[65];		/* of the step that is being taken, or "" */
static bool ended;
static TimestampTz next_at;
static const char *problem;		/* that is to be noted, or NULL */

static void note(PayWorker *worker, const PayTurnFailure *failure);

/* A payment was settled, so there may be a new one. */
void
pay_worker_unclaimed_look(void)
{
	step_at = Min(step_at, taken_at + DELAY);
}

/* When to take a step (pay_clock_ms), as far as nothing else happens. */
int64
pay_worker_unclaimed_at(const PayWorker *worker)
{
	if (worker->holding || worker->withheld[0] != '\0' ||
		worker->asking[0] != '\0')
		return PAY_NEVER;
	return Min(step_at, taken_at + pay_guc_sweep_interval * INT64CONST(1000));
}

/* Take a step if it is time. */
void
pay_worker_unclaimed(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_UNCLAIMED};
	int64		now = pay_clock_ms();
	int64		wait = DELAY;

	if (ShutdownRequestPending || worker->gone[0] != '\0' ||
		now < pay_worker_unclaimed_at(worker))
		return;

	taken_at = now;
	if (!pay_worker_try_turn(worker, &turn))
		note(worker, &turn.failure);
	else if (order_id[0] != '\0')
		wait = 0;
	else if (TIMESTAMP_IS_NOEND(next_at))
		wait = pay_guc_sweep_interval * INT64CONST(1000);
	else
		wait = Max(DELAY, (next_at - GetCurrentTimestamp()) / 1000 + 1);
	step_at = now + wait;
}

/* The step itself, for worker_turn.c. */
void
pay_worker_unclaimed_work(PayWorker *worker, TimestampTz now)
{
	PayOrder	order;
	PayMerchantKeys keys;

	next_at = DT_NOEND;
	ended = false;
	if (problem == NULL)
		order_id[0] = '\0';
	if (!pay_worker_may_claim(worker))
		return;
	pay_worker_arming_turn(worker);
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);

	pay_db_connect();
	if (problem != NULL)
		pay_order_claim_note(order_id, problem, now);
	else if (pay_order_claim_find(worker->shard, now, &order))
	{
		strlcpy(order_id, order.order_id, sizeof(order_id));
		pay_worker_keys_of(order.merchant, &keys);
		if (!keys.may_charge)
			pay_order_claim_note(order_id, "nothing is sent for the merchant from here",
								 now);
		else
			ended = pay_order_claim_end(&order, now);
		if (ended)
			PAY_FAULT("unclaimed-ended");
	}
	else
		next_at = pay_order_claim_next(worker->shard);
	pay_db_finish();
	if (ended && pay_guc_notify)
		Async_Notify("payments_event", "");
}

/* It could not be ended: say why, where people look. */
static void
note(PayWorker *worker, const PayTurnFailure *failure)
{
	PayTurn		turn = {PAY_TURN_UNCLAIMED};

	if (worker->gone[0] != '\0')
		return;
	if (pay_worker_may_log(worker, PAY_LOG_UNCLAIMED, failure->message))
		ereport(WARNING,
				(errmsg("payments worker cannot give back what nobody claimed"),
				 errdetail("%s", failure->message),
				 errhint("It is tried again; see payments.payment_claim."),
				 errhidestmt(true)));
	if (order_id[0] == '\0')
		return;
	problem = failure->message;
	(void) pay_worker_try_turn(worker, &turn);
	problem = NULL;
}
