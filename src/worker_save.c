/*
 * worker_save.c
 *		Saving results, whatever happens, and going on with claims.
 *
 * Turns usually work.  One that fails leaves its answers in memory, and there
 * they stay until they are saved, because each may say that money has moved:
 *
 *	- a deadlock or the like: the turn is taken again;
 *	- something that has to do with a row: the results are halved until the
 *	  bad one stands alone.  It goes into quarantine, in a transaction of its
 *	  own, where people see it;
 *	- an order that somebody has locked is not waited for: its result is put
 *	  off (worker_put_off.c), while everything else goes on;
 *	- a call that cannot be claimed is found and put aside (worker_sift.c);
 *	- anything else (a full disk, a missing table) has nothing to do with the
 *	  results: the worker holds.  It claims nothing, so that nothing is sent
 *	  whose answer it could not save, and tries again every second.
 *
 * The worker never ends because of a row.
 */
#include "postgres.h"

#include "postmaster/interrupt.h"
#include "utils/memutils.h"

#include "clock.h"
#include "fault.h"
#include "turn_size.h"
#include "wake.h"
#include "worker.h"

/* Milliseconds */
#define HOLD_TIME			1000

#define TRIES				2	/* of a turn, before it is taken apart */
#define CONFLICT_TRIES		4	/* after deadlocks and the like */
#define MAX_LOCKED			8	/* results, before it looks like all are */

/* What became of a result while results were saved one by one. */
typedef enum Fate
{
	FATE_KEPT,
	FATE_SAVED,
	FATE_PUT_OFF
} Fate;

typedef struct Saving
{
	PayTurnKind kind;
	Fate		fates[PAY_MAX_IN_FLIGHT];
	int			n_locked;
	PayTurnFailure failure;		/* why there is no point in going on */
} Saving;

/*
 * Classes of SQLSTATE that say nothing about the rows of a turn: the
 * connection, the transaction's state, conflicts, privileges and missing
 * objects, resources, limits, locks, operators, the system, configuration.
 */
static const char *const not_of_a_row[] = {
	"08", "25", "2D", "40", "42", "53", "54", "55", "57", "58", "F0"
};

static int	turn_size = PAY_TURN_LEAST;

static int	n_to_save(const PayWorker *worker);
static bool take_turn(PayWorker *worker, int limit, PayTurnFailure *failure);
static int	tries_for(int sqlstate);
static void save_apart(PayWorker *worker, Saving *saving, int first, int n);
static void save_alone(PayWorker *worker, Saving *saving, int i,
					   const PayTurnFailure *failure);
static void close_ranks(PayWorker *worker, const Fate *fates);
static void finish_result(PayWorker *worker, PayResult *result);
static bool helps_to_halve(const PayTurnFailure *failure, int n);
static void hold(PayWorker *worker, const PayTurnFailure *failure);
static void count(PayWorker *worker, PayWorkerCounter counter, int n);

/* How many calls may be claimed once the next turn's results are saved? */
int
pay_worker_room(const PayWorker *worker)
{
	return Max(pay_worker_send_capacity(worker) - worker->in_flight -
			   worker->n_put_off - worker->n_results + n_to_save(worker), 0);
}

/* The next turn saves so many, the oldest ones. */
static int
n_to_save(const PayWorker *worker)
{
	return Min(worker->n_results, turn_size);
}

/*
 * Save results, the oldest first, and claim what there is room for.  Afterwards
 * the worker holds, or those are saved, or put off.  A worker that was holding
 * claims nothing before it has saved what it had.
 */
void
pay_worker_turn(PayWorker *worker)
{
	int			limit;
	PayTurnFailure failure;

	pay_worker_put_off_end(worker);
	limit = ShutdownRequestPending ||
		(worker->holding && worker->n_results > 0) ? 0 :
		pay_worker_room(worker);
	if (!take_turn(worker, limit, &failure) && worker->gone[0] == '\0')
	{
		if (worker->n_results > 0 && helps_to_halve(&failure, worker->n_results))
		{
			Saving	   *saving = MemoryContextAllocZero(worker->context,
														sizeof(Saving));

			saving->kind = PAY_TURN_ORDINARY;
			save_apart(worker, saving, 0, worker->n_results);
			close_ranks(worker, saving->fates);
			failure = saving->failure;
			pfree(saving);
		}
		else if (limit > 0 && pay_worker_is_of_a_row(failure.sqlstate) &&
				 pay_worker_sift(worker))
			failure.sqlstate = 0;
		if (failure.sqlstate != 0)
		{
			hold(worker, &failure);
			return;
		}
	}
	worker->holding = worker->holding && worker->n_results > 0;
}

