/*
 * refund_foreign.c
 *		Cancels that are not ours: what was taken back without us.
 *
 * Somebody cancels a payment in the PSP's dashboard, and the next answer that
 * shows the payment shows it.  That money is gone, so it is booked as a fact:
 * over the lines in proportion to what is left of them, into a wallet's debt if
 * need be, under the cancel's own key, so once.
 *
 * What is open is in the way only when both do not fit into what was paid.
 * Refunds that still wait for their turn fail then, the newest first; the one
 * whose call is open is left to its own answer, which shows the cancel again.
 *
 * A cancel is ours when it is the one that a refund was done by, or ends in the
 * token of one that is open.  With the token of one that failed it is a fact like
 * any other: whoever said that it failed was wrong, and here it comes to light.
 * So is a second one with the token of one that is done: executed twice, or by a
 * person who took over its reason; that money is gone, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "deposit.h"
#include "psp_answer.h"
#include "refund.h"

#define ELSEWHERE_CODE	"CANCELED_ELSEWHERE"
#define NO_REASON		"canceled at the PSP"

/* What the answers of a turn come to, while they are collected. */
typedef struct Found
{
	PayRefundOutcome *outcomes;
	int			n;
	int			room;
} Found;

/* A refund of an order that is open, waiting for its turn. */
typedef struct Waiting
{
	int64		id;
	int64		amount;
} Waiting;

static bool is_paid(const char *order_id);
static bool is_known(const PayOrder *order, const PayTossCancel *cancel);
static bool read_amount(const PayTossCancel *cancel, const PayOrder *order,
						int64 *amount);
static void take(Found *found, const PayResult *result, const PayOrder *order,
				 const PayTossCancel *cancel, TimestampTz now);
static bool is_undecided(const PayResult *result);
static int	read_rest(const Found *found, const PayOrder *order,
					  PayRefundable **lines, int64 *left);
static void give_back(PayRefundable *lines, int n,
					  const PayRefundOutcome *outcome, int sign);
static void make_room(Found *found, const PayOrder *order,
					  PayRefundable *lines, int n, int64 *left, int64 amount);
static PayRefundOutcome *add(Found *found);
static char *reason_text(const char *reason);

/* Adds to the outcomes of refunds of ours; returns how many there are then. */
int
pay_refund_add_foreign(const PayResult *results, const PayOrder *orders,
					   const bool *counts, int n, TimestampTz now,
					   PayRefundOutcome **outcomes, int n_outcomes)
{
	Found		found = {*outcomes, n_outcomes, Max(n, 1)};

	for (int i = 0; i < n; i++)
	{
		const PayTossBody *body = &results[i].body;

		if (!counts[i] || !results[i].answer.is_verified ||
			body->n_cancels == 0 || pay_toss_is_withdrawn(body) ||
			!is_paid(orders[i].order_id))
			continue;
		for (int c = 0; c < body->n_cancels; c++)
			if (!is_known(&orders[i], &body->cancels[c]))
				take(&found, &results[i], &orders[i], &body->cancels[c], now);
	}
	*outcomes = found.outcomes;
	return found.n;
}

/*
 * Before that there is nothing that could be taken back.  Nor is there when the
 * bank has taken a deposit back: the cancel of an account that waits moves no
 * money (and may show that first: deposit_turn.c).
 */
static bool
is_paid(const char *order_id)
{
	PayOrderState state;
	int			n;

	if (!pay_order_state(order_id, true, &state, NULL) ||
		state != PAY_ORDER_SUCCESS)
		return false;
	n = pay_deposit_movements(order_id);
	return n <= 0 || n % 2 == 1;
}

/*
 * Is it not done, or booked, or will its own refund be?  One that somebody
 * booked by hand is booked.
 */
