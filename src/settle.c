/*
 * settle.c
 *		Step 8 of the flow: the settling transaction.
 *
 * Everything that a result of the PSP changes, in one commit: ledger, wallets,
 * refunds, orders with both flags, history and is_payment_done (by triggers), events,
 * the answer, the queue.  Statements work on arrays of all results of a turn;
 * an account or a wallet that occurs in many of them is updated once.
 *
 * What comes before what: the events are locked first and in key order, so two
 * turns cannot deadlock, and those that somebody holds are left for later, so
 * that nobody can hold up the others; the fence is read under those locks, and up
 * to the last step, which moves and deletes the queue's rows, nothing writes
 * these; answers are recorded whether or not they count; the books are written
 * before the flags that say so.  Dying anywhere before the commit leaves the queue
 * row in flight under a dead epoch, and the next run asks the PSP.
 */
#include "postgres.h"

#include "amount.h"
#include "db.h"
#include "deposit.h"
#include "event.h"
#include "fault.h"
#include "inbox.h"
#include "ledger.h"
#include "order.h"
#include "psp_answer.h"
#include "refund.h"
#include "settle.h"
#include "wallet.h"

static int	lock_orders(PayResult *results, int n, PayOrder *orders);
static void outcome_of(const PayResult *result, bool counts,
					   PayOrderOutcome *outcome);
static char *reason_of(const PayResult *result);
static void settle(const PayOrder *orders, const PayOrderOutcome *outcomes,
				   int n, const PayRefundOutcome *refunds, int n_refunds,
				   const PayDepositTurn *turns, int n_turns,
				   TimestampTz now);
static int	post_sales(const PayOrderOutcome *outcomes,
					   const PayOrderSale *sales, int n,
					   PayLedgerPosting *postings, TimestampTz now);
static void build_posting(PayLedgerPosting *posting, const char *order_id,
						  TimestampTz at, const PayOrderSale *sales, int n);
static int	credit_wallets(const PayOrderOutcome *outcomes,
						   const PayOrderSale *sales, int n,
						   PayWalletChange *changes);
static void let_next_go(const PayResult *results, int n, const bool *counts,
						TimestampTz now);
static void write_events(const PayOrder *orders,
						 const PayOrderOutcome *outcomes, int n,
						 TimestampTz now);

int
pay_settle(PayResult *results, int n, int64 epoch, TimestampTz now,
		   int *n_settled)
{
	PayOrderOutcome *outcomes;
	PayOrder   *orders;
	PayRefundOutcome *refunds;
	int			n_refunds;
	PayDepositTurn *turns;
	int			n_turns;
	bool	   *counts;
	int			ended = 0;

	pay_db_connect();
	orders = palloc(sizeof(PayOrder) * Max(n, 1));
	n = lock_orders(results, n, orders);
	*n_settled = n;
	if (n > 0)
	{
		outcomes = palloc0(sizeof(PayOrderOutcome) * n);
		counts = palloc(sizeof(bool) * n);
		pay_psp_call_fence(results, n, epoch, counts);
		pay_psp_call_record(results, n, counts);
		PAY_FAULT("result-recorded");

		for (int i = 0; i < n; i++)
		{
			outcome_of(&results[i], counts[i], &outcomes[i]);
			outcomes[i].order = &orders[i];
			if (pay_action_closes(results[i].decision.action) && counts[i] &&
				!results[i].claim->is_look)
				ended++;
		}
		n_refunds = pay_refund_outcomes(results, orders, counts, n, now,
										&refunds);
		n_refunds = pay_refund_add_foreign(results, orders, counts, n, now,
										   &refunds, n_refunds);
		n_turns = pay_deposit_turns(results, orders, counts, n, now, &turns);
		settle(orders, outcomes, n, refunds, n_refunds, turns, n_turns, now);
		pay_inbox_learn_secrets(results, n, now);
		pay_deposit_settle(results, outcomes, counts, n, now);
		pay_psp_call_move(results, n, counts, now);
		let_next_go(results, n, counts, now);
	}
	pay_db_finish();
	return ended;
}

/* What a person resolved. */
void
pay_settle_outcomes(const PayOrder *orders, const PayOrderOutcome *outcomes,
					int n, TimestampTz now)
{
	settle(orders, outcomes, n, NULL, 0, NULL, 0, now);
}

void
pay_settle_refund(const PayRefundOutcome *outcome, TimestampTz now)
{
	PayOrder	no_order = {0};
	PayOrderOutcome none = {&no_order};

	settle(&no_order, &none, 0, outcome, 1, NULL, 0, now);
}

