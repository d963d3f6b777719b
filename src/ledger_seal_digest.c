/*
 * ledger_seal_digest.c
 *		The digest of a seal: which bytes, in which order.
 *
 * Owns nothing.  The bytes are documented, in the reference, and never change:
 * a new format gets a new name, and the old one is checked for ever.  Every
 * field has its length before it, since texts may contain anything.
 * test/t/038_ledger_seal.pl computes them by a program of its own.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "db.h"
#include "ledger_seal.h"

#define FORMAT			"payments.ledger_seal.1"

/* Bytes that are collected before they are digested */
#define CHUNK			65536

/* Of a row that is digested, at most */
#define COLUMNS			9

/* Bytes on their way into a digest */
typedef struct Sink
{
	pg_cryptohash_ctx *context;
	StringInfoData bytes;
} Sink;

static uint64 read_transactions(const PayLedgerSeal *seal, bool fresh);
static uint64 read_entries(const PayLedgerSeal *seal,
						   PaySealAccounts *accounts, bool fresh);
static uint64 run(PayStatement *statement, const PayLedgerSeal *seal,
				  bool fresh);
static void open_sink(Sink *sink);
static void put_rows(Sink *sink, uint64 rows, const char *kind,
					 const char *columns,
					 const PaySealAccounts *accounts);
static void put_account(Sink *sink, const PaySealAccount *account);
static void put_text(Sink *sink, const char *text, int len);
static void put_number(Sink *sink, int64 number);
static void digest_bytes(Sink *sink);
static char *close_sink(Sink *sink);

void
pay_ledger_seal_compute(PayLedgerSeal *seal, const char *before,
						PaySealAccounts *accounts, bool fresh)
{
	Sink		sink;

	open_sink(&sink);
	put_text(&sink, FORMAT, strlen(FORMAT));
	put_number(&sink, seal->no);
	put_text(&sink, before, before == NULL ? 0 : strlen(before));
	put_number(&sink, seal->upto_id);
	put_number(&sink, seal->sealed_at);

	seal->transactions = (int64) read_transactions(seal, fresh);
	put_rows(&sink, seal->transactions, "t", "itttttiii", accounts);
	seal->entries = (int64) read_entries(seal, accounts, fresh);
	put_rows(&sink, seal->entries, "e", "iiiattt", accounts);
	put_number(&sink, seal->transactions);
	put_number(&sink, seal->entries);
	seal->digest = close_sink(&sink);
}

static uint64
read_transactions(const PayLedgerSeal *seal, bool fresh)
{
	static PayStatement read = {
		"SELECT t.id, t.transaction_key, t.kind, t.order_id, t.description, t.metadata::pg_catalog.text,"
		" t.reverses_id, t.effective_at, t.recorded_at"
		" FROM ONLY payments.ledger_transaction t"
		" WHERE t.id OPERATOR(pg_catalog.>) $1 AND t.id OPERATOR(pg_catalog.<=) $2 ORDER BY t.id",
		2, {INT8OID, INT8OID}
	};

	return run(&read, seal, fresh);
}

/* And their accounts, whatever has become of these. */
static uint64
read_entries(const PayLedgerSeal *seal, PaySealAccounts *accounts,
			 bool fresh)
{
	static PayStatement read = {
		"SELECT e.transaction_id, e.entry_no::pg_catalog.int8, e.entry_count::pg_catalog.int8, e.account_id,"
		" e.currency, pg_catalog.trim_scale(e.amount)::pg_catalog.text, e.order_id"
		" FROM ONLY payments.ledger_entry e"
		" WHERE e.transaction_id OPERATOR(pg_catalog.>) $1 AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" ORDER BY e.transaction_id, e.entry_no",
		2, {INT8OID, INT8OID}
	};
	uint64		rows = run(&read, seal, fresh);
	int64	   *ids = palloc(sizeof(int64) * Max(rows, 1));
	int			n = 0;

	for (uint64 row = 0; row < rows; row++)
		if (!pay_db_is_null(row, 4))
			ids[n++] = pay_db_int64(row, 4);
	pay_ledger_seal_accounts_read(accounts, ids, n, fresh);
	pfree(ids);
	return rows;
}

