/*
 * guard_database.c
 *		Commands on whole databases, and on the extension, that workers are in
 *		the way of.
 *
 * Such a command first sends the database's workers away (worker_hold.c), runs,
 * and lets them come back when its transaction ends.  Whoever may not run it
 * does not get that far, or anybody could stop the payments.
 *
 * A database that is served is not dropped as long as there is something in its
 * books, but in maintenance mode; and not even then, without FORCE, while the
 * outcome of a payment is unknown.  What its books hold cannot be seen from
 * another database, so the worker says it before it goes.  Renaming is harmless
 * by itself, but a database that the list does not name can be dropped by its
 * owner: so it is left to superusers, who could change the list as well.
 *
 * What an unserved database holds cannot be known at all.
 * test/t/045_databases.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "guard.h"
#include "guc.h"
#include "worker_hold.h"
#include "worker_slot.h"

static void check_drop(const DropdbStmt *statement, bool is_top_level);
static void check_rename(const RenameStmt *statement);
static void check_tablespace(const AlterDatabaseStmt *statement,
							 bool is_top_level);
static void check_template(const CreatedbStmt *statement, bool is_top_level);
static void check_extension(const AlterExtensionStmt *statement);
static bool is_served(const char *database);
static bool is_listed(const char *database);
static int	requests_in_flight(const char *database);
static bool may_change(const char *database);
static bool owns(const char *database);
static bool may_create(void);
static bool is_template(const char *database);

void
pay_guard_check_database(const Node *statement, bool is_top_level)
{
	if (RecoveryInProgress())
		return;
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			check_drop((const DropdbStmt *) statement, is_top_level);
			break;
		case T_RenameStmt:
			if (((const RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				check_rename((const RenameStmt *) statement);
			break;
		case T_AlterDatabaseStmt:
			check_tablespace((const AlterDatabaseStmt *) statement,
							 is_top_level);
			break;
		case T_CreatedbStmt:
			check_template((const CreatedbStmt *) statement, is_top_level);
			break;
		case T_AlterExtensionStmt:
			check_extension((const AlterExtensionStmt *) statement);
			break;
		default:
			break;
	}
}

static void
check_drop(const DropdbStmt *statement, bool is_top_level)
{
	const char *name = statement->dbname;
	bool		force = false;
	PayHoldWord word;
	ListCell   *cell;

	if (!is_served(name) || !may_change(name) ||
		IsInTransactionBlock(is_top_level))
		return;
	foreach(cell, statement->options)
		force |= strcmp(((DefElem *) lfirst(cell))->defname, "force") == 0;

	/* with requests in flight the books cannot be empty: let them go on */
	if (requests_in_flight(name) > 0)
		pay_guard_database(name);
	word = pay_worker_hold(name, "DROP DATABASE", true);
	if (word == PAY_HOLD_EMPTY)
		return;
	if (pay_guard_maintenance() != NULL && !force &&
		word != PAY_HOLD_SETTLED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("database \"%s\" may have payments whose outcome is unknown",
						name),
				 word == PAY_HOLD_OPEN ?
				 errdetail("There are some in payments.open_calls.") :
				 errdetail("No worker runs there that could tell."),
				 errhint("Let the worker find out, or resolve them; or use DROP DATABASE ... WITH (FORCE).")));
	pay_guard_database(name);
}

static void
check_rename(const RenameStmt *statement)
{
	const char *name = statement->subname;

	if (!is_served(name) || !may_change(name) || !may_create())
		return;
	if (!superuser() || pay_guard_maintenance() != NULL)
		pay_guard_database(name);
	(void) pay_worker_hold(name, "ALTER DATABASE RENAME", false);
	if (!is_listed(statement->newname))
		ereport(WARNING,
				(errmsg("no worker serves database \"%s\" under its new name \"%s\"",
						name, statement->newname),
				 errhint("Put \"%s\" into payments.databases, reload, and call payments.arm there.",
						 statement->newname)));
}

static void
check_tablespace(const AlterDatabaseStmt *statement, bool is_top_level)
{
	bool		moves = false;
	ListCell   *cell;

	foreach(cell, statement->options)
		moves |= strcmp(((DefElem *) lfirst(cell))->defname, "tablespace") == 0;
	if (moves && is_served(statement->dbname) &&
		may_change(statement->dbname) && !IsInTransactionBlock(is_top_level))
		(void) pay_worker_hold(statement->dbname,
							   "ALTER DATABASE SET TABLESPACE", false);
}

static void
check_template(const CreatedbStmt *statement, bool is_top_level)
{
	const char *template = "template1";
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = (DefElem *) lfirst(cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			template = defGetString(option);
	}
	if (is_served(template) && may_create() &&
		(owns(template) || is_template(template)) &&
		!IsInTransactionBlock(is_top_level))
		(void) pay_worker_hold(template, "CREATE DATABASE", false);
}

/* A worker of another version could not save the answers that come in. */
static void
check_extension(const AlterExtensionStmt *statement)
{
	Oid			extension;
	char	   *database;

	if (strcmp(statement->extname, "payments") != 0)
		return;
	extension = get_extension_oid("payments", true);
	database = get_database_name(MyDatabaseId);
	if (OidIsValid(extension) && database != NULL && is_served(database) &&
		pay_extension_ownercheck(extension, GetUserId()))
		(void) pay_worker_hold(database, "ALTER EXTENSION", false);
}

/* Is it on the list, or does it still have a slot from when it was? */
static bool
is_served(const char *database)
{
	bool		found = is_listed(database);

	for (int i = 0; !found && i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot slot;

		pay_worker_slot_read(i, &slot);
		found = strcmp(slot.database, database) == 0;
	}
	return found;
}

static bool
is_listed(const char *database)
{
	char	   *copy = pstrdup(pay_guc_databases);
	List	   *names;
	ListCell   *cell;

	if (!SplitIdentifierString(copy, ',', &names))
		return false;
	foreach(cell, names)
		if (strcmp((const char *) lfirst(cell), database) == 0)
		return true;
	return false;
}

static int
requests_in_flight(const char *database)
{
	int			n = 0;

	for (int i = 0; i < PAY_WORKER_SLOTS; i++)
	{
		PayWorkerSlot slot;

		pay_worker_slot_read(i, &slot);
		if (strcmp(slot.database, database) == 0)
			n += slot.in_flight;
	}
	return n;
}

/* The server lets nobody drop, rename or move the database he is in. */
static bool
may_change(const char *database)
{
	return owns(database) &&
		get_database_oid(database, true) != MyDatabaseId;
}

static bool
owns(const char *database)
{
	Oid			oid = get_database_oid(database, true);

	return OidIsValid(oid) && pay_database_ownercheck(oid, GetUserId());
}

static bool
may_create(void)
{
	HeapTuple	tuple;
	bool		may = superuser();

	if (may)
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

static bool
is_template(const char *database)
{
	Oid			oid = get_database_oid(database, true);
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(oid));
	bool		is = false;

	if (HeapTupleIsValid(tuple))
	{
		is = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return is;
}
