/*
 * ledger_account.c
 *		Accounts of the ledger: finding them, opening them on first use.
 *
 * Owns payments.ledger_account, whose rows never change.  All that is known
 * about an account which its first posting opens follows from its code: the
 * prefix tells the kind and whether it is hot, the end the currency
 * (psp:toss:USD).  So it does not matter who opens it first.  What may change
 * about an account stands in its balance (ledger_balance.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "db.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_account.h"
#include "ledger_account_cache.h"
#include "ledger_place.h"
#include "table.h"

#define MAX_CODE_LENGTH	128
#define HOT_STRIPES		16

typedef struct AccountKind
{
	const char *prefix;
	const char *kind;
	int			stripes;
} AccountKind;

static const AccountKind account_kinds[] = {
	{"asset", "asset", 1},
	{"liability", "liability", 1},
	{"revenue", "revenue", 1},
	{"expense", "expense", 1},
	{"psp", "asset", HOT_STRIPES},
	{"buyer", "liability", 1},
	{"seller", "liability", 1},
	{"platform", "revenue", HOT_STRIPES},
};

enum
{
	ID,
	CODE,
	KIND,
	CURRENCY
};

static PayTable table = {
	"ledger_account",
	{
		[ID] = "id",
		[CODE] = "code",
		[KIND] = "kind",
		[CURRENCY] = "currency",
	}
};

static int	find(PayLedgerAccount *accounts, int n, int missing);
static bool read_ahead(int missing, Snapshot snapshot, TupleTableSlot *row);
static bool find_code(IndexScanDesc scan, const char *code,
					  TupleTableSlot *row);
static bool is_own(TupleTableSlot *row);
static void read_account(TupleTableSlot *row, PayLedgerAccount *account);
static void open_missing(PayLedgerAccount *accounts, int n, TimestampTz now);
static int	kind_of(const char *code);
static void check_code(const char *code);

void
pay_ledger_account_resolve(PayLedgerAccount *accounts, int n,
						   TimestampTz now)
{
	int			missing = 0;

	for (int i = 0; i < n; i++)
	{
		accounts[i].id = 0;
		if (!pay_ledger_account_recall(&accounts[i]))
			missing++;
	}
	if (missing == 0 || find(accounts, n, missing) == n)
		return;

	open_missing(accounts, n, now);
	if (find(accounts, n, 0) != n)
		elog(ERROR, "accounts that were opened are not there");
}

/*
 * Look up the accounts that are not known yet; returns how many are known.
 * Sees what a statement of this transaction would see now.  When some are
 * missing it may read more than these.
 */
static int
find(PayLedgerAccount *accounts, int n, int missing)
{
	static const int key_column[] = {CODE};
	Snapshot	snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ?
											GetTransactionSnapshot() :
											GetLatestSnapshot());
	TupleTableSlot *row;
	IndexScanDesc scan;
	bool		know_more;
	int			found = 0;

	pay_table_open(&table);
	row = table_slot_create(pay_table_relation(&table), NULL);
	know_more = read_ahead(missing, snapshot, row);
	scan = pay_index_beginscan(pay_table_relation(&table),
							   pay_table_unique_index(&table, key_column, 1),
							   snapshot, 1);
	for (int i = 0; i < n; i++)
	{
		if (accounts[i].id == 0 && know_more)
			(void) pay_ledger_account_recall(&accounts[i]);
		if (accounts[i].id == 0 && find_code(scan, accounts[i].code, row))
		{
			read_account(row, &accounts[i]);
			pay_ledger_account_remember(&accounts[i], is_own(row));
		}
		if (accounts[i].id != 0)
			found++;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(row);
	pay_table_close(&table);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * Get to know the accounts of whole blocks, and where their balances are: much
 * cheaper than one by one.  True when there were some to read.
 */
static bool
read_ahead(int missing, Snapshot snapshot, TupleTableSlot *row)
{
	Relation	relation = pay_table_relation(&table);
	BlockNumber first;
	BlockNumber last;
	ItemPointerData from;
	ItemPointerData to;
	TableScanDesc scan;
	PayLedgerAccount *accounts;
	bool		own = false;
	int			n = 0;

	if (missing == 0 || IsolationUsesXactSnapshot() ||
		!pay_ledger_account_read_ahead(relation, missing, &first, &last))
		return false;

	accounts = palloc(sizeof(PayLedgerAccount) * MaxHeapTuplesPerPage *
					  (last - first + 1));
	ItemPointerSet(&from, first, FirstOffsetNumber);
	ItemPointerSet(&to, last, MaxOffsetNumber);
	scan = table_beginscan_tidrange(relation, snapshot, &from, &to);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, row))
	{
		bool		is_null;

		accounts[n].code =
			TextDatumGetCString(pay_table_get(&table, row, CODE, &is_null));
		read_account(row, &accounts[n++]);
		own = own || is_own(row);
	}
	table_endscan(scan);

	pay_ledger_place_find(accounts, n, snapshot);
	for (int i = 0; i < n; i++)
		pay_ledger_account_remember(&accounts[i], own);
	return true;
}

