/*
 * table_scan.c
 *		Finding rows of our own tables by key, and locking them, without a
 *		statement.
 *
 * Does what the executor's index scan and LockRows do, less the plan: one scan
 * is begun for all keys of a call, and each key costs one descent of the index.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "table_scan.h"

static Oid	equality_of(Oid type);
static bool lock_row(PayTableScan *scan, LockWaitPolicy policy);
pg_noreturn static void refuse_newer(const PayTable *table);

void
pay_table_scan_begin(PayTableScan *scan, PayTable *table, const int *columns,
					 int n_columns, int n_keys)
{
	Relation	relation = pay_table_relation(table);
	Relation	index = pay_table_unique_index(table, columns, n_columns);

	Assert(n_keys <= PAY_TABLE_SCAN_KEYS && n_keys <= n_columns);
	scan->table = table;
	scan->snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ?
									  GetTransactionSnapshot() :
									  GetLatestSnapshot());
	scan->scan = pay_index_beginscan(relation, index, scan->snapshot, n_keys);
	scan->row = table_slot_create(relation, NULL);
	scan->n_keys = n_keys;

	/* of one key the newest entry first, see table_lookup.c */
	scan->direction = n_keys == n_columns ? BackwardScanDirection :
		ForwardScanDirection;
	for (int i = 0; i < n_keys; i++)
	{
		AttrNumber	number = pay_table_attribute(table, columns[i]);
		Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(relation), number - 1);

		ScanKeyInit(&scan->keys[i], i + 1, BTEqualStrategyNumber,
					equality_of(attribute->atttypid), (Datum) 0);
		scan->keys[i].sk_collation = index->rd_indcollation[i];
	}
}

static Oid
equality_of(Oid type)
{
	switch (type)
	{
		case TEXTOID:
			return F_TEXTEQ;
		case INT8OID:
			return F_INT8EQ;
		case INT4OID:
			return F_INT4EQ;
		case INT2OID:
			return F_INT2EQ;
	}
	elog(ERROR, "a key has the unexpected type %u", type);
	return InvalidOid;			/* keep compiler quiet */
}

void
pay_table_scan_end(PayTableScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->row);
	UnregisterSnapshot(scan->snapshot);
}

TupleTableSlot *
pay_table_scan_first(PayTableScan *scan, const Datum *key)
{
	for (int i = 0; i < scan->n_keys; i++)
		scan->keys[i].sk_argument = key[i];
	index_rescan(scan->scan, scan->keys, scan->n_keys, NULL, 0);
	return pay_table_scan_next(scan);
}

TupleTableSlot *
pay_table_scan_next(PayTableScan *scan)
{
	return index_getnext_slot(scan->scan, scan->direction, scan->row) ?
		scan->row : NULL;
}

bool
pay_table_scan_lock(PayTableScan *scan)
{
	return lock_row(scan, LockWaitSkip);
}

bool
pay_table_scan_wait(PayTableScan *scan)
{
	return lock_row(scan, LockWaitBlock);
}

static bool
lock_row(PayTableScan *scan, LockWaitPolicy policy)
{
	ItemPointerData place = scan->row->tts_tid;
	TM_FailureData failure;
	TM_Result	result;

	/* a copy: locking needs the slot, and the page's pins are not to stay */
	ExecClearTuple(scan->row);
	table_index_fetch_reset(scan->scan->xs_heapfetch);
	result = table_tuple_lock(pay_table_relation(scan->table), &place,
							  scan->snapshot, scan->row,
							  GetCurrentCommandId(true),
							  LockTupleNoKeyExclusive, policy,
							  IsolationUsesXactSnapshot() ? 0 :
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	switch (result)
	{
		case TM_Ok:
			return true;
		case TM_WouldBlock:
			return false;
		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				refuse_newer(scan->table);
			return false;
		default:
			elog(ERROR, "could not lock a row of payments.%s: result %d",
				 scan->table->name, (int) result);
	}
	return false;				/* keep compiler quiet */
}

static void
refuse_newer(const PayTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("A row of \"%s\" has changed since this transaction began.",
					   table->name),
			 errhint("Repeat the transaction.")));
}

void
pay_table_read_locked(PayTable *table, ItemPointer place,
					  TupleTableSlot *row)
{
	if (!table_tuple_fetch_row_version(pay_table_relation(table), place,
									   SnapshotAny, row))
		elog(ERROR, "a locked row of payments.%s is gone", table->name);
}

/*
 * Columns
 */

Datum
pay_table_value(const PayTable *table, TupleTableSlot *row, int column)
{
	bool		is_null;
	Datum		value = pay_table_get(table, row, column, &is_null);

	if (is_null)
		elog(ERROR, "unexpected null in payments.%s", table->name);
	return value;
}

int64
pay_table_int64(const PayTable *table, TupleTableSlot *row, int column)
{
	return DatumGetInt64(pay_table_value(table, row, column));
}

char *
pay_table_text(const PayTable *table, TupleTableSlot *row, int column)
{
	bool		is_null;
	Datum		value = pay_table_get(table, row, column, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}
