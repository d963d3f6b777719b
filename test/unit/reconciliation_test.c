/*
 * reconciliation_test.c
 *		Every movement of Toss's against everything that our books can say of it.
 */
#include "reconciliation.h"
#include "tap.h"

static const char *const statuses[] = {
	"DONE", "WAITING_FOR_DEPOSIT", "CANCELED", "PARTIAL_CANCELED",
	"READY", "IN_PROGRESS", "ABORTED", "EXPIRED", "NEW_STATUS", ""
};

#define N_STATUSES	(sizeof(statuses) / sizeof(statuses[0]))

/* Our order with this very payment: 1000 of the right currency. */
static PayOurs
ours_in(PayOrderState state)
{
	PayOurs		ours = {
		.knows_order = true,.knows_key = true,.same = true,
		.order_has_key = true,.same_currency = true,.amount = 1000000,
		.state = state
	};

	return ours;
}

static PayFinding
judge(const char *status, int64_t amount, const PayOurs *ours)
{
	PayTheirs	theirs = {status, amount};

	return pay_reconcile(&theirs, ours);
}

/* Rows: movement; columns: states in their order. */
static const struct
{
	const char *status;
	PayFinding	expected[PAY_ORDER_STATES];
}			known[] =
{
#define ASK			PAY_FINDING_ASK
#define NONE		PAY_FINDING_NONE
#define FAILED		PAY_FINDING_FAILED_HERE
#define UNCONFIRMED	PAY_FINDING_NOT_CONFIRMED
	{"DONE", {UNCONFIRMED, ASK, NONE, FAILED, ASK}},
	{"WAITING_FOR_DEPOSIT", {UNCONFIRMED, ASK, NONE, FAILED, ASK}},
	{"CANCELED", {NONE, ASK, PAY_FINDING_CANCELED_THERE, NONE, ASK}},
	{"PARTIAL_CANCELED", {UNCONFIRMED, ASK, PAY_FINDING_CANCELED_THERE, FAILED, ASK}},
	{"READY", {NONE, NONE, NONE, NONE, NONE}},
	{"IN_PROGRESS", {NONE, NONE, NONE, NONE, NONE}},
	{"ABORTED", {NONE, NONE, NONE, NONE, NONE}},
	{"EXPIRED", {NONE, NONE, NONE, NONE, NONE}},
};

static void
test_known(void)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		for (int state = 0; state < PAY_ORDER_STATES; state++)
		{
			PayOurs		ours = ours_in(state);
			PayFinding	found = judge(known[i].status, 1000000, &ours);

			tap_check(found == known[i].expected[state], "%s, %s: %s",
					  known[i].status, pay_order_state_name(state),
					  pay_finding_name(found));
		}
	}
	tap_checked("a payment of ours, by status and state");
}

static void
test_amounts(void)
{
	static const struct
	{
		const char *status;
		int64_t		amount;
		bool		agrees;
	}			amounts[] =
	{
		{"DONE", 1000000, true}, {"DONE", 999999, false}, {"DONE", 1000001, false}, {"DONE", 0, false},
		{"WAITING_FOR_DEPOSIT", 0, true}, {"WAITING_FOR_DEPOSIT", 1000000, true}, {"WAITING_FOR_DEPOSIT", 1, false},
		{"CANCELED", 1000000, true}, {"CANCELED", 500000, false}, {"CANCELED", 0, false},
		{"PARTIAL_CANCELED", 1, true}, {"PARTIAL_CANCELED", 1000000, true},
		{"PARTIAL_CANCELED", 1000001, false}, {"PARTIAL_CANCELED", 0, false},
	};

	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
	{
		for (int state = 0; state < PAY_ORDER_STATES; state++)
		{
			PayOurs		ours = ours_in(state);

			tap_check((judge(amounts[i].status, amounts[i].amount, &ours) ==
					   PAY_FINDING_OTHER_AMOUNT) == !amounts[i].agrees,
					  "%s %lld", amounts[i].status, (long long) amounts[i].amount);
			ours.same_currency = false;
			tap_check(judge(amounts[i].status, amounts[i].amount, &ours) ==
					  PAY_FINDING_OTHER_AMOUNT, "%s, other currency", amounts[i].status);
		}
	}
	tap_checked("amounts and currencies, whatever the state");
}

static void
test_details(void)
{
	PayOurs		ours = ours_in(PAY_ORDER_SUCCESS);

	ours.canceled = true;
	ok(judge("CANCELED", 1000000, &ours) == NONE &&
	   judge("PARTIAL_CANCELED", 1000, &ours) == NONE, "a cancel that is booked agrees");
	ours.canceled = false;
	ours.after_approval = true;
	ok(judge("WAITING_FOR_DEPOSIT", 0, &ours) == PAY_FINDING_DEPOSIT_REVERSED,
	   "an account behind the approval: the deposit was reversed");
	ours = ours_in(PAY_ORDER_EXECUTING);
	ours.waits = true;
	ok(judge("WAITING_FOR_DEPOSIT", 0, &ours) == NONE &&
	   judge("DONE", 1000000, &ours) == ASK, "who waits for a deposit asks when there is one");
	ours = ours_in(PAY_ORDER_FAILURE);
	ours.has_account = true;
	ok(judge("WAITING_FOR_DEPOSIT", 0, &ours) == NONE &&
	   judge("DONE", 1000000, &ours) == FAILED, "an account into which nobody paid took nothing; a deposit is money");
	ours.deposited = true;
	ok(judge("DONE", 1000000, &ours) == NONE &&
	   judge("WAITING_FOR_DEPOSIT", 0, &ours) == NONE &&
	   judge("PARTIAL_CANCELED", 1000, &ours) == FAILED, "which may be booked, late");
}

/* What is not the payment of one order of ours: money there is a finding. */
static void
test_foreign(void)
{
	for (size_t i = 0; i < N_STATUSES; i++)
	{
		bool		moved = i < 4;
		bool		undone = i == 2;

		for (int bits = 0; bits < 8; bits++)
		{
			PayOurs		ours = {
				.knows_order = bits & 1,.order_has_key = (bits & 3) == 3,
				.knows_key = bits & 4,.state = PAY_ORDER_UNKNOWN
			};
			PayFinding	found = judge(statuses[i], 1000, &ours);
			PayFinding	expected = i >= 8 ? PAY_FINDING_UNKNOWN_STATUS :
			!moved || undone ? NONE :
			ours.knows_key ? PAY_FINDING_OTHER_ORDER :
			ours.order_has_key ? PAY_FINDING_OTHER_PAYMENT :
			ours.knows_order ? UNCONFIRMED : PAY_FINDING_UNKNOWN_PAYMENT;

			tap_check(found == expected, "%s, %d: %s", statuses[i], bits,
					  pay_finding_name(found));
		}
	}
	tap_checked("payments that are none of ours");

	{
		PayOurs		ours = {.knows_order = true,.state = PAY_ORDER_FAILURE};

		ok(judge("DONE", 1000, &ours) == FAILED,
		   "an order that failed before it was confirmed has failed");
	}

	for (size_t i = 0; i < N_STATUSES; i++)
	{
		PayTheirs	theirs = {statuses[i], 1};

		tap_check(pay_reconcile_undoes(&theirs) == (i == 2), "%s", statuses[i]);
	}
	tap_checked("a full cancel undoes, and nothing else");
}

int
main(void)
{
	test_known();
	test_amounts();
	test_details();
	test_foreign();
	return tap_end();
}
