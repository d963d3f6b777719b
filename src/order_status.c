/*
 * order_status.c
 *		The state of an order as SQL sees it: the enum, and the errors.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#include "errors.h"
#include "order_status.h"

Datum
pay_order_status_datum(PayOrderState state)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum("payment_order_status"),
									   ObjectIdGetDatum(get_namespace_oid("payments", false)));
	Oid			value = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
										ObjectIdGetDatum(type),
										CStringGetDatum(pay_order_state_name(state)));

	if (!OidIsValid(value))
		elog(ERROR, "enum payments.payment_order_status has no label \"%s\"",
			 pay_order_state_name(state));
	return ObjectIdGetDatum(value);
}

PayOrderState
pay_order_status_from_datum(Datum status)
{
	char	   *label = DatumGetCString(DirectFunctionCall1(enum_out, status));
	PayOrderState state;

	if (!pay_order_state_from_name(label, &state))
		elog(ERROR, "unexpected order state \"%s\"", label);
	return state;
}

void
pay_order_must_be_open(const PayOrder *order, PayOrderState state,
					   TimestampTz now)
{
	if (state != PAY_ORDER_NOT_STARTED)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ORDER_NOT_OPEN),
				 errmsg("order \"%s\" is not open for payment",
						order->order_id),
				 errdetail("Its status is %s.", pay_order_state_name(state)),
				 errhint("Show the buyer this status; a new attempt is a new checkout.")));
	if (now >= order->expires_at)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ORDER_EXPIRED),
				 errmsg("order \"%s\" has expired", order->order_id),
				 errdetail("It expired at %s.",
						   timestamptz_to_str(order->expires_at)),
				 errhint("No money has moved; a new attempt is a new checkout.")));
}

void
pay_order_must_allow(const char *order_id, PayOrderState from,
					 PayOrderState to)
{
	if (!pay_order_state_allows(from, to))
		ereport(ERROR,
				(errcode(ERRCODE_PAY_INVALID_TRANSITION),
				 errmsg("payment order of \"%s\" cannot go from %s to %s",
						order_id, pay_order_state_name(from),
						pay_order_state_name(to)),
				 errdetail("%s.", pay_order_state_is_final(from) ?
						   "The state is final" :
						   "The state machine has no such transition"),
				 errhint("Corrections are new rows: refunds and reversing ledger transactions.")));
}
