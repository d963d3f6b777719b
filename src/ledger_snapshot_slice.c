/*
 * ledger_snapshot_slice.c
 *		What snapshots take in at once: entries in the order of their ids, with
 *		the times of their ledger transactions.
 *
 * Owns nothing.  Both tables are read in the order in which they were written,
 * each once; a join would look for the header of each entry.
 */
#include "postgres.h"

#include "amount.h"
#include "db.h"
#include "ledger_snapshot_slice.h"

static int	read_entries(int64 after, int64 final_id, int max_entries,
						 PayLedgerSliceEntry **entries);
static void read_times(int64 after, PayLedgerSlice *slice);

void
pay_ledger_slice_read(int64 after, int64 final_id, int max_entries,
					  PayLedgerSlice *slice)
{
	slice->n = read_entries(after, final_id, max_entries, &slice->entries);
	slice->upto = slice->n < max_entries ? final_id :
		slice->entries[slice->n - 1].line.id;
	read_times(after, slice);
}

static int
read_entries(int64 after, int64 final_id, int max_entries,
			 PayLedgerSliceEntry **entries)
{
	static PayStatement read = {
		"SELECT e.transaction_id, e.account_id, e.amount FROM ONLY payments.ledger_entry e"
		" WHERE e.transaction_id OPERATOR(pg_catalog.>) $1 AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" ORDER BY e.transaction_id FETCH FIRST $3 ROWS WITH TIES",
		3, {INT8OID, INT8OID, INT4OID}
	};
	Datum		values[3] = {Int64GetDatum(after), Int64GetDatum(final_id),
	Int32GetDatum(max_entries)};
	int			n = (int) pay_db_run(&read, values, NULL);

	*entries = palloc0(sizeof(PayLedgerSliceEntry) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayLedgerSliceEntry *entry = &(*entries)[i];
		Datum		row[3];
		bool		nulls[3];

		pay_db_row(i, row, nulls);
		entry->line.id = DatumGetInt64(row[0]);
		entry->account_id = DatumGetInt64(row[1]);
		entry->line.entries = 1;
		entry->whole = pay_amount_signed_read(row[2], PAY_MAX_MINOR_UNITS,
											  &entry->line.amount);
	}
	return n;
}

/* Those of the headers.  An entry without one is not whole. */
static void
read_times(int64 after, PayLedgerSlice *slice)
{
	static PayStatement read = {
		"SELECT t.id, t.effective_at, t.recorded_at FROM ONLY payments.ledger_transaction t"
		" WHERE t.id OPERATOR(pg_catalog.>) $1 AND t.id OPERATOR(pg_catalog.<=) $2 ORDER BY t.id",
		2, {INT8OID, INT8OID}
	};
	Datum		values[2] = {Int64GetDatum(after), Int64GetDatum(slice->upto)};
	uint64		n = pay_db_run(&read, values, NULL);
	uint64		next = 0;
	Datum		row[3] = {0};
	bool		nulls[3];

	for (int i = 0; i < slice->n; i++)
	{
		PayLedgerSliceEntry *entry = &slice->entries[i];

		while (next < n && (next == 0 || DatumGetInt64(row[0]) < entry->line.id))
			pay_db_row(next++, row, nulls);
		if (next == 0 || DatumGetInt64(row[0]) != entry->line.id)
		{
			entry->whole = false;
			continue;
		}
		entry->line.effective_at = DatumGetTimestampTz(row[1]);
		entry->line.recorded_at = DatumGetTimestampTz(row[2]);
	}
}
