/*
 * worker_upkeep.c
 *		What a worker does for the ledger between turns: it writes snapshots,
 *		ends the holds that are past their time, and seals what is final.
 *
 * In short transactions of its own.  Nothing depends on it: reads are right
 * without snapshots, and a hold past its time counts as released.  So when it fails
 * people are told once, and it is tried again with the next sweep.
 * test/t/039_worker_upkeep.pl
 *
 * Of several workers the first one does it, so that they are not in each other's
 * way.
 *
 * Snapshots take three steps, each after the other's commit: a round.  While
 * the ledger moves there is one every second, otherwise one every sweep.  The
 * last step of a round seals what is final by then, a bit in each transaction,
 * unless the last seal is younger than a sweep interval, and the server's log
 * hears of the newest, so that its digest is kept where the log is kept.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"

#include "clock.h"
#include "db.h"
#include "fault.h"
#include "worker.h"

#define STEPS			3		/* of a round */
#define BUSY_INTERVAL	1000	/* ms between rounds while the ledger moves */
#define STEP_ENTRIES	2000	/* of which a step writes snapshots at most */
#define SEAL_ENTRIES	2000	/* of which a step makes a seal at most */
#define LOCK_TIMEOUT	"100"	/* ms; somebody may be at a balance for long */

static void seal(const PayWorker *worker, PayTurn *turn);
static void plan_next(PayWorker *worker, const PayTurn *turn);

/* When to do something (pay_clock_ms), as far as nothing else happens. */
int64
pay_worker_upkeep_at(const PayWorker *worker)
{
	if (worker->shard.number > 0 || worker->holding)
		return PAY_NEVER;
	return worker->upkeep_at;
}

/* The interval may be shorter than the one that was planned with. */
void
pay_worker_upkeep_reload(PayWorker *worker)
{
	int64		next = pay_clock_ms() + pay_guc_sweep_interval * INT64_C(1000);

	worker->upkeep_at = Min(worker->upkeep_at, next);
	worker->seal_at = Min(worker->seal_at, next);
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
		if (turn.sealed > 0)
			PAY_FAULT("seal-committed");
		plan_next(worker, &turn);
		if (turn.seal[0] != '\0' &&
			pay_worker_may_log(worker, PAY_LOG_SEAL, turn.seal))
			ereport(LOG,
					(errmsg("payments worker for database \"%s\" has sealed the ledger: %s",
							worker->slot->database, turn.seal),
					 errhidestmt(true)));
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

/* The step itself, for worker_turn.c. */
void
pay_worker_upkeep_work(const PayWorker *worker, PayTurn *turn)
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

	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	pay_db_connect();
	if (worker->upkeep_steps == STEPS)
		pay_db_run(&expire, NULL, NULL);
	pay_db_run(&write, values, NULL);
	turn->entries = pay_db_int32(0, 1);
	if (worker->upkeep_steps == 1 && pay_clock_ms() >= worker->seal_at)
		seal(worker, turn);
	pay_db_finish();
}

/* One seal; the last of several is told. */
static void
seal(const PayWorker *worker, PayTurn *turn)
{
	static PayStatement write = {
		"SELECT payments.seal_ledger($1)",
		1, {INT4OID}
	};
	static PayStatement newest = {
		"SELECT pg_catalog.format('seal %s, up to ledger transaction %s, digest %s', s.no, s.upto_id, s.digest)"
		" FROM ONLY payments.ledger_seal s ORDER BY s.no DESC LIMIT 1",
		0
	};
	Datum		values[1] = {Int32GetDatum(SEAL_ENTRIES)};

	pay_db_run(&write, values, NULL);
	turn->sealing = true;
	turn->sealed = pay_db_int32(0, 1);
	if (turn->sealed < SEAL_ENTRIES &&
		(turn->sealed > 0 || worker->seal_untold) &&
		pay_db_run(&newest, NULL, NULL) > 0)
		strlcpy(turn->seal, pay_db_text(0, 1), sizeof(turn->seal));
}

/* A step that took in all that it may is not the last one of its kind. */
static void
plan_next(PayWorker *worker, const PayTurn *turn)
{
	int64		now = pay_clock_ms();
	int64		sweep = pay_guc_sweep_interval * INT64_C(1000);

	worker->upkeep_entries += turn->entries;
	if (turn->sealing)
	{
		worker->seal_untold = turn->sealed >= SEAL_ENTRIES;
		if (turn->sealed > 0 && !worker->seal_untold)
			worker->seal_at = now + sweep;
	}
	if (turn->entries < STEP_ENTRIES && turn->sealed < SEAL_ENTRIES)
		worker->upkeep_steps--;

	worker->upkeep_at = now;
	if (worker->upkeep_steps == 0)
		worker->upkeep_at += worker->upkeep_entries > 0 ?
			Min(BUSY_INTERVAL, sweep) : sweep;
}
