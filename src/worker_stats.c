/*
 * worker_stats.c
 *		Shared memory: what the workers count, and how long things take.
 *
 * A slot's numbers have one writer, so adding is a read and a write, which cost
 * next to nothing; a reader may see one of two numbers that belong together
 * before the other.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "shared_memory.h"
#include "worker_slot.h"
#include "worker_stats.h"

static PayWorkerStats *shared_stats = NULL;

static const char *const histogram_names[] = {
	[PAY_HISTOGRAM_QUEUE_WAIT] = "queue wait",
	[PAY_HISTOGRAM_CONNECT] = "connect",
	[PAY_HISTOGRAM_FIRST_BYTE] = "first byte",
	[PAY_HISTOGRAM_TOTAL] = "total",
	[PAY_HISTOGRAM_SETTLE] = "settle",
	[PAY_HISTOGRAM_COMMIT] = "commit",
};

static void start_memory(void);
static void begin(PayWorkerStats *stats);

void
pay_worker_stats_init(void)
{
	static const PaySharedMemory part = {
		"payments statistics", sizeof(PayWorkerStats) * PAY_WORKER_SLOTS,
		(void **) &shared_stats, start_memory
	};

	if (pay_toss_codes_count > PAY_STATS_CODES)
		elog(ERROR, "there is no room to count %d codes", pay_toss_codes_count);
	pay_shared_memory_add(&part);
}

static void
start_memory(void)
{
	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
		begin(&shared_stats[i]);
}

static void
begin(PayWorkerStats *stats)
{
	for (int i = 0; i < PAY_STATS; i++)
		pg_atomic_init_u64(&stats->counters[i], 0);
	for (int i = 0; i < PAY_HISTOGRAMS; i++)
	{
		for (int b = 0; b < PAY_HISTOGRAM_BUCKETS; b++)
			pg_atomic_init_u64(&stats->histograms[i].buckets[b], 0);
		pg_atomic_init_u64(&stats->histograms[i].sum_us, 0);
	}
}

PayWorkerStats *
pay_worker_stats(int slot_no)
{
	return shared_stats == NULL ? NULL : &shared_stats[slot_no];
}

/* No worker is in the slot yet. */
void
pay_worker_stats_clear(int slot_no)
{
	if (shared_stats != NULL)
		begin(&shared_stats[slot_no]);
}

void
pay_worker_stats_add(PayWorkerStats *stats, int stat, uint64 n)
{
	pg_atomic_uint64 *counter = &stats->counters[stat];

	pg_atomic_write_u64(counter, pg_atomic_read_u64(counter) + n);
}

/* A clock that was set back makes a time negative: that counts as none. */
void
pay_worker_stats_time(PayWorkerStats *stats, PayHistogramKind kind, int64 us)
{
	PayHistogram *histogram = &stats->histograms[kind];
	pg_atomic_uint64 *bucket;
	int			i = 0;

	us = Max(us, 0);
	if (us > 1)
		i = Max(pg_leftmost_one_pos64(us - 1) + 1 - PAY_HISTOGRAM_FIRST, 0);
	bucket = &histogram->buckets[Min(i, PAY_HISTOGRAM_BUCKETS - 1)];
	pg_atomic_write_u64(&histogram->sum_us,
						pg_atomic_read_u64(&histogram->sum_us) + us);
	pg_atomic_write_u64(bucket, pg_atomic_read_u64(bucket) + 1);
}

/* A code that means one thing here and another there is counted as one. */
int
pay_worker_stats_code(const char *code)
{
	for (int i = 0; i < pay_toss_codes_count; i++)
	{
		if (strcmp(pay_toss_codes[i].code, code) == 0)
			return PAY_STAT_CODE + i;
	}
	return PAY_STAT_OTHER_CODE;
}

int64
pay_histogram_limit_us(int bucket)
{
	return bucket == PAY_HISTOGRAM_BUCKETS - 1 ? 0 :
		INT64CONST(1) << (bucket + PAY_HISTOGRAM_FIRST);
}

const char *
pay_histogram_name(PayHistogramKind kind)
{
	return histogram_names[kind];
}
