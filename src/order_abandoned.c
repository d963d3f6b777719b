/*
 * order_abandoned.c
 *		Orders that nobody confirmed: how they end, and how they begin anew.
 *
 * FAILURE is right only when no money can have moved.  Toss moves it by our
 * confirm alone, and a confirm is committed before it is sent: so an order
 * without a payment key was never charged, within one history of the database.
 * What a promotion or a restore may have lost is not in this history; an order
 * that is older than the history, or than the last change of where charges are
 * sent from (payments.arming), is left for people.  test/t/062_expiry.pl
 *
 * A confirm and an expiry lock the event, and each sees what the other has
 * done: one of them wins.  test/specs/race_expiry.spec
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "event.h"
#include "order_abandoned.h"

uint64
pay_order_abandon(const char *order_id, const char *code, const char *reason,
				  TimestampTz now)
{
	static PayStatement set_state = {
		"UPDATE payments.payment_order SET payment_order_status = 'FAILURE',"
		" failure_code = $2, status_reason = $3, updated_at = $4"
		" WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND payment_order_status OPERATOR(pg_catalog.=) 'NOT_STARTED'",
		4, {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	static PayStatement set_time = {
		"UPDATE payments.payment_event SET abandoned_at = $2"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND abandoned_at IS NULL",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	uint64		changed;
	Datum		values[4];

	values[0] = CStringGetTextDatum(order_id);
	values[1] = CStringGetTextDatum(code);
	values[2] = CStringGetTextDatum(reason);
	values[3] = TimestampTzGetDatum(now);
	changed = pay_db_run(&set_state, values, NULL);
	values[1] = TimestampTzGetDatum(now);
	if (changed > 0)
		pay_db_run(&set_time, values, NULL);
	return changed;
}

/*
 * The runs of workers know: a promotion begins another timeline, and a dump
 * that is restored comes into another cluster.
 */
TimestampTz
pay_order_history_begin(void)
{
	static PayStatement read = {
		"SELECT CASE WHEN o.epoch IS NULL THEN '-infinity' ELSE COALESCE("
		" (SELECT pg_catalog.min(r.started_at) FROM payments.worker_epoch r"
		" WHERE r.epoch OPERATOR(pg_catalog.>) o.epoch), 'infinity') END"
		" FROM (SELECT pg_catalog.max(epoch) FROM payments.worker_epoch"
		" WHERE system_identifier OPERATOR(pg_catalog.<>) $1"
		" OR timeline OPERATOR(pg_catalog.<>) $2) o (epoch)",
		2, {INT8OID, INT4OID}
	};
	Datum		values[2];

	values[0] = Int64GetDatum((int64) GetSystemIdentifier());
	values[1] = Int32GetDatum((int32) GetWALInsertionTimeLine());
	pay_db_run(&read, values, NULL);
	return pay_db_time(0, 1);
}

bool
pay_order_walk_next(PayOrderWalk *walk, TimestampTz now, PayOrder *order)
{
	static PayStatement lock = {
		"SELECT " PAY_ORDER_COLUMNS " FROM payments.payment_event e"
		" JOIN payments.currency c ON c.code OPERATOR(pg_catalog.=) e.currency"
		" WHERE e.payment_key IS NULL AND e.abandoned_at IS NULL"
		" AND e.expires_at OPERATOR(pg_catalog.<=) $1"
		" AND (e.expires_at, e.id) OPERATOR(pg_catalog.>) ($2, $3)"
		" AND e.created_at OPERATOR(pg_catalog.>) $4"
		" AND e.created_at OPERATOR(pg_catalog.>) COALESCE((SELECT a.happened_at"
		" FROM payments.arming a ORDER BY a.id DESC LIMIT 1), '-infinity')"
		" AND e.merchant OPERATOR(pg_catalog.<>) ALL ($5)"
		" ORDER BY e.expires_at, e.id LIMIT 1"
		" FOR NO KEY UPDATE OF e SKIP LOCKED",
		5, {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID,
		TEXTARRAYOID}
	};
	Datum		values[5];

	values[0] = TimestampTzGetDatum(now);
	values[1] = TimestampTzGetDatum(walk->after);
	values[2] = Int64GetDatum(walk->after_id);
	values[3] = TimestampTzGetDatum(walk->since);
	values[4] = pay_db_text_array(walk->passed_over, walk->n_passed_over);
	if (pay_db_run(&lock, values, NULL) == 0)
		return false;
	pay_order_fill(0, order);
	walk->after = order->expires_at;
	walk->after_id = order->id;
	return true;
}

bool
pay_order_expire(const PayOrder *order, TimestampTz now)
{
	char	   *reason = psprintf("nobody confirmed it before %s",
								  timestamptz_to_str(order->expires_at));

	if (pay_order_abandon(order->order_id, PAY_ORDER_EXPIRED_CODE, reason,
						  now) == 0)
		return false;
	pay_event_write_payment("payment.failed", order, PAY_ORDER_EXPIRED_CODE,
							now);
	return true;
}

bool
pay_order_lock_family(const char *order_id, char **first, char **newest)
{
	static PayStatement find = {
		"SELECT COALESCE(retry_of, order_id) FROM payments.payment_event"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	static PayStatement lock = {
		"SELECT COALESCE(retried_as, order_id) FROM payments.payment_event"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	if (pay_db_run(&find, values, NULL) == 0)
		return false;
	*first = pay_db_text(0, 1);
	values[0] = CStringGetTextDatum(*first);
	if (pay_db_run(&lock, values, NULL) != 1)
		elog(ERROR, "order \"%s\", the first of \"%s\", is not there",
			 *first, order_id);
	*newest = pay_db_text(0, 1);
	return true;
}

void
pay_order_set_newest(const char *first, const char *newest)
{
	static PayStatement set = {
		"UPDATE payments.payment_event SET retried_as = $2"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(first),
	CStringGetTextDatum(newest)};

	pay_db_run(&set, values, NULL);
}
