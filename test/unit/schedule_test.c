/*
 * schedule_test.c
 *		Which calls are due, and whose turn it is: by example, and beside a model
 *		of the table in which every call has to get its turn.
 */
#include <stdlib.h>

#include "schedule.h"
#include "tap.h"

static PaySchedule *s;
static PayPick picks[5000];

static void
start(int n_merchants)
{
	pay_schedule_destroy(s);
	s = pay_schedule_create();
	for (int i = 1; i <= n_merchants; i++)
	{
		pay_schedule_know(s, i);
		pay_schedule_read(s, i, NULL, 0, PAY_SCHEDULE_END, 0);
	}
}

/* A queue is served in order; what is due later comes later. */
static void
test_order(void)
{
	start(1);
	ok(pay_schedule_next_at(s, 5) == PAY_SCHEDULE_NEVER, "nothing to do");
	for (int i = 1; i <= 300; i++)
		pay_schedule_add(s, 1, i, 0, 0);
	tap_check(pay_schedule_pick(s, 0, 100, picks, NULL, NULL) == 100, "as many as asked");
	for (int i = 0; i < 100; i++)
		tap_check(picks[i].call_id == i + 1, "place %d", i);
	tap_check(pay_schedule_pick(s, 0, 5000, picks, NULL, NULL) == 200, "the rest");
	tap_check(picks[199].call_id == 300, "the last");
	tap_checked("first come, first served");

	start(1);
	for (int i = 0; i < 1000; i++)
		pay_schedule_add(s, 1, i + 1, 10 + i * 7919 % 1000, 5);
	ok(pay_schedule_pick(s, 9, 5000, picks, NULL, NULL) == 0 &&
	   pay_schedule_next_at(s, 9) == 10, "none before its time");
	for (int now = 10; now < 1010; now++)
	{
		tap_check(pay_schedule_pick(s, now, 5000, picks, NULL, NULL) == 1, "at %d", now);
		tap_check((picks[0].call_id - 1) * 7919 % 1000 == now - 10, "at %d", now);
	}
	tap_checked("each at its time");
	pay_schedule_add(s, 9, 1, 0, 0);
	ok(pay_schedule_pick(s, 2000, 5000, picks, NULL, NULL) == 0 &&
	   !pay_schedule_knows(s, 9), "calls of a stranger wait in the table");
}

/* Merchant 1 may go at 100, and twice then; the others at any time. */
static int64_t
gate(void *arg, int64_t merchant_id, int64_t call_id, int64_t now)
{
	int		   *asked = arg;

	if (merchant_id != 1)
		return now;
	(*asked)++;
	return now < 100 ? 100 : *asked <= 3 ? now : PAY_SCHEDULE_NEVER;
}

/* A call that may not go stays, and nobody waits for it. */
static void
test_gate(void)
{
	int			asked = 0;

	start(2);
	for (int i = 1; i <= 5; i++)
	{
		pay_schedule_add(s, 1, i, 0, 0);
		pay_schedule_add(s, 2, 10 + i, 0, 0);
	}
	ok(pay_schedule_pick(s, 0, 5000, picks, gate, &asked) == 5 &&
	   picks[0].call_id == 11 && picks[4].call_id == 15 && asked == 1,
	   "one that may not go is passed over, and asked about once");
	ok(pay_schedule_next_at(s, 0) == 100 &&
	   pay_schedule_pick(s, 99, 5000, picks, gate, &asked) == 0 && asked == 1,
	   "until it is time");
	pay_schedule_add(s, 2, 16, 120, 99);
	ok(pay_schedule_next_at(s, 99) == 100, "which comes before what is due later");
	ok(pay_schedule_pick(s, 100, 5000, picks, gate, &asked) == 2 &&
	   picks[0].call_id == 1 && picks[1].call_id == 2 &&
	   pay_schedule_next_at(s, 100) == 120, "then as many go as may, in order");
	pay_schedule_release(s, 1);
	ok(pay_schedule_next_at(s, 100) == 100, "who is released is asked about again");
	asked = 0;
	ok(pay_schedule_pick(s, 100, 5000, picks, gate, &asked) == 3 &&
	   picks[0].call_id == 3, "and nothing was lost");
}

