/*
 * trigger.c
 *		What trigger functions share: how they were called, and their columns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "trigger.h"

TriggerData *
pay_trigger_on_update(FunctionCallInfo fcinfo, bool before)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		(before ? !TRIGGER_FIRED_BEFORE(trigger->tg_event) :
		 !TRIGGER_FIRED_AFTER(trigger->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger function was not called as a %s UPDATE row trigger",
						before ? "BEFORE" : "AFTER")));
	return trigger;
}

TriggerData *
pay_trigger_after_statement(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		trigger->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger function was not called as an AFTER UPDATE statement trigger with a NEW TABLE")));
	return trigger;
}

static int
column_number(TupleDesc desc, const char *column)
{
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), column) == 0)
			return i + 1;
	elog(ERROR, "trigger's table has no column \"%s\"", column);
	return 0;
}

Datum
pay_trigger_column(TriggerData *trigger, HeapTuple row, const char *column,
				   bool *is_null)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	return heap_getattr(row, column_number(desc, column), desc, is_null);
}

const char *
pay_trigger_changed(TriggerData *trigger, const char *const *columns)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	for (; *columns != NULL; columns++)
	{
		int			number = column_number(desc, *columns);
		Form_pg_attribute attribute = TupleDescAttr(desc, number - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value = heap_getattr(trigger->tg_trigtuple, number,
											 desc, &old_null);
		Datum		new_value = heap_getattr(trigger->tg_newtuple, number,
											 desc, &new_null);

		if (old_null != new_null ||
			(!old_null && !datum_image_eq(old_value, new_value,
										  attribute->attbyval,
										  attribute->attlen)))
			return *columns;
	}
	return NULL;
}
