/*
 * inbox.h
 *		The inbox: webhooks that came in, and what came of them.
 *
 * inbox.c is the only writer of its tables.  All functions need pay_db_connect.
 */
#ifndef PAY_INBOX_H
#define PAY_INBOX_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "psp_call.h"
#include "toss_webhook.h"

/* How far a webhook is believed; the names are those of the table. */
typedef enum PayInboxVerdict
{
	PAY_INBOX_HINT,				/* nothing proves it: Toss is asked */
	PAY_INBOX_PROVED,			/* it has the payment's secret: so it is, too */
	PAY_INBOX_FORGED,			/* it has another secret, or no signature */
	PAY_INBOX_UNKNOWN_ORDER,
	PAY_INBOX_OTHER_PAYMENT,	/* of the order, which has another one */
	PAY_INBOX_TOO_MANY,			/* others of the order wait already */
	PAY_INBOX_UNVERIFIED,		/* it has a signature, perhaps */
	PAY_INBOX_NO_ORDER,			/* an event about no order */
	PAY_INBOX_GARBAGE
} PayInboxVerdict;

typedef struct PayInboxMessage
{
	const PayTossWebhook *webhook;
	const char *body;
	size_t		body_size;
	const char *transmission_id;	/* or NULL */
	int			retried_count;	/* -1: not said */
	const char *signature;		/* or NULL */
	const char *signed_at;		/* or NULL */
} PayInboxMessage;

/* What there is about the order that a webhook names, and the verdict. */
extern PayInboxVerdict pay_inbox_judge(const PayTossWebhook *webhook);

/*
 * Write it down; false when the same bytes, or the same news as the newest of
 * the order, are there already.  One that is believed is queued for the worker.
 */
extern bool pay_inbox_insert(const PayInboxMessage *message,
							 PayInboxVerdict verdict, TimestampTz now);

/* Was anything queued, so that the worker should look? */
extern bool pay_inbox_is_queued(PayInboxVerdict verdict);

/* What Toss gave with these results: digests of secrets, for later webhooks. */
extern void pay_inbox_learn_secrets(const PayResult *results, int n,
									TimestampTz now);

/*
 * The worker's part: decide about up to max of the webhooks that are due, and
 * return how many there were.  Rows that somebody has locked are passed over.
 */
extern int	pay_inbox_work(int max, TimestampTz now);

/* When the next is due; DT_NOEND: none waits. */
extern TimestampTz pay_inbox_next(void);

/* Delete bytes that are older than a month, up to max of them. */
extern void pay_inbox_erase(int max, TimestampTz now);

#endif							/* PAY_INBOX_H */
