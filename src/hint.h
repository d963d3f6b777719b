/*
 * hint.h
 *		A ring of hints: calls that were queued, for the worker to look at.
 *
 * Those who queue calls write hints behind their commit, the worker takes them;
 * both under a lock of the caller's, and neither allocates or fails.  A hint
 * may be wrong (its row rolled back with a savepoint, or taken already) and may
 * be lost: of what did not fit the number and the smallest id are remembered,
 * and the worker then reads the table from there.
 */
#ifndef PAY_HINT_H
#define PAY_HINT_H

#include <stdint.h>

#define PAY_HINT_RING	4096	/* a power of two */

#define PAY_HINT_NONE	INT64_MAX
#define PAY_HINT_NO_LOSS	((PayHintLoss) {PAY_HINT_NONE, 0})

typedef struct PayHint
{
	int64_t		call_id;		/* 0: the merchant itself has changed */
	int64_t		due_at;			/* microseconds, as the server counts them */
	int64_t		merchant_id;
} PayHint;

/* Hints that were lost: calls from this id on may be missing. */
typedef struct PayHintLoss
{
	int64_t		from;			/* PAY_HINT_NONE: none */
	int64_t		n;
} PayHintLoss;

typedef struct PayHintRing
{
	uint32_t	head;			/* the next to be taken; counts without end */
	uint32_t	tail;			/* the next to be written */
	PayHintLoss loss;
	PayHint		hints[PAY_HINT_RING];
} PayHintRing;

extern void pay_hint_clear(PayHintRing *ring);

/* Remember one more that was lost. */
extern void pay_hint_lose(PayHintLoss *loss, int64_t call_id);

/* Write n hints; loss says what the caller itself had no room for. */
extern void pay_hint_write(PayHintRing *ring, const PayHint *hints, int n,
						   PayHintLoss loss);

/* Take at most max hints, oldest first, and what was lost. */
extern int	pay_hint_take(PayHintRing *ring, PayHint *hints, int max,
						  PayHintLoss *loss);

#endif							/* PAY_HINT_H */
