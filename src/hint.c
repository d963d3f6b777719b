/*
 * hint.c
 *		A ring of hints: calls that were queued, for the worker to look at.
 *
 * Head and tail count without end and wrap with their type; their difference is
 * how many hints there are.  test/unit/hint_test.c
 */
#include "hint.h"

void
pay_hint_clear(PayHintRing *ring)
{
	ring->head = ring->tail = 0;
	ring->loss = PAY_HINT_NO_LOSS;
}

void
pay_hint_lose(PayHintLoss *loss, int64_t call_id)
{
	if (call_id < loss->from)
		loss->from = call_id;
	loss->n++;
}

void
pay_hint_write(PayHintRing *ring, const PayHint *hints, int n,
			   PayHintLoss loss)
{
	for (int i = 0; i < n; i++)
	{
		if (ring->tail - ring->head < PAY_HINT_RING)
			ring->hints[ring->tail++ % PAY_HINT_RING] = hints[i];
		else
			pay_hint_lose(&loss, hints[i].call_id);
	}
	if (loss.from < ring->loss.from)
		ring->loss.from = loss.from;
	ring->loss.n += loss.n;
}

int
pay_hint_take(PayHintRing *ring, PayHint *hints, int max, PayHintLoss *loss)
{
	int			n = 0;

	while (n < max && ring->head != ring->tail)
		hints[n++] = ring->hints[ring->head++ % PAY_HINT_RING];
	*loss = ring->loss;
	ring->loss = PAY_HINT_NO_LOSS;
	return n;
}
