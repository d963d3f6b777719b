/*
 * guard_utility.c
 *		The guard's hook on commands.
 *
 * Commands are looked at before they run, by the names in them.  Names of
 * tables are resolved without a lock: taking one would change in which order
 * the command locks.  Who moves a table of the same name out of the way between
 * the look and the command (that takes two superusers) gets past this hook, and
 * is seen by the fingerprint.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/trigger.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "db.h"
#include "guard.h"

/* What ALTER TABLE may do to a table of ours.  All else is refused. */
static const AlterTableType harmless[] = {
	AT_SetStatistics, AT_SetOptions, AT_ResetOptions, AT_SetStorage,
	AT_SetCompression, AT_ClusterOn, AT_DropCluster, AT_SetTableSpace,
	AT_SetRelOptions, AT_ResetRelOptions, AT_ReplicaIdentity
};

static ProcessUtility_hook_type next_process_utility = NULL;

static void process_utility(PlannedStmt *pstmt, const char *queryString,
							bool readOnlyTree, ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *queryEnv,
							DestReceiver *dest, QueryCompletion *qc);
static bool is_of_no_interest(const Node *statement);
static void check(const Node *statement);
static void check_relation(const RangeVar *name);
static void check_alter_table(const AlterTableStmt *statement);
static bool is_harmless(const AlterTableCmd *command, Relation table);
static bool is_armed(Relation table);
static bool is_as_it_came(Relation table);
static void check_reassign(const ReassignOwnedStmt *statement);
static void check_subscriptions(void);

void
pay_guard_utility_install(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = next_process_utility != NULL ?
	next_process_utility : standard_ProcessUtility;
	Node	   *statement = pstmt->utilityStmt;
	const char *outer = pay_guard_statement_name;

	if (is_of_no_interest(statement))
	{
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv,
			 dest, qc);
		return;
	}

	pay_guard_statement_name = CreateCommandName(statement);
	PG_TRY();
	{
		pay_guard_check_database(statement,
								 context == PROCESS_UTILITY_TOPLEVEL);
		if (OidIsValid(pay_guard_schema()))
			check(statement);
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv,
			 dest, qc);
		if ((IsA(statement, CreateSubscriptionStmt) ||
			 IsA(statement, AlterSubscriptionStmt)) &&
			OidIsValid(pay_guard_schema()))
			check_subscriptions();
	}
	PG_FINALLY();
	{
		pay_guard_statement_name = outer;
	}
	PG_END_TRY();

	if (context != PROCESS_UTILITY_SUBCOMMAND)
		pay_guard_log_flush();
}

/* Frequent, or run other commands that come here by themselves. */
static bool
is_of_no_interest(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
		case T_PlannedStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_ConstraintsSetStmt:
		case T_CopyStmt:
		case T_LockStmt:
		case T_CallStmt:
		case T_DoStmt:
		case T_ExplainStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_NotifyStmt:
		case T_CheckPointStmt:
		case T_DiscardStmt:
			return true;
		default:
			return !IsTransactionState();
	}
}

static void
check(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			check_alter_table((const AlterTableStmt *) statement);
			break;
		case T_RenameStmt:
			check_relation(((const RenameStmt *) statement)->relation);
			break;
		case T_AlterObjectSchemaStmt:
			check_relation(((const AlterObjectSchemaStmt *) statement)->relation);
			break;
		case T_RuleStmt:
			check_relation(((const RuleStmt *) statement)->relation);
			break;
		case T_CreatePolicyStmt:
			check_relation(((const CreatePolicyStmt *) statement)->table);
			break;
		case T_AlterPolicyStmt:
			check_relation(((const AlterPolicyStmt *) statement)->table);
			break;
		case T_IndexStmt:
			if (((const IndexStmt *) statement)->unique)
				check_relation(((const IndexStmt *) statement)->relation);
			break;
		case T_AlterExtensionContentsStmt:
			if (strcmp(((const AlterExtensionContentsStmt *) statement)->extname, "payments") == 0)
				pay_guard_statement("extension payments");
			break;
		case T_CreateExtensionStmt:
			if (strcmp(((const CreateExtensionStmt *) statement)->extname, "pg_surgery") == 0)
				pay_guard_statement("pg_surgery, which edits rows below the server's rules");
			break;
		case T_ReassignOwnedStmt:
			check_reassign((const ReassignOwnedStmt *) statement);
			break;
		default:
			break;
	}
}