/*
 * The books before the flags that say so.  Payments and refunds are booked at
 * once, since all balances are locked before all wallets.
 */
static void
settle(const PayOrder *orders, const PayOrderOutcome *outcomes, int n,
	   const PayRefundOutcome *refunds, int n_refunds,
	   const PayDepositTurn *turns, int n_turns, TimestampTz now)
{
	PayOrderSale *sales;
	int			n_sales = pay_order_read_sales(outcomes, n, &sales);
	PayLedgerPosting *postings = palloc0(sizeof(PayLedgerPosting) *
										 (n + n_refunds + n_turns));
	int			n_postings = post_sales(outcomes, sales, n_sales, postings,
										now);
	int			n_lines = n_sales;
	PayWalletChange *changes;
	int			n_changes;

	for (int i = 0; i < n_refunds; i++)
		n_lines += refunds[i].n_lines;
	for (int i = 0; i < n_turns; i++)
		n_lines += turns[i].n_lines;
	changes = palloc0(sizeof(PayWalletChange) * Max(2 * n_lines, 1));
	n_changes = credit_wallets(outcomes, sales, n_sales, changes);

	n_postings += pay_refund_postings(refunds, n_refunds,
									  &postings[n_postings]);
	n_changes += pay_refund_wallet_changes(refunds, n_refunds,
										   &changes[n_changes]);
	n_postings += pay_deposit_postings(turns, n_turns, &postings[n_postings]);
	n_changes += pay_deposit_wallet_changes(turns, n_turns,
											&changes[n_changes]);
	if (n_postings > 0)
		pay_ledger_post(postings, n_postings, now);
	pay_wallet_apply(changes, n_changes, now);
	PAY_FAULT("result-posted");
	write_events(orders, outcomes, n, now);
	pay_order_apply(outcomes, n, now);
	pay_refund_apply(refunds, n_refunds, now);
	pay_deposit_apply(turns, n_turns, now);
	PAY_FAULT("result-applied");
}

/*
 * Where a cancel, or a look, has ended, the next refund of the payment has its
 * turn.  None waits behind a confirm.
 */
static void
let_next_go(const PayResult *results, int n, const bool *counts,
			TimestampTz now)
{
	for (int i = 0; i < n; i++)
		if (counts[i] &&
			(results[i].claim->refund_id != 0 || results[i].claim->is_look) &&
			pay_action_closes(results[i].decision.action))
			pay_refund_next(results[i].claim->order_id, now);
}

/*
 * Lock the events of the results.  Those that somebody else has locked go to
 * the end, in results and orders alike; returns how many stand before them.
 */
static int
lock_orders(PayResult *results, int n, PayOrder *orders)
{
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));
	int			n_locked = 0;

	for (int i = 0; i < n; i++)
		order_ids[i] = results[i].claim->order_id;
	if (n == 0 || pay_order_lock_many(order_ids, n, orders) == n)
		return n;

	for (int i = 0; i < n; i++)
	{
		PayResult	result = results[i];

		if (orders[i].id == 0)
			continue;
		results[i] = results[n_locked];
		results[n_locked] = result;
		orders[n_locked++] = orders[i];
	}
	return n_locked;
}

/* What a result does to its order; one that does not count does nothing. */
static void
outcome_of(const PayResult *result, bool counts, PayOrderOutcome *outcome)
{
	const PayDecision *decision = &result->decision;
	bool		verified = result->answer.meaning == PAY_MEANS_APPROVED ||
	result->answer.meaning == PAY_MEANS_WAITING ||
	result->answer.meaning == PAY_MEANS_LAPSED ||
	result->answer.meaning == PAY_MEANS_CANCELED ||
	result->answer.meaning == PAY_MEANS_REFUNDED ||
	result->answer.meaning == PAY_MEANS_ABORTED;

	memset(outcome, 0, sizeof(PayOrderOutcome));
	outcome->order_id = result->claim->order_id;
	outcome->state = PAY_ORDER_EXECUTING;
	if (!counts)
		return;

	/* a cancel, or a look, leaves the orders as they are */
	if (result->claim->refund_id != 0 || result->claim->is_look)
		outcome->state = PAY_ORDER_EXECUTING;
	else if (decision->action == PAY_ACTION_SUCCEED)
		outcome->state = PAY_ORDER_SUCCESS;
	else if (decision->action == PAY_ACTION_FAIL)
		outcome->state = PAY_ORDER_FAILURE;
	else if (decision->orders_unknown)
		outcome->state = PAY_ORDER_UNKNOWN;
	outcome->reason = reason_of(result);
	if (outcome->state != PAY_ORDER_SUCCESS)
		outcome->code = result->answer.code;
	if (verified)
	{
		outcome->method = pay_psp_answer_text(result->body.method, 100);
		outcome->psp_status = pay_psp_answer_text(result->body.status, 100);
		outcome->response = result->response;
		if (result->claim->refund_id == 0 && !result->claim->is_look)
			outcome->approved_at = pay_psp_answer_time(result->body.approved_at);
	}
}