/* One merchant's backlog takes nothing from another. */
static void
test_fair(void)
{
	int			seen[4] = {0};

	start(3);
	for (int i = 1; i <= 1000; i++)
		pay_schedule_add(s, 1, i, 0, 0);
	for (int i = 1; i <= 20; i++)
		pay_schedule_add(s, 2, 2000 + i, 0, 0);
	pay_schedule_add(s, 3, 3000, 0, 0);
	for (int round = 0; round < 40; round++)
	{
		pay_schedule_pick(s, 0, 1, picks, NULL, NULL);
		seen[picks[0].merchant_id]++;
	}
	ok(seen[3] == 1 && seen[2] == 19 && seen[1] == 20, "one after the other");
	pay_schedule_add(s, 2, 2100, 0, 0);
	pay_schedule_pick(s, 0, 2, picks, NULL, NULL);
	ok(picks[0].merchant_id == 2 || picks[1].merchant_id == 2,
	   "who comes back is next but one");
}

/* What does not fit is read from the table. */
static void
test_backlog(void)
{
	int64_t		merchant;
	int64_t		after;
	PayScheduleRow rows[PAY_SCHEDULE_READ];

	start(2);
	for (int i = 1; i <= PAY_SCHEDULE_QUEUE + 500; i++)
		pay_schedule_add(s, 1, i, 0, 0);
	ok(!pay_schedule_wants(s, &merchant, &after), "nothing is read while there is enough");
	pay_schedule_add(s, 2, 9000, 0, 0);
	pay_schedule_pick(s, 0, 2, picks, NULL, NULL);
	ok(picks[0].merchant_id == 2 || picks[1].merchant_id == 2,
	   "another merchant's call is there at once");
	pay_schedule_pick(s, 0, PAY_SCHEDULE_QUEUE - PAY_SCHEDULE_LOW - 1, picks, NULL, NULL);
	ok(pay_schedule_next_at(s, 0) == 0 &&
	   pay_schedule_wants(s, &merchant, &after) && merchant == 1 &&
	   after == PAY_SCHEDULE_QUEUE, "then what follows is wanted");
	for (int i = 0; i < 500; i++)
		rows[i] = (PayScheduleRow) {after + 1 + i, i % 2 ? 0 : PAY_SCHEDULE_NEVER};
	pay_schedule_read(s, 1, rows, 500, PAY_SCHEDULE_END, 0);
	pay_schedule_add(s, 1, 5000, 0, 0);
	ok(pay_schedule_pick(s, 0, 5000, picks, NULL, NULL) == PAY_SCHEDULE_LOW + 250 + 1 &&
	   picks[PAY_SCHEDULE_LOW + 250].call_id == 5000, "rows that wait for something else are not picked");
	ok(!pay_schedule_wants(s, &merchant, &after) &&
	   pay_schedule_next_at(s, 0) == PAY_SCHEDULE_NEVER, "and that is all");

	pay_schedule_add(s, 1, 6000, 0, 0);
	pay_schedule_lost(s, 5500);
	ok(pay_schedule_wants(s, &merchant, &after) && after == 5499, "lost hints are read");
	ok(pay_schedule_pick(s, 0, 10, picks, NULL, NULL) == 0, "with all that follows them");
	pay_schedule_add(s, 1, 6001, 0, 0);
	pay_schedule_add(s, 1, 5400, 0, 0);
	ok(pay_schedule_pick(s, 0, 10, picks, NULL, NULL) == 1 && picks[0].call_id == 5400,
	   "one before them is not");
}

/*
 * A model.  Rows are born, told of or not, claimed and put off; whatever was
 * told of, lost or read has to be picked when it is due, without a new look at
 * everything.
 */
#define ROWS	20000
#define MERCHANTS 5
static struct
{
	int			merchant;
	int64_t		due;
	bool		pending;
	bool		born;
}			rows[ROWS + 1];
static int	n_rows;

