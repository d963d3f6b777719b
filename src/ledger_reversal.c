/*
 * ledger_reversal.c
 *		Taking a ledger transaction back, once: its mirror image or a part of it.
 *
 * The reversal is a transaction like any other and can be reversed itself.
 * Its key follows from what it reverses, so that two sessions cannot both post
 * one, whatever they see of each other.  Whoever asks for the one that is there
 * gets it: a call whose answer was lost can be repeated.
 *
 * A part goes in the opposite direction everywhere and nowhere beyond zero:
 * what is left of each account's net change is what the next entry may take.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_header.h"

static void lock_original(int64 id, PayLedgerPosting *reversal);
static bool was_reversed(int64 id, PayLedgerPosting *reversal);
static void read_mirrored(int64 id, PayLedgerPosting *reversal);
static void check_part(int64 id, const PayLedgerPosting *part,
					   const PayLedgerPosting *whole);
static PayLedgerEntry *net_by_account(const PayLedgerPosting *posting,
									  int *n);
static int	order_of_accounts(const void *a, const void *b);

int64
pay_ledger_reverse(int64 id, const char *reason,
				   const PayLedgerPosting *part, TimestampTz now)
{
	PayLedgerPosting reversal = {0};
	PayLedgerPosting whole;

	lock_original(id, &reversal);
	read_mirrored(id, &reversal);
	whole = reversal;
	if (part != NULL)
	{
		reversal.n_entries = part->n_entries;
		reversal.entries = part->entries;
	}
	reversal.transaction_key = psprintf("%s:" INT64_FORMAT,
										PAY_LEDGER_REVERSAL, id);
	reversal.kind = PAY_LEDGER_REVERSAL;
	reversal.description = reason;
	reversal.reverses_id = id;
	reversal.effective_at = PAY_LEDGER_NOW;

	if (was_reversed(id, &reversal))
		return reversal.id;
	if (part != NULL)
		check_part(id, part, &whole);
	pay_ledger_post(&reversal, 1, now);
	return reversal.id;
}

/*
 * The header, locked so that sessions which reverse the same transaction take
 * turns; whoever comes second then sees the first one's reversal.
 */
static void
lock_original(int64 id, PayLedgerPosting *reversal)
{
	static PayStatement read = {
		"SELECT order_id, kind FROM ONLY payments.ledger_transaction"
		" WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(id)};

	if (pay_db_run(&read, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_LEDGER_TRANSACTION),
				 errmsg("ledger transaction " INT64_FORMAT " does not exist",
						id),
				 errhint("payments.post returns the id; the view payments.ledger shows it.")));
	if (strncmp(pay_db_text(0, 2), "payment.", strlen("payment.")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ledger transaction " INT64_FORMAT " cannot be reversed by hand",
						id),
				 errdetail("It books a payment, and the sellers' wallets with it."),
				 errhint("Money goes back to a buyer by a refund.")));
	reversal->order_id = pay_db_text(0, 1);
}

/*
 * Is there this reversal already?  Sets its id.  Raises PY015 when there is
 * another one.
 */
static bool
was_reversed(int64 id, PayLedgerPosting *reversal)
{
	static PayStatement read = {
		"SELECT id, COALESCE(description, ''), description IS NOT DISTINCT FROM $2"
		" FROM ONLY payments.ledger_transaction WHERE reverses_id OPERATOR(pg_catalog.=) $1",
		2, {INT8OID, TEXTOID}
	};
	Datum		values[2] = {Int64GetDatum(id),
	CStringGetTextDatum(reversal->description)};
	char	   *reason;
	bool		same_reason;
	bool		same_entries;

	if (pay_db_run(&read, values, NULL) == 0)
		return false;
	reversal->id = pay_db_int64(0, 1);
	reason = pay_db_text(0, 2);
	same_reason = pay_db_bool(0, 3);
	same_entries = pay_ledger_header_has_entries(reversal);
	if (!same_reason || !same_entries)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ALREADY_REVERSED),
				 errmsg("ledger transaction " INT64_FORMAT " was reversed before with other content",
						id),
				 errdetail("Ledger transaction " INT64_FORMAT " reverses it, for the reason \"%s\". What differs: %s.",
						   reversal->id, reason,
						   same_entries ? "reason" :
						   same_reason ? "entries" : "reason, entries"),
				 errhint("It is done once, in full or in part; a reversal that was a mistake is reversed in its turn.")));
	return true;
}

