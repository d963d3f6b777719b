/*
 * hint_test.c
 *		The ring of hints: order, wrapping, and what did not fit.
 */
#include "hint.h"
#include "tap.h"

static PayHintRing ring;

static void
write_one(int64_t call_id)
{
	PayHint		hint = {.call_id = call_id};

	pay_hint_write(&ring, &hint, 1, PAY_HINT_NO_LOSS);
}

int
main(void)
{
	PayHint		taken[PAY_HINT_RING];
	PayHintLoss loss;
	int64_t		next = 1;
	int64_t		expected = 1;

	pay_hint_clear(&ring);
	ok(pay_hint_take(&ring, taken, 10, &loss) == 0 && loss.from == PAY_HINT_NONE &&
	   loss.n == 0,
	   "nothing to take, nothing lost");

	/* Many times around, in steps that do not divide the ring; also where
	 * the counters wrap. */
	ring.head = ring.tail = UINT32_MAX - 100000;
	for (int round = 0; round < 3000; round++)
	{
		int			n = round * 7 % 131;

		for (int i = 0; i < n; i++)
			write_one(next++);
		while ((n = pay_hint_take(&ring, taken, 50, &loss)) > 0)
			for (int i = 0; i < n; i++)
				tap_check(taken[i].call_id == expected++ &&
						  loss.from == PAY_HINT_NONE, "round %d", round);
	}
	tap_check(expected == next, "all taken");
	tap_check(ring.tail < 200000, "the counters wrapped");
	tap_checked("what is written is taken, in order");

	/* A full ring keeps the oldest, and tells the smallest that it lost. */
	for (int i = 0; i < PAY_HINT_RING; i++)
		write_one(1000 + i);
	write_one(900);
	write_one(800);
	write_one(850);
	ok(pay_hint_take(&ring, taken, 1, &loss) == 1 &&
	   taken[0].call_id == 1000 && loss.from == 800 && loss.n == 3,
	   "the smallest lost is told, and how many");
	ok(pay_hint_take(&ring, taken, PAY_HINT_RING, &loss) == PAY_HINT_RING - 1 &&
	   taken[0].call_id == 1001 && loss.from == PAY_HINT_NONE && loss.n == 0,
	   "and told once");

	pay_hint_write(&ring, NULL, 0, (PayHintLoss) {77, 6});
	write_one(5);
	ok(pay_hint_take(&ring, taken, 10, &loss) == 1 && loss.from == 77 &&
	   loss.n == 6,
	   "what the writer had no room for is told, too");
	return tap_end();
}
