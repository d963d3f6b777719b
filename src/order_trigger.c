/*
 * order_trigger.c
 *		Guards of payment events and orders: every writer passes them, but
 *		for order_outcome.c, which does the same without being triggered.
 *
 * The BEFORE triggers check (state machine, identity, completion), the AFTER
 * triggers record (history) and complete (is_payment_done).  They are ENABLE
 * ALWAYS, so neither a superuser's UPDATE nor replication slips by.
 *
 * Completion has a race: two transactions that finish the last two orders of
 * an event each see the other's as unfinished.  So the event's row is locked
 * first, and the orders are counted by a later statement, whose snapshot sees
 * what the other transaction committed meanwhile
 * (test/specs/race_completion.spec).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"
#include "utils/timestamp.h"

#include "db.h"
#include "errors.h"
#include "event.h"
#include "order.h"
#include "order_history.h"
#include "order_status.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(payments_payment_order_guard);
PG_FUNCTION_INFO_V1(payments_payment_order_record);
PG_FUNCTION_INFO_V1(payments_payment_order_complete);
PG_FUNCTION_INFO_V1(payments_payment_event_guard);

/* What an order keeps for life. */
static const char *const order_identity[] = {
	"id", "payment_event_id", "amount", "buyer_id", "seller_id", "order_id",
	"line_no", "product_id", "product_name", "quantity", "commission",
	"created_at", NULL
};

/* What an event keeps for life. */
static const char *const event_identity[] = {
	"id", "order_id", "merchant", "buyer_id", "order_name", "currency",
	"amount", "created_at", "metadata", "retry_of", NULL
};

static int	orders_with_both_flags(TriggerData *trigger, char ***order_ids);
static char *order_id_of(TriggerData *trigger);
static bool flag_of(TriggerData *trigger, HeapTuple row, const char *column);
static PayOrderState state_of(TriggerData *trigger, HeapTuple row);
pg_noreturn static void refuse_change(TriggerData *trigger,
									  const char *column);
static void check_flags(TriggerData *trigger);
static void check_set_once(TriggerData *trigger, const char *column);
static void check_done(TriggerData *trigger);

Datum
payments_payment_order_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = pay_trigger_on_update(fcinfo, true);
	const char *changed = pay_trigger_changed(trigger, order_identity);
	bool		is_null;
	PayOrderState from;
	PayOrderState to;

	if (changed)
		refuse_change(trigger, changed);
	check_flags(trigger);

	from = state_of(trigger, trigger->tg_trigtuple);
	(void) pay_trigger_column(trigger, trigger->tg_newtuple,
							  "payment_order_status", &is_null);
	if (is_null)				/* the NOT NULL constraint will say so */
		return PointerGetDatum(trigger->tg_newtuple);
	to = state_of(trigger, trigger->tg_newtuple);
	if (from != to)
		pay_order_must_allow(order_id_of(trigger), from, to);
	return PointerGetDatum(trigger->tg_newtuple);
}

/* A flag that is set stays set. */
static void
check_flags(TriggerData *trigger)
{
	static const char *const flags[] = {"ledger_updated", "wallet_updated"};

	for (size_t i = 0; i < lengthof(flags); i++)
		if (flag_of(trigger, trigger->tg_trigtuple, flags[i]) &&
			!flag_of(trigger, trigger->tg_newtuple, flags[i]))
			refuse_change(trigger, flags[i]);
}

Datum
payments_payment_order_record(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = pay_trigger_on_update(fcinfo, false);
	HeapTuple	new_row = trigger->tg_newtuple;
	PayOrderTransition transition = {order_id_of(trigger)};
	bool		is_null;
	Datum		reason;

	transition.payment_order_id =
		DatumGetInt64(pay_trigger_column(trigger, new_row, "id", &is_null));
	transition.from = state_of(trigger, trigger->tg_trigtuple);
	transition.to = state_of(trigger, new_row);
	reason = pay_trigger_column(trigger, new_row, "status_reason", &is_null);
	if (!is_null)
		transition.reason = TextDatumGetCString(reason);

	/* Not the statement's time: one may change an order twice. */
	pay_order_history_write(&transition, 1, GetCurrentTimestamp());
	return PointerGetDatum(NULL);
}

/*
 * Once per UPDATE statement: the events whose orders have both flags now are
 * locked, and those of which no order lacks one are done.
 */
