/*
 * worker_turn.c
 *		One turn: a short transaction that saves results and claims calls.
 *
 * Results of many answers and the claims that take their places share one
 * commit; how many, turn_size.h says.  A turn either happened and is durable, or
 * left nothing behind; what to do in the second case is worker_save.c's business.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "fault.h"
#include "settle.h"
#include "worker.h"

#define TURN_TIMEOUT	30000	/* ms */

volatile sig_atomic_t pay_worker_may_cancel = false;
volatile sig_atomic_t pay_worker_is_committing = false;

static void count_turn(PayWorkerSlot *slot);
static void begin_turn(const PayTurn *turn);
static void work(PayWorker *worker, PayTurn *turn);
static bool do_chore(PayWorker *worker, PayTurn *turn, TimestampTz now);
static void save_and_claim(PayWorker *worker, PayTurn *turn, TimestampTz now);
static void commit_turn(PayTurn *turn, instr_time began);
static int64 since(instr_time start);
static void before_commit(XactEvent event, void *arg);
static void fail_turn(PayTurnFailure *failure);

void
pay_worker_turn_init(void)
{
	RegisterXactCallback(before_commit, NULL);
}

/*
 * Take one turn.  True: it is committed, and turn's claims may be sent; they
 * live until the next turn unless they are given another parent.  False: it is
 * as if it had not been, and worker->gone or turn->failure tells why.
 */
