/*
 * guard.c
 *		The guard of the schema: decides what is ours, and refuses.
 *
 * Triggers keep the rows, but who owns a table can switch its triggers off,
 * replace their functions, or put a rule before them.  With the library
 * preloaded three hooks refuse that to everybody, superusers included:
 * guard_utility.c sees commands, guard_access.c sees objects that are created,
 * altered, dropped and truncated, and DML on the system catalogs.
 *
 * What passes: the extension's own scripts, harmless commands, and everything
 * when the server was started with payments.maintenance, which leaves rows in
 * payments.maintenance_log.  A database without the extension pays one lookup in a
 * cache per command.  test/t/030_attacks.pl tries what has to be refused.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "errors.h"
#include "guard.h"
#include "guc.h"

bool		pay_guard_suspended = false;
const char *pay_guard_statement_name = "this command";

/* The schema, while known; it is looked for again when any schema changes. */
static bool schema_known = false;
static bool schema_forgotten = false;
static Oid	schema = InvalidOid;

static void forget_schema(Datum arg, int cache, uint32 hash);
static void refuse(const char *object);

void
pay_guard_install(void)
{
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_schema, (Datum) 0);
	pay_guard_utility_install();
	pay_guard_access_install();
	pay_guard_log_register();
}

const char *
pay_guard_maintenance(void)
{
	return pay_guc_maintenance == NULL || pay_guc_maintenance[0] == '\0' ?
		NULL : pay_guc_maintenance;
}

/*
 * A schema of that name counts when it is a member of the extension: somebody
 * else's is none of our business.
 */
Oid
pay_guard_schema(void)
{
	if (!schema_known)
	{
		Oid			found;

		schema_forgotten = false;
		found = get_namespace_oid("payments", true);

		if (OidIsValid(found))
		{
			Oid			extension = getExtensionOfObject(NamespaceRelationId,
														 found);

			if (!OidIsValid(extension) ||
				extension != get_extension_oid("payments", true))
				found = InvalidOid;
		}
		schema = found;
		/* while a script runs, membership comes after the schema */
		schema_known = !creating_extension && !schema_forgotten;
	}
	return schema;
}

static void
forget_schema(Datum arg, int cache, uint32 hash)
{
	schema_known = false;
	schema_forgotten = true;
}

bool
pay_guard_owns_relation(Oid relation)
{
	return OidIsValid(relation) && OidIsValid(pay_guard_schema()) &&
		get_rel_namespace(relation) == pay_guard_schema();
}

bool
pay_guard_in_own_script(void)
{
	return creating_extension && OidIsValid(CurrentExtensionObject) &&
		CurrentExtensionObject == get_extension_oid("payments", true);
}

void
pay_guard_statement(const char *object)
{
	if (pay_guard_suspended || pay_guard_in_own_script())
		return;
	if (pay_guard_maintenance() == NULL)
		refuse(object);
	pay_guard_log_note(pay_guard_statement_name, object);
}

void
pay_guard_object(Oid class_id, Oid object_id, int32 sub_id)
{
	ObjectAddress address;
	char	   *description;

	if (pay_guard_suspended || pay_guard_in_own_script())
		return;
	ObjectAddressSubSet(address, class_id, object_id, sub_id);
	description = getObjectDescription(&address, true);
	pay_guard_statement(description != NULL ? description : "a new object");
}

/* As immutable_trigger.c has it, but for every table of ours. */
void
pay_guard_truncate(Oid relation)
{
	if (pay_guard_maintenance() == NULL && !pay_guard_in_own_script())
		ereport(ERROR,
				(errcode(ERRCODE_PAY_IMMUTABLE),
				 errmsg("cannot truncate \"payments.%s\"",
						get_rel_name(relation)),
				 errdetail("The table belongs to the books of payments, which are kept."),
				 errhint("Corrections are new rows; a ledger transaction is taken back with payments.reverse.")));
	pay_guard_object(RelationRelationId, relation, 0);
}

/* A database that a worker serves; it need not be the one we are in. */
void
pay_guard_database(const char *name)
{
	if (pay_guard_maintenance() == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_GUARDED),
				 errmsg("%s is refused for database \"%s\"",
						pay_guard_statement_name, name),
				 errdetail("Its payments are served by this server: it stands in payments.databases."),
				 errhint("Take it out of payments.databases and reload, or restart the server with payments.maintenance set to the reason.")));
	pay_guard_log_note(pay_guard_statement_name,
					   psprintf("database %s", name));
}

/* The name goes stale with the error: forget it. */
static void
refuse(const char *object)
{
	const char *statement = pay_guard_statement_name;

	pay_guard_statement_name = "this command";
	ereport(ERROR,
			(errcode(ERRCODE_PAY_GUARDED),
			 errmsg("%s is refused for %s", statement, object),
			 errdetail("It belongs to what keeps the books of payments, which is guarded against everybody."),
			 errhint("Indexes, VACUUM, GRANT and the like are free. For anything else restart the server with payments.maintenance set to the reason.")));
}
