/*
 * ledger_header.c
 *		Headers of ledger transactions: who comes first with a key.
 *
 * Keys are taken in order (table_key.c).  Rows that are in no index yet are seen
 * by nobody, so all can be written at once.
 *
 * A transaction id is drawn before the ids of the rows: snapshots rely on it
 * (ledger_horizon.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "db.h"
#include "ledger_header.h"
#include "table.h"
#include "table_key.h"

enum
{
	HEADER_ID,
	HEADER_KEY,
	HEADER_KIND,
	HEADER_ORDER_ID,
	HEADER_DESCRIPTION,
	HEADER_REVERSES_ID,
	HEADER_EFFECTIVE_AT,
	HEADER_RECORDED_AT,
	HEADER_METADATA
};

static PayTable headers = {
	"ledger_transaction",
	{
		[HEADER_ID] = "id",
		[HEADER_KEY] = "transaction_key",
		[HEADER_KIND] = "kind",
		[HEADER_ORDER_ID] = "order_id",
		[HEADER_DESCRIPTION] = "description",
		[HEADER_REVERSES_ID] = "reverses_id",
		[HEADER_EFFECTIVE_AT] = "effective_at",
		[HEADER_RECORDED_AT] = "recorded_at",
		[HEADER_METADATA] = "metadata",
	}
};

static void write_header(int i, const PayLedgerPosting *posting,
						 TimestampTz now);
static void set_text(int i, int column, const char *value);

int
pay_ledger_header_insert(PayLedgerPosting **sorted, int n, TimestampTz now)
{
	static const int key_column[] = {HEADER_KEY};
	PayLedgerPosting **there = palloc(sizeof(PayLedgerPosting *) * n);
	Relation	index;
	int64	   *ids;
	int			n_new = 0;
	int			n_there = 0;

	(void) GetCurrentTransactionId();
	ids = pay_db_draw_ids("ledger_transaction_id_seq", n);

	pay_table_open(&headers);
	index = pay_table_unique_index(&headers, key_column, 1);
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
		{
			sorted[first + i]->id = ids[first + i];
			write_header(i, sorted[first + i], now);
		}
		pay_table_write_rows(&headers, rows);
		for (int i = 0; i < rows; i++)
		{
			PayLedgerPosting *posting = sorted[first + i];

			posting->was_there =
				!pay_table_take_key(&headers, i, index,
									posting->transaction_key,
									"A ledger transaction with the same key was posted");
			if (posting->was_there)
				there[n_there++] = posting;
			else
				sorted[n_new++] = posting;
		}
		pay_table_index_rows(&headers, rows, index);
	}
	pay_table_close(&headers);
	memcpy(sorted + n_new, there, sizeof(there[0]) * n_there);
	return n_new;
}

static void
write_header(int i, const PayLedgerPosting *posting, TimestampTz now)
{
	pay_table_begin_row(&headers, i);
	pay_table_set(&headers, i, HEADER_ID, Int64GetDatum(posting->id));
	set_text(i, HEADER_KEY, posting->transaction_key);
	set_text(i, HEADER_KIND, posting->kind);
	set_text(i, HEADER_ORDER_ID, posting->order_id);
	set_text(i, HEADER_DESCRIPTION, posting->description);
	if (posting->reverses_id != 0)
		pay_table_set(&headers, i, HEADER_REVERSES_ID,
					  Int64GetDatum(posting->reverses_id));
	pay_table_set(&headers, i, HEADER_EFFECTIVE_AT,
				  TimestampTzGetDatum(posting->effective_at == PAY_LEDGER_NOW ?
									  now : posting->effective_at));
	pay_table_set(&headers, i, HEADER_RECORDED_AT, TimestampTzGetDatum(now));
	if (posting->metadata != NULL)
		pay_table_set(&headers, i, HEADER_METADATA,
					  DirectFunctionCall1(jsonb_in,
										  CStringGetDatum(posting->metadata)));
}

/* NULL stays null. */
static void
set_text(int i, int column, const char *value)
{
	if (value != NULL)
		pay_table_set(&headers, i, column, CStringGetTextDatum(value));
}
