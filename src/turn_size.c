/*
 * turn_size.c
 *		How many results a turn saves.
 *
 * Only a full turn says that it is too small.  Halved when half of it would still
 * be enough, so that it does not swing.
 */
#include "turn_size.h"

int
pay_turn_size(int size, int n, int64_t work_us, int64_t commit_us)
{
	if (n == size && work_us / PAY_TURN_WORK < commit_us && size < PAY_TURN_MOST)
		return size * 2;
	if (n > 0 && work_us / PAY_TURN_WORK / 2 >= commit_us && size > PAY_TURN_LEAST)
		return size / 2;
	return size;
}
