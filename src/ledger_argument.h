/*
 * ledger_argument.h
 *		What callers may give a ledger transaction.
 */
#ifndef PAY_LEDGER_ARGUMENT_H
#define PAY_LEDGER_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

#include "ledger.h"

/* Most entries of one ledger transaction. */
#define PAY_LEDGER_MAX_ENTRIES	PG_INT16_MAX

/*
 * Where an argument stands, for messages.  Both count from 1; 0 when there is
 * only one transaction, or no entry is meant.
 */
typedef struct PayLedgerPlace
{
	int			transaction;
	int			entry;
} PayLedgerPlace;

/*
 * "transaction 2, entry 3: ", or as much of it as the place has; "" for none.
 * palloc'ed or constant.
 */
extern const char *pay_ledger_place_text(PayLedgerPlace place);

/*
 * A text argument of 1 to 1000 characters, which messages may repeat; NULL
 * when it is null.  Raises 22023.
 */
extern char *pay_ledger_argument_text(FunctionCallInfo fcinfo, int n,
									  const char *name);

/* The same for one line of at most max_length characters. */
extern char *pay_ledger_argument_key(FunctionCallInfo fcinfo, int n,
									 const char *name, int max_length);

/*
 * Read and check the arguments of one posting but for its entries: the first
 * two are key and kind; from n on stand order_id, effective_at, description
 * and metadata.  palloc'ed.  Raises 22023.
 */
extern void pay_ledger_argument_header(FunctionCallInfo fcinfo, int n,
									   PayLedgerPosting *posting);

/* The text of a jsonb, palloc'ed. */
extern char *pay_ledger_argument_metadata(Datum jsonb);

/* When it happened, which is some time.  Raises 22023 for an infinite one. */
extern TimestampTz pay_ledger_argument_time(TimestampTz effective_at,
											PayLedgerPlace place);

/*
 * Check the texts of a posting: lengths, the form of the kind, what is
 * reserved for payments itself.  Raises 22023.
 */
extern void pay_ledger_argument_check(const PayLedgerPosting *posting,
									  PayLedgerPlace place);

/*
 * Read and check the account, currency and amount of an entry.  The previous
 * entry's minor units are passed in and out, so that a currency is looked up
 * when it changes only; previous is NULL for the first.  Needs pay_db_connect.
 * Raises 22023 and 22003.
 */
extern void pay_ledger_argument_entry(PayLedgerEntry *entry,
									  const PayLedgerEntry *previous,
									  Datum amount, int *minor_units,
									  PayLedgerPlace place);

#endif							/* PAY_LEDGER_ARGUMENT_H */