static bool
is_known(const PayOrder *order, const PayTossCancel *cancel)
{
	static PayStatement read = {
		"SELECT EXISTS (SELECT FROM payments.refund r WHERE r.order_id OPERATOR(pg_catalog.=) $1"
		" AND (r.transaction_key OPERATOR(pg_catalog.=) $2"
		" OR r.refund_status OPERATOR(pg_catalog.<>) ALL (ARRAY['FAILURE', 'SUCCESS']::payments.refund_status[])"
		" AND pg_catalog.right($3, pg_catalog.length(r.token) OPERATOR(pg_catalog.+) 5)"
		" OPERATOR(pg_catalog.=) pg_catalog.concat('[rf:', r.token, ']')))"
		" OR EXISTS (SELECT FROM payments.ledger_transaction t"
		" WHERE t.transaction_key OPERATOR(pg_catalog.=) pg_catalog.concat('cancel:', $2))",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	if (cancel->status == NULL || strcmp(cancel->status, "DONE") != 0 ||
		cancel->transaction_key == NULL)
		return true;
	values[0] = CStringGetTextDatum(order->order_id);
	values[1] = CStringGetTextDatum(pay_psp_answer_text(cancel->transaction_key,
														PAY_MAX_TRANSACTION_KEY));
	values[2] = CStringGetTextDatum(cancel->reason == NULL ? "" :
									pay_psp_answer_text(cancel->reason, 1000));
	pay_db_run(&read, values, NULL);
	return pay_db_bool(0, 1);
}

/* One that cannot be read stays for reconciliation to find. */
static bool
read_amount(const PayTossCancel *cancel, const PayOrder *order, int64 *amount)
{
	return cancel->amount != NULL &&
		pay_money_read(cancel->amount, strlen(cancel->amount),
					   order->minor_units, amount) == PAY_MONEY_OK &&
		*amount > 0 && *amount <= order->amount;
}

/* Write the refund down, and say what is to be booked. */
static void
take(Found *found, const PayResult *result, const PayOrder *order,
	 const PayTossCancel *cancel, TimestampTz now)
{
	PayRefund	refund = {0};
	PayRefundOutcome *outcome;
	PayRefundable *lines;
	int64	   *most;
	int64	   *parts;
	int64		left;
	int			n;

	if (!read_amount(cancel, order, &refund.amount))
		return;
	n = read_rest(found, order, &lines, &left);
	if (!is_undecided(result))
		make_room(found, order, lines, n, &left, refund.amount);
	if (left < refund.amount)
		return;

	most = palloc(sizeof(int64) * n);
	parts = palloc(sizeof(int64) * n);
	for (int i = 0; i < n; i++)
		most[i] = lines[i].amount - lines[i].returned;
	if (!pay_money_split(refund.amount, most, n, order->minor_units, parts))
		elog(ERROR, "could not split a cancel of order \"%s\"",
			 order->order_id);
	pay_refund_choose(order, lines, n, parts, &refund);
	refund.reason = reason_text(cancel->reason);
	refund.request = "{}";
	refund.requested_by = "PSP";
	refund.origin = PAY_REFUND_BY_PSP;
	refund.proof_call_id = result->claim->call_id;
	refund.proof_attempt_no = result->claim->attempt_no;
	pay_refund_insert_fact(order, &refund, now);

	outcome = add(found);
	outcome->order = order;
	outcome->refund_id = refund.id;
	outcome->amount = refund.amount;
	outcome->state = PAY_REFUND_SUCCESS;
	outcome->is_fact = true;
	outcome->reason = pstrdup("canceled at the PSP, not by us");
	outcome->told_reason = refund.reason;
	pay_refund_fill_proof(outcome, cancel, now);
	outcome->n_lines = refund.n_lines;
	outcome->lines = refund.lines;
}

/* Is a refund of ours under way still, which may come to nothing? */
static bool
is_undecided(const PayResult *result)
{
	return result->claim->refund_id != 0 &&
		!pay_action_closes(result->decision.action);
}

/* What is left of the lines behind what this turn has come to so far */
static int
read_rest(const Found *found, const PayOrder *order, PayRefundable **lines,
		  int64 *left)
{
	int			n = pay_refund_lines(order->order_id, lines);

	for (int i = 0; i < found->n; i++)
	{
		const PayRefundOutcome *outcome = &found->outcomes[i];

		if (outcome->order == order && outcome->state == PAY_REFUND_FAILURE)
			give_back(*lines, n, outcome, 1);
		else if (outcome->order == order && outcome->is_fact)
			give_back(*lines, n, outcome, -1);
	}
	*left = 0;
	for (int i = 0; i < n; i++)
		*left += (*lines)[i].amount - (*lines)[i].returned;
	return n;
}

/*
 * sign 1: it is free again; -1: it is taken, and the counters do not say so yet
 * (the commission is counted where the lines are).
 */
static void
give_back(PayRefundable *lines, int n, const PayRefundOutcome *outcome,
		  int sign)
{
	for (int l = 0; l < outcome->n_lines; l++)
	{
		const PayRefundLine *line = &outcome->lines[l];

		for (int i = 0; i < n; i++)
		{
			if (lines[i].payment_order_id != line->payment_order_id)
				continue;
			lines[i].returned -= sign * line->amount;
			if (sign > 0)
				lines[i].commission_returned -= line->commission;
		}
	}
}

/* Let those fail that wait for their turn, as many as are in the way. */
static void
make_room(Found *found, const PayOrder *order, PayRefundable *lines, int n,
		  int64 *left, int64 amount)
{
	static PayStatement read = {
		"SELECT id, amount FROM payments.refund WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND refund_status OPERATOR(pg_catalog.=) 'REQUESTED' ORDER BY id DESC",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order->order_id)};
	Waiting    *waiting;
	int			n_waiting;

	if (*left >= amount)
		return;
	n_waiting = (int) pay_db_run(&read, values, NULL);
	waiting = palloc(sizeof(Waiting) * Max(n_waiting, 1));
	for (int i = 0; i < n_waiting; i++)
		waiting[i] = (Waiting) {pay_db_int64(i, 1), pay_db_mills(i, 2)};

	for (int i = 0; i < n_waiting && *left < amount; i++)
	{
		PayRefundOutcome *outcome;
		bool		is_failed = false;

		for (int o = 0; o < found->n; o++)
			is_failed |= found->outcomes[o].refund_id == waiting[i].id;
		if (is_failed)
			continue;
		outcome = add(found);
		outcome->order = order;
		outcome->refund_id = waiting[i].id;
		outcome->amount = waiting[i].amount;
		outcome->state = PAY_REFUND_FAILURE;
		outcome->reason = pstrdup("canceled at the PSP, not by us");
		outcome->code = pstrdup(ELSEWHERE_CODE);
		pay_refund_read_lines(outcome, 1);
		give_back(lines, n, outcome, 1);
		*left += waiting[i].amount;
	}
}

static PayRefundOutcome *
add(Found *found)
{
	if (found->n == found->room)
	{
		found->room *= 2;
		found->outcomes = repalloc(found->outcomes,
								   sizeof(PayRefundOutcome) * found->room);
	}
	memset(&found->outcomes[found->n], 0, sizeof(PayRefundOutcome));
	return &found->outcomes[found->n++];
}

/* In one line that is not too long. */
static char *
reason_text(const char *reason)
{
	char	   *text = reason == NULL ? NULL : pay_psp_answer_text(reason, 1000);

	if (text == NULL || text[strspn(text, " \t\r\n")] == '\0')
		return pstrdup(NO_REASON);
	text[pg_mbcharcliplen(text, strlen(text), PAY_TOSS_MAX_REASON)] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			*p = ' ';
	return text;
}
