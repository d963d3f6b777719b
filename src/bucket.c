/*
 * bucket.c
 *		A token bucket: how often something may happen, and how much of it at
 *		once.
 *
 * What is in a bucket is counted when somebody looks.  Between two looks it can
 * only become full, so the time that counts is no longer than filling it takes,
 * and no product overflows.
 */
#include "bucket.h"

#define PARTS			INT64_C(60000)	/* of a token */
#define FIRST_PAUSE		1000	/* ms */
#define LAST_PAUSE		60000
#define MAX_WAIT		INT64_C(300000) /* whatever somebody asks for */

static int64_t capacity(const PayBucket *bucket);
static int64_t level_at(const PayBucket *bucket, int64_t now);

void
pay_bucket_init(PayBucket *bucket, int64_t now)
{
	bucket->rate = 0;
	bucket->burst = 1;
	bucket->level = 0;
	bucket->filled_at = now;
	bucket->paused_until = 0;
	bucket->pauses = 0;
}

void
pay_bucket_set(PayBucket *bucket, int64_t rate, int64_t burst, int64_t now)
{
	bool		is_new = bucket->rate == 0;

	if (rate < 0)
		rate = 0;
	if (rate > PAY_BUCKET_MAX_RATE)
		rate = PAY_BUCKET_MAX_RATE;
	if (burst < 1)
		burst = 1;
	if (burst > PAY_BUCKET_MAX_BURST)
		burst = PAY_BUCKET_MAX_BURST;
	if (rate == bucket->rate && burst == bucket->burst)
		return;

	bucket->level = level_at(bucket, now);
	bucket->filled_at = now;
	bucket->rate = rate;
	bucket->burst = burst;
	if (is_new)
		bucket->level = (burst + 1) / 2 * PARTS;
	if (bucket->level > capacity(bucket))
		bucket->level = capacity(bucket);
}

static int64_t
capacity(const PayBucket *bucket)
{
	return bucket->burst * PARTS;
}

static int64_t
level_at(const PayBucket *bucket, int64_t now)
{
	int64_t		room = capacity(bucket) - bucket->level;
	int64_t		passed = now - bucket->filled_at;

	if (bucket->rate == 0 || room <= 0 || passed <= 0)
		return bucket->level;
	if (passed > room / bucket->rate)
		return capacity(bucket);
	return bucket->level + passed * bucket->rate;
}

int64_t
pay_bucket_ready_at(const PayBucket *bucket, int64_t now)
{
	int64_t		at = now;

	if (bucket->rate > 0)
	{
		int64_t		missing = PARTS - level_at(bucket, now);

		if (missing > 0)
			at = now + (missing + bucket->rate - 1) / bucket->rate;
	}
	return at > bucket->paused_until ? at : bucket->paused_until;
}

bool
pay_bucket_take(PayBucket *bucket, int64_t now)
{
	if (pay_bucket_ready_at(bucket, now) > now)
		return false;
	if (bucket->rate > 0)
	{
		bucket->level = level_at(bucket, now) - PARTS;
		bucket->filled_at = now;
	}
	return true;
}

void
pay_bucket_return(PayBucket *bucket, int64_t now)
{
	if (bucket->rate == 0)
		return;
	bucket->level = level_at(bucket, now) + PARTS;
	bucket->filled_at = now;
	if (bucket->level > capacity(bucket))
		bucket->level = capacity(bucket);
}

void
pay_bucket_pause(PayBucket *bucket, int64_t wait, int64_t now)
{
	if (wait < 0)
	{
		wait = FIRST_PAUSE;
		for (int i = 0; i < bucket->pauses && wait < LAST_PAUSE; i++)
			wait *= 2;
		if (wait > LAST_PAUSE)
			wait = LAST_PAUSE;
		bucket->pauses++;
	}
	if (wait > MAX_WAIT)
		wait = MAX_WAIT;
	if (now + wait > bucket->paused_until)
		bucket->paused_until = now + wait;
}

void
pay_bucket_accepted(PayBucket *bucket)
{
	bucket->pauses = 0;
}

void
pay_bucket_resume(PayBucket *bucket)
{
	bucket->paused_until = 0;
	bucket->pauses = 0;
}

int64_t
pay_bucket_tokens(const PayBucket *bucket, int64_t now)
{
	return bucket->rate == 0 ? -1 : level_at(bucket, now) / PARTS;
}
