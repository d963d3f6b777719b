/*
 * ledger.c
 *		Posting: the only writer of ledger transactions and entries.
 *
 * However many transactions are posted, each step is taken once: headers
 * (ledger_header.c), accounts (ledger_account.c), entries, balances
 * (ledger_balance.c).  An account that occurs many times is moved once.
 *
 * A key is taken by inserting the header; whoever comes second waits there for
 * the first, before any account or balance is locked.  What was there already
 * is compared in the end, so that a repetition within one call is treated like
 * one from another day.
 *
 * Headers and entries are written directly (table.c): the triggers that guard
 * these tables against all other writers are not fired here.  Nor need they:
 * what they would find out is checked here before anything is written, and
 * once entries 1 to n are in, the key of their table and the triggers keep
 * anybody from adding to them, in this database transaction as in any later.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "amount.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_account.h"
#include "ledger_balance.h"
#include "ledger_header.h"
#include "table.h"
#include "zero_sum.h"

enum
{
	ENTRY_TRANSACTION_ID,
	ENTRY_ACCOUNT_ID,
	ENTRY_NO,
	ENTRY_COUNT,
	ENTRY_CURRENCY,
	ENTRY_AMOUNT,
	ENTRY_ORDER_ID
};

static PayTable entries = {
	"ledger_entry",
	{
		[ENTRY_TRANSACTION_ID] = "transaction_id",
		[ENTRY_ACCOUNT_ID] = "account_id",
		[ENTRY_NO] = "entry_no",
		[ENTRY_COUNT] = "entry_count",
		[ENTRY_CURRENCY] = "currency",
		[ENTRY_AMOUNT] = "amount",
		[ENTRY_ORDER_ID] = "order_id",
	}
};

/* An entry of a new transaction */
typedef struct Line
{
	PayLedgerPosting *posting;
	PayLedgerEntry *entry;		/* NULL: only to release what is held */
	int			entry_no;
	PayLedgerAccount *account;
} Line;

static void check_posting(const PayLedgerPosting *posting);
static Line *collect_lines(PayLedgerPosting **sorted, int n, int *n_lines);
static const char *line_account(const Line *line);
static PayLedgerAccount *collect_accounts(Line *lines, int n,
										  int *n_accounts);
static void net_lines(const Line *lines, int n);
static void insert_entries(const Line *lines, int n);
static void fill_entry(int row, const Line *line);
static int	order_of_keys(const void *a, const void *b);
static int	order_of_codes(const void *a, const void *b);

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
	PreventCommandIfReadOnly("payments.post");
	for (int i = 0; i < n; i++)
	{
		check_posting(&postings[i]);
		sorted[i] = &postings[i];
	}
	qsort(sorted, n, sizeof(sorted[0]), order_of_keys);

	/* new ones come first in sorted from here on */
	n_new = pay_ledger_header_insert(sorted, n, now);
	if (n_new > 0)
	{
		lines = collect_lines(sorted, n_new, &n_lines);
		accounts = collect_accounts(lines, n_lines, &n_accounts);
		pay_ledger_account_resolve(accounts, n_accounts, now);
		net_lines(lines, n_lines);
		insert_entries(lines, n_lines);
		pay_ledger_balance_change(accounts, n_accounts);
	}
	CommandCounterIncrement();
	if (n_new < n)
		pay_ledger_header_compare(sorted + n_new, n - n_new);
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

		if (!pay_money_in_range(entry->amount))
			elog(ERROR, "amount of an entry of ledger transaction \"%s\" is out of range",
				 posting->transaction_key);
		pay_zero_sum_add(&zero_sum, pay_zero_sum_pack(entry->currency),
						 entry->amount);
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
 * The entries of new transactions, each transaction's in order, and a line for
 * each account of which something is released.
 */
