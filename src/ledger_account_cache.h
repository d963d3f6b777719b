/*
 * ledger_account_cache.h
 *		The accounts that this session has met.
 */
#ifndef PAY_LEDGER_ACCOUNT_CACHE_H
#define PAY_LEDGER_ACCOUNT_CACHE_H

#include "postgres.h"

#include "ledger_account.h"

/* Fill in an account by its code; false when it is not known. */
extern bool pay_ledger_account_recall(PayLedgerAccount *account);

/* Keep an account that was read; its code is copied. */
extern void pay_ledger_account_remember(const PayLedgerAccount *account);

#endif							/* PAY_LEDGER_ACCOUNT_CACHE_H */
