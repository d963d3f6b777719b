/*
 * reconciliation.c
 *		Does a movement that Toss has agree with our books?
 *
 * Looked at is one movement at a time, because that is what the list has: what
 * a payment comes to may lie outside of the period.  The sign of an amount is
 * the status, never the number (toss-api 11.1).
 *
 * An order that is open is never a finding by its state: the worker asks Toss
 * about it, and believes that.  What was cancelled as a whole and never booked
 * here is no money of anybody's.  And an account into which nobody paid in time
 * has taken none; what came into it late is booked for the buyer.
 *
 * test/unit/reconciliation_test.c walks all combinations.
 */
#include "reconciliation.h"

#include <stddef.h>
#include <string.h>

typedef enum Movement
{
	PAID,
	ISSUED,						/* an account to pay into */
	CANCELED,					/* all of it at once */
	PARTLY_CANCELED,			/* perhaps the last part */
	NOTHING,					/* no money moved */
	UNKNOWN
} Movement;

static const struct
{
	const char *status;
	Movement	movement;
}			movements[] =

{
	{"DONE", PAID},
	{"WAITING_FOR_DEPOSIT", ISSUED},
	{"CANCELED", CANCELED},
	{"PARTIAL_CANCELED", PARTLY_CANCELED},
	{"READY", NOTHING},
	{"IN_PROGRESS", NOTHING},
	{"ABORTED", NOTHING},
	{"EXPIRED", NOTHING},
};

static const char *const finding_names[] = {
	[PAY_FINDING_NONE] = "none",
	[PAY_FINDING_ASK] = "ask",
	[PAY_FINDING_UNKNOWN_PAYMENT] = "unknown payment",
	[PAY_FINDING_NOT_CONFIRMED] = "not confirmed here",
	[PAY_FINDING_OTHER_PAYMENT] = "other payment",
	[PAY_FINDING_OTHER_ORDER] = "other order",
	[PAY_FINDING_OTHER_AMOUNT] = "other amount",
	[PAY_FINDING_FAILED_HERE] = "failed here",
	[PAY_FINDING_CANCELED_THERE] = "canceled there",
	[PAY_FINDING_DEPOSIT_REVERSED] = "deposit reversed",
	[PAY_FINDING_UNKNOWN_STATUS] = "unknown status",
	[PAY_FINDING_UNREADABLE] = "unreadable",
};

static PayFinding compare(Movement movement, const PayTheirs *theirs,
						  const PayOurs *ours);
static bool same_amount(Movement movement, int64_t theirs, int64_t ours);

static Movement
movement_of(const char *status)
{
	for (size_t i = 0; i < sizeof(movements) / sizeof(movements[0]); i++)
	{
		if (strcmp(movements[i].status, status) == 0)
			return movements[i].movement;
	}
	return UNKNOWN;
}

PayFinding
pay_reconcile(const PayTheirs *theirs, const PayOurs *ours)
{
	Movement	movement = movement_of(theirs->status);

	if (movement == UNKNOWN)
		return PAY_FINDING_UNKNOWN_STATUS;
	if (movement == NOTHING)
		return PAY_FINDING_NONE;
	if (ours->same)
		return compare(movement, theirs, ours);
	if (movement == CANCELED)
		return PAY_FINDING_NONE;
	if (ours->knows_key)
		return PAY_FINDING_OTHER_ORDER;
	if (!ours->knows_order)
		return PAY_FINDING_UNKNOWN_PAYMENT;
	if (ours->order_has_key)
		return PAY_FINDING_OTHER_PAYMENT;
	return ours->state == PAY_ORDER_FAILURE ? PAY_FINDING_FAILED_HERE :
		PAY_FINDING_NOT_CONFIRMED;
}

/* Of the very payment of our order */
static PayFinding
compare(Movement movement, const PayTheirs *theirs, const PayOurs *ours)
{
	if (!ours->same_currency ||
		!same_amount(movement, theirs->amount, ours->amount))
		return PAY_FINDING_OTHER_AMOUNT;

	switch (ours->state)
	{
		case PAY_ORDER_NOT_STARTED:
			return movement == CANCELED ? PAY_FINDING_NONE :
				PAY_FINDING_NOT_CONFIRMED;
		case PAY_ORDER_EXECUTING:
		case PAY_ORDER_UNKNOWN:
			return movement == ISSUED && ours->waits ? PAY_FINDING_NONE :
				PAY_FINDING_ASK;
		case PAY_ORDER_FAILURE:
			return movement == CANCELED ||
				(movement == ISSUED && ours->has_account) ||
				(movement == PAID && ours->deposited) ?
				PAY_FINDING_NONE : PAY_FINDING_FAILED_HERE;
		case PAY_ORDER_SUCCESS:
			break;
	}
	if (movement == PAID)
		return PAY_FINDING_NONE;
	if (movement == ISSUED)
		return ours->after_approval && !ours->reversed ? PAY_FINDING_DEPOSIT_REVERSED :
			PAY_FINDING_NONE;
	return ours->canceled ? PAY_FINDING_NONE : PAY_FINDING_CANCELED_THERE;
}

/* An account is listed with nothing, or with what is to be paid. */
static bool
same_amount(Movement movement, int64_t theirs, int64_t ours)
{
	if (movement == PARTLY_CANCELED)
		return theirs > 0 && theirs <= ours;
	return theirs == ours || (movement == ISSUED && theirs == 0);
}

bool
pay_reconcile_undoes(const PayTheirs *theirs)
{
	return movement_of(theirs->status) == CANCELED;
}

const char *
pay_finding_name(PayFinding finding)
{
	return finding_names[finding];
}
