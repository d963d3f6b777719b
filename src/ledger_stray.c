/*
 * ledger_stray.c
 *		Ledger transactions that are effective long before or after their
 *		neighbours.
 *
 * Owns payments.ledger_stray.  A back-dated entry among a row's 64 would make
 * the row's range of effective times as wide as the entry is late; then a read
 * at any time in that range has to look into the row.  So rows leave out such
 * strays, and for each row of the tree, of whatever level, they stand here: its
 * run, in the order of effective times, with running sums.  What of a run is
 * effective up to a time is one look at one page of it.
 *
 * A run is cut into pages of 32.  It is written with its row and never changed.
 * A stray stands in a run of each level; there is one in a hundred entries, as
 * a rule, and in an account in no order at all it is what makes reading fast.
 *
 * Which are strays is a matter of speed only: sums are right whatever the rule
 * says.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datum.h"

#include "db.h"
#include "ledger_stray.h"

/* Less than this is what sessions side by side do; nobody dates back by it. */
#define TOLERANCE	USECS_PER_SEC

/* Times are calculated with as if they lay within these; nothing overflows. */
#define MAX_TIME	(PG_INT64_MAX / 4)

#define GROUPS		8
#define PAGE		"32"
#define FANOUT		CppAsString2(PAY_SNAPSHOT_FANOUT)

static int64 middle(const TimestampTz *at, int n);
static int	compare_times(const void *a, const void *b);

/*
 * The rule
 */

/*
 * The medians of eight groups of neighbours say where the times begin and
 * where they end, whatever a few strays among them are.  What lies up to half
 * that length before or after it is in order.  If the medians go back, or more
 * than a quarter would be strays, there is no order, and all are.
 *
 * It looks at nothing but these times, so that one of the far future, or an
 * import of last year, leaves no trace in what comes after.
 */
void
pay_ledger_stray_mark(const TimestampTz *at, int n, bool *strays)
{
	int64		medians[GROUPS];
	int64		slack;
	bool		in_order = true;
	int			n_strays = 0;

	Assert(n >= 1 && n <= PAY_SNAPSHOT_FANOUT);

	/* of fewer than eight, some groups are the same */
	for (int g = 0; g < GROUPS; g++)
	{
		int			from = n * g / GROUPS;
		int			to = n * (g + 1) / GROUPS;

		medians[g] = middle(at + from, Max(to - from, 1));
		if (g > 0 && medians[g] < medians[g - 1] - TOLERANCE)
			in_order = false;
	}

	slack = Max((medians[GROUPS - 1] - medians[0]) / 2, TOLERANCE);
	for (int i = 0; i < n; i++)
	{
		strays[i] = at[i] < medians[0] - slack ||
			at[i] > medians[GROUPS - 1] + slack;
		n_strays += strays[i];
	}
	if (!in_order || n_strays > n / 4)
		memset(strays, true, n);
}

/* The median, within bounds */
static int64
middle(const TimestampTz *at, int n)
{
	TimestampTz sorted[PAY_SNAPSHOT_FANOUT];

	memcpy(sorted, at, sizeof(TimestampTz) * n);
	qsort(sorted, n, sizeof(TimestampTz), compare_times);
	return Max(Min(sorted[n / 2], MAX_TIME), -MAX_TIME);
}

static int
compare_times(const void *a, const void *b)
{
	TimestampTz left = *(const TimestampTz *) a;
	TimestampTz right = *(const TimestampTz *) b;

	return left < right ? -1 : left > right;
}

/*
 * Writing
 */