/*
 * The last turn of this process: save what there is, and claim nothing.  What
 * cannot be saved the next run asks about.
 */
void
pay_worker_final_turn(PayWorker *worker)
{
	Saving	   *saving = MemoryContextAllocZero(worker->context,
												sizeof(Saving));

	for (int i = 0; i < worker->n_put_off; i++)
		worker->results[worker->n_results++] = worker->put_off[i];
	worker->n_put_off = 0;

	saving->kind = PAY_TURN_FINAL;
	if (worker->n_results > 0)
		save_apart(worker, saving, 0, worker->n_results);
	if (saving->failure.sqlstate != 0)
		hold(worker, &saving->failure);
}

/* A turn, tried more than once if that may help. */
static bool
take_turn(PayWorker *worker, int limit, PayTurnFailure *failure)
{
	PayTurn		turn = {PAY_TURN_ORDINARY, worker->results, n_to_save(worker), limit};
	TimestampTz now;

	if (turn.n > 0)
		PAY_FAULT("result-received");
	for (int tries = 1; !pay_worker_try_turn(worker, &turn); tries++)
	{
		*failure = turn.failure;
		turn.limit = limit;
		if (limit > 0)
			pay_worker_queue_forget(worker);
		if (worker->gone[0] != '\0' || tries >= tries_for(failure->sqlstate))
			return false;
	}

	if (turn.n > 0)
		PAY_FAULT("result-committed");
	turn_size = pay_turn_size(turn_size, turn.n, turn.work_us, turn.commit_us);
	count(worker, PAY_COUNT_SETTLED, turn.settled);
	count(worker, PAY_COUNT_CLAIMED, turn.n_claims);
	for (int i = 0; i < turn.n; i++)
	{
		if (i < turn.n_saved)
			finish_result(worker, &worker->results[i]);
		else
			pay_worker_put_off(worker, &worker->results[i]);
	}
	worker->n_results -= turn.n;
	memmove(worker->results, worker->results + turn.n,
			sizeof(PayResult) * worker->n_results);

	/* The claims are durable now, and only now may they be sent. */
	if (turn.n_claims > 0)
		PAY_FAULT("claim-committed");
	now = GetCurrentTimestamp();
	for (int i = 0; i < turn.n_claims; i++)
	{
		pay_worker_count_claim(worker, turn.claims[i], now);
		MemoryContextSetParent(turn.claims[i]->context, worker->context);
		pay_worker_send(worker, turn.claims[i]);
	}
	return true;
}

static int
tries_for(int sqlstate)
{
	if (sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED)
		return CONFLICT_TRIES;
	return pay_worker_is_of_a_row(sqlstate) ? TRIES : 1;
}

/*
 * Save results first .. first + n in transactions of their own, in halves when
 * they do not go together.
 */
static void
save_apart(PayWorker *worker, Saving *saving, int first, int n)
{
	PayTurn		turn = {saving->kind, &worker->results[first], n, 0};

	if (pay_worker_try_turn(worker, &turn))
	{
		count(worker, PAY_COUNT_SETTLED, turn.settled);
		for (int i = 0; i < n; i++)
			saving->fates[first + i] = i < turn.n_saved ?
				FATE_SAVED : FATE_PUT_OFF;
	}
	else if (worker->gone[0] != '\0')
		return;
	else if (!helps_to_halve(&turn.failure, n))
		saving->failure = turn.failure;
	else if (n == 1)
		save_alone(worker, saving, first, &turn.failure);
	else
	{
		save_apart(worker, saving, first, n / 2);
		if (saving->failure.sqlstate == 0 && worker->gone[0] == '\0')
			save_apart(worker, saving, first + n / 2, n - n / 2);
	}
}