/* Its entries, with the opposite sign */
static void
read_mirrored(int64 id, PayLedgerPosting *reversal)
{
	static PayStatement read = {
		"SELECT a.code, e.currency, e.amount FROM ONLY payments.ledger_entry e"
		" JOIN ONLY payments.ledger_account a ON a.id OPERATOR(pg_catalog.=) e.account_id"
		" WHERE e.transaction_id OPERATOR(pg_catalog.=) $1 ORDER BY e.entry_no",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(id)};

	reversal->n_entries = (int) pay_db_run(&read, values, NULL);
	reversal->entries = palloc(sizeof(PayLedgerEntry) *
							   Max(reversal->n_entries, 1));
	for (int row = 0; row < reversal->n_entries; row++)
	{
		PayLedgerEntry *entry = &reversal->entries[row];

		entry->account = pay_db_text(row, 1);
		entry->currency = pay_db_text(row, 2);
		entry->amount = -pay_db_mills(row, 3);
	}
}

/*
 * Parts
 */

/*
 * Does every entry of the part take back what is left of the whole?  Raises
 * PY020, naming the entry.
 */
static void
check_part(int64 id, const PayLedgerPosting *part,
		   const PayLedgerPosting *whole)
{
	int			n;
	PayLedgerEntry *left = net_by_account(whole, &n);

	for (int i = 0; i < part->n_entries; i++)
	{
		const PayLedgerEntry *entry = &part->entries[i];
		PayLedgerEntry *of_account = bsearch(entry, left, n, sizeof(*left),
											 order_of_accounts);

		if (of_account == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_PAY_REVERSES_TOO_MUCH),
					 errmsg("entry %d: account \"%s\" has no %s to take back",
							i + 1, entry->account, entry->currency),
					 errdetail("Ledger transaction " INT64_FORMAT " has no such entry.",
							   id),
					 errhint("A reversal in part has accounts of the ledger transaction that it reverses.")));

		/* further than what is left, or away from it */
		if (entry->amount < 0 ? entry->amount < of_account->amount :
			entry->amount > of_account->amount)
			ereport(ERROR,
					(errcode(ERRCODE_PAY_REVERSES_TOO_MUCH),
					 errmsg("entry %d: account \"%s\" cannot be changed by %s %s",
							i + 1, entry->account,
							pay_amount_text(entry->amount), entry->currency),
					 errdetail("What can still be taken back of ledger transaction " INT64_FORMAT " there is %s.",
							   id, pay_amount_text(of_account->amount)),
					 errhint("A reversal goes in the opposite direction, and never beyond what it reverses.")));
		of_account->amount -= entry->amount;
	}
}

/* One entry for each account and currency, sorted, with their sums. */
static PayLedgerEntry *
net_by_account(const PayLedgerPosting *posting, int *n)
{
	PayLedgerEntry *net = palloc(sizeof(*net) * Max(posting->n_entries, 1));

	memcpy(net, posting->entries, sizeof(*net) * posting->n_entries);
	qsort(net, posting->n_entries, sizeof(*net), order_of_accounts);

	*n = 0;
	for (int i = 0; i < posting->n_entries; i++)
	{
		if (*n == 0 || order_of_accounts(&net[*n - 1], &net[i]) != 0)
			net[(*n)++] = net[i];
		else if (pg_add_s64_overflow(net[*n - 1].amount, net[i].amount,
									 &net[*n - 1].amount))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("account \"%s\" changed by too much to be reversed in part",
							net[i].account),
					 errhint("Reverse the ledger transaction in full.")));
	}
	return net;
}

static int
order_of_accounts(const void *a, const void *b)
{
	const PayLedgerEntry *left = a;
	const PayLedgerEntry *right = b;
	int			order = strcmp(left->account, right->account);

	return order != 0 ? order : strcmp(left->currency, right->currency);
}
