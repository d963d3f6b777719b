/*
 * jump_test.c
 *		A clock that is set: nothing that was sent looks older than it is, and
 *		nothing that was due has to wait; and after a while all is as it was.
 */
#include "jump.h"
#include "resolution.h"
#include "tap.h"

#define SECOND		INT64_C(1000000)
#define MINUTE		(60 * SECOND)
#define HOUR		(60 * MINUTE)
#define START		(INT64_C(800000000) * SECOND)

static PayJump jump;
static PayTimes times;
static int64_t wall;			/* as it is set */
static int64_t steady;

static int64_t
pass(int64_t time, int64_t set)
{
	wall += time + set;
	steady += time;
	return pay_jump_look(&jump, wall, steady, &times);
}

static void
start(void)
{
	jump = (PayJump) {0};
	wall = START;
	steady = 77 * SECOND;
	pass(0, 0);
}

static void
test_no_jump(void)
{
	start();
	ok(times.now == wall && times.earliest == wall && times.latest == wall,
	   "at the first look the clock is believed");
	ok(pass(10 * HOUR, 3 * SECOND) == 0 && times.earliest == wall &&
	   times.latest == wall, "a little is no jump");
	ok(pass(30 * 24 * HOUR, 0) == 0 && times.earliest == wall,
	   "nor is a long time in which nobody looked");
}

static void
test_ahead(void)
{
	int64_t		before;
	int64_t		behind;

	start();
	before = wall;
	ok(pass(20 * SECOND, 24 * HOUR) == 24 * HOUR, "a day ahead is a jump");
	ok(times.now == wall && times.earliest - before == 20 * SECOND,
	   "what was sent before it is as old as it is");
	ok(times.latest == wall, "and what is due is due");

	behind = wall;
	pass(10 * MINUTE, 0);
	ok(times.earliest - before == 10 * MINUTE + 20 * SECOND,
	   "it is remembered");
	ok(times.earliest < behind, "what was sent after it looks young");
	pass(5 * MINUTE + 59 * SECOND, 0);
	ok(times.earliest - before == 15 * MINUTE + 79 * SECOND &&
	   times.earliest - before > PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE,
	   "until what was sent before it is old indeed");
	pass(1 * SECOND, 0);
	ok(times.earliest == wall, "then it is forgotten");

	start();
	before = wall;
	pass(SECOND, HOUR);
	pass(15 * MINUTE, HOUR);
	pass(15 * MINUTE, 0);
	ok(times.earliest - before == 30 * MINUTE + SECOND, "several add up");
	pass(2 * MINUTE, 0);
	ok(times.earliest == wall, "and are forgotten after the last");
}

static void
test_back(void)
{
	int64_t		due;

	start();
	due = wall + 30 * SECOND;
	ok(pass(0, -24 * HOUR) == -24 * HOUR, "a day back is a jump");
	ok(times.latest < due && times.earliest == wall,
	   "what had time has time, and nothing becomes older");
	pass(30 * SECOND, 0);
	ok(times.latest >= due, "and is due when it would have been");
	due = wall + 24 * HOUR + 59 * MINUTE;
	pass(59 * MINUTE, 0);
	ok(times.latest >= due, "also what had an hour");
	pass(24 * HOUR + MINUTE, 0);
	ok(times.latest == wall, "when the clock has caught up it is forgotten");

	start();
	pass(SECOND, -HOUR);
	pass(SECOND, HOUR);
	ok(times.latest == wall, "a clock that is put right is right");
	ok(times.earliest == wall - HOUR, "though nobody can know that");

	start();
	for (int i = 0; i < 100; i++)
		pass(SECOND, i % 2 ? -HOUR : HOUR);
	ok(times.earliest <= wall && times.latest >= wall, "to and fro, a hundred times");
}

static void
test_set_while_down(void)
{
	int64_t		due;

	start();
	ok(pay_jump_was(&jump, wall - HOUR, wall) == 0, "what is over is over");
	ok(pay_jump_was(&jump, wall + SECOND, wall) == 0, "a little is no jump");
	pass(SECOND, 0);
	ok(times.latest == wall, "and what is due is due");

	due = wall + 24 * HOUR + MINUTE;
	ok(pay_jump_was(&jump, wall + 24 * HOUR, wall) == -24 * HOUR,
	   "it was a day later once: it is a jump back");
	pass(59 * SECOND, 0);
	ok(times.latest < due && times.earliest == wall,
	   "what had time then has time, and nothing becomes older");
	pass(SECOND, 0);
	ok(times.latest >= due, "and is due when it would have been");
	ok(pay_jump_was(&jump, wall + HOUR, wall) == 0 &&
	   pay_jump_was(&jump, wall + 24 * HOUR, wall) == 0,
	   "who knows less, or no more, changes nothing");
	pass(SECOND, 24 * HOUR);
	ok(times.latest == wall, "a clock that is put right is right");
	pass(30 * HOUR, 0);
	ok(pay_jump_was(&jump, wall + HOUR, wall) == -HOUR,
	   "what was forgotten does not hide what comes later");
}

int
main(void)
{
	test_no_jump();
	test_ahead();
	test_back();
	test_set_while_down();
	return tap_end();
}
