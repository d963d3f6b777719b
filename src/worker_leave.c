/*
 * worker_leave.c
 *		The last words of a worker.
 *
 * To who wants to drop the database: what its books hold.  To the log, when the
 * extension was taken away under it: which calls it leaves in flight.  Their
 * rows say so too, if there are any rows left, and the next run asks about them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "pgstat.h"
#include "utils/snapmgr.h"

#include "db.h"
#include "guard.h"
#include "worker.h"
#include "worker_hold.h"

#define MAX_NAMED	100			/* calls that are named in one line */

static PayHoldWord look(PayWorker *worker);

/* After the final turn.  An error leaves it untold: that is the safe answer. */
void
pay_worker_tell_holder(PayWorker *worker)
{
	PayHoldWord word;

	if (!pay_worker_hold_asks(worker->slot->database))
		return;
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, "payments: look at the books");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	word = look(worker);
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (word != PAY_HOLD_UNTOLD)
		pay_worker_hold_tell(worker->slot->database, word);
}

static PayHoldWord
look(PayWorker *worker)
{
	static PayStatement doubts = {
		"SELECT 1 FROM payments.psp_call_queue"
		" WHERE state OPERATOR(pg_catalog.=) 'S' OR outcome_unknown LIMIT 1",
		0
	};
	bool		found;

	if (!pay_worker_check_extension(worker))
		return PAY_HOLD_UNTOLD;
	if (pay_guard_books_are_empty())
		return PAY_HOLD_EMPTY;
	pay_db_connect();
	found = pay_db_run(&doubts, NULL, NULL) > 0;
	pay_db_finish();
	return found ? PAY_HOLD_OPEN : PAY_HOLD_SETTLED;
}

/* Nothing can be saved any more. */
void
pay_worker_abandon(PayWorker *worker)
{
	StringInfoData ids;
	int			n;

	pay_worker_give_up(worker);
	n = worker->n_results + worker->n_put_off;
	if (n == 0)
		return;
	initStringInfo(&ids);
	for (int i = 0; i < Min(n, MAX_NAMED); i++)
	{
		PayResult  *result = i < worker->n_results ? &worker->results[i] :
		&worker->put_off[i - worker->n_results];

		appendStringInfo(&ids, "%s" INT64_FORMAT, i > 0 ? ", " : "",
						 result->claim->call_id);
	}
	ereport(WARNING,
			(errmsg("%s leaves %d calls without a result: %s",
					worker->name, n, worker->gone),
			 errdetail("Calls%s: %s.", n > MAX_NAMED ? ", the first" : "",
					   ids.data),
			 errhint("The next run asks about them."),
			 errhidestmt(true)));
}
