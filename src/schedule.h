/*
 * schedule.h
 *		Which calls are due, and whose turn it is, in the worker's memory.
 *
 * Holds ids only; the table is the truth.  Each merchant has a queue of calls
 * that are due, and a place in the table behind which calls may wait that are
 * not in memory; one heap holds those that are due later.  All of it is
 * bounded: what does not fit stays in the table and is read from there, in
 * pieces, by merchant and id.  So a backlog costs nothing until it is its turn,
 * and nobody waits behind another merchant's.
 *
 * An id may be here twice, or be out of date: a claim then finds nothing to
 * take.  No id is missing: it is in the queue or the heap, or behind the
 * merchant's place, or its call is in flight.
 *
 * Times are milliseconds of a clock that nobody can set, and are passed in.
 */
#ifndef PAY_SCHEDULE_H
#define PAY_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define PAY_SCHEDULE_NEVER	INT64_MAX

#define PAY_SCHEDULE_QUEUE	1024	/* due calls of a merchant in memory */
#define PAY_SCHEDULE_LOW	256 /* read more when there are no more than these */
#define PAY_SCHEDULE_READ	512 /* rows to read at once; fits above LOW */
#define PAY_SCHEDULE_HEAP	(1 << 20)	/* calls that are due later */

typedef struct PaySchedule PaySchedule;

typedef struct PayPick
{
	int64_t		call_id;
	int64_t		merchant_id;
} PayPick;

typedef struct PayScheduleRow
{
	int64_t		call_id;
	int64_t		due_at;			/* PAY_SCHEDULE_NEVER: not to be picked */
} PayScheduleRow;

/* NULL, or false, when there is no memory. */
extern PaySchedule *pay_schedule_create(void);
extern void pay_schedule_destroy(PaySchedule *schedule);
extern bool pay_schedule_know(PaySchedule *schedule, int64_t merchant_id);
extern bool pay_schedule_knows(const PaySchedule *schedule,
							   int64_t merchant_id);

/* A call that waits in the table, due at a time that may have come. */
extern void pay_schedule_add(PaySchedule *schedule, int64_t merchant_id,
							 int64_t call_id, int64_t due_at, int64_t now);

/* Calls from this id on may be missing. */
extern void pay_schedule_lost(PaySchedule *schedule, int64_t from);

/* Forget all calls: everything is to be read from the table again. */
extern void pay_schedule_forget(PaySchedule *schedule);

/* When memory was too small for calls that are due later: forget, then. */
extern int64_t pay_schedule_forget_at(const PaySchedule *schedule);

/*
 * Reading from the table: whose calls, behind which id; false when nobody's
 * are wanted now.  The rows that were read, in the order of their ids, go to
 * pay_schedule_read, and up to which id all were read; PAY_SCHEDULE_END says that
 * there are no more.
 */
#define PAY_SCHEDULE_END	INT64_MAX


extern bool pay_schedule_wants(PaySchedule *schedule, int64_t *merchant_id,
							   int64_t *after);
extern void pay_schedule_read(PaySchedule *schedule, int64_t merchant_id,
							  const PayScheduleRow *rows, int n, int64_t upto,
							  int64_t now);

/*
 * Take up to max calls that are due, one merchant after the other.  may_go (or
 * NULL) is asked before a call is taken; when it returns a time behind now, the
 * call stays where it is, and its merchant is passed over until then.
 */
typedef int64_t (*PayScheduleGate) (void *arg, int64_t merchant_id,
									int64_t call_id, int64_t now);
extern int	pay_schedule_pick(PaySchedule *schedule, int64_t now, int max,
							  PayPick *picks, PayScheduleGate may_go,
							  void *arg);

/* Ask again about a merchant, or about all of them. */
extern void pay_schedule_release(PaySchedule *schedule, int64_t merchant_id);
extern void pay_schedule_release_all(PaySchedule *schedule);

/* When there is something to pick or to read: now, later, or never. */
extern int64_t pay_schedule_next_at(PaySchedule *schedule, int64_t now);

#endif							/* PAY_SCHEDULE_H */
