/*
 * deposit_plan.c
 *		When to ask about a virtual account the next time.
 *
 * Toss tells of a deposit by itself, as a rule (webhook.c), and most who pay do
 * so soon.  Asking makes up for what it did not tell, and costs one request for
 * each row of time here: about 140 of them for an account that is open for a
 * week.  When its due date has passed Toss tells nothing: then it is asked.
 *
 * test/unit/deposit_plan_test.c
 */
#include "deposit_plan.h"

#include <stddef.h>

typedef struct Stage
{
	int64_t		until;			/* this age */
	int64_t		gap;			/* between two questions */
} Stage;

static const Stage waiting[] = {
	{1 * PAY_DEPOSIT_HOUR, 5 * PAY_DEPOSIT_MINUTE},
	{6 * PAY_DEPOSIT_HOUR, 15 * PAY_DEPOSIT_MINUTE},
	{24 * PAY_DEPOSIT_HOUR, 30 * PAY_DEPOSIT_MINUTE},
	{INT64_MAX, PAY_DEPOSIT_LONGEST},
};

/* Past its due date, and Toss does not say yet that it is closed */
static const Stage overdue[] = {
	{1 * PAY_DEPOSIT_HOUR, 5 * PAY_DEPOSIT_MINUTE},
	{24 * PAY_DEPOSIT_HOUR, 30 * PAY_DEPOSIT_MINUTE},
	{INT64_MAX, PAY_DEPOSIT_LONGEST},
};

static int64_t
gap_at(const Stage *stages, int64_t age)
{
	while (age >= stages->until && stages->until != INT64_MAX)
		stages++;
	return stages->gap;
}

int64_t
pay_deposit_plan_wait(int64_t age, int64_t due_in)
{
	int64_t		gap = gap_at(waiting, age);

	if (due_in == INT64_MAX)
		return gap;
	if (due_in + PAY_DEPOSIT_MARGIN <= 0)
		return gap_at(overdue, -due_in);
	return due_in + PAY_DEPOSIT_MARGIN < gap ? due_in + PAY_DEPOSIT_MARGIN : gap;
}

/*
 * A bank that takes a deposit back does so within minutes, as a rule, and Toss
 * tells; this makes up for what it did not tell.  Ages at which to look.
 */
static const int64_t looks[] = {
	3 * PAY_DEPOSIT_MINUTE, 15 * PAY_DEPOSIT_MINUTE, 2 * PAY_DEPOSIT_HOUR,
	24 * PAY_DEPOSIT_HOUR,
};

int64_t
pay_deposit_plan_look(int64_t age)
{
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		if (age < looks[i])
			return looks[i] - age;
	return 0;
}
