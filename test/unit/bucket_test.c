/*
 * bucket_test.c
 *		Token buckets: by example, and that over any time no more is taken than
 *		the rate and the burst allow, and no less than the rate when asked for.
 */
#include <stdlib.h>

#include "bucket.h"
#include "tap.h"

static PayBucket b;

static void
start(int64_t rate, int64_t burst, int64_t now)
{
	pay_bucket_init(&b, now);
	pay_bucket_set(&b, rate, burst, now);
}

static int
take_all(int64_t now)
{
	int			n = 0;

	while (n < 100000 && pay_bucket_take(&b, now))
		n++;
	return n;
}

static void
test_examples(void)
{
	start(0, 1, 5);
	ok(take_all(5) == 100000 && pay_bucket_tokens(&b, 5) == -1 &&
	   pay_bucket_ready_at(&b, 5) == 5, "without a rate there is no limit");

	start(60, 10, 1000);
	ok(take_all(1000) == 5, "a new bucket is half full");
	ok(pay_bucket_ready_at(&b, 1000) == 2000, "and says when the next comes");
	ok(take_all(1999) == 0 && take_all(2000) == 1, "not earlier, not later");
	ok(take_all(1000000) == 10, "it holds no more than the burst");
	ok(take_all(500) == 0, "a clock that went backwards gives nothing");

	start(1, 1, 0);
	ok(take_all(0) == 1 && pay_bucket_ready_at(&b, 0) == 60000,
	   "the smallest one lets one go a minute");
	pay_bucket_return(&b, 10);
	ok(take_all(10) == 1, "what was not used is given back");
	pay_bucket_return(&b, 10);
	pay_bucket_return(&b, 10);
	ok(take_all(10) == 1, "but it does not run over");

	start(PAY_BUCKET_MAX_RATE, PAY_BUCKET_MAX_BURST, 0);
	take_all(0);
	ok(pay_bucket_tokens(&b, INT64_MAX) == PAY_BUCKET_MAX_BURST,
	   "the largest numbers do not overflow");
	start(INT64_MAX, INT64_MAX, 0);
	ok(b.rate == PAY_BUCKET_MAX_RATE && b.burst == PAY_BUCKET_MAX_BURST,
	   "nor do larger ones");
	start(-1, -1, 0);
	ok(b.rate == 0 && b.burst == 1, "nor negative ones");
}

static void
test_changes(void)
{
	start(60, 10, 0);
	take_all(0);
	pay_bucket_set(&b, 6000, 10, 0);
	ok(take_all(10) == 1, "a new rate counts from now on");
	pay_bucket_set(&b, 6000, 100, 10);
	ok(take_all(10) == 0, "a greater burst gives nothing by itself");
	ok(take_all(1000000) == 100, "but it is there later");
	pay_bucket_set(&b, 6000, 100, 2000000);
	pay_bucket_set(&b, 6000, 3, 2000000);
	ok(take_all(2000000) == 3, "a smaller one takes away");
	pay_bucket_set(&b, 0, 1, 2000000);
	ok(take_all(2000000) == 100000, "no limit again");
}

static void
test_pauses(void)
{
	start(0, 1, 0);
	pay_bucket_pause(&b, 7000, 100);
	ok(take_all(7099) == 0 && pay_bucket_ready_at(&b, 100) == 7100 &&
	   take_all(7100) == 100000, "a pause is kept, without a limit too");
	pay_bucket_pause(&b, 9000, 10000);
	pay_bucket_pause(&b, 1000, 10000);
	ok(pay_bucket_ready_at(&b, 10000) == 19000, "and not made shorter");
	pay_bucket_pause(&b, INT64_MAX, 20000);
	ok(pay_bucket_ready_at(&b, 20000) == 320000, "nor longer than five minutes");

	start(0, 1, 0);
	for (int64_t i = 0, now = 0, wait = 1000; i < 10; i++)
	{
		pay_bucket_pause(&b, -1, now);
		tap_check(b.paused_until == now + wait, "pause %d", (int) i);
		now = b.paused_until;
		wait = wait * 2 < 60000 ? wait * 2 : 60000;
	}
	tap_checked("without a time it waits ever longer, up to a minute");
	pay_bucket_accepted(&b);
	pay_bucket_pause(&b, -1, 10000000);
	ok(b.paused_until == 10001000, "and begins anew after an answer");
	pay_bucket_pause(&b, -1, 10000000);
	pay_bucket_resume(&b);
	ok(pay_bucket_ready_at(&b, 10000000) == 10000000, "a person ends it");
	pay_bucket_pause(&b, -1, 10000000);
	ok(b.paused_until == 10001000, "and the next one is the first again");
}

/* What was taken between any two times, against the rate */
static void
test_model(unsigned int seed)
{
	int64_t		rate = 1 + rand_r(&seed) % 10000;
	int64_t		burst = 1 + rand_r(&seed) % 50;
	int64_t		now = rand_r(&seed);
	int64_t		began = now;
	int64_t		taken = 0;

	start(rate, burst, now);
	for (int i = 0; i < 2000; i++)
	{
		int64_t		ready = pay_bucket_ready_at(&b, now);

		if (rand_r(&seed) % 2)
			now += rand_r(&seed) % 100;
		else
			now = ready;
		if (pay_bucket_take(&b, now))
			taken++;
		else
			tap_check(pay_bucket_ready_at(&b, now) > now, "it says when");
		tap_check(taken * 60000 <= burst * 60000 + (now - began) * rate,
				  "seed: too many at %d", i);
	}
	taken = take_all(now);
	began = now;
	taken = 0;
	while (now < began + 600000)
	{
		now = pay_bucket_ready_at(&b, now);
		taken += take_all(now);
	}
	tap_check(taken * 60000 >= (now - began - 60000) * rate - 60000 * taken / 1000 - 60000,
			  "too few");
}

int
main(void)
{
	test_examples();
	test_changes();
	test_pauses();
	for (unsigned int seed = 1; seed <= 50; seed++)
		test_model(seed);
	tap_checked("the rate and the burst are kept");
	return tap_end();
}
