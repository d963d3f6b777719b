/*
 * event.h
 *		The outbox; event.c is its only writer and reader.
 */
#ifndef PAY_EVENT_H
#define PAY_EVENT_H

#include "postgres.h"

#include "order.h"
#include "utils/timestamp.h"

typedef struct PayEvent
{
	const char *kind;			/* "payment.confirmed" ... */
	const char *order_id;
	char	   *payload;		/* JSON text, or NULL: */
	Datum		json;			/* jsonb */
} PayEvent;

/* Append events in this transaction.  Needs pay_db_connect. */
extern void pay_event_write(const PayEvent *events, int n, TimestampTz now);

/*
 * The payload of an event about a payment: order_id, payment_key, amount,
 * currency, buyer_id, merchant, and code when not NULL.  palloc'ed.
 */
extern Datum pay_event_payment_json(const PayOrder *order,
									const char *code);

/* Append one event about a payment. */
extern void pay_event_write_payment(const char *kind, const PayOrder *order,
									const char *code, TimestampTz now);

#endif							/* PAY_EVENT_H */
