/*
 * worker_slot.c
 *		Shared memory: one slot per worker, which is a database and a shard.
 *
 * Owns the memory and its locks.  Who takes a lock of another file's, and what for,
 * says worker_knock.c.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xlog.h"
#include "miscadmin.h"

#include "clock.h"
#include "shared_memory.h"
#include "worker_knock.h"
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

static void start_memory(void);
static void clear_slot(PayWorkerSlot *slot);

void
pay_worker_slot_init(void)
{
	static const PaySharedMemory part = {
		"payments", sizeof(PayWorkerShared), (void **) &pay_worker_shared,
		start_memory
	};

	pay_shared_memory_add(&part);
}

/*
 * A server that starts to follow or to restore another one may become a primary
 * later, and then its calls in flight were somebody else's: remember that.
 */
static void
start_memory(void)
{
	struct stat st;
	PayTimes	times;

	SpinLockInit(&pay_worker_shared->mutex);
	SpinLockInit(&pay_worker_shared->jump_mutex);
	(void) pay_jump_look(&pay_worker_shared->jump, GetCurrentTimestamp(),
						 pay_clock_us(), &times);
	pay_worker_shared->launcher_procno = INVALID_PROC_NUMBER;
	pay_worker_shared->was_following = stat(STANDBY_SIGNAL_FILE, &st) == 0;
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
	slot->began_database = InvalidOid;
	slot->began_extension = InvalidOid;
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
pay_worker_slot_began(int n, int64 epoch, Oid extension)
{
	PayWorkerSlot *slot = pay_worker_slot(n);

	SpinLockAcquire(&slot->mutex);
	slot->epoch = epoch;
	slot->began_epoch = true;
	slot->began_database = slot->dboid;
	slot->began_extension = extension;
	SpinLockRelease(&slot->mutex);
}

bool
pay_worker_slot_went_on(const char *database, Oid dboid, Oid extension)
{
	bool		found = false;

	for (int i = 0; i < PAY_WORKER_SLOTS && !found; i++)
	{
		PayWorkerSlot *slot = pay_worker_slot(i);

		SpinLockAcquire(&slot->mutex);
		found = slot->began_database == dboid &&
			slot->began_extension == extension &&
			strcmp(slot->database, database) == 0;
		SpinLockRelease(&slot->mutex);
	}
	return found;
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
	pay_worker_knock_heirs(database, shards);
	pay_worker_wake_launcher();
}

const char *
pay_worker_state_name(PayWorkerState state)
{
	return state_names[state];
}
