/*
 * deposit.h
 *		Virtual accounts: what a buyer is to pay into, and what came in.
 *
 * deposit.c is the only writer of their tables.  All functions need
 * pay_db_connect and the locks of the orders' events.
 */
#ifndef PAY_DEPOSIT_H
#define PAY_DEPOSIT_H

#include "postgres.h"

#include "order.h"
#include "psp_call.h"
#include "utils/timestamp.h"

/*
 * For settle.c: what these results say of accounts.  Those that are new are
 * written down, and told; one whose deposit made its order SUCCESS has that as
 * its first movement, one that is closed says so.  counts[i] tells whether
 * results[i] counts, outcomes[i] what it did to its order.
 */
extern void pay_deposit_settle(const PayResult *results,
							   const PayOrderOutcome *outcomes,
							   const bool *counts, int n, TimestampTz now);

/* A person said that the order was paid; nothing when it has no account. */
extern void pay_deposit_resolved(const PayOrder *order, TimestampTz at,
								 TimestampTz now);

#endif							/* PAY_DEPOSIT_H */
