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
#include "psp_answer.h"
#include "refund.h"
#include "toss_time.h"

static PayRefundState state_of(const PayResult *result);
static void read_lines(PayRefundOutcome *outcomes, int n);
static void build_posting(PayLedgerPosting *posting,
						  const PayRefundOutcome *outcome);
static void change_states(const PayRefundOutcome *outcomes, int n,
						  TimestampTz now);
static char *transaction_key_of(const PayResult *result);
static char *reason_of(const PayResult *result);
static char *code_of(const PayResult *result);
static void count_lines(const PayRefundOutcome *outcomes, int n,
						TimestampTz now);
static void write_events(const PayRefundOutcome *outcomes, int n,
						 TimestampTz now);

/* Those of the results that are cancels', and count. */
int
pay_refund_outcomes(const PayResult *results, const PayOrder *orders,
					const bool *counts, int n, TimestampTz now,
					PayRefundOutcome **outcomes)
{
	int			m = 0;

	*outcomes = palloc0(sizeof(PayRefundOutcome) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayRefundOutcome *outcome = &(*outcomes)[m];

		if (results[i].claim->refund_id == 0 || !counts[i])
			continue;
		outcome->result = &results[i];
		outcome->order = &orders[i];
		outcome->state = state_of(&results[i]);
		outcome->refunded_at = now;
		if (results[i].answer.cancel != NULL)
		{
			TimestampTz at = pay_psp_answer_time(results[i].answer.cancel->canceled_at);

			if (at != 0)
				outcome->refunded_at = at;
		}
		m++;
	}
	if (m > 0)
		read_lines(*outcomes, m);
	for (int i = 0; i < m; i++)
		if ((*outcomes)[i].state != PAY_REFUND_SUCCESS)
			(*outcomes)[i].code = code_of((*outcomes)[i].result);
	return m;
}

static PayRefundState
state_of(const PayResult *result)
{
	const PayDecision *decision = &result->decision;

	if (decision->action == PAY_ACTION_REFUND)
		return PAY_REFUND_SUCCESS;
	if (decision->action == PAY_ACTION_REFUND_FAIL)
		return PAY_REFUND_FAILURE;
	return decision->orders_unknown ? PAY_REFUND_UNKNOWN : PAY_REFUND_EXECUTING;
}

static void
read_lines(PayRefundOutcome *outcomes, int n)
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
		order_ids[i] = outcomes[i].result->claim->order_id;
		ids[i] = outcomes[i].result->claim->refund_id;
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