/* Runs of level $1, from a query for their strays */
#define INSERT(strays) \
	"INSERT INTO payments.ledger_stray (account_id, level, ordinal, page, min_effective_at," \
	" effective_ats, transaction_ids, sums)" \
	" SELECT s.account_id, $1, s.ordinal, s.place OPERATOR(pg_catalog./) " PAGE ", pg_catalog.min(s.effective_at)," \
	" pg_catalog.array_agg(s.effective_at ORDER BY s.place), pg_catalog.array_agg(s.transaction_id ORDER BY s.place)," \
	" pg_catalog.array_agg(s.sum ORDER BY s.place)" \
	" FROM (SELECT s.account_id, s.ordinal, s.effective_at, s.transaction_id, pg_catalog.sum(s.amount) OVER w AS sum," \
	" (pg_catalog.row_number() OVER w)::pg_catalog.int4 OPERATOR(pg_catalog.-) 1 AS place FROM (" strays ") s" \
	" WINDOW w AS (PARTITION BY s.account_id, s.ordinal ORDER BY s.effective_at, s.transaction_id)) s" \
	" GROUP BY s.account_id, s.ordinal, s.place OPERATOR(pg_catalog./) " PAGE

void
pay_ledger_stray_insert(int n, Datum *account_ids, Datum *ordinals,
						Datum *ids, Datum *effective_ats, Datum *amounts)
{
	static PayStatement insert = {
		INSERT("SELECT s.account_id, s.ordinal, s.transaction_id, s.effective_at, s.amount FROM ROWS FROM"
			   " (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))"
			   " AS s (account_id, ordinal, transaction_id, effective_at, amount)"),
		6, {INT4OID, INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID,
		TIMESTAMPTZARRAYOID, NUMERICARRAYOID}
	};
	Datum		values[6];

	if (n == 0)
		return;
	values[0] = Int32GetDatum(1);
	values[1] = pay_db_array(account_ids, n, INT8OID);
	values[2] = pay_db_array(ordinals, n, INT4OID);
	values[3] = pay_db_array(ids, n, INT8OID);
	values[4] = pay_db_array(effective_ats, n, TIMESTAMPTZOID);
	values[5] = pay_db_array(amounts, n, NUMERICOID);
	pay_db_run(&insert, values, NULL);
}

/* The amount of a stray is its sum less the one before it in its run. */
void
pay_ledger_stray_merge(int level, int n, Datum *account_ids, Datum *ordinals)
{
	static PayStatement insert = {
		INSERT("SELECT r.account_id, r.ordinal, s.transaction_id, s.effective_at, s.sum OPERATOR(pg_catalog.-)"
			   " COALESCE(pg_catalog.lag(s.sum) OVER (PARTITION BY p.account_id, p.ordinal ORDER BY p.page, s.place), 0) AS amount"
			   " FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS r (account_id, ordinal)"
			   " CROSS JOIN LATERAL (SELECT * FROM ONLY payments.ledger_stray p"
			   " WHERE p.account_id OPERATOR(pg_catalog.=) r.account_id"
			   " AND p.level OPERATOR(pg_catalog.=) ($1 OPERATOR(pg_catalog.-) 1)"
			   " AND p.ordinal OPERATOR(pg_catalog.>=) (r.ordinal OPERATOR(pg_catalog.*) " FANOUT ")"
			   " AND p.ordinal OPERATOR(pg_catalog.<) (r.ordinal OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.*) " FANOUT ") OFFSET 0) p"
			   " CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.effective_ats), pg_catalog.unnest(p.transaction_ids),"
			   " pg_catalog.unnest(p.sums)) WITH ORDINALITY AS s (effective_at, transaction_id, sum, place)"),
		3, {INT4OID, INT8ARRAYOID, INT4ARRAYOID}
	};
	Datum		values[3];

	if (n == 0)
		return;
	values[0] = Int32GetDatum(level);
	values[1] = pay_db_array(account_ids, n, INT8OID);
	values[2] = pay_db_array(ordinals, n, INT4OID);
	pay_db_run(&insert, values, NULL);
}

/*
 * Reading
 */

