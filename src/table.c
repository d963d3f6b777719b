/*
 * table.c
 *		Writing rows of our own tables directly, without a statement.
 *
 * Does what the executor does for INSERT and UPDATE, less what costs most of
 * the time when one row is written: plan, executor start, the expressions of
 * CHECK constraints and trigger conditions.  Indexes are served by the
 * executor's own function, so one that a DBA has added is kept like ours.
 *
 * What is expensive to set up (descriptions of indexes, slots) is kept for the
 * session, and thrown away when the relation cache says that the table or one
 * of its indexes may have changed; test/specs/index_concurrently.spec.  What is
 * kept holds no reference that the end of a transaction would have to release:
 * the tuple descriptor is a copy, the relations are opened anew each time, each
 * index when it is first needed, and what an index's kind keeps between rows
 * goes with the call.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "table.h"
#include "table_state.h"

#define MAX_TABLES 24

static PayTable *tables[MAX_TABLES];
static uint64 n_invalidations = 0;

static LOCKMODE lock_of(const PayTable *table);
static Relation open_as_last_time(const PayTable *table);
static Relation open_by_name(const PayTable *table);
static void build_state(PayTable *table, Relation relation);
static void find_attributes(PayTable *table, PayTableState *state);
static void register_table(PayTable *table);
static void forget_table(Datum arg, Oid relation);
static bool has_relation(const PayTableState *state, Oid relation);

void
pay_table_open(PayTable *table)
{
	PayTableState *state = table->state;
	Relation	relation = open_as_last_time(table);

	if (relation == NULL)
	{
		build_state(table, open_by_name(table));
		return;
	}

	state->result->ri_RelationDesc = relation;
	for (int i = 0; i < state->result->ri_NumIndices; i++)
	{
		IndexInfo  *info = state->result->ri_IndexRelationInfo[i];

		/* what the last call left here may point to what is gone */
		info->ii_AmCache = NULL;
		info->ii_Context = CurrentMemoryContext;
		state->result->ri_IndexRelationDescs[i] = NULL;
	}
}

static LOCKMODE
lock_of(const PayTable *table)
{
	return table->is_read_only ? AccessShareLock : RowExclusiveLock;
}

/*
 * The table that the state is of; NULL when there is none, or it has changed
 * or gone since: the lock takes in what others have done.
 */
static Relation
open_as_last_time(const PayTable *table)
{
	const PayTableState *state = table->state;
	Relation	relation;

	if (state == NULL || state->stale)
		return NULL;
	relation = try_relation_open(state->oid, lock_of(table));
	if (relation != NULL && state->stale)
	{
		relation_close(relation, NoLock);
		relation = NULL;
	}
	return relation;
}

static Relation
open_by_name(const PayTable *table)
{
	Oid			oid = get_relname_relid(table->name,
										get_namespace_oid("payments", false));

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table payments.%s does not exist", table->name)));
	return table_open(oid, lock_of(table));
}

/* Build the table's state anew; its indexes are open afterwards. */
static void
build_state(PayTable *table, Relation relation)
{
	MemoryContext context;
	MemoryContext old;
	PayTableState *state;
	uint64		before = n_invalidations;

	if (relation->rd_tableam != GetHeapamTableAmRoutine())
		elog(ERROR, "table payments.%s is not kept as a heap", table->name);
	register_table(table);
	if (table->state != NULL)
		MemoryContextDelete(table->state->context);
	table->state = NULL;

	context = AllocSetContextCreate(CurrentMemoryContext, "payments table",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(PayTableState));
	state->context = context;
	state->oid = RelationGetRelid(relation);
	state->desc = CreateTupleDescCopy(RelationGetDescr(relation));
	find_attributes(table, state);

	state->estate = CreateExecutorState();
	state->result = makeNode(ResultRelInfo);
	InitResultRelInfo(state->result, relation, 0, NULL, 0);
	ExecOpenIndices(state->result, false);
	state->indexes = palloc0(sizeof(PayTableIndex) *
							 Max(state->result->ri_NumIndices, 1));
	for (int i = 0; i < state->result->ri_NumIndices; i++)
	{
		pay_table_describe_index(state, i);
		state->result->ri_IndexRelationInfo[i]->ii_Context = old;
	}
	MemoryContextSwitchTo(old);

	/*
	 * Nothing has failed: from here on it is kept.  What came in meanwhile
	 * may have been about it; then it serves this call alone.
	 */
	MemoryContextSetParent(context, TopMemoryContext);
	state->stale = n_invalidations != before;
	table->state = state;
}

static void
find_attributes(PayTable *table, PayTableState *state)
{
	for (int i = 0; table->columns[i] != NULL; i++)
	{
		AttrNumber	number = get_attnum(state->oid, table->columns[i]);

		if (number == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table payments.%s has no column \"%s\"",
							table->name, table->columns[i])));
		state->attributes[i] = number;
	}
}

static void
register_table(PayTable *table)
{
	int			i = 0;

	while (i < MAX_TABLES && tables[i] != NULL && tables[i] != table)
		i++;
	if (i == MAX_TABLES)
		elog(ERROR, "too many tables are written directly");
	if (tables[0] == NULL)
		CacheRegisterRelcacheCallback(forget_table, (Datum) 0);
	tables[i] = table;
}

/* Relcache callback */
static void
forget_table(Datum arg, Oid relation)
{
	n_invalidations++;
	for (int i = 0; i < MAX_TABLES && tables[i] != NULL; i++)
	{
		PayTableState *state = tables[i]->state;

		if (state != NULL && has_relation(state, relation))
			state->stale = true;
	}
}

