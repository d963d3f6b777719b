/*
 * ledger_snapshot_write.c
 *		payments.write_snapshots: the tree of sums over an account's entries.
 *
 * Entries are taken in in the order of their ids, behind the mark of
 * ledger_horizon.c.  If 64 entries or more of an account that moved meanwhile
 * stand after its last row of level 1, whole rows are cut from them; what is
 * over stays as it is, and is found again when the account moves the next time.
 * So no row is ever changed, an account of a few entries has none, and a call
 * costs what is new, not what there is.  A session that comes again and again
 * knows how many entries are over and looks only at accounts that have enough
 * (ledger_pending.c).
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

#include "args.h"
#include "db.h"
#include "ledger_pending.h"
#include "ledger_snapshot.h"
#include "ledger_snapshot_rows.h"
#include "ledger_stray.h"

/* What one call takes in at most */
#define MAX_ENTRIES	1000000

#define FANOUT	CppAsString2(PAY_SNAPSHOT_FANOUT)

/* The place behind an account's last row: the next ordinal, the last id. */
typedef struct Run
{
	int64		account_id;
	int32		ordinal;
	int64		last_id;
} Run;

static int64 write_snapshots(int max_entries);
static int64 end_of_slice(int64 after, int64 final_id, int max_entries,
						  int64 *entries);
static int	find_moved(int64 after, int64 upto, int64 **account_ids);
static int	find_full(const int64 *account_ids, int n, int64 upto, Run **runs);
static void read_lines(const Run *runs, int n, int64 upto, PayLedgerLines *lines);
static void cut_rows(PayLedgerLines *lines);
static int	cut_account(PayLedgerLines *lines, int from, int to, int kept);
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

	pay_args_require(fcinfo, 0, "max_rows");
	max_rows = PG_GETARG_INT32(0);
	if (max_rows < 1 || max_rows > MAX_ENTRIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows is out of range"),
				 errhint("Give a number from 1 to %d.",
						 MAX_ENTRIES)));

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
	int64		upto;
	int64		entries;
	int64	   *moved;
	Run		   *runs;
	int			n;
	PayLedgerLines lines;

	if (!pay_ledger_horizon_advance(&done_id, &final_id) ||
		done_id == final_id)
		return 0;

	upto = end_of_slice(done_id, final_id, max_entries, &entries);
	pay_ledger_pending_begin(done_id);
	n = find_moved(done_id, upto, &moved);
	n = find_full(moved, n, upto, &runs);
	if (n > 0)
	{
		read_lines(runs, n, upto, &lines);
		cut_rows(&lines);
		pay_ledger_snapshot_insert(&lines);
	}
	pay_ledger_horizon_done(upto);
	pay_ledger_pending_end(upto);
	return entries;
}

/*
 * The id with which a slice of about max_entries ends: final_id if there are
 * fewer.  A ledger transaction is not cut.
 */
static int64
end_of_slice(int64 after, int64 final_id, int max_entries, int64 *entries)
{
	static PayStatement find = {
		"SELECT COALESCE(pg_catalog.max(e.transaction_id), $2), pg_catalog.count(*)"
		" FROM (SELECT e.transaction_id FROM ONLY payments.ledger_entry e"
		" WHERE e.transaction_id OPERATOR(pg_catalog.>) $1 AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" ORDER BY e.transaction_id LIMIT $3) e",
		3, {INT8OID, INT8OID, INT4OID}
	};
	Datum		values[3] = {Int64GetDatum(after), Int64GetDatum(final_id),
	Int32GetDatum(max_entries)};

	pay_db_run(&find, values, NULL);
	*entries = pay_db_int64(0, 2);
	return *entries < max_entries ? final_id : pay_db_int64(0, 1);
}

/* The accounts that moved in (after, upto] and may have enough for a row. */
static int
find_moved(int64 after, int64 upto, int64 **account_ids)
{
	static PayStatement find = {
		"SELECT e.account_id, pg_catalog.count(*) FROM ONLY payments.ledger_entry e"
		" WHERE e.transaction_id OPERATOR(pg_catalog.>) $1 AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" GROUP BY e.account_id",
		2, {INT8OID, INT8OID}
	};
	Datum		values[2] = {Int64GetDatum(after), Int64GetDatum(upto)};
	int			moved = (int) pay_db_run(&find, values, NULL);
	int			n = 0;

	*account_ids = palloc(sizeof(int64) * Max(moved, 1));
	for (int i = 0; i < moved; i++)
	{
		int64		account_id = pay_db_int64(i, 1);

		if (pay_ledger_pending_add(account_id, pay_db_int64(i, 2),
								   PAY_SNAPSHOT_FANOUT))
			(*account_ids)[n++] = account_id;
	}
	return n;
}

/*
 * Those of them that have enough, and where their next row begins.  OFFSET 0
 * and LIMIT keep a sub-query a loop over an index.
 */
