/*
 * worker_put_off.c
 *		Results whose order somebody has locked.
 *
 * They are not waited for: each is put off for a second, then for two, four, ...
 * and joins the others again when that is over.  Each by itself, so that one whose
 * order is locked for hours keeps none back that was locked for a moment.
 * test/t/015_worker_errors.pl
 */
#include "postgres.h"

#include "clock.h"
#include "worker.h"

/* Milliseconds */
#define FIRST_DELAY		1000
#define LAST_DELAY		30000

/* The worker has room for it: it keeps its place among those in flight. */
void
pay_worker_put_off(PayWorker *worker, const PayResult *result)
{
	PayResult  *kept = &worker->put_off[worker->n_put_off++];

	*kept = *result;
	kept->delay = kept->delay == 0 ? FIRST_DELAY :
		Min(kept->delay * 2, LAST_DELAY);
	kept->again_at = pay_clock_ms() + kept->delay;
	worker->put_off_until = Min(worker->put_off_until, kept->again_at);
}

/* Those whose time has come are results like any other again. */
void
pay_worker_put_off_end(PayWorker *worker)
{
	int64		now = pay_clock_ms();
	int			n = worker->n_put_off;

	if (now < worker->put_off_until)
		return;
	worker->n_put_off = 0;
	worker->put_off_until = PAY_NEVER;
	for (int i = 0; i < n; i++)
	{
		PayResult	result = worker->put_off[i];

		if (result.again_at <= now)
		{
			worker->results[worker->n_results++] = result;
			continue;
		}
		worker->put_off[worker->n_put_off++] = result;
		worker->put_off_until = Min(worker->put_off_until, result.again_at);
	}
}
