/*
 * ledger_place.h
 *		Where the balances of accounts stand.
 */
#ifndef PAY_LEDGER_PLACE_H
#define PAY_LEDGER_PLACE_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "ledger_account.h"

/*
 * Fill in stripes and place of accounts that have a single balance, as far as
 * the index tells and their ids lie close together.  Hints: whether they are
 * true is found out when they are used (ledger_balance.c).
 */
extern void pay_ledger_place_find(PayLedgerAccount *accounts, int n,
								  Snapshot snapshot);

#endif							/* PAY_LEDGER_PLACE_H */
