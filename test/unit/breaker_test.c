/*
 * breaker_test.c
 *		Circuit breakers: by example, and that whatever happens one probe at most
 *		is under way, and nothing else passes while it is open.
 */
#include <stdlib.h>

#include "breaker.h"
#include "tap.h"

static PayBreaker b;

static bool
report(PayBreakerResult result, int64_t now)
{
	return pay_breaker_report(&b, false, false, result, 0, now);
}

static void
open_at(int64_t now)
{
	pay_breaker_init(&b, 0);
	for (int i = 0; i < PAY_BREAKER_IN_A_ROW; i++)
		report(PAY_BREAKER_FAILS, now);
}

static void
test_opening(void)
{
	pay_breaker_init(&b, 0);
	for (int i = 1; i < PAY_BREAKER_IN_A_ROW; i++)
		tap_check(!report(PAY_BREAKER_FAILS, i), "failure %d", i);
	report(PAY_BREAKER_WORKS, 9);
	for (int i = 1; i < PAY_BREAKER_IN_A_ROW; i++)
		tap_check(!report(PAY_BREAKER_FAILS, i) &&
				  pay_breaker_admit(&b, i) == PAY_BREAKER_PASS, "again %d", i);
	report(PAY_BREAKER_SAYS_NOTHING, 9);
	tap_check(report(PAY_BREAKER_FAILS, 10), "the fifth");
	tap_checked("so many failures in a row open it");
	ok(b.state == PAY_BREAKER_OPEN && b.since == 10 && b.probe_at == 1010,
	   "it says since when, and when it looks");

	pay_breaker_init(&b, 0);
	ok(report(PAY_BREAKER_FAILS_AT_ONCE, 5) && b.state == PAY_BREAKER_OPEN,
	   "a refused key opens it at once");

	pay_breaker_init(&b, 0);
	for (int i = 0; i < 9; i++)
		report(PAY_BREAKER_WORKS, 0);
	for (int i = 0; i < 10; i++)
	{
		report(PAY_BREAKER_FAILS, 0);
		if (i % 3 == 2)
			report(PAY_BREAKER_WORKS, 0);
	}
	ok(b.state == PAY_BREAKER_CLOSED, "half of the last twenty do not");
	report(PAY_BREAKER_FAILS, 1);
	report(PAY_BREAKER_FAILS, 1);
	ok(b.state == PAY_BREAKER_OPEN, "more than half do");
}

static void
test_probing(void)
{
	open_at(100);
	ok(pay_breaker_admit(&b, 1099) == PAY_BREAKER_DENY &&
	   pay_breaker_ready_at(&b, 200) == 1100, "nothing passes");
	ok(!report(PAY_BREAKER_WORKS, 200) && b.state == PAY_BREAKER_OPEN,
	   "what was under way does not close it");
	ok(pay_breaker_admit(&b, 1100) == PAY_BREAKER_PROBE &&
	   pay_breaker_admit(&b, 1100) == PAY_BREAKER_DENY, "one probe goes");
	ok(!report(PAY_BREAKER_WORKS, 1200) && b.state == PAY_BREAKER_PROBING,
	   "another's success is not the probe's");
	ok(!pay_breaker_report(&b, true, true, PAY_BREAKER_FAILS, 0, 2000) &&
	   b.probe_at == 4000 && b.since == 100, "a probe that fails: later again");
	pay_breaker_admit(&b, 4000);
	ok(pay_breaker_report(&b, true, true, PAY_BREAKER_WORKS, 0, 4100) &&
	   pay_breaker_admit(&b, 4100) == PAY_BREAKER_PASS && b.since == 4100,
	   "one that succeeds closes it");

	open_at(0);
	for (int i = 0; i < 12; i++)
	{
		int64_t		at = b.probe_at;
		int64_t		delay = 2000;

		for (int j = 0; j < i && delay < 60000; j++)
			delay *= 2;
		pay_breaker_admit(&b, at);
		pay_breaker_report(&b, true, true, PAY_BREAKER_FAILS, 0, at);
		tap_check(b.probe_at - at == (delay < 60000 ? delay : 60000),
				  "probe %d", i);
		at = b.probe_at;
	}
	tap_checked("they come ever more rarely, up to a minute");

	open_at(0);
	pay_breaker_admit(&b, 1000);
	pay_breaker_return(&b, 1000);
	ok(b.state == PAY_BREAKER_OPEN &&
	   pay_breaker_admit(&b, 1250) == PAY_BREAKER_PROBE,
	   "a probe that did not go is not awaited");
	ok(pay_breaker_admit(&b, 1250 + 180000) == PAY_BREAKER_PROBE,
	   "nor one that was lost");
	pay_breaker_report(&b, true, true, PAY_BREAKER_SAYS_NOTHING, 0, 200000);
	ok(b.state == PAY_BREAKER_OPEN && b.probe_at == 201000,
	   "one that says nothing is tried again");
	for (uint32_t chance = 0; chance < 100000; chance += 77)
	{
		pay_breaker_init(&b, 0);
		pay_breaker_report(&b, false, false, PAY_BREAKER_FAILS_AT_ONCE, chance, 0);
		tap_check(b.probe_at >= 1000 && b.probe_at <= 1250, "%u", chance);
	}
	tap_checked("chance makes them a fourth later at most");
}