/* In the database's encoding, as it stands in the table of answers. */
static char *
transaction_key_of(const PayResult *result)
{
	return pay_psp_answer_text(result->answer.cancel->transaction_key, 1000);
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
	int64		total = outcome->result->claim->refund.amount;
	char	   *psp = pay_ledger_house_account_code("psp:toss", currency);
	char	   *platform = pay_ledger_house_account_code("platform:commission",
														 currency);
	char	   *buyer = pay_ledger_account_code("buyer", order->buyer_id,
												currency);
	PayLedgerEntry *entry = palloc(sizeof(PayLedgerEntry) *
								   (2 + 4 * outcome->n_lines));

	memset(posting, 0, sizeof(PayLedgerPosting));
	posting->transaction_key =
		psprintf("cancel:%s", transaction_key_of(outcome->result));
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
				outcome->result->claim->refund_id,
				line->commission - line->amount
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
		const PayResult *result = outcomes[i].result;
		bool		is_done = outcomes[i].state == PAY_REFUND_SUCCESS;

		if (outcomes[i].state == PAY_REFUND_EXECUTING)
			continue;
		order_ids[m] = result->claim->order_id;
		ids[m] = result->claim->refund_id;
		states[m] = unconstify(char *, pay_refund_state_name(outcomes[i].state));
		reasons[m] = reason_of(result);
		codes[m] = outcomes[i].code;
		keys[m] = is_done ? transaction_key_of(result) : NULL;
		ats[m] = is_done ? outcomes[i].refunded_at : 0;
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

/* As for an order */
static char *
reason_of(const PayResult *result)
{
	const char *code = result->answer.code;

	return psprintf("%s: %s%s%s",
					result->claim->request.operation == PAY_TOSS_CANCEL ?
					"cancel" : "query",
					pay_toss_meaning_name(result->answer.meaning),
					code ? " " : "", code ? code : "");
}

/*
 * Why it is not done: behind a query that did not show our token, that is what
 * the cancel was refused with.  The answers of this turn are recorded.
 */
static char *
code_of(const PayResult *result)
{
	static PayStatement read = {
		"SELECT code FROM payments.psp_answer WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND call_id OPERATOR(pg_catalog.=) $2 AND meaning OPERATOR(pg_catalog.=) 'refused'"
		" AND code IS NOT NULL ORDER BY attempt_no DESC LIMIT 1",
		2, {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(result->claim->order_id),
	Int64GetDatum(result->claim->call_id)};

	if (result->decision.action == PAY_ACTION_REFUND_FAIL &&
		pay_db_run(&read, values, NULL) > 0)
		return pay_db_text(0, 1);
	return result->answer.code == NULL ? NULL : pstrdup(result->answer.code);
}

/* What was reserved in the lines is done, or is free again. */
static void
count_lines(const PayRefundOutcome *outcomes, int n, TimestampTz now)
{
	static PayStatement count = {
		"UPDATE payments.payment_order o"
		" SET refunding_amount = o.refunding_amount OPERATOR(pg_catalog.-) l.amount,"
		" refunded_amount = CASE WHEN l.is_done THEN o.refunded_amount OPERATOR(pg_catalog.+) l.amount"
		" ELSE o.refunded_amount END, updated_at = $5"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4)) AS l (order_id, id, amount, is_done)"
		" WHERE o.order_id OPERATOR(pg_catalog.=) l.order_id AND o.id OPERATOR(pg_catalog.=) l.id",
		5, {TEXTARRAYOID, INT8ARRAYOID, NUMERICARRAYOID, BOOLARRAYOID, TIMESTAMPTZOID}
	};
	char	  **order_ids;
	int64	   *ids;
	int64	   *amounts;
	bool	   *dones;
	int			size = 0;
	int			m = 0;
	Datum		values[5];

	for (int i = 0; i < n; i++)
		size += outcomes[i].n_lines;
	order_ids = palloc(sizeof(char *) * size);
	ids = palloc(sizeof(int64) * size);
	amounts = palloc(sizeof(int64) * size);
	dones = palloc(sizeof(bool) * size);
	for (int i = 0; i < n; i++)
	{
		if (!pay_refund_state_is_final(outcomes[i].state))
			continue;
		for (int l = 0; l < outcomes[i].n_lines; l++)
		{
			order_ids[m] = outcomes[i].result->claim->order_id;
			ids[m] = outcomes[i].lines[l].payment_order_id;
			amounts[m] = outcomes[i].lines[l].amount;
			dones[m++] = outcomes[i].state == PAY_REFUND_SUCCESS;
		}
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(ids, m);
	values[2] = pay_db_mills_array(amounts, m);
	values[3] = pay_db_bool_array(dones, m);
	values[4] = TimestampTzGetDatum(now);
	if (pay_db_run(&count, values, NULL) != (uint64) m)
		elog(ERROR, "a line that was refunded is not there");
}

static void
write_events(const PayRefundOutcome *outcomes, int n, TimestampTz now)
{
	PayEvent   *events = palloc0(sizeof(PayEvent) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		const PayRefundOutcome *outcome = &outcomes[i];
		bool		is_done = outcome->state == PAY_REFUND_SUCCESS;

		if (!pay_refund_state_is_final(outcome->state))
			continue;
		events[m].kind = is_done ? "refund.succeeded" : "refund.failed";
		events[m].order_id = outcome->order->order_id;
		events[m++].payload =
			pay_refund_payload(outcome->order, outcome->result->claim->refund_id,
							   outcome->result->claim->refund.amount,
							   outcome->lines, outcome->n_lines, NULL,
							   outcome->code);
	}
	pay_event_write(events, m, now);
}
