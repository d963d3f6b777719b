/*
 * worker_status.c
 *		What people see of the workers: payments.worker_slots().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "worker_slot.h"

#define COLUMNS	16

PG_FUNCTION_INFO_V1(payments_worker_slots);

static void slot_row(PayWorkerSlot *slot, Datum *values, bool *nulls);

/* payments.worker_slots: one row per slot that is used. */
Datum
payments_worker_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; pay_worker_shared != NULL && i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot slot;
		Datum		values[COLUMNS];
		bool		nulls[COLUMNS] = {false};

		pay_worker_slot_read(i, &slot);
		if (slot.database[0] == '\0')
			continue;
		slot_row(&slot, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static void
slot_row(PayWorkerSlot *slot, Datum *values, bool *nulls)
{
	int			i = 0;

	values[i++] = DirectFunctionCall1(namein, CStringGetDatum(slot->database));
	values[i++] = Int32GetDatum(slot->shard.number);
	values[i++] = Int32GetDatum(slot->shard.of);
	values[i++] = CStringGetTextDatum(pay_worker_state_name(slot->state));
	nulls[i] = slot->reason[0] == '\0';
	values[i++] = CStringGetTextDatum(slot->reason);
	nulls[i] = slot->pid == 0;
	values[i++] = Int32GetDatum(slot->pid);
	nulls[i] = slot->epoch == 0;
	values[i++] = Int64GetDatum(slot->epoch);
	values[i++] = Int32GetDatum(slot->in_flight);
	nulls[i] = slot->started_at == 0;
	values[i++] = TimestampTzGetDatum(slot->started_at);
	nulls[i] = slot->last_turn_at == 0;
	values[i++] = TimestampTzGetDatum(slot->last_turn_at);
	for (int c = 0; c < PAY_COUNTERS; c++)
		values[i++] = Int64GetDatum(pg_atomic_read_u64(&slot->counters[c]));
	Assert(i == COLUMNS);
}
