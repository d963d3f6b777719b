/*
 * db_plan.c
 *		How our own statements are planned: as if our tables were large.
 *
 * A statement is planned once, for all values, and the plan is kept.  The
 * statistics of that moment must not decide it: a queue is empty most of the
 * time, and when it was analyzed then, a join by key looks dearer than reading the
 * whole of it, which is what the worker would do in every turn when a
 * hundred thousand calls wait.  So while a statement of ours is planned, a
 * table of ours has a million rows at least, and so has each of its indexes.
 * Statements of users are planned as ever.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"

#include "db_plan.h"

#define LARGE_ROWS 1000000
#define LARGE_PAGES 20000
#define LARGE_INDEX_PAGES 4000
#define LARGE_INDEX_HEIGHT 2

bool		pay_db_plans_ours = false;

static get_relation_info_hook_type next_relation_info = NULL;

static void relation_info(PlannerInfo *root, Oid table, bool inherits,
						  RelOptInfo *rel);

void
pay_db_plan_register(void)
{
	next_relation_info = get_relation_info_hook;
	get_relation_info_hook = relation_info;
}

static void
relation_info(PlannerInfo *root, Oid table, bool inherits, RelOptInfo *rel)
{
	ListCell   *cell;

	if (next_relation_info != NULL)
		next_relation_info(root, table, inherits, rel);
	if (!pay_db_plans_ours ||
		get_rel_namespace(table) != get_namespace_oid("payments", true))
		return;

	rel->tuples = Max(rel->tuples, LARGE_ROWS);
	rel->pages = Max(rel->pages, LARGE_PAGES);
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		index->tuples = Max(index->tuples, LARGE_ROWS);
		index->pages = Max(index->pages, LARGE_INDEX_PAGES);
		index->tree_height = Max(index->tree_height, LARGE_INDEX_HEIGHT);
	}
}
