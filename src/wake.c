/*
 * wake.c
 *		Waking the worker of a database, and those who wait for an order.
 *
 * Owns what this transaction has queued, in memory of fixed size, and the
 * callbacks at its end.  They are registered once per process; for a
 * transaction that queued nothing they cost one comparison.
 *
 * What the worker gets are hints (hint.h).  One too many is harmless: savepoints
 * that were rolled back leave some for rows that are not there.  The worker's
 * sweep makes up for those that nobody can give: COMMIT PREPARED runs no
 * callback of ours, which is why PREPARE asks the worker to look every second
 * until no prepared transaction is left in its database.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"

#include "clock.h"
#include "fault.h"
#include "hint.h"
#include "wake.h"
#include "worker_knock.h"
#include "worker_slot.h"

/*
 * The outermost nesting level at which a call that is still there was queued;
 * 0 when there is none.  One number is enough: levels end in the reverse order
 * of their beginning, so what was queued further inside is gone, or has moved
 * outwards, before its parent can queue again.
 */
static int	queued_level = 0;

/*
 * The calls themselves, the hashes of their orders, and what there was no room
 * for.
 */
static PayHint hints[PAY_KNOCK_HINTS];
static uint32 hashes[PAY_KNOCK_HINTS];
static int	n_hints = 0;
static PayHintLoss loss = {PAY_HINT_NONE, 0};

/*
 * Those who wait for orders that this transaction ends, one bit for each of
 * their buckets.  A bit of a savepoint that was rolled back wakes for nothing.
 */
static uint64 settled_buckets = 0;

StaticAssertDecl(PAY_WAITER_BUCKETS <= 64, "a bucket has a bit");

/* An extension was created or dropped in this transaction: perhaps ours. */
static bool extension_changed = false;

/* This transaction changes something else that the worker should look at. */
static bool look = false;

static object_access_hook_type next_object_access_hook = NULL;

static void forget_queued(void);
static void at_transaction_end(XactEvent event, void *arg);
static void at_subtransaction_end(SubXactEvent event,
								  SubTransactionId mySubid,
								  SubTransactionId parentSubid, void *arg);
static void at_object_access(ObjectAccessType access, Oid classId,
							 Oid objectId, int subId, void *arg);
static int	bucket_of(const char *order_id);
static ConditionVariable *waiters_of(const char *order_id);

void
pay_wake_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	next_object_access_hook = object_access_hook;
	object_access_hook = at_object_access;
}

bool
pay_wake_available(void)
{
	return pay_worker_shared != NULL;
}

void
pay_wake_enqueued(const char *order_id, int64 call_id, int64 merchant_id,
				  TimestampTz due_at)
{
	int			level = GetCurrentTransactionNestLevel();
	PayHint		hint = {call_id, due_at, merchant_id};

	if (queued_level == 0 || queued_level > level)
		queued_level = level;
	if (n_hints < PAY_KNOCK_HINTS)
	{
		hashes[n_hints] = pay_shard_hash(order_id);
		hints[n_hints++] = hint;
	}
	else
		pay_hint_lose(&loss, call_id);
}

void
pay_wake_look(void)
{
	look = true;
}

bool
pay_wake_uncommitted(void)
{
	return queued_level > 0;
}

/*
 * Behind the commit: the rows are visible to others already.  Nothing here may
 * allocate, raise an error or wait for a lock.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (queued_level == 0 && !extension_changed && !look &&
		settled_buckets == 0)
		return;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE &&
		event != XACT_EVENT_ABORT)
		return;

	if (event == XACT_EVENT_COMMIT)
		PAY_FAULT_QUIET("confirm-committed");
	if (pay_worker_shared != NULL && event != XACT_EVENT_ABORT)
	{
		if (queued_level == 0 && !extension_changed && !look)
			;					/* the worker's own transactions, mostly */
		else if (event == XACT_EVENT_PREPARE)
			pay_worker_knock_prepared(MyDatabaseId);
		else
			pay_worker_knock(MyDatabaseId, hints, hashes, n_hints,
							 loss, extension_changed || look);
		if (extension_changed)
			pay_worker_knock_launcher();
		for (int i = 0; settled_buckets != 0; i++, settled_buckets >>= 1)
			if (settled_buckets & 1)
				ConditionVariableBroadcast(&pay_worker_shared->waiters[i]);
	}
	forget_queued();
	extension_changed = look = false;
	settled_buckets = 0;
}

static void
forget_queued(void)
{
	queued_level = 0;
	n_hints = 0;
	loss = PAY_HINT_NO_LOSS;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	int			level;

	if (queued_level == 0)
		return;

	level = GetCurrentTransactionNestLevel();
	if (event == SUBXACT_EVENT_ABORT_SUB && queued_level >= level)
		forget_queued();
	else if (event == SUBXACT_EVENT_COMMIT_SUB && queued_level >= level)
		queued_level = level - 1;
}

/*
 * CREATE or DROP EXTENSION, whichever it is: the launcher may want to try the
 * databases again that had none of ours, and a worker that has lost its
 * extension should not keep its database from being dropped.
 */
static void
at_object_access(ObjectAccessType access, Oid classId, Oid objectId,
				 int subId, void *arg)
{
	if (next_object_access_hook)
		next_object_access_hook(access, classId, objectId, subId, arg);
	if (classId == ExtensionRelationId &&
		(access == OAT_POST_CREATE || access == OAT_DROP))
		extension_changed = true;
}

/*
 * Those who wait.  Orders share a few condition variables, so a waiter may be
 * woken for another's news; it looks at its order and sleeps again.
 */
static int
bucket_of(const char *order_id)
{
	uint32		hash = hash_bytes((const unsigned char *) order_id,
								  strlen(order_id));

	hash = hash_combine(hash, murmurhash32(MyDatabaseId));
	return hash % PAY_WAITER_BUCKETS;
}

static ConditionVariable *
waiters_of(const char *order_id)
{
	return &pay_worker_shared->waiters[bucket_of(order_id)];
}

void
pay_wake_wait_prepare(const char *order_id)
{
	if (pay_worker_shared != NULL)
		ConditionVariablePrepareToSleep(waiters_of(order_id));
}

bool
pay_wake_wait_sleep(const char *order_id, long timeout_ms)
{
	int			events;

	if (pay_worker_shared != NULL)
		return !ConditionVariableTimedSleep(waiters_of(order_id), timeout_ms,
											pay_wait_event("PaymentsWaitFor"));

	events = WaitLatch(MyLatch,
					   WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					   timeout_ms, pay_wait_event("PaymentsWaitFor"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return (events & WL_LATCH_SET) != 0;
}

int64
pay_wake_wait_until(long timeout_ms)
{
	return pay_clock_ms() + timeout_ms;
}

long
pay_wake_wait_left(int64 end)
{
	return (long) (end - pay_clock_ms());
}

void
pay_wake_wait_cancel(void)
{
	if (pay_worker_shared != NULL)
		ConditionVariableCancelSleep();
}

void
pay_wake_settled(const char *order_id)
{
	if (pay_worker_shared != NULL)
		ConditionVariableBroadcast(waiters_of(order_id));
}

void
pay_wake_settled_at_commit(const char *order_id)
{
	settled_buckets |= UINT64CONST(1) << bucket_of(order_id);
}
