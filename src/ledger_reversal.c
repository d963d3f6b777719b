/*
 * ledger_reversal.c
 *		Taking a ledger transaction back: its mirror image, once.
 *
 * The reversal is a transaction like any other and can be reversed itself.
 * Its key follows from what it reverses, so that two sessions cannot both post
 * one, whatever they see of each other.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "errors.h"
#include "ledger.h"

static void lock_original(int64 id, PayLedgerPosting *reversal);
static void check_not_reversed(int64 id);
static void read_mirrored(int64 id, PayLedgerPosting *reversal);

int64
pay_ledger_reverse(int64 id, const char *reason, TimestampTz now)
{
	PayLedgerPosting reversal = {0};

	lock_original(id, &reversal);
	check_not_reversed(id);
	read_mirrored(id, &reversal);

	reversal.transaction_key = psprintf("%s:" INT64_FORMAT,
										PAY_LEDGER_REVERSAL, id);
	reversal.kind = PAY_LEDGER_REVERSAL;
	reversal.description = reason;
	reversal.reverses_id = id;
	reversal.effective_at = PAY_LEDGER_NOW;
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

static void
check_not_reversed(int64 id)
{
	static PayStatement read = {
		"SELECT id, description FROM ONLY payments.ledger_transaction"
		" WHERE reverses_id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(id)};

	if (pay_db_run(&read, values, NULL) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PAY_ALREADY_REVERSED),
			 errmsg("ledger transaction " INT64_FORMAT " was reversed before",
					id),
			 errdetail("Ledger transaction " INT64_FORMAT " reverses it, for the reason \"%s\".",
					   pay_db_int64(0, 1), pay_db_text(0, 2)),
			 errhint("A reversal that was a mistake is reversed in its turn.")));
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
