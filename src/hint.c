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
	ring->lost_from = PAY_HINT_NONE;
}

void
pay_hint_write(PayHintRing *ring, const PayHint *hints, int n,
			   int64_t lost_from)
{
	for (int i = 0; i < n; i++)
	{
		if (ring->tail - ring->head < PAY_HINT_RING)
			ring->hints[ring->tail++ % PAY_HINT_RING] = hints[i];
		else if (hints[i].call_id < lost_from)
			lost_from = hints[i].call_id;
	}
	if (lost_from < ring->lost_from)
		ring->lost_from = lost_from;
}

int
pay_hint_take(PayHintRing *ring, PayHint *hints, int max, int64_t *lost_from)
{
	int			n = 0;

	while (n < max && ring->head != ring->tail)
		hints[n++] = ring->hints[ring->head++ % PAY_HINT_RING];
	*lost_from = ring->lost_from;
	ring->lost_from = PAY_HINT_NONE;
	return n;
}
