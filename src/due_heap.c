/*
 * due_heap.c
 *		Calls that are due later, the earliest first.
 *
 * A binary heap in an array.  test/unit/schedule_test.c
 */
#include "due_heap.h"

#include <stdlib.h>

#define FIRST_ROOM		256

bool
pay_due_heap_add(PayDueHeap *heap, PayDueCall call, int max)
{
	PayDueCall *calls = heap->calls;
	int			i = heap->n;

	if (i == heap->room)
	{
		int			room = i == 0 ? FIRST_ROOM : i * 2;

		if (room > max)
			return false;
		calls = realloc(calls, sizeof(PayDueCall) * room);
		if (calls == NULL)
			return false;
		heap->calls = calls;
		heap->room = room;
	}
	heap->n++;
	while (i > 0 && calls[(i - 1) / 2].due_at > call.due_at)
	{
		calls[i] = calls[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	calls[i] = call;
	return true;
}

/* The earliest; there must be one. */
PayDueCall
pay_due_heap_take(PayDueHeap *heap)
{
	PayDueCall *calls = heap->calls;
	PayDueCall	earliest = calls[0];
	PayDueCall	last = calls[--heap->n];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child + 1 < heap->n &&
			calls[child + 1].due_at < calls[child].due_at)
			child++;
		if (child >= heap->n || calls[child].due_at >= last.due_at)
			break;
		calls[i] = calls[child];
		i = child;
	}
	calls[i] = last;
	return earliest;
}

void
pay_due_heap_free(PayDueHeap *heap)
{
	free(heap->calls);
	*heap = (PayDueHeap) {0};
}