/* One line for the history: what was asked, and what it came to. */
static char *
reason_of(const PayResult *result)
{
	const char *code = result->answer.code;

	return psprintf("%s: %s%s%s",
					result->claim->request.operation == PAY_TOSS_CONFIRM ?
					"confirm" : "query",
					pay_toss_meaning_name(result->answer.meaning),
					code ? " " : "", code ? code : "");
}

/*
 * The books: one ledger transaction per event, one pair of entries per line.
 * Sales come ordered by outcome.
 */
static int
post_sales(const PayOrderOutcome *outcomes, const PayOrderSale *sales, int n,
		   PayLedgerPosting *postings, TimestampTz now)
{
	int			n_postings = 0;

	for (int first = 0; first < n;)
	{
		const PayOrderOutcome *outcome = &outcomes[sales[first].outcome];
		int			end = first;

		while (end < n && sales[end].outcome == sales[first].outcome)
			end++;
		build_posting(&postings[n_postings++], outcome->order_id,
					  outcome->approved_at ? outcome->approved_at : now,
					  &sales[first], end - first);
		first = end;
	}
	return n_postings;
}

/*
 * A captured payment (design section 6): the PSP took the buyer's money for
 * us, the buyer pays each seller, and a commission goes to the platform.
 */
static void
build_posting(PayLedgerPosting *posting, const char *order_id,
			  TimestampTz at, const PayOrderSale *sales, int n)
{
	const char *currency = sales[0].currency;
	char	   *psp = pay_ledger_house_account_code("psp:toss", currency);
	char	   *platform = pay_ledger_house_account_code("platform:commission",
														 currency);
	char	   *buyer = pay_ledger_account_code("buyer", sales[0].buyer_id,
												currency);
	PayLedgerEntry *entry = palloc(sizeof(PayLedgerEntry) * (2 + 4 * n));
	int64		total = 0;

	posting->transaction_key = psprintf("payment:%s", order_id);
	posting->kind = "payment.captured";
	posting->fact = true;
	posting->order_id = order_id;
	posting->effective_at = at;
	posting->entries = entry;

	for (int i = 0; i < n; i++)
		if (!pay_money_add(total, sales[i].amount, &total))
			elog(ERROR, "total of order \"%s\" is out of range", order_id);
	*entry++ = (PayLedgerEntry) {psp, currency, total};
	*entry++ = (PayLedgerEntry) {buyer, currency, -total};
	for (int i = 0; i < n; i++)
	{
		char	   *seller = pay_ledger_account_code("seller",
													 sales[i].seller_id,
													 currency);

		*entry++ = (PayLedgerEntry) {buyer, currency, sales[i].amount};
		*entry++ = (PayLedgerEntry) {seller, currency, -sales[i].amount};
		if (sales[i].commission > 0)
		{
			*entry++ = (PayLedgerEntry) {seller, currency, sales[i].commission};
			*entry++ = (PayLedgerEntry) {platform, currency, -sales[i].commission};
		}
	}
	posting->n_entries = (int) (entry - posting->entries);
}

static int
credit_wallets(const PayOrderOutcome *outcomes, const PayOrderSale *sales,
			   int n, PayWalletChange *changes)
{
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		PayWalletChange change = {
			sales[i].seller_id, sales[i].currency, "sale", sales[i].amount,
			outcomes[sales[i].outcome].order_id, sales[i].payment_order_id
		};

		changes[m++] = change;
		if (sales[i].commission == 0)
			continue;
		change.kind = "commission";
		change.amount = -sales[i].commission;
		changes[m++] = change;
	}
	return m;
}

/* confirmed and failed; completed is the trigger's, and comes after them. */
static void
write_events(const PayOrder *orders, const PayOrderOutcome *outcomes, int n,
			 TimestampTz now)
{
	PayEvent   *events = palloc0(sizeof(PayEvent) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		if (!pay_order_state_is_final(outcomes[i].state))
			continue;
		events[m].kind = outcomes[i].state == PAY_ORDER_SUCCESS ?
			"payment.confirmed" : "payment.failed";
		events[m].order_id = outcomes[i].order_id;
		events[m].json = pay_event_payment_json(&orders[i],
												outcomes[i].code);
		m++;
	}
	pay_event_write(events, m, now);
}