static void
read_some(int64_t now)
{
	int64_t		merchant;
	int64_t		after;

	for (int times = 0; times < 20 && pay_schedule_wants(s, &merchant, &after); times++)
	{
		PayScheduleRow found[PAY_SCHEDULE_READ];
		int			n = 0;
		int			limit = 1 + rand() % PAY_SCHEDULE_READ;
		int64_t		upto = after + 1 + rand() % (2 * PAY_SCHEDULE_READ);

		for (int64_t id = after + 1; id <= n_rows && id <= upto && n < limit; id++)
			if (rows[id].born && rows[id].merchant == merchant)
				found[n++] = (PayScheduleRow) {id, rows[id].pending ?
					rows[id].due : PAY_SCHEDULE_NEVER};
		if (n == limit)
			upto = found[n - 1].call_id;
		else if (upto >= n_rows)
			upto = PAY_SCHEDULE_END;
		pay_schedule_read(s, merchant, found, n, upto, now);
	}
}

static void
test_model(unsigned int seed)
{
	int			waiting = 0;
	int			picked = 0;
	int64_t		now = 0;

	srand(seed);
	start(MERCHANTS);
	n_rows = 0;
	memset(rows, 0, sizeof(rows));
	while (now < 30000)
	{
		int			max = rand() % 60;
		int			n;

		now += rand() % 20;

		/* some are drawn now and committed later */
		for (int i = rand() % 100; i > 0 && n_rows < ROWS; i--)
		{
			n_rows++;
			rows[n_rows].merchant = rand() % 3 ? 1 : 1 + rand() % MERCHANTS;
			rows[n_rows].due = rand() % 4 ? now : now + rand() % 5000;
		}
		for (int64_t id = n_rows; id > 0 && id > n_rows - 300; id--)
		{
			if (rows[id].born || rand() % 3)
				continue;
			rows[id].born = rows[id].pending = true;
			waiting++;
			if (rand() % 50 == 0)
				pay_schedule_lost(s, id);
			else
				pay_schedule_add(s, rows[id].merchant, id, rows[id].due, now);
		}
		if (rand() % 100 == 0)
			pay_schedule_forget(s);
		read_some(now);

		n = pay_schedule_pick(s, now, max, picks, NULL, NULL);
		for (int i = 0; i < n; i++)
		{
			int64_t		id = picks[i].call_id;

			tap_check(rows[id].merchant == picks[i].merchant_id, "merchant of %d", (int) id);
			if (!rows[id].pending || rows[id].due > now)
				continue;		/* a claim finds nothing to take */
			if (rand() % 5 == 0)	/* tried again later */
			{
				rows[id].due = now + rand() % 3000;
				pay_schedule_add(s, rows[id].merchant, id, rows[id].due, now);
				continue;
			}
			rows[id].pending = false;
			waiting--;
			picked++;
		}
	}

	/* No new ones: the rest has to come without being told of again. */
	while (waiting > 0 && pay_schedule_next_at(s, now) != PAY_SCHEDULE_NEVER)
	{
		int			n;

		if (pay_schedule_next_at(s, now) > now)
			now = pay_schedule_next_at(s, now);
		read_some(now);
		n = pay_schedule_pick(s, now, 1000, picks, NULL, NULL);
		for (int i = 0; i < n; i++)
			if (rows[picks[i].call_id].pending && rows[picks[i].call_id].due <= now)
			{
				rows[picks[i].call_id].pending = false;
				waiting--;
				picked++;
			}
	}
	tap_check(waiting == 0, "seed %u: %d were never picked", seed, waiting);
	tap_check(picked > 1000, "seed %u: only %d", seed, picked);
}

int
main(void)
{
	test_order();
	test_gate();
	test_fair();
	test_backlog();
	for (unsigned int seed = 1; seed <= 20; seed++)
		test_model(seed);
	tap_checked("every call gets its turn");

	start(1);
	for (int i = 1; i <= PAY_SCHEDULE_HEAP + 10; i++)
		pay_schedule_add(s, 1, i, 1000 + i, 0);
	ok(pay_schedule_forget_at(s) == 1000 + PAY_SCHEDULE_HEAP + 1,
	   "memory is bounded, and says when to look again");
	pay_schedule_forget(s);
	ok(pay_schedule_forget_at(s) == PAY_SCHEDULE_NEVER &&
	   pay_schedule_next_at(s, 5) == 5, "everything is to be read");
	pay_schedule_destroy(s);
	return tap_end();
}
