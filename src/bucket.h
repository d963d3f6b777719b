/*
 * bucket.h
 *		A token bucket: how often something may happen, and how much of it at
 *		once.
 *
 * Pure arithmetic with integers: a token is 60,000 parts, so a rate of one token
 * a minute is one part a millisecond.  Times are milliseconds of a clock that
 * nobody can set, and are passed in.
 * test/unit/bucket_test.c
 */
#ifndef PAY_BUCKET_H
#define PAY_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define PAY_BUCKET_MAX_RATE		INT64_C(6000000)
#define PAY_BUCKET_MAX_BURST	INT64_C(1000000)

typedef struct PayBucket
{
	int64_t		rate;			/* tokens a minute; 0: no limit */
	int64_t		burst;			/* tokens that it holds, 1 at least */
	int64_t		level;			/* parts that are in it */
	int64_t		filled_at;		/* up to when they were counted */
	int64_t		paused_until;	/* somebody asked us to wait */
	int			pauses;			/* in a row, that came without a time */
} PayBucket;

/* A new one is half full: whoever was before us may have emptied it. */
extern void pay_bucket_init(PayBucket *bucket, int64_t now);

/*
 * Another rate or burst.  What is in it stays, as far as there is room; one that
 * had no limit begins half full.
 */
extern void pay_bucket_set(PayBucket *bucket, int64_t rate, int64_t burst,
						   int64_t now);

/* When a token can be taken: now or earlier means now. */
extern int64_t pay_bucket_ready_at(const PayBucket *bucket, int64_t now);

/* Take one, if one is ready; or give one back that was not used. */
extern bool pay_bucket_take(PayBucket *bucket, int64_t now);
extern void pay_bucket_return(PayBucket *bucket, int64_t now);

/*
 * The other side asks us to wait: so many milliseconds, or, when it does not say
 * (-1), ever longer until it takes something (pay_bucket_accepted).  A pause is
 * never made shorter, unless a person ends it.
 */
extern void pay_bucket_pause(PayBucket *bucket, int64_t wait, int64_t now);
extern void pay_bucket_accepted(PayBucket *bucket);
extern void pay_bucket_resume(PayBucket *bucket);

/* Whole tokens in it; -1 when it has no limit. */
extern int64_t pay_bucket_tokens(const PayBucket *bucket, int64_t now);

#endif							/* PAY_BUCKET_H */
