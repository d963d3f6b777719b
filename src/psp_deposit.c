/*
 * psp_deposit.c
 *		Calls to the PSP that wait for a deposit: out of the queue, and back.
 *
 * Toss has issued an account to pay into, and days may pass.  Such calls wait
 * in a table of their own, so that the queue stays small; to be asked about
 * they return to it.  Either way a call moves in one transaction, so it is
 * always in exactly one of the two.  Out of the queue it moves under the lock
 * of its order, like every result; back, by whoever has locked its row here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "fault.h"
#include "psp_call.h"

/* What a call comes back as: pending, to be asked about, its key answered. */
#define RECALL(which) \
	"WITH due AS (SELECT call_id FROM payments.psp_call_deposit WHERE " which ")," \
	" gone AS (DELETE FROM payments.psp_call_deposit d USING due" \
	" WHERE d.call_id OPERATOR(pg_catalog.=) due.call_id RETURNING d.*)" \
	" INSERT INTO payments.psp_call_queue (call_id, order_id, state, next_operation, attempt_no," \
	" key_answered, phase, first_sent_at, due_at, sent_as, merchant_id)" \
	" SELECT call_id, order_id, 'P', 'Q', attempt_no, true, 'D', first_sent_at, due_at," \
	" sent_as, merchant_id FROM gone RETURNING call_id, merchant_id, due_at"

void
pay_psp_deposit_await(PayResult *results, int n, const bool *owned,
					  TimestampTz now)
{
	static PayStatement move = {
		"WITH gone AS (DELETE FROM payments.psp_call_queue q"
		" USING ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		" AS r (order_id, call_id, due_at)"
		" WHERE q.order_id OPERATOR(pg_catalog.=) r.order_id"
		" AND q.call_id OPERATOR(pg_catalog.=) r.call_id"
		" RETURNING q.call_id, q.order_id, q.merchant_id, q.attempt_no, q.first_sent_at,"
		" q.sent_as, r.due_at)"
		" INSERT INTO payments.psp_call_deposit (call_id, order_id, merchant_id, attempt_no,"
		" first_sent_at, sent_as, due_at) SELECT * FROM gone",
		3, {TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *calls = palloc(sizeof(int64) * n);
	TimestampTz *dues = palloc(sizeof(TimestampTz) * n);
	int			m = 0;
	Datum		values[3];

	for (int i = 0; i < n; i++)
	{
		if (!owned[i] || results[i].decision.action != PAY_ACTION_AWAIT_DEPOSIT)
			continue;
		order_ids[m] = results[i].claim->order_id;
		calls[m] = results[i].claim->call_id;
		dues[m++] = now + results[i].decision.delay;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(calls, m);
	values[2] = pay_db_time_array(dues, m);
	if (pay_db_run(&move, values, NULL) != m)
		elog(ERROR, "calls that wait for a deposit were not in the queue");
	PAY_FAULT("deposit-awaited");
}

int
pay_psp_deposit_recall(PayShard shard, TimestampTz now, int max,
					   PayQueueRow **rows)
{
	static PayStatement recall = {
		RECALL("due_at OPERATOR(pg_catalog.<=) $1 AND "
			   PAY_SHARD_HAS("order_id", "$3", "$4")
			   " ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED"),
		4, {TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID}
	};
	MemoryContext caller = pay_db_connect();
	Datum		values[4];
	int			n;

	values[0] = TimestampTzGetDatum(now);
	values[1] = Int32GetDatum(max);
	values[2] = Int32GetDatum(shard.number);
	values[3] = Int32GetDatum(shard.of);
	n = pay_psp_queue_rows(caller, pay_db_run(&recall, values, NULL), rows);
	if (n > 0)
		PAY_FAULT("deposit-recalled");
	pay_db_finish();
	return n;
}

/* For a person, under the lock of the order. */
bool
pay_psp_deposit_recall_order(const char *order_id)
{
	static PayStatement recall = {
		RECALL("order_id OPERATOR(pg_catalog.=) $1 FOR UPDATE"),
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	return pay_db_run(&recall, values, NULL) > 0;
}

/*
 * For a hint: those of these orders that were not asked about after this time.
 * What somebody has locked stays.
 */
void
pay_psp_deposit_recall_orders(Datum order_ids, TimestampTz not_after)
{
	static PayStatement recall = {
		RECALL("order_id OPERATOR(pg_catalog.=) ANY ($1)"
			   " AND EXISTS (SELECT FROM payments.psp_attempt a"
			   " WHERE a.call_id OPERATOR(pg_catalog.=) psp_call_deposit.call_id"
			   " AND a.attempt_no OPERATOR(pg_catalog.=) psp_call_deposit.attempt_no"
			   " AND a.claimed_at OPERATOR(pg_catalog.<=) $2)"
			   " FOR UPDATE SKIP LOCKED"),
		2, {TEXTARRAYOID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {order_ids, TimestampTzGetDatum(not_after)};

	(void) pay_db_run(&recall, values, NULL);
}

TimestampTz
pay_psp_deposit_next(PayShard shard)
{
	static PayStatement next = {
		"SELECT due_at FROM payments.psp_call_deposit"
		" WHERE " PAY_SHARD_HAS("order_id", "$1", "$2") " ORDER BY due_at LIMIT 1",
		2, {INT4OID, INT4OID}
	};
	TimestampTz due_at = DT_NOEND;
	Datum		values[2] = {Int32GetDatum(shard.number),
	Int32GetDatum(shard.of)};

	pay_db_connect();
	if (pay_db_run(&next, values, NULL) > 0)
		due_at = pay_db_time(0, 1);
	pay_db_finish();
	return due_at;
}
