/*
 * worker.c
 *		A worker of one database: the process that talks to the PSP.
 *
 * One thread of control, one loop: wait for something to happen, move the
 * network, and when there are results to save or calls to claim take a turn,
 * which is one short transaction (worker_turn.c).  No transaction, snapshot or
 * lock is held while the network is waited for, and nothing is waited for
 * anywhere else, so slow calls delay nobody.
 *
 * When there is nothing to do the process sleeps until somebody knocks at its
 * slot, but for the sweep, which makes up for knocks that cannot be given.
 *
 * What could not be guessed: every claim is durable before it is sent, and
 * dying between the two is safe, so the worker may die anywhere.  It tries not
 * to, because an answer that nobody waited for has to be asked for again.
 */
#include "postgres.h"

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "clock.h"
#include "fault.h"
#include "flow.h"
#include "secret.h"
#include "worker.h"

#define LONG_SLEEP		1000	/* ms; before that, statistics are sent */

static volatile sig_atomic_t skip_drain = false;
static WaitEventSet *wait_set = NULL;

static void set_up(PayWorker *worker, int slot_no);
static void set_name(PayWorker *worker);
static void leave(int code, Datum arg);
static void handle_shutdown(SIGNAL_ARGS);
static void handle_cancel(SIGNAL_ARGS);
static void build_wait_set(void);
static long time_to_wait(PayWorker *worker);
static bool must_look(PayWorker *worker, int64 now);
static void heed(PayWorker *worker);
static void wait_for_work(PayWorker *worker, long timeout);
static void reload(PayWorker *worker);
static void show_state(PayWorker *worker);
static void drain(PayWorker *worker);

void
payments_worker_main(Datum main_arg)
{
	static PayWorker worker;

	set_up(&worker, DatumGetInt32(main_arg));

	while (!ShutdownRequestPending && worker.gone[0] == '\0')
	{
		wait_for_work(&worker, time_to_wait(&worker));
		if (ConfigReloadPending)
			reload(&worker);
		if (pay_worker_receive(&worker))
			build_wait_set();
		heed(&worker);
		pay_worker_queue_listen(&worker);
		if (must_look(&worker, pay_clock_ms()))
			pay_worker_turn(&worker);
		if (pay_worker_reconcile(&worker))
			build_wait_set();
		pay_worker_chores(&worker);
		show_state(&worker);
		pay_worker_log_left_out(&worker, false);
	}

	if (worker.gone[0] == '\0')
		drain(&worker);
	else
	{
		pay_worker_slot_report(worker.slot_no, PAY_WORKER_STOPPING,
							   worker.gone);
		pay_worker_abandon(&worker);
	}
	pay_secret_forget();
	pay_worker_log_left_out(&worker, true);
	ereport(LOG,
			(errmsg("%s stops%s%s", worker.name,
					worker.gone[0] ? ": " : "", worker.gone),
			 errhidestmt(true)));
	proc_exit(1);
}

/*
 * Take the slot, then connect: whatever goes wrong from here on, the launcher
 * sees that this worker has ended, and people see why.
 */
static void
set_up(PayWorker *worker, int slot_no)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_shutdown);
	pqsignal(SIGINT, handle_cancel);
	BackgroundWorkerUnblockSignals();

	worker->slot_no = slot_no;
	worker->slot = pay_worker_slot(slot_no);
	if (!pay_worker_slot_attach(slot_no, &worker->shard))
		proc_exit(1);
	before_shmem_exit(leave, Int32GetDatum(slot_no));
	set_name(worker);

	worker->context = AllocSetContextCreate(TopMemoryContext,
											"payments worker",
											ALLOCSET_DEFAULT_SIZES);
	worker->turn_context = AllocSetContextCreate(worker->context,
												 "payments turn",
												 ALLOCSET_DEFAULT_SIZES);
	worker->results = MemoryContextAlloc(worker->context,
										 sizeof(PayResult) * PAY_MAX_IN_FLIGHT);
	worker->put_off = MemoryContextAlloc(worker->context,
										 sizeof(PayResult) * PAY_MAX_IN_FLIGHT);
	worker->put_off_until = PAY_NEVER;

	pay_secret_protect_process();
	pay_worker_turn_init();
	pay_worker_connect(worker);
	if (!pay_worker_wait_until_ready(worker))
	{
		if (worker->gone[0] == '\0')
			pay_worker_tell_holder(worker);
		else
			pay_worker_slot_report(worker->slot_no, PAY_WORKER_STOPPING,
								   worker->gone);
		proc_exit(1);
	}
	pay_worker_guard_start(worker);
	pay_worker_begin_epoch(worker);
	pay_worker_queue_start(worker);
	pay_worker_send_open(worker);
	build_wait_set();
}

