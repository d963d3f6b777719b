/*
 * worker_sift.c
 *		Calls that cannot be claimed: which of them it is, and out of the way.
 *
 * A turn that fails while it claims, because of a row, would fail again and
 * again, and nothing would be sent for anybody.  So the calls that it was to
 * claim are tried in a turn of their own, each time in a subtransaction that is
 * rolled back, in halves until the bad one stands alone.  That one waits for a
 * person from then on, and the next turn claims the others.
 *
 * When none of several calls can be claimed it is no call's fault: nothing is put
 * aside, and the worker holds.  Nor is it when one after the other comes alone,
 * and none can.
 *
 * Nothing is claimed here, so nothing is sent: a call that is put aside was not
 * under way.  test/t/085_worker_poison.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "worker.h"

#define MAX_ASIDE	10			/* calls, in a turn */

typedef struct Aside
{
	int64		call_id;
	int			sqlstate;
} Aside;

/* Of the turn that is being taken */
static Aside aside[MAX_ASIDE];
static int	n_aside = 0;
static int	n_good = 0;			/* calls that could be claimed */

/* How many the worker had claimed when the last one was put aside alone. */
static uint64 claimed_then = PG_UINT64_MAX;

static void sift(PayWorker *worker, const PayCallWanted *wanted, int n,
				 TimestampTz now);
static int	try_to_claim(PayWorker *worker, const PayCallWanted *wanted, int n,
						 TimestampTz now);

/*
 * A turn failed because of a row, and not of one of its results.  True: it was
 * one of the calls to be claimed, and is put aside.
 */
bool
pay_worker_sift(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_SIFT};
	char		text[40];

	if (!pay_worker_try_turn(worker, &turn))
		return false;
	for (int i = 0; i < n_aside; i++)
	{
		pg_atomic_fetch_add_u64(&worker->slot->counters[PAY_COUNT_QUARANTINED], 1);
		snprintf(text, sizeof(text), "claim " INT64_FORMAT, aside[i].call_id);
		if (pay_worker_may_log(worker, PAY_LOG_QUARANTINE, text))
			ereport(WARNING,
					(errmsg("call " INT64_FORMAT " cannot be claimed and goes into quarantine",
							aside[i].call_id),
					 errdetail("SQLSTATE %s", unpack_sql_state(aside[i].sqlstate)),
					 errhint("See payments.stuck_orders."),
					 errhidestmt(true)));
	}
	return n_aside > 0;
}

/* The turn itself, for worker_turn.c. */
void
pay_worker_sift_work(PayWorker *worker, TimestampTz now)
{
	PayCallWanted *wanted;
	int			n = pay_worker_queue_picked(&wanted);

	n_aside = n_good = 0;
	if (n > 0)
		sift(worker, wanted, n, now);
	if (n_aside > 0 && n_good == 0)
	{
		pg_atomic_uint64 *counters = worker->slot->counters;
		uint64		claimed = pg_atomic_read_u64(&counters[PAY_COUNT_CLAIMED]);

		if (n > 1 || claimed == claimed_then)
			elog(ERROR, "none of %d calls can be claimed", n);
		claimed_then = claimed;
	}
}

static void
sift(PayWorker *worker, const PayCallWanted *wanted, int n, TimestampTz now)
{
	int			sqlstate;

	if (n_aside == MAX_ASIDE)
		return;
	sqlstate = try_to_claim(worker, wanted, n, now);
	if (sqlstate == 0)
		n_good += n;
	else if (n > 1)
	{
		sift(worker, wanted, n / 2, now);
		sift(worker, wanted + n / 2, n - n / 2, now);
	}
	else if (pay_psp_call_put_aside(wanted->call_id, now))
		aside[n_aside++] = (Aside) {wanted->call_id, sqlstate};
}

/* 0, or the SQLSTATE of what a row of them did; anything else is an error. */
static int
try_to_claim(PayWorker *worker, const PayCallWanted *wanted, int n,
			 TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	PayClaim  **claims;
	PayTimes	times;

	pay_worker_clock(worker, &times);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		(void) pay_psp_call_claim(wanted, n, worker->epoch, &times, context,
								  &claims);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error == NULL)
		return 0;
	if (!pay_worker_is_of_a_row(error->sqlerrcode))
		ReThrowError(error);
	return error->sqlerrcode;
}
