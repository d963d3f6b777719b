/*
 * worker_stats.h
 *		Shared memory: what the workers count, and how long things take.
 *
 * One struct for each slot (worker_slot.h), written by the one worker in it and
 * read by whoever asks, without a lock: each number is an atomic of its own.
 * Everything begins at zero when the server starts.
 */
#ifndef PAY_WORKER_STATS_H
#define PAY_WORKER_STATS_H

#include "postgres.h"

#include "port/atomics.h"

#include "resolution.h"
#include "toss.h"

/* Room for Toss's codes, by their first place in pay_toss_codes. */
#define PAY_STATS_CODES		160

typedef enum PayStat
{
	PAY_STAT_MEANING,			/* and on: results by PayTossMeaning */
	PAY_STAT_ACTION = PAY_STAT_MEANING + PAY_MEANS_LAPSED + 1,
	/* and on: results by PayAction; those that were not followed: */
	PAY_STAT_LATE = PAY_STAT_ACTION + PAY_ACTION_GIVE_UP + 1,
	PAY_STAT_QUARANTINE,
	PAY_STAT_SUSPECT,			/* a 2xx that is not what we asked for */
	PAY_STAT_CONNECTED,			/* answers on a new connection */
	PAY_STAT_REUSED,			/* and on one that was kept */
	PAY_STAT_TURN,
	PAY_STAT_TURN_FAILED,
	PAY_STAT_HINT_TAKEN,		/* of new calls */
	PAY_STAT_HINT_LOST,			/* for want of room: found in the table */
	PAY_STAT_CODE,				/* and on: errors by place of their code */
	PAY_STAT_OTHER_CODE = PAY_STAT_CODE + PAY_STATS_CODES,
	PAY_STATS
} PayStat;

typedef enum PayHistogramKind
{
	PAY_HISTOGRAM_QUEUE_WAIT,	/* due until claimed */
	PAY_HISTOGRAM_CONNECT,		/* of those that made a connection */
	PAY_HISTOGRAM_FIRST_BYTE,
	PAY_HISTOGRAM_TOTAL,
	PAY_HISTOGRAM_SETTLE,		/* answered until saved and committed */
	PAY_HISTOGRAM_COMMIT,		/* the commit of a turn alone */
	PAY_HISTOGRAMS
} PayHistogramKind;

/*
 * Bucket i counts what took at most 2^(i + 4) microseconds, and longer than
 * the bucket before: 16 us to 18 minutes.  The last one counts the rest.
 */
#define PAY_HISTOGRAM_FIRST		4
#define PAY_HISTOGRAM_BUCKETS	28

typedef struct PayHistogram
{
	pg_atomic_uint64 buckets[PAY_HISTOGRAM_BUCKETS];
	pg_atomic_uint64 sum_us;
} PayHistogram;

typedef struct PayWorkerStats
{
	pg_atomic_uint64 counters[PAY_STATS];
	PayHistogram histograms[PAY_HISTOGRAMS];
} PayWorkerStats;

/* Ask for the memory; only while preloading. */
extern void pay_worker_stats_init(void);

/* Those of a slot; NULL when the library was not preloaded. */
extern PayWorkerStats *pay_worker_stats(int slot_no);

/* The launcher: the slot is given to another database. */
extern void pay_worker_stats_clear(int slot_no);

/* The worker: count n more; note how long something took. */
extern void pay_worker_stats_add(PayWorkerStats *stats, int stat, uint64 n);
extern void pay_worker_stats_time(PayWorkerStats *stats,
								  PayHistogramKind kind, int64 us);

/* The counter of a code of Toss's. */
extern int	pay_worker_stats_code(const char *code);

/* The largest time that a bucket counts, in microseconds; 0: no limit. */
extern int64 pay_histogram_limit_us(int bucket);

extern const char *pay_histogram_name(PayHistogramKind kind);

#endif							/* PAY_WORKER_STATS_H */
