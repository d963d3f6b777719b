/*
 * ledger_repeated.c
 *		A key that comes back: is it the same transaction?
 *
 * What was posted under a key is compared field by field, so that the error
 * can name what differs.  The order of entries, the spelling of numbers and of
 * metadata do not matter, and a posting that does not say when it happened
 * means no time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "db.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_header.h"

/*
 * Headers as rows: their arrays are parameters 1 to 8.  A time of 2000-01-01
 * is null in an array (db.h).
 */
#define HEADERS \
	"(SELECT h.transaction_key, h.kind, h.order_id, h.description," \
	" h.metadata::pg_catalog.jsonb AS metadata, NULLIF(h.reverses_id, 0) AS reverses_id," \
	" COALESCE(h.effective_at, '2000-01-01 00:00:00+00') AS effective_at, h.timed, h.n" \
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)," \
	" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7)," \
	" pg_catalog.unnest($8)) WITH ORDINALITY AS h (transaction_key, kind, order_id, description," \
	" metadata, reverses_id, effective_at, timed, n))"
#define HEADER_TYPES \
	TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	INT8ARRAYOID, TIMESTAMPTZARRAYOID, BOOLARRAYOID

static void compare_entries(PayLedgerPosting **repeated, int n,
							char **differences);
static void header_arrays(PayLedgerPosting *const *postings, int n,
						  Datum *values);
static int	order_of_entries(const void *a, const void *b);

void
pay_ledger_header_compare(PayLedgerPosting **repeated, int n)
{
	static PayStatement read = {
		"SELECT u.n::pg_catalog.int4, t.id, pg_catalog.concat_ws(', ',"
		" CASE WHEN t.kind IS DISTINCT FROM u.kind THEN 'kind' END,"
		" CASE WHEN t.order_id IS DISTINCT FROM u.order_id THEN 'order_id' END,"
		" CASE WHEN t.description IS DISTINCT FROM u.description THEN 'description' END,"
		" CASE WHEN t.metadata IS DISTINCT FROM u.metadata THEN 'metadata' END,"
		" CASE WHEN t.reverses_id IS DISTINCT FROM u.reverses_id THEN 'reverses_id' END,"
		" CASE WHEN u.timed AND t.effective_at IS DISTINCT FROM u.effective_at THEN 'effective_at' END)"
		" FROM " HEADERS " AS u"
		" JOIN ONLY payments.ledger_transaction t ON t.transaction_key OPERATOR(pg_catalog.=) u.transaction_key",
		8, {HEADER_TYPES}
	};
	char	  **differences = palloc(sizeof(char *) * n);
	Datum		values[8];

	header_arrays(repeated, n, values);
	if (pay_db_run(&read, values, NULL) != n)
		elog(ERROR, "ledger transactions that were posted are not there");
	for (int row = 0; row < n; row++)
	{
		int			place = pay_db_int32(row, 1) - 1;

		repeated[place]->id = pay_db_int64(row, 2);
		differences[place] = pay_db_text(row, 3);
	}
	compare_entries(repeated, n, differences);

	for (int i = 0; i < n; i++)
	{
		if (differences[i][0] != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_PAY_LEDGER_DIFFERS),
					 errmsg("ledger transaction \"%s\" was posted before with other content",
							repeated[i]->transaction_key),
					 errdetail("What differs: %s.", differences[i]),
					 errhint("A key stands for one content for ever; a correction is a reversal, and a new transaction under a new key.")));
	}
}

bool
pay_ledger_header_has_entries(PayLedgerPosting *posting)
{
	char	   *difference = "";

	compare_entries(&posting, 1, &difference);
	return difference[0] == '\0';
}

/* Add "entries" to the differences of those whose entries are others. */
static void
compare_entries(PayLedgerPosting **repeated, int n, char **differences)
{
	static PayStatement read = {
		"SELECT u.n::pg_catalog.int4, a.code, e.currency, e.amount"
		" FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (id, n)"
		" JOIN ONLY payments.ledger_entry e ON e.transaction_id OPERATOR(pg_catalog.=) u.id"
		" JOIN ONLY payments.ledger_account a ON a.id OPERATOR(pg_catalog.=) e.account_id"
		" ORDER BY u.n, a.code, e.currency, e.amount",
		1, {INT8ARRAYOID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	uint64		rows;
	uint64		row = 0;
	Datum		values[1];

	for (int i = 0; i < n; i++)
		ids[i] = repeated[i]->id;
	values[0] = pay_db_int64_array(ids, n);
	rows = pay_db_run(&read, values, NULL);

	for (int i = 0; i < n; i++)
	{
		PayLedgerPosting *posting = repeated[i];
		PayLedgerEntry *ours = palloc(sizeof(*ours) * posting->n_entries);
		int			e = 0;
		bool		same = true;

		memcpy(ours, posting->entries, sizeof(*ours) * posting->n_entries);
		qsort(ours, posting->n_entries, sizeof(*ours), order_of_entries);
		for (; row < rows && pay_db_int32(row, 1) == i + 1; row++, e++)
		{
			PayLedgerEntry theirs = {pay_db_text(row, 2),
			pay_db_text(row, 3), pay_db_mills(row, 4)};

			same = same && e < posting->n_entries &&
				order_of_entries(&ours[e], &theirs) == 0;
		}
		if (!same || e != posting->n_entries)
			differences[i] = psprintf("%s%sentries", differences[i],
									  differences[i][0] == '\0' ? "" : ", ");
	}
}

/* The arrays of HEADERS. */
static void
header_arrays(PayLedgerPosting *const *postings, int n, Datum *values)
{
	char	  **texts[5];
	int64	   *reverses = palloc(sizeof(int64) * n);
	TimestampTz *effective = palloc(sizeof(TimestampTz) * n);
	bool	   *timed = palloc(sizeof(bool) * n);

	for (int t = 0; t < lengthof(texts); t++)
		texts[t] = palloc(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
	{
		const PayLedgerPosting *posting = postings[i];

		texts[0][i] = unconstify(char *, posting->transaction_key);
		texts[1][i] = unconstify(char *, posting->kind);
		texts[2][i] = unconstify(char *, posting->order_id);
		texts[3][i] = unconstify(char *, posting->description);
		texts[4][i] = unconstify(char *, posting->metadata);
		reverses[i] = posting->reverses_id;
		effective[i] = posting->effective_at;
		timed[i] = posting->effective_at != PAY_LEDGER_NOW;
	}
	for (int t = 0; t < lengthof(texts); t++)
		values[t] = pay_db_text_array(texts[t], n);
	values[5] = pay_db_int64_array(reverses, n);
	values[6] = pay_db_time_array(effective, n);
	values[7] = pay_db_bool_array(timed, n);
}

static int
order_of_entries(const void *a, const void *b)
{
	const PayLedgerEntry *left = a;
	const PayLedgerEntry *right = b;
	int			order = strcmp(left->account, right->account);

	if (order == 0)
		order = strcmp(left->currency, right->currency);
	if (order == 0)
		order = left->amount < right->amount ? -1 :
			left->amount > right->amount;
	return order;
}
