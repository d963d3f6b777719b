/*
 * toss_webhook.h
 *		What Toss tells by itself: three envelopes, read into one struct.
 *
 * Anybody can send such a body; what is read out of it is no more than what
 * somebody said.  Pure like toss_parse.h.
 */
#ifndef PAY_TOSS_WEBHOOK_H
#define PAY_TOSS_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAY_TOSS_MAX_WEBHOOK	(64 * 1024)

typedef enum PayTossWebhookKind
{
	PAY_WEBHOOK_PAYMENT,		/* PAYMENT_STATUS_CHANGED: nothing proves it */
	PAY_WEBHOOK_DEPOSIT,		/* DEPOSIT_CALLBACK: proved by the secret */
	PAY_WEBHOOK_SIGNED,			/* payout.changed, seller.changed: by an HMAC */
	PAY_WEBHOOK_OTHER,			/* an event about no payment of an order */
	PAY_WEBHOOK_GARBAGE			/* anything else; see reason */
} PayTossWebhookKind;

/*
 * Texts are NULL when they are missing or not of their form; those that are
 * there are short, and visible ASCII.  They are in the current memory context.
 */
typedef struct PayTossWebhook
{
	PayTossWebhookKind kind;
	const char *reason;			/* static text, why it is garbage; or NULL */
	const char *event_type;		/* "DEPOSIT_CALLBACK" for what has no name */
	char	   *payment_key;	/* of a payment */
	char	   *order_id;		/* of a payment and a deposit */
	char	   *status;			/* likewise */
	char	   *transaction_key;	/* the last one, likewise, or NULL */
	char	   *event_id;		/* of the third envelope */
	char	   *secret;			/* never logged, never stored */
	bool		has_time;
	int64_t		created_us;		/* since 1970 */
} PayTossWebhook;

/*
 * Read body[0..len), never raising an error.  Garbage is what toss_parse.h calls
 * so, an envelope that is none of the three, and one of a payment or a deposit
 * without what it is about.
 */
extern void pay_toss_webhook_read(const char *body, size_t len,
								  PayTossWebhook *out);

#endif							/* PAY_TOSS_WEBHOOK_H */