/* A result that fails alone is put off, or put aside. */
static void
save_alone(PayWorker *worker, Saving *saving, int i,
		   const PayTurnFailure *failure)
{
	PayResult  *result = &worker->results[i];
	PayTurn		turn = {PAY_TURN_QUARANTINE, result, 1, 0};
	char		attempt[40];

	if (failure->sqlstate == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		saving->fates[i] = FATE_PUT_OFF;
		if (++saving->n_locked > MAX_LOCKED)
			saving->failure = *failure;
		return;
	}

	snprintf(attempt, sizeof(attempt), INT64_FORMAT " %d",
			 result->claim->call_id, result->claim->attempt_no);
	if (pay_worker_may_log(worker, PAY_LOG_QUARANTINE, attempt))
		ereport(WARNING,
				(errmsg("answer for order \"%s\" could not be applied: call " INT64_FORMAT " goes into quarantine",
						result->claim->order_id, result->claim->call_id),
				 errdetail("%s", failure->message),
				 errhint("See payments.stuck_orders."),
				 errhidestmt(true)));
	turn.failure = *failure;
	if (!pay_worker_try_turn(worker, &turn) &&
		pay_worker_is_of_a_row(turn.failure.sqlstate))
	{
		/* not even as evidence: once more, with nothing of the answer in it */
		result->body.verdict = PAY_TOSS_JSON_GARBAGE;
		result->answer.code = "NOT_STORABLE";
		result->trace_id = NULL;
		(void) pay_worker_try_turn(worker, &turn);
	}
	if (turn.done)
	{
		saving->fates[i] = FATE_SAVED;
		result->is_quarantined = true;
		count(worker, PAY_COUNT_QUARANTINED, 1);
	}
	else if (pay_worker_is_of_a_row(turn.failure.sqlstate))
		saving->fates[i] = FATE_PUT_OFF;
	else
		saving->failure = turn.failure;
}

/* Part with results that were saved or put off; the others stay. */
static void
close_ranks(PayWorker *worker, const Fate *fates)
{
	int			kept = 0;

	for (int i = 0; i < worker->n_results; i++)
	{
		if (fates[i] == FATE_SAVED)
			finish_result(worker, &worker->results[i]);
		else if (fates[i] == FATE_KEPT)
			worker->results[kept++] = worker->results[i];
		else
			pay_worker_put_off(worker, &worker->results[i]);
	}
	worker->n_results = kept;
}

/*
 * A saved result: its call may be due again, those who wait for its order are
 * woken, and its claim is freed.
 */
static void
finish_result(PayWorker *worker, PayResult *result)
{
	count(worker, result->transport == PAY_TRANSPORT_ANSWERED ?
		  PAY_COUNT_ANSWERED : PAY_COUNT_UNANSWERED, 1);
	pay_worker_count_result(worker, result);
	pay_worker_was_asked(worker, result->claim->call_id);
	if (pay_action_closes(result->decision.action) ||
		result->decision.action == PAY_ACTION_AWAIT_DEPOSIT)
		pay_wake_settled(result->claim->order_id);
	if (result->decision.action == PAY_ACTION_SUCCEED)
		pay_worker_unclaimed_look();
	pay_worker_queue_return(worker, result);
	MemoryContextDelete(result->claim->context);
}

/* Is there a point in taking these n results apart? */
static bool
helps_to_halve(const PayTurnFailure *failure, int n)
{
	return pay_worker_is_of_a_row(failure->sqlstate) ||
		failure->sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
		(failure->sqlstate == ERRCODE_QUERY_CANCELED && n > 1);
}

/* May this error be the fault of a row? */
bool
pay_worker_is_of_a_row(int sqlstate)
{
	const char *text = unpack_sql_state(sqlstate);

	for (int i = 0; i < lengthof(not_of_a_row); i++)
	{
		if (strncmp(text, not_of_a_row[i], 2) == 0)
			return false;
	}
	return true;
}

/* Turns fail for a reason beyond us: wait, and say so. */
static void
hold(PayWorker *worker, const PayTurnFailure *failure)
{
	worker->holding = true;
	worker->held_until = pay_clock_ms() + HOLD_TIME;
	pay_worker_slot_report(worker->slot_no, PAY_WORKER_HOLDING,
						   failure->message);
	if (pay_worker_may_log(worker, PAY_LOG_HOLDING, failure->message))
		ereport(WARNING,
				(errmsg("payments worker cannot save results or claim calls"),
				 errdetail("%s", failure->message),
				 errhint("Nothing new is sent until it can; %d answers are kept in memory.",
						 worker->n_results + worker->n_put_off),
				 errhidestmt(true)));
}

static void
count(PayWorker *worker, PayWorkerCounter counter, int n)
{
	if (n > 0)
		pg_atomic_fetch_add_u64(&worker->slot->counters[counter], n);
}
