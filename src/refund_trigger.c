/*
 * refund_trigger.c
 *		Guards of refunds, which every writer passes.
 *
 * As order_trigger.c for orders: the BEFORE trigger checks transitions and what
 * a refund keeps for life, the AFTER trigger writes the history.  Both are
 * ENABLE ALWAYS.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "db.h"
#include "errors.h"
#include "order_history.h"
#include "refund.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(payments_refund_guard);
PG_FUNCTION_INFO_V1(payments_refund_record);

/* What a refund keeps for life. */
static const char *const identity[] = {
	"id", "order_id", "payment_event_id", "amount", "currency", "reason",
	"idempotency_key", "request", "token", "requested_by", "created_at",
	"origin", "proof_call_id", "proof_attempt_no", NULL
};

static PayRefundState state_of(TriggerData *trigger, HeapTuple row);
static int64 id_of(TriggerData *trigger);

Datum
payments_refund_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = pay_trigger_on_update(fcinfo, true);
	const char *changed = pay_trigger_changed(trigger, identity);
	bool		is_null;
	PayRefundState from;
	PayRefundState to;

	if (changed)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_IMMUTABLE),
				 errmsg("column \"%s\" of refund " INT64_FORMAT " cannot change",
						changed, id_of(trigger)),
				 errhint("Another refund is another row.")));

	from = state_of(trigger, trigger->tg_trigtuple);
	(void) pay_trigger_column(trigger, trigger->tg_newtuple, "refund_status", &is_null);
	if (is_null)				/* the NOT NULL constraint will say so */
		return PointerGetDatum(trigger->tg_newtuple);
	to = state_of(trigger, trigger->tg_newtuple);
	if (from != to && !pay_refund_state_allows(from, to))
		ereport(ERROR,
				(errcode(ERRCODE_PAY_INVALID_TRANSITION),
				 errmsg("refund " INT64_FORMAT " cannot go from %s to %s",
						id_of(trigger), pay_refund_state_name(from),
						pay_refund_state_name(to)),
				 errdetail("%s.", pay_refund_state_is_final(from) ?
						   "The state is final" :
						   "The state machine has no such transition"),
				 errhint("Another refund is another row.")));
	return PointerGetDatum(trigger->tg_newtuple);
}

Datum
payments_refund_record(PG_FUNCTION_ARGS)
{
	static PayStatement insert = {
		"INSERT INTO payments.refund_history (id, order_id, refund_id, from_status,"
		" to_status, reason, actor, changed_at)"
		" VALUES ($1, $2, $3, $4::payments.refund_status, $5::payments.refund_status, $6, $7, $8)",
		8, {INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TIMESTAMPTZOID}
	};
	TriggerData *trigger = pay_trigger_on_update(fcinfo, false);
	HeapTuple	row = trigger->tg_newtuple;
	PayRefundState from = state_of(trigger, trigger->tg_trigtuple);
	PayRefundState to = state_of(trigger, row);
	const char *actor = pay_order_actor ? pay_order_actor :
	GetUserNameFromId(GetSessionUserId(), false);
	bool		is_null;
	Datum		values[8];

	pay_db_connect();
	values[0] = Int64GetDatum(pay_db_draw_ids("refund_history_id_seq", 1)[0]);
	values[1] = pay_trigger_column(trigger, row, "order_id", &is_null);
	values[2] = pay_trigger_column(trigger, row, "id", &is_null);
	values[3] = CStringGetTextDatum(pay_refund_state_name(from));
	values[4] = CStringGetTextDatum(pay_refund_state_name(to));
	values[5] = pay_trigger_column(trigger, row, "status_reason", &is_null);
	values[6] = CStringGetTextDatum(actor);

	/* Not the statement's time: one may change a refund twice. */
	values[7] = TimestampTzGetDatum(GetCurrentTimestamp());
	pay_db_run(&insert, values, is_null ? "     n  " : NULL);
	pay_db_finish();
	return PointerGetDatum(NULL);
}

static PayRefundState
state_of(TriggerData *trigger, HeapTuple row)
{
	bool		is_null;

	return pay_refund_state_from_datum(pay_trigger_column(trigger, row, "refund_status",
														  &is_null));
}

static int64
id_of(TriggerData *trigger)
{
	bool		is_null;

	return DatumGetInt64(pay_trigger_column(trigger, trigger->tg_trigtuple, "id",
											&is_null));
}