static void
set_name(PayWorker *worker)
{
	char		shard[40] = "";

	if (worker->shard.of > 1)
		snprintf(shard, sizeof(shard), ", shard %d of %d",
				 worker->shard.number, worker->shard.of);
	snprintf(worker->name, sizeof(worker->name),
			 "payments worker for database \"%s\"%s",
			 worker->slot->database, shard);
}

static void
leave(int code, Datum arg)
{
	pay_flow_clear(DatumGetInt32(arg));
	pay_worker_slot_leave(DatumGetInt32(arg),
						  code == 0 ? NULL : PAY_REASON_ERROR);
}

/*
 * SIGTERM: come to an end in good order.  A commit may wait for a synchronous
 * standby for ever, so that wait is broken; what was claimed in it is then not
 * sent.  The second time, do not wait for answers either.
 */
static void
handle_shutdown(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (ShutdownRequestPending)
		skip_drain = true;
	ShutdownRequestPending = true;
	if (pay_worker_is_committing)
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * SIGINT cancels a turn that has not begun to commit: a timeout of its own, or
 * pg_cancel_backend.  During the commit it is ignored, because a cancelled
 * wait for a synchronous standby looks like a commit, and the claim would be
 * sent although a failover could lose it.
 */
static void
handle_cancel(SIGNAL_ARGS)
{
	if (pay_worker_may_cancel)
		StatementCancelHandler(postgres_signal_arg);
}

/* What to wait for; made anew when the descriptors change. */
static void
build_wait_set(void)
{
	int			fds[3];
	int			n = pay_worker_send_fds(fds);

	if (pay_worker_reconcile_fd() >= 0)
		fds[n++] = pay_worker_reconcile_fd();

	if (wait_set != NULL)
		FreeWaitEventSet(wait_set);
	wait_set = pay_wait_event_set_create(2 + n);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
					  NULL);
	for (int i = 0; i < n; i++)
		AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, fds[i], NULL, NULL);
}

/* Milliseconds until something is due by itself; -1 when nothing is. */
static long
time_to_wait(PayWorker *worker)
{
	int64		now = pay_clock_ms();
	int64		next = PAY_NEVER;
	long		network = pay_worker_send_timeout_ms();
	long		list = pay_worker_reconcile_timeout_ms();

	if (network < 0 || (list >= 0 && list < network))
		network = list >= 0 ? list : network;

	/* hints may have been written since they were taken */
	if (worker->slot->pending || must_look(worker, now))
		return 0;

	if (worker->held_until > now)
		next = worker->held_until;
	else
	{
		if (pay_worker_room(worker) > 0)
			next = worker->withheld[0] != '\0' ? worker->look_again_at :
				Min(pay_worker_queue_next_at(worker),
					Min(worker->arming_at, worker->asking_until));
		next = Min(next, worker->put_off_until);
		next = Min(next, pay_worker_reconcile_at(worker));
		next = Min(next, pay_worker_chores_at(worker));
	}
	if (next == PAY_NEVER)
		return network;
	next = Max(next - now, 0);
	return network < 0 ? (long) next : Min((long) next, network);
}

