/*
 * ledger_batch.c
 *		payments.post_entries and payments.post_batch: postings as arrays.
 *
 * Drivers send arrays, so that one statement posts one transaction, or many of
 * them, without JSON.  Messages name transaction and entry by their numbers,
 * from 1.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "args.h"
#include "compat.h"
#include "db.h"
#include "ledger.h"
#include "ledger_account.h"
#include "ledger_argument.h"
#include "ledger_array.h"

/* In one call of post_batch */
#define MAX_TRANSACTIONS	10000
#define MAX_ENTRIES			100000

/* The entries of all transactions, one after the other */
typedef struct EntryColumns
{
	PayLedgerArray accounts;
	PayLedgerArray amounts;
	PayLedgerArray currencies;
	PayLedgerEntry *entries;	/* room for them */
	int			read;			/* so many of them */
	int			minor_units;	/* of the last one's currency */
} EntryColumns;

/* All else about transactions, one element each */
typedef struct HeaderColumns
{
	PayLedgerArray transaction_keys;
	PayLedgerArray kinds;
	PayLedgerArray entry_counts;
	PayLedgerArray order_ids;
	PayLedgerArray effective_ats;
	PayLedgerArray descriptions;
	PayLedgerArray metadatas;
} HeaderColumns;

static void read_headers(FunctionCallInfo fcinfo, HeaderColumns *columns);
static void read_header(const HeaderColumns *columns, int i,
						PayLedgerPosting *posting);
static void check_counts(const HeaderColumns *columns, int n_entries);
static void read_entries(FunctionCallInfo fcinfo, int argument,
						 EntryColumns *columns);
static void take_entries(EntryColumns *columns, int n, int transaction,
						 PayLedgerPosting *posting);
static void check_entry_count(int count, int transaction);
static void return_results(FunctionCallInfo fcinfo,
						   const HeaderColumns *columns,
						   const PayLedgerPosting *postings);

PG_FUNCTION_INFO_V1(payments_post_entries);
PG_FUNCTION_INFO_V1(payments_post_batch);

/*
 * payments.post_entries: see 70_functions.sql.  Errors as for payments.post.
 */
Datum
payments_post_entries(PG_FUNCTION_ARGS)
{
	PayLedgerPosting posting = {0};
	EntryColumns columns;

	pay_args_require(fcinfo, 0, "transaction_key");
	pay_args_require(fcinfo, 1, "kind");
	pay_args_require(fcinfo, 2, "accounts");
	pay_args_require(fcinfo, 3, "amounts");

	pay_db_connect();
	pay_ledger_argument_header(fcinfo, 5, &posting);
	read_entries(fcinfo, 2, &columns);
	check_entry_count(columns.accounts.n, 0);
	take_entries(&columns, columns.accounts.n, 0, &posting);
	pay_ledger_post(&posting, 1, GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_INT64(posting.id);
}

/*
 * payments.post_batch: see 70_functions.sql.  Errors as for payments.post.
 */
Datum
payments_post_batch(PG_FUNCTION_ARGS)
{
	HeaderColumns headers;
	EntryColumns entries;
	PayLedgerPosting *postings;
	int			n;

	pay_args_require(fcinfo, 0, "transaction_keys");
	pay_args_require(fcinfo, 1, "kinds");
	pay_args_require(fcinfo, 2, "entry_counts");
	pay_args_require(fcinfo, 3, "accounts");
	pay_args_require(fcinfo, 4, "amounts");
	InitMaterializedSRF(fcinfo, 0);

	pay_db_connect();
	read_headers(fcinfo, &headers);
	read_entries(fcinfo, 3, &entries);
	check_counts(&headers, entries.accounts.n);

	n = headers.transaction_keys.n;
	postings = palloc0(sizeof(PayLedgerPosting) * n);
	for (int i = 0; i < n; i++)
	{
		read_header(&headers, i, &postings[i]);
		take_entries(&entries, DatumGetInt32(headers.entry_counts.values[i]),
					 i + 1, &postings[i]);
	}

	pay_ledger_post(postings, n, GetCurrentTimestamp());
	return_results(fcinfo, &headers, postings);
	pay_db_finish();
	return (Datum) 0;
}

/*
 * Transactions
 */

/* The arguments of post_batch that have an element for each transaction. */
static void
read_headers(FunctionCallInfo fcinfo, HeaderColumns *columns)
{
	PayLedgerArray *keys = &columns->transaction_keys;

	pay_ledger_array_read(fcinfo, 0, "transaction_keys", TEXTOID, PAY_ARRAY_REQUIRED, keys);
	pay_ledger_array_read(fcinfo, 1, "kinds", TEXTOID, PAY_ARRAY_REQUIRED, &columns->kinds);
	pay_ledger_array_read(fcinfo, 2, "entry_counts", INT4OID, PAY_ARRAY_REQUIRED,
						  &columns->entry_counts);
	pay_ledger_array_read(fcinfo, 6, "order_ids", TEXTOID, PAY_ARRAY_OPTIONAL,
						  &columns->order_ids);
	pay_ledger_array_read(fcinfo, 7, "effective_ats", TIMESTAMPTZOID, PAY_ARRAY_OPTIONAL,
						  &columns->effective_ats);
	pay_ledger_array_read(fcinfo, 8, "descriptions", TEXTOID, PAY_ARRAY_OPTIONAL,
						  &columns->descriptions);
	pay_ledger_array_read(fcinfo, 9, "metadatas", JSONBOID, PAY_ARRAY_OPTIONAL,
						  &columns->metadatas);

	if (keys->n < 1 || keys->n > MAX_TRANSACTIONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("transaction_keys has %d elements", keys->n),
				 errhint("Give 1 to %d transactions at once.",
						 MAX_TRANSACTIONS)));
	pay_ledger_array_check_length(&columns->kinds, keys);
	pay_ledger_array_check_length(&columns->entry_counts, keys);
	pay_ledger_array_check_length(&columns->order_ids, keys);
	pay_ledger_array_check_length(&columns->effective_ats, keys);
	pay_ledger_array_check_length(&columns->descriptions, keys);
	pay_ledger_array_check_length(&columns->metadatas, keys);
}

