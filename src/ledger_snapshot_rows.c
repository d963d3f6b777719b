/*
 * ledger_snapshot_rows.c
 *		Rows of the tree of sums over an account's entries: their writing.
 *
 * Owns payments.ledger_snapshot.  Which entries make a row is decided by
 * ledger_snapshot_write.c.  What is effective long before or after the rest of
 * its row is left out of the amount and the range of effective times, and
 * written as the row's strays (ledger_stray.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "db.h"
#include "ledger_snapshot.h"
#include "ledger_snapshot_rows.h"
#include "ledger_stray.h"

#define FANOUT	CppAsString2(PAY_SNAPSHOT_FANOUT)

static Datum write_rows(const PayLedgerLines *lines, uint64 *rows);
static void write_strays(const PayLedgerLines *lines);
static Datum write_level(Datum accounts, int level, uint64 *rows);
static Datum written_accounts(uint64 rows);

void
pay_ledger_snapshot_insert(const PayLedgerLines *lines)
{
	uint64		rows;
	Datum		accounts;

	write_strays(lines);
	accounts = write_rows(lines, &rows);
	for (int level = 2; rows >= 1; level++)
		accounts = write_level(accounts, level, &rows);
}

/*
 * Rows of level 1.  Gives their accounts, and how many there are.  A row of
 * strays only has an empty range of effective times.
 */
static Datum
write_rows(const PayLedgerLines *lines, uint64 *rows)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_snapshot (account_id, level, ordinal, first_id, last_id, entries, strays, amount,"
		" min_effective_at, max_effective_at, min_recorded_at, max_recorded_at)"
		" SELECT l.account_id, 1, l.ordinal, pg_catalog.min(l.id), pg_catalog.max(l.id), pg_catalog.sum(l.entries),"
		" pg_catalog.count(*) FILTER (WHERE l.stray), COALESCE(pg_catalog.sum(l.amount) FILTER (WHERE NOT l.stray), 0),"
		" COALESCE(pg_catalog.min(l.effective_at) FILTER (WHERE NOT l.stray), 'infinity'),"
		" COALESCE(pg_catalog.max(l.effective_at) FILTER (WHERE NOT l.stray), '-infinity'),"
		" pg_catalog.min(l.recorded_at), pg_catalog.max(l.recorded_at)"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
		" pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8))"
		" AS l (account_id, ordinal, id, effective_at, recorded_at, entries, amount, stray)"
		" GROUP BY l.account_id, l.ordinal RETURNING account_id",
		8, {INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID,
			TIMESTAMPTZARRAYOID, INT8ARRAYOID, NUMERICARRAYOID,
		BOOLARRAYOID}
	};
	static const Oid types[PAY_LINE_COLUMNS] = {INT8OID, INT4OID, INT8OID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, NUMERICOID
	};
	Datum		values[PAY_LINE_COLUMNS + 1];

	for (int c = 0; c < PAY_LINE_COLUMNS; c++)
		values[c] = pay_db_array(lines->columns[c], lines->n, types[c]);
	values[PAY_LINE_COLUMNS] = pay_db_bool_array(lines->strays, lines->n);
	*rows = pay_db_run(&insert, values, NULL);
	return written_accounts(*rows);
}

static void
write_strays(const PayLedgerLines *lines)
{
	Datum	   *strays[PAY_LINE_COLUMNS];
	int			n = 0;

	for (int c = 0; c < PAY_LINE_COLUMNS; c++)
		strays[c] = palloc(sizeof(Datum) * Max(lines->n, 1));
	for (int i = 0; i < lines->n; i++)
	{
		if (!lines->strays[i])
			continue;
		for (int c = 0; c < PAY_LINE_COLUMNS; c++)
			strays[c][n] = lines->columns[c][i];
		n++;
	}
	pay_ledger_stray_insert(n, strays[PAY_LINE_ACCOUNT_ID],
							strays[PAY_LINE_ORDINAL], strays[PAY_LINE_ID],
							strays[PAY_LINE_EFFECTIVE_AT],
							strays[PAY_LINE_AMOUNT]);
}

/*
 * Rows of a level above the first, for as many whole groups of 64 as these
 * accounts have below, and their strays.  Gives the accounts that got some, and
 * how many rows.
 */
static Datum
write_level(Datum accounts, int level, uint64 *rows)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_snapshot (account_id, level, ordinal, first_id, last_id, entries, strays, amount,"
		" min_effective_at, max_effective_at, min_recorded_at, max_recorded_at)"
		" SELECT a.id, $2, s.ordinal OPERATOR(pg_catalog./) " FANOUT ", pg_catalog.min(s.first_id), pg_catalog.max(s.last_id),"
		" pg_catalog.sum(s.entries), pg_catalog.sum(s.strays), pg_catalog.sum(s.amount),"
		" pg_catalog.min(s.min_effective_at), pg_catalog.max(s.max_effective_at),"
		" pg_catalog.min(s.min_recorded_at), pg_catalog.max(s.max_recorded_at)"
		" FROM (SELECT DISTINCT u.id FROM pg_catalog.unnest($1) AS u (id)) a"
		" CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.max(u.ordinal) OPERATOR(pg_catalog.+) 1, 0) AS rows"
		" FROM (SELECT u.ordinal FROM ONLY payments.ledger_snapshot u"
		" WHERE u.account_id OPERATOR(pg_catalog.=) a.id AND u.level OPERATOR(pg_catalog.=) $2"
		" ORDER BY u.ordinal DESC LIMIT 1) u) above"
		" CROSS JOIN LATERAL (SELECT * FROM ONLY payments.ledger_snapshot s"
		" WHERE s.account_id OPERATOR(pg_catalog.=) a.id AND s.level OPERATOR(pg_catalog.=) ($2 OPERATOR(pg_catalog.-) 1)"
		" AND s.ordinal OPERATOR(pg_catalog.>=) (above.rows OPERATOR(pg_catalog.*) " FANOUT ") OFFSET 0) s"
		" GROUP BY a.id, s.ordinal OPERATOR(pg_catalog./) " FANOUT ""
		" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) " FANOUT " RETURNING account_id, ordinal, strays",
		2, {INT8ARRAYOID, INT4OID}
	};
	Datum		values[2] = {accounts, Int32GetDatum(level)};
	Datum	   *account_ids;
	Datum	   *ordinals;
	int			n = 0;

	*rows = pay_db_run(&insert, values, NULL);
	accounts = written_accounts(*rows);
	account_ids = palloc(sizeof(Datum) * Max(*rows, 1));
	ordinals = palloc(sizeof(Datum) * Max(*rows, 1));
	for (uint64 row = 0; row < *rows; row++)
	{
		int			strays = pay_db_int32(row, 3);

		if (strays == 0 || strays > PAY_STRAY_MAX_RUN)
			continue;
		account_ids[n] = Int64GetDatum(pay_db_int64(row, 1));
		ordinals[n++] = Int32GetDatum(pay_db_int32(row, 2));
	}
	pay_ledger_stray_merge(level, n, account_ids, ordinals);
	return accounts;
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
