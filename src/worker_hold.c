/*
 * worker_hold.c
 *		Shared memory: databases that no worker may be connected to for a while.
 *
 * A hold belongs to a database by name, not to a slot: there may be several
 * slots for one, or none yet.  The end of the transaction is where every way
 * out of a command meets: success, error, cancel, and the end of the process.
 * A process that is killed takes the server's memory with it.  What remains is
 * one that is stopped, or sits in its transaction: the launcher forgets its
 * hold after a minute, and a worker then waits for the server's own lock on the
 * database, as any session would.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/spin.h"

#include "clock.h"
#include "guc.h"
#include "shared_memory.h"
#include "worker_hold.h"
#include "worker_knock.h"
#include "worker_slot.h"

/* What a worker may take to end beyond the drain; the launcher may be away. */
#define WAIT_MS		10000

typedef struct Holds
{
	slock_t		mutex;
	PayHold		holds[PAY_HOLDS];
} Holds;

static Holds *shared = NULL;
static bool holding = false;	/* this process, in this transaction */

static void start_memory(void);
static int	take(const char *database, const char *command, bool asks);
static void wait_until_ready(int n, const char *database);
static void at_transaction_end(XactEvent event, void *arg);

void
pay_worker_hold_init(void)
{
	static const PaySharedMemory part = {
		"payments holds", sizeof(Holds), (void **) &shared, start_memory
	};

	pay_shared_memory_add(&part);
	RegisterXactCallback(at_transaction_end, NULL);
}

static void
start_memory(void)
{
	SpinLockInit(&shared->mutex);
}

PayHoldWord
pay_worker_hold(const char *database, const char *command, bool asks)
{
	PayHold		hold;
	int			n = take(database, command, asks);

	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many commands want databases without payments workers"),
				 errdetail("There can be %d at once.", PAY_HOLDS),
				 errhint("Try again later.")));
	wait_until_ready(n, database);
	return pay_worker_hold_read(n, &hold) && hold.pid == MyProcPid ?
		hold.word : PAY_HOLD_UNTOLD;
}

static int
take(const char *database, const char *command, bool asks)
{
	int64		until = pay_clock_ms() + PAY_HOLD_LONGEST;
	int			n = 0;

	holding = true;
	SpinLockAcquire(&shared->mutex);
	while (n < PAY_HOLDS && shared->holds[n].pid != 0)
		n++;
	if (n < PAY_HOLDS)
	{
		PayHold    *hold = &shared->holds[n];

		hold->pid = MyProcPid;
		hold->procno = MyProcNumber;
		strlcpy(hold->database, database, NAMEDATALEN);
		strlcpy(hold->command, command, NAMEDATALEN);
		hold->until = until;
		hold->asks = asks;
		hold->ready = false;
		hold->word = PAY_HOLD_UNTOLD;
	}
	SpinLockRelease(&shared->mutex);
	pay_worker_wake_launcher();
	return n < PAY_HOLDS ? n : -1;
}

static void
wait_until_ready(int n, const char *database)
{
	int64		end = pay_clock_ms() + pay_guc_shutdown_drain + WAIT_MS;

	for (;;)
	{
		PayHold		hold;
		int64		left = end - pay_clock_ms();

		if (pay_worker_hold_read(n, &hold) && hold.pid == MyProcPid &&
			hold.ready)
			return;
		if (left <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("the payments worker of database \"%s\" did not end in time",
							database),
					 errhint("See payments.worker_status. Taking the database out of payments.databases keeps the worker away for as long as you like.")));
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, pay_wait_event("PaymentsHold"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Runs behind a commit, where nothing may fail. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (!holding || (event != XACT_EVENT_COMMIT &&
					 event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	holding = false;
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < PAY_HOLDS; i++)
		if (shared->holds[i].pid == MyProcPid)
			shared->holds[i].pid = 0;
	SpinLockRelease(&shared->mutex);
	pay_worker_wake_launcher();
}

bool
pay_worker_hold_read(int i, PayHold *copy)
{
	SpinLockAcquire(&shared->mutex);
	memcpy(copy, &shared->holds[i], sizeof(PayHold));
	SpinLockRelease(&shared->mutex);
	return copy->pid != 0;
}

/* No worker is left: the holder may go on. */
void
pay_worker_hold_ready(int i, pid_t pid)
{
	ProcNumber	procno = INVALID_PROC_NUMBER;

	SpinLockAcquire(&shared->mutex);
	if (shared->holds[i].pid == pid)
	{
		shared->holds[i].ready = true;
		procno = shared->holds[i].procno;
	}
	SpinLockRelease(&shared->mutex);
	if (procno != INVALID_PROC_NUMBER)
		SetLatch(&GetPGProcByNumber(procno)->procLatch);
}

void
pay_worker_hold_end(int i, pid_t pid)
{
	SpinLockAcquire(&shared->mutex);
	if (shared->holds[i].pid == pid)
		shared->holds[i].pid = 0;
	SpinLockRelease(&shared->mutex);
}

bool
pay_worker_hold_find(const char *database, PayHold *copy)
{
	for (int i = 0; i < PAY_HOLDS; i++)
		if (pay_worker_hold_read(i, copy) &&
			strcmp(copy->database, database) == 0)
			return true;
	return false;
}

bool
pay_worker_hold_asks(const char *database)
{
	PayHold		hold;

	for (int i = 0; i < PAY_HOLDS; i++)
		if (pay_worker_hold_read(i, &hold) && hold.asks &&
			strcmp(hold.database, database) == 0)
			return true;
	return false;
}

/* The worst that any of the workers has to say stands. */
void
pay_worker_hold_tell(const char *database, PayHoldWord word)
{
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < PAY_HOLDS; i++)
	{
		PayHold    *hold = &shared->holds[i];

		if (hold->pid != 0 && strcmp(hold->database, database) == 0)
			hold->word = Max(hold->word, word);
	}
	SpinLockRelease(&shared->mutex);
}
