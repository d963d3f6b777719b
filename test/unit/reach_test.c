/*
 * reach_test.c
 *		How far a read may go: all the way while that is quick; in pieces, each
 *		id in one of them, while it is not.
 */
#include "reach.h"
#include "tap.h"

/* Read all ids at so many a millisecond; returns the pieces, -1: not each once. */
static int
read_all(PayReach *reach, int64_t newest, int64_t per_ms, int64_t *longest)
{
	int64_t		after = 0;
	int			pieces = 0;

	*longest = 0;
	do
	{
		int64_t		upto = pay_reach_upto(reach, after, newest);
		int64_t		last = upto == PAY_REACH_END ? newest : upto;
		int64_t		ms = (last - after) / per_ms;

		if (last <= after && newest > 0)
			return -1;
		pieces++;
		if (ms > *longest)
			*longest = ms;
		(void) pay_reach_fit(reach, ms, last - after);
		after = upto;
	} while (after != PAY_REACH_END);
	return pieces;
}

int
main(void)
{
	PayReach	reach = {PAY_REACH_FIRST};
	int64_t		longest;
	int			pieces;

	ok(read_all(&reach, 30000, 1000, &longest) == 1 &&
	   read_all(&reach, 0, 1000, &longest) == 1, "what is little is read at once");
	pieces = read_all(&reach, INT64_C(1000000000), INT64_C(1000000000), &longest);
	ok(pieces > 1 && pieces < 20 && longest <= PAY_REACH_MS,
	   "what is much and quick is in a few pieces");
	reach.ids = PAY_REACH_FIRST;
	ok(read_all(&reach, 25000000, 1000, &longest) > 1 &&
	   longest == PAY_REACH_FIRST / 1000,
	   "the first piece of what is much and slow does not take too long");

	reach.ids = 0;
	ok(read_all(&reach, 25000000, 1000, &longest) == 1 && longest == 25000,
	   "and even what went to the end");
	for (int i = 0; i < 3; i++)
		pieces = read_all(&reach, 25000000, 1000, &longest);
	ok(longest <= PAY_REACH_MS, "learns in a few rounds");
	ok(pieces <= 25000 / (PAY_REACH_MS / 4),
	   "nor are they smaller than they need be");

	for (int i = 0; i < 3; i++)
		pieces = read_all(&reach, 25000000, 10000000, &longest);
	ok(pieces == 1, "when it is quick again it goes to the end again");
	reach.ids = PAY_REACH_LEAST;
	(void) pay_reach_fit(&reach, 0, PAY_REACH_LEAST - 1);
	ok(reach.ids == PAY_REACH_LEAST,
	   "a piece that is short for another reason says nothing");
	for (int i = 0; i < 200; i++)
		(void) pay_reach_fit(&reach, 0, PAY_REACH_END);
	ok(pay_reach_upto(&reach, 0, PAY_REACH_END) == PAY_REACH_END,
	   "however often it is quick");

	ok(!pay_reach_fit(&reach, PAY_REACH_MS + 1, 1) &&
	   pay_reach_upto(&reach, 7, 1000000) == 7 + PAY_REACH_LEAST,
	   "what is slow for another reason goes on in pieces that are worth it");
	ok(!pay_reach_fit(&reach, PAY_REACH_MS + 1, 0) && reach.ids == PAY_REACH_LEAST,
	   "also when it passed over nothing");
	return tap_end();
}
