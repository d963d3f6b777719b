/*
 * order_outcome.c
 *		What the PSP's answers do to events and orders, many at a time.
 *
 * The second half of order.h: order.c has the one-order functions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "order.h"

static void apply_to_events(const PayOrderOutcome *outcomes, int n);
static void apply_to_orders(const PayOrderOutcome *outcomes, int n,
							TimestampTz now);

int
pay_order_lock_many(char *const *order_ids, int n, PayOrder *orders)
{
	static PayStatement lock = {
		"SELECT " PAY_ORDER_COLUMNS ", r.n::pg_catalog.int4"
		" FROM pg_catalog.unnest($1) WITH ORDINALITY r (order_id, n)"
		" JOIN payments.payment_event e ON e.order_id OPERATOR(pg_catalog.=) r.order_id"
		" JOIN payments.currency c ON c.code OPERATOR(pg_catalog.=) e.currency"
		" ORDER BY e.order_id FOR NO KEY UPDATE OF e SKIP LOCKED",
		1, {TEXTARRAYOID}
	};
	Datum		values[1] = {pay_db_text_array(order_ids, n)};
	int			n_locked = (int) pay_db_run(&lock, values, NULL);

	memset(orders, 0, sizeof(PayOrder) * n);
	for (int i = 0; i < n_locked; i++)
		pay_order_fill(i, &orders[pay_db_int32(i, 14) - 1]);
	return n_locked;
}

int
pay_order_read_sales(const PayOrderOutcome *outcomes, int n,
					 PayOrderSale **sales)
{
	static PayStatement read = {
		"SELECT r.n::pg_catalog.int4, o.id, o.buyer_id, o.seller_id, o.amount, o.commission, e.currency"
		" FROM pg_catalog.unnest($1) WITH ORDINALITY r (order_id, n)"
		" JOIN payments.payment_event e ON e.order_id OPERATOR(pg_catalog.=) r.order_id"
		" JOIN payments.payment_order o ON o.order_id OPERATOR(pg_catalog.=) r.order_id"
		" WHERE NOT o.ledger_updated AND NOT o.wallet_updated"
		" AND o.payment_order_status OPERATOR(pg_catalog.<>) 'FAILURE'"
		" ORDER BY r.n, o.line_no",
		1, {TEXTARRAYOID}
	};
	char	  **ids = palloc(sizeof(char *) * Max(n, 1));
	int			n_sales;
	Datum		values[1];

	for (int i = 0; i < n; i++)
		ids[i] = outcomes[i].state == PAY_ORDER_SUCCESS ?
			unconstify(char *, outcomes[i].order_id) : NULL;
	values[0] = pay_db_text_array(ids, n);
	n_sales = (int) pay_db_run(&read, values, NULL);
	*sales = palloc(sizeof(PayOrderSale) * Max(n_sales, 1));
	for (int i = 0; i < n_sales; i++)
	{
		PayOrderSale *sale = &(*sales)[i];

		sale->outcome = pay_db_int32(i, 1) - 1;
		sale->payment_order_id = pay_db_int64(i, 2);
		sale->buyer_id = pay_db_int64(i, 3);
		sale->seller_id = pay_db_int64(i, 4);
		sale->amount = pay_db_mills(i, 5);
		sale->commission = pay_db_mills(i, 6);
		sale->currency = pay_db_text(i, 7);
	}
	return n_sales;
}

void
pay_order_apply(const PayOrderOutcome *outcomes, int n, TimestampTz now)
{
	apply_to_events(outcomes, n);
	apply_to_orders(outcomes, n, now);
}

static void
apply_to_events(const PayOrderOutcome *outcomes, int n)
{
	static PayStatement update = {
		"UPDATE payments.payment_event e SET"
		" method = COALESCE(r.method, e.method),"
		" psp_status = COALESCE(r.psp_status, e.psp_status),"
		" psp_response = COALESCE(r.response::pg_catalog.jsonb, e.psp_response),"
		" approved_at = COALESCE(r.approved_at, e.approved_at)"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
		" pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))"
		" AS r (order_id, method, psp_status, response, approved_at)"
		" WHERE e.order_id OPERATOR(pg_catalog.=) r.order_id",
		5, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		TIMESTAMPTZARRAYOID}
	};
	char	  **ids = palloc(sizeof(char *) * n);
	char	  **methods = palloc(sizeof(char *) * n);
	char	  **statuses = palloc(sizeof(char *) * n);
	char	  **responses = palloc(sizeof(char *) * n);
	TimestampTz *approvals = palloc(sizeof(TimestampTz) * n);
	int			m = 0;
	Datum		values[5];

	/* only those that say something about the event */
	for (int i = 0; i < n; i++)
	{
		if (outcomes[i].psp_status == NULL && outcomes[i].response == NULL)
			continue;
		ids[m] = unconstify(char *, outcomes[i].order_id);
		methods[m] = unconstify(char *, outcomes[i].method);
		statuses[m] = unconstify(char *, outcomes[i].psp_status);
		responses[m] = unconstify(char *, outcomes[i].response);
		approvals[m] = outcomes[i].approved_at;
		m++;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(ids, m);
	values[1] = pay_db_text_array(methods, m);
	values[2] = pay_db_text_array(statuses, m);
	values[3] = pay_db_text_array(responses, m);
	values[4] = pay_db_time_array(approvals, m);	/* 0 is NULL there */
	pay_db_run(&update, values, NULL);
}

static void
apply_to_orders(const PayOrderOutcome *outcomes, int n, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.payment_order o SET"
		" payment_order_status = r.state::payments.payment_order_status,"
		" status_reason = r.reason, failure_code = r.code,"
		" ledger_updated = r.success, wallet_updated = r.success, updated_at = $5"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
		" pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($6))"
		" AS r (order_id, state, reason, code, success)"
		" WHERE o.order_id OPERATOR(pg_catalog.=) r.order_id"
		" AND o.payment_order_status OPERATOR(pg_catalog.<>) r.state::payments.payment_order_status",
		6, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		TIMESTAMPTZOID, BOOLARRAYOID}
	};
	char	  **ids = palloc(sizeof(char *) * n);
	char	  **states = palloc(sizeof(char *) * n);
	char	  **reasons = palloc(sizeof(char *) * n);
	char	  **codes = palloc(sizeof(char *) * n);
	bool	   *successes = palloc(sizeof(bool) * n);
	int			m = 0;
	Datum		values[6];

	for (int i = 0; i < n; i++)
	{
		if (outcomes[i].state == PAY_ORDER_EXECUTING)
			continue;
		ids[m] = unconstify(char *, outcomes[i].order_id);
		states[m] = unconstify(char *, pay_order_state_name(outcomes[i].state));
		reasons[m] = unconstify(char *, outcomes[i].reason);
		codes[m] = unconstify(char *, outcomes[i].code);
		successes[m] = outcomes[i].state == PAY_ORDER_SUCCESS;
		m++;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(ids, m);
	values[1] = pay_db_text_array(states, m);
	values[2] = pay_db_text_array(reasons, m);
	values[3] = pay_db_text_array(codes, m);
	values[4] = TimestampTzGetDatum(now);
	values[5] = pay_db_bool_array(successes, m);
	pay_db_run(&update, values, NULL);
}
