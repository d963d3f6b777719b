/*
 * ledger_snapshot.c
 *		The tree of sums over an account's entries.
 *
 * Owns payments.ledger_snapshot.  Entries are taken in in the order of their
 * ids, behind the mark of ledger_horizon.c.  Whoever moved meanwhile is looked
 * at: if 64 entries or more stand after its last row of level 1, whole rows
 * are cut from them; what is over stays as it is, and is found again when the
 * account moves the next time.  So no row is ever changed, an account of a few
 * entries has none, and a call costs what is new, not what there is.
 *
 * A row of level 1 ends with a ledger transaction: the entries of one have the
 * same times, and their place is told by the id alone.  So it may have a few
 * more than 64, or less after one that had many.
 *
 * Reading goes down from the top.  Of each level there are the rows below those
 * that straddle an end of the wanted times, and the last ones, which are not in
 * any row above yet, 63 at most.  That is a few hundred rows and entries for an
 * account of a million, as long as the two clocks run more or less the same
 * way.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "args.h"
#include "db.h"
#include "ledger_snapshot.h"

/* What one call takes in at most */
#define MAX_ENTRIES	1000000

#define FANOUT	CppAsString2(PAY_SNAPSHOT_FANOUT)

static int64 write_snapshots(int max_entries);
static int64 end_of_slice(int64 after, int64 final_id, int max_entries,
						  int64 *entries);
static Datum write_entries(int64 after, int64 upto, uint64 *rows);
static Datum write_level(Datum accounts, int level, uint64 *rows);
static Datum written_accounts(uint64 rows);
static int	find_top(int64 account_id, int64 *next_id);

PG_FUNCTION_INFO_V1(payments_write_snapshots);

/*
 * Writing
 */

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
	uint64		rows;
	Datum		accounts;

	if (!pay_ledger_horizon_advance(&done_id, &final_id) ||
		done_id == final_id)
		return 0;

	upto = end_of_slice(done_id, final_id, max_entries, &entries);
	accounts = write_entries(done_id, upto, &rows);
	for (int level = 1; rows >= 1; level++)
		accounts = write_level(accounts, level, &rows);
	pay_ledger_horizon_done(upto);
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

/*
 * Rows of level 1 for the accounts that moved in (after, upto].  Gives their
 * accounts, and how many rows there are.
 *
 * "part" counts 64 entries each from the end of the last row on, a ledger
 * transaction belonging where its first entry falls; the last part is only
 * taken when it is full.  OFFSET 0 keeps a sub-query a loop over an index.
 */
