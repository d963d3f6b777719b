/*
 * toss_time.h
 *		Times in Toss's bodies.
 *
 * Pure: no error is raised and no clock or time zone is read.
 */
#ifndef PAY_TOSS_TIME_H
#define PAY_TOSS_TIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Read "2026-11-22T10:16:02[.fraction](+09:00|Z)" into microseconds since
 * 1970-01-01 UTC; a time without an offset is Korean (toss-api 10.4).  False
 * when it is anything else.
 */
extern bool pay_toss_time_read(const char *text, int64_t *unix_us);

/*
 * Write a time as parameters of Toss's have it: "2026-11-22T10:16:02", Korean,
 * without an offset.  False, and an empty text, outside of the years that
 * pay_toss_time_read knows.
 */
#define PAY_TOSS_TIME_SIZE	20
extern bool pay_toss_time_write(int64_t unix_us, char buf[PAY_TOSS_TIME_SIZE]);

#endif							/* PAY_TOSS_TIME_H */
