/*
 * schema_arm.c
 *		The state that every trigger must have, and how to get it back.
 *
 * Three rules: triggers of ours, and the server's for our foreign keys, are
 * enabled ALWAYS, so that session_replication_role leaves neither out; those of
 * the foreign keys that are listed below are disabled on the side of the
 * referencing table, because a trigger of ours checks the same and more; and
 * those for foreign keys of the application are enabled.  The install script
 * calls rearm() at its end, so the schema that is recorded follows these rules.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "db.h"
#include "guard.h"

/*
 * Foreign keys of which C code checks that the referenced row exists.  Each
 * entry names the file that does.
 */
static const char *const checked_elsewhere[] = {
	NULL						/* the end */
};

#define COLUMNS	4

static void check_owner(void);
static Datum checked_elsewhere_array(void);
static void set_states(ReturnSetInfo *result);
static const char *state_name(char state);

PG_FUNCTION_INFO_V1(payments_rearm);

/*
 * payments.rearm: sets the triggers that are not as they must be, and returns
 * them.  Raises 42501 for who is not the owner.
 */
Datum
payments_rearm(PG_FUNCTION_ARGS)
{
	check_owner();
	InitMaterializedSRF(fcinfo, 0);

	pay_guard_suspended = true;
	PG_TRY();
	{
		set_states((ReturnSetInfo *) fcinfo->resultinfo);
	}
	PG_FINALLY();
	{
		pay_guard_suspended = false;
	}
	PG_END_TRY();
	return (Datum) 0;
}

static void
check_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACENAME,
										CStringGetDatum("payments"));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "schema payments does not exist");
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to arm the guards of payments"),
				 errhint("Only a superuser and the owner of the schema may.")));
}

/*
 * Two passes, because a result does not outlive the next statement.
 */
static void
set_states(ReturnSetInfo *result)
{
	static PayStatement wrong = {
		"SELECT w.relation, w.tgname::text, w.tgenabled, w.wanted"
		" FROM (SELECT c.oid::regclass::text AS relation, t.tgname, t.tgenabled,"
		"   CASE WHEN t.tgfoid::regproc::text ~ '^\"RI_FKey_check_(ins|upd)\"$' AND k.conname = ANY ($1) THEN 'D'::\"char\""
		"    WHEN t.tgisinternal AND k.connamespace IS DISTINCT FROM c.relnamespace THEN 'O'::\"char\""
		"    ELSE 'A'::\"char\" END AS wanted"
		"  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
		"   LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint"
		"  WHERE c.relnamespace = 'payments'::regnamespace) w"
		" WHERE w.tgenabled <> w.wanted ORDER BY 1, 2",
		1, {TEXTARRAYOID}
	};
	MemoryContext caller = pay_db_connect();
	Datum		values[1] = {checked_elsewhere_array()};
	uint64		n = pay_db_run(&wrong, values, NULL);
	char	  **commands = palloc(sizeof(char *) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
	{
		char	   *relation = pay_db_text(i, 1);
		char	   *trigger = pay_db_text(i, 2);
		const char *was = state_name(pay_db_char(i, 3));
		const char *now = state_name(pay_db_char(i, 4));
		Datum		row[COLUMNS] = {
			CStringGetTextDatum(relation), CStringGetTextDatum(trigger),
			CStringGetTextDatum(was), CStringGetTextDatum(now)
		};
		bool		nulls[COLUMNS] = {false};
		MemoryContext old = MemoryContextSwitchTo(caller);

		tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
		MemoryContextSwitchTo(old);
		commands[i] = psprintf("ALTER TABLE %s %s TRIGGER %s", relation, now,
							   quote_identifier(trigger));
	}
	for (uint64 i = 0; i < n; i++)
		pay_db_utility(commands[i]);
	pay_db_finish();
}

static Datum
checked_elsewhere_array(void)
{
	char	   *names[lengthof(checked_elsewhere)];
	int			n = 0;

	for (; checked_elsewhere[n] != NULL; n++)
		names[n] = pstrdup(checked_elsewhere[n]);
	return pay_db_text_array(names, n);
}

/* As ALTER TABLE spells it. */
static const char *
state_name(char state)
{
	switch (state)
	{
		case 'A':
			return "ENABLE ALWAYS";
		case 'O':
			return "ENABLE";
		case 'R':
			return "ENABLE REPLICA";
		default:
			return "DISABLE";
	}
}
