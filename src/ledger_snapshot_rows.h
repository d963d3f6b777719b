/*
 * ledger_snapshot_rows.h
 *		What rows of the tree of sums are made from, and their writing.
 */
#ifndef PAY_LEDGER_SNAPSHOT_ROWS_H
#define PAY_LEDGER_SNAPSHOT_ROWS_H

#include "postgres.h"

/* Of a line */
enum
{
	PAY_LINE_ACCOUNT_ID,
	PAY_LINE_ORDINAL,
	PAY_LINE_ID,
	PAY_LINE_EFFECTIVE_AT,
	PAY_LINE_RECORDED_AT,
	PAY_LINE_ENTRIES,
	PAY_LINE_AMOUNT,
	PAY_LINE_COLUMNS
};

/*
 * Lines: what a ledger transaction is to an account.  In the order of accounts
 * and ids; as columns, ready to become arrays.
 */
typedef struct PayLedgerLines
{
	int			n;
	Datum	   *columns[PAY_LINE_COLUMNS];
	bool	   *strays;
} PayLedgerLines;

/*
 * Write lines as rows of level 1, and the rows of all levels above that are
 * full with them, with their strays.  Needs pay_db_connect.
 */
extern void pay_ledger_snapshot_insert(const PayLedgerLines *lines);

#endif							/* PAY_LEDGER_SNAPSHOT_ROWS_H */
