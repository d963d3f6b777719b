/*
 * table_lookup.h
 *		Finding rows of a table that is open for writing (table.h).
 */
#ifndef PAY_TABLE_LOOKUP_H
#define PAY_TABLE_LOOKUP_H

#include "postgres.h"

#include "access/genam.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

#include "table.h"

/* Any number of looks through one index */
typedef struct PayTableLookup
{
	Relation	relation;
	Relation	index;
	Snapshot	snapshot;
	TupleTableSlot *row;		/* what was found; nothing is pinned */
	IndexScanDesc scan;			/* NULL before the first look by key */
	BlockNumber n_blocks;		/* so many at least */
} PayTableLookup;

/* It ends before the table is closed. */
extern void pay_table_lookup_begin(PayTableLookup *lookup,
								   const PayTable *table, Relation index);
extern void pay_table_lookup_end(PayTableLookup *lookup);

/* Look with this snapshot from now on; with NULL before it is given back. */
extern void pay_table_lookup_with(PayTableLookup *lookup, Snapshot snapshot);

/*
 * By key: the rows that equal the n keys, one after the other.  The place of a
 * row is where its index entry points to, the root of its chain of versions.
 */
extern void pay_table_lookup_key(PayTableLookup *lookup, ScanKey keys, int n);
extern bool pay_table_lookup_next(PayTableLookup *lookup,
								  ItemPointer place);

/*
 * Only what stands in the index, whose columns are not null: the values, and
 * where they point to.  There may be nothing there, or something else.
 */
extern void pay_table_lookup_entries(PayTableLookup *lookup, ScanKey keys,
									 int n);
extern bool pay_table_lookup_entry(PayTableLookup *lookup, Datum *values,
								   ItemPointer place);

/* By place: where a row was the last time.  Another may be there by now. */
extern bool pay_table_lookup_place(PayTableLookup *lookup,
								   ItemPointer place);

#endif							/* PAY_TABLE_LOOKUP_H */
