/*
 * worker_slot.c
 *		Shared memory: one slot per worker, which is a database and a shard.
 *
 * Owns the memory and its locks.  pay_worker_slot_knock runs behind a commit,
 * where an error would be a panic: it takes spinlocks and sets latches, and
 * does nothing else.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "worker_slot.h"

PayWorkerShared *pay_worker_shared = NULL;

static const char *const state_names[] = {
	[PAY_WORKER_WAITING] = "waiting",
	[PAY_WORKER_STARTING] = "starting",
	[PAY_WORKER_RUNNING] = "running",
	[PAY_WORKER_HOLDING] = "holding",
	[PAY_WORKER_DISARMED] = "disarmed",
	[PAY_WORKER_STOPPING] = "stopping",
};

static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

static void request_memory(void);
static void start_memory(void);
static void clear_slot(PayWorkerSlot *slot);
static void tell_heirs(const char *database, int shards);
static uint64 hand_over(int n, const PayHint *hints, const uint32 *hashes,
						int n_hints);
static bool lock_if_of(int n, Oid dboid);
static void wake_process(ProcNumber procno);

void
pay_worker_slot_init(void)
{
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

static void
request_memory(void)
{
	if (next_request_hook)
		next_request_hook();
	RequestAddinShmemSpace(sizeof(PayWorkerShared));
}

/*
 * Make the memory, at the start of the server and after a crash.  A server
 * that starts to follow or to restore another one may become a primary later,
 * and then its calls in flight were somebody else's: remember that.
 */
static void
start_memory(void)
{
	struct stat st;
	bool		found;

	if (next_startup_hook)
		next_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	pay_worker_shared = ShmemInitStruct("payments",
										sizeof(PayWorkerShared), &found);
	if (!found)
	{
		SpinLockInit(&pay_worker_shared->mutex);
		pay_worker_shared->launcher_procno = INVALID_PROC_NUMBER;
		pay_worker_shared->retry = false;
		pay_worker_shared->started_at = 0;
		pay_worker_shared->was_following =
			stat(STANDBY_SIGNAL_FILE, &st) == 0;
		pay_worker_shared->was_standby = pay_worker_shared->was_following ||
			stat(RECOVERY_SIGNAL_FILE, &st) == 0;
		for (int i = 0; i < PAY_WORKER_SLOTS; i++)
		{
			PayWorkerSlot *slot = pay_worker_slot(i);

			SpinLockInit(&slot->mutex);
			for (int c = 0; c < PAY_COUNTERS; c++)
				pg_atomic_init_u64(&slot->counters[c], 0);
			clear_slot(slot);
			pay_hint_clear(&pay_worker_shared->rings[i]);
		}
		for (int i = 0; i < PAY_WAITER_BUCKETS; i++)
			ConditionVariableInit(&pay_worker_shared->waiters[i]);
	}
	LWLockRelease(AddinShmemInitLock);
}

static void
clear_slot(PayWorkerSlot *slot)
{
	slot->database[0] = '\0';
	slot->shard = (PayShard) {0, 1};
	slot->dboid = InvalidOid;
	slot->procno = INVALID_PROC_NUMBER;
	slot->pid = 0;
	slot->pending = false;
	slot->look = false;
	slot->prepared = false;
	slot->inherits = false;
	slot->began_epoch = false;
	slot->books_database = InvalidOid;
	slot->books_extension = InvalidOid;
	slot->has_asked = false;
	slot->state = PAY_WORKER_WAITING;
	slot->reason[0] = '\0';
	slot->epoch = 0;
	slot->in_flight = 0;
	slot->started_at = 0;
	slot->last_turn_at = 0;
	for (int c = 0; c < PAY_COUNTERS; c++)
		pg_atomic_write_u64(&slot->counters[c], 0);
}

PayWorkerSlot *
pay_worker_slot(int n)
{
	Assert(n >= 0 && n < PAY_WORKER_SLOTS);
	return &pay_worker_shared->slots[n];
}

void
pay_worker_slot_read(int n, PayWorkerSlot *copy)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	memcpy(copy, slot, offsetof(PayWorkerSlot, counters));
	SpinLockRelease(&slot->mutex);
	for (int c = 0; c < PAY_COUNTERS; c++)
		pg_atomic_init_u64(&copy->counters[c],
						   pg_atomic_read_u64(&slot->counters[c]));
}

/* Only the launcher gives and takes slots, so it may look without locks. */
int
pay_worker_slot_find(const char *database, int shard)
{
	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);

		if (slot->shard.number == shard &&
			strcmp(slot->database, database) == 0)
			return i;
	}
	return -1;
}

