/*
 * ledger_snapshot_write.c
 *		payments.write_snapshots: the tree of sums over an account's entries.
 *
 * Entries are taken in in the order of their ids, behind the mark of
 * ledger_horizon.c.  If 64 entries or more of an account that moved meanwhile
 * stand after its last row of level 1, whole rows are cut from them; what is
 * over stays as it is, and is found again when the account moves the next time.
 * So no row is ever changed, an account of a few entries has none, and a call
 * costs what is new, not what there is.
 *
 * A session that comes again and again remembers what is over (ledger_pending.c),
 * so that an entry is read once, with its neighbours of the same time, and not
 * again when there are 64.  Before what it remembers becomes a row the last row
 * of the account is looked at: they belong together only if it is the same.
 *
 * A row of level 1 ends with a ledger transaction: the entries of one have the
 * same times, and their place is told by the id alone.  So it may have a few
 * more than 64, or less after one that had many.
 *
 * What is effective long before or after the rest of its row is told from it
 * here (ledger_stray.c); the writing is ledger_snapshot_rows.c's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "ledger_snapshot.h"
#include "ledger_snapshot_lines.h"
#include "ledger_snapshot_rows.h"
#include "ledger_snapshot_slice.h"
#include "ledger_stray.h"

/* What one call takes in at most, and of it at a time */
#define MAX_ENTRIES	1000000
#define SLICE		10000

#define FANOUT	CppAsString2(PAY_SNAPSHOT_FANOUT)

static int64 write_snapshots(int max_entries);
static int64 write_slice(int64 after, int64 final_id, int max_entries,
						 int64 *upto);
static int	find_moved(const PayLedgerSlice *slice, PayLedgerPending ***moved);
static int	find_full(PayLedgerPending **moved, int n, int64 upto,
					  PayLedgerRun **runs);
static void cut_rows(PayLedgerLines *lines);
static int	cut_account(PayLedgerLines *lines, int from, int to, int kept);
static void remember_rest(PayLedgerPending *pending,
						  const PayLedgerLines *lines, int from, int to);
static void mark_row(PayLedgerLines *lines, int from, int to);

PG_FUNCTION_INFO_V1(payments_write_snapshots);

/*
 * payments.write_snapshots: see 46_ledger_reading.sql.  Errors: 22004, 22023,
 * 55000 (ledger_horizon.c).
 */
Datum
payments_write_snapshots(PG_FUNCTION_ARGS)
{
	int64		entries;
	int			max_rows;

	max_rows = pay_args_number(fcinfo, 0, "max_rows", MAX_ENTRIES);

	pay_db_connect();
	entries = write_snapshots(max_rows);
	pay_db_finish();
	PG_RETURN_INT32((int32) entries);
}

/* Returns how many entries were taken in. */
static int64
write_snapshots(int max_entries)
{
	int64		done_id;
	int64		final_id;
	int64		entries = 0;

	if (!pay_ledger_horizon_advance(&done_id, &final_id))
		return 0;
	while (done_id < final_id && entries < max_entries)
		entries += write_slice(done_id, final_id,
							   Min(max_entries - entries, SLICE), &done_id);
	return entries;
}

/* In a connection of its own, so that what it read is given back. */
static int64
write_slice(int64 after, int64 final_id, int max_entries, int64 *upto)
{
	PayLedgerSlice slice;
	PayLedgerPending **moved;
	PayLedgerLines lines;
	PayLedgerRun *runs;
	int			n;

	pay_db_connect();
	pay_ledger_slice_read(after, final_id, max_entries, &slice);
	pay_ledger_pending_begin(after);
	n = find_moved(&slice, &moved);
	n = find_full(moved, n, slice.upto, &runs);
	if (n > 0)
	{
		pay_ledger_lines_collect(runs, n, slice.upto, &lines);
		cut_rows(&lines);
		pay_ledger_snapshot_insert(&lines);
	}
	pay_ledger_horizon_done(slice.upto);
	pay_ledger_pending_end(slice.upto);
	pay_db_finish();
	*upto = slice.upto;
	return slice.n;
}

/*
 * Remember the entries; gives the accounts that have enough for a row, and those
 * of which that is not known.
 */
static int
find_moved(const PayLedgerSlice *slice, PayLedgerPending ***moved)
{
	int			n = 0;

	*moved = palloc(sizeof(PayLedgerPending *) * Max(slice->n, 1));
	for (int i = 0; i < slice->n; i++)
	{
		const PayLedgerSliceEntry *entry = &slice->entries[i];
		PayLedgerPending *pending = pay_ledger_pending_of(entry->account_id);

		if (pending->entries >= 0 && entry->whole)
			pay_ledger_pending_add(pending, &entry->line);
		else if (pending->entries >= 0)
			pay_ledger_pending_count(pending, pending->entries + 1);
		if (!pending->moved &&
			(pending->entries < 0 || pending->entries >= PAY_SNAPSHOT_FANOUT))
		{
			pending->moved = true;
			(*moved)[n++] = pending;
		}
	}
	return n;
}

/*
 * Those of them that have enough, and where their next row begins.  OFFSET 0
 * and LIMIT keep a sub-query a loop over an index.
 */
