/*
 * psp_operator.c
 *		Calls to the PSP: what a person may do to an open one.
 *
 * A claim takes rows that nobody has locked, and only pending ones.  So whoever
 * holds the row's lock and sees that it is not in flight knows that nothing
 * will be sent before his transaction ends.  test/specs/race_resolve.spec
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "psp_call.h"
#include "psp_operator.h"
#include "wake.h"

bool
pay_psp_operator_lock(const char *order_id, PayOpenCall *call)
{
	static PayStatement lock = {
		"SELECT q.call_id, q.state, q.phase, q.first_sent_at, c.operation OPERATOR(pg_catalog.=) 'confirm',"
		" COALESCE(c.refund_id, 0)"
		" FROM payments.psp_call_queue q JOIN payments.psp_call c ON c.id OPERATOR(pg_catalog.=) q.call_id"
		" WHERE q.order_id OPERATOR(pg_catalog.=) $1 FOR UPDATE OF q",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	(void) pay_psp_deposit_recall_order(order_id);
	if (pay_db_run(&lock, values, NULL) == 0)
		return false;
	call->call_id = pay_db_int64(0, 1);
	call->state = pay_db_char(0, 2);
	call->phase = (PayCallPhase) pay_db_char(0, 3);
	call->first_sent_at = pay_db_is_null(0, 4) ? 0 : pay_db_time(0, 4);
	call->is_confirm = pay_db_bool(0, 5);
	call->refund_id = pay_db_int64(0, 6);
	return true;
}

void
pay_psp_operator_push(const char *order_id, TimestampTz now)
{
	static PayStatement push = {
		"UPDATE payments.psp_call_queue SET due_at = $2, failures = 0, contradictions = 0,"
		" next_operation = CASE WHEN attempt_no OPERATOR(pg_catalog.=) 0 THEN next_operation ELSE 'Q' END,"
		" phase = CASE phase WHEN 'X' THEN 'R' WHEN 'L' THEN 'D' WHEN 'F' THEN 'R' WHEN 'U' THEN 'T' ELSE phase END,"
		" state = 'P' WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND state OPERATOR(pg_catalog.<>) 'S' RETURNING call_id, merchant_id",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	TimestampTzGetDatum(now)};

	if (pay_db_run(&push, values, NULL) > 0)
		pay_wake_enqueued(order_id, pay_db_int64(0, 1), pay_db_int64(0, 2),
						  now);
}

void
pay_psp_operator_close(const char *order_id, const PayOpenCall *call)
{
	static PayStatement close = {
		"DELETE FROM payments.psp_call_queue WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND call_id OPERATOR(pg_catalog.=) $2 AND state OPERATOR(pg_catalog.<>) 'S'",
		2, {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	Int64GetDatum(call->call_id)};

	if (pay_db_run(&close, values, NULL) != 1)
		elog(ERROR, "call of order \"%s\" is not there to be closed",
			 order_id);
}

bool
pay_psp_operator_is_approved(const char *order_id)
{
	static PayStatement read = {
		"SELECT meaning FROM ONLY payments.psp_answer WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND meaning OPERATOR(pg_catalog.=) ANY ('{approved,canceled}')"
		" ORDER BY received_at DESC, call_id DESC, attempt_no DESC LIMIT 1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	return pay_db_run(&read, values, NULL) > 0 &&
		strcmp(pay_db_text(0, 1), "approved") == 0;
}

bool
pay_psp_operator_was_canceled(const char *order_id)
{
	static PayStatement read = {
		"SELECT FROM ONLY payments.psp_answer WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND meaning OPERATOR(pg_catalog.=) 'canceled' LIMIT 1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	return pay_db_run(&read, values, NULL) > 0;
}