static void
check_relation(const RangeVar *name)
{
	Oid			relation = name == NULL ? InvalidOid :
	RangeVarGetRelid(name, NoLock, true);

	if (pay_guard_owns_relation(relation))
		pay_guard_object(RelationRelationId, relation, 0);
}

static void
check_alter_table(const AlterTableStmt *statement)
{
	Oid			relation = RangeVarGetRelid(statement->relation, NoLock, true);
	Relation	table;
	ListCell   *cell;
	bool		passes = true;

	if (!pay_guard_owns_relation(relation))
		return;
	table = relation_open(relation, AccessShareLock);
	foreach(cell, statement->cmds)
		passes &= is_harmless((const AlterTableCmd *) lfirst(cell), table);
	relation_close(table, AccessShareLock);
	if (!passes)
		pay_guard_object(RelationRelationId, relation, 0);
}

/*
 * Beside the list: what pg_restore --disable-triggers does to a table that is
 * still as CREATE EXTENSION left it.  There is nothing to keep in it, and that
 * its triggers are not armed afterwards everybody can see.
 */
static bool
is_harmless(const AlterTableCmd *command, Relation table)
{
	if (command->subtype == AT_DisableTrigAll)
		return !is_armed(table) || is_as_it_came(table);
	if (command->subtype == AT_EnableTrigAll)
		return !is_armed(table);

	/*
	 * a view's options say whether it leaks, an index's stand in its
	 * definition
	 */
	if (table->rd_rel->relkind != RELKIND_RELATION)
		return command->subtype == AT_SetStatistics ||
			command->subtype == AT_SetTableSpace;
	for (int i = 0; i < lengthof(harmless); i++)
		if (harmless[i] == command->subtype)
			return true;
	return false;
}

/* Is any trigger enabled, so that "enable" could take from it? */
static bool
is_armed(Relation table)
{
	TriggerDesc *triggers = table->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgenabled == TRIGGER_FIRES_ALWAYS)
			return true;
	return false;
}

/* Empty, but for the currencies that the install script knows. */
static bool
is_as_it_came(Relation table)
{
	static PayStatement others = {
		"SELECT 1 FROM ONLY payments.currency"
		" WHERE code OPERATOR(pg_catalog.<>) ALL ('{KRW,USD,JPY}') LIMIT 1",
		0
	};
	bool		found;

	if (RelationGetNumberOfBlocks(table) == 0)
		return true;
	if (strcmp(RelationGetRelationName(table), "currency") != 0)
		return false;
	pay_db_connect();
	found = pay_db_run(&others, NULL, NULL) > 0;
	pay_db_finish();
	return !found;
}

/* All that a role owns goes to another: is the schema among it? */
static void
check_reassign(const ReassignOwnedStmt *statement)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID,
										ObjectIdGetDatum(pay_guard_schema()));
	Oid			owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ListCell   *cell;

	ReleaseSysCache(tuple);
	foreach(cell, statement->roles)
		if (get_rolespec_oid((const RoleSpec *) lfirst(cell), true) == owner)
		pay_guard_object(NamespaceRelationId, pay_guard_schema(), 0);
}

/*
 * Which tables a subscription writes to is known only when the publisher has
 * been asked, so this looks afterwards.
 */
static void
check_subscriptions(void)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	CommandCounterIncrement();
	relation = table_open(SubscriptionRelRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Oid			table = ((Form_pg_subscription_rel) GETSTRUCT(tuple))->srrelid;

		if (pay_guard_owns_relation(table))
			found = table;
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	if (OidIsValid(found))
		pay_guard_object(RelationRelationId, found, 0);
}
