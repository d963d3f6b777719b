/*
 * psp_hint.c
 *		Calls to the PSP: what somebody else's word may do to an open one.
 *
 * It may make the worker ask, and no more: nothing is sent that moves money,
 * nothing that waits for a person is taken from him, and a call of which nothing
 * was sent yet goes out as it would have.  Failures are not forgotten, so a
 * stranger's word does not keep a call from coming before a person; and what is
 * asked twice, some time apart, before it ends, keeps its time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "psp_call.h"
#include "psp_hint.h"
#include "wake.h"

static PayHint *find(PayHint *hints, int n, const char *order_id);
static void push(PayHint *hints, int n, Datum orders, TimestampTz not_after,
				 TimestampTz now);
static void look(PayHint *hints, int n, Datum orders);

void
pay_psp_hint(PayHint *hints, int n, TimestampTz not_after, TimestampTz now)
{
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));
	Datum		orders;

	for (int i = 0; i < n; i++)
	{
		order_ids[i] = unconstify(char *, hints[i].order_id);
		hints[i].state = PAY_HINT_CLOSED;
		hints[i].call_id = 0;
	}
	if (n == 0)
		return;
	orders = pay_db_text_array(order_ids, n);
	pay_psp_deposit_recall_orders(orders, not_after);
	push(hints, n, orders, not_after, now);
	look(hints, n, orders);
}

static PayHint *
find(PayHint *hints, int n, const char *order_id)
{
	for (int i = 0; i < n; i++)
		if (strcmp(hints[i].order_id, order_id) == 0)
			return &hints[i];
	elog(ERROR, "order \"%s\" was not asked for", order_id);
}

static void
push(PayHint *hints, int n, Datum orders, TimestampTz not_after,
	 TimestampTz now)
{
	static PayStatement push = {
		"WITH free AS (SELECT q.call_id FROM payments.psp_call_queue q"
		" JOIN payments.psp_attempt a ON a.call_id OPERATOR(pg_catalog.=) q.call_id"
		" AND a.attempt_no OPERATOR(pg_catalog.=) q.attempt_no"
		" AND a.order_id OPERATOR(pg_catalog.=) q.order_id"
		" WHERE q.order_id OPERATOR(pg_catalog.=) ANY ($1)"
		" AND q.state OPERATOR(pg_catalog.=) 'P' AND q.phase OPERATOR(pg_catalog.=) ANY ('{T,R,D}')"
		" AND a.claimed_at OPERATOR(pg_catalog.<=) $2"
		" FOR NO KEY UPDATE OF q SKIP LOCKED)"
		" UPDATE payments.psp_call_queue q SET due_at = LEAST(q.due_at, $3), next_operation = 'Q',"
		" phase = CASE q.phase WHEN 'L' THEN 'D' ELSE q.phase END"
		" FROM free WHERE q.call_id OPERATOR(pg_catalog.=) free.call_id"
		" RETURNING q.order_id, q.call_id, q.merchant_id",
		3, {TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	Datum		values[3] = {orders, TimestampTzGetDatum(not_after),
	TimestampTzGetDatum(now)};
	uint64		rows = pay_db_run(&push, values, NULL);

	for (uint64 row = 0; row < rows; row++)
	{
		PayHint    *hint = find(hints, n, pay_db_text(row, 1));

		hint->state = PAY_HINT_ASKED;
		hint->call_id = pay_db_int64(row, 2);
		pay_wake_enqueued(hint->order_id, hint->call_id,
						  pay_db_int64(row, 3), now);
	}
}

/*
 * Those that were not pushed: why not?  A look that is about to begin asks
 * anyway, and of a refund's cancel nothing needs to have been sent.
 */
static void
look(PayHint *hints, int n, Datum orders)
{
	static PayStatement look = {
		"SELECT q.order_id, q.state, q.first_sent_at IS NULL AND c.operation OPERATOR(pg_catalog.=) 'confirm',"
		" q.state OPERATOR(pg_catalog.=) 'P' AND q.attempt_no OPERATOR(pg_catalog.=) 0"
		" AND c.operation OPERATOR(pg_catalog.=) 'look', q.call_id FROM payments.psp_call_queue q"
		" JOIN payments.psp_call c ON c.id OPERATOR(pg_catalog.=) q.call_id"
		" AND c.order_id OPERATOR(pg_catalog.=) q.order_id"
		" WHERE q.order_id OPERATOR(pg_catalog.=) ANY ($1)"
		" UNION ALL SELECT order_id, 'W', false, false, call_id FROM payments.psp_call_deposit"
		" WHERE order_id OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}
	};
	Datum		values[1] = {orders};
	uint64		rows = pay_db_run(&look, values, NULL);

	for (uint64 row = 0; row < rows; row++)
	{
		PayHint    *hint = find(hints, n, pay_db_text(row, 1));

		if (hint->state != PAY_HINT_CLOSED)
			continue;
		if (pay_db_bool(row, 4))
		{
			hint->state = PAY_HINT_ASKED;
			hint->call_id = pay_db_int64(row, 5);
		}
		else
			hint->state = pay_db_char(row, 2) == 'D' ? PAY_HINT_DEAD :
				pay_db_bool(row, 3) ? PAY_HINT_UNSENT : PAY_HINT_BUSY;
	}
}