/* Is there something for a turn? */
static bool
must_look(PayWorker *worker, int64 now)
{
	if (now < worker->held_until)
		return false;
	if (worker->n_results > 0 || now >= worker->put_off_until)
		return true;
	if (pay_worker_room(worker) == 0)
		return false;
	if (worker->withheld[0] != '\0')
		return now >= worker->look_again_at;
	return worker->look || now >= pay_worker_queue_next_at(worker) ||
		now >= worker->arming_at || now >= worker->asking_until;
}

/*
 * Somebody asks to look.  Webhooks and lists of Toss do not wait until there is
 * room for another call.  The mark is read without the lock: whoever sets it sets
 * our latch afterwards.
 */
static void
heed(PayWorker *worker)
{
	PayWorkerSlot *slot = worker->slot;

	if (!slot->look)
		return;
	SpinLockAcquire(&slot->mutex);
	slot->look = false;
	SpinLockRelease(&slot->mutex);
	worker->look = true;
	pay_worker_reconcile_look(worker);
	pay_worker_inbox_look();
}

static void
wait_for_work(PayWorker *worker, long timeout)
{
	WaitEvent	events[5];

	/* Nobody else would send the last counters for us. */
	if (timeout < 0 || timeout >= LONG_SLEEP)
		pgstat_report_stat(true);

	(void) WaitEventSetWait(wait_set, timeout, events, lengthof(events),
							pay_worker_show_wait(worker));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
}

/* Settings were changed, or a secret was.  Calls in flight go on as they are. */
static void
reload(PayWorker *worker)
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	pay_worker_pin_settings(worker);
	pay_secret_forget();
	pay_worker_arming_reload(worker);
	worker->problem[0] = '\0';
	worker->problem_merchant[0] = '\0';
	pay_worker_queue_reload(worker);
	pay_worker_upkeep_reload(worker);
	pay_worker_reconcile_look(worker);
	if (pay_worker_send_reload(worker))
		build_wait_set();
}

/*
 * Tell people what is going on: the state, and the reason if it is not all
 * well.
 */
static void
show_state(PayWorker *worker)
{
	PayWorkerSlot *slot = worker->slot;
	bool		withheld = worker->withheld[0] != '\0';
	bool		disarmed = worker->disarmed[0] != '\0';
	PayWorkerState state = withheld ? PAY_WORKER_HOLDING :
	disarmed ? PAY_WORKER_DISARMED : PAY_WORKER_RUNNING;
	const char *reason = withheld ? worker->withheld :
	disarmed ? worker->disarmed :
	worker->problem[0] != '\0' ? worker->problem :
	worker->asking[0] != '\0' ? worker->asking : worker->comparing;

	if (!worker->holding &&
		(slot->state != state || strcmp(slot->reason, reason) != 0))
		pay_worker_slot_report(worker->slot_no, state, reason);
	if (slot->in_flight != worker->in_flight)
	{
		SpinLockAcquire(&slot->mutex);
		slot->in_flight = worker->in_flight;
		SpinLockRelease(&slot->mutex);
	}
}

/*
 * Wait a little for what is in flight, then record the rest as unanswered, so
 * that the next run need not guess.
 */
static void
drain(PayWorker *worker)
{
	int64		end = pay_clock_ms() + pay_guc_shutdown_drain;

	pay_worker_slot_report(worker->slot_no, PAY_WORKER_STOPPING,
						   "was told to stop");
	if (pay_worker_reconcile_close(worker))
		build_wait_set();
	(void) pay_worker_receive(worker);
	while (worker->n_results > 0 && !worker->holding && worker->gone[0] == '\0')
		pay_worker_turn(worker);
	while (worker->in_flight > 0 && !skip_drain)
	{
		int64		left = end - pay_clock_ms();
		long		network = pay_worker_send_timeout_ms();

		if (left <= 0)
			break;
		wait_for_work(worker,
					  network < 0 ? (long) left : Min((long) left, network));
		if (pay_worker_receive(worker))
			build_wait_set();
	}
	pay_worker_give_up(worker);
	PAY_FAULT("worker-drained");
	pay_worker_final_turn(worker);
	pay_worker_tell_holder(worker);
}
