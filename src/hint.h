/*
 * hint.h
 *		A ring of hints: calls that were queued, for the worker to look at.
 *
 * Those who queue calls write hints behind their commit, the worker takes them;
 * both under a lock of the caller's, and neither allocates or fails.  A hint
 * may be wrong (its row rolled back with a savepoint, or taken already) and may
 * be lost: what did not fit is remembered as the smallest id that was lost, and
 * the worker then reads the table from there.
 */
#ifndef PAY_HINT_H
#define PAY_HINT_H

#include <stdint.h>

#define PAY_HINT_RING	4096	/* a power of two */

/* Nothing was lost, in places for the smallest id that was. */
#define PAY_HINT_NONE	INT64_MAX

typedef struct PayHint
{
	int64_t		call_id;		/* 0: the merchant itself has changed */
	int64_t		due_at;			/* microseconds, as the server counts them */
	int64_t		merchant_id;
} PayHint;

typedef struct PayHintRing
{
	uint32_t	head;			/* the next to be taken; counts without end */
	uint32_t	tail;			/* the next to be written */
	int64_t		lost_from;		/* calls from this id on may be missing */
	PayHint		hints[PAY_HINT_RING];
} PayHintRing;

extern void pay_hint_clear(PayHintRing *ring);

/* Write n hints; lost_from says what the caller itself had no room for. */
extern void pay_hint_write(PayHintRing *ring, const PayHint *hints, int n,
						   int64_t lost_from);

/* Take at most max hints, oldest first, and what was lost. */
extern int	pay_hint_take(PayHintRing *ring, PayHint *hints, int max,
						  int64_t *lost_from);

#endif							/* PAY_HINT_H */
