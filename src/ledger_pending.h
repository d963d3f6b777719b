/*
 * ledger_pending.h
 *		How many entries of an account stand behind its last snapshot, as far
 *		as this session knows.
 *
 * A hint that saves looks: write_snapshots meets every account that moved, and
 * most of them have not got enough for a row.  It is good for as long as this
 * session takes one slice of entries after the other; when another one came in
 * between, or what we did was rolled back, everything is forgotten and every
 * account is looked at again.
 */
#ifndef PAY_LEDGER_PENDING_H
#define PAY_LEDGER_PENDING_H

#include "postgres.h"

/* A slice of entries begins behind id "after", and ends with id "upto". */
extern void pay_ledger_pending_begin(int64 after);
extern void pay_ledger_pending_end(int64 upto);

/*
 * The account got more entries: does it have to be looked at, because it may
 * have "enough" now, or because nothing is known of it?
 */
extern bool pay_ledger_pending_add(int64 account_id, int64 entries,
								   int64 enough);

/* This session has opened the account, in a transaction that is not over yet. */
extern void pay_ledger_pending_opened(int64 account_id);

/* The account was looked at, and this is what it has. */
extern void pay_ledger_pending_set(int64 account_id, int64 entries);

#endif							/* PAY_LEDGER_PENDING_H */
