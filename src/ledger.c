/*
 * ledger.c
 *		Posting: the only writer of ledger transactions and entries.
 *
 * A handful of statements over arrays, however many transactions are posted:
 * headers, accounts, entries, balances.  Nothing is looked up that need not be,
 * and an account that occurs many times is moved once.
 *
 * A key is taken by inserting the header; whoever comes second waits there for
 * the first, before any account or balance is locked.  What was there already
 * is compared in the end, so that a repetition within one call is treated like
 * one from another day.
 *
 * The zero-sum trigger checks every writer at commit.  Here it is checked
 * again only to fail early, with the key in the message.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_account.h"
#include "zero_sum.h"

/* An entry of a new transaction */
typedef struct Line
{
	PayLedgerPosting *posting;
	PayLedgerEntry *entry;
	int			entry_no;
	PayLedgerAccount *account;
} Line;

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

static void check_posting(const PayLedgerPosting *posting);
static int	insert_headers(PayLedgerPosting **sorted, int n, TimestampTz now);
static Line *collect_lines(PayLedgerPosting **sorted, int n, int *n_lines);
static PayLedgerAccount *collect_accounts(Line *lines, int n,
										  int *n_accounts);
static void net_lines(const Line *lines, int n);
static void insert_entries(const Line *lines, int n);
static void compare_repeated(PayLedgerPosting **repeated, int n);
static void compare_entries(PayLedgerPosting **repeated, int n,
							char **differences);
static void header_arrays(PayLedgerPosting *const *postings, int n,
						  Datum *values);
static int	order_of_keys(const void *a, const void *b);
static int	order_of_codes(const void *a, const void *b);
static int	order_of_entries(const void *a, const void *b);

void
pay_ledger_post(PayLedgerPosting *postings, int n, TimestampTz now)
{
	PayLedgerPosting **sorted = palloc(sizeof(PayLedgerPosting *) * Max(n, 1));
	PayLedgerAccount *accounts;
	Line	   *lines;
	int			n_accounts;
	int			n_lines;
	int			n_new;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		check_posting(&postings[i]);
		sorted[i] = &postings[i];
	}
	qsort(sorted, n, sizeof(sorted[0]), order_of_keys);

	/* new ones come first in sorted from here on */
	n_new = insert_headers(sorted, n, now);
	if (n_new > 0)
	{
		lines = collect_lines(sorted, n_new, &n_lines);
		accounts = collect_accounts(lines, n_lines, &n_accounts);
		pay_ledger_account_resolve(accounts, n_accounts, now);
		net_lines(lines, n_lines);
		insert_entries(lines, n_lines);
		pay_ledger_account_change(accounts, n_accounts);
	}
	if (n_new < n)
		compare_repeated(sorted + n_new, n - n_new);
}

/* Whole and balanced?  Raises 23514 like the trigger, but names the key. */
static void
check_posting(const PayLedgerPosting *posting)
{
	PayZeroSum	zero_sum;
	char	   *residual;

	if (posting->n_entries < 2 || posting->n_entries > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("ledger transaction \"%s\" has %d entries",
						posting->transaction_key, posting->n_entries),
				 errhint("Give 2 to %d entries.", PG_INT16_MAX),
				 pay_zero_sum_errconstraint()));

	pay_zero_sum_begin(&zero_sum);
	for (int i = 0; i < posting->n_entries; i++)
	{
		const PayLedgerEntry *entry = &posting->entries[i];

		if (!pay_zero_sum_add(&zero_sum, pay_zero_sum_pack(entry->currency),
							  entry->amount))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("ledger transaction \"%s\" has entries in more than %d currencies",
							posting->transaction_key,
							PAY_ZERO_SUM_CURRENCIES),
					 pay_zero_sum_errconstraint()));
	}

	residual = pay_zero_sum_residual(&zero_sum);
	if (residual != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("ledger transaction \"%s\" does not add up to zero",
						posting->transaction_key),
				 errdetail("What is left over: %s.", residual),
				 errhint("Debits are positive, credits negative; in each currency they must cancel out."),
				 pay_zero_sum_errconstraint()));
}

/*
 * Insert the headers in the order of their keys, and move those that were
 * there already to the end of the array.  Returns how many are new.
 */
static int
insert_headers(PayLedgerPosting **sorted, int n, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_transaction"
		" (id, transaction_key, kind, order_id, description, reverses_id, effective_at, recorded_at, metadata)"
		" SELECT ($9)[u.n], u.transaction_key, u.kind, u.order_id, u.description, u.reverses_id,"
		" CASE WHEN u.timed THEN u.effective_at ELSE $10 END, $10, u.metadata"
		" FROM " HEADERS " AS u"
		" ON CONFLICT (transaction_key) DO NOTHING RETURNING id",
		10, {HEADER_TYPES, INT8ARRAYOID, TIMESTAMPTZOID}
	};
	int64	   *ids = pay_db_draw_ids("ledger_transaction_id_seq", n);
	PayLedgerPosting **there = palloc(sizeof(PayLedgerPosting *) * n);
	int			n_new;
	int			n_there = 0;
	Datum		values[10];

	header_arrays(sorted, n, values);
	values[8] = pay_db_int64_array(ids, n);
	values[9] = TimestampTzGetDatum(now);

	/* the ids come back in our order, less those that were not inserted */
	n_new = (int) pay_db_run(&insert, values, NULL);
	for (int i = 0, row = 0; i < n; i++)
	{
		PayLedgerPosting *posting = sorted[i];

		posting->was_there = row == n_new || pay_db_int64(row, 1) != ids[i];
		if (posting->was_there)
			there[n_there++] = posting;
		else
		{
			posting->id = ids[i];
			sorted[row++] = posting;
		}
	}
	memcpy(sorted + n_new, there, sizeof(there[0]) * n_there);
	return n_new;
}

