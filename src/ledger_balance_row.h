/*
 * ledger_balance_row.h
 *		Rows of payments.ledger_balance, while posting goes on.
 */
#ifndef PAY_LEDGER_BALANCE_ROW_H
#define PAY_LEDGER_BALANCE_ROW_H

#include "postgres.h"

#include "ledger_account.h"
#include "table_lookup.h"

/* A version of a row; amounts in mills */
typedef struct PayLedgerBalance
{
	int			stripes;
	char		state;
	bool		has_floor;
	bool		has_ceiling;
	int64		floor;
	int64		ceiling;
	int64		held;
	int64		overdue;		/* of it, by holds that others are ending */
	int64		balance;
} PayLedgerBalance;

/* Open the table, for any number of looks at it. */
extern void pay_ledger_balance_begin(PayTableLookup *lookup);
extern void pay_ledger_balance_end(PayTableLookup *lookup);

/*
 * Find a row, as lookup->row, and read it: the newest version, or the one that
 * was the newest when the table was opened.
 */
extern bool pay_ledger_balance_find(PayLedgerAccount *account, int stripe,
									bool newest, PayTableLookup *lookup);
extern void pay_ledger_balance_read(TupleTableSlot *row,
									PayLedgerBalance *balance);

/* For the next time: over how many rows the account is spread */
extern void pay_ledger_balance_learn(PayLedgerAccount *account,
									 const PayLedgerBalance *balance);

/* False: somebody else has put a new version in its place. */
extern bool pay_ledger_balance_replace(PayLedgerAccount *account,
									   TupleTableSlot *row,
									   const PayLedgerBalance *before,
									   const PayLedgerBalance *after);

#endif							/* PAY_LEDGER_BALANCE_ROW_H */
