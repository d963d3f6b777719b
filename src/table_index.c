/*
 * table_index.c
 *		The indexes of a table: finding one, and entering rows that were written.
 *
 * One index after the other, and each in its own order, so that what one row
 * has brought into the processor's cache serves the next.
 *
 * An index over columns alone, as all of ours are, gets its values straight
 * from the row.  One that a DBA has added may have expressions, a predicate or
 * an exclusion constraint: it is served by the executor's own function.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/primnodes.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "search_path.h"
#include "table_state.h"

/* A row, and the number that it is sorted by */
typedef struct SortedRow
{
	int64		number;
	int			row;
} SortedRow;

static Relation find_index(const PayTable *table, const int *columns, int n,
						   bool unique);
static bool is_not_null(List *predicate, AttrNumber *column);
static int	sort_rows(const PayTableState *state, int i, int n,
					  SortedRow *sorted);
static int	compare_rows(const void *a, const void *b);
static bool keeps_key(PayTableState *state, int i, const TupleTableSlot *before);
static bool enter(PayTableState *state, int row, int i,
				  IndexUniqueCheck check);
static void insert_tuple(PayTableState *state, int row, int i,
						 PayUpdateIndexes indexes);
static bool enter_plain(PayTableState *state, int row, int i,
						IndexUniqueCheck check);

void
pay_table_describe_index(PayTableState *state, int i)
{
	IndexInfo  *info = state->result->ri_IndexRelationInfo[i];
	Relation	relation = state->result->ri_IndexRelationDescs[i];
	PayTableIndex *index = &state->indexes[i];

	index->oid = RelationGetRelid(relation);
	index->not_null = 0;
	index->plain = info->ii_Expressions == NIL &&
		info->ii_ExclusionOps == NULL && relation->rd_index->indimmediate &&
		(info->ii_Predicate == NIL ||
		 is_not_null(info->ii_Predicate, &index->not_null));
	for (int c = 0; c < info->ii_NumIndexAttrs; c++)
		if (info->ii_IndexAttrNumbers[c] <= 0)
			index->plain = false;
	index->by_number = index->plain &&
		TupleDescAttr(state->desc,
					  info->ii_IndexAttrNumbers[0] - 1)->atttypid == INT8OID;
}

/* Is it just that one column is not null? */
static bool
is_not_null(List *predicate, AttrNumber *column)
{
	NullTest   *test = linitial(predicate);
	Var		   *var;

	if (list_length(predicate) != 1 || !IsA(test, NullTest) ||
		test->nulltesttype != IS_NOT_NULL || test->argisrow ||
		!IsA(test->arg, Var))
		return false;
	var = (Var *) test->arg;
	if (var->varattno <= 0)
		return false;
	*column = var->varattno;
	return true;
}

Relation
pay_table_index(PayTableState *state, int i)
{
	Relation   *index = &state->result->ri_IndexRelationDescs[i];

	if (*index == NULL)
		*index = index_open(state->indexes[i].oid, RowExclusiveLock);
	return *index;
}

Relation
pay_table_unique_index(const PayTable *table, const int *columns, int n)
{
	return find_index(table, columns, n, true);
}

Relation
pay_table_any_index(const PayTable *table, const int *columns, int n)
{
	return find_index(table, columns, n, false);
}

static Relation
find_index(const PayTable *table, const int *columns, int n, bool unique)
{
	PayTableState *state = table->state;

	for (int i = 0; i < state->result->ri_NumIndices; i++)
	{
		IndexInfo  *info = state->result->ri_IndexRelationInfo[i];
		bool		same = info->ii_Unique >= unique &&
		info->ii_Predicate == NIL && info->ii_NumIndexKeyAttrs == n &&
		state->indexes[i].plain;

		for (int c = 0; same && c < n; c++)
			same = info->ii_IndexAttrNumbers[c] ==
				state->attributes[columns[c]];

		/* REINDEX CONCURRENTLY has two, or leaves a half-made one behind */
		if (same && pay_table_index(state, i)->rd_index->indisvalid)
			return pay_table_index(state, i);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table payments.%s has lost %s index",
					table->name, unique ? "a unique" : "an")));
	return NULL;				/* keep compiler quiet */
}

void
pay_table_index_rows(PayTable *table, int n, Relation except)
{
	PayTableState *state = table->state;
	SortedRow	sorted[PAY_TABLE_ROWS];

	for (int i = 0; i < state->result->ri_NumIndices; i++)
	{
		int			m;

		if (except != NULL &&
			RelationGetRelid(except) == state->indexes[i].oid)
			continue;
		m = sort_rows(state, i, n, sorted);
		for (int r = 0; r < m; r++)
			(void) enter(state, sorted[r].row, i, UNIQUE_CHECK_YES);
	}
}

/*
 * Rows 0 to n - 1 that are still there and belong into an index, in an order
 * that suits it.
 */
