/*
 * search_path.h
 *		The search_path under which our statements run.
 */
#ifndef PAY_SEARCH_PATH_H
#define PAY_SEARCH_PATH_H

#include "postgres.h"

/*
 * Make it "pg_catalog, pg_temp" until it is given back, or the transaction or
 * subtransaction is rolled back.  Costs next to nothing when it is that already.
 */
extern int	pay_search_path_pin(void);
extern void pay_search_path_give_back(int level);

#endif							/* PAY_SEARCH_PATH_H */
