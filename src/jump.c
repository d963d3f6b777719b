/*
 * jump.c
 *		A clock that somebody sets: between which times it may be by now.
 *
 * A jump ahead is remembered until whatever was sent before it is too old by
 * the steady clock as well: from then on only what was sent after it is young,
 * and both times of that are from behind the jump.  Until then the latter looks
 * younger than it is, which only delays a failure.
 *
 * A jump back is remembered until the clock has come past all that was planned
 * before it.  Until then what is planned after it may come early, when it is
 * read anew.
 */
#include "jump.h"

#include "resolution.h"

#define SECOND			INT64_C(1000000)
#define REMEMBER_AHEAD	(PAY_CONFIRM_WINDOW + PAY_CONFIRM_GRACE + 60 * SECOND)
#define LONGEST_DELAY	(3600 * SECOND) /* of a call that is open */
#define MOST			(INT64_MAX / 4)

static int64_t more(int64_t a, int64_t b);

int64_t
pay_jump_look(PayJump *jump, int64_t wall, int64_t steady, PayTimes *times)
{
	int64_t		jumped = 0;

	if (jump->steady != 0)
		jumped = (wall - jump->wall) - (steady - jump->steady);
	jump->wall = wall;
	jump->steady = steady;

	if (steady >= jump->ahead_until)
		jump->ahead = 0;
	if (wall >= jump->back_until)
		jump->back = 0;
	if (jumped >= PAY_JUMP_LEAST)
	{
		jump->ahead = more(jump->ahead, jumped);
		jump->ahead_until = steady + REMEMBER_AHEAD;
		jump->back = jump->back > jumped ? jump->back - jumped : 0;
	}
	else if (jumped <= -PAY_JUMP_LEAST)
	{
		jump->back = more(jump->back, -jumped);
		jump->back_until = wall + jump->back + LONGEST_DELAY;
	}
	else
		jumped = 0;

	times->now = wall;
	times->earliest = wall - jump->ahead;
	times->latest = wall + jump->back;
	return jumped;
}

int64_t
pay_jump_was(PayJump *jump, int64_t known, int64_t wall)
{
	int64_t		set = known - wall;

	if (set < PAY_JUMP_LEAST || (wall < jump->back_until && set <= jump->back))
		return 0;
	jump->back = set;
	jump->back_until = wall + set + LONGEST_DELAY;
	return -set;
}

static int64_t
more(int64_t a, int64_t b)
{
	return a > MOST - b ? MOST : a + b;
}
