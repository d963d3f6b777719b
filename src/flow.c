/*
 * flow.c
 *		Shared memory: how much may be sent for a merchant now.
 *
 * One spinlock guards it all; under it there is arithmetic, and a search of the
 * table when this process does not know, or does not know any more, where a
 * merchant's entry is.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "clock.h"
#include "flow.h"
#include "shared_memory.h"

/* Milliseconds */
#define OWN_DELAY		1000	/* this worker's own answers make room earlier */
#define OTHERS_DELAY	50		/* others' nobody tells it about */
#define PROBE_DELAY		250		/* nor what came of their probes */
#define PROMISE			150		/* who does not come back gave it up */
#define STARVED_GRACE	5000	/* without a call that had to wait */

#define HINTS	1024			/* a power of two */

typedef struct Flows
{
	slock_t		mutex;
	pg_atomic_uint32 resumed;	/* how often somebody did that */
	PayFlow		entries[PAY_FLOW_ENTRIES];
} Flows;

static Flows *shared = NULL;
static int16 hints[HINTS];		/* where a merchant's entry was last */

static void start_memory(void);
static PayFlow *find(const PayFlowOf *of);
static PayFlow *make(const PayFlowOf *of, int64 now);
static bool is_idle(const PayFlow *flow, int64 now);
static PayFlowWord admit(PayFlow *flow, const PayFlowOf *of,
						 const PayFlowLimits *limits, int64 now,
						 int64 *again_at);
static bool has_place(PayFlow *flow, int slot_no, int max, int64 now);
static void note_starving(PayFlow *flow, int64 ready_at, int64 now);

void
pay_flow_init(void)
{
	static const PaySharedMemory part = {
		"payments flow", sizeof(Flows), (void **) &shared, start_memory
	};

	pay_shared_memory_add(&part);
}

static void
start_memory(void)
{
	SpinLockInit(&shared->mutex);
	pg_atomic_init_u32(&shared->resumed, 0);
}

void
pay_flow_clear(int slot_no)
{
	int64		now = pay_clock_ms();

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < PAY_FLOW_ENTRIES; i++)
	{
		PayFlow    *flow = &shared->entries[i];

		flow->in_flight[slot_no] = 0;
		if (flow->dboid != InvalidOid && flow->probe_slot == slot_no)
			pay_breaker_return(&flow->breaker, now);
	}
	SpinLockRelease(&shared->mutex);
}

PayFlowWord
pay_flow_admit(const PayFlowOf *of, const PayFlowLimits *limits, uint64 key,
			   int64 now, int64 *again_at)
{
	PayFlowWord word = PAY_FLOW_WAIT;
	PayFlow    *flow;

	*again_at = now + OTHERS_DELAY;
	SpinLockAcquire(&shared->mutex);
	flow = find(of);
	if (flow == NULL)
		flow = make(of, now);
	if (flow != NULL)
	{
		flow->used_at = now;
		if (flow->key != key)
			pay_breaker_init(&flow->breaker, now);
		flow->key = key;
		pay_bucket_set(&flow->bucket, limits->calls_per_minute,
					   limits->burst > 0 ? limits->burst :
					   Max(limits->calls_per_minute / 60, 1), now);
		word = admit(flow, of, limits, now, again_at);
	}
	SpinLockRelease(&shared->mutex);
	return word;
}

/* The wire, then the bucket, and last the breaker, which remembers its probe. */
static PayFlowWord
admit(PayFlow *flow, const PayFlowOf *of, const PayFlowLimits *limits,
	  int64 now, int64 *again_at)
{
	int64		ready_at = pay_bucket_ready_at(&flow->bucket, now);
	PayBreakerAdmission admission;

	if (limits->max_in_flight > 0 &&
		!has_place(flow, of->slot_no, limits->max_in_flight, now))
	{
		*again_at = now + (flow->in_flight[of->slot_no] > 0 ?
						   OWN_DELAY : OTHERS_DELAY);
		return PAY_FLOW_WAIT;
	}
	if (pay_breaker_ready_at(&flow->breaker, now) > now)
	{
		*again_at = pay_breaker_ready_at(&flow->breaker, now);
		if (flow->breaker.state == PAY_BREAKER_PROBING &&
			flow->probe_slot != of->slot_no)
			*again_at = now + PROBE_DELAY;
		return PAY_FLOW_WAIT;
	}
	note_starving(flow, ready_at, now);
	if (!pay_bucket_take(&flow->bucket, now))
	{
		*again_at = ready_at;
		return PAY_FLOW_WAIT;
	}
	flow->in_flight[of->slot_no]++;
	admission = pay_breaker_admit(&flow->breaker, now);
	if (admission == PAY_BREAKER_PASS)
		return PAY_FLOW_GO;
	flow->probe_slot = of->slot_no;
	return admission == PAY_BREAKER_PROBE ? PAY_FLOW_PROBE : PAY_FLOW_PROBE_AS_IS;
}

/*
 * Is there a place on the wire for this worker?  Several share them.  One that has
 * calls waiting would take each place that it gives back at once, and leave none
 * for the others, whom nobody tells; so the last free one is promised to who was
 * refused and has fewer.  test/t/060_shards_flow.pl
 */
static bool
has_place(PayFlow *flow, int slot_no, int max, int64 now)
{
	int			places = max - pay_flow_in_flight(flow);
	int			own = flow->in_flight[slot_no];
	bool		is_promised = now < flow->promised_until;
	int			other = flow->promised_to;

	if (places > 1 || (places == 1 &&
					   (!is_promised || other == slot_no ||
						flow->in_flight[other] > own)))
	{
		if (other == slot_no)
			flow->promised_until = 0;
		return true;
	}
	if (!is_promised || other == slot_no || flow->in_flight[other] > own)
	{
		flow->promised_to = slot_no;
		flow->promised_until = now + PROMISE;
	}
	return false;
}