static int
find_full(const int64 *account_ids, int n, int64 upto, Run **runs)
{
	static PayStatement look = {
		"SELECT m.account_id, COALESCE(l.ordinal OPERATOR(pg_catalog.+) 1, 0), l.last_id,"
		" (SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY payments.ledger_entry e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) m.account_id"
		" AND e.transaction_id OPERATOR(pg_catalog.>) l.last_id AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" ORDER BY e.transaction_id LIMIT " FANOUT ") e)"
		" FROM pg_catalog.unnest($1) AS m (account_id)"
		" CROSS JOIN LATERAL (SELECT pg_catalog.max(s.ordinal) AS ordinal,"
		" COALESCE(pg_catalog.max(s.last_id), '-9223372036854775808') AS last_id"
		" FROM (SELECT s.ordinal, s.last_id FROM ONLY payments.ledger_snapshot s"
		" WHERE s.account_id OPERATOR(pg_catalog.=) m.account_id AND s.level OPERATOR(pg_catalog.=) 1::pg_catalog.int2"
		" ORDER BY s.ordinal DESC LIMIT 1) s) l",
		2, {INT8ARRAYOID, INT8OID}
	};
	Datum		values[2] = {pay_db_int64_array(account_ids, n),
	Int64GetDatum(upto)};
	int			full = 0;

	*runs = palloc(sizeof(Run) * Max(n, 1));
	if (n > 0)
		n = (int) pay_db_run(&look, values, NULL);
	for (int i = 0; i < n; i++)
	{
		Run		   *run = &(*runs)[full];
		int64		entries = pay_db_int64(i, 4);

		run->account_id = pay_db_int64(i, 1);
		run->ordinal = pay_db_int32(i, 2);
		run->last_id = pay_db_int64(i, 3);
		if (entries >= PAY_SNAPSHOT_FANOUT)
			full++;
		else
			pay_ledger_pending_set(run->account_id, entries);
	}
	return full;
}

/* What of these accounts is in no row yet. */
static void
read_lines(const Run *runs, int n, int64 upto, PayLedgerLines *lines)
{
	static PayStatement read = {
		"SELECT r.account_id, r.ordinal, e.transaction_id, t.effective_at, t.recorded_at,"
		" pg_catalog.count(*), pg_catalog.sum(e.amount)"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		" AS r (account_id, ordinal, last_id)"
		" CROSS JOIN LATERAL (SELECT e.transaction_id, e.amount FROM ONLY payments.ledger_entry e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) r.account_id"
		" AND e.transaction_id OPERATOR(pg_catalog.>) r.last_id AND e.transaction_id OPERATOR(pg_catalog.<=) $4 OFFSET 0) e"
		" CROSS JOIN LATERAL (SELECT t.effective_at, t.recorded_at FROM ONLY payments.ledger_transaction t"
		" WHERE t.id OPERATOR(pg_catalog.=) e.transaction_id OFFSET 0) t"
		" GROUP BY r.account_id, r.ordinal, e.transaction_id, t.effective_at, t.recorded_at"
		" ORDER BY r.account_id, e.transaction_id",
		4, {INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT8OID}
	};
	int64	   *account_ids = palloc(sizeof(int64) * n);
	int32	   *ordinals = palloc(sizeof(int32) * n);
	int64	   *last_ids = palloc(sizeof(int64) * n);
	Datum		values[4];
	bool		is_null;

	for (int i = 0; i < n; i++)
	{
		account_ids[i] = runs[i].account_id;
		ordinals[i] = runs[i].ordinal;
		last_ids[i] = runs[i].last_id;
	}
	values[0] = pay_db_int64_array(account_ids, n);
	values[1] = pay_db_int32_array(ordinals, n);
	values[2] = pay_db_int64_array(last_ids, n);
	values[3] = Int64GetDatum(upto);

	lines->n = (int) pay_db_run(&read, values, NULL);
	lines->strays = palloc(sizeof(bool) * Max(lines->n, 1));
	for (int c = 0; c < PAY_LINE_COLUMNS; c++)
	{
		lines->columns[c] = palloc(sizeof(Datum) * Max(lines->n, 1));
		for (int i = 0; i < lines->n; i++)
			lines->columns[c][i] = pay_db_datum(i, c + 1, &is_null);
	}
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
	int32		ordinal = DatumGetInt32(lines->columns[PAY_LINE_ORDINAL][from]);
	int64		total = 0;
	int64		seen = 0;
	int64		row = 0;
	int			start = kept;

	for (int i = from; i < to; i++)
		total += DatumGetInt64(lines->columns[PAY_LINE_ENTRIES][i]);

	for (int i = from; i < to; i++)
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
	mark_row(lines, start, kept);
	pay_ledger_pending_set(DatumGetInt64(lines->columns[PAY_LINE_ACCOUNT_ID][from]),
						   total - seen);
	return kept;
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
