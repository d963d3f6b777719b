/*
 * psp_movement.c
 *		Reconciling: what the lines of Toss's list are beside our books.
 *
 * Reads what the rule wants to know of all of them at once; the rule itself is
 * reconciliation.c's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "amount.h"
#include "db.h"
#include "order_state.h"
#include "psp_movement.h"

void
pay_psp_movement_judge(PayMovement *movements, int n)
{
	static PayStatement read = {
		"SELECT w.n::pg_catalog.int4, o.order_id IS NOT NULL, k.order_id IS NOT NULL,"
		" COALESCE(k.order_id OPERATOR(pg_catalog.=) w.order_id, false), o.payment_key IS NOT NULL,"
		" COALESCE(k.currency OPERATOR(pg_catalog.=) w.currency, false), k.amount, s.status,"
		" COALESCE(w.at OPERATOR(pg_catalog.>) k.approved_at, false),"
		" COALESCE(t.order_id OPERATOR(pg_catalog.=) k.order_id, false)"
		" OR EXISTS (SELECT FROM payments.refund f WHERE f.order_id OPERATOR(pg_catalog.=) k.order_id"
		" AND (f.transaction_key OPERATOR(pg_catalog.=) w.transaction_key"
		" OR f.refund_status::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{REQUESTED,EXECUTING,UNKNOWN}'))),"
		" COALESCE(k.psp_status OPERATOR(pg_catalog.=) 'WAITING_FOR_DEPOSIT', false),"
		" EXISTS (SELECT FROM payments.deposit_movement d WHERE d.order_id OPERATOR(pg_catalog.=) k.order_id"
		" AND d.kind OPERATOR(pg_catalog.=) 'reversal' AND (d.recorded_at OPERATOR(pg_catalog.>=) w.at"
		" OR COALESCE(d.transaction_key OPERATOR(pg_catalog.=) w.transaction_key, false))),"
		" EXISTS (SELECT FROM payments.virtual_account v WHERE v.order_id OPERATOR(pg_catalog.=) k.order_id),"
		" EXISTS (SELECT FROM payments.deposit_movement d WHERE d.order_id OPERATOR(pg_catalog.=) k.order_id"
		" AND d.kind OPERATOR(pg_catalog.=) 'deposit' AND COALESCE(d.transaction_key"
		" OPERATOR(pg_catalog.=) w.transaction_key, true))"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5)) WITH ORDINALITY"
		" AS w (transaction_key, payment_key, order_id, currency, at, n)"
		" LEFT JOIN payments.payment_event o ON o.order_id OPERATOR(pg_catalog.=) w.order_id"
		" LEFT JOIN payments.payment_event k ON k.payment_key OPERATOR(pg_catalog.=) w.payment_key"
		" LEFT JOIN LATERAL (SELECT CASE WHEN pg_catalog.min(l.payment_order_status)"
		" OPERATOR(pg_catalog.=) pg_catalog.max(l.payment_order_status)"
		" THEN pg_catalog.min(l.payment_order_status)::pg_catalog.text ELSE 'UNKNOWN' END AS status"
		" FROM payments.payment_order l WHERE l.order_id OPERATOR(pg_catalog.=) COALESCE(k.order_id, o.order_id)) s ON true"
		" LEFT JOIN payments.ledger_transaction t ON t.transaction_key OPERATOR(pg_catalog.=)"
		" ('cancel:' OPERATOR(pg_catalog.||) w.transaction_key)"
		" ORDER BY w.n",
		5, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID}
	};
	PayMovement **read_ones = palloc(sizeof(PayMovement *) * Max(n, 1));
	char	  **texts[4];
	TimestampTz *times = palloc(sizeof(TimestampTz) * Max(n, 1));
	int			m = 0;
	Datum		values[5];

	for (int k = 0; k < lengthof(texts); k++)
		texts[k] = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (movements[i].finding == PAY_FINDING_UNREADABLE)
			continue;
		texts[0][m] = movements[i].transaction_key;
		texts[1][m] = movements[i].payment_key;
		texts[2][m] = movements[i].order_id;
		texts[3][m] = movements[i].currency;
		times[m] = movements[i].at;
		read_ones[m++] = &movements[i];
	}
	if (m == 0)
		return;
	for (int k = 0; k < lengthof(texts); k++)
		values[k] = pay_db_text_array(texts[k], m);
	values[4] = pay_db_time_array(times, m);
	if (pay_db_run(&read, values, NULL) != m)
		elog(ERROR, "movements were not read one by one");
	for (int i = 0; i < m; i++)
	{
		PayTheirs	theirs = {read_ones[i]->status, read_ones[i]->amount};
		PayOurs		ours = {0};

		ours.knows_order = pay_db_bool(i, 2);
		ours.knows_key = pay_db_bool(i, 3);
		ours.same = pay_db_bool(i, 4);
		ours.order_has_key = pay_db_bool(i, 5);
		ours.same_currency = pay_db_bool(i, 6);
		ours.amount = pay_db_is_null(i, 7) ? 0 : pay_db_mills(i, 7);
		if (!pay_order_state_from_name(pay_db_text(i, 8), &ours.state))
			ours.state = PAY_ORDER_UNKNOWN;
		ours.after_approval = pay_db_bool(i, 9);
		ours.canceled = pay_db_bool(i, 10);
		ours.waits = pay_db_bool(i, 11);
		ours.reversed = pay_db_bool(i, 12);
		ours.has_account = pay_db_bool(i, 13);
		ours.deposited = pay_db_bool(i, 14);
		read_ones[i]->finding = pay_reconcile(&theirs, &ours);
	}
}