bool
pay_worker_try_turn(PayWorker *worker, PayTurn *turn)
{
	instr_time	began;

	INSTR_TIME_SET_CURRENT(began);
	MemoryContextReset(worker->turn_context);
	turn->n_claims = 0;
	turn->settled = 0;
	turn->n_saved = turn->n;
	turn->done = false;
	turn->is_chore = false;

	PG_TRY();
	{
		begin_turn(turn);
		turn->done = pay_worker_check_extension(worker);
		if (turn->done)
			work(worker, turn);
		if (turn->n_claims > 0)
			PAY_FAULT("claim-written");
		if (turn->n > 0)
			PAY_FAULT("result-written");
		commit_turn(turn, began);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(worker->turn_context);
		turn->done = false;
		fail_turn(&turn->failure);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(worker->turn_context);
	if (turn->done && !turn->is_chore)
	{
		count_turn(worker->slot);
		pay_worker_count_turn(worker, turn->commit_us);
	}
	else if (!turn->done && worker->gone[0] == '\0')
		pay_worker_count_turn(worker, 0);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return turn->done;
}

static void
count_turn(PayWorkerSlot *slot)
{
	TimestampTz now = GetCurrentTimestamp();

	pg_atomic_fetch_add_u64(&slot->counters[PAY_COUNT_TURNS], 1);
	SpinLockAcquire(&slot->mutex);
	slot->last_turn_at = now;
	SpinLockRelease(&slot->mutex);
}

static void
begin_turn(const PayTurn *turn)
{
	SetCurrentStatementStartTimestamp();
	pay_worker_show_turn(turn);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pay_worker_may_cancel = true;
	enable_timeout_after(STATEMENT_TIMEOUT, TURN_TIMEOUT);

	/*
	 * Nothing is sent after the final turn, and a shutdown must not wait for
	 * a standby that may be gone.
	 */
	if (turn->kind == PAY_TURN_FINAL)
		(void) set_config_option("synchronous_commit", "local", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
								 false);
}

/* What is done between begin and commit. */
static void
work(PayWorker *worker, PayTurn *turn)
{
	TimestampTz now = GetCurrentTimestamp();

	MemoryContextSwitchTo(worker->turn_context);
	turn->is_chore = do_chore(worker, turn, now);
	if (!turn->is_chore && turn->kind == PAY_TURN_SIFT)
		pay_worker_sift_work(worker, now);
	else if (!turn->is_chore)
		save_and_claim(worker, turn, now);
}

/* What is not among the turns that people see counted, unless it fails */
static bool
do_chore(PayWorker *worker, PayTurn *turn, TimestampTz now)
{
	switch (turn->kind)
	{
		case PAY_TURN_UPKEEP:
			pay_worker_upkeep_work(worker, turn);
			return true;
		case PAY_TURN_RECONCILE:
			pay_worker_reconcile_work(worker);
			return true;
		case PAY_TURN_EXPIRE:
			turn->settled = pay_worker_expire_work(worker, now);
			return true;
		case PAY_TURN_LAPSE:
			turn->settled = pay_worker_lapse_work(worker, now);
			return true;
		case PAY_TURN_INBOX:
			pay_worker_inbox_work(worker, now);
			return true;
		case PAY_TURN_UNCLAIMED:
			pay_worker_unclaimed_work(worker, now);
			return true;
		default:
			return false;
	}
}

static void
save_and_claim(PayWorker *worker, PayTurn *turn, TimestampTz now)
{
	if (turn->limit > 0 && !pay_worker_may_claim(worker))
		turn->limit = 0;
	if (turn->limit > 0)
		pay_worker_arming_turn(worker);

	if (turn->kind == PAY_TURN_QUARANTINE)
	{
		PayResult	copy = *turn->results;

		pay_psp_call_quarantine(&copy, worker->epoch, turn->failure.sqlstate,
								now);
	}
	else if (turn->n > 0)
	{
		turn->settled = pay_settle(turn->results, turn->n, worker->epoch, now,
								   &turn->n_saved);

		/* what is put off keeps its place */
		turn->limit = Max(turn->limit - (turn->n - turn->n_saved), 0);
	}
	if (turn->settled > 0 && pay_guc_notify)
		Async_Notify("payments_event", "");

	if (turn->limit > 0)
	{
		worker->look = false;
		turn->n_claims = pay_worker_queue_claim(worker, turn->limit, now,
												&turn->claims);
	}
}

/*
 * Commit, and make sure that the commit can be relied upon.
 *
 * SIGTERM, and the postmaster's death, break the wait for a synchronous
 * standby; the server then only warns, and the transaction looks committed.
 * Behind SIGTERM pay_worker_send sends nothing any more, and what was claimed
 * is recorded as not sent.  pg_cancel_backend cannot break the wait, because
 * SIGINT is ignored from before_commit on.  test/t/016_worker_standby.pl
 */
static void
commit_turn(PayTurn *turn, instr_time began)
{
	PopActiveSnapshot();
	turn->work_us = since(began);
	CommitTransactionCommand();
	turn->commit_us = Max(since(began) - turn->work_us, 1);
	pay_worker_is_committing = false;

	if (ProcDiePending && !ShutdownRequestPending)
		proc_exit(1);			/* the postmaster is gone */
	ProcDiePending = false;
}

/* Microseconds */
static int64
since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/*
 * Everything that can fail or wait has been done; what remains is to write the
 * commit record, and to wait for its being safe, which must not be cancelled.
 */
static void
before_commit(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT || !pay_worker_may_cancel)
		return;
	disable_timeout(STATEMENT_TIMEOUT, false);
	pay_worker_may_cancel = false;
	CHECK_FOR_INTERRUPTS();
	pay_worker_is_committing = true;
	PAY_FAULT("turn-committing");

	/* SIGTERM came before: the wait for a standby must not begin */
	if (ShutdownRequestPending)
		ProcDiePending = InterruptPending = true;
}

/*
 * Roll back, and note why.  An error of class 22 may quote data in its message
 * and any error may in its details: those are not kept.
 */
static void
fail_turn(PayTurnFailure *failure)
{
	ErrorData  *error = CopyErrorData();
	const char *code = unpack_sql_state(error->sqlerrcode);
	bool		quotes = ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
	ERRCODE_DATA_EXCEPTION;

	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	pay_worker_may_cancel = false;
	pay_worker_is_committing = false;
	QueryCancelPending = false;
	ProcDiePending = false;		/* ShutdownRequestPending remembers it */
	AbortCurrentTransaction();
	FlushErrorState();
	RESUME_INTERRUPTS();

	failure->sqlstate = error->sqlerrcode;
	snprintf(failure->message, sizeof(failure->message), "SQLSTATE %s%s%s",
			 code, quotes ? "" : ": ", quotes ? "" : error->message);
}
