/*
 * ledger_snapshot_lines.h
 *		The lines behind the last row of an account: how many, and which.
 */
#ifndef PAY_LEDGER_SNAPSHOT_LINES_H
#define PAY_LEDGER_SNAPSHOT_LINES_H

#include "postgres.h"

#include "ledger_pending.h"
#include "ledger_snapshot_rows.h"

/* An account, and the place behind its last row */
typedef struct PayLedgerRun
{
	PayLedgerPending *pending;
	int32		ordinal;		/* of the next row */
	int64		last_id;		/* with which the last one ends */
} PayLedgerRun;

/*
 * Note how many entries up to this id stand there, where that is not known; it
 * may be too many.  Needs pay_db_connect.
 */
extern void pay_ledger_lines_count(const PayLedgerRun *runs, int n, int64 upto);

/*
 * The lines that stand there, up to this id: those that are remembered, and
 * those that are read, all with the ordinal of the next row.  Needs
 * pay_db_connect.
 */
extern void pay_ledger_lines_collect(const PayLedgerRun *runs, int n,
									 int64 upto, PayLedgerLines *lines);

#endif							/* PAY_LEDGER_SNAPSHOT_LINES_H */