static bool
find_code(IndexScanDesc scan, const char *code, TupleTableSlot *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(code));
	key.sk_collation = scan->indexRelation->rd_indcollation[0];
	index_rescan(scan, &key, 1, NULL, 0);
	return index_getnext_slot(scan, ForwardScanDirection, row);
}

/* Has this transaction opened it, and may yet be rolled back? */
static bool
is_own(TupleTableSlot *row)
{
	bool		is_null;

	Datum		xmin = slot_getsysattr(row, MinTransactionIdAttributeNumber,
									   &is_null);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

/* Of the stripes the first posting learns. */
static void
read_account(TupleTableSlot *row, PayLedgerAccount *account)
{
	bool		is_null;
	char	   *kind;

	kind = TextDatumGetCString(pay_table_get(&table, row, KIND, &is_null));
	account->id = DatumGetInt64(pay_table_get(&table, row, ID, &is_null));
	text_to_cstring_buffer(DatumGetTextPP(pay_table_get(&table, row, CURRENCY,
														&is_null)),
						   account->currency, sizeof(account->currency));
	account->normal_debit = strcmp(kind, "asset") == 0 ||
		strcmp(kind, "expense") == 0;
	account->stripes = 0;
	ItemPointerSetInvalid(&account->place);
}

/*
 * Open the accounts that were not found, in the order of their codes.  Another
 * session may be opening one of them: the insert waits for it, and then leaves
 * its row alone.
 */
static void
open_missing(PayLedgerAccount *accounts, int n, TimestampTz now)
{
	static PayStatement insert = {
		"WITH u AS (SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4)) AS u (id, code, kind, stripes)),"
		" a AS (INSERT INTO payments.ledger_account (id, code, kind, currency, created_at)"
		" SELECT u.id, u.code, u.kind, COALESCE((SELECT c.code FROM ONLY payments.currency c"
		" WHERE c.code OPERATOR(pg_catalog.=) pg_catalog.substring(u.code, ':([A-Z]{3})$')), $5), $6"
		" FROM u ON CONFLICT (code) DO NOTHING RETURNING id)"
		" INSERT INTO payments.ledger_balance (account_id, stripe, stripes, state, held, balance)"
		" SELECT a.id, s.stripe, u.stripes, 'o', 0, 0 FROM a JOIN u ON u.id OPERATOR(pg_catalog.=) a.id"
		" CROSS JOIN LATERAL pg_catalog.generate_series(0, u.stripes OPERATOR(pg_catalog.-) 1) AS s (stripe)",
		6, {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTOID,
		TIMESTAMPTZOID}
	};
	char	  **codes = palloc(sizeof(char *) * n);
	char	  **kinds = palloc(sizeof(char *) * n);
	int32	   *stripes = palloc(sizeof(int32) * n);
	int			missing = 0;
	Datum		values[6];

	for (int i = 0; i < n; i++)
	{
		int			kind;

		if (accounts[i].id != 0)
			continue;
		check_code(accounts[i].code);
		kind = kind_of(accounts[i].code);
		codes[missing] = unconstify(char *, accounts[i].code);
		kinds[missing] = unconstify(char *, account_kinds[kind].kind);
		stripes[missing++] = account_kinds[kind].stripes;
	}

	values[0] = pay_db_int64_array(pay_db_draw_ids("ledger_account_id_seq",
												   missing), missing);
	values[1] = pay_db_text_array(codes, missing);
	values[2] = pay_db_text_array(kinds, missing);
	values[3] = pay_db_int32_array(stripes, missing);
	values[4] = CStringGetTextDatum(PAY_LEDGER_CURRENCY);
	values[5] = TimestampTzGetDatum(now);
	pay_db_run(&insert, values, NULL);
}

/* The row of account_kinds for a code; PY012 when there is none. */
static int
kind_of(const char *code)
{
	size_t		len = strcspn(code, ":");
	StringInfoData known;

	for (int i = 0; i < lengthof(account_kinds); i++)
	{
		if (strlen(account_kinds[i].prefix) == len &&
			strncmp(account_kinds[i].prefix, code, len) == 0)
			return i;
	}

	initStringInfo(&known);
	for (int i = 0; i < lengthof(account_kinds); i++)
		appendStringInfo(&known, "%s%s", i == 0 ? "" : ", ",
						 account_kinds[i].prefix);
	ereport(ERROR,
			(errcode(ERRCODE_PAY_UNKNOWN_ACCOUNT),
			 errmsg("cannot open account \"%s\"", code),
			 errdetail("Its kind \"%.*s\" is unknown.", (int) len, code),
			 errhint("Open it with payments.open_account and a kind, or begin the code with one of: %s.",
					 known.data)));
	return -1;					/* keep compiler quiet */
}

/* The form of a code, as the table's constraint has it, with a message. */
static void
check_code(const char *code)
{
	size_t		len = strlen(code);
	size_t		prefix = strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_");
	const char *rest = code + prefix;

	if (len <= MAX_CODE_LENGTH && code[0] >= 'a' && code[0] <= 'z' &&
		*rest == ':' && code[len - 1] != ':' && strstr(rest, "::") == NULL &&
		rest[strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"abcdefghijklmnopqrstuvwxyz0123456789_.@:-")] == '\0')
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("account code \"%.*s\" is not valid",
					pg_mbcliplen(code, len, MAX_CODE_LENGTH), code),
			 errhint("A code is a kind and one or more names with colons between them, for example seller:7; a name has A-Z, a-z, 0-9, \"_\", \".\", \"@\" and \"-\"; all together %d characters at most.",
					 MAX_CODE_LENGTH)));
}

/*
 * Codes
 */

char *
pay_ledger_account_code(const char *party, int64 id, const char *currency)
{
	return pay_ledger_house_account_code(psprintf("%s:" INT64_FORMAT,
												  party, id), currency);
}

char *
pay_ledger_house_account_code(const char *code, const char *currency)
{
	if (strcmp(currency, PAY_LEDGER_CURRENCY) == 0)
		return pstrdup(code);
	return psprintf("%s:%s", code, currency);
}

bool
pay_ledger_account_default(const char *code, const char **kind, int *stripes)
{
	size_t		len = strcspn(code, ":");

	for (int i = 0; i < lengthof(account_kinds); i++)
	{
		if (strlen(account_kinds[i].prefix) == len &&
			strncmp(account_kinds[i].prefix, code, len) == 0)
		{
			*kind = account_kinds[i].kind;
			*stripes = account_kinds[i].stripes;
			return true;
		}
	}
	return false;
}

void
pay_ledger_account_check_code(const char *code)
{
	check_code(code);
}
