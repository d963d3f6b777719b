/*
 * ledger_snapshot.h
 *		Snapshots: sums over an account's entries, and the mark behind which
 *		they are written.
 */
#ifndef PAY_LEDGER_SNAPSHOT_H
#define PAY_LEDGER_SNAPSHOT_H

#include "postgres.h"

#include "utils/timestamp.h"

/* Rows or entries that a row of the tree sums. */
#define PAY_SNAPSHOT_FANOUT 64

/*
 * The mark, ledger_horizon.c.
 */

/*
 * Raise PY023 when ledger transaction id is final already, so that nothing may
 * come with it any more.  For whoever inserts ids that were not drawn from the
 * sequence after his transaction had its number (xid): triggers, not the
 * posting function.  Called after the insert.  Costs a snapshot and a look at
 * a table of one row.
 */
extern void pay_ledger_horizon_check(int64 id);

/*
 * Lock the mark and move it as far as it goes today.  Gives what is final and
 * up to where snapshots are written.  False: another session has it.  Needs
 * pay_db_connect.
 */
extern bool pay_ledger_horizon_advance(int64 *done_id, int64 *final_id);

/* Note that snapshots are written up to this id. */
extern void pay_ledger_horizon_done(int64 done_id);

/*
 * The tree, ledger_snapshot.c; written by ledger_snapshot_write.c.
 */

/*
 * A part of an account's entries: those whose times lie between these, both
 * included.
 */
typedef struct PayLedgerPart
{
	int64		account_id;
	TimestampTz effective_from;
	TimestampTz effective_to;
	TimestampTz recorded_from;
	TimestampTz recorded_to;
} PayLedgerPart;

/*
 * Runs of strays, those of one row of the tree each, to be added (1) or taken
 * off (-1): see ledger_stray.h.  integer[], all of the same length.
 */
typedef struct PayLedgerRuns
{
	Datum		levels;
	Datum		ordinals;
	Datum		signs;
} PayLedgerRuns;

/*
 * Where to find a part: the sum of what snapshots have of it in order, the runs
 * of strays that go with it, and the ranges of ids whose entries have to be
 * read one by one, the end of the account among them.  Without whole nothing is
 * summed, there are no runs, and the ranges cover all of the part; some may
 * lie within others.  Needs pay_db_connect, and sees the caller's snapshot.
 */
typedef struct PayLedgerRanges
{
	Datum		sum;			/* numeric */
	PayLedgerRuns runs;
	Datum		first_ids;		/* bigint[] */
	Datum		last_ids;
} PayLedgerRanges;

extern void pay_ledger_snapshot_find(const PayLedgerPart *part, bool whole,
									 PayLedgerRanges *ranges);

/* The sum of a part, numeric.  As above. */
extern Datum pay_ledger_snapshot_sum(const PayLedgerPart *part);

#endif							/* PAY_LEDGER_SNAPSHOT_H */
