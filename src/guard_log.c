/*
 * guard_log.c
 *		The only writer of payments.maintenance_log: what was done while the guard
 *		was off.
 *
 * The first guarded statement of a transaction leaves a row in it, and each a
 * line in the server's log.  A note is taken while a command is at work, where
 * nothing can be written, and becomes a row when the command is done.  Dropping
 * the extension takes the table along; the server's log stays.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "db.h"
#include "guard.h"

/* What is to be written; in TopTransactionContext. */
static char *noted_statement = NULL;
static char *noted_object = NULL;

/* The subtransaction in which this transaction's row was written. */
static SubTransactionId written_in = InvalidSubTransactionId;

static void at_transaction_end(XactEvent event, void *arg);
static void at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid,
								  SubTransactionId parentSubid, void *arg);
static void write_row(void);
static Oid	owner_of(Oid relation);

void
pay_guard_log_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

void
pay_guard_log_note(const char *statement, const char *object)
{
	ereport(LOG,
			(errmsg("payments maintenance (%s): %s for %s",
					pay_guard_maintenance(), statement, object)));
	if (written_in != InvalidSubTransactionId || noted_statement != NULL)
		return;
	noted_statement = MemoryContextStrdup(TopTransactionContext, statement);
	noted_object = MemoryContextStrdup(TopTransactionContext, object);
}

void
pay_guard_log_flush(void)
{
	Oid			table;
	Oid			user;
	int			context;

	if (noted_statement == NULL || !IsTransactionState() ||
		!OidIsValid(pay_guard_schema()))
		return;
	table = get_relname_relid("maintenance_log", pay_guard_schema());
	if (!OidIsValid(table))
		return;

	/* who is no superuser need not have the right to write here */
	GetUserIdAndSecContext(&user, &context);
	if (!superuser())
		SetUserIdAndSecContext(owner_of(table),
							   context | SECURITY_LOCAL_USERID_CHANGE);
	PushActiveSnapshot(GetTransactionSnapshot());
	write_row();
	PopActiveSnapshot();
	SetUserIdAndSecContext(user, context);

	noted_statement = noted_object = NULL;
	written_in = GetCurrentSubTransactionId();
}

static void
write_row(void)
{
	static PayStatement insert = {
		"INSERT INTO payments.maintenance_log (id, reason, role, statement, object, happened_at)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[6];

	pay_db_connect();
	values[0] = Int64GetDatum(*pay_db_draw_ids("maintenance_log_id_seq", 1));
	values[1] = CStringGetTextDatum(pay_guard_maintenance());
	values[2] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	values[3] = CStringGetTextDatum(noted_statement);
	values[4] = CStringGetTextDatum(noted_object);
	values[5] = TimestampTzGetDatum(GetCurrentTimestamp());
	pay_db_run(&insert, values, NULL);
	pay_db_finish();
}

static Oid
owner_of(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

	ReleaseSysCache(tuple);
	return owner;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			noted_statement = noted_object = NULL;
			written_in = InvalidSubTransactionId;
			break;
		default:
			break;
	}
}

/* A row that is rolled back was not written; a note is too early a guess. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		noted_statement = noted_object = NULL;
	if (written_in != mySubid)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		written_in = InvalidSubTransactionId;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		written_in = parentSubid;
}
