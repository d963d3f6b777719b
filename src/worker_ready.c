/*
 * worker_ready.c
 *		A worker that is connected and has not begun: it waits until its database
 *		is ready for it.
 *
 * That is, until there is something to work for, and no dump is being restored
 * (restore.h).  Until then it writes nothing.  Who sets a merchant knocks;
 * nobody does when a restore is over, or for rows that one brings.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "guc.h"
#include "restore.h"
#include "worker.h"

#define FIRST_LOOK		1000	/* ms */

static bool is_ready(PayWorker *worker, long *wait);

/* False: it was told to stop, or worker->gone says why it has to. */
bool
pay_worker_wait_until_ready(PayWorker *worker)
{
	long		wait = FIRST_LOOK / 2;

	while (!ShutdownRequestPending &&
		   !is_ready(worker, &wait) && worker->gone[0] == '\0')
	{
		pay_worker_slot_report(worker->slot_no, PAY_WORKER_HOLDING,
							   worker->withheld);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, pay_worker_show_wait(worker));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			pay_worker_pin_settings(worker);
		}
	}
	return !ShutdownRequestPending && worker->gone[0] == '\0';
}

/*
 * Or worker->withheld says why not, or worker->gone.  A database without rows
 * is looked at less and less often, one that is being restored every second.
 */
static bool
is_ready(PayWorker *worker, long *wait)
{
	worker->withheld[0] = '\0';
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!pay_worker_check_extension(worker))
		 /* worker->gone says why */ ;
	else if (pay_restore_is_to_come())
	{
		strlcpy(worker->withheld,
				"there is neither a merchant nor an account yet",
				sizeof(worker->withheld));
		*wait = Min(*wait * 2, pay_guc_sweep_interval * 1000L);
	}
	else if (pay_restore_is_unfinished(worker->withheld,
									   sizeof(worker->withheld)))
		*wait = FIRST_LOOK;
	PopActiveSnapshot();
	CommitTransactionCommand();
	return worker->withheld[0] == '\0' && worker->gone[0] == '\0';
}
