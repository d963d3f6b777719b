/*-------------------------------------------------------------------------
 *
 * webhook.h
 *	  A webhook: when it is sent, and what.
 *
 *-------------------------------------------------------------------------
 */
#ifndef WEBHOOK_H
#define WEBHOOK_H

#include "simulator.h"

typedef enum WebhookKind
{
	WEBHOOK_PAYMENT,			/* PAYMENT_STATUS_CHANGED */
	WEBHOOK_DEPOSIT,			/* DEPOSIT_CALLBACK */
	WEBHOOK_PAYOUT,				/* payout.changed, signed */
	WEBHOOK_RAW					/* a body of the test's own */
} WebhookKind;

typedef enum WebhookState
{
	WEBHOOK_WAITS,
	WEBHOOK_DELIVERED,
	WEBHOOK_GIVEN_UP,
	WEBHOOK_LOST
} WebhookState;

typedef struct Webhook
{
	struct Webhook *next;
	int64_t		number;
	WebhookKind kind;
	WebhookState state;
	Payment    *payment;		/* NULL for those that are about none */
	int			version;
	char	   *raw;			/* of WEBHOOK_RAW */
	bool		forged;
	int64_t		created_at;		/* sim_clock_now */
	int64_t		not_before;		/* sim_clock_monotonic, or 0 */
	int64_t		due;			/* sim_clock_now, or 0 */
	int			tries;
	int			status;			/* of the last try; 0: no answer */
	uint64_t	id_seed;
} Webhook;

/* webhook_text.c: the lock must be held. */
extern void sim_webhook_write_body(Text *out, const Webhook *webhook);

/* The headers of the next try, each on its line, or as members of an object. */
extern void sim_webhook_write_headers(Text *out, const Webhook *webhook,
									  const Text *body, bool as_json);

#endif							/* WEBHOOK_H */
