/*
 * merchant.h
 *		Merchants: the limits that somebody set; merchant.c alone writes them.
 */
#ifndef PAY_MERCHANT_H
#define PAY_MERCHANT_H

#include "postgres.h"

#include "flow.h"

typedef struct PayMerchantLimits
{
	int64		merchant_id;
	PayFlowLimits limits;
} PayMerchantLimits;

/* Those of every merchant, by id.  palloc'ed; connects by itself. */
extern int	pay_merchant_limits_read(PayMerchantLimits **limits);

/* The table, to be told of its changes. */
extern Oid	pay_merchant_table(void);

#endif							/* PAY_MERCHANT_H */
