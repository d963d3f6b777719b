/*
 * psp_expire.c
 *		Calls to the PSP: what was never sent, and is not worth sending any more.
 *
 * A call waits without an attempt while its merchant may not send: the bucket
 * is empty, the breaker is open, no worker runs.  When its order's time is over
 * the buyer is gone, and the order fails without a word to the PSP.
 *
 * That is right only when it is certain that no attempt was begun, by anybody.
 * Within one history of the database an attempt is committed, and flushed,
 * before a byte leaves.  What a promotion or a restore may have lost is not in
 * this history; so a call is left alone that is older than the last change of
 * where charges are sent from (payments.arming, and since, which the caller
 * gives), or hardly younger: the two servers' clocks differ.  It is sent as ever,
 * with its key, and the PSP decides.
 *
 * A claim and an expiry lock the row of the queue, and each passes over what the
 * other has locked or changed: one of them wins.  test/t/057_flow.pl
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "db.h"
#include "order.h"
#include "psp_expire.h"
#include "settle.h"

/* By how much the clocks of two servers may differ */
#define CLOCKS_DIFFER	"'10 s'"

static int	read_candidates(PayExpiry *expiry, TimestampTz now,
							char ***order_ids, int64 **call_ids);
static int	lock_unsent(PayOrder *orders, int64 *call_ids, int n);
static void close_calls(const int64 *call_ids, int n);

