/*
 * table.h
 *		Writing rows of our own tables directly, without a statement.
 *
 * For the few tables whose rows are written thousands of times a second, by
 * code that has checked every value: the table's indexes are kept, its CHECK
 * constraints and triggers are not run.  What they would say has to be said by
 * the caller; they stay for all other writers.
 */
#ifndef PAY_TABLE_H
#define PAY_TABLE_H

#include "postgres.h"

#include "access/genam.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

/* Columns that a table may have here */
#define PAY_TABLE_MAX_COLUMNS 32

typedef struct PayTable
{
	const char *name;			/* in schema payments */
	const char *columns[PAY_TABLE_MAX_COLUMNS]; /* those we know; then NULL */
	bool		is_read_only;	/* opened to be scanned, never to be written */
	struct PayTableState *state;	/* table.c's: NULL before the first use */
} PayTable;

/*
 * Open the table and its indexes for writing, until pay_table_close; its lock
 * stays until the transaction ends.  Between the two, or when an error gets in
 * between, nothing has to be released.
 */
extern void pay_table_open(PayTable *table);
extern void pay_table_close(PayTable *table);
extern Relation pay_table_relation(const PayTable *table);

/*
 * New rows: begin row i (all columns null), set its columns, by their place in
 * PayTable.columns, write rows 0 to n - 1, then enter them into the indexes.
 * What the values point to has to stay until then.  A row is found by nobody
 * before it is in an index.
 */
#define PAY_TABLE_ROWS 256
extern void pay_table_begin_row(PayTable *table, int i);
extern void pay_table_set(PayTable *table, int i, int column, Datum value);
extern void pay_table_set_null(PayTable *table, int i, int column);
extern void pay_table_write_rows(PayTable *table, int n);

/*
 * Enter rows 0 to n - 1 into all indexes, or all but one (NULL: none); those
 * that were discarded are left out.  Raises 23505 when a unique index has the
 * key already.
 */
extern void pay_table_index_rows(PayTable *table, int n, Relation except);

/*
 * Enter row i into one unique index, over columns alone.  False: somebody else
 * may have the key.  Then the row is there nevertheless, and has to be
 * discarded; it can be written again, as another row.
 */
extern bool pay_table_enter_key(PayTable *table, int i, Relation index);
extern void pay_table_discard_row(PayTable *table, int i);
extern void pay_table_write_again(PayTable *table, int i);

/* Both at once, for rows that nobody can have written before us */
extern void pay_table_insert_rows(PayTable *table, int n);

/*
 * The unique index over these columns (places in PayTable.columns), which has
 * to exist; or any index.
 */
extern Relation pay_table_unique_index(const PayTable *table,
									   const int *columns, int n);
extern Relation pay_table_any_index(const PayTable *table,
									const int *columns, int n);

/* A column's number, and its value in a row that was read */
extern AttrNumber pay_table_attribute(const PayTable *table, int column);
extern Datum pay_table_get(const PayTable *table, TupleTableSlot *row,
						   int column, bool *is_null);

/*
 * Put a new version in the place of a row that was read: row 0, begun by
 * pay_table_copy_row and changed by pay_table_set.  Waits for whoever is
 * changing it.  False when somebody else's change came in between: read again.
 */
extern void pay_table_copy_row(PayTable *table, TupleTableSlot *row);
extern bool pay_table_replace_row(PayTable *table, TupleTableSlot *row);

/* Delete the row at this place, which this transaction has locked. */
extern void pay_table_delete_row(PayTable *table, ItemPointer place);

/*
 * Did the last replacement begin a new chain of versions, because the page was
 * full?  Then this is where the indexes point to, if the transaction commits.
 */
extern bool pay_table_moved(const PayTable *table, ItemPointer place);

#endif							/* PAY_TABLE_H */
