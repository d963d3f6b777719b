/*
 * ledger_account.h
 *		Accounts of the ledger and their balances.
 */
#ifndef PAY_LEDGER_ACCOUNT_H
#define PAY_LEDGER_ACCOUNT_H

#include "postgres.h"

#include "utils/timestamp.h"

/* The currency of accounts whose code does not end in one. */
#define PAY_LEDGER_CURRENCY "KRW"

typedef struct PayLedgerAccount
{
	const char *code;

	/* results */
	int64		id;				/* 0: not found yet */
	char	   *currency;
	int			stripes;
	int64		change;			/* for the caller: net, in mills */
} PayLedgerAccount;

/*
 * Find n accounts, distinct and sorted by code, and open those that are
 * missing.  Needs pay_db_connect.  Raises 22023 for a code that is malformed,
 * PY012 for one whose prefix is unknown.
 */
extern void pay_ledger_account_resolve(PayLedgerAccount *accounts, int n,
									   TimestampTz now);

/* Add each account's change to its balance.  Needs pay_db_connect. */
extern void pay_ledger_account_change(PayLedgerAccount *accounts, int n);

#endif							/* PAY_LEDGER_ACCOUNT_H */