/* Transaction i, from 0, but for its entries. */
static void
read_header(const HeaderColumns *columns, int i, PayLedgerPosting *posting)
{
	PayLedgerPlace place = {i + 1, 0};

	posting->transaction_key = columns->transaction_keys.texts[i];
	posting->kind = columns->kinds.texts[i];
	if (pay_ledger_array_has(&columns->order_ids, i))
		posting->order_id = columns->order_ids.texts[i];
	posting->effective_at = PAY_LEDGER_NOW;
	if (pay_ledger_array_has(&columns->effective_ats, i))
	{
		Datum		effective_at = columns->effective_ats.values[i];

		posting->effective_at =
			pay_ledger_argument_time(DatumGetTimestampTz(effective_at), place);
	}
	if (pay_ledger_array_has(&columns->descriptions, i))
		posting->description = columns->descriptions.texts[i];
	if (pay_ledger_array_has(&columns->metadatas, i))
		posting->metadata =
			pay_ledger_argument_metadata(columns->metadatas.values[i]);
	pay_ledger_argument_check(posting, place);
}

/* Does every entry belong to a transaction, and every transaction have some? */
static void
check_counts(const HeaderColumns *columns, int n_entries)
{
	int64		sum = 0;

	for (int i = 0; i < columns->entry_counts.n; i++)
	{
		int32		count = DatumGetInt32(columns->entry_counts.values[i]);

		check_entry_count(count, i + 1);
		sum += count;
	}
	if (sum != n_entries)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry_counts do not add up to the number of entries"),
				 errdetail("entry_counts add up to " INT64_FORMAT ", accounts has %d elements.",
						   sum, n_entries),
				 errhint("The entries of all transactions follow each other; entry_counts says how many each has.")));
	if (sum > MAX_ENTRIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("accounts has %d elements", n_entries),
				 errhint("Give %d entries at most at once.", MAX_ENTRIES)));
}

/*
 * Entries
 */

/* The arguments that have an element for each entry, from this one on. */
static void
read_entries(FunctionCallInfo fcinfo, int argument, EntryColumns *columns)
{
	pay_ledger_array_read(fcinfo, argument, "accounts", TEXTOID, PAY_ARRAY_REQUIRED,
						  &columns->accounts);
	pay_ledger_array_read(fcinfo, argument + 1, "amounts", NUMERICOID, PAY_ARRAY_REQUIRED,
						  &columns->amounts);
	pay_ledger_array_read(fcinfo, argument + 2, "currencies", TEXTOID, PAY_ARRAY_REQUIRED,
						  &columns->currencies);
	pay_ledger_array_check_length(&columns->amounts, &columns->accounts);
	pay_ledger_array_check_length(&columns->currencies, &columns->accounts);

	columns->entries = palloc(sizeof(PayLedgerEntry) * Max(columns->accounts.n, 1));
	columns->read = 0;
}

/* Give the next n entries to a posting, whose number is 0 when it is alone. */
static void
take_entries(EntryColumns *columns, int n, int transaction,
			 PayLedgerPosting *posting)
{
	PayLedgerPlace place = {transaction, 0};

	posting->n_entries = n;
	posting->entries = &columns->entries[columns->read];
	while (place.entry < n)
	{
		int			i = columns->read++;
		PayLedgerEntry *entry = &columns->entries[i];

		place.entry++;
		entry->account = columns->accounts.texts[i];
		entry->currency = columns->currencies.values == NULL ?
			PAY_LEDGER_CURRENCY : columns->currencies.texts[i];
		pay_ledger_argument_entry(entry, i > 0 ? entry - 1 : NULL,
								  columns->amounts.values[i],
								  &columns->minor_units, place);
	}
}

/* 2 to PAY_LEDGER_MAX_ENTRIES; transaction 0 is alone.  Raises 22023. */
static void
check_entry_count(int count, int transaction)
{
	PayLedgerPlace place = {transaction, 0};

	if (count < 2 || count > PAY_LEDGER_MAX_ENTRIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%stoo %s entries", pay_ledger_place_text(place),
						count < 2 ? "few" : "many"),
				 errdetail("Their number is %d.", count),
				 errhint("A ledger transaction has 2 to %d entries.",
						 PAY_LEDGER_MAX_ENTRIES)));
}

/*
 * Results
 */

/* A row for each transaction, in the order in which they were given. */
static void
return_results(FunctionCallInfo fcinfo, const HeaderColumns *columns,
			   const PayLedgerPosting *postings)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		nulls[4] = {false};
	Datum		values[4];

	for (int i = 0; i < columns->transaction_keys.n; i++)
	{
		values[0] = Int32GetDatum(i + 1);
		values[1] = columns->transaction_keys.values[i];
		values[2] = Int64GetDatum(postings[i].id);
		values[3] = BoolGetDatum(postings[i].was_there);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
}
