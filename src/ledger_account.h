/*
 * ledger_account.h
 *		Accounts of the ledger and their balances.
 */
#ifndef PAY_LEDGER_ACCOUNT_H
#define PAY_LEDGER_ACCOUNT_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/timestamp.h"

/* The currency of accounts whose code does not end in one. */
#define PAY_LEDGER_CURRENCY "KRW"

/* Values of ledger_balance.state */
#define PAY_LEDGER_OPEN		'o'
#define PAY_LEDGER_FROZEN	'f'
#define PAY_LEDGER_CLOSED	'c'

typedef struct PayLedgerAccount
{
	const char *code;

	/* results */
	int64		id;				/* 0: not found yet */
	char		currency[4];
	bool		normal_debit;	/* asset or expense */
	int			stripes;		/* as last seen; 0: not yet */
	ItemPointerData place;		/* of its balance, as last seen */

	/* for whoever changes balances */
	int64		change;			/* net, in mills */
	int64		release;		/* what is no longer held, in mills */
	TimestampTz release_until;	/* by when it has to be posted; 0: no end */
	int64		expired;		/* of release, by holds past their time */
	bool		fact;			/* happened already: nothing may refuse it */
} PayLedgerAccount;

/*
 * Find n accounts, distinct and sorted by code, and open those that are
 * missing.  Needs pay_db_connect.  Raises 22023 for a code that is malformed,
 * PY012 for one whose prefix is unknown.
 */
extern void pay_ledger_account_resolve(PayLedgerAccount *accounts, int n,
									   TimestampTz now);

/*
 * Open those that have no id yet, with their balances; they are to be found
 * afterwards.  Errors as above, and 40001 when somebody else has opened one of
 * them since this transaction's snapshot, at REPEATABLE READ and above.
 */
extern void pay_ledger_account_open_missing(const PayLedgerAccount *accounts,
											int n, TimestampTz now);

/*
 * Kind and number of stripes of an account by the first part of its code;
 * false when that is unknown.
 */
extern bool pay_ledger_account_default(const char *code, const char **kind,
									   int *stripes);

/* 22023 when a code is malformed. */
extern void pay_ledger_account_check_code(const char *code);

#endif							/* PAY_LEDGER_ACCOUNT_H */
