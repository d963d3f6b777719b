/*
 * worker_clock.c
 *		What time it is, for workers whose server's clock may be set.
 *
 * All workers look at it as one, and it is looked at from the server's start: who
 * comes later knows of a jump before it.  A clock that was set while the server
 * was down cannot be noticed.  test/unit/jump_test.c, test/t/087_clock.pl
 */
#include "postgres.h"

#include <math.h>

#include "clock.h"
#include "worker.h"

/*
 * The clock is read here and not before: two looks in another order than their
 * times would show a jump that was none.
 */
void
pay_worker_clock(PayWorker *worker, PayTimes *times)
{
	int64		jumped;
	char		text[32];

	SpinLockAcquire(&pay_worker_shared->jump_mutex);
	jumped = pay_jump_look(&pay_worker_shared->jump, GetCurrentTimestamp(),
						   pay_clock_us(), times);
	SpinLockRelease(&pay_worker_shared->jump_mutex);
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