void
pay_psp_expire(PayExpiry *expiry, TimestampTz now)
{
	MemoryContext caller = pay_db_connect();
	char	  **order_ids;
	int64	   *call_ids;
	int			n = read_candidates(expiry, now, &order_ids, &call_ids);
	PayOrder   *orders = palloc(sizeof(PayOrder) * Max(n, 1));
	PayOrderOutcome *outcomes = palloc0(sizeof(PayOrderOutcome) * Max(n, 1));

	if (n > 0)
	{
		(void) pay_order_lock_many(order_ids, n, orders);
		n = lock_unsent(orders, call_ids, n);
	}
	for (int i = 0; i < n; i++)
	{
		outcomes[i].order = &orders[i];
		outcomes[i].order_id = orders[i].order_id;
		outcomes[i].state = PAY_ORDER_FAILURE;
		outcomes[i].code = PAY_EXPIRED_UNSENT;
		outcomes[i].reason = "nothing was sent for it, and its time is over";
	}
	if (n > 0)
	{
		pay_settle_outcomes(orders, outcomes, n, now);
		close_calls(call_ids, n);
	}

	expiry->n_expired = n;
	expiry->expired = MemoryContextAlloc(caller, sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		expiry->expired[i] = MemoryContextStrdup(caller, orders[i].order_id);
	pay_db_finish();
}

/*
 * Read calls, whatever they are, so that one that waits for something else is not
 * walked over twice; returns those that were never sent and whose order's time is
 * over.
 */
static int
read_candidates(PayExpiry *expiry, TimestampTz now, char ***order_ids,
				int64 **call_ids)
{
	static PayStatement read = {
		"SELECT q.call_id, q.order_id, e.expires_at FROM (SELECT w.call_id, w.order_id,"
		" w.merchant_id OPERATOR(pg_catalog.=) ANY ($2) AND w.state OPERATOR(pg_catalog.=) 'P'"
		" AND w.attempt_no OPERATOR(pg_catalog.=) 0 AND w.first_sent_at IS NULL AS is_unsent"
		" FROM payments.psp_call_queue w WHERE w.call_id OPERATOR(pg_catalog.>) $1"
		" AND w.call_id OPERATOR(pg_catalog.<=) $5 ORDER BY w.call_id LIMIT $4) q"
		" LEFT JOIN payments.psp_call c ON c.id OPERATOR(pg_catalog.=) q.call_id AND q.is_unsent"
		" AND c.operation OPERATOR(pg_catalog.=) 'confirm' AND c.renews_call_id IS NULL"
		" AND c.created_at OPERATOR(pg_catalog.>) (GREATEST($3, (SELECT a.happened_at"
		" FROM payments.arming a ORDER BY a.id DESC LIMIT 1))"
		" OPERATOR(pg_catalog.+) " CLOCKS_DIFFER "::pg_catalog.interval)"
		" LEFT JOIN payments.payment_event e ON e.order_id OPERATOR(pg_catalog.=) c.order_id"
		" ORDER BY q.call_id",
		5, {INT8OID, INT8ARRAYOID, TIMESTAMPTZOID, INT4OID, INT8OID}
	};
	Datum		values[5];
	int			n_read;
	int			n = 0;

	values[0] = Int64GetDatum(expiry->after);
	values[1] = pay_db_int64_array(expiry->merchant_ids, expiry->n_merchants);
	values[2] = TimestampTzGetDatum(expiry->since);
	values[3] = Int32GetDatum(expiry->max);
	values[4] = Int64GetDatum(expiry->upto);
	n_read = (int) pay_db_run(&read, values, NULL);
	expiry->last = n_read == expiry->max ? pay_db_int64(n_read - 1, 1) :
		expiry->upto;
	expiry->next_at = DT_NOEND;
	*order_ids = palloc(sizeof(char *) * Max(n_read, 1));
	*call_ids = palloc(sizeof(int64) * Max(n_read, 1));
	for (int i = 0; i < n_read; i++)
	{
		TimestampTz expires_at = pay_db_is_null(i, 3) ? DT_NOEND :
		pay_db_time(i, 3);

		if (expires_at > now)
			expiry->next_at = Min(expiry->next_at, expires_at);
		else
		{
			(*call_ids)[n] = pay_db_int64(i, 1);
			(*order_ids)[n++] = pay_db_text(i, 2);
		}
	}
	expiry->first = n > 0 ? (*call_ids)[0] : 0;
	return n;
}

/*
 * Of those whose event is locked, lock the calls that still were never sent, and
 * keep only them.  From here on they cannot be claimed.
 */
static int
lock_unsent(PayOrder *orders, int64 *call_ids, int n)
{
	static PayStatement lock = {
		"SELECT q.call_id FROM payments.psp_call_queue q"
		" WHERE q.call_id OPERATOR(pg_catalog.=) ANY ($1)"
		" AND q.state OPERATOR(pg_catalog.=) 'P' AND q.attempt_no OPERATOR(pg_catalog.=) 0"
		" AND q.first_sent_at IS NULL"
		" AND NOT EXISTS (SELECT FROM ONLY payments.psp_call c"
		" JOIN ONLY payments.psp_attempt a ON a.call_id OPERATOR(pg_catalog.=) c.id"
		" WHERE c.order_id OPERATOR(pg_catalog.=) q.order_id)"
		" ORDER BY q.order_id FOR UPDATE OF q SKIP LOCKED",
		1, {INT8ARRAYOID}
	};
	Datum		values[1] = {pay_db_int64_array(call_ids, n)};
	uint64		rows = pay_db_run(&lock, values, NULL);
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		bool		is_locked = false;

		for (uint64 row = 0; row < rows && orders[i].id != 0; row++)
			is_locked |= pay_db_int64(row, 1) == call_ids[i];
		if (!is_locked)
			continue;
		orders[kept] = orders[i];
		call_ids[kept++] = call_ids[i];
	}
	return kept;
}

static void
close_calls(const int64 *call_ids, int n)
{
	static PayStatement close = {
		"DELETE FROM payments.psp_call_queue WHERE call_id OPERATOR(pg_catalog.=) ANY ($1)",
		1, {INT8ARRAYOID}
	};
	Datum		values[1] = {pay_db_int64_array(call_ids, n)};

	if (pay_db_run(&close, values, NULL) != n)
		elog(ERROR, "calls that expired are not there to be closed");
}
