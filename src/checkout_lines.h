/*
 * checkout_lines.h
 *		The lines argument of payments.checkout.
 */
#ifndef PAY_CHECKOUT_LINES_H
#define PAY_CHECKOUT_LINES_H

#include "postgres.h"

#include "order.h"
#include "utils/jsonb.h"

/*
 * Read lines into order->lines, checking every field; order->currency and
 * order->minor_units are set before.  Raises 22023, 22003 or 22004, naming the
 * line and the field.
 */
extern void pay_checkout_lines_read(Jsonb *lines, PayOrder *order);

#endif							/* PAY_CHECKOUT_LINES_H */
