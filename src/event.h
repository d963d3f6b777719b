/*
 * event.h
 *		The outbox; event.c is its only writer and reader.
 */
#ifndef PAY_EVENT_H
#define PAY_EVENT_H

#include "postgres.h"

#include "utils/timestamp.h"

typedef struct PayEvent
{
	const char *kind;			/* "payment.confirmed" ... */
	const char *order_id;
	char	   *payload;		/* JSON text */
} PayEvent;

/* Append events in this transaction.  Needs pay_db_connect. */
extern void pay_event_write(const PayEvent *events, int n, TimestampTz now);

#endif							/* PAY_EVENT_H */