Datum
payments_payment_order_complete(PG_FUNCTION_ARGS)
{
	static PayStatement lock = {
		"SELECT FROM payments.payment_event e"
		" WHERE e.order_id OPERATOR(pg_catalog.=) ANY ($1)"
		" ORDER BY e.order_id FOR NO KEY UPDATE",
		1, {TEXTARRAYOID}
	};
	static PayStatement complete = {
		"UPDATE payments.payment_event e SET is_payment_done = true"
		" FROM payments.currency c WHERE c.code OPERATOR(pg_catalog.=) e.currency"
		" AND e.order_id OPERATOR(pg_catalog.=) ANY ($1) AND NOT e.is_payment_done"
		" AND NOT EXISTS (SELECT FROM payments.payment_order o"
		" WHERE o.order_id OPERATOR(pg_catalog.=) e.order_id"
		" AND NOT (o.ledger_updated AND o.wallet_updated))"
		" RETURNING " PAY_ORDER_COLUMNS,
		1, {TEXTARRAYOID}
	};
	static PayStatement touch = {
		"UPDATE payments.payment_event e SET is_payment_done = false"
		" WHERE e.order_id OPERATOR(pg_catalog.=) ANY ($1) AND NOT e.is_payment_done",
		1, {TEXTARRAYOID}
	};
	TriggerData *trigger = pay_trigger_after_statement(fcinfo);
	char	  **order_ids;
	int			n = orders_with_both_flags(trigger, &order_ids);
	uint64		locked;
	PayEvent   *events;
	Datum		values[1];

	if (n == 0)
		return PointerGetDatum(NULL);

	pay_db_connect();
	values[0] = pay_db_text_array(order_ids, n);
	locked = pay_db_run(&lock, values, NULL);
	n = (int) pay_db_run(&complete, values, NULL);
	events = palloc(sizeof(PayEvent) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayOrder	order;

		pay_order_fill(i, &order);
		events[i].kind = "payment.completed";
		events[i].order_id = order.order_id;
		events[i].payload = NULL;
		events[i].json = pay_event_payment_json(&order, NULL);
	}
	pay_event_write(events, n, GetCurrentTimestamp());

	/*
	 * An event that is not done gets a new row version.  A transaction with
	 * an older snapshot, which cannot see this order's flags, then fails with
	 * 40001 at its lock, instead of finding the event unfinished as well.
	 */
	if ((uint64) n < locked)
		pay_db_run(&touch, values, NULL);
	pay_db_finish();
	return PointerGetDatum(NULL);
}

/* Order ids of the changed rows that have both flags; some may repeat. */
static int
orders_with_both_flags(TriggerData *trigger, char ***order_ids)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	int			size = 64;
	int			n = 0;

	*order_ids = palloc(sizeof(char *) * size);
	while (tuplestore_gettupleslot(trigger->tg_newtable, true, false, slot))
	{
		bool		should_free;
		HeapTuple	row = ExecFetchSlotHeapTuple(slot, true, &should_free);
		bool		is_null;

		if (flag_of(trigger, row, "ledger_updated") &&
			flag_of(trigger, row, "wallet_updated"))
		{
			if (n == size)
				*order_ids = repalloc(*order_ids, sizeof(char *) * (size *= 2));
			(*order_ids)[n++] =
				TextDatumGetCString(pay_trigger_column(trigger, row, "order_id",
													   &is_null));
		}
		if (should_free)
			heap_freetuple(row);
	}
	ExecDropSingleTupleTableSlot(slot);
	return n;
}

Datum
payments_payment_event_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = pay_trigger_on_update(fcinfo, true);
	const char *changed = pay_trigger_changed(trigger, event_identity);

	if (changed)
		refuse_change(trigger, changed);
	check_set_once(trigger, "payment_key");
	check_set_once(trigger, "abandoned_at");
	check_done(trigger);
	return PointerGetDatum(trigger->tg_newtuple);
}

/* One payment key per event, and one end: set once, then never changed. */
static void
check_set_once(TriggerData *trigger, const char *column)
{
	const char *columns[] = {column, NULL};
	bool		was_null;

	(void) pay_trigger_column(trigger, trigger->tg_trigtuple, column,
							  &was_null);
	if (!was_null && pay_trigger_changed(trigger, columns))
		refuse_change(trigger, column);
}

/* An event is done for ever, and only with all its orders. */
static void
check_done(TriggerData *trigger)
{
	static PayStatement count = {
		"SELECT pg_catalog.count(*) FROM payments.payment_order"
		" WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND NOT (ledger_updated AND wallet_updated)",
		1, {TEXTOID}
	};
	bool		was = flag_of(trigger, trigger->tg_trigtuple, "is_payment_done");
	bool		is = flag_of(trigger, trigger->tg_newtuple, "is_payment_done");
	char	   *order_id = order_id_of(trigger);
	int64		unfinished;
	Datum		values[1];

	if (was == is)
		return;
	if (was)
		refuse_change(trigger, "is_payment_done");

	pay_db_connect();
	values[0] = CStringGetTextDatum(order_id);
	pay_db_run(&count, values, NULL);
	unfinished = pay_db_int64(0, 1);
	pay_db_finish();
	if (unfinished > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_INVALID_TRANSITION),
				 errmsg("payment event \"%s\" cannot be done yet", order_id),
				 errdetail("%lld of its payment orders lack ledger_updated or wallet_updated.",
						   (long long) unfinished),
				 errhint("is_payment_done is set by the trigger that sees the last order complete.")));
}

static char *
order_id_of(TriggerData *trigger)
{
	bool		is_null;

	return TextDatumGetCString(pay_trigger_column(trigger,
												  trigger->tg_trigtuple,
												  "order_id", &is_null));
}

static bool
flag_of(TriggerData *trigger, HeapTuple row, const char *column)
{
	bool		is_null;
	Datum		value = pay_trigger_column(trigger, row, column, &is_null);

	return !is_null && DatumGetBool(value);
}

static PayOrderState
state_of(TriggerData *trigger, HeapTuple row)
{
	bool		is_null;

	return pay_order_status_from_datum(pay_trigger_column(trigger, row,
														  "payment_order_status",
														  &is_null));
}

static void
refuse_change(TriggerData *trigger, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_IMMUTABLE),
			 errmsg("column \"%s\" of order \"%s\" cannot change",
					column, order_id_of(trigger)),
			 errdetail("Table \"%s\" keeps identity, amounts and what was once reached.",
					   RelationGetRelationName(trigger->tg_relation)),
			 errhint("A different order is a new checkout.")));
}