/* Of a seal's range of ids */
static uint64
run(PayStatement *statement, const PayLedgerSeal *seal, bool fresh)
{
	Datum		values[2] = {Int64GetDatum(seal->after_id),
	Int64GetDatum(seal->upto_id)};

	return fresh ? pay_db_run(statement, values, NULL) :
		pay_db_read(statement, values, NULL);
}

/*
 * The bytes of a digest: a field is its length in decimal digits, a colon and
 * the bytes; one that is null is "-".  Numbers are in decimal digits, times in
 * microseconds since the beginning of the year 2000 in UTC.
 */

static void
open_sink(Sink *sink)
{
	initStringInfo(&sink->bytes);
	sink->context = pg_cryptohash_create(PG_SHA256);
	if (sink->context == NULL || pg_cryptohash_init(sink->context) < 0)
		elog(ERROR, "could not compute a SHA-256 digest");
}

/*
 * The last result: "i" for bigint and times, "t" for text, "a" for the code and
 * the kind of an account.
 */
static void
put_rows(Sink *sink, uint64 rows, const char *kind, const char *columns,
		 const PaySealAccounts *accounts)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];

	Assert(strlen(columns) <= COLUMNS);
	for (uint64 row = 0; row < rows; row++)
	{
		pay_db_row(row, values, nulls);
		put_text(sink, kind, strlen(kind));
		for (int c = 0; columns[c] != '\0'; c++)
		{
			if (columns[c] == 'a')
				put_account(sink, nulls[c] ? NULL :
							pay_ledger_seal_account(accounts,
													DatumGetInt64(values[c])));
			else if (nulls[c])
				put_text(sink, NULL, 0);
			else if (columns[c] == 'i')
				put_number(sink, DatumGetInt64(values[c]));
			else
			{
				text	   *packed = DatumGetTextPP(values[c]);

				put_text(sink, VARDATA_ANY(packed),
						 VARSIZE_ANY_EXHDR(packed));
			}
		}
	}
}

/* One that is gone, or there twice, has neither code nor kind. */
static void
put_account(Sink *sink, const PaySealAccount *account)
{
	if (account != NULL && account->rows == 1)
	{
		put_text(sink, account->code, strlen(account->code));
		put_text(sink, account->kind, strlen(account->kind));
	}
	else
	{
		put_text(sink, NULL, 0);
		put_text(sink, NULL, 0);
	}
}

static void
put_text(Sink *sink, const char *text, int len)
{
	if (text == NULL)
		appendStringInfoChar(&sink->bytes, '-');
	else
	{
		char		digits[MAXINT8LEN + 1];

		appendBinaryStringInfo(&sink->bytes, digits, pg_ltoa(len, digits));
		appendStringInfoChar(&sink->bytes, ':');
		appendBinaryStringInfo(&sink->bytes, text, len);
	}
	if (sink->bytes.len >= CHUNK)
		digest_bytes(sink);
}

static void
put_number(Sink *sink, int64 number)
{
	char		digits[MAXINT8LEN + 1];

	put_text(sink, digits, pg_lltoa(number, digits));
}

static void
digest_bytes(Sink *sink)
{
	if (pg_cryptohash_update(sink->context, (const uint8 *) sink->bytes.data,
							 sink->bytes.len) < 0)
		elog(ERROR, "could not compute a SHA-256 digest");
	resetStringInfo(&sink->bytes);
}

/* The digest in hexadecimal digits. */
static char *
close_sink(Sink *sink)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *text = palloc(2 * sizeof(digest) + 1);

	digest_bytes(sink);
	if (pg_cryptohash_final(sink->context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-256 digest");
	pg_cryptohash_free(sink->context);
	pfree(sink->bytes.data);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return text;
}