static Datum
write_entries(int64 after, int64 upto, uint64 *rows)
{
	static PayStatement insert = {
		"WITH moved AS MATERIALIZED (SELECT DISTINCT e.account_id FROM ONLY payments.ledger_entry e"
		" WHERE e.transaction_id OPERATOR(pg_catalog.>) $1 AND e.transaction_id OPERATOR(pg_catalog.<=) $2),"
		" run AS MATERIALIZED (SELECT m.account_id, COALESCE(l.ordinal OPERATOR(pg_catalog.+) 1, 0) AS ordinal, l.last_id"
		" FROM moved m CROSS JOIN LATERAL (SELECT pg_catalog.max(s.ordinal) AS ordinal,"
		" COALESCE(pg_catalog.max(s.last_id), '-9223372036854775808') AS last_id"
		" FROM (SELECT s.ordinal, s.last_id FROM ONLY payments.ledger_snapshot s"
		" WHERE s.account_id OPERATOR(pg_catalog.=) m.account_id AND s.level OPERATOR(pg_catalog.=) 1::pg_catalog.int2"
		" ORDER BY s.ordinal DESC LIMIT 1) s) l"
		" WHERE (SELECT true FROM ONLY payments.ledger_entry e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) m.account_id"
		" AND e.transaction_id OPERATOR(pg_catalog.>) l.last_id AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" ORDER BY e.transaction_id OFFSET " FANOUT " OPERATOR(pg_catalog.-) 1 LIMIT 1)),"
		" line AS (SELECT r.account_id, r.ordinal, e.transaction_id, t.effective_at, t.recorded_at,"
		" pg_catalog.count(*) AS entries, pg_catalog.sum(e.amount) AS amount"
		" FROM run r CROSS JOIN LATERAL (SELECT e.transaction_id, e.amount FROM ONLY payments.ledger_entry e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) r.account_id"
		" AND e.transaction_id OPERATOR(pg_catalog.>) r.last_id AND e.transaction_id OPERATOR(pg_catalog.<=) $2 OFFSET 0) e"
		" CROSS JOIN LATERAL (SELECT t.effective_at, t.recorded_at FROM ONLY payments.ledger_transaction t"
		" WHERE t.id OPERATOR(pg_catalog.=) e.transaction_id OFFSET 0) t"
		" GROUP BY r.account_id, r.ordinal, e.transaction_id, t.effective_at, t.recorded_at),"
		" counted AS (SELECT l.*,"
		" ((pg_catalog.sum(l.entries) OVER (PARTITION BY l.account_id ORDER BY l.transaction_id))::pg_catalog.int8"
		" OPERATOR(pg_catalog.-) l.entries) OPERATOR(pg_catalog./) " FANOUT " AS part,"
		" (pg_catalog.sum(l.entries) OVER (PARTITION BY l.account_id))::pg_catalog.int8"
		" OPERATOR(pg_catalog./) " FANOUT " AS parts FROM line l)"
		" INSERT INTO payments.ledger_snapshot (account_id, level, ordinal, first_id, last_id, entries, amount,"
		" min_effective_at, max_effective_at, min_recorded_at, max_recorded_at)"
		" SELECT c.account_id, 1, c.ordinal OPERATOR(pg_catalog.+) ((pg_catalog.row_number()"
		" OVER (PARTITION BY c.account_id ORDER BY c.part))::pg_catalog.int4 OPERATOR(pg_catalog.-) 1),"
		" pg_catalog.min(c.transaction_id), pg_catalog.max(c.transaction_id), pg_catalog.sum(c.entries), pg_catalog.sum(c.amount),"
		" pg_catalog.min(c.effective_at), pg_catalog.max(c.effective_at),"
		" pg_catalog.min(c.recorded_at), pg_catalog.max(c.recorded_at)"
		" FROM counted c WHERE c.part OPERATOR(pg_catalog.<) c.parts"
		" GROUP BY c.account_id, c.ordinal, c.part RETURNING account_id",
		2, {INT8OID, INT8OID}
	};
	Datum		values[2] = {Int64GetDatum(after), Int64GetDatum(upto)};

	*rows = pay_db_run(&insert, values, NULL);
	return written_accounts(*rows);
}

/*
 * Rows of the level above this one, for as many whole groups of 64 as these
 * accounts have.  Gives the accounts that got some, and how many.
 */
static Datum
write_level(Datum accounts, int level, uint64 *rows)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_snapshot (account_id, level, ordinal, first_id, last_id, entries, amount,"
		" min_effective_at, max_effective_at, min_recorded_at, max_recorded_at)"
		" SELECT a.id, $2 OPERATOR(pg_catalog.+) 1, s.ordinal OPERATOR(pg_catalog./) " FANOUT ","
		" pg_catalog.min(s.first_id), pg_catalog.max(s.last_id), pg_catalog.sum(s.entries), pg_catalog.sum(s.amount),"
		" pg_catalog.min(s.min_effective_at), pg_catalog.max(s.max_effective_at),"
		" pg_catalog.min(s.min_recorded_at), pg_catalog.max(s.max_recorded_at)"
		" FROM (SELECT DISTINCT u.id FROM pg_catalog.unnest($1) AS u (id)) a"
		" CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.max(u.ordinal) OPERATOR(pg_catalog.+) 1, 0) AS rows"
		" FROM (SELECT u.ordinal FROM ONLY payments.ledger_snapshot u"
		" WHERE u.account_id OPERATOR(pg_catalog.=) a.id AND u.level OPERATOR(pg_catalog.=) ($2 OPERATOR(pg_catalog.+) 1)"
		" ORDER BY u.ordinal DESC LIMIT 1) u) above"
		" CROSS JOIN LATERAL (SELECT * FROM ONLY payments.ledger_snapshot s"
		" WHERE s.account_id OPERATOR(pg_catalog.=) a.id AND s.level OPERATOR(pg_catalog.=) $2"
		" AND s.ordinal OPERATOR(pg_catalog.>=) (above.rows OPERATOR(pg_catalog.*) " FANOUT ") OFFSET 0) s"
		" GROUP BY a.id, s.ordinal OPERATOR(pg_catalog./) " FANOUT ""
		" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) " FANOUT " RETURNING account_id",
		2, {INT8ARRAYOID, INT4OID}
	};
	Datum		values[2] = {accounts, Int32GetDatum(level)};

	*rows = pay_db_run(&insert, values, NULL);
	return written_accounts(*rows);
}

