/*
 * ledger_entries.h
 *		Entries of a ledger transaction as JSON.
 */
#ifndef PAY_LEDGER_ENTRIES_H
#define PAY_LEDGER_ENTRIES_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "ledger.h"

/*
 * Read the JSON array of entries into the posting, palloc'ed.  Needs
 * pay_db_connect.  Raises 22023, 22004 and 22003, naming the entry by its
 * number, from 1.
 */
extern void pay_ledger_entries_read(Jsonb *json, PayLedgerPosting *posting);

#endif							/* PAY_LEDGER_ENTRIES_H */
