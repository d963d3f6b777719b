/*
 * deposit_plan_test.c
 *		An account is asked about soon at first, seldom later, and in time when
 *		it closes; and a week costs no more than it should.
 */
#include "deposit_plan.h"
#include "tap.h"

#define MINUTE	PAY_DEPOSIT_MINUTE
#define HOUR	PAY_DEPOSIT_HOUR

static void
test_stages(void)
{
	static const struct
	{
		int64_t		age;
		int64_t		due_in;
		int64_t		wait;
	}			rows[] = {
		{0, INT64_MAX, 5 * MINUTE},
		{HOUR - 1, INT64_MAX, 5 * MINUTE},
		{HOUR, INT64_MAX, 15 * MINUTE},
		{6 * HOUR, INT64_MAX, 30 * MINUTE},
		{24 * HOUR, INT64_MAX, 2 * HOUR},
		{10000 * HOUR, INT64_MAX, 2 * HOUR},
		{0, 168 * HOUR, 5 * MINUTE},
		{0, 3 * MINUTE, 4 * MINUTE},
		{24 * HOUR, 30 * MINUTE, 31 * MINUTE},
		{24 * HOUR, 0, MINUTE},
		{24 * HOUR, -MINUTE + 1, 1},
		{24 * HOUR, -MINUTE, 5 * MINUTE},
		{24 * HOUR, -HOUR, 30 * MINUTE},
		{24 * HOUR, -25 * HOUR, 2 * HOUR},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		int64_t		wait = pay_deposit_plan_wait(rows[i].age, rows[i].due_in);

		tap_check(wait == rows[i].wait, "row %zu: %lld s", i, (long long) (wait / PAY_DEPOSIT_SECOND));
	}
	tap_checked("stages");
}

/* How often an account is asked about until it is closed, and how late that is. */
static void
test_cost(void)
{
	static const int64_t lives[] = {HOUR, 24 * HOUR, 168 * HOUR, 720 * HOUR};
	static const int most[] = {14, 72, 145, 425};

	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
	{
		int64_t		age = 0;
		int			n = 0;

		while (age < lives[i] + PAY_DEPOSIT_MARGIN)
		{
			int64_t		wait = pay_deposit_plan_wait(age, lives[i] - age);

			tap_check(wait > 0 && wait <= PAY_DEPOSIT_LONGEST, "at %lld", (long long) age);
			age += wait;
			n++;
		}
		tap_check(age == lives[i] + PAY_DEPOSIT_MARGIN, "life %zu: closed at %lld", i, (long long) age);
		tap_check(n <= most[i], "life %zu: %d questions", i, n);
	}
	tap_checked("what it costs");
}

int
main(void)
{
	test_stages();
	test_cost();
	return tap_end();
}
