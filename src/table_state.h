/*
 * table_state.h
 *		What table.c keeps about a table; for table*.c alone.
 */
#ifndef PAY_TABLE_STATE_H
#define PAY_TABLE_STATE_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "compat.h"
#include "table.h"

typedef struct PayTableIndex
{
	Oid			oid;
	bool		plain;			/* columns of the row and nothing else */
	AttrNumber	not_null;		/* only rows where this is not null; 0: all */
	bool		by_number;		/* its first column is a bigint */
} PayTableIndex;

typedef struct PayTableState
{
	MemoryContext context;		/* all of this */
	Oid			oid;
	bool		stale;
	TupleDesc	desc;
	AttrNumber	attributes[PAY_TABLE_MAX_COLUMNS];
	EState	   *estate;
	ResultRelInfo *result;		/* relations are valid while it is open; an
								 * index's is NULL until it is needed */
	PayTableIndex *indexes;
	TupleTableSlot *rows[PAY_TABLE_ROWS];
	bool		moved;			/* row 0, when it replaced another */
} PayTableState;

/* table_index.c: what entering rows into index i needs to know about it */
extern void pay_table_describe_index(PayTableState *state, int i);

/* Index i, opened when it was not yet. */
extern Relation pay_table_index(PayTableState *state, int i);

/*
 * Enter row 0, the next version of a row, into all indexes, or those that an
 * update says.
 */
extern void pay_table_index_changed(PayTableState *state,
									const TupleTableSlot *before,
									PayUpdateIndexes indexes);

#endif							/* PAY_TABLE_STATE_H */
