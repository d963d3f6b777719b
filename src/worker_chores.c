/*
 * worker_chores.c
 *		What a worker does beside calls, a step at a time, in turns of its own.
 *
 * A chore says when its next step is due, and takes it only if it is.  None may
 * starve the others, nor calls: each that is due has its step, and while results
 * wait all of them together have a part of the time.
 */
#include "postgres.h"

#include "clock.h"
#include "worker.h"

#define PAUSE	3				/* times as long as the steps took */

static const struct
{
	int64		(*at) (const PayWorker *worker);
	void		(*step) (PayWorker *worker);
}			chores[] =

{
	{pay_worker_upkeep_at, pay_worker_upkeep},
	{pay_worker_expire_at, pay_worker_expire},
	{pay_worker_lapse_at, pay_worker_lapse},
	{pay_worker_inbox_at, pay_worker_inbox},
	{pay_worker_unclaimed_at, pay_worker_unclaimed},
};

static int64 pause_until = 0;	/* pay_clock_ms */

/* When the next step is due: pay_clock_ms, or PAY_NEVER */
int64
pay_worker_chores_at(const PayWorker *worker)
{
	int64		next = PAY_NEVER;

	for (size_t i = 0; i < lengthof(chores); i++)
		next = Min(next, chores[i].at(worker));
	return next;
}

void
pay_worker_chores(PayWorker *worker)
{
	int64		start = pay_clock_ms();
	int64		end;

	if (worker->n_results > 0 && start < pause_until)
		return;
	for (size_t i = 0; i < lengthof(chores); i++)
		chores[i].step(worker);
	end = pay_clock_ms();
	pause_until = end + (end - start) * PAUSE;
}
