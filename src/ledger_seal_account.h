/*
 * ledger_seal_account.h
 *		What seals say of accounts.
 */
#ifndef PAY_LEDGER_SEAL_ACCOUNT_H
#define PAY_LEDGER_SEAL_ACCOUNT_H

#include "postgres.h"

typedef struct PaySealAccount
{
	int64		id;
	int			rows;			/* 1, unless somebody has been at them */
	char	   *code;
	char	   *kind;
} PaySealAccount;

typedef struct PaySealAccounts
{
	struct HTAB *known;
	MemoryContext context;
} PaySealAccounts;

/* A collection that is empty, in the current memory context. */
extern PaySealAccounts *pay_ledger_seal_accounts(void);

/*
 * Read those of these accounts that are not in the collection.  fresh: as they
 * are now; otherwise as the caller's snapshot shows them.  Needs
 * pay_db_connect; the last result stays what it is.
 */
extern void pay_ledger_seal_accounts_read(PaySealAccounts *accounts,
										  const int64 *ids, int n,
										  bool fresh);

/* One that was read. */
extern const PaySealAccount *pay_ledger_seal_account(const PaySealAccounts *accounts,
													 int64 id);

#endif							/* PAY_LEDGER_SEAL_ACCOUNT_H */
