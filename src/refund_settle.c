/*
 * refund_settle.c
 *		What the answers to cancels do to refunds, many at a time.
 *
 * The second half of refund.h.  A refund that is done is booked as the mirror
 * image of what was captured, line by line, and its sellers' wallets give back
 * what they got, out of what was reserved; one that failed lets it go.  All of
 * it belongs to the settling transaction (settle.c), under the events' locks,
 * with the postings of payments.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "fault.h"
#include "psp_answer.h"
#include "refund.h"
#include "refund_account.h"
#include "toss_time.h"

static void build_posting(PayLedgerPosting *posting,
						  const PayRefundOutcome *outcome);
static void change_states(const PayRefundOutcome *outcomes, int n,
						  TimestampTz now);
static void erase_accounts(const PayRefundOutcome *outcomes, int n);
static void count_lines(const PayRefundOutcome *outcomes, int n,
						TimestampTz now);
static void write_events(const PayRefundOutcome *outcomes, int n,
						 TimestampTz now);

/* Of refunds that are there. */
void
pay_refund_read_lines(PayRefundOutcome *outcomes, int n)
{
	static PayStatement read = {
		"SELECT l.refund_id, l.payment_order_id, o.seller_id, l.amount, l.commission"
		" FROM payments.refund_line l JOIN payments.payment_order o"
		" ON o.id OPERATOR(pg_catalog.=) l.payment_order_id"
		" AND o.order_id OPERATOR(pg_catalog.=) l.order_id"
		" WHERE l.order_id OPERATOR(pg_catalog.=) ANY ($1)"
		" AND l.refund_id OPERATOR(pg_catalog.=) ANY ($2)"
		" ORDER BY l.refund_id, o.line_no",
		2, {TEXTARRAYOID, INT8ARRAYOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *ids = palloc(sizeof(int64) * n);
	int			rows;
	Datum		values[2];

	for (int i = 0; i < n; i++)
	{
		order_ids[i] = outcomes[i].order->order_id;
		ids[i] = outcomes[i].refund_id;
	}
	values[0] = pay_db_text_array(order_ids, n);
	values[1] = pay_db_int64_array(ids, n);
	rows = (int) pay_db_run(&read, values, NULL);
	for (int i = 0; i < n; i++)
	{
		PayRefundOutcome *outcome = &outcomes[i];

		outcome->lines = palloc(sizeof(PayRefundLine) * Max(rows, 1));
		for (int row = 0; row < rows; row++)
		{
			if (pay_db_int64(row, 1) != ids[i])
				continue;
			outcome->lines[outcome->n_lines++] = (PayRefundLine)
			{
				pay_db_int64(row, 2), pay_db_int64(row, 3),
					pay_db_mills(row, 4), pay_db_mills(row, 5)
			};
		}
		if (outcome->n_lines == 0)
			elog(ERROR, "refund " INT64_FORMAT " has no lines", ids[i]);
	}
}

/*
 * The books
 */

/* One ledger transaction for each refund that is done; at most n. */
int
pay_refund_postings(const PayRefundOutcome *outcomes, int n,
					PayLedgerPosting *postings)
{
	int			m = 0;

	for (int i = 0; i < n; i++)
		if (outcomes[i].state == PAY_REFUND_SUCCESS)
			build_posting(&postings[m++], &outcomes[i]);
	return m;
}

/*
 * The mirror image of a captured payment (settle.c): the PSP gives back to the
 * buyer, each seller to the buyer, and the platform what it kept of that to
 * the seller.  It is booked under the cancel's own key: a cancel of the payment
 * is booked once, whoever asked for it.
 */
static void
build_posting(PayLedgerPosting *posting, const PayRefundOutcome *outcome)
{
	const PayOrder *order = outcome->order;
	const char *currency = order->currency;
	int64		total = outcome->amount;
	char	   *psp = pay_ledger_house_account_code("psp:toss", currency);
	char	   *platform = pay_ledger_house_account_code("platform:commission",
														 currency);
	char	   *buyer = pay_ledger_account_code("buyer", order->buyer_id,
												currency);
	PayLedgerEntry *entry = palloc(sizeof(PayLedgerEntry) *
								   (2 + 4 * outcome->n_lines));

	memset(posting, 0, sizeof(PayLedgerPosting));
	posting->transaction_key =
		psprintf("cancel:%s", outcome->transaction_key);
	posting->kind = "payment.refunded";
	posting->fact = true;
	posting->order_id = order->order_id;
	posting->effective_at = outcome->refunded_at;
	posting->entries = entry;

	*entry++ = (PayLedgerEntry) {psp, currency, -total};
	*entry++ = (PayLedgerEntry) {buyer, currency, total};
	for (int i = 0; i < outcome->n_lines; i++)
	{
		const PayRefundLine *line = &outcome->lines[i];
		char	   *seller = pay_ledger_account_code("seller", line->seller_id,
													 currency);

		*entry++ = (PayLedgerEntry) {buyer, currency, -line->amount};
		*entry++ = (PayLedgerEntry) {seller, currency, line->amount};
		if (line->commission == 0)
			continue;
		*entry++ = (PayLedgerEntry) {seller, currency, -line->commission};
		*entry++ = (PayLedgerEntry) {platform, currency, line->commission};
	}
	posting->n_entries = (int) (entry - posting->entries);
}

/* At most two for each line: of those that failed, what was reserved. */
int
pay_refund_wallet_changes(const PayRefundOutcome *outcomes, int n,
						  PayWalletChange *changes)
{
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		const PayRefundOutcome *outcome = &outcomes[i];

		if (!pay_refund_state_is_final(outcome->state))
			continue;
		for (int l = 0; l < outcome->n_lines; l++)
		{
			const PayRefundLine *line = &outcome->lines[l];
			PayWalletChange change = {
				line->seller_id, outcome->order->currency, "refund", 0,
				outcome->order->order_id, line->payment_order_id,
				outcome->refund_id,
				outcome->is_fact ? 0 : line->commission - line->amount,
				outcome->is_fact
			};

			if (outcome->state == PAY_REFUND_SUCCESS)
				change.amount = -line->amount;
			changes[m++] = change;
			if (outcome->state != PAY_REFUND_SUCCESS || line->commission == 0)
				continue;
			change.kind = "commission_refund";
			change.amount = line->commission;
			change.pending = 0;
			changes[m++] = change;
		}
	}
	return m;
}

/*
 * The rest: states, with the history by their trigger, the counters of the
 * lines, and events.
 */
void
pay_refund_apply(const PayRefundOutcome *outcomes, int n, TimestampTz now)
{
	if (n == 0)
		return;
	change_states(outcomes, n, now);
	erase_accounts(outcomes, n);
	count_lines(outcomes, n, now);
	write_events(outcomes, n, now);
}

/* EXECUTING is not a change: a refund that is in doubt stays UNKNOWN. */
static void
change_states(const PayRefundOutcome *outcomes, int n, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.refund r SET refund_status = o.state::payments.refund_status,"
		" status_reason = o.reason, failure_code = o.code, transaction_key = o.transaction_key,"
		" refunded_at = o.refunded_at, updated_at = $7"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($8))"
		" AS o (order_id, id, state, reason, code, transaction_key, refunded_at)"
		" WHERE r.order_id OPERATOR(pg_catalog.=) o.order_id AND r.id OPERATOR(pg_catalog.=) o.id",
		8, {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZARRAYOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *ids = palloc(sizeof(int64) * n);
	char	  **states = palloc(sizeof(char *) * n);
	char	  **reasons = palloc(sizeof(char *) * n);
	char	  **codes = palloc(sizeof(char *) * n);
	char	  **keys = palloc(sizeof(char *) * n);
	TimestampTz *ats = palloc(sizeof(TimestampTz) * n);
	int			m = 0;
	Datum		values[8];

	for (int i = 0; i < n; i++)
	{
		const PayRefundOutcome *outcome = &outcomes[i];
		bool		is_done = outcome->state == PAY_REFUND_SUCCESS;

		if (outcome->state == PAY_REFUND_EXECUTING)
			continue;
		order_ids[m] = outcome->order->order_id;
		ids[m] = outcome->refund_id;
		states[m] = unconstify(char *, pay_refund_state_name(outcome->state));
		reasons[m] = outcome->reason;
		codes[m] = outcome->code;
		keys[m] = is_done ? outcome->transaction_key : NULL;
		ats[m] = is_done ? outcome->refunded_at : 0;
		m++;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(ids, m);
	values[2] = pay_db_text_array(states, m);
	values[3] = pay_db_text_array(reasons, m);
	values[4] = pay_db_text_array(codes, m);
	values[5] = pay_db_text_array(keys, m);
	values[6] = TimestampTzGetDatum(now);
	values[7] = pay_db_time_array(ats, m);
	if (pay_db_run(&update, values, NULL) != (uint64) m)
		elog(ERROR, "a refund that was cancelled is not there");
}

/* Nobody needs them any more. */
static void
erase_accounts(const PayRefundOutcome *outcomes, int n)
{
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *ids = palloc(sizeof(int64) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		if (!pay_refund_state_is_final(outcomes[i].state))
			continue;
		order_ids[m] = outcomes[i].order->order_id;
		ids[m++] = outcomes[i].refund_id;
	}
	pay_refund_account_erase(order_ids, ids, m);
	PAY_FAULT("account-erased");
}

/*
 * What was reserved in the lines is done, or is free again; a fact was not
 * reserved.  A line may occur in several outcomes.
 */
static void
count_lines(const PayRefundOutcome *outcomes, int n, TimestampTz now)
{
	static PayStatement count = {
		"UPDATE payments.payment_order o"
		" SET refunding_amount = o.refunding_amount OPERATOR(pg_catalog.-) l.freed,"
		" refunded_amount = o.refunded_amount OPERATOR(pg_catalog.+) l.done, updated_at = $5"
		" FROM (SELECT u.order_id, u.id, pg_catalog.sum(u.freed), pg_catalog.sum(u.done)"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4)) AS u (order_id, id, freed, done) GROUP BY u.order_id, u.id)"
		" AS l (order_id, id, freed, done)"
		" WHERE o.order_id OPERATOR(pg_catalog.=) l.order_id AND o.id OPERATOR(pg_catalog.=) l.id",
		5, {TEXTARRAYOID, INT8ARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID, TIMESTAMPTZOID}
	};
	char	  **order_ids;
	int64	   *ids;
	int64	   *freed;
	int64	   *done;
	int			size = 0;
	int			m = 0;
	Datum		values[5];

	for (int i = 0; i < n; i++)
		size += outcomes[i].n_lines;
	order_ids = palloc(sizeof(char *) * size);
	ids = palloc(sizeof(int64) * size);
	freed = palloc(sizeof(int64) * size);
	done = palloc(sizeof(int64) * size);
	for (int i = 0; i < n; i++)
	{
		const PayRefundOutcome *outcome = &outcomes[i];

		if (!pay_refund_state_is_final(outcome->state))
			continue;
		for (int l = 0; l < outcome->n_lines; l++)
		{
			int64		amount = outcome->lines[l].amount;

			order_ids[m] = outcome->order->order_id;
			ids[m] = outcome->lines[l].payment_order_id;
			freed[m] = outcome->is_fact ? 0 : amount;
			done[m++] = outcome->state == PAY_REFUND_SUCCESS ? amount : 0;
		}
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(ids, m);
	values[2] = pay_db_mills_array(freed, m);
	values[3] = pay_db_mills_array(done, m);
	values[4] = TimestampTzGetDatum(now);
	if (pay_db_run(&count, values, NULL) == 0)
		elog(ERROR, "the lines of refunds are not there");
}

static void
write_events(const PayRefundOutcome *outcomes, int n, TimestampTz now)
{
	PayEvent   *events = palloc0(sizeof(PayEvent) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		const PayRefundOutcome *outcome = &outcomes[i];

		if (!pay_refund_state_is_final(outcome->state))
			continue;
		events[m].kind = outcome->is_fact ? "refund.recorded" :
			outcome->state == PAY_REFUND_SUCCESS ? "refund.succeeded" :
			"refund.failed";
		events[m].order_id = outcome->order->order_id;
		events[m++].payload =
			pay_refund_payload(outcome->order, outcome->refund_id,
							   outcome->amount, outcome->lines,
							   outcome->n_lines, outcome->told_reason,
							   outcome->code);
	}
	pay_event_write(events, m, now);
}
