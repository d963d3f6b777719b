/*
 * ledger_pending.h
 *		The entries of an account behind its last snapshot, as far as this
 *		session knows.
 *
 * write_snapshots meets every account that moved, and most of them have not
 * got enough for a row.  What it met is remembered, so that it is neither
 * counted nor read again when there is enough.  That is good for as long as this
 * session takes one slice of entries after the other; when another one came in
 * between, or what we did was rolled back, everything is forgotten.
 */
#ifndef PAY_LEDGER_PENDING_H
#define PAY_LEDGER_PENDING_H

#include "postgres.h"

#include "utils/timestamp.h"

/* What a ledger transaction is to an account */
typedef struct PayLedgerPendingLine
{
	int64		id;
	TimestampTz effective_at;
	TimestampTz recorded_at;
	int64		amount;			/* mills */
	int			entries;
} PayLedgerPendingLine;

typedef struct PayLedgerPending
{
	int64		account_id;		/* the key */
	int64		entries;		/* of all lines; -1: not known */
	bool		moved;			/* to be looked at in this slice */

	/* all lines behind a row, when they are complete */
	bool		complete;
	int32		ordinal;		/* that of the row to come */
	int64		last_id;		/* with which the last one ended */
	int			n_lines;
	int			size;			/* room for so many */
	PayLedgerPendingLine *lines;
} PayLedgerPending;

/* A slice of entries begins behind id "after", and ends with id "upto". */
extern void pay_ledger_pending_begin(int64 after);
extern void pay_ledger_pending_end(int64 upto);

/* What is known of an account.  Stays where it is until the slice ends. */
extern PayLedgerPending *pay_ledger_pending_of(int64 account_id);

/* The account was looked at: so many entries, whose lines are not known. */
extern void pay_ledger_pending_count(PayLedgerPending *pending,
									 int64 entries);

/* Nothing stands behind the row before this one, which ended with this id. */
extern void pay_ledger_pending_restart(PayLedgerPending *pending,
									   int32 ordinal, int64 last_id);

/*
 * One more line, in the order of ids; of the same ledger transaction as the
 * last one it becomes a part of that.
 */
extern void pay_ledger_pending_add(PayLedgerPending *pending,
								   const PayLedgerPendingLine *line);

#endif							/* PAY_LEDGER_PENDING_H */
