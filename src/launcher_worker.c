/*
 * launcher_worker.c
 *		One worker, as the launcher sees it: started, told to stop, ended, and how
 *		long to wait before the next one is started in its slot.
 *
 * Each slot waits for itself: that a worker of one shard or database fails again
 * and again delays no other.  test/t/048_worker_reasons.pl
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"

#include "launcher_worker.h"
#include "worker_slot.h"

/* Milliseconds */
#define RESTART_FIRST		200 /* before a worker is started again */
#define RESTART_LAST		30000	/* and no longer than this */
#define RESTART_ASKED		1000	/* when somebody asked for it */
#define HEALTHY_AFTER		10000	/* then the next restart is quick again */
#define WARNING_EVERY		60000
#define CRASH_LOOP			3	/* so many errors in a row are one */

/* What is known of a slot's worker beyond the slot itself. */
typedef struct Charge
{
	BackgroundWorkerHandle *handle; /* NULL: not started by us, or ended */
	bool		told_to_stop;
	int64		started_at;
	int64		start_at;		/* when to start it next */
	int64		delay;			/* what was waited last */
	int			errors;			/* runs in a row that ended with one, soon */
	int64		warned_at;
} Charge;

static Charge charges[PAY_WORKER_SLOTS];

static void start(int n, int64 now);
static void describe(int n, BackgroundWorker *worker);
static void wait_longer(Charge *charge, int64 now);

void
pay_launcher_worker_forget(int n)
{
	memset(&charges[n], 0, sizeof(Charge));
}

bool
pay_launcher_worker_lives(int n)
{
	Charge	   *charge = &charges[n];
	pid_t		pid;

	if (charge->handle != NULL &&
		GetBackgroundWorkerPid(charge->handle, &pid) != BGWH_STOPPED)
		return true;
	return pay_worker_slot(n)->pid != 0;
}

void
pay_launcher_worker_stop(int n)
{
	Charge	   *charge = &charges[n];
	pid_t		pid = pay_worker_slot(n)->pid;

	if (charge->told_to_stop)
		return;
	if (charge->handle != NULL)
		TerminateBackgroundWorker(charge->handle);
	else if (pid != 0)
		kill(pid, SIGTERM);
	charge->told_to_stop = true;
}

/*
 * At once, when we told this one to go; whether there is to be one is another
 * question.
 */
void
pay_launcher_worker_ended(int n, int64 now)
{
	Charge	   *charge = &charges[n];
	bool		failed = strcmp(pay_worker_slot(n)->reason,
								PAY_REASON_ERROR) == 0;
	char		reason[PAY_REASON_SIZE];

	if (charge->handle == NULL && !charge->told_to_stop)
		return;
	if (charge->handle != NULL)
		pfree(charge->handle);
	charge->handle = NULL;

	if (now - charge->started_at >= HEALTHY_AFTER || charge->told_to_stop)
		charge->delay = charge->errors = 0;
	charge->errors = failed ? charge->errors + 1 : 0;
	if (charge->errors >= CRASH_LOOP)
	{
		snprintf(reason, sizeof(reason), "crash loop: %d runs in a row %s",
				 charge->errors, PAY_REASON_ERROR);
		pay_launcher_worker_report(n, reason);
	}
	if (charge->told_to_stop)
	{
		charge->told_to_stop = false;
		charge->start_at = now;
	}
	else
		wait_longer(charge, now);
}

int64
pay_launcher_worker_start(int n, int64 now, bool asked)
{
	Charge	   *charge = &charges[n];

	if (asked)
	{
		charge->delay = 0;
		charge->start_at = Min(charge->start_at,
							   charge->started_at + RESTART_ASKED);
	}
	if (charge->start_at <= now)
		start(n, now);
	return charge->handle != NULL ? PAY_LAUNCHER_NEVER : charge->start_at;
}

/*
 * That there is no room for one is no reason to give up: room is made when some
 * other extension's worker ends.
 */
static void
start(int n, int64 now)
{
	Charge	   *charge = &charges[n];
	BackgroundWorker worker;

	describe(n, &worker);
	charge->started_at = now;
	if (RegisterDynamicBackgroundWorker(&worker, &charge->handle))
		return;

	charge->handle = NULL;
	wait_longer(charge, now);
	pay_launcher_worker_report(n,
							   "no free background worker: raise max_worker_processes");
	if (charge->warned_at == 0 || now - charge->warned_at >= WARNING_EVERY)
	{
		charge->warned_at = now;
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start %s", worker.bgw_name),
				 errhint("Raise max_worker_processes.")));
	}
}

static void
describe(int n, BackgroundWorker *worker)
{
	PayWorkerSlot *slot = pay_worker_slot(n);
	char		shard[40] = "";

	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "payments",
			sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "payments_worker_main",
			sizeof(worker->bgw_function_name));
	if (slot->shard.of > 1)
		snprintf(shard, sizeof(shard), ", shard %d of %d",
				 slot->shard.number, slot->shard.of);
	snprintf(worker->bgw_name, sizeof(worker->bgw_name),
			 "payments worker for %s%s", slot->database, shard);
	strlcpy(worker->bgw_type, "payments worker", sizeof(worker->bgw_type));
	worker->bgw_main_arg = Int32GetDatum(n);
	worker->bgw_notify_pid = MyProcPid;
}

static void
wait_longer(Charge *charge, int64 now)
{
	charge->delay = Min(Max(charge->delay * 2, RESTART_FIRST), RESTART_LAST);
	charge->start_at = now + charge->delay;
}

void
pay_launcher_worker_report(int n, const char *reason)
{
	if (strcmp(pay_worker_slot(n)->reason, reason) != 0)
		pay_worker_slot_report(n, PAY_WORKER_WAITING, reason);
}
