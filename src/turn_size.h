/*
 * turn_size.h
 *		How many results a turn saves.
 *
 * Few, because a new call waits for the rest of a turn and for the whole of the
 * next one.  But so many that the wait for the commit, during which nothing is
 * done, stays a small part of all: with a slow disk or a standby that is waited
 * for those are many.
 * test/unit/turn_size_test.c
 */
#ifndef PAY_TURN_SIZE_H
#define PAY_TURN_SIZE_H

#include <stdint.h>

#define PAY_TURN_LEAST	16
#define PAY_TURN_MOST	512
#define PAY_TURN_WORK	8		/* times as long as its commit, at least */

/* The next size, after a turn of n results. */
extern int	pay_turn_size(int size, int n, int64_t work_us, int64_t commit_us);

#endif							/* PAY_TURN_SIZE_H */
