/*
 * immutable_trigger.c
 *		The trigger that keeps rows as they were written.
 *
 * It stands on every table that records what happened, BEFORE UPDATE OR DELETE
 * for each row and BEFORE TRUNCATE for the statement, and is enabled ALWAYS, so
 * that neither a superuser nor session_replication_role gets past it.  (They
 * may drop it; that is for the DDL guard to refuse, and for verify() to see.)
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "errors.h"

PG_FUNCTION_INFO_V1(payments_forbid_change);

/*
 * Refuse the statement.  Raises PY010, naming the table.
 */
Datum
payments_forbid_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *verb = NULL;
	Relation	table;

	if (CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BEFORE(trigger->tg_event))
	{
		if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
			verb = TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) ?
				"truncate" : NULL;
		else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			verb = "update rows of";
		else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
			verb = "delete rows of";
	}
	if (verb == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE UPDATE OR DELETE FOR EACH ROW, or BEFORE TRUNCATE",
						"payments.forbid_change")));

	table = trigger->tg_relation;
	ereport(ERROR,
			(errcode(ERRCODE_PAY_IMMUTABLE),
			 errmsg("cannot %s \"%s.%s\"", verb,
					get_namespace_name(RelationGetNamespace(table)),
					RelationGetRelationName(table)),
			 errdetail("The table records what happened; its rows never change."),
			 errhint("Corrections are new rows; a ledger transaction is taken back with payments.reverse."),
			 errtable(table)));
	return (Datum) 0;			/* keep compiler quiet */
}