/* The entries of new transactions, each transaction's in order. */
static Line *
collect_lines(PayLedgerPosting **sorted, int n, int *n_lines)
{
	Line	   *lines;
	int			total = 0;

	for (int i = 0; i < n; i++)
		total += sorted[i]->n_entries;
	lines = palloc(sizeof(Line) * total);

	*n_lines = 0;
	for (int i = 0; i < n; i++)
	{
		for (int e = 0; e < sorted[i]->n_entries; e++)
		{
			Line	   *line = &lines[(*n_lines)++];

			line->posting = sorted[i];
			line->entry = &sorted[i]->entries[e];
			line->entry_no = e + 1;
			line->account = NULL;
		}
	}
	return lines;
}

/* The accounts of all lines, distinct and sorted by code. */
static PayLedgerAccount *
collect_accounts(Line *lines, int n, int *n_accounts)
{
	Line	  **sorted = palloc(sizeof(Line *) * n);
	PayLedgerAccount *accounts = palloc(sizeof(PayLedgerAccount) * n);
	PayLedgerAccount *account = NULL;

	for (int i = 0; i < n; i++)
		sorted[i] = &lines[i];
	qsort(sorted, n, sizeof(sorted[0]), order_of_codes);

	*n_accounts = 0;
	for (int i = 0; i < n; i++)
	{
		const char *code = sorted[i]->entry->account;

		if (account == NULL || strcmp(account->code, code) != 0)
		{
			account = &accounts[(*n_accounts)++];
			account->code = code;
			account->change = 0;
		}
		sorted[i]->account = account;
	}
	return accounts;
}

/*
 * Net the lines per account.  Raises PY013 for a currency that is not the
 * account's.
 */
static void
net_lines(const Line *lines, int n)
{
	for (int i = 0; i < n; i++)
	{
		PayLedgerEntry *entry = lines[i].entry;
		PayLedgerAccount *account = lines[i].account;

		if (strcmp(entry->currency, account->currency) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_PAY_WRONG_CURRENCY),
					 errmsg("cannot post %s to account \"%s\"",
							entry->currency, account->code),
					 errdetail("The currency of the account is %s.",
							   account->currency),
					 errhint("An account has one currency: %s, or the one that its code ends in, as in seller:7:USD.",
							 PAY_LEDGER_CURRENCY)));
		if (pg_add_s64_overflow(account->change, entry->amount,
								&account->change))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("account \"%s\" cannot change by so much at once",
							account->code),
					 errhint("Post in more than one call.")));
	}
}

/*
 * In the order of the lines, so that the last entry of each transaction comes
 * last and SET CONSTRAINTS ... IMMEDIATE works.
 */
static void
insert_entries(const Line *lines, int n)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_entry"
		" (transaction_id, account_id, entry_no, entry_count, currency, amount, order_id)"
		" SELECT u.transaction_id, u.account_id, u.entry_no, u.entry_count, u.currency, u.amount, u.order_id"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7))"
		" AS u (transaction_id, account_id, entry_no, entry_count, currency, amount, order_id)",
		7, {INT8ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
		TEXTARRAYOID, NUMERICARRAYOID, TEXTARRAYOID}
	};
	int64	   *transaction_ids = palloc(sizeof(int64) * n);
	int64	   *account_ids = palloc(sizeof(int64) * n);
	int32	   *numbers = palloc(sizeof(int32) * n);
	int32	   *counts = palloc(sizeof(int32) * n);
	char	  **currencies = palloc(sizeof(char *) * n);
	int64	   *amounts = palloc(sizeof(int64) * n);
	char	  **order_ids = palloc(sizeof(char *) * n);
	Datum		values[7];

	for (int i = 0; i < n; i++)
	{
		transaction_ids[i] = lines[i].posting->id;
		account_ids[i] = lines[i].account->id;
		numbers[i] = lines[i].entry_no;
		counts[i] = lines[i].posting->n_entries;
		currencies[i] = lines[i].account->currency;
		amounts[i] = lines[i].entry->amount;
		order_ids[i] = unconstify(char *, lines[i].posting->order_id);
	}
	values[0] = pay_db_int64_array(transaction_ids, n);
	values[1] = pay_db_int64_array(account_ids, n);
	values[2] = pay_db_int32_array(numbers, n);
	values[3] = pay_db_int32_array(counts, n);
	values[4] = pay_db_text_array(currencies, n);
	values[5] = pay_db_mills_array(amounts, n);
	values[6] = pay_db_text_array(order_ids, n);

	/* a rule or a foreign trigger may have swallowed some */
	if (pay_db_run(&insert, values, NULL) != n)
		elog(ERROR, "not every ledger entry was written");
}

/*
 * Find the transactions that were there, and compare.  Raises PY011 with the
 * names of what differs.
 */
static void
compare_repeated(PayLedgerPosting **repeated, int n)
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

/*
 * Orders
 */

static int
order_of_keys(const void *a, const void *b)
{
	const PayLedgerPosting *left = *(PayLedgerPosting *const *) a;
	const PayLedgerPosting *right = *(PayLedgerPosting *const *) b;
	int			order = strcmp(left->transaction_key, right->transaction_key);

	/* of two with the same key the first in the array is the first */
	return order != 0 ? order : left < right ? -1 : left > right;
}

static int
order_of_codes(const void *a, const void *b)
{
	return strcmp((*(Line *const *) a)->entry->account,
				  (*(Line *const *) b)->entry->account);
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
