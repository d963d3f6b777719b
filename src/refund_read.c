/*
 * refund_read.c
 *		Refunds: what is known of them, and what may still go back.
 *
 * With refund.c the first half of refund.h; nothing is written here.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#include "db.h"
#include "refund.h"

int
pay_refund_lines(const char *order_id, PayRefundable **lines)
{
	static PayStatement read = {
		"SELECT o.id, o.seller_id, o.amount, o.commission,"
		" o.refunded_amount OPERATOR(pg_catalog.+) o.refunding_amount,"
		" COALESCE((SELECT pg_catalog.sum(l.commission) FROM payments.refund_line l"
		" JOIN payments.refund r ON r.id OPERATOR(pg_catalog.=) l.refund_id"
		" WHERE l.payment_order_id OPERATOR(pg_catalog.=) o.id"
		" AND l.order_id OPERATOR(pg_catalog.=) $1"
		" AND r.refund_status OPERATOR(pg_catalog.<>) 'FAILURE'), 0)"
		" FROM payments.payment_order o WHERE o.order_id OPERATOR(pg_catalog.=) $1"
		" ORDER BY o.line_no",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};
	int			n = (int) pay_db_run(&read, values, NULL);

	*lines = palloc(sizeof(PayRefundable) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayRefundable *line = &(*lines)[i];

		line->payment_order_id = pay_db_int64(i, 1);
		line->seller_id = pay_db_int64(i, 2);
		line->amount = pay_db_mills(i, 3);
		line->commission = pay_db_mills(i, 4);
		line->returned = pay_db_mills(i, 5);
		line->commission_returned = pay_db_mills(i, 6);
	}
	return n;
}

int
pay_refund_count(const char *order_id)
{
	static PayStatement count = {
		"SELECT pg_catalog.count(*)::pg_catalog.int4 FROM payments.refund"
		" WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND refund_status OPERATOR(pg_catalog.<>) 'FAILURE'",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	pay_db_run(&count, values, NULL);
	return pay_db_int32(0, 1);
}

int64
pay_refund_find(const char *order_id, const char *idempotency_key,
				const char *reason, const char *request, bool *same)
{
	static PayStatement find = {
		"SELECT id, reason OPERATOR(pg_catalog.=) $3"
		" AND request OPERATOR(pg_catalog.=) $4::pg_catalog.jsonb FROM payments.refund"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND idempotency_key OPERATOR(pg_catalog.=) $2",
		4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[4] = {CStringGetTextDatum(order_id),
		CStringGetTextDatum(idempotency_key), CStringGetTextDatum(reason),
	CStringGetTextDatum(request)};

	if (pay_db_run(&find, values, NULL) == 0)
		return 0;
	*same = pay_db_bool(0, 2);
	return pay_db_int64(0, 1);
}

bool
pay_refund_state(const char *order_id, int64 refund_id, PayRefundState *state)
{
	static PayStatement read = {
		"SELECT refund_status::pg_catalog.text FROM payments.refund"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
		2, {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	Int64GetDatum(refund_id)};

	if (pay_db_run(&read, values, NULL) == 0)
		return false;
	if (!pay_refund_state_from_name(pay_db_text(0, 1), state))
		elog(ERROR, "unexpected state of refund " INT64_FORMAT, refund_id);
	return true;
}

Datum
pay_refund_status_datum(PayRefundState state)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum("refund_status"),
									   ObjectIdGetDatum(get_namespace_oid("payments", false)));
	Oid			value = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
										ObjectIdGetDatum(type),
										CStringGetDatum(pay_refund_state_name(state)));

	if (!OidIsValid(value))
		elog(ERROR, "enum payments.refund_status has no label \"%s\"",
			 pay_refund_state_name(state));
	return ObjectIdGetDatum(value);
}

PayRefundState
pay_refund_state_from_datum(Datum status)
{
	char	   *label = DatumGetCString(DirectFunctionCall1(enum_out, status));
	PayRefundState state;

	if (!pay_refund_state_from_name(label, &state))
		elog(ERROR, "unexpected refund state \"%s\"", label);
	return state;
}
