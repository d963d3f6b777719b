/*
 * deposit_plan.h
 *		When to ask about a virtual account the next time.
 *
 * Pure.  Times are microseconds on one clock.
 */
#ifndef PAY_DEPOSIT_PLAN_H
#define PAY_DEPOSIT_PLAN_H

#include <stdint.h>

#define PAY_DEPOSIT_SECOND	INT64_C(1000000)
#define PAY_DEPOSIT_MINUTE	(60 * PAY_DEPOSIT_SECOND)
#define PAY_DEPOSIT_HOUR	(60 * PAY_DEPOSIT_MINUTE)

/* The longest time between two questions */
#define PAY_DEPOSIT_LONGEST (2 * PAY_DEPOSIT_HOUR)

/* How long after its due date an account is asked about: clocks differ. */
#define PAY_DEPOSIT_MARGIN	PAY_DEPOSIT_MINUTE

/*
 * How long to wait before asking again whether the deposit has come: age is the
 * account's, due_in the time until its due date; negative when that is over,
 * and INT64_MAX when there is none.
 */
extern int64_t pay_deposit_plan_wait(int64_t age, int64_t due_in);

/*
 * When to look at an account again whose order is final: age is the time since
 * its last deposit, or since it closed.  0: not any more.
 */
extern int64_t pay_deposit_plan_look(int64_t age);

#endif							/* PAY_DEPOSIT_PLAN_H */