/* The accounts of the rows just written, as an array. */
static Datum
written_accounts(uint64 rows)
{
	int64	   *ids = palloc(sizeof(int64) * Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
		ids[row] = pay_db_int64(row, 1);
	return pay_db_int64_array(ids, (int) rows);
}

/*
 * Reading
 */

/*
 * One level after the other, from the top down.  In a level the ordinals to
 * look at are given as ranges; the last range has no end, and is what no row
 * above has taken yet.  The same for ids, when it comes to entries.
 */
void
pay_ledger_snapshot_find(const PayLedgerPart *part, bool whole,
						 PayLedgerRanges *ranges)
{
	static PayStatement look = {
		"SELECT $8 OPERATOR(pg_catalog.+) COALESCE(pg_catalog.sum(s.amount) FILTER (WHERE s.whole), 0),"
		" pg_catalog.array_agg(s.ordinal OPERATOR(pg_catalog.*) " FANOUT ") FILTER (WHERE NOT s.whole)"
		" OPERATOR(pg_catalog.||) (GREATEST(pg_catalog.max(s.ordinal) OPERATOR(pg_catalog.+) 1, $11) OPERATOR(pg_catalog.*) " FANOUT "),"
		" pg_catalog.array_agg(s.ordinal OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.*) " FANOUT " OPERATOR(pg_catalog.-) 1)"
		" FILTER (WHERE NOT s.whole) OPERATOR(pg_catalog.||) 2147483647,"
		" GREATEST(pg_catalog.max(s.ordinal) OPERATOR(pg_catalog.+) 1, $11) OPERATOR(pg_catalog.*) " FANOUT ","
		" pg_catalog.array_agg(s.first_id) FILTER (WHERE NOT s.whole) OPERATOR(pg_catalog.||) $12,"
		" pg_catalog.array_agg(s.last_id) FILTER (WHERE NOT s.whole) OPERATOR(pg_catalog.||) 9223372036854775807"
		" FROM ROWS FROM (pg_catalog.unnest($9), pg_catalog.unnest($10)) AS r (first, last)"
		" CROSS JOIN LATERAL (SELECT s.ordinal, s.amount, s.first_id, s.last_id,"
		" CASE WHEN s.max_effective_at OPERATOR(pg_catalog.<) $3 OR s.min_effective_at OPERATOR(pg_catalog.>) $4"
		" OR s.max_recorded_at OPERATOR(pg_catalog.<) $5 OR s.min_recorded_at OPERATOR(pg_catalog.>) $6 THEN NULL"
		" ELSE $7 AND s.min_effective_at OPERATOR(pg_catalog.>=) $3 AND s.max_effective_at OPERATOR(pg_catalog.<=) $4"
		" AND s.min_recorded_at OPERATOR(pg_catalog.>=) $5 AND s.max_recorded_at OPERATOR(pg_catalog.<=) $6 END AS whole"
		" FROM ONLY payments.ledger_snapshot s WHERE s.account_id OPERATOR(pg_catalog.=) $1"
		" AND s.level OPERATOR(pg_catalog.=) $2"
		" AND s.ordinal OPERATOR(pg_catalog.>=) r.first AND s.ordinal OPERATOR(pg_catalog.<=) r.last OFFSET 0) s",
		12, {INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			TIMESTAMPTZOID, BOOLOID, NUMERICOID, INT4ARRAYOID, INT4ARRAYOID,
		INT4OID, INT8OID}
	};
	int32		first = 0;
	int32		last = PG_INT32_MAX;
	int64		end = PG_INT64_MAX;
	int64		next_id;
	int			level = find_top(part->account_id, &next_id);
	bool		is_null;
	Datum		values[12];

	values[0] = Int64GetDatum(part->account_id);
	values[2] = TimestampTzGetDatum(part->effective_from);
	values[3] = TimestampTzGetDatum(part->effective_to);
	values[4] = TimestampTzGetDatum(part->recorded_from);
	values[5] = TimestampTzGetDatum(part->recorded_to);
	values[6] = BoolGetDatum(whole);
	values[7] = NumericGetDatum(int64_to_numeric(0));
	values[8] = pay_db_int32_array(&first, 1);
	values[9] = pay_db_int32_array(&last, 1);
	values[10] = Int32GetDatum(0);
	values[11] = Int64GetDatum(next_id);
	ranges->first_ids = pay_db_int64_array(&next_id, 1);
	ranges->last_ids = pay_db_int64_array(&end, 1);

	for (; level >= 1; level--)
	{
		values[1] = Int32GetDatum(level);
		pay_db_read(&look, values, NULL);
		values[7] = datumCopy(pay_db_datum(0, 1, &is_null), false, -1);
		values[8] = datumCopy(pay_db_datum(0, 2, &is_null), false, -1);
		values[9] = datumCopy(pay_db_datum(0, 3, &is_null), false, -1);
		values[10] = Int32GetDatum(pay_db_int32(0, 4));
		ranges->first_ids = datumCopy(pay_db_datum(0, 5, &is_null), false, -1);
		ranges->last_ids = datumCopy(pay_db_datum(0, 6, &is_null), false, -1);
	}
	ranges->sum = values[7];
}

/*
 * The highest level that an account has rows of, 0 for none, and the first id
 * that is in no row.
 */
static int
find_top(int64 account_id, int64 *next_id)
{
	static PayStatement find = {
		"SELECT s.level::pg_catalog.int4, (SELECT l.last_id OPERATOR(pg_catalog.+) 1"
		" FROM ONLY payments.ledger_snapshot l WHERE l.account_id OPERATOR(pg_catalog.=) $1"
		" AND l.level OPERATOR(pg_catalog.=) 1::pg_catalog.int2 ORDER BY l.ordinal DESC LIMIT 1)"
		" FROM ONLY payments.ledger_snapshot s WHERE s.account_id OPERATOR(pg_catalog.=) $1"
		" ORDER BY s.level DESC LIMIT 1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(account_id)};

	*next_id = PG_INT64_MIN;
	if (pay_db_read(&find, values, NULL) == 0)
		return 0;
	*next_id = pay_db_int64(0, 2);
	return pay_db_int32(0, 1);
}

Datum
pay_ledger_snapshot_sum(const PayLedgerPart *part)
{
	static PayStatement add = {
		"SELECT pg_catalog.trim_scale($8 OPERATOR(pg_catalog.+) COALESCE(pg_catalog.sum(e.amount), 0))"
		" FROM ROWS FROM (pg_catalog.unnest($6), pg_catalog.unnest($7)) AS r (first, last)"
		" CROSS JOIN LATERAL (SELECT e.amount FROM ONLY payments.ledger_entry e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) $1 AND e.transaction_id OPERATOR(pg_catalog.>=) r.first"
		" AND e.transaction_id OPERATOR(pg_catalog.<=) r.last"
		" AND (SELECT t.effective_at OPERATOR(pg_catalog.>=) $2 AND t.effective_at OPERATOR(pg_catalog.<=) $3"
		" AND t.recorded_at OPERATOR(pg_catalog.>=) $4 AND t.recorded_at OPERATOR(pg_catalog.<=) $5"
		" FROM ONLY payments.ledger_transaction t WHERE t.id OPERATOR(pg_catalog.=) e.transaction_id) OFFSET 0) e",
		8, {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, INT8ARRAYOID, INT8ARRAYOID, NUMERICOID}
	};
	PayLedgerRanges ranges;
	bool		is_null;
	Datum		values[8];

	pay_ledger_snapshot_find(part, true, &ranges);
	values[0] = Int64GetDatum(part->account_id);
	values[1] = TimestampTzGetDatum(part->effective_from);
	values[2] = TimestampTzGetDatum(part->effective_to);
	values[3] = TimestampTzGetDatum(part->recorded_from);
	values[4] = TimestampTzGetDatum(part->recorded_to);
	values[5] = ranges.first_ids;
	values[6] = ranges.last_ids;
	values[7] = ranges.sum;
	pay_db_read(&add, values, NULL);
	return datumCopy(pay_db_datum(0, 1, &is_null), false, -1);
}
