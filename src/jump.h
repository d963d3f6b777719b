/*
 * jump.h
 *		A clock that somebody sets: between which times it may be by now.
 *
 * The wall clock is compared with one that nobody can set.  What it has jumped
 * ahead makes everything look old: an order would fail, "nothing can approve it
 * any more", whose payment Toss may still execute.  What it has jumped back
 * makes what is due look as if it had time.
 * test/unit/jump_test.c
 */
#ifndef PAY_JUMP_H
#define PAY_JUMP_H

#include <stdint.h>

/* Microseconds.  Zeros: nobody has looked yet. */
typedef struct PayJump
{
	int64_t		wall;			/* what both clocks said at the last look */
	int64_t		steady;
	int64_t		ahead;			/* how far it has jumped ahead lately */
	int64_t		ahead_until;	/* steady time: then it is forgotten */
	int64_t		back;
	int64_t		back_until;		/* wall time */
} PayJump;

typedef struct PayTimes
{
	int64_t		now;			/* what the clock says */
	int64_t		earliest;		/* ages are counted up to here */
	int64_t		latest;			/* what was due by then is due */
} PayTimes;

/* Less than this between two looks is no jump. */
#define PAY_JUMP_LEAST	(INT64_C(5) * 1000000)

/*
 * Before now, by the clock as it was then, it was as late as known: when that
 * is still to come, the clock was set back while nobody could look.  Returns by
 * how much more than was known (negative), or 0.
 */
extern int64_t pay_jump_was(PayJump *jump, int64_t known, int64_t wall);

/* Look at both clocks.  Returns by how much the first has jumped since, or 0. */
extern int64_t pay_jump_look(PayJump *jump, int64_t wall, int64_t steady,
							 PayTimes *times);

#endif							/* PAY_JUMP_H */
