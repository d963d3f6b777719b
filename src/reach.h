/*
 * reach.h
 *		How far a read of the queue may go, so that it does not take long.
 *
 * Reads go by call id, from the oldest, and pass over dead rows.  While somebody
 * holds an old snapshot no vacuum removes those, so they are all that were ever
 * open since, maybe millions, at up to a microsecond for each; and nothing else
 * goes on meanwhile.  So a read that took too long goes half as far the next time,
 * and one that was quick, and went as far as it
 * could, twice as far.
 * test/unit/reach_test.c, test/t/105_dead_queue.pl
 */
#ifndef PAY_REACH_H
#define PAY_REACH_H

#include <stdbool.h>
#include <stdint.h>

#define PAY_REACH_END	INT64_MAX

#define PAY_REACH_MS	40		/* a read that takes longer took too long */
#define PAY_REACH_LEAST	10000

/* The first one: dead rows may be there already, and it must not be cut off. */
#define PAY_REACH_FIRST	100000

typedef struct PayReach
{
	int64_t		ids;			/* that a read may pass over; 0: all */
} PayReach;

/*
 * Up to which id the next read may go that begins behind another; when that is
 * the newest, PAY_REACH_END.
 */
extern int64_t pay_reach_upto(const PayReach *reach, int64_t after,
							  int64_t newest);

/* It took so long to pass over so many ids.  False: that was too long. */
extern bool pay_reach_fit(PayReach *reach, int64_t ms, int64_t passed);

#endif							/* PAY_REACH_H */
