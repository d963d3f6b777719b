/*
 * ledger_account.c
 *		Accounts of the ledger: finding them.
 *
 * Rows of payments.ledger_account never change.  All that is known about an
 * account which its first posting opens follows from its code
 * (ledger_account_new.c), so it does not matter who opens it first.  What may
 * change about an account stands in its balance (ledger_balance.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger.h"
#include "ledger_account.h"
#include "ledger_account_cache.h"
#include "ledger_place.h"
#include "table.h"

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

	pay_ledger_account_open_missing(accounts, n, now);
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
