/*
 * ledger_snapshot_slice.h
 *		What snapshots take in at once.
 */
#ifndef PAY_LEDGER_SNAPSHOT_SLICE_H
#define PAY_LEDGER_SNAPSHOT_SLICE_H

#include "postgres.h"

#include "ledger_pending.h"

typedef struct PayLedgerSliceEntry
{
	int64		account_id;
	PayLedgerPendingLine line;
	bool		whole;			/* the line says it all */
} PayLedgerSliceEntry;

typedef struct PayLedgerSlice
{
	int64		upto;			/* the id with which it ends */
	int			n;
	PayLedgerSliceEntry *entries;
} PayLedgerSlice;

/*
 * The entries behind an id, about max_entries: up to final_id if there are
 * fewer.  A ledger transaction is not cut.  Needs pay_db_connect.
 */
extern void pay_ledger_slice_read(int64 after, int64 final_id,
								  int max_entries, PayLedgerSlice *slice);

#endif							/* PAY_LEDGER_SNAPSHOT_SLICE_H */
