/*
 * ledger_horizon_trigger.c
 *		The trigger that refuses ledger transactions which are final already.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"

#include "ledger_snapshot.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(payments_ledger_horizon_guard);

/*
 * AFTER INSERT FOR EACH ROW; the argument names the column with the id.
 * Raises PY023.
 */
Datum
payments_ledger_horizon_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		is_null;
	Datum		id;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"payments.ledger_horizon_guard\" must be fired AFTER INSERT FOR EACH ROW")));

	id = pay_trigger_column(trigger, trigger->tg_trigtuple,
							trigger->tg_trigger->tgargs[0], &is_null);
	if (!is_null)
		pay_ledger_horizon_check(DatumGetInt64(id));
	return PointerGetDatum(NULL);
}
