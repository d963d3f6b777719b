/*
 * ledger_account_cache.h
 *		The accounts that this session has met.
 */
#ifndef PAY_LEDGER_ACCOUNT_CACHE_H
#define PAY_LEDGER_ACCOUNT_CACHE_H

#include "postgres.h"

#include "storage/block.h"
#include "utils/relcache.h"

#include "ledger_account.h"

/* Fill in an account by its code; false when it is not known. */
extern bool pay_ledger_account_recall(PayLedgerAccount *account);

/*
 * Keep an account that was read; its code is copied.  One that this transaction
 * has opened itself (own) is forgotten when it is rolled back.
 */
extern void pay_ledger_account_remember(const PayLedgerAccount *account,
										bool own);

/* Keep what was found out about the balance of an account that is known. */
extern void pay_ledger_account_remember_balance(const PayLedgerAccount *account);

/*
 * Who misses accounts will miss others.  n more are not known: which blocks of
 * their table are to be read now, ahead of need?  False: none.  A session reads
 * about one for each account that it misses, each once, and none that was added
 * later: accounts that are opened meanwhile are met one by one.
 */
extern bool pay_ledger_account_read_ahead(Relation table, int n,
										  BlockNumber *first,
										  BlockNumber *last);

#endif							/* PAY_LEDGER_ACCOUNT_CACHE_H */
