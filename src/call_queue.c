/*
 * call_queue.c
 *		Ids of calls, first in, first out.
 *
 * test/unit/schedule_test.c
 */
#include "call_queue.h"

#include <stdlib.h>

#define FIRST_ROOM		16		/* kept when it is empty */

static int64_t *id_at(const PayCallQueue *queue, int i);
static bool has_room(PayCallQueue *queue, int max);
static void give_back(PayCallQueue *queue);

static int64_t *
id_at(const PayCallQueue *queue, int i)
{
	return &queue->ids[(queue->first + i) & (queue->room - 1)];
}

bool
pay_call_queue_add(PayCallQueue *queue, int64_t call_id, int max)
{
	if (!has_room(queue, max))
		return false;
	*id_at(queue, queue->n++) = call_id;
	return true;
}

/* Is there room for one more?  Makes some, up to the limit. */
static bool
has_room(PayCallQueue *queue, int max)
{
	int			room = queue->room == 0 ? FIRST_ROOM : queue->room * 2;
	int64_t    *ids;

	if (queue->n < queue->room)
		return true;
	if (room > max)
		return false;
	ids = malloc(sizeof(int64_t) * room);
	if (ids == NULL)
		return false;
	for (int i = 0; i < queue->n; i++)
		ids[i] = *id_at(queue, i);
	free(queue->ids);
	queue->ids = ids;
	queue->room = room;
	queue->first = 0;
	return true;
}

int64_t
pay_call_queue_first(const PayCallQueue *queue)
{
	return *id_at(queue, 0);
}

int64_t
pay_call_queue_take(PayCallQueue *queue)
{
	int64_t		first = *id_at(queue, 0);

	queue->first++;
	queue->n--;
	give_back(queue);
	return first;
}

void
pay_call_queue_cut(PayCallQueue *queue, int64_t last)
{
	int			kept = 0;

	for (int i = 0; i < queue->n; i++)
	{
		int64_t		call_id = *id_at(queue, i);

		if (call_id <= last)
			*id_at(queue, kept++) = call_id;
	}
	queue->n = kept;
	give_back(queue);
}

static void
give_back(PayCallQueue *queue)
{
	if (queue->n == 0 && queue->room > FIRST_ROOM)
		pay_call_queue_free(queue);
}

void
pay_call_queue_free(PayCallQueue *queue)
{
	free(queue->ids);
	*queue = (PayCallQueue) {0};
}