/* Of a page's times, which are in order, width_bucket counts those up to $5. */
Datum
pay_ledger_stray_sum(const PayLedgerPart *part, const PayLedgerRanges *ranges)
{
	static PayStatement add = {
		"SELECT $6 OPERATOR(pg_catalog.+) COALESCE(pg_catalog.sum(r.sign OPERATOR(pg_catalog.*) p.sum), 0)"
		" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS r (level, ordinal, sign)"
		" CROSS JOIN LATERAL (SELECT p.sums[pg_catalog.width_bucket($5, p.effective_ats)] AS sum"
		" FROM ONLY payments.ledger_stray p WHERE p.account_id OPERATOR(pg_catalog.=) $1"
		" AND p.level OPERATOR(pg_catalog.=) r.level AND p.ordinal OPERATOR(pg_catalog.=) r.ordinal"
		" AND p.min_effective_at OPERATOR(pg_catalog.<=) $5"
		" ORDER BY p.min_effective_at DESC, p.page DESC LIMIT 1) p",
		6, {INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID,
		NUMERICOID}
	};
	bool		is_null;
	Datum		values[6];

	if (ArrayGetNItems(ARR_NDIM(DatumGetArrayTypeP(ranges->runs.levels)),
					   ARR_DIMS(DatumGetArrayTypeP(ranges->runs.levels))) == 0)
		return ranges->sum;
	values[0] = Int64GetDatum(part->account_id);
	values[1] = ranges->runs.levels;
	values[2] = ranges->runs.ordinals;
	values[3] = ranges->runs.signs;
	values[4] = TimestampTzGetDatum(part->effective_to);
	values[5] = ranges->sum;
	pay_db_read(&add, values, NULL);
	return datumCopy(pay_db_datum(0, 1, &is_null), false, -1);
}

/*
 * The first page to look at is the last one that begins before the wanted
 * times.  Runs that are to be taken off are skipped: nothing was added.
 */
void
pay_ledger_stray_find(const PayLedgerPart *part, PayLedgerRanges *ranges)
{
	static PayStatement find = {
		"SELECT $6 OPERATOR(pg_catalog.||) pg_catalog.array_agg(s.transaction_id),"
		" $7 OPERATOR(pg_catalog.||) pg_catalog.array_agg(s.transaction_id)"
		" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS r (level, ordinal, sign)"
		" CROSS JOIN LATERAL (SELECT * FROM ONLY payments.ledger_stray p WHERE p.account_id OPERATOR(pg_catalog.=) $1"
		" AND p.level OPERATOR(pg_catalog.=) r.level AND p.ordinal OPERATOR(pg_catalog.=) r.ordinal"
		" AND p.min_effective_at OPERATOR(pg_catalog.<=) $5 AND p.min_effective_at OPERATOR(pg_catalog.>=)"
		" COALESCE((SELECT b.min_effective_at FROM ONLY payments.ledger_stray b WHERE b.account_id OPERATOR(pg_catalog.=) $1"
		" AND b.level OPERATOR(pg_catalog.=) r.level AND b.ordinal OPERATOR(pg_catalog.=) r.ordinal"
		" AND b.min_effective_at OPERATOR(pg_catalog.<) $8 ORDER BY b.min_effective_at DESC LIMIT 1), '-infinity') OFFSET 0) p"
		" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.transaction_ids), pg_catalog.unnest(p.effective_ats))"
		" AS s (transaction_id, effective_at)"
		" WHERE r.sign OPERATOR(pg_catalog.>) 0"
		" AND s.effective_at OPERATOR(pg_catalog.>=) $8 AND s.effective_at OPERATOR(pg_catalog.<=) $5",
		8, {INT8OID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID,
		INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID}
	};
	bool		is_null;
	Datum		values[8];

	values[0] = Int64GetDatum(part->account_id);
	values[1] = ranges->runs.levels;
	values[2] = ranges->runs.ordinals;
	values[3] = ranges->runs.signs;
	values[4] = TimestampTzGetDatum(part->effective_to);
	values[5] = ranges->first_ids;
	values[6] = ranges->last_ids;
	values[7] = TimestampTzGetDatum(part->effective_from);
	pay_db_read(&find, values, NULL);
	ranges->first_ids = datumCopy(pay_db_datum(0, 1, &is_null), false, -1);
	ranges->last_ids = datumCopy(pay_db_datum(0, 2, &is_null), false, -1);
}