/* The next probe, when it is its time, ends so.  Returns how it was let go. */
static PayBreakerAdmission
probe(bool is_query, PayBreakerResult result)
{
	int64_t		now = b.probe_at;
	PayBreakerAdmission admission = pay_breaker_admit(&b, now);

	pay_breaker_report(&b, true, is_query, result, 0, now);
	return admission;
}

/* Queries are out of order, and calls are not: nobody waits for ever. */
static void
test_queries_out_of_order(void)
{
	open_at(0);
	for (int i = 0; i < PAY_BREAKER_QUERIES; i++)
		tap_check(probe(true, PAY_BREAKER_ERRS) == PAY_BREAKER_PROBE, "query %d", i);
	tap_check(b.probe_at == 63000, "after a minute, %d", (int) b.probe_at);
	for (int i = 1; i <= 30; i++)
		tap_check(probe(true, PAY_BREAKER_ERRS) == PAY_BREAKER_PROBE_AS_IS &&
				  b.probe_at == 63000 + i * 1000, "as it is, %d", i);
	tap_checked("then one goes as it is, each second, until that is a call");
	tap_check(probe(false, PAY_BREAKER_ERRS) == PAY_BREAKER_PROBE_AS_IS &&
			  b.probe_at >= 93000 + 60000, "a minute behind a call");
	for (int i = 0; i < 20; i++)
		tap_check(probe(true, PAY_BREAKER_ERRS) == PAY_BREAKER_PROBE &&
				  probe(false, PAY_BREAKER_ERRS) == PAY_BREAKER_PROBE_AS_IS,
				  "round %d", i);
	tap_checked("queries answered with errors: every other probe is a call");
	probe(true, PAY_BREAKER_ERRS);
	ok(probe(false, PAY_BREAKER_WORKS) == PAY_BREAKER_PROBE_AS_IS &&
	   b.state == PAY_BREAKER_CLOSED, "one that works closes it");

	for (int i = 0; i < 100; i++)
		tap_check(!pay_breaker_report(&b, false, true, i % 2 ? PAY_BREAKER_ERRS : PAY_BREAKER_FAILS, 0, i) &&
				  (i % 30 != 29 || !report(PAY_BREAKER_WORKS, i)), "%d", i);
	tap_checked("then queries that fail do not open it");
	report(PAY_BREAKER_FAILS, 200);
	for (int i = 2; i < PAY_BREAKER_IN_A_ROW; i++)
		tap_check(!pay_breaker_report(&b, false, true, PAY_BREAKER_FAILS, 0, 200), "%d", i);
	ok(pay_breaker_report(&b, false, true, PAY_BREAKER_FAILS, 0, 200),
	   "until a call fails");

	pay_breaker_init(&b, 0);
	report(PAY_BREAKER_WORKS, 0);
	ok(pay_breaker_report(&b, false, true, PAY_BREAKER_FAILS_AT_ONCE, 0, 0),
	   "a refused key opens it whatever worked");
	for (int i = 0; i < 50; i++)
		tap_check(probe(true, PAY_BREAKER_FAILS_AT_ONCE) == PAY_BREAKER_PROBE, "refused key, %d", i);
	open_at(0);
	for (int i = 0; i < 50; i++)
		tap_check(probe(true, PAY_BREAKER_FAILS) == PAY_BREAKER_PROBE, "no answer, %d", i);
	for (int i = 0; i < 50; i++)
		tap_check(probe(true, i % PAY_BREAKER_QUERIES == 4 ? PAY_BREAKER_FAILS : PAY_BREAKER_ERRS) == PAY_BREAKER_PROBE,
				  "not in a row, %d", i);
	for (int i = 0; i < 50; i++)
		tap_check(probe(true, PAY_BREAKER_SAYS_NOTHING) == PAY_BREAKER_PROBE, "nothing, %d", i);
	tap_checked("without an answer, and with a refused key, nothing but queries goes");

	probe(true, PAY_BREAKER_WORKS);
	for (int i = 1; i < PAY_BREAKER_IN_A_ROW; i++)
		pay_breaker_report(&b, false, true, PAY_BREAKER_ERRS, 0, 0);
	ok(pay_breaker_report(&b, false, true, PAY_BREAKER_ERRS, 0, 0) && b.erring == 0,
	   "where no call has worked queries open it");
}