/*
 * A bucket starves its merchant from the first call that has to wait, until none
 * has had to for a while.
 */
static void
note_starving(PayFlow *flow, int64 ready_at, int64 now)
{
	if (flow->starved_since != 0 && now > flow->starved_until)
		flow->starved_since = 0;
	if (ready_at <= now)
		return;
	if (flow->starved_since == 0)
		flow->starved_since = now;
	flow->starved_until = ready_at + STARVED_GRACE;
}

void
pay_flow_return(const PayFlowOf *of, bool is_probe, int64 now)
{
	PayFlow    *flow;

	SpinLockAcquire(&shared->mutex);
	flow = find(of);
	if (flow != NULL)
	{
		if (flow->in_flight[of->slot_no] > 0)
			flow->in_flight[of->slot_no]--;
		pay_bucket_return(&flow->bucket, now);
		if (is_probe)
			pay_breaker_return(&flow->breaker, now);
	}
	SpinLockRelease(&shared->mutex);
}

bool
pay_flow_report(const PayFlowOf *of, bool is_probe, bool is_query,
				PayBreakerResult result, int64 pause, int64 now, PayFlow *copy)
{
	uint32		chance = pg_prng_uint32(&pg_global_prng_state);
	bool		changed = false;
	PayFlow    *flow;

	SpinLockAcquire(&shared->mutex);
	flow = find(of);
	if (flow != NULL)
	{
		if (flow->in_flight[of->slot_no] > 0)
			flow->in_flight[of->slot_no]--;
		if (pause != 0)
		{
			pay_bucket_pause(&flow->bucket, pause, now);
			flow->throttled++;
		}
		else if (result == PAY_BREAKER_WORKS)
			pay_bucket_accepted(&flow->bucket);
		changed = pay_breaker_report(&flow->breaker, is_probe, is_query, result,
									 chance, now);
		if (changed && flow->breaker.state == PAY_BREAKER_OPEN)
			flow->opened++;
		*copy = *flow;
	}
	SpinLockRelease(&shared->mutex);
	return changed;
}

void
pay_flow_resume(Oid dboid, int64 merchant_id, int64 now)
{
	PayFlowOf	of = {-1, dboid, merchant_id};
	PayFlow    *flow;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	flow = find(&of);
	if (flow != NULL)
	{
		if (flow->breaker.state != PAY_BREAKER_CLOSED)
			pay_breaker_init(&flow->breaker, now);
		pay_bucket_resume(&flow->bucket);
	}
	SpinLockRelease(&shared->mutex);
	pg_atomic_fetch_add_u32(&shared->resumed, 1);
}

uint32
pay_flow_resumed(void)
{
	return pg_atomic_read_u32(&shared->resumed);
}

bool
pay_flow_is_held(Oid dboid, int64 merchant_id, int64 now, PayFlow *copy)
{
	PayFlowOf	of = {-1, dboid, merchant_id};
	PayFlow    *flow;

	if (shared == NULL)
		return false;
	SpinLockAcquire(&shared->mutex);
	flow = find(&of);
	if (flow != NULL)
		*copy = *flow;
	SpinLockRelease(&shared->mutex);
	return flow != NULL &&
		(copy->breaker.state != PAY_BREAKER_CLOSED ||
		 copy->bucket.paused_until > now);
}

/*
 * Entries; under the lock
 */

static PayFlow *
find(const PayFlowOf *of)
{
	int16	   *hint = &hints[of->merchant_id & (HINTS - 1)];
	PayFlow    *flow = &shared->entries[*hint];

	if (flow->dboid == of->dboid && flow->merchant_id == of->merchant_id)
		return flow;
	for (int i = 0; i < PAY_FLOW_ENTRIES; i++)
	{
		flow = &shared->entries[i];
		if (flow->dboid == of->dboid && flow->merchant_id == of->merchant_id)
		{
			*hint = (int16) i;
			return flow;
		}
	}
	return NULL;
}

/* A free entry, or the one that was not used for the longest time; or NULL */
static PayFlow *
make(const PayFlowOf *of, int64 now)
{
	PayFlow    *best = NULL;

	for (int i = 0; i < PAY_FLOW_ENTRIES; i++)
	{
		PayFlow    *flow = &shared->entries[i];

		if (flow->dboid != InvalidOid && !is_idle(flow, now))
			continue;
		if (best == NULL || flow->used_at < best->used_at)
			best = flow;
	}
	if (best == NULL)
		return NULL;
	memset(best, 0, sizeof(PayFlow));
	best->dboid = of->dboid;
	best->merchant_id = of->merchant_id;
	pay_bucket_init(&best->bucket, now);
	pay_breaker_init(&best->breaker, now);
	return best;
}

/* Does a new entry say as much as this one? */
static bool
is_idle(const PayFlow *flow, int64 now)
{
	return pay_flow_in_flight(flow) == 0 &&
		flow->breaker.state == PAY_BREAKER_CLOSED &&
		flow->bucket.paused_until <= now &&
		pay_bucket_tokens(&flow->bucket, now) * 2 >=
		(flow->bucket.rate > 0 ? flow->bucket.burst : -2);
}

bool
pay_flow_read(int n, Oid dboid, PayFlow *copy)
{
	if (shared == NULL)
		return false;
	SpinLockAcquire(&shared->mutex);
	*copy = shared->entries[n];
	SpinLockRelease(&shared->mutex);
	return copy->dboid != InvalidOid && copy->dboid == dboid;
}

int
pay_flow_in_flight(const PayFlow *flow)
{
	int			n = 0;

	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
		n += flow->in_flight[i];
	return n;
}
