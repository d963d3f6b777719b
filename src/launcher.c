/*
 * launcher.c
 *		Keeps workers alive for every database in payments.databases.
 *
 * A background worker without a database connection: it can block nothing
 * (DROP DATABASE, vacuum) and nothing can block it.  It never waits for a
 * worker either: it looks at all of them, does what can be done at once, and
 * sleeps until the next thing is due.  When all is well that is for ever.
 *
 * A database has payments.workers_per_database workers, one for each shard of
 * its calls.  A worker's shard is its own for life: when the setting changes,
 * all are told to stop, and each slot gets a new one as soon as its old one is
 * gone.  Nobody waits for the others meanwhile, which is safe (psp_epoch.c).
 *
 * What could not be guessed: its truth is the slots in shared memory, not the
 * handles it got from the postmaster.  A launcher that was restarted finds the
 * workers of its predecessor there and takes them over.  And it never exits
 * with status 0, which would tell the postmaster not to start it again.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "clock.h"
#include "guc.h"
#include "launcher.h"
#include "launcher_worker.h"
#include "worker_hold.h"
#include "worker_slot.h"
#include "worker_stats.h"

#define HOLDER_LOOK		1000	/* ms; whether who holds a database is alive */

static List *databases = NIL;	/* of names, in list_context */
static MemoryContext list_context;

static void set_up(void);
static void leave(int code, Datum arg);
static void handle_child(SIGNAL_ARGS);
static void read_databases(void);
static bool is_listed(const char *database);
static void assign_slots(void);
static bool assign_slot(const char *database, int shard);
static int64 tend_all(int64 now, bool retry);
static int64 tend(int n, int64 now, bool retry);
static int64 tend_holds(int64 now);
static bool has_worker(const char *database);
static bool take_retry(void);

void
pay_launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "payments",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "payments_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "payments launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "payments launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

void
payments_launcher_main(Datum main_arg)
{
	set_up();
	while (!ShutdownRequestPending)
	{
		int64		now = pay_clock_ms();
		bool		retry = take_retry();
		int64		next;

		assign_slots();
		next = tend_all(now, retry);

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (next == PAY_LAUNCHER_NEVER ? 0 : WL_TIMEOUT),
						 next == PAY_LAUNCHER_NEVER ? -1 : Max(next - now, 0),
						 pay_wait_event("PaymentsLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			read_databases();
		}
	}
	proc_exit(1);
}

/*
 * The first launcher of this run of the server also notes where the log began:
 * the last checkpoint is the one that the server started with.
 */
static void
set_up(void)
{
	XLogRecPtr	log_began_at;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, handle_child);
	BackgroundWorkerUnblockSignals();

	list_context = AllocSetContextCreate(TopMemoryContext,
										 "payments databases",
										 ALLOCSET_SMALL_SIZES);
	on_shmem_exit(leave, (Datum) 0);
	log_began_at = GetRedoRecPtr();
	SpinLockAcquire(&pay_worker_shared->mutex);
	pay_worker_shared->launcher_procno = MyProcNumber;
	if (pay_worker_shared->started_at == 0)
		pay_worker_shared->started_at = log_began_at;
	SpinLockRelease(&pay_worker_shared->mutex);
	read_databases();
}

static void
leave(int code, Datum arg)
{
	SpinLockAcquire(&pay_worker_shared->mutex);
	pay_worker_shared->launcher_procno = INVALID_PROC_NUMBER;
	SpinLockRelease(&pay_worker_shared->mutex);
}

/* The postmaster tells that a worker has started or ended. */
static void
handle_child(SIGNAL_ARGS)
{
	int			save_errno = errno;

	SetLatch(MyLatch);
	errno = save_errno;
}

static void
read_databases(void)
{
	MemoryContext old;

	MemoryContextReset(list_context);
	old = MemoryContextSwitchTo(list_context);
	databases = NIL;
	if (!SplitIdentifierString(pstrdup(pay_guc_databases), ',', &databases))
		databases = NIL;		/* the check hook lets no such text pass */
	MemoryContextSwitchTo(old);
}

static bool
is_listed(const char *database)
{
	ListCell   *cell;

	foreach(cell, databases)
	{
		if (strcmp(lfirst(cell), database) == 0)
			return true;
	}
	return false;
}

/*
 * Give every shard of every listed database a slot.  One that finds none free
 * gets the slot of a database that was taken off the list, as soon as its worker
 * is gone.
 */
