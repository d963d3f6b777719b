/*
 * ledger_balance.h
 *		Changing the balances of accounts.
 */
#ifndef PAY_LEDGER_BALANCE_H
#define PAY_LEDGER_BALANCE_H

#include "postgres.h"

#include "ledger_account.h"

/*
 * Add each account's change to its balance and take its release off what is
 * held, in the order of (account id, stripe): this is where postings wait for
 * each other.  Raises PY018 for an account that is not open and PY019 where a
 * limit would be crossed, unless the account's change is a fact; 55000 for one
 * whose rows are missing; 40001 at REPEATABLE READ and above, when a balance has
 * changed since the snapshot.
 */
extern void pay_ledger_balance_change(PayLedgerAccount *accounts, int n);

#endif							/* PAY_LEDGER_BALANCE_H */
