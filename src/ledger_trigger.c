/*
 * ledger_trigger.c
 *		The triggers of the zero-sum check; the check itself is ledger_log.c's.
 *
 * Both stand on payments.ledger_entry and refuse any other table: entries of
 * a copy of it could make up for what is missing in the ledger.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "amount.h"
#include "ledger_log.h"
#include "zero_sum.h"

/* Where the columns of payments.ledger_entry are; no oid: to be looked up. */
typedef struct EntryColumn
{
	const char *name;
	Oid			type;
} EntryColumn;

enum
{
	TRANSACTION_ID,
	ENTRY_NO,
	ENTRY_COUNT,
	CURRENCY,
	AMOUNT,
	ENTRY_COLUMNS
};

static const EntryColumn entry_columns[ENTRY_COLUMNS] = {
	[TRANSACTION_ID] = {"transaction_id", INT8OID},
	[ENTRY_NO] = {"entry_no", INT2OID},
	[ENTRY_COUNT] = {"entry_count", INT2OID},
	[CURRENCY] = {"currency", TEXTOID},
	[AMOUNT] = {"amount", NUMERICOID},
};

static Oid	entry_table = InvalidOid;
static AttrNumber entry_attributes[ENTRY_COLUMNS];

static TriggerData *check_call(FunctionCallInfo fcinfo, const char *function);
static void find_columns(Relation table);
static void forget_columns(Datum arg, Oid relation);
static Datum column(TriggerData *trigger, int which);
static PayCurrencyCode currency_code(Datum currency);

PG_FUNCTION_INFO_V1(payments_ledger_entry_remember);
PG_FUNCTION_INFO_V1(payments_ledger_entry_zero_sum);

/*
 * AFTER INSERT FOR EACH ROW: log the entry.
 */
Datum
payments_ledger_entry_remember(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_call(fcinfo, "ledger_entry_remember");

	pay_ledger_log_append(DatumGetInt64(column(trigger, TRANSACTION_ID)),
						  DatumGetInt16(column(trigger, ENTRY_NO)),
						  DatumGetInt16(column(trigger, ENTRY_COUNT)),
						  currency_code(column(trigger, CURRENCY)),
						  pay_amount_from_table(column(trigger, AMOUNT)));
	return PointerGetDatum(NULL);
}

/*
 * Constraint trigger on the last entry of a ledger transaction: check it now.
 */
Datum
payments_ledger_entry_zero_sum(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_call(fcinfo, "ledger_entry_zero_sum");
	int64		id = DatumGetInt64(column(trigger, TRANSACTION_ID));

	if (!pay_ledger_log_check(id))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("cannot check ledger transaction " INT64_FORMAT, id),
				 errdetail("Its entries were inserted past the trigger \"ledger_entry_remember\"."),
				 errhint("Make sure of the trigger: ALTER TABLE payments.ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_remember."),
				 pay_zero_sum_errconstraint()));
	return PointerGetDatum(NULL);
}

/* The call must be what both functions are for, and the table ours. */
static TriggerData *
check_call(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"payments.%s\" must be fired AFTER INSERT FOR EACH ROW",
						function)));

	pay_ledger_log_register();
	if (RelationGetRelid(trigger->tg_relation) != entry_table)
		find_columns(trigger->tg_relation);
	return trigger;
}

/* Make sure that the table is payments.ledger_entry; find its columns. */
static void
find_columns(Relation table)
{
	TupleDesc	desc = RelationGetDescr(table);
	char	   *schema = get_namespace_name(RelationGetNamespace(table));
	static bool registered = false;

	if (!registered)
		CacheRegisterRelcacheCallback(forget_columns, (Datum) 0);
	registered = true;

	if (strcmp(RelationGetRelationName(table), "ledger_entry") != 0 ||
		schema == NULL || strcmp(schema, "payments") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger on table \"%s\" is for payments.ledger_entry alone",
						RelationGetRelationName(table)),
				 errtable(table)));

	entry_table = InvalidOid;
	for (int which = 0; which < ENTRY_COLUMNS; which++)
	{
		AttrNumber	number = get_attnum(RelationGetRelid(table),
										entry_columns[which].name);

		if (number == InvalidAttrNumber ||
			TupleDescAttr(desc, number - 1)->atttypid !=
			entry_columns[which].type)
			elog(ERROR, "column \"%s\" of payments.ledger_entry is not as it was created",
				 entry_columns[which].name);
		entry_attributes[which] = number;
	}
	entry_table = RelationGetRelid(table);
}

/* Relcache callback: the table may have changed. */
static void
forget_columns(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == entry_table)
		entry_table = InvalidOid;
}

static Datum
column(TriggerData *trigger, int which)
{
	bool		is_null;
	Datum		value = slot_getattr(trigger->tg_trigslot,
									 entry_attributes[which], &is_null);

	if (is_null)
		elog(ERROR, "unexpected null in column \"%s\" of payments.ledger_entry",
			 entry_columns[which].name);
	return value;
}

static PayCurrencyCode
currency_code(Datum currency)
{
	PayCurrencyCode code = pay_zero_sum_pack(TextDatumGetCString(currency));

	if (code == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("currency of a ledger entry is not three capital letters"),
				 errhint("It is the currency of the account, a code of payments.currency."),
				 pay_zero_sum_errconstraint()));
	return code;
}
