/*
 * order_status.h
 *		The state of an order as SQL sees it.
 */
#ifndef PAY_ORDER_STATUS_H
#define PAY_ORDER_STATUS_H

#include "order.h"

/* A value of payments.payment_order_status. */
extern Datum pay_order_status_datum(PayOrderState state);
extern PayOrderState pay_order_status_from_datum(Datum status);

/* PY007 unless the order waits for its payment, PY006 when it expired. */
extern void pay_order_must_be_open(const PayOrder *order, PayOrderState state,
								   TimestampTz now);

/* PY008... unless the state machine has this transition. */
extern void pay_order_must_allow(const char *order_id, PayOrderState from,
								 PayOrderState to);

#endif							/* PAY_ORDER_STATUS_H */
