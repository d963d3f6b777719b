/*
 * due_heap.h
 *		Calls that are due later, the earliest first.
 *
 * For schedule.c, whose bounds it keeps: false when there is no room, or no
 * memory for more.
 */
#ifndef PAY_DUE_HEAP_H
#define PAY_DUE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct PayDueCall
{
	int64_t		due_at;
	int64_t		call_id;
	void	   *owner;
} PayDueCall;

typedef struct PayDueHeap
{
	PayDueCall *calls;			/* [0] is the earliest */
	int			n;
	int			room;
} PayDueHeap;

/* All zeros is an empty heap. */
extern bool pay_due_heap_add(PayDueHeap *heap, PayDueCall call, int max);
extern PayDueCall pay_due_heap_take(PayDueHeap *heap);
extern void pay_due_heap_free(PayDueHeap *heap);

#endif							/* PAY_DUE_HEAP_H */
