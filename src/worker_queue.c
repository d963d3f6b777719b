/*
 * worker_queue.c
 *		Which calls the worker claims: from hints and the table to a turn.
 *
 * Owns the worker's schedule (schedule.h).  Those who queue calls write hints
 * into shared memory; what becomes of a call is known from its result; so as a
 * rule nothing has to be looked for.  The sweep makes up for hints that were
 * never given: it forgets the schedule, and reads the table anew, some rows in
 * each turn, while everything else goes on.
 *
 * Whatever goes wrong in a turn, the schedule may have come to differ from the
 * table: then it is forgotten, too.  And while a merchant may not charge, calls
 * of which nothing was sent are not kept: when it may, all is read anew.
 */
#include "postgres.h"

#include "clock.h"
#include "deposit.h"
#include "deposit_plan.h"
#include "schedule.h"
#include "worker.h"
#include "worker_knock.h"

/* Milliseconds */
#define LOCKED_DELAY	100		/* for due calls that others have locked */
#define FORGET_DELAY	5000	/* between sweeps for want of memory */

#define HINTS			256		/* taken at once */

/* Calls that wait for a deposit: how many are asked about at once, how often */
#define RECALLS			100
#define RECALL_DELAY	500		/* ms */

static PaySchedule *schedule = NULL;
static int64 sweep_at = 0;		/* when to forget and to read anew */
static int64 swept_at = 0;
static int64 prepared_at = 0;	/* when to look at prepared transactions */
static uint32 prepared = 0;		/* those that were there */
static int64 recall_at = 0;		/* when a deposit is to be asked about */
static bool inherited = false;	/* in this turn */
static PayPick picks[PAY_MAX_IN_FLIGHT];	/* the last turn's */
static int	n_picks = 0;

static int	get_wanted(PayCallWanted **wanted);
static void add(int64 merchant_id, int64 call_id, TimestampTz due_at,
				TimestampTz now);
static bool mark_prepared(PayWorker *worker, bool value);
static void mark_inherits(PayWorker *worker, bool value);
static void look_for_prepared(PayWorker *worker, int64 clock);
static void sweep(PayWorker *worker, int64 clock);
static void learn_merchants(PayWorker *worker, bool again);
static void inherit(PayWorker *worker, TimestampTz now, int64 clock);
static void recall_deposits(PayWorker *worker, TimestampTz now, int64 clock);
static int64 may_go(void *arg, int64_t merchant_id, int64_t call_id,
					int64_t now);
static void look_after(const PayCallWanted *wanted, int n, TimestampTz now);