static void
test_model(unsigned int seed)
{
	int64_t		now = 0;
	int			under_way = 0;	/* probes */

	pay_breaker_init(&b, 0);
	for (int i = 0; i < 5000; i++)
	{
		PayBreakerResult result = rand_r(&seed) % 4 == 0 ?
			PAY_BREAKER_WORKS : rand_r(&seed) % 4 == 0 ?
			PAY_BREAKER_FAILS : PAY_BREAKER_ERRS;
		bool		was_open = b.state != PAY_BREAKER_CLOSED;

		now += rand_r(&seed) % 3000;
		switch (rand_r(&seed) % 4)
		{
			case 0:
			case 1:
				switch (pay_breaker_admit(&b, now))
				{
					case PAY_BREAKER_PASS:
						tap_check(!was_open, "it passed");
						break;
					case PAY_BREAKER_PROBE_AS_IS:
						tap_check(b.erring >= PAY_BREAKER_QUERIES, "a call is tried for nothing");
						/* FALLTHROUGH */
					case PAY_BREAKER_PROBE:
						tap_check(was_open, "a probe of a closed one");
						under_way++;
						break;
					case PAY_BREAKER_DENY:
						tap_check(was_open && pay_breaker_ready_at(&b, now) > now,
								  "denied for no reason");
				}
				break;
			case 2:
				report(result, now);
				tap_check(!was_open || b.state != PAY_BREAKER_CLOSED,
						  "closed without a probe");
				break;
			case 3:
				if (under_way == 0)
					break;
				under_way--;
				pay_breaker_report(&b, true, true, result, rand_r(&seed), now);
		}
		tap_check(under_way <= 1 || b.state != PAY_BREAKER_OPEN || now > 180000,
				  "two probes");
	}
}

int
main(void)
{
	test_opening();
	test_probing();
	test_queries_out_of_order();
	for (unsigned int seed = 1; seed <= 50; seed++)
		test_model(seed);
	tap_checked("nothing but probes passes an open one");
	ok(same_text(pay_breaker_state_name(PAY_BREAKER_PROBING), "probing") &&
	   same_text(pay_breaker_state_name((PayBreakerState) 9), "unknown"),
	   "states have names");
	return tap_end();
}
