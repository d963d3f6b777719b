/*
 * ledger_batch.c
 *		payments.post_entries and payments.post_batch: postings as arrays.
 *
 * Drivers send arrays, so that one statement posts one transaction, or many of
 * them, without JSON.  Arrays are taken apart once; texts are copied once, all
 * of an array together.  Messages name transaction and entry by their numbers,
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

/* In one call of post_batch */
#define MAX_TRANSACTIONS	10000
#define MAX_ENTRIES			100000

/* How elements of an array lie in it */
typedef struct ElementType
{
	Oid			oid;
	int16		length;
	bool		by_value;
	char		align;
} ElementType;

static const ElementType element_types[] = {
	{TEXTOID, -1, false, TYPALIGN_INT},
	{NUMERICOID, -1, false, TYPALIGN_INT},
	{JSONBOID, -1, false, TYPALIGN_INT},
	{INT4OID, sizeof(int32), true, TYPALIGN_INT},
	{TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
};

/* An argument that is an array.  When it was left out, values is NULL. */
typedef struct Column
{
	const char *name;
	int			n;
	Datum	   *values;
	bool	   *nulls;
	char	  **texts;			/* of text[]; NULL for null elements */
} Column;

/* What an element that is null means */
typedef enum Nulls
{
	REQUIRED,
	OPTIONAL
} Nulls;

/* The entries of all transactions, one after the other */
typedef struct EntryColumns
{
	Column		accounts;
	Column		amounts;
	Column		currencies;
	PayLedgerEntry *entries;	/* room for them */
	int			read;			/* so many of them */
	int			minor_units;	/* of the last one's currency */
} EntryColumns;

/* All else about transactions, one element each */
typedef struct HeaderColumns
{
	Column		transaction_keys;
	Column		kinds;
	Column		entry_counts;
	Column		order_ids;
	Column		effective_ats;
	Column		descriptions;
	Column		metadatas;
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
static void read_column(FunctionCallInfo fcinfo, int argument,
						const char *name, Oid type, Nulls nulls,
						Column *column);
static void copy_texts(Column *column);
static bool has_value(const Column *column, int i);
static void check_length(const Column *column, const Column *other);
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
	Column	   *keys = &columns->transaction_keys;

	read_column(fcinfo, 0, "transaction_keys", TEXTOID, REQUIRED, keys);
	read_column(fcinfo, 1, "kinds", TEXTOID, REQUIRED, &columns->kinds);
	read_column(fcinfo, 2, "entry_counts", INT4OID, REQUIRED,
				&columns->entry_counts);
	read_column(fcinfo, 6, "order_ids", TEXTOID, OPTIONAL,
				&columns->order_ids);
	read_column(fcinfo, 7, "effective_ats", TIMESTAMPTZOID, OPTIONAL,
				&columns->effective_ats);
	read_column(fcinfo, 8, "descriptions", TEXTOID, OPTIONAL,
				&columns->descriptions);
	read_column(fcinfo, 9, "metadatas", JSONBOID, OPTIONAL,
				&columns->metadatas);

	if (keys->n < 1 || keys->n > MAX_TRANSACTIONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("transaction_keys has %d elements", keys->n),
				 errhint("Give 1 to %d transactions at once.",
						 MAX_TRANSACTIONS)));
	check_length(&columns->kinds, keys);
	check_length(&columns->entry_counts, keys);
	check_length(&columns->order_ids, keys);
	check_length(&columns->effective_ats, keys);
	check_length(&columns->descriptions, keys);
	check_length(&columns->metadatas, keys);
}

/* Transaction i, from 0, but for its entries. */
static void
read_header(const HeaderColumns *columns, int i, PayLedgerPosting *posting)
{
	PayLedgerPlace place = {i + 1, 0};

	posting->transaction_key = columns->transaction_keys.texts[i];
	posting->kind = columns->kinds.texts[i];
	if (has_value(&columns->order_ids, i))
		posting->order_id = columns->order_ids.texts[i];
	posting->effective_at = PAY_LEDGER_NOW;
	if (has_value(&columns->effective_ats, i))
	{
		Datum		effective_at = columns->effective_ats.values[i];

		posting->effective_at =
			pay_ledger_argument_time(DatumGetTimestampTz(effective_at), place);
	}
	if (has_value(&columns->descriptions, i))
		posting->description = columns->descriptions.texts[i];
	if (has_value(&columns->metadatas, i))
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
	read_column(fcinfo, argument, "accounts", TEXTOID, REQUIRED,
				&columns->accounts);
	read_column(fcinfo, argument + 1, "amounts", NUMERICOID, REQUIRED,
				&columns->amounts);
	read_column(fcinfo, argument + 2, "currencies", TEXTOID, REQUIRED,
				&columns->currencies);
	check_length(&columns->amounts, &columns->accounts);
	check_length(&columns->currencies, &columns->accounts);

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
 * Arrays
 */

/*
 * Take an array apart.  Raises 22023 for one with more than one dimension, and
 * 22004 for a null element that is required.
 */
static void
read_column(FunctionCallInfo fcinfo, int argument, const char *name, Oid type,
			Nulls nulls, Column *column)
{
	const ElementType *element = element_types;
	ArrayType  *array;

	column->name = name;
	column->n = 0;
	column->values = NULL;
	column->texts = NULL;
	if (PG_ARGISNULL(argument))
		return;

	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has more than one dimension", name),
				 errhint("Give a plain list of values.")));

	while (element->oid != type)
		element++;
	deconstruct_array(array, type, element->length, element->by_value,
					  element->align, &column->values, &column->nulls,
					  &column->n);
	for (int i = 0; nulls == REQUIRED && i < column->n; i++)
	{
		if (column->nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("element %d of %s is null", i + 1, name),
					 errhint("Give a value for each element.")));
	}
	if (type == TEXTOID)
		copy_texts(column);
}

/* The texts of an array as C strings, in one piece of memory. */
static void
copy_texts(Column *column)
{
	Size		size = 1;
	char	   *next;

	for (int i = 0; i < column->n; i++)
		if (!column->nulls[i])
			size += VARSIZE_ANY_EXHDR(DatumGetPointer(column->values[i])) + 1;
	next = palloc(size);

	column->texts = palloc0(sizeof(char *) * Max(column->n, 1));
	for (int i = 0; i < column->n; i++)
	{
		if (!column->nulls[i])
		{
			void	   *value = DatumGetPointer(column->values[i]);
			Size		length = VARSIZE_ANY_EXHDR(value);

			column->texts[i] = next;
			memcpy(next, VARDATA_ANY(value), length);
			next[length] = '\0';
			next += length + 1;
		}
	}
}

/* As many elements as the other has, unless it was left out. */
static void
check_length(const Column *column, const Column *other)
{
	if (column->values != NULL && column->n != other->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s and %s differ in length", other->name,
						column->name),
				 errdetail("%s has %d elements, %s has %d.", other->name,
						   other->n, column->name, column->n),
				 errhint("Give one element for each.")));
}

/* Was element i given? */
static bool
has_value(const Column *column, int i)
{
	return column->values != NULL && !column->nulls[i];
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
