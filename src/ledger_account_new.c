/*
 * ledger_account_new.c
 *		Accounts that a posting opens: what their codes say, and their rows.
 *
 * The first part of a code tells the kind and whether the account is hot, the
 * end the currency (psp:toss:USD).
 *
 * An account and its balance (one row, or several of a hot one) come together.
 * Rows are written directly (table.c).  What the tables' constraints would say is
 * so: the code was checked, kind and state are literals, the currency is one of
 * ours, and the account that a balance points to was written here.
 *
 * Another session may be opening one of them: its end is waited for, and if it
 * has done so its row is left alone (table_key.c).
 * test/t/029_accounts_at_once.pl, test/t/032_direct_writes.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "amount.h"
#include "currency.h"
#include "db.h"
#include "errors.h"
#include "ledger.h"
#include "ledger_account.h"
#include "ledger_pending.h"
#include "table.h"
#include "table_key.h"

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
	CURRENCY,
	CREATED_AT
};

static PayTable accounts_table = {
	"ledger_account",
	{
		[ID] = "id",
		[CODE] = "code",
		[KIND] = "kind",
		[CURRENCY] = "currency",
		[CREATED_AT] = "created_at",
	}
};

enum
{
	ACCOUNT_ID,
	STRIPE,
	STRIPES,
	STATE,
	HELD,
	BALANCE
};

static PayTable balances_table = {
	"ledger_balance",
	{
		[ACCOUNT_ID] = "account_id",
		[STRIPE] = "stripe",
		[STRIPES] = "stripes",
		[STATE] = "state",
		[HELD] = "held",
		[BALANCE] = "balance",
	}
};

static const char *currency_of(const char *code);
static int	write_accounts(PayLedgerAccount *accounts, int n,
						   TimestampTz now);
static void fill_account(int row, const PayLedgerAccount *account,
						 TimestampTz now);
static void write_balances(const PayLedgerAccount *accounts, int n);
static void fill_balance(int row, const PayLedgerAccount *account, int stripe);
static int	kind_of(const char *code);
static void check_code(const char *code);

/* Those without an id are opened, in their order. */
void
pay_ledger_account_open_missing(const PayLedgerAccount *accounts, int n,
								TimestampTz now)
{
	PayLedgerAccount *missing = palloc(sizeof(PayLedgerAccount) * n);
	int			n_missing = 0;
	int64	   *ids;

	for (int i = 0; i < n; i++)
		if (accounts[i].id == 0)
		{
			check_code(accounts[i].code);
			missing[n_missing++] = accounts[i];
		}
	ids = pay_db_draw_ids("ledger_account_id_seq", n_missing);
	for (int i = 0; i < n_missing; i++)
	{
		missing[i].id = ids[i];
		missing[i].stripes = account_kinds[kind_of(missing[i].code)].stripes;
		strlcpy(missing[i].currency, currency_of(missing[i].code),
				sizeof(missing[i].currency));
	}
	n_missing = write_accounts(missing, n_missing, now);
	write_balances(missing, n_missing);
	for (int i = 0; i < n_missing; i++)
		pay_ledger_pending_opened(missing[i].id);
	CommandCounterIncrement();
}

/* The currency that a code ends in, if it is one of ours. */
static const char *
currency_of(const char *code)
{
	size_t		len = strlen(code);
	const char *end = code + len - Min(len, 3);

	if (len < 4 || end[-1] != ':' ||
		strspn(end, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3 ||
		pay_currency_find(end) < 0)
		return PAY_LEDGER_CURRENCY;
	return end;
}

/*
 * Those that somebody else has opened meanwhile are dropped; returns how many
 * are left.
 */
static int
write_accounts(PayLedgerAccount *accounts, int n, TimestampTz now)
{
	static const int key_column[] = {CODE};
	Relation	index;
	int			kept = 0;

	(void) GetCurrentTransactionId();
	pay_table_open(&accounts_table);
	index = pay_table_unique_index(&accounts_table, key_column, 1);
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
			fill_account(i, &accounts[first + i], now);
		pay_table_write_rows(&accounts_table, rows);
		for (int i = 0; i < rows; i++)
			if (pay_table_take_key(&accounts_table, i, index, accounts[first + i].code,
								   "An account with the same code was opened"))
				accounts[kept++] = accounts[first + i];
		pay_table_index_rows(&accounts_table, rows, index);
	}
	pay_table_close(&accounts_table);
	return kept;
}

static void
fill_account(int row, const PayLedgerAccount *account, TimestampTz now)
{
	const char *kind = account_kinds[kind_of(account->code)].kind;

	pay_table_begin_row(&accounts_table, row);
	pay_table_set(&accounts_table, row, ID, Int64GetDatum(account->id));
	pay_table_set(&accounts_table, row, CODE, CStringGetTextDatum(account->code));
	pay_table_set(&accounts_table, row, KIND, CStringGetTextDatum(kind));
	pay_table_set(&accounts_table, row, CURRENCY,
				  CStringGetTextDatum(account->currency));
	pay_table_set(&accounts_table, row, CREATED_AT, TimestampTzGetDatum(now));
}

static void
write_balances(const PayLedgerAccount *accounts, int n)
{
	int			rows = 0;

	pay_table_open(&balances_table);
	for (int i = 0; i < n; i++)
		for (int stripe = 0; stripe < accounts[i].stripes; stripe++)
		{
			if (rows == PAY_TABLE_ROWS)
			{
				pay_table_insert_rows(&balances_table, rows);
				rows = 0;
			}
			fill_balance(rows++, &accounts[i], stripe);
		}
	if (rows > 0)
		pay_table_insert_rows(&balances_table, rows);
	pay_table_close(&balances_table);
}

static void
fill_balance(int row, const PayLedgerAccount *account, int stripe)
{
	pay_table_begin_row(&balances_table, row);
	pay_table_set(&balances_table, row, ACCOUNT_ID,
				  Int64GetDatum(account->id));
	pay_table_set(&balances_table, row, STRIPE, Int16GetDatum(stripe));
	pay_table_set(&balances_table, row, STRIPES,
				  Int16GetDatum(account->stripes));
	pay_table_set(&balances_table, row, STATE, CharGetDatum('o'));
	pay_table_set(&balances_table, row, HELD, pay_amount_to_numeric(0));
	pay_table_set(&balances_table, row, BALANCE, pay_amount_to_numeric(0));
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
