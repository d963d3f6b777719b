/*
 * search_path.c
 *		The search_path under which our statements run.
 *
 * Our functions say SET search_path, all but the few that post a thousand times
 * a second: for these, setting it and taking it back is a tenth of what they do,
 * and as a rule they run no statement.  Whatever does run one, or a function of
 * somebody's index, does so under this path, so that no name and no operator in
 * it is the caller's.  test/sql/search_path.sql
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/guc.h"

#include "search_path.h"

#define SEARCH_PATH "pg_catalog, pg_temp"

int
pay_search_path_pin(void)
{
	int			level;

	if (strcmp(namespace_search_path, SEARCH_PATH) == 0)
		return 0;
	level = NewGUCNestLevel();
	(void) set_config_option("search_path", SEARCH_PATH, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
pay_search_path_give_back(int level)
{
	if (level != 0)
		AtEOXact_GUC(true, level);
}
