/*
 * settle.h
 *		The settling transaction: results of the PSP become orders' states,
 *		history, ledger transactions, wallets and events, and calls close.
 */
#ifndef PAY_SETTLE_H
#define PAY_SETTLE_H

#include "order.h"
#include "psp_call.h"
#include "refund.h"

/*
 * Apply n results (decision filled in) set by set, inside the caller's
 * transaction, after pay_db_connect.  Locks events, then orders, then queue
 * rows, then balances and wallets, each in key order.  Results whose attempt
 * no longer belongs to epoch are recorded as evidence and change nothing else.
 * Results whose event another session has locked are not waited for: they are
 * moved behind the others, and *n_settled is the number of those before them.
 * Returns the number of results that ended their order.
 */
extern int	pay_settle(PayResult *results, int n, int64 epoch,
					   TimestampTz now, int *n_settled);

/*
 * What outcomes change, but for calls: ledger, wallets, events, orders.  The
 * events are locked, and orders[i] is the order of outcomes[i].
 */
extern void pay_settle_outcomes(const PayOrder *orders,
								const PayOrderOutcome *outcomes, int n,
								TimestampTz now);

/* The same for a refund. */
extern void pay_settle_refund(const PayRefundOutcome *outcome,
							  TimestampTz now);

#endif							/* PAY_SETTLE_H */
