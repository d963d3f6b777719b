/*
 * worker_knock.c
 *		Telling workers, and the launcher, that there is something for them.
 *
 * What is told is written into the slots, under their spinlocks, and then a latch
 * is set.  A backend knocks behind its commit, where an error would be a panic:
 * nothing here allocates, waits or calls what might fail.
 */
#include "postgres.h"

#include "storage/latch.h"
#include "storage/proc.h"

#include "worker_knock.h"
#include "worker_slot.h"

static uint64 hand_over(int n, const PayHint *hints, const uint32 *hashes,
						int n_hints);
static bool lock_if_of(int n, Oid dboid);
static void wake_process(ProcNumber procno);

/*
 * A transaction of this database that queued calls was committed: hand over the
 * hints, and set the latches of workers that have not been told yet.  A worker
 * clears the mark when it has taken all hints, so one that is written after
 * that finds the mark cleared and wakes it.  test/t/011_worker_wake.pl
 *
 * While workers make room for others that divide the calls differently, two may
 * get the same hint: one of them claims.
 */
void
pay_worker_knock(Oid dboid, const PayHint *hints, const uint32 *hashes,
				 int n, PayHintLoss loss, bool look)
{
	uint64		missing = n == 0 ? 0 : PG_UINT64_MAX >> (64 - n);
	bool		found = false;

	pg_memory_barrier();		/* the commit is there for who connects now */
	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);
		ProcNumber	procno = INVALID_PROC_NUMBER;
		uint64		taken;

		if (!lock_if_of(i, dboid))
			continue;
		found = true;
		taken = hand_over(i, hints, hashes, n);
		missing &= ~taken;
		pay_hint_write(&pay_worker_shared->rings[i], NULL, 0, loss);
		loss.n = 0;				/* each reads them, one counts them */
		if (taken != 0 || loss.from != PAY_HINT_NONE || look)
		{
			if (!slot->pending || (look && !slot->look))
				procno = slot->procno;
			slot->pending = true;
			slot->look |= look;
		}
		SpinLockRelease(&slot->mutex);
		wake_process(procno);
	}
	if (!found || missing != 0)
		pay_worker_knock_launcher();
}

/* Those of the slot's shard, under its lock; which they are, as bits. */
static uint64
hand_over(int n, const PayHint *hints, const uint32 *hashes, int n_hints)
{
	uint64		taken = 0;

	for (int i = 0; i < n_hints; i++)
	{
		if (!pay_shard_has(pay_worker_slot(n)->shard, hashes[i]))
			continue;
		pay_hint_write(&pay_worker_shared->rings[n], &hints[i], 1,
					   PAY_HINT_NO_LOSS);
		taken |= UINT64CONST(1) << i;
	}
	return taken;
}

StaticAssertDecl(PAY_KNOCK_HINTS <= 64, "a hint has a bit");

/* One was prepared that may queue calls some day, when nobody can tell. */
void
pay_worker_knock_prepared(Oid dboid)
{
	bool		found = false;

	pg_memory_barrier();
	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);
		ProcNumber	procno = INVALID_PROC_NUMBER;

		if (!lock_if_of(i, dboid))
			continue;
		found = true;
		if (!slot->prepared)
			procno = slot->procno;
		slot->prepared = true;
		SpinLockRelease(&slot->mutex);
		wake_process(procno);
	}
	if (!found)
		pay_worker_knock_launcher();
}

/*
 * Lock a slot if its worker is connected to this database.  The first look is
 * one without the lock, since most slots are others'.
 */
static bool
lock_if_of(int n, Oid dboid)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	if (*(volatile Oid *) &slot->dboid != dboid)
		return false;
	SpinLockAcquire(&slot->mutex);
	if (slot->dboid == dboid)
		return true;
	SpinLockRelease(&slot->mutex);
	return false;
}

/*
 * Who divides the calls as the one that left did has nothing to do with them:
 * they wait for its successor.
 */
void
pay_worker_knock_heirs(const char *database, int shards)
{
	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);
		ProcNumber	procno = INVALID_PROC_NUMBER;

		SpinLockAcquire(&slot->mutex);
		if (slot->pid != 0 && slot->shard.of != shards &&
			strcmp(slot->database, database) == 0)
		{
			slot->inherits = true;
			procno = slot->procno;
		}
		SpinLockRelease(&slot->mutex);
		wake_process(procno);
	}
}

int
pay_worker_knock_take(int n, PayHint *hints, int max, PayHintLoss *loss)
{
	PayWorkerSlot *slot = pay_worker_slot(n);
	int			taken;

	SpinLockAcquire(&slot->mutex);
	taken = pay_hint_take(&pay_worker_shared->rings[n], hints, max, loss);
	if (taken < max)
		slot->pending = false;
	SpinLockRelease(&slot->mutex);
	return taken;
}

/* Something has changed that may let a worker start now. */
void
pay_worker_knock_launcher(void)
{
	ProcNumber	procno;

	SpinLockAcquire(&pay_worker_shared->mutex);
	procno = pay_worker_shared->retry ? INVALID_PROC_NUMBER :
		pay_worker_shared->launcher_procno;
	pay_worker_shared->retry = true;
	SpinLockRelease(&pay_worker_shared->mutex);
	wake_process(procno);
}

void
pay_worker_wake_launcher(void)
{
	ProcNumber	procno;

	SpinLockAcquire(&pay_worker_shared->mutex);
	procno = pay_worker_shared->launcher_procno;
	SpinLockRelease(&pay_worker_shared->mutex);
	wake_process(procno);
}

static void
wake_process(ProcNumber procno)
{
	if (procno != INVALID_PROC_NUMBER)
		SetLatch(&GetPGProcByNumber(procno)->procLatch);
}
