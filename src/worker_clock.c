/*
 * worker_clock.c
 *		What time it is, for a worker whose server's clock may be set.
 *
 * The slot remembers jumps beyond the worker's end, until the server's.  A clock
 * that was set while the server was down cannot be noticed.
 * test/unit/jump_test.c
 */
#include "postgres.h"

#include "portability/instr_time.h"

#include "worker.h"

void
pay_worker_clock(PayWorker *worker, TimestampTz now, PayTimes *times)
{
	instr_time	steady;
	int64		jumped;
	char		text[80];

	INSTR_TIME_SET_CURRENT(steady);
	jumped = pay_jump_look(&worker->slot->jump, now,
						   (int64) INSTR_TIME_GET_MICROSEC(steady), times);
	if (jumped == 0)
		return;
	snprintf(text, sizeof(text), INT64_FORMAT, jumped);
	if (pay_worker_may_log(worker, PAY_LOG_CLOCK, text))
		ereport(WARNING,
				(errmsg("the server's clock has jumped by " INT64_FORMAT " seconds",
						(int64) (jumped / USECS_PER_SEC)),
				 errdetail("For a while no order fails because of its age, and calls may be repeated early."),
				 errhidestmt(true)));
}
