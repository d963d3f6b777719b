/*
 * worker_inbox.c
 *		What a worker does about webhooks that came in (inbox_work.c).
 *
 * In short transactions of its own, behind the turns: whoever takes one in asks
 * for a look, so it is soon.
 * Nothing depends on it: what webhooks say is asked for anyway, later.  So when
 * it fails people are told, and it is tried again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"

#include "clock.h"
#include "db.h"
#include "inbox.h"
#include "worker.h"

#define BATCH			100		/* webhooks in a transaction */
#define ERASED			1000	/* bodies, with each sweep */
#define LOCK_TIMEOUT	"100"	/* ms */
#define AGAIN			1000	/* ms, after a failure, and at least for those
								 * that wait */

static int64 step_at = 0;		/* pay_clock_ms */
static int64 erase_at = 0;
static int	n_found;			/* by the step that is being taken */
static TimestampTz next_at;

/* Somebody asked for a look. */
void
pay_worker_inbox_look(void)
{
	step_at = 0;
}

/* When to take a step (pay_clock_ms), as far as nothing else happens. */
int64
pay_worker_inbox_at(const PayWorker *worker)
{
	if (worker->holding || worker->withheld[0] != '\0')
		return PAY_NEVER;
	return step_at;
}

/* Take a step if it is time. */
void
pay_worker_inbox(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_INBOX};
	int64		now = pay_clock_ms();

	if (ShutdownRequestPending || worker->gone[0] != '\0' ||
		now < pay_worker_inbox_at(worker))
		return;

	step_at = now + AGAIN;
	n_found = 0;
	if (pay_worker_try_turn(worker, &turn))
	{
		int64		wait = pay_guc_sweep_interval * INT64CONST(1000);

		if (n_found == BATCH)
			wait = 0;
		else if (!TIMESTAMP_IS_NOEND(next_at))
			wait = Min(wait, Max((next_at - GetCurrentTimestamp()) / 1000 + 1, 0));
		step_at = now + wait;
	}
	else if (worker->gone[0] == '\0' &&
			 pay_worker_may_log(worker, PAY_LOG_INBOX, turn.failure.message))
		ereport(WARNING,
				(errmsg("payments worker cannot look at the webhooks that came in"),
				 errdetail("%s", turn.failure.message),
				 errhint("It is tried again every second; payments go on, and what webhooks say is asked for anyway."),
				 errhidestmt(true)));
}

/* The step itself, for worker_turn.c */
void
pay_worker_inbox_work(PayWorker *worker, TimestampTz now)
{
	int64		clock = pay_clock_ms();

	next_at = DT_NOEND;
	if (!pay_worker_may_claim(worker))
		return;
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	pay_db_connect();
	n_found = pay_inbox_work(BATCH, now);
	if (n_found < BATCH)
		next_at = pay_inbox_next();
	if (clock >= erase_at)
	{
		pay_inbox_erase(ERASED, now);
		erase_at = clock + pay_guc_sweep_interval * INT64CONST(1000);
	}
	pay_db_finish();
}
