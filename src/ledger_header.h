/*
 * ledger_header.h
 *		Headers of ledger transactions: who comes first with a key.
 */
#ifndef PAY_LEDGER_HEADER_H
#define PAY_LEDGER_HEADER_H

#include "postgres.h"

#include "ledger.h"

/*
 * Insert the headers of n postings, sorted by key, and move those whose key
 * was there already to the end of the array; returns how many are new.  Waits
 * for other transactions that are inserting one of the keys.
 */
extern int	pay_ledger_header_insert(PayLedgerPosting **sorted, int n,
									 TimestampTz now);

/*
 * Compare postings with what was posted under their keys before, and set their
 * ids.  Raises PY011 with the names of what differs.
 */
extern void pay_ledger_header_compare(PayLedgerPosting **repeated, int n);

/* Has the ledger transaction with a posting's id the posting's entries? */
extern bool pay_ledger_header_has_entries(PayLedgerPosting *posting);

#endif							/* PAY_LEDGER_HEADER_H */
