/*
 * guard_access.c
 *		The guard's hooks below the commands: objects, and the catalogs' rows.
 *
 * Whatever the command was, the server announces the objects it creates,
 * alters, drops and truncates by their oids, so no play with names helps.  What
 * it does not announce, or announces also for harmless commands, is
 * guard_utility.c's.
 *
 * Left alone: what the server does on its own (rewriting a table for VACUUM
 * FULL, the triggers of a foreign key of the application), and indexes
 * that are not unique.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_description.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "guard.h"

/*
 * How an object belongs to our schema: by a column of its catalog with the oid
 * of the schema, or of a relation that lies in it.
 */
typedef struct Catalog
{
	Oid			id;
	Oid			oid_index;
	AttrNumber	oid;
	AttrNumber	parent;
	bool		parent_is_schema;
} Catalog;

static const Catalog catalogs[] = {
	{RelationRelationId, ClassOidIndexId,
	Anum_pg_class_oid, Anum_pg_class_relnamespace, true},
	{ProcedureRelationId, ProcedureOidIndexId,
	Anum_pg_proc_oid, Anum_pg_proc_pronamespace, true},
	{TypeRelationId, TypeOidIndexId,
	Anum_pg_type_oid, Anum_pg_type_typnamespace, true},
	{TriggerRelationId, TriggerOidIndexId,
	Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid, false},
	{RewriteRelationId, RewriteOidIndexId,
	Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class, false},
	{ConstraintRelationId, ConstraintOidIndexId,
	Anum_pg_constraint_oid, Anum_pg_constraint_conrelid, false},
	{PolicyRelationId, PolicyOidIndexId,
	Anum_pg_policy_oid, Anum_pg_policy_polrelid, false},
	{AttrDefaultRelationId, AttrDefaultOidIndexId,
	Anum_pg_attrdef_oid, Anum_pg_attrdef_adrelid, false},
};

/* Catalogs whose rows have no say in what the server does with ours. */
static const Oid harmless_catalogs[] = {
	DescriptionRelationId, LargeObjectRelationId,
	LargeObjectMetadataRelationId, StatisticRelationId,
	StatisticExtDataRelationId
};

static object_access_hook_type next_object_access = NULL;
static ExecutorCheckPerms_hook_type next_check_perms = NULL;

static void at_object_access(ObjectAccessType access, Oid classId,
							 Oid objectId, int subId, void *arg);
static void check_create(Oid classId, Oid objectId, int subId);
static void check_alter(Oid classId, Oid objectId, Oid auxiliary);
static void check_drop(Oid classId, Oid objectId, int subId);
static Oid	parent_of(Oid classId, Oid objectId, bool *is_schema);
static bool is_ours(Oid classId, Oid objectId);
static bool is_member(Oid classId, Oid objectId);
static bool may_go(Oid classId, Oid objectId);
static bool is_plain_index(Oid relation);
static bool is_trigger_of_foreign_table(Oid trigger);
static Oid	column_of(const Catalog *catalog, Oid objectId,
					  AttrNumber column);

PAY_CHECK_PERMS_HOOK(check_perms);

void
pay_guard_access_install(void)
{
	next_object_access = object_access_hook;
	object_access_hook = at_object_access;
	next_check_perms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = check_perms;
}

/* Called for every function that is about to run, too: be quick. */
static void
at_object_access(ObjectAccessType access, Oid classId, Oid objectId,
				 int subId, void *arg)
{
	if (next_object_access != NULL)
		next_object_access(access, classId, objectId, subId, arg);

	if (access == OAT_FUNCTION_EXECUTE || access == OAT_NAMESPACE_SEARCH ||
		!OidIsValid(pay_guard_schema()))
		return;

	switch (access)
	{
		case OAT_POST_CREATE:
			if (arg == NULL || !((ObjectAccessPostCreate *) arg)->is_internal)
				check_create(classId, objectId, subId);
			break;
		case OAT_POST_ALTER:
			check_alter(classId, objectId, arg == NULL ? InvalidOid :
						((ObjectAccessPostAlter *) arg)->auxiliary_id);
			break;
		case OAT_DROP:
			if (arg == NULL ||
				(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL) == 0)
				check_drop(classId, objectId, subId);
			break;
		case OAT_TRUNCATE:
			if (pay_guard_owns_relation(objectId))
				pay_guard_truncate(objectId);
			break;
		default:
			break;
	}
}

/*
 * New objects, and functions, triggers, rules and defaults that replace old
 * ones.  Nothing new may come into the schema but indexes: types come with
 * the tables that VACUUM FULL makes for a moment.
 */
static void
check_create(Oid classId, Oid objectId, int subId)
{
	bool		is_schema;
	Oid			parent;

	if (classId == TypeRelationId || !is_ours(classId, objectId))
		return;
	if (classId == RelationRelationId && subId == 0 &&
		column_of(&catalogs[0], objectId, Anum_pg_class_relkind) == RELKIND_INDEX)
		return;

	/* the new object cannot be described yet; where it comes to lie can */
	parent = parent_of(classId, objectId, &is_schema);
	pay_guard_object(is_schema ? NamespaceRelationId : RelationRelationId,
					 parent, 0);
}

/*
 * Tables and triggers are guard_utility.c's, because VACUUM FULL and
 * ENABLE TRIGGER are announced in the same way as what must not be.
 */
static void
check_alter(Oid classId, Oid objectId, Oid auxiliary)
{
	if (classId == InheritsRelationId)
	{
		if (pay_guard_owns_relation(objectId) ||
			pay_guard_owns_relation(auxiliary))
			pay_guard_object(RelationRelationId, objectId, 0);
	}
	else if (classId == NamespaceRelationId)
	{
		if (objectId == pay_guard_schema())
			pay_guard_object(classId, objectId, 0);
	}
	else if (classId != RelationRelationId && classId != TriggerRelationId &&
			 (is_ours(classId, objectId) || is_member(classId, objectId)))
		pay_guard_object(classId, objectId, 0);
}