/* Is it the table or one of its indexes?  InvalidOid stands for all. */
static bool
has_relation(const PayTableState *state, Oid relation)
{
	bool		found = relation == InvalidOid || relation == state->oid;

	for (int i = 0; !found && i < state->result->ri_NumIndices; i++)
		found = relation == state->indexes[i].oid;
	return found;
}

void
pay_table_close(PayTable *table)
{
	PayTableState *state = table->state;

	for (int i = 0; i < PAY_TABLE_ROWS && state->rows[i] != NULL; i++)
		ExecClearTuple(state->rows[i]);
	ResetPerTupleExprContext(state->estate);
	ExecCloseIndices(state->result);
	table_close(state->result->ri_RelationDesc, NoLock);
}

Relation
pay_table_relation(const PayTable *table)
{
	return table->state->result->ri_RelationDesc;
}

/*
 * New rows
 */

void
pay_table_begin_row(PayTable *table, int i)
{
	PayTableState *state = table->state;
	TupleTableSlot *row = state->rows[i];

	if (row == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);

		row = MakeSingleTupleTableSlot(state->desc, &TTSOpsVirtual);
		state->rows[i] = row;
		MemoryContextSwitchTo(old);
	}
	ExecClearTuple(row);
	memset(row->tts_isnull, true, state->desc->natts);
}

void
pay_table_set(PayTable *table, int i, int column, Datum value)
{
	TupleTableSlot *row = table->state->rows[i];
	AttrNumber	number = table->state->attributes[column];

	row->tts_values[number - 1] = value;
	row->tts_isnull[number - 1] = false;
}

void
pay_table_set_null(PayTable *table, int i, int column)
{
	table->state->rows[i]->tts_isnull[table->state->attributes[column] - 1] =
		true;
}

void
pay_table_write_rows(PayTable *table, int n)
{
	PayTableState *state = table->state;
	Relation	relation = state->result->ri_RelationDesc;
	CommandId	command = GetCurrentCommandId(true);
	MemoryContext old;

	for (int i = 0; i < n; i++)
		ExecStoreVirtualTuple(state->rows[i]);
	if (n == 1)
	{
		table_tuple_insert(relation, state->rows[0], command, 0, NULL);
		return;
	}

	/* it leaves behind what it makes of the rows */
	ResetPerTupleExprContext(state->estate);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(state->estate));
	table_multi_insert(relation, state->rows, n, command, 0, NULL);
	MemoryContextSwitchTo(old);
}

void
pay_table_insert_rows(PayTable *table, int n)
{
	pay_table_write_rows(table, n);
	pay_table_index_rows(table, n, NULL);
}

void
pay_table_write_again(PayTable *table, int i)
{
	PayTableState *state = table->state;

	table_tuple_insert(state->result->ri_RelationDesc, state->rows[i],
					   GetCurrentCommandId(true), 0, NULL);
}

void
pay_table_discard_row(PayTable *table, int i)
{
	PayTableState *state = table->state;

	CommandCounterIncrement();
	simple_table_tuple_delete(state->result->ri_RelationDesc,
							  &state->rows[i]->tts_tid, SnapshotSelf);
	ItemPointerSetInvalid(&state->rows[i]->tts_tid);
}

/* Whoever publishes the table must be told which row goes: 42P10, 55000. */
void
pay_table_delete_row(PayTable *table, ItemPointer place)
{
	CheckCmdReplicaIdentity(pay_table_relation(table), CMD_DELETE);
	simple_table_tuple_delete(pay_table_relation(table), place, SnapshotSelf);
}

/*
 * Reading
 */

AttrNumber
pay_table_attribute(const PayTable *table, int column)
{
	return table->state->attributes[column];
}

Datum
pay_table_get(const PayTable *table, TupleTableSlot *row, int column,
			  bool *is_null)
{
	return slot_getattr(row, table->state->attributes[column], is_null);
}

/*
 * Changing
 */

void
pay_table_copy_row(PayTable *table, TupleTableSlot *row)
{
	TupleTableSlot *copy;
	int			natts = table->state->desc->natts;

	pay_table_begin_row(table, 0);
	copy = table->state->rows[0];
	slot_getallattrs(row);
	memcpy(copy->tts_values, row->tts_values, sizeof(Datum) * natts);
	memcpy(copy->tts_isnull, row->tts_isnull, sizeof(bool) * natts);
}

bool
pay_table_replace_row(PayTable *table, TupleTableSlot *row)
{
	PayTableState *state = table->state;
	PayUpdateIndexes indexes;
	TM_FailureData failure;
	LockTupleMode mode;
	TM_Result	result;

	ExecStoreVirtualTuple(state->rows[0]);
	result = table_tuple_update(state->result->ri_RelationDesc, &row->tts_tid,
								state->rows[0], GetCurrentCommandId(true),
								InvalidSnapshot, InvalidSnapshot, true,
								&failure, &mode, &indexes);
	if (result == TM_Updated || result == TM_Deleted)
		return false;
	if (result != TM_Ok)
		elog(ERROR, "could not change a row of payments.%s: result %d",
			 table->name, (int) result);
	if (indexes != PAY_INDEXES_NONE)
		pay_table_index_changed(state, row, indexes);
	state->moved = indexes == PAY_INDEXES_ALL;
	return true;
}

bool
pay_table_moved(const PayTable *table, ItemPointer place)
{
	if (table->state->moved)
		*place = table->state->rows[0]->tts_tid;
	return table->state->moved;
}
