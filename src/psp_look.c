/*
 * psp_look.c
 *		Calls to the PSP: a look at a payment that nothing is open about.
 *
 * An order is final for us, and something may have happened to its payment
 * since: a cancel in Toss's dashboard, a deposit that was taken back.  A look is
 * a call like the others, with attempts and answers, that only ever asks.  What
 * its answer shows is booked with it (settle.c); the order's state stays.
 *
 * At most one call of an order is open.  Whoever opens one holds the event's
 * lock and sees that there is none: a confirm, a refund and a look cannot meet.
 *
 * Dying right after the commit loses nothing: the queue's row is there, and the
 * next run claims it.  Dying before it, the webhook, finding or person that
 * wanted the look is there still.  test/t/065_look.pl
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "order.h"
#include "psp_call.h"
#include "psp_look.h"
#include "wake.h"

#define LOOK_GAP		(2 * USECS_PER_SEC)
#define LOOKS_PER_HOUR	10
#define LOOKS_PER_DAY	50

static void judge(PayLook *looks, const PayOrder *orders, int n, bool bounded,
				  TimestampTz now);
static void insert_calls(PayLook *looks, const PayOrder *orders, int n,
						 TimestampTz now);

void
pay_psp_look(PayLook *looks, int n, bool bounded, TimestampTz now)
{
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));
	PayOrder   *orders = palloc0(sizeof(PayOrder) * Max(n, 1));

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		order_ids[i] = unconstify(char *, looks[i].order_id);
		looks[i].state = PAY_LOOK_UNPAID;
		looks[i].call_id = 0;
	}
	(void) pay_order_lock_many(order_ids, n, orders);
	judge(looks, orders, n, bounded, now);
	insert_calls(looks, orders, n, now);
}

/* Under the locks, and with a snapshot that was taken after them. */
static void
judge(PayLook *looks, const PayOrder *orders, int n, bool bounded,
	  TimestampTz now)
{
	static PayStatement read = {
		"SELECT e.order_id, e.payment_key IS NOT NULL,"
		" EXISTS (SELECT FROM payments.psp_call_queue q WHERE q.order_id OPERATOR(pg_catalog.=) e.order_id)"
		" OR EXISTS (SELECT FROM payments.psp_call_deposit d WHERE d.order_id OPERATOR(pg_catalog.=) e.order_id),"
		" l.just_now, l.in_hour, l.in_day"
		" FROM payments.payment_event e CROSS JOIN LATERAL"
		" (SELECT pg_catalog.count(*) FILTER (WHERE c.created_at OPERATOR(pg_catalog.>) $2)::pg_catalog.int4,"
		" pg_catalog.count(*) FILTER (WHERE c.created_at OPERATOR(pg_catalog.>) $3)::pg_catalog.int4,"
		" pg_catalog.count(*)::pg_catalog.int4 FROM payments.psp_call c"
		" WHERE c.order_id OPERATOR(pg_catalog.=) e.order_id AND c.operation OPERATOR(pg_catalog.=) 'look'"
		" AND c.created_at OPERATOR(pg_catalog.>) $4) l (just_now, in_hour, in_day)"
		" WHERE e.order_id OPERATOR(pg_catalog.=) ANY ($1)",
		4, {TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	uint64		rows;
	Datum		values[4];

	for (int i = 0; i < n; i++)
		order_ids[i] = unconstify(char *, looks[i].order_id);
	values[0] = pay_db_text_array(order_ids, n);
	values[1] = TimestampTzGetDatum(now - LOOK_GAP);
	values[2] = TimestampTzGetDatum(now - USECS_PER_HOUR);
	values[3] = TimestampTzGetDatum(now - USECS_PER_DAY);
	rows = pay_db_run(&read, values, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		char	   *order_id = pay_db_text(row, 1);
		int			i = 0;

		while (strcmp(looks[i].order_id, order_id) != 0)
			i++;
		if (!pay_db_bool(row, 2))
			continue;
		if (orders[i].id == 0 || pay_db_bool(row, 3))
			looks[i].state = PAY_LOOK_LATER;
		else if (!bounded)
			looks[i].state = PAY_LOOK_QUEUED;
		else
			looks[i].state = pay_db_int32(row, 5) >= LOOKS_PER_HOUR ||
				pay_db_int32(row, 6) >= LOOKS_PER_DAY ? PAY_LOOK_TOO_OFTEN :
				pay_db_int32(row, 4) > 0 ? PAY_LOOK_LATER : PAY_LOOK_QUEUED;
	}
}

/* A look has no body and no key to repeat: they stand there since all have. */
static void
insert_calls(PayLook *looks, const PayOrder *orders, int n, TimestampTz now)
{
	static PayStatement insert_call = {
		"INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation,"
		" payment_key, currency, amount, idempotency_key, request_body, created_at)"
		" SELECT l.id, e.order_id, e.id, e.merchant, 'look', e.payment_key, e.currency, e.amount, l.key, '{}', $4"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		" AS l (order_id, id, key)"
		" JOIN payments.payment_event e ON e.order_id OPERATOR(pg_catalog.=) l.order_id",
		4, {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID}
	};
	static PayStatement insert_queue = {
		"INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at, next_operation)"
		" SELECT l.id, l.order_id, m.id, $4, 'Q'"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		" AS l (order_id, id, merchant)"
		" JOIN payments.merchant m ON m.name OPERATOR(pg_catalog.=) l.merchant"
		" ORDER BY l.id RETURNING order_id, call_id, merchant_id",
		4, {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	char	  **keys = palloc(sizeof(char *) * n);
	char	  **merchants = palloc(sizeof(char *) * n);
	int64	   *ids;
	int			m = 0;
	Datum		values[4];

	for (int i = 0; i < n; i++)
	{
		if (looks[i].state != PAY_LOOK_QUEUED)
			continue;
		order_ids[m] = orders[i].order_id;
		merchants[m++] = orders[i].merchant;
	}
	if (m == 0)
		return;
	ids = pay_db_draw_ids("psp_call_id_seq", m);
	for (int i = 0; i < m; i++)
		keys[i] = pay_psp_call_look_key(order_ids[i], ids[i]);

	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(ids, m);
	values[2] = pay_db_text_array(keys, m);
	values[3] = TimestampTzGetDatum(now);
	if (pay_db_run(&insert_call, values, NULL) != m)
		elog(ERROR, "an order that is locked is not there");
	values[2] = pay_db_text_array(merchants, m);
	if (pay_db_run(&insert_queue, values, NULL) != m)
		elog(ERROR, "the merchant of an order does not exist");
	for (int i = 0; i < m; i++)
		pay_wake_enqueued(order_ids[i], ids[i], pay_db_int64(i, 3), now);

	m = 0;
	for (int i = 0; i < n; i++)
		if (looks[i].state == PAY_LOOK_QUEUED)
			looks[i].call_id = ids[m++];
}
