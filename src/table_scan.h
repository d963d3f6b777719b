/*
 * table_scan.h
 *		Finding rows of our own tables by key, and locking them, without a
 *		statement.
 *
 * For tables that are written directly; see table.h.
 */
#ifndef PAY_TABLE_SCAN_H
#define PAY_TABLE_SCAN_H

#include "postgres.h"

#include "access/genam.h"
#include "access/sdir.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

#include "table.h"

#define PAY_TABLE_SCAN_KEYS 3

typedef struct PayTableScan
{
	PayTable   *table;
	Snapshot	snapshot;
	IndexScanDesc scan;
	int			n_keys;
	ScanDirection direction;
	ScanKeyData keys[PAY_TABLE_SCAN_KEYS];
	TupleTableSlot *row;
} PayTableScan;

/*
 * Scan a unique index (the one over these columns, of type text, bigint,
 * integer or smallint) for rows that have the first n_keys of them.  The table
 * is open, and stays so until the end of the scan; when an error gets in
 * between, nothing has to be released.  Rows are those that were committed when
 * the scan began, and this transaction's own up to the last
 * CommandCounterIncrement; under REPEATABLE READ those of its snapshot.
 */
extern void pay_table_scan_begin(PayTableScan *scan, PayTable *table,
								 const int *columns, int n_columns,
								 int n_keys);
extern void pay_table_scan_end(PayTableScan *scan);

/*
 * The first row with this key, and those after it; NULL: there are no more.  A
 * row is valid until the next.
 */
extern TupleTableSlot *pay_table_scan_first(PayTableScan *scan,
											const Datum *key);
extern TupleTableSlot *pay_table_scan_next(PayTableScan *scan);

/*
 * Lock the row that was found against other writers, and read its newest
 * version.  False: somebody else has it locked, or it is gone.  Does not wait.
 * Raises 40001 under REPEATABLE READ when it has changed.
 */
extern bool pay_table_scan_lock(PayTableScan *scan);

/* The same, but wait for whoever has it.  False: it is gone. */
extern bool pay_table_scan_wait(PayTableScan *scan);

/* Read the row at this place again, which this transaction has locked. */
extern void pay_table_read_locked(PayTable *table, ItemPointer place,
								  TupleTableSlot *row);

/*
 * A column that cannot be null by its table's definition, a bigint among them;
 * one of type text, palloc'ed, NULL when null.
 */
extern Datum pay_table_value(const PayTable *table, TupleTableSlot *row,
							 int column);
extern int64 pay_table_int64(const PayTable *table, TupleTableSlot *row,
							 int column);
extern char *pay_table_text(const PayTable *table, TupleTableSlot *row,
							int column);

#endif							/* PAY_TABLE_SCAN_H */
