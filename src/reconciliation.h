/*
 * reconciliation.h
 *		Does a movement that Toss has agree with our books?
 *
 * One pure function, so that every combination can be walked in a unit test.
 */
#ifndef PAY_RECONCILIATION_H
#define PAY_RECONCILIATION_H

#include <stdbool.h>
#include <stdint.h>

#include "order_state.h"

/* A row of Toss's list. */
typedef struct PayTheirs
{
	const char *status;
	int64_t		amount;			/* mills */
} PayTheirs;

/* What we know of its order id and its payment key. */
typedef struct PayOurs
{
	bool		knows_order;
	bool		knows_key;
	bool		same;			/* they belong to one order */
	bool		order_has_key;	/* the order was confirmed, with some key */
	bool		same_currency;
	int64_t		amount;			/* mills, of the order with the key */
	PayOrderState state;		/* of that order, or else of the one known */
	bool		after_approval; /* it came later than our approval */
	bool		canceled;		/* and its cancel is booked, or may be soon */
	bool		waits;			/* for a deposit */
	bool		reversed;		/* and its deposit's being taken back is
								 * booked */
	bool		has_account;	/* one was issued, and we know */
	bool		deposited;		/* it is a deposit that is booked */
} PayOurs;

/* What is wrong; each but the first two is a finding. */
typedef enum PayFinding
{
	PAY_FINDING_NONE,			/* it agrees */
	PAY_FINDING_ASK,			/* the order is open: Toss is to be asked */
	PAY_FINDING_UNKNOWN_PAYMENT,
	PAY_FINDING_NOT_CONFIRMED,
	PAY_FINDING_OTHER_PAYMENT,
	PAY_FINDING_OTHER_ORDER,
	PAY_FINDING_OTHER_AMOUNT,
	PAY_FINDING_FAILED_HERE,
	PAY_FINDING_CANCELED_THERE,
	PAY_FINDING_DEPOSIT_REVERSED,
	PAY_FINDING_UNKNOWN_STATUS,
	PAY_FINDING_UNREADABLE
} PayFinding;

extern PayFinding pay_reconcile(const PayTheirs *theirs, const PayOurs *ours);

/* A cancel of all there was: whatever nobody here knew of is undone. */
extern bool pay_reconcile_undoes(const PayTheirs *theirs);

extern const char *pay_finding_name(PayFinding finding);

#endif							/* PAY_RECONCILIATION_H */
