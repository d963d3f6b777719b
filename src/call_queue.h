/*
 * call_queue.h
 *		Ids of calls, first in, first out.
 *
 * For schedule.c.  Grows up to a bound, and gives its memory back when empty.
 */
#ifndef PAY_CALL_QUEUE_H
#define PAY_CALL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct PayCallQueue
{
	int64_t    *ids;			/* a ring */
	int			room;			/* of it: a power of two, or 0 */
	unsigned int first;			/* counts without end */
	int			n;
} PayCallQueue;

/* All zeros is an empty queue.  False when there is no room. */
extern bool pay_call_queue_add(PayCallQueue *queue, int64_t call_id, int max);

/* The first; there must be one. */
extern int64_t pay_call_queue_first(const PayCallQueue *queue);
extern int64_t pay_call_queue_take(PayCallQueue *queue);

/* Keep those up to this id. */
extern void pay_call_queue_cut(PayCallQueue *queue, int64_t last);
extern void pay_call_queue_free(PayCallQueue *queue);

#endif							/* PAY_CALL_QUEUE_H */
