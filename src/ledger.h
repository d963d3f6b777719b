/*
 * ledger.h
 *		The ledger: one posting function, the only writer of its tables.
 */
#ifndef PAY_LEDGER_H
#define PAY_LEDGER_H

#include "postgres.h"

#include "utils/timestamp.h"

/* As effective_at: now, and a repeated post need not say when. */
#define PAY_LEDGER_NOW DT_NOBEGIN

/* Kind of the transactions that payments.reverse posts. */
#define PAY_LEDGER_REVERSAL "reversal"

typedef struct PayLedgerEntry
{
	const char *account;		/* code; opened on first use */
	const char *currency;
	int64		amount;			/* mills; debit positive, credit negative */
} PayLedgerEntry;

typedef struct PayLedgerPosting
{
	const char *transaction_key;
	const char *kind;
	const char *order_id;		/* or NULL */
	const char *description;	/* or NULL */
	const char *metadata;		/* JSON text, or NULL */
	int64		reverses_id;	/* 0: none */
	bool		fact;			/* it happened: no state or limit refuses it */
	const char *release_account;	/* whose hold ends with it, or NULL */
	int64		release_amount; /* what is no longer held, in mills */
	TimestampTz release_until;	/* until when it is held; 0: no end */
	TimestampTz effective_at;	/* or PAY_LEDGER_NOW */
	int			n_entries;
	PayLedgerEntry *entries;

	/* results */
	int64		id;
	bool		was_there;		/* posted before, with the same content */
} PayLedgerPosting;

/*
 * Post n ledger transactions, all or none, netted per account.  Needs
 * pay_db_connect.  Raises 23514 for an unbalanced posting, PY011 for a key
 * that came back with other content (the detail names what differs), PY012 for
 * an account whose prefix is unknown, PY013 for a currency that is not the
 * account's, PY018 for one that is not open, PY019 where a limit of an account
 * would be crossed.  The same key may stand twice in one call: the second is a
 * repetition of the first.
 *
 * Locks, each kind in one order: keys, codes of new accounts, balances by
 * (account id, stripe).  Calls that run at the same time do not deadlock, as
 * long as each is the only one of its database transaction; of those with the
 * same key one posts, and the others wait for it and find it.
 */
extern void pay_ledger_post(PayLedgerPosting *postings, int n,
							TimestampTz now);

/*
 * Take a ledger transaction back, once; returns the id of the reversal, also
 * of one that was there with the same reason and entries.  part is NULL for its
 * mirror image; else the entries of the reversal are part's.  Needs
 * pay_db_connect.  Raises PY014 when there is none with this id, PY015 when it
 * was reversed before with other content, PY020 when the part is none.
 */
extern int64 pay_ledger_reverse(int64 id, const char *reason,
								const PayLedgerPosting *part,
								TimestampTz now);

/*
 * The code of an account of one party in a currency: "seller:7", and
 * "seller:7:USD" in any currency but KRW.  palloc'ed.
 */
extern char *pay_ledger_account_code(const char *party, int64 id,
									 const char *currency);
extern char *pay_ledger_house_account_code(const char *code,
										   const char *currency);

#endif							/* PAY_LEDGER_H */
