/*
 * clock.h
 *		A clock that nobody can set, for delays and deadlines.
 */
#ifndef PAY_CLOCK_H
#define PAY_CLOCK_H

#include "postgres.h"

#include "portability/instr_time.h"

/* Microseconds since some moment of this machine's, never going backwards. */
static inline int64
pay_clock_us(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/* The same in milliseconds. */
static inline int64
pay_clock_ms(void)
{
	return pay_clock_us() / 1000;
}

#endif							/* PAY_CLOCK_H */
