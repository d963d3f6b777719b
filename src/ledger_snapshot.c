/*
 * ledger_snapshot.c
 *		Reading an account at a time, through the tree of sums over its entries.
 *
 * payments.ledger_snapshot is written by ledger_snapshot_write.c.  Reading goes
 * down from the top.  Of each level there are the rows below those that
 * straddle an end of the wanted times, and the last ones, which are not in any
 * row above yet, 63 at most.  That is a few hundred rows and entries for an
 * account of a million.
 *
 * The two clocks run the same way but for strays: ledger transactions that are
 * effective long before or after their neighbours.  A row's amount and its range
 * of effective times leave them out; they have sums of their own
 * (ledger_stray.c), that are asked once for each row that was known as a whole.
 * So a row may straddle in two ways.  If an end of the recorded times cuts it,
 * all that is below is looked at ("mixed": what is in order, and strays).  If
 * only an end of the effective times does, only what is in order is; its strays
 * have been counted here or above.  When that gets down to entries, which are
 * read with the strays among them, those are taken off again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/numeric.h"

#include "db.h"
#include "ledger_snapshot.h"
#include "ledger_stray.h"

#define FANOUT	CppAsString2(PAY_SNAPSHOT_FANOUT)

static int	find_top(int64 account_id, int64 *next_id);
static Datum copied(int column);

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
		" pg_catalog.array_agg(s.ordinal OPERATOR(pg_catalog.*) " FANOUT ") FILTER (WHERE s.below)"
		" OPERATOR(pg_catalog.||) (GREATEST(pg_catalog.max(s.ordinal) OPERATOR(pg_catalog.+) 1, $12) OPERATOR(pg_catalog.*) " FANOUT "),"
		" pg_catalog.array_agg(s.ordinal OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.*) " FANOUT " OPERATOR(pg_catalog.-) 1)"
		" FILTER (WHERE s.below) OPERATOR(pg_catalog.||) 2147483647,"
		" pg_catalog.array_agg(s.split) FILTER (WHERE s.below) OPERATOR(pg_catalog.||) true,"
		" GREATEST(pg_catalog.max(s.ordinal) OPERATOR(pg_catalog.+) 1, $12) OPERATOR(pg_catalog.*) " FANOUT ","
		" pg_catalog.array_agg(s.first_id) FILTER (WHERE s.below) OPERATOR(pg_catalog.||) $13,"
		" pg_catalog.array_agg(s.last_id) FILTER (WHERE s.below) OPERATOR(pg_catalog.||) 9223372036854775807,"
		" $14 OPERATOR(pg_catalog.||) pg_catalog.array_agg($2) FILTER (WHERE s.sign OPERATOR(pg_catalog.<>) 0),"
		" $15 OPERATOR(pg_catalog.||) pg_catalog.array_agg(s.ordinal) FILTER (WHERE s.sign OPERATOR(pg_catalog.<>) 0),"
		" $16 OPERATOR(pg_catalog.||) pg_catalog.array_agg(s.sign) FILTER (WHERE s.sign OPERATOR(pg_catalog.<>) 0)"
		" FROM (SELECT s.*, (s.mixed AND s.seen AND NOT s.split)::pg_catalog.int4 OPERATOR(pg_catalog.-)"
		" (s.below AND NOT s.split AND s.strays OPERATOR(pg_catalog.>) 0 AND $2 OPERATOR(pg_catalog.=) 1)::pg_catalog.int4 AS sign"
		" FROM (SELECT s.ordinal, s.amount, s.first_id, s.last_id, s.strays, s.mixed, s.seen, s.split,"
		" s.whole AND NOT s.split AS whole, s.split OR s.seen AND s.hit AND NOT s.whole AS below"
		" FROM (SELECT s.*, s.mixed AND s.seen AND (NOT s.known"
		" OR s.strays OPERATOR(pg_catalog.>) " CppAsString2(PAY_STRAY_MAX_RUN) ") AS split,"
		" $7 AND s.known AND s.inside AS whole"
		" FROM (SELECT s.ordinal, s.amount, s.first_id, s.last_id, s.strays,"
		" r.mixed AND s.strays OPERATOR(pg_catalog.>) 0 AS mixed,"
		" s.max_recorded_at OPERATOR(pg_catalog.>=) $5 AND s.min_recorded_at OPERATOR(pg_catalog.<=) $6 AS seen,"
		" s.min_recorded_at OPERATOR(pg_catalog.>=) $5 AND s.max_recorded_at OPERATOR(pg_catalog.<=) $6 AS known,"
		" s.max_effective_at OPERATOR(pg_catalog.>=) $3 AND s.min_effective_at OPERATOR(pg_catalog.<=) $4 AS hit,"
		" s.min_effective_at OPERATOR(pg_catalog.>=) $3 AND s.max_effective_at OPERATOR(pg_catalog.<=) $4 AS inside"
		" FROM ROWS FROM (pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11)) AS r (first, last, mixed)"
		" CROSS JOIN LATERAL (SELECT * FROM ONLY payments.ledger_snapshot s WHERE s.account_id OPERATOR(pg_catalog.=) $1"
		" AND s.level OPERATOR(pg_catalog.=) $2"
		" AND s.ordinal OPERATOR(pg_catalog.>=) r.first AND s.ordinal OPERATOR(pg_catalog.<=) r.last OFFSET 0) s"
		" OFFSET 0) s) s) s) s",
		16, {INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			TIMESTAMPTZOID, BOOLOID, NUMERICOID, INT4ARRAYOID, INT4ARRAYOID,
			BOOLARRAYOID, INT4OID, INT8OID, INT4ARRAYOID, INT4ARRAYOID,
		INT4ARRAYOID}
	};
	int32		first = 0;
	int32		last = PG_INT32_MAX;
	bool		mixed = true;
	int64		end = PG_INT64_MAX;
	int64		next_id;
	int			level = find_top(part->account_id, &next_id);
	Datum		values[16];

	values[0] = Int64GetDatum(part->account_id);
	values[2] = TimestampTzGetDatum(part->effective_from);
	values[3] = TimestampTzGetDatum(part->effective_to);
	values[4] = TimestampTzGetDatum(part->recorded_from);
	values[5] = TimestampTzGetDatum(part->recorded_to);
	values[6] = BoolGetDatum(whole);
	values[7] = NumericGetDatum(int64_to_numeric(0));
	values[8] = pay_db_int32_array(&first, 1);
	values[9] = pay_db_int32_array(&last, 1);
	values[10] = pay_db_bool_array(&mixed, 1);
	values[11] = Int32GetDatum(0);
	values[12] = Int64GetDatum(next_id);
	values[13] = values[14] = values[15] = pay_db_int32_array(NULL, 0);
	ranges->first_ids = pay_db_int64_array(&next_id, 1);
	ranges->last_ids = pay_db_int64_array(&end, 1);

	for (; level >= 1; level--)
	{
		values[1] = Int32GetDatum(level);
		pay_db_read(&look, values, NULL);
		values[7] = copied(1);
		values[8] = copied(2);
		values[9] = copied(3);
		values[10] = copied(4);
		values[11] = Int32GetDatum(pay_db_int32(0, 5));
		ranges->first_ids = copied(6);
		ranges->last_ids = copied(7);
		values[13] = copied(8);
		values[14] = copied(9);
		values[15] = copied(10);
	}
	ranges->sum = values[7];
	ranges->runs.levels = values[13];
	ranges->runs.ordinals = values[14];
	ranges->runs.signs = values[15];
	if (!whole)
		pay_ledger_stray_find(part, ranges);
}

/* A column of the only row, of a variable length, to be kept. */
static Datum
copied(int column)
{
	bool		is_null;
	Datum		value = pay_db_datum(0, column, &is_null);

	return datumCopy(value, false, -1);
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
	values[7] = pay_ledger_stray_sum(part, &ranges);
	pay_db_read(&add, values, NULL);
	return datumCopy(pay_db_datum(0, 1, &is_null), false, -1);
}