static void
assign_slots(void)
{
	for (int shard = 0; shard < pay_guc_workers_per_database; shard++)
	{
		ListCell   *cell;

		foreach(cell, databases)
			if (!assign_slot(lfirst(cell), shard))
			return;
	}
}

static bool
assign_slot(const char *database, int shard)
{
	int			n;

	if (database[0] == '\0' || pay_worker_slot_find(database, shard) >= 0)
		return true;
	n = pay_worker_slot_assign(database, shard);
	if (n < 0)
		return false;
	pay_worker_stats_clear(n);
	pay_launcher_worker_forget(n);
	return true;
}

/*
 * Returns when to look again if nothing happens before.  Where there is room for
 * a few workers only, each database gets its first one before any gets more.
 */
static int64
tend_all(int64 now, bool retry)
{
	int64		next = tend_holds(now);

	for (int shard = 0; shard < PAY_SHARDS; shard++)
	{
		for (int i = 0; i < PAY_WORKER_SLOTS; i++)
		{
			int64		at = pay_worker_slot(i)->shard.number != shard ?
			PAY_LAUNCHER_NEVER : tend(i, now, retry);

			next = Min(next, at);	/* would call a function twice */
		}
	}
	return next;
}

/*
 * See that a slot's worker is there, or gone, as it should be.  Returns when
 * to look again if nothing happens before.
 */
static int64
tend(int n, int64 now, bool retry)
{
	PayWorkerSlot *slot = pay_worker_slot(n);
	int			shards = pay_guc_workers_per_database;
	PayHold		hold;
	bool		wanted;
	bool		held;

	if (slot->database[0] == '\0')
		return PAY_LAUNCHER_NEVER;
	wanted = is_listed(slot->database) && slot->shard.number < shards;
	held = pay_worker_hold_find(slot->database, &hold);

	if (pay_launcher_worker_lives(n))
	{
		if (!wanted || held || slot->shard.of != shards)
			pay_launcher_worker_stop(n);
		return PAY_LAUNCHER_NEVER;
	}

	pay_launcher_worker_ended(n, now);
	if (!wanted)
	{
		pay_worker_slot_release(n);
		return now;				/* another database may wait for the slot */
	}
	pay_worker_slot_divide(n, shards);
	if (held)
	{
		char		reason[PAY_REASON_SIZE];

		snprintf(reason, sizeof(reason), "held by %s of process %d",
				 hold.command, (int) hold.pid);
		pay_launcher_worker_report(n, reason);
		return PAY_LAUNCHER_NEVER;	/* tend_holds knows until when */
	}

	return pay_launcher_worker_start(n, now, retry);
}

/*
 * Tell those who hold a database when no worker of it is left; forget those
 * who are gone, or hold it for too long.  A hold that comes after this look has
 * set our latch, and is seen by the next round.
 */
static int64
tend_holds(int64 now)
{
	int64		next = PAY_LAUNCHER_NEVER;

	for (int i = 0; i < PAY_HOLDS; i++)
	{
		PayHold		hold;

		if (!pay_worker_hold_read(i, &hold))
			continue;
		if (now >= hold.until || (kill(hold.pid, 0) != 0 && errno == ESRCH))
		{
			pay_worker_hold_end(i, hold.pid);
			ereport(LOG,
					(errmsg("payments launcher no longer keeps the worker away from database \"%s\" for %s of process %d",
							hold.database, hold.command, (int) hold.pid)));
			continue;
		}
		if (!hold.ready && !has_worker(hold.database))
			pay_worker_hold_ready(i, hold.pid);
		next = Min(next, Min(hold.until, now + HOLDER_LOOK));
	}
	return next;
}

static bool
has_worker(const char *database)
{
	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
		if (strcmp(pay_worker_slot(i)->database, database) == 0 &&
			pay_launcher_worker_lives(i))
			return true;
	return false;
}

/*
 * Did somebody ask that workers which could not start be tried again now?  The
 * question stays where it is until there is such a worker, so that a database
 * that nobody serves does not wake us with every payment.
 */
static bool
take_retry(void)
{
	bool		waiting = false;
	bool		retry = false;

	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
		waiting |= pay_worker_slot(i)->database[0] != '\0' &&
			pay_worker_slot(i)->pid == 0;
	if (!waiting)
		return false;

	SpinLockAcquire(&pay_worker_shared->mutex);
	retry = pay_worker_shared->retry;
	pay_worker_shared->retry = false;
	SpinLockRelease(&pay_worker_shared->mutex);
	return retry;
}
