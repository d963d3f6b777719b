/*
 * worker_clock.c
 *		What time it is, for workers whose server's clock may be set.
 *
 * All workers look at it as one, and it is looked at from the server's start: who
 * comes later knows of a jump before it.  That it was set back while the server
 * was down the books tell; set ahead, nothing does.
 * test/unit/jump_test.c, test/t/087_clock.pl
 */
#include "postgres.h"

#include <math.h>

#include "clock.h"
#include "psp_epoch.h"
#include "worker.h"

static void tell(PayWorker *worker, int64 jumped);

/*
 * The clock is read here and not before: two looks in another order than their
 * times would show a jump that was none.
 */
void
pay_worker_clock(PayWorker *worker, PayTimes *times)
{
	int64		jumped;

	SpinLockAcquire(&pay_worker_shared->jump_mutex);
	jumped = pay_jump_look(&pay_worker_shared->jump, GetCurrentTimestamp(),
						   pay_clock_us(), times);
	SpinLockRelease(&pay_worker_shared->jump_mutex);
	tell(worker, jumped);
}

/*
 * At the start of a run, in its transaction: was it later already?  It may have
 * been on another server, whose clock is another one.
 */
void
pay_worker_clock_start(PayWorker *worker)
{
	TimestampTz seen = pay_psp_epoch_last_seen();
	int64		jumped;

	if (seen == 0)
		return;
	SpinLockAcquire(&pay_worker_shared->jump_mutex);
	jumped = pay_jump_was(&pay_worker_shared->jump, seen, GetCurrentTimestamp());
	SpinLockRelease(&pay_worker_shared->jump_mutex);
	tell(worker, jumped);
}

static void
tell(PayWorker *worker, int64 jumped)
{
	char		text[32];

	if (jumped == 0)
		return;
	snprintf(text, sizeof(text), INT64_FORMAT, jumped);
	if (pay_worker_may_log(worker, PAY_LOG_CLOCK, text))
		ereport(WARNING,
				(errmsg("the server's clock has jumped by " INT64_FORMAT " seconds",
						(int64) rint(jumped / 1e6)),
				 errdetail("For a while no order fails because of its age, and calls may be repeated early."),
				 errhidestmt(true)));
}