static int
find_full(PayLedgerPending **moved, int n, int64 upto, PayLedgerRun **runs)
{
	static PayStatement look = {
		"SELECT m.account_id, COALESCE(l.ordinal OPERATOR(pg_catalog.+) 1, 0), l.last_id"
		" FROM pg_catalog.unnest($1) AS m (account_id)"
		" CROSS JOIN LATERAL (SELECT pg_catalog.max(s.ordinal) AS ordinal,"
		" COALESCE(pg_catalog.max(s.last_id), '-9223372036854775808') AS last_id"
		" FROM (SELECT s.ordinal, s.last_id FROM ONLY payments.ledger_snapshot s"
		" WHERE s.account_id OPERATOR(pg_catalog.=) m.account_id AND s.level OPERATOR(pg_catalog.=) 1::pg_catalog.int2"
		" ORDER BY s.ordinal DESC LIMIT 1) s) l",
		1, {INT8ARRAYOID}
	};
	int64	   *account_ids = palloc(sizeof(int64) * Max(n, 1));
	Datum		values[1];
	int			full = 0;

	*runs = palloc(sizeof(PayLedgerRun) * Max(n, 1));
	if (n == 0)
		return 0;
	for (int i = 0; i < n; i++)
		account_ids[i] = moved[i]->account_id;
	values[0] = pay_db_int64_array(account_ids, n);
	n = (int) pay_db_run(&look, values, NULL);
	for (int i = 0; i < n; i++)
	{
		PayLedgerRun *run = &(*runs)[i];

		run->pending = pay_ledger_pending_of(pay_db_int64(i, 1));
		run->pending->moved = false;
		run->ordinal = pay_db_int32(i, 2);
		run->last_id = pay_db_int64(i, 3);
	}

	pay_ledger_lines_count(*runs, n, upto);
	for (int i = 0; i < n; i++)
		if ((*runs)[i].pending->entries >= PAY_SNAPSHOT_FANOUT)
			(*runs)[full++] = (*runs)[i];
	return full;
}

/* Keep the lines of whole rows, with the ordinals of these; note what is over. */
static void
cut_rows(PayLedgerLines *lines)
{
	int			kept = 0;
	int			to;

	for (int from = 0; from < lines->n; from = to)
	{
		for (to = from + 1; to < lines->n; to++)
			if (lines->columns[PAY_LINE_ACCOUNT_ID][to] !=
				lines->columns[PAY_LINE_ACCOUNT_ID][from])
				break;
		kept = cut_account(lines, from, to, kept);
	}
	lines->n = kept;
}

/*
 * The same for one account's lines; they move to where "kept" says, and the new
 * end of what is kept is returned.  A line belongs to the row in which its first
 * entry falls, 64 to a row.
 */
static int
cut_account(PayLedgerLines *lines, int from, int to, int kept)
{
	PayLedgerPending *pending =
	pay_ledger_pending_of(DatumGetInt64(lines->columns[PAY_LINE_ACCOUNT_ID][from]));
	int32		ordinal = DatumGetInt32(lines->columns[PAY_LINE_ORDINAL][from]);
	int64		total = 0;
	int64		seen = 0;
	int64		row = 0;
	int			start = kept;
	int			i;

	for (i = from; i < to; i++)
		total += DatumGetInt64(lines->columns[PAY_LINE_ENTRIES][i]);

	for (i = from; i < to; i++)
	{
		if (seen / PAY_SNAPSHOT_FANOUT >= total / PAY_SNAPSHOT_FANOUT)
			break;
		if (seen / PAY_SNAPSHOT_FANOUT != row)
		{
			mark_row(lines, start, kept);
			row = seen / PAY_SNAPSHOT_FANOUT;
			start = kept;
			ordinal++;
		}
		for (int c = 0; c < PAY_LINE_COLUMNS; c++)
			lines->columns[c][kept] = lines->columns[c][i];
		lines->columns[PAY_LINE_ORDINAL][kept] = Int32GetDatum(ordinal);
		kept++;
		seen += DatumGetInt64(lines->columns[PAY_LINE_ENTRIES][i]);
	}
	if (i == from)
	{
		pay_ledger_pending_count(pending, total);
		return kept;
	}
	mark_row(lines, start, kept);
	pay_ledger_pending_restart(pending, ordinal + 1,
							   DatumGetInt64(lines->columns[PAY_LINE_ID][kept - 1]));
	remember_rest(pending, lines, i, to);
	return kept;
}

/* What is over; its lines are where they were. */
static void
remember_rest(PayLedgerPending *pending, const PayLedgerLines *lines, int from,
			  int to)
{
	for (int i = from; i < to; i++)
	{
		PayLedgerPendingLine line = {
			DatumGetInt64(lines->columns[PAY_LINE_ID][i]),
			DatumGetTimestampTz(lines->columns[PAY_LINE_EFFECTIVE_AT][i]),
			DatumGetTimestampTz(lines->columns[PAY_LINE_RECORDED_AT][i]),
			0,
			(int) DatumGetInt64(lines->columns[PAY_LINE_ENTRIES][i])
		};

		if (pay_amount_signed_read(lines->columns[PAY_LINE_AMOUNT][i],
								   PAY_MAX_MINOR_UNITS, &line.amount))
			pay_ledger_pending_add(pending, &line);
		else
			pay_ledger_pending_count(pending, pending->entries + line.entries);
	}
}

/* Tell a row's strays from what is in order. */
static void
mark_row(PayLedgerLines *lines, int from, int to)
{
	TimestampTz at[PAY_SNAPSHOT_FANOUT];

	for (int i = from; i < to; i++)
		at[i - from] = DatumGetTimestampTz(lines->columns[PAY_LINE_EFFECTIVE_AT][i]);
	pay_ledger_stray_mark(at, to - from, lines->strays + from);
}
