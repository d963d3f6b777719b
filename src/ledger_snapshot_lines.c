/*
 * ledger_snapshot_lines.c
 *		The lines behind the last row of an account: how many, and which.
 *
 * Owns nothing.  Counting looks at the index alone: who comes for the first time
 * counts every account that moved, and would fetch each entry from a page of
 * its own.  What was rolled back is counted, too, until it is cleaned up; it is
 * not among the lines that are read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "amount.h"
#include "db.h"
#include "ledger_snapshot.h"
#include "ledger_snapshot_lines.h"
#include "table.h"
#include "table_lookup.h"

enum
{
	TRANSACTION_ID,
	ACCOUNT_ID
};

static PayTable entries = {
	"ledger_entry",
	{
		[TRANSACTION_ID] = "transaction_id",
		[ACCOUNT_ID] = "account_id",
	}
};

static int64 count(const PayLedgerRun *run, int64 upto,
				   PayTableLookup *lookup);
static bool is_remembered(const PayLedgerRun *run);
static int	read_lines(const PayLedgerRun *runs, int n, int64 upto);
static void recall_lines(const PayLedgerRun *run, PayLedgerLines *lines);

void
pay_ledger_lines_count(const PayLedgerRun *runs, int n, int64 upto)
{
	static const int columns[] = {ACCOUNT_ID, TRANSACTION_ID};
	PayTableLookup lookup;

	pay_table_open(&entries);
	pay_table_lookup_begin(&lookup, &entries,
						   pay_table_any_index(&entries, columns, 2));
	pay_table_lookup_with(&lookup, GetActiveSnapshot());
	for (int i = 0; i < n; i++)
		if (runs[i].pending->entries < 0)
			pay_ledger_pending_count(runs[i].pending,
									 count(&runs[i], upto, &lookup));
	pay_table_lookup_end(&lookup);
	pay_table_close(&entries);
}

/* As many as one row has, at most */
static int64
count(const PayLedgerRun *run, int64 upto, PayTableLookup *lookup)
{
	ScanKeyData range[3];
	Datum		values[INDEX_MAX_KEYS];
	ItemPointerData place;
	int64		n = 0;

	ScanKeyInit(&range[0], 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(run->pending->account_id));
	ScanKeyInit(&range[1], 2, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(run->last_id));
	ScanKeyInit(&range[2], 2, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(upto));
	pay_table_lookup_entries(lookup, range, 3);
	while (n < PAY_SNAPSHOT_FANOUT &&
		   pay_table_lookup_entry(lookup, values, &place))
		n++;
	return n;
}

/* Do the lines that are remembered stand behind the row that is there? */
static bool
is_remembered(const PayLedgerRun *run)
{
	return run->pending->complete &&
		run->pending->ordinal == run->ordinal &&
		run->pending->last_id == run->last_id;
}

void
pay_ledger_lines_collect(const PayLedgerRun *runs, int n, int64 upto,
						 PayLedgerLines *lines)
{
	int			read = read_lines(runs, n, upto);
	int			size = read;

	for (int i = 0; i < n; i++)
		if (is_remembered(&runs[i]))
			size += runs[i].pending->n_lines;

	lines->n = read;
	lines->strays = palloc(sizeof(bool) * Max(size, 1));
	for (int c = 0; c < PAY_LINE_COLUMNS; c++)
		lines->columns[c] = palloc(sizeof(Datum) * Max(size, 1));
	for (int i = 0; i < read; i++)
	{
		Datum		row[PAY_LINE_COLUMNS];
		bool		nulls[PAY_LINE_COLUMNS];

		pay_db_row(i, row, nulls);
		for (int c = 0; c < PAY_LINE_COLUMNS; c++)
			lines->columns[c][i] = row[c];
	}

	for (int i = 0; i < n; i++)
		if (is_remembered(&runs[i]))
			recall_lines(&runs[i], lines);
}

/* Of the accounts whose lines are not remembered; they are the last result. */
static int
read_lines(const PayLedgerRun *runs, int n, int64 upto)
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
	int			unknown = 0;

	for (int i = 0; i < n; i++)
	{
		if (is_remembered(&runs[i]))
			continue;
		account_ids[unknown] = runs[i].pending->account_id;
		ordinals[unknown] = runs[i].ordinal;
		last_ids[unknown++] = runs[i].last_id;
	}
	if (unknown == 0)
		return 0;
	values[0] = pay_db_int64_array(account_ids, unknown);
	values[1] = pay_db_int32_array(ordinals, unknown);
	values[2] = pay_db_int64_array(last_ids, unknown);
	values[3] = Int64GetDatum(upto);
	return (int) pay_db_run(&read, values, NULL);
}

/* Add the lines that are remembered. */
static void
recall_lines(const PayLedgerRun *run, PayLedgerLines *lines)
{
	const PayLedgerPending *pending = run->pending;

	for (int i = 0; i < pending->n_lines; i++)
	{
		const PayLedgerPendingLine *line = &pending->lines[i];
		int			n = lines->n++;

		lines->columns[PAY_LINE_ACCOUNT_ID][n] =
			Int64GetDatum(pending->account_id);
		lines->columns[PAY_LINE_ORDINAL][n] = Int32GetDatum(run->ordinal);
		lines->columns[PAY_LINE_ID][n] = Int64GetDatum(line->id);
		lines->columns[PAY_LINE_EFFECTIVE_AT][n] =
			TimestampTzGetDatum(line->effective_at);
		lines->columns[PAY_LINE_RECORDED_AT][n] =
			TimestampTzGetDatum(line->recorded_at);
		lines->columns[PAY_LINE_ENTRIES][n] = Int64GetDatum(line->entries);
		lines->columns[PAY_LINE_AMOUNT][n] =
			pay_amount_to_numeric(line->amount);
	}
}
