/*
 * order_history.h
 *		The history of payment orders; order_history.c is its only writer.
 */
#ifndef PAY_ORDER_HISTORY_H
#define PAY_ORDER_HISTORY_H

#include "postgres.h"

#include "order_state.h"
#include "utils/timestamp.h"

/* A payment order went from one state to another. */
typedef struct PayOrderTransition
{
	const char *order_id;
	int64		payment_order_id;
	PayOrderState from;
	PayOrderState to;
	const char *reason;			/* or NULL */
} PayOrderTransition;

extern void pay_order_history_write(const PayOrderTransition *transitions,
									int n, TimestampTz now);

/* Set in the worker, so that the history names it as the actor. */
extern const char *pay_order_actor;

#endif							/* PAY_ORDER_HISTORY_H */