int
pay_worker_slot_assign(const char *database, int shard)
{
	int			n = pay_worker_slot_find("", 0);
	PayWorkerSlot *slot;

	if (n < 0)
		return -1;
	slot = pay_worker_slot(n);
	SpinLockAcquire(&slot->mutex);
	clear_slot(slot);
	strlcpy(slot->database, database, NAMEDATALEN);
	slot->shard.number = shard;
	SpinLockRelease(&slot->mutex);
	return n;
}

/* No worker is in it, and none is on its way. */
void
pay_worker_slot_divide(int n, int shards)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	if (slot->pid == 0)
		slot->shard.of = shards;
	SpinLockRelease(&slot->mutex);
}

void
pay_worker_slot_release(int n)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	clear_slot(slot);
	SpinLockRelease(&slot->mutex);
}

bool
pay_worker_slot_attach(int n, PayShard *shard)
{
	PayWorkerSlot *slot = pay_worker_slot(n);
	TimestampTz now = GetCurrentTimestamp();
	bool		taken;

	SpinLockAcquire(&slot->mutex);
	taken = slot->pid != 0 || slot->database[0] == '\0';
	if (!taken)
	{
		slot->pid = MyProcPid;
		slot->procno = MyProcNumber;
		slot->state = PAY_WORKER_STARTING;
		slot->started_at = now;
		slot->pending = false;
		slot->look = true;		/* look at what is there already */
		slot->prepared = true;
		slot->inherits = false; /* it takes what there is when it begins */
		slot->has_asked = false;
		slot->epoch = 0;
		*shard = slot->shard;
		pay_hint_clear(&pay_worker_shared->rings[n]);
	}
	SpinLockRelease(&slot->mutex);
	return !taken;
}

void
pay_worker_slot_connected(int n, Oid dboid)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	slot->dboid = dboid;
	SpinLockRelease(&slot->mutex);
}

/* From here on calls in flight may have this epoch. */
void
pay_worker_slot_began(int n, int64 epoch)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	slot->epoch = epoch;
	slot->began_epoch = true;
	SpinLockRelease(&slot->mutex);
}

void
pay_worker_slot_asked(int n)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	slot->has_asked = true;
	SpinLockRelease(&slot->mutex);
}

/* A worker that ends its last transaction leaves its slot after it. */
int
pay_worker_slot_epochs(Oid dboid, int64 *epochs)
{
	int			n = 0;

	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);

		SpinLockAcquire(&slot->mutex);
		if (slot->pid != 0 && slot->dboid == dboid && slot->epoch != 0)
			epochs[n++] = slot->epoch;
		SpinLockRelease(&slot->mutex);
	}
	return n;
}

bool
pay_worker_slot_all_asked(const char *database)
{
	bool		all = true;

	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);

		SpinLockAcquire(&slot->mutex);
		if (strcmp(slot->database, database) == 0)
			all &= slot->pid != 0 && slot->has_asked;
		SpinLockRelease(&slot->mutex);
	}
	return all;
}

void
pay_worker_slot_report(int n, PayWorkerState state, const char *reason)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	slot->state = state;
	strlcpy(slot->reason, reason ? reason : "", PAY_REASON_SIZE);
	SpinLockRelease(&slot->mutex);
}

/*
 * The worker goes.  Why is what it reported last, or else reason.  Tells the
 * launcher, and those who may find something of it in their shards.
 */
void
pay_worker_slot_leave(int n, const char *reason)
{
	PayWorkerSlot *slot = pay_worker_slot(n);
	char		database[NAMEDATALEN];
	int			shards;

	SpinLockAcquire(&slot->mutex);
	slot->dboid = InvalidOid;
	slot->procno = INVALID_PROC_NUMBER;
	slot->pid = 0;
	slot->in_flight = 0;
	slot->state = PAY_WORKER_WAITING;
	if (reason != NULL && slot->reason[0] == '\0')
		strlcpy(slot->reason, reason, PAY_REASON_SIZE);
	strlcpy(database, slot->database, NAMEDATALEN);
	shards = slot->shard.of;
	SpinLockRelease(&slot->mutex);
	tell_heirs(database, shards);
	wake_process(pay_worker_shared->launcher_procno);
}

/*
 * Who divides the calls as the one that left did has nothing to do with them:
 * they wait for its successor.
 */
static void
tell_heirs(const char *database, int shards)
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
pay_worker_slot_knock(Oid dboid, const PayHint *hints, const uint32 *hashes,
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
		pay_worker_slot_knock_launcher();
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
pay_worker_slot_knock_prepared(Oid dboid)
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
		pay_worker_slot_knock_launcher();
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

int
pay_worker_slot_take_hints(int n, PayHint *hints, int max, PayHintLoss *loss)
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
pay_worker_slot_knock_launcher(void)
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
pay_worker_slot_wake_launcher(void)
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

const char *
pay_worker_state_name(PayWorkerState state)
{
	return state_names[state];
}
