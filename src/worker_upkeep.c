/*
 * worker_upkeep.c
 *		What a worker does for the ledger between turns: it writes snapshots,
 *		and ends the holds that are past their time.
 *
 * In short transactions of its own, and only while no result waits to be
 * saved.  Nothing depends on it: reads are right without snapshots, and a hold
 * past its time counts as released.  So when it fails people are told once, and
 * it is tried again with the next sweep.  test/t/039_worker_upkeep.pl
 *
 * Of several workers the first one does it, so that they are not in each other's
 * way.
 *
 * Snapshots take three steps, each after the other's commit: a round.  While
 * the ledger moves there is one every second, otherwise one every sweep.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"

#include "clock.h"
#include "db.h"
#include "worker.h"

#define STEPS			3		/* of a round */
#define BUSY_INTERVAL	1000	/* ms between rounds while the ledger moves */
#define STEP_ENTRIES	2000	/* of which a step writes snapshots at most */
#define LOCK_TIMEOUT	"100"	/* ms; somebody may be at a balance for long */

static void plan_next(PayWorker *worker, int entries);

/* When to do something (pay_clock_ms), as far as nothing else happens. */
int64
pay_worker_upkeep_at(const PayWorker *worker)
{
	if (worker->shard.number > 0 ||
		worker->n_results > 0 || worker->n_put_off > 0 || worker->holding)
		return PAY_NEVER;
	return worker->upkeep_at;
}

/* Take a step if it is time. */
void
pay_worker_upkeep(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_UPKEEP};

	if (ShutdownRequestPending || worker->gone[0] != '\0' ||
		pay_clock_ms() < pay_worker_upkeep_at(worker))
		return;

	if (worker->upkeep_steps == 0)
	{
		worker->upkeep_steps = STEPS;
		worker->upkeep_entries = 0;
	}
	if (pay_worker_try_turn(worker, &turn))
	{
		worker->upkeep_failed = false;
		plan_next(worker, turn.entries);
	}
	else if (worker->gone[0] == '\0')
	{
		if (!worker->upkeep_failed &&
			pay_worker_may_log(worker, PAY_LOG_UPKEEP, turn.failure.message))
			ereport(WARNING,
					(errmsg("payments worker cannot look after the ledger"),
					 errdetail("%s", turn.failure.message),
					 errhint("Payments go on, and balances stay right. It is tried again every payments.sweep_interval; the next failure is not told."),
					 errhidestmt(true)));
		worker->upkeep_failed = true;
		worker->upkeep_steps = 0;
		worker->upkeep_at = pay_clock_ms() + pay_guc_sweep_interval * 1000;
	}
}

/* The step itself, for worker_turn.c; returns how many entries it took in. */
int
pay_worker_upkeep_work(const PayWorker *worker)
{
	static PayStatement expire = {
		"SELECT payments.expire_holds()",
		0
	};
	static PayStatement write = {
		"SELECT payments.write_snapshots($1)",
		1, {INT4OID}
	};
	Datum		values[1] = {Int32GetDatum(STEP_ENTRIES)};
	int			entries;

	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	pay_db_connect();
	if (worker->upkeep_steps == STEPS)
		pay_db_run(&expire, NULL, NULL);
	pay_db_run(&write, values, NULL);
	entries = pay_db_int32(0, 1);
	pay_db_finish();
	return entries;
}

/* A step that took in all that it may is not the last one of its kind. */
static void
plan_next(PayWorker *worker, int entries)
{
	worker->upkeep_entries += entries;
	if (entries < STEP_ENTRIES)
		worker->upkeep_steps--;

	worker->upkeep_at = pay_clock_ms();
	if (worker->upkeep_steps == 0)
		worker->upkeep_at += worker->upkeep_entries > 0 ?
			Min(BUSY_INTERVAL, pay_guc_sweep_interval * 1000) :
			pay_guc_sweep_interval * 1000;
}