static int
sort_rows(const PayTableState *state, int i, int n, SortedRow *sorted)
{
	IndexInfo  *info = state->result->ri_IndexRelationInfo[i];
	int			column = info->ii_IndexAttrNumbers[0] - 1;
	bool		by_number = state->indexes[i].by_number;
	AttrNumber	not_null = state->indexes[i].not_null;
	int			m = 0;

	for (int row = 0; row < n; row++)
	{
		const TupleTableSlot *slot = state->rows[row];

		if (!ItemPointerIsValid(&slot->tts_tid) ||
			(not_null != 0 && slot->tts_isnull[not_null - 1]))
			continue;
		sorted[m].row = row;
		sorted[m].number = by_number && !slot->tts_isnull[column] ?
			DatumGetInt64(slot->tts_values[column]) : 0;
		m++;
	}
	if (by_number)
		qsort(sorted, m, sizeof(sorted[0]), compare_rows);
	return m;
}

static int
compare_rows(const void *a, const void *b)
{
	const SortedRow *left = a;
	const SortedRow *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	return left->row - right->row;
}

bool
pay_table_enter_key(PayTable *table, int row, Relation index)
{
	PayTableState *state = table->state;
	int			i = 0;

	while (state->indexes[i].oid != RelationGetRelid(index))
		i++;
	return enter(state, row, i, UNIQUE_CHECK_PARTIAL);
}

/*
 * A key that the version before has cannot be somebody else's, so the index is
 * not searched for others: that would read every version which an old snapshot
 * keeps.  test/t/096_old_snapshot.pl
 */
void
pay_table_index_changed(PayTableState *state, const TupleTableSlot *before,
						PayUpdateIndexes indexes)
{
	ResetPerTupleExprContext(state->estate);
	for (int i = 0; i < state->result->ri_NumIndices; i++)
		if (indexes == PAY_INDEXES_ALL && keeps_key(state, i, before))
			(void) enter_plain(state, 0, i, UNIQUE_CHECK_NO);
		else
			insert_tuple(state, 0, i, indexes);
}

/*
 * Has row 0 the key that the version before has in this unique index?  In one
 * that is not valid yet that version may be missing.
 */
static bool
keeps_key(PayTableState *state, int i, const TupleTableSlot *before)
{
	const TupleTableSlot *after = state->rows[0];
	IndexInfo  *info = state->result->ri_IndexRelationInfo[i];

	if (!state->indexes[i].plain || !info->ii_Unique ||
		info->ii_Predicate != NIL ||
		!pay_table_index(state, i)->rd_index->indisvalid)
		return false;
	for (int c = 0; c < info->ii_NumIndexAttrs; c++)
	{
		int			column = info->ii_IndexAttrNumbers[c] - 1;
		Form_pg_attribute attribute = TupleDescAttr(state->desc, column);

		/* the same bytes: the row was copied on its way into the table */
		if (before->tts_isnull[column] || after->tts_isnull[column] ||
			!datum_image_eq(before->tts_values[column],
							after->tts_values[column],
							attribute->attbyval, attribute->attlen))
			return false;
	}
	return true;
}

/*
 * Enter a row into index i.  A key that is there already: 23505, or, with
 * UNIQUE_CHECK_PARTIAL, false, and the row is entered nevertheless.
 */
static bool
enter(PayTableState *state, int row, int i, IndexUniqueCheck check)
{
	ResetPerTupleExprContext(state->estate);
	if (state->indexes[i].plain)
		return enter_plain(state, row, i, check);

	Assert(check == UNIQUE_CHECK_YES);
	insert_tuple(state, row, i, PAY_INDEXES_ALL);
	return true;
}

/*
 * By the executor's function, with this index alone.  Expressions and predicates
 * may call functions.
 */
static void
insert_tuple(PayTableState *state, int row, int i, PayUpdateIndexes indexes)
{
	ResultRelInfo one;
	int			path = pay_search_path_pin();

	(void) pay_table_index(state, i);
	one = *state->result;
	one.ri_NumIndices = 1;
	one.ri_IndexRelationDescs = &state->result->ri_IndexRelationDescs[i];
	one.ri_IndexRelationInfo = &state->result->ri_IndexRelationInfo[i];
	pay_insert_index_tuples(&one, state->rows[row], state->estate, indexes);
	pay_search_path_give_back(path);
}

/*
 * A key that is kept is another version's, too, which the index may remove before
 * it splits a page.
 */
static bool
enter_plain(PayTableState *state, int row, int i, IndexUniqueCheck check)
{
	TupleTableSlot *slot = state->rows[row];
	IndexInfo  *info = state->result->ri_IndexRelationInfo[i];
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	MemoryContext old;
	bool		unique;
	bool		kept = info->ii_Unique && check == UNIQUE_CHECK_NO;

	if (!info->ii_ReadyForInserts)
		return true;
	for (int c = 0; c < info->ii_NumIndexAttrs; c++)
	{
		int			column = info->ii_IndexAttrNumbers[c] - 1;

		values[c] = slot->tts_values[column];
		nulls[c] = slot->tts_isnull[column];
	}
	if (!info->ii_Unique)
		check = UNIQUE_CHECK_NO;

	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(state->estate));
	unique = index_insert(pay_table_index(state, i), values, nulls,
						  &slot->tts_tid,
						  state->result->ri_RelationDesc, check, kept, info);
	MemoryContextSwitchTo(old);
	return check != UNIQUE_CHECK_PARTIAL || unique;
}