static Line *
collect_lines(PayLedgerPosting **sorted, int n, int *n_lines)
{
	Line	   *lines;
	int			total = 0;

	for (int i = 0; i < n; i++)
		total += sorted[i]->n_entries + 1;
	lines = palloc0(sizeof(Line) * total);

	*n_lines = 0;
	for (int i = 0; i < n; i++)
	{
		PayLedgerPosting *posting = sorted[i];

		for (int e = 0; e < posting->n_entries; e++)
		{
			Line	   *line = &lines[(*n_lines)++];

			line->posting = posting;
			line->entry = &posting->entries[e];
			line->entry_no = e + 1;
		}
		if (posting->release_account != NULL)
			lines[(*n_lines)++].posting = posting;
	}
	return lines;
}

static const char *
line_account(const Line *line)
{
	return line->entry != NULL ?
		line->entry->account : line->posting->release_account;
}

/* The accounts of all lines, distinct and sorted by code. */
static PayLedgerAccount *
collect_accounts(Line *lines, int n, int *n_accounts)
{
	Line	  **sorted = palloc(sizeof(Line *) * n);
	PayLedgerAccount *accounts = palloc0(sizeof(PayLedgerAccount) * n);
	PayLedgerAccount *account = NULL;

	for (int i = 0; i < n; i++)
		sorted[i] = &lines[i];
	qsort(sorted, n, sizeof(sorted[0]), order_of_codes);

	*n_accounts = 0;
	for (int i = 0; i < n; i++)
	{
		const char *code = line_account(sorted[i]);

		if (account == NULL || strcmp(account->code, code) != 0)
		{
			account = &accounts[(*n_accounts)++];
			account->code = code;
			account->fact = true;
		}
		if (!sorted[i]->posting->fact)
			account->fact = false;
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

		if (entry == NULL)
		{
			account->release += lines[i].posting->release_amount;
			account->release_until = lines[i].posting->release_until;
			continue;
		}
		if (strcmp(entry->currency, account->currency) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_PAY_WRONG_CURRENCY),
					 errmsg("cannot post %s to account \"%s\"",
							entry->currency, account->code),
					 errdetail("The currency of the account is %s.",
							   account->currency),
					 errhint("An account keeps the currency it was opened with: %s, unless its code ends in another, as in seller:7:USD, or payments.open_account said so.",
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

/* Write the entries, in the order of the lines. */
static void
insert_entries(const Line *lines, int n)
{
	int			rows = 0;

	pay_table_open(&entries);
	for (int i = 0; i < n; i++)
	{
		if (lines[i].entry != NULL)
			fill_entry(rows++, &lines[i]);
		if (rows == 0 || (rows < PAY_TABLE_ROWS && i < n - 1))
			continue;
		pay_table_write_rows(&entries, rows);
		pay_table_index_rows(&entries, rows, NULL);
		rows = 0;
	}
	pay_table_close(&entries);
}

static void
fill_entry(int row, const Line *line)
{
	const PayLedgerPosting *posting = line->posting;

	pay_table_begin_row(&entries, row);
	pay_table_set(&entries, row, ENTRY_TRANSACTION_ID,
				  Int64GetDatum(posting->id));
	pay_table_set(&entries, row, ENTRY_ACCOUNT_ID,
				  Int64GetDatum(line->account->id));
	pay_table_set(&entries, row, ENTRY_NO, Int16GetDatum(line->entry_no));
	pay_table_set(&entries, row, ENTRY_COUNT,
				  Int16GetDatum(posting->n_entries));
	pay_table_set(&entries, row, ENTRY_CURRENCY,
				  CStringGetTextDatum(line->account->currency));
	pay_table_set(&entries, row, ENTRY_AMOUNT,
				  pay_amount_to_numeric(line->entry->amount));
	if (posting->order_id != NULL)
		pay_table_set(&entries, row, ENTRY_ORDER_ID,
					  CStringGetTextDatum(posting->order_id));
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
	return strcmp(line_account(*(Line *const *) a),
				  line_account(*(Line *const *) b));
}
