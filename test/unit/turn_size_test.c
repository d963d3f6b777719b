/*
 * turn_size_test.c
 *		Turns are small while commits are quick, and large while they are not.
 */
#include "turn_size.h"
#include "tap.h"

#define PER_RESULT	350			/* us */

/* Turns of what waits, until the size stays; -1: it does not. */
static int
settle_with(int waiting, int size, int64_t commit_us)
{
	for (int i = 0; i < 20; i++)
	{
		int			n = size < waiting ? size : waiting;
		int			next = pay_turn_size(size, n, n * PER_RESULT, commit_us);

		if (next == size)
			return size;
		size = next;
	}
	return -1;
}

static int
settle_down(int size, int64_t commit_us)
{
	return settle_with(PAY_TURN_MOST, size, commit_us);
}

int
main(void)
{
	int			steady = 0;
	int			shares = 0;
	int			n = 0;

	ok(settle_down(PAY_TURN_LEAST, 400) == PAY_TURN_LEAST &&
	   settle_down(PAY_TURN_LEAST, 0) == PAY_TURN_LEAST,
	   "quick commits: as few as can be");
	ok(settle_down(PAY_TURN_LEAST, 10000) == 256, "slow ones: many");
	ok(settle_down(PAY_TURN_LEAST, 10000000) == PAY_TURN_MOST,
	   "there is an end to it");
	ok(settle_down(PAY_TURN_MOST, 400) == PAY_TURN_LEAST,
	   "few again when commits are quick again");
	ok(settle_with(50, PAY_TURN_MOST, 400) == PAY_TURN_LEAST,
	   "also when there are never so many as it has become");
	ok(settle_with(20, PAY_TURN_LEAST, 1000000) == 32 &&
	   settle_with(0, 64, 400) == 64, "few that wait say nothing");
	ok(pay_turn_size(PAY_TURN_LEAST, PAY_TURN_LEAST, 0, 0) == PAY_TURN_LEAST &&
	   pay_turn_size(PAY_TURN_MOST, PAY_TURN_MOST, 0, INT64_MAX) == PAY_TURN_MOST &&
	   pay_turn_size(PAY_TURN_LEAST, PAY_TURN_LEAST, INT64_MAX, 1) == PAY_TURN_LEAST,
	   "clocks that stand still or jump");

	for (int64_t commit_us = 100; commit_us < 22000; commit_us += 100)
	{
		int			up = settle_down(PAY_TURN_LEAST, commit_us);
		int			down = settle_down(PAY_TURN_MOST, commit_us);

		n++;
		if (up > 0 && down > 0)
			steady++;
		if ((int64_t) down * PER_RESULT >= PAY_TURN_WORK * commit_us)
			shares++;
	}
	ok(steady == n, "whatever a commit takes, the size comes to rest");
	ok(shares == n, "where the commit is a small part");
	return tap_end();
}