void
pay_worker_queue_start(PayWorker *worker)
{
	pay_worker_flow_start(worker);
	schedule = pay_schedule_create();
	if (schedule == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/*
 * Take the hints that were given since the last time.  The mark is read
 * without the lock: whoever sets it sets our latch afterwards.
 */
void
pay_worker_queue_listen(PayWorker *worker)
{
	PayHint		hints[HINTS];
	TimestampTz now;
	int			n = HINTS;

	if (!worker->slot->pending)
		return;
	now = GetCurrentTimestamp();
	while (n == HINTS)
	{
		PayHintLoss loss;

		n = pay_worker_knock_take(worker->slot_no, hints, HINTS, &loss);
		pay_worker_count_hints(worker, n, loss.n);
		for (int i = 0; i < n; i++)
			add(hints[i].merchant_id, hints[i].call_id, hints[i].due_at, now);
		if (loss.from != PAY_HINT_NONE)
			pay_schedule_lost(schedule, loss.from);
	}
}

/* A merchant that nobody knew has its calls read, this one with them. */
static void
add(int64 merchant_id, int64 call_id, TimestampTz due_at, TimestampTz now)
{
	if (!pay_schedule_knows(schedule, merchant_id))
	{
		pay_worker_merchant_unknown();
		if (!pay_schedule_know(schedule, merchant_id))
			sweep_at = Min(sweep_at, pay_clock_ms() + FORGET_DELAY);
	}
	pay_schedule_add(schedule, merchant_id, call_id, pay_worker_queue_clock(due_at, now),
					 pay_clock_ms());
}

/* When there is something to claim or to look for, if nobody knocks. */
int64
pay_worker_queue_next_at(PayWorker *worker)
{
	int64		now = pay_clock_ms();
	int64		next = Min(pay_schedule_next_at(schedule, now), sweep_at);
	int64		forget_at = pay_schedule_forget_at(schedule);

	/* a transaction was prepared: look soon, and then every second */
	if (worker->slot->prepared)
		prepared_at = Min(prepared_at, now + PAY_PREPARED_SWEEP);

	if (worker->slot->inherits)
		return now;
	if (forget_at != PAY_SCHEDULE_NEVER)
		sweep_at = Min(sweep_at, Max(forget_at, swept_at + FORGET_DELAY));
	return Min(Min(next, sweep_at), Min(prepared_at, recall_at));
}

/*
 * Settings were changed, or secrets: the sweep may have to come earlier, and who
 * could not send may.
 */
void
pay_worker_queue_reload(PayWorker *worker)
{
	pay_schedule_release_all(schedule);
	sweep_at = Min(sweep_at, pay_clock_ms() + pay_guc_sweep_interval * 1000);
}

/* Something may be there that is not known: read all of it anew, soon. */
void
pay_worker_queue_sweep(PayWorker *worker)
{
	sweep_at = 0;
}

/* A turn was rolled back: what it took from the schedule is to be found again. */
void
pay_worker_queue_forget(PayWorker *worker)
{
	pay_worker_flow_rolled_back(worker);
	pay_worker_queue_sweep(worker);
	recall_at = 0;
	mark_prepared(worker, true);
	if (inherited)
		mark_inherits(worker, true);
}

/*
 * Claim up to limit calls, in a turn's transaction.  What was to be claimed and
 * could not be is tried again later, unless it is not pending any more.
 */
int
pay_worker_queue_claim(PayWorker *worker, int limit, TimestampTz now,
					   PayClaim ***claims)
{
	PayCallWanted *wanted;
	PayTimes	times;
	int64		clock = pay_clock_ms();
	int			n;
	int			n_claims;

	pay_worker_clock(worker, &times);
	inherited = false;
	n_picks = 0;
	pay_worker_merchant_turn();
	if (pay_worker_flow_turn(worker))
		pay_schedule_release_all(schedule);
	if (worker->slot->inherits)
		inherit(worker, now, clock);
	if (clock >= prepared_at)
		look_for_prepared(worker, clock);
	if (clock >= sweep_at)
		sweep(worker, clock);
	else
		learn_merchants(worker, false);
	if (clock >= recall_at)
		recall_deposits(worker, times.latest, clock);
	pay_worker_queue_read(worker, schedule, times.latest);

	n_picks = pay_schedule_pick(schedule, clock,
								Min(limit, PAY_MAX_IN_FLIGHT), picks, may_go,
								worker);
	*claims = NULL;
	if (n_picks == 0)
		return 0;
	n = get_wanted(&wanted);
	pay_worker_flow_before_claim(worker);
	n_claims = pay_psp_call_claim(wanted, n, worker->epoch, &times,
								  worker->turn_context, claims);
	pay_worker_flow_claimed(worker, *claims, n_claims);
	if (n_claims < n)
		look_after(wanted, n, times.latest);
	return n_claims;
}

static int
get_wanted(PayCallWanted **wanted)
{
	*wanted = palloc(sizeof(PayCallWanted) * Max(n_picks, 1));
	for (int i = 0; i < n_picks; i++)
	{
		(*wanted)[i].call_id = picks[i].call_id;
		(*wanted)[i].merchant_id = picks[i].merchant_id;
		(*wanted)[i].keys = pay_worker_merchant_keys(picks[i].merchant_id);
	}
	return n_picks;
}

/*
 * What the last turn was to claim, in another one.  palloc'ed; none, when it did
 * not come to that.
 */
int
pay_worker_queue_picked(PayCallWanted **wanted)
{
	pay_worker_merchant_turn();
	return get_wanted(wanted);
}

/*
 * A worker has left that divided the calls differently: take over what it left
 * in flight of this shard, and look for what it gave back.  Charges do not wait
 * for that, as they do when a run begins: these calls were nobody's doubt yet.
 */
static void
inherit(PayWorker *worker, TimestampTz now, int64 clock)
{
	int64		settle_us;

	inherited = true;
	mark_inherits(worker, false);	/* who leaves from here on sets it again */
	(void) pay_worker_adopt(worker, now, &settle_us);
	sweep_at = clock;
}

static void
mark_inherits(PayWorker *worker, bool value)
{
	SpinLockAcquire(&worker->slot->mutex);
	worker->slot->inherits = value;
	SpinLockRelease(&worker->slot->mutex);
}

/*
 * Calls that prepared transactions queued appear without a hint, when they are
 * committed.  As long as there is such a transaction in this database the worker
 * looks every second whether they are still the same, and sweeps when they are
 * not, or when another was prepared.  They are looked for before the table is
 * read, so the calls of one that is gone are seen.
 */
static void
look_for_prepared(PayWorker *worker, int64 clock)
{
	bool		marked = mark_prepared(worker, false);
	uint32		found = pay_psp_queue_prepared();

	if (marked || found != prepared)
		sweep_at = clock;
	prepared = found;
	prepared_at = found != 0 ? clock + PAY_PREPARED_SWEEP : PAY_NEVER;
}

/* Returns what the mark was. */
static bool
mark_prepared(PayWorker *worker, bool value)
{
	bool		was;

	SpinLockAcquire(&worker->slot->mutex);
	was = worker->slot->prepared;
	worker->slot->prepared = value;
	SpinLockRelease(&worker->slot->mutex);
	return was;
}

static void
sweep(PayWorker *worker, int64 clock)
{
	learn_merchants(worker, true);
	pay_schedule_forget(schedule);
	recall_at = Min(recall_at, clock);
	swept_at = clock;
	sweep_at = clock + pay_guc_sweep_interval * 1000;
}

/* Every merchant that is known has its calls read. */
static void
learn_merchants(PayWorker *worker, bool again)
{
	const int64 *ids;
	int			n = pay_worker_merchant_learn(worker, again, &ids);

	for (int i = 0; i < n; i++)
		if (!pay_schedule_know(schedule, ids[i]))
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/*
 * Calls that wait for a deposit come back into the queue when it is time to ask
 * about them, some at a time, so that there is always room for others.
 */
static void
recall_deposits(PayWorker *worker, TimestampTz now, int64 clock)
{
	PayQueueRow *rows;
	int			n = pay_psp_deposit_recall(worker->shard, now, RECALLS, &rows);

	for (int i = 0; i < n; i++)
		add(rows[i].merchant_id, rows[i].call_id, rows[i].due_at, now);
	pay_deposit_look(worker->shard, RECALLS, now);
	recall_at = Min(pay_worker_queue_clock(pay_psp_deposit_next(worker->shard), now),
					pay_worker_queue_clock(pay_deposit_look_next(worker->shard), now));
	recall_at = Max(recall_at, clock + RECALL_DELAY);
}

/* Asked by the schedule before it takes a call. */
static int64
may_go(void *arg, int64_t merchant_id, int64_t call_id, int64_t now)
{
	return pay_worker_flow_admit((PayWorker *) arg, merchant_id, call_id,
								 pay_worker_merchant_keys(merchant_id)->fingerprint, now);
}

/* Something of this merchant's has ended: there may be room for more. */
void
pay_worker_queue_release(PayWorker *worker, int64 merchant_id)
{
	pay_schedule_release(schedule, merchant_id);
}

/*
 * The merchants that have a key and may charge now; in a transaction.  palloc'ed.
 */
int
pay_worker_queue_chargeable(PayWorker *worker, int64 **merchant_ids)
{
	pay_worker_merchant_turn();
	learn_merchants(worker, false);
	return pay_worker_merchant_chargeable(merchant_ids);
}

/* Those that are still pending were locked, or are due later than believed. */
static void
look_after(const PayCallWanted *wanted, int n, TimestampTz now)
{
	PayQueueRow *rows;

	n = pay_psp_queue_look(wanted, n, &rows);
	for (int i = 0; i < n; i++)
		add(rows[i].merchant_id, rows[i].call_id,
			Max(rows[i].due_at, now + LOCKED_DELAY * INT64CONST(1000)), now);
}

/* A result was saved: its call may be due again some day. */
void
pay_worker_queue_return(PayWorker *worker, const PayResult *result)
{
	const PayDecision *decision = &result->decision;
	int64		call_id = result->claim->call_id;
	int64		clock = pay_clock_ms();

	switch (decision->action)
	{
		case PAY_ACTION_SUCCEED:
		case PAY_ACTION_FAIL:
		case PAY_ACTION_REFUND:
		case PAY_ACTION_REFUND_FAIL:
		case PAY_ACTION_LEARN:
		case PAY_ACTION_GIVE_UP:
		case PAY_ACTION_ESCALATE:
			return;
		case PAY_ACTION_RENEW:
			if (result->renewed_as == 0)
				return;
			call_id = result->renewed_as;
			break;
		case PAY_ACTION_AWAIT_DEPOSIT:
			recall_at = Min(recall_at, clock + decision->delay / 1000 + 1);
			return;
		case PAY_ACTION_RESEND:
		case PAY_ACTION_QUERY:
			break;
	}
	pay_schedule_add(schedule, result->claim->merchant_id, call_id,
					 decision->delay > 0 ? clock + decision->delay / 1000 + 1 :
					 clock, clock);
}
