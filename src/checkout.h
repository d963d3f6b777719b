/*
 * checkout.h
 *		What the ways to make an order share.
 */
#ifndef PAY_CHECKOUT_H
#define PAY_CHECKOUT_H

#include "postgres.h"

#include "fmgr.h"

#include "order.h"

/* The prefix, and 128 random bits. */
extern char *pay_checkout_random_id(const char *prefix);

/* From now on until then.  Raises 22023 when that is no time to pay in. */
extern void pay_checkout_set_times(PayOrder *order, Interval *expires_in);

/* The row that checkout and its like return, in the current context. */
extern Datum pay_checkout_result(FunctionCallInfo fcinfo,
								 const PayOrder *order);

#endif							/* PAY_CHECKOUT_H */
