/*
 * psp_payload.c
 *		Calls to the PSP: what is to be sent, read for those who send it.
 *
 * A call never changes, so it is read by its key, without a statement and
 * without a lock on its row.  What is sent for it are the very bytes that were
 * written with it.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "amount.h"
#include "currency.h"
#include "db.h"
#include "psp_payload.h"
#include "table_scan.h"

enum
{
	ID,
	ORDER_ID,
	PAYMENT_EVENT_ID,
	MERCHANT,
	OPERATION,
	PAYMENT_KEY,
	CURRENCY,
	AMOUNT,
	IDEMPOTENCY_KEY,
	REQUEST_BODY,
	REFUND_ID
};

static PayTable calls = {
	"psp_call",
	{
		[ID] = "id",
		[ORDER_ID] = "order_id",
		[PAYMENT_EVENT_ID] = "payment_event_id",
		[MERCHANT] = "merchant",
		[OPERATION] = "operation",
		[PAYMENT_KEY] = "payment_key",
		[CURRENCY] = "currency",
		[AMOUNT] = "amount",
		[IDEMPOTENCY_KEY] = "idempotency_key",
		[REQUEST_BODY] = "request_body",
		[REFUND_ID] = "refund_id",
	},
	.is_read_only = true
};

static void read_call(PayClaim *claim, TupleTableSlot *row);
static void read_refund(PayClaim *claim);

void
pay_psp_payload_read(PayClaim *const *claims, int n)
{
	static const int key[] = {ID};
	PayTableScan scan;

	pay_table_open(&calls);
	pay_table_scan_begin(&scan, &calls, key, lengthof(key), lengthof(key));
	for (int i = 0; i < n; i++)
	{
		Datum		id = Int64GetDatum(claims[i]->call_id);
		TupleTableSlot *row = pay_table_scan_first(&scan, &id);
		MemoryContext old;

		if (row == NULL)
			elog(ERROR, "call " INT64_FORMAT " does not exist",
				 claims[i]->call_id);
		old = MemoryContextSwitchTo(claims[i]->context);
		read_call(claims[i], row);
		MemoryContextSwitchTo(old);
	}
	pay_table_scan_end(&scan);
	pay_table_close(&calls);
}

static void
read_call(PayClaim *claim, TupleTableSlot *row)
{
	PayTossRequest *request = &claim->request;
	char	   *operation = pay_table_text(&calls, row, OPERATION);
	bool		no_refund;
	Datum		refund_id = pay_table_get(&calls, row, REFUND_ID,
										  &no_refund);

	if (strcmp(claim->order_id, pay_table_text(&calls, row, ORDER_ID)) != 0)
		elog(ERROR, "call " INT64_FORMAT " is of another order",
			 claim->call_id);
	claim->payment_event_id = pay_table_int64(&calls, row, PAYMENT_EVENT_ID);
	claim->merchant = pay_table_text(&calls, row, MERCHANT);
	claim->idempotency_key = pay_table_text(&calls, row, IDEMPOTENCY_KEY);
	claim->request_body = pay_table_text(&calls, row, REQUEST_BODY);
	claim->payment_key = pay_table_text(&calls, row, PAYMENT_KEY);
	claim->currency = pay_table_text(&calls, row, CURRENCY);
	claim->is_look = strcmp(operation, "look") == 0;

	request->payment_key = claim->payment_key;
	request->order_id = claim->order_id;
	request->currency = claim->currency;
	request->minor_units = pay_currency_minor_units(claim->currency);
	request->amount = pay_amount_from_table(pay_table_value(&calls, row,
															AMOUNT));
	if (!no_refund)
	{
		claim->refund_id = DatumGetInt64(refund_id);
		read_refund(claim);
	}
	claim->state.is_look = claim->is_look;
	claim->state.is_refund = claim->refund_id != 0;
}

/* The amount of its call is what is given back, the request's the payment's. */
static void
read_refund(PayClaim *claim)
{
	static PayStatement read = {
		"SELECT f.token, e.amount FROM payments.refund f"
		" JOIN payments.payment_event e ON e.id OPERATOR(pg_catalog.=) f.payment_event_id"
		" AND e.order_id OPERATOR(pg_catalog.=) f.order_id"
		" WHERE f.id OPERATOR(pg_catalog.=) $1 AND f.order_id OPERATOR(pg_catalog.=) $2",
		2, {INT8OID, TEXTOID}
	};
	Datum		values[2] = {Int64GetDatum(claim->refund_id),
	CStringGetTextDatum(claim->order_id)};

	if (pay_db_run(&read, values, NULL) != 1)
		elog(ERROR, "refund " INT64_FORMAT " does not exist",
			 claim->refund_id);
	claim->refund.token = pay_db_text(0, 1);
	claim->refund.amount = claim->request.amount;
	claim->request.amount = pay_db_mills(0, 2);
	claim->request.refund = &claim->refund;
}