static void
check_drop(Oid classId, Oid objectId, int subId)
{
	bool		ours;

	if (classId == NamespaceRelationId)
		ours = objectId == pay_guard_schema();
	else if (classId == ExtensionRelationId)
		ours = objectId == get_extension_oid("payments", true);
	else
		ours = is_ours(classId, objectId) &&
			(subId != 0 || !may_go(classId, objectId));

	if (ours && strcmp(pay_guard_statement_name, "DROP EXTENSION") == 0 &&
		pay_guard_books_are_empty())
		return;
	if (ours)
		pay_guard_object(classId, objectId, subId);
}

/* The schema or the relation that the object belongs to. */
static Oid
parent_of(Oid classId, Oid objectId, bool *is_schema)
{
	*is_schema = false;
	for (int i = 0; i < lengthof(catalogs); i++)
		if (catalogs[i].id == classId)
		{
			*is_schema = catalogs[i].parent_is_schema;
			return column_of(&catalogs[i], objectId, catalogs[i].parent);
		}
	return InvalidOid;
}

static bool
is_ours(Oid classId, Oid objectId)
{
	bool		is_schema;
	Oid			parent = parent_of(classId, objectId, &is_schema);

	return is_schema ? parent == pay_guard_schema() :
		pay_guard_owns_relation(parent);
}

/* Is it of the extension, perhaps on its way out of the schema? */
static bool
is_member(Oid classId, Oid objectId)
{
	Oid			extension = getExtensionOfObject(classId, objectId);

	return OidIsValid(extension) &&
		extension == get_extension_oid("payments", true);
}

/* May this object of ours be dropped? */
static bool
may_go(Oid classId, Oid objectId)
{
	return (classId == RelationRelationId && is_plain_index(objectId)) ||
		(classId == TriggerRelationId && is_trigger_of_foreign_table(objectId));
}

/* Does no rule rest on this index?  Nor does one on what is not valid. */
static bool
is_plain_index(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(relation));
	Form_pg_index index;
	bool		plain;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	plain = !index->indisvalid ||
		(!index->indisunique && !index->indisexclusion);
	ReleaseSysCache(tuple);
	return plain;
}

/* The server's trigger for a foreign key of a table that is not ours? */
static bool
is_trigger_of_foreign_table(Oid trigger)
{
	static const Catalog triggers = {
		TriggerRelationId, TriggerOidIndexId,
		Anum_pg_trigger_oid, Anum_pg_trigger_tgconstraint, false
	};
	Oid			constraint = column_of(&triggers, trigger, triggers.parent);
	Oid			table = column_of(&triggers, trigger,
								  Anum_pg_trigger_tgconstrrelid);

	return OidIsValid(constraint) && OidIsValid(table) &&
		!is_ours(ConstraintRelationId, constraint) &&
		!pay_guard_owns_relation(table);
}

/*
 * A column (an oid or one character) of an object's row, which this command
 * may have written just now; 0 when there is no such row.
 */
static Oid
column_of(const Catalog *catalog, Oid objectId, AttrNumber column)
{
	Relation	relation = table_open(catalog->id, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	ScanKeyInit(&key, catalog->oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objectId));
	scan = systable_beginscan(relation, catalog->oid_index, true,
							  SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(relation);
		bool		is_null;
		Datum		datum = heap_getattr(tuple, column, desc, &is_null);

		if (!is_null)
			found = TupleDescAttr(desc, column - 1)->atttypid == CHAROID ?
				(Oid) DatumGetChar(datum) : DatumGetObjectId(datum);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* Nothing was ever written: the extension may go as it came. */
bool
pay_guard_books_are_empty(void)
{
	static const char *const books[] = {
		"payment_event", "ledger_account", "ledger_transaction"
	};

	for (int i = 0; i < lengthof(books); i++)
	{
		Oid			table = get_relname_relid(books[i], pay_guard_schema());
		Relation	relation;
		bool		empty;

		if (!OidIsValid(table))
			continue;
		relation = relation_open(table, AccessShareLock);
		empty = RelationGetNumberOfBlocks(relation) == 0;
		relation_close(relation, NoLock);
		if (!empty)
			return false;
	}
	return true;
}

/*
 * DML on the system catalogs goes past every announcement.  Nobody needs it,
 * but scripts of extensions, which can be written only by who can write files.
 */
PAY_CHECK_PERMS_HOOK(check_perms)
{
	ListCell   *cell;

	foreach(cell, PAY_CHECK_PERMS_LIST)
	{
		PayPermissions *wanted = (PayPermissions *) lfirst(cell);
		bool		harmless = false;

		if (!IsCatalogRelationOid(wanted->relid) ||
			IsSharedRelation(wanted->relid) || creating_extension ||
			((wanted->requiredPerms & (ACL_INSERT | ACL_DELETE)) == 0 &&
			 bms_is_empty(wanted->updatedCols)) ||
			!OidIsValid(pay_guard_schema()))
			continue;
		for (int i = 0; i < lengthof(harmless_catalogs); i++)
			harmless |= wanted->relid == harmless_catalogs[i];
		if (!harmless)
		{
			const char *outer = pay_guard_statement_name;

			pay_guard_statement_name = "changing rows";
			pay_guard_object(RelationRelationId, wanted->relid, 0);
			pay_guard_statement_name = outer;
			pay_guard_log_flush();
		}
	}
	return next_check_perms == NULL ||
		PAY_CHECK_PERMS_CALL(next_check_perms);
}
