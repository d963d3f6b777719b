/*
 * ledger_balance_row.c
 *		Rows of payments.ledger_balance, while posting goes on.
 *
 * Owns their writing.  Which of an account's rows, and whether it may change, is
 * said by ledger_balance.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "amount.h"
#include "ledger_account_cache.h"
#include "ledger_balance_row.h"
#include "table.h"

enum
{
	ACCOUNT_ID,
	STRIPE,
	STRIPES,
	STATE,
	FLOOR,
	CEILING,
	HELD,
	BALANCE
};

static PayTable balances = {
	"ledger_balance",
	{
		[ACCOUNT_ID] = "account_id",
		[STRIPE] = "stripe",
		[STRIPES] = "stripes",
		[STATE] = "state",
		[FLOOR] = "floor",
		[CEILING] = "ceiling",
		[HELD] = "held",
		[BALANCE] = "balance",
	}
};

static Snapshot take_snapshot(void);
static bool find_at(PayLedgerAccount *account, int stripe,
					PayTableLookup *lookup);
static bool is_row(const PayLedgerAccount *account, int stripe,
				   TupleTableSlot *row);
static int64 limit(TupleTableSlot *row, int column, bool *is_there);

void
pay_ledger_balance_begin(PayTableLookup *lookup)
{
	static const int key_columns[] = {ACCOUNT_ID, STRIPE};

	pay_table_open(&balances);
	pay_table_lookup_begin(lookup, &balances,
						   pay_table_unique_index(&balances, key_columns, 2));
	pay_table_lookup_with(lookup, take_snapshot());
}

static Snapshot
take_snapshot(void)
{
	return RegisterSnapshot(IsolationUsesXactSnapshot() ?
							GetTransactionSnapshot() : GetLatestSnapshot());
}

void
pay_ledger_balance_end(PayTableLookup *lookup)
{
	Snapshot	shared = lookup->snapshot;

	pay_table_lookup_end(lookup);
	UnregisterSnapshot(shared);
	pay_table_close(&balances);
}

bool
pay_ledger_balance_find(PayLedgerAccount *account, int stripe, bool newest,
						PayTableLookup *lookup)
{
	Snapshot	shared = lookup->snapshot;
	Snapshot	snapshot;
	bool		found;

	if (!newest)
		return find_at(account, stripe, lookup);

	snapshot = take_snapshot();
	pay_table_lookup_with(lookup, snapshot);
	found = find_at(account, stripe, lookup);
	pay_table_lookup_with(lookup, shared);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * Where it was the last time: an update leaves the root of its chain in place
 * as long as the page has room, and who moves it remembers where to.  Else by its
 * key, which many dead versions may have, too.
 */
static bool
find_at(PayLedgerAccount *account, int stripe, PayTableLookup *lookup)
{
	ScanKeyData keys[2];

	if (pay_table_lookup_place(lookup, &account->place) &&
		is_row(account, stripe, lookup->row))
		return true;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(account->id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(stripe));
	pay_table_lookup_key(lookup, keys, 2);
	if (!pay_table_lookup_next(lookup, &account->place))
		return false;
	pay_ledger_account_remember_balance(account);
	return true;
}

static bool
is_row(const PayLedgerAccount *account, int stripe, TupleTableSlot *row)
{
	bool		is_null;

	return DatumGetInt64(pay_table_get(&balances, row, ACCOUNT_ID,
									   &is_null)) == account->id &&
		DatumGetInt16(pay_table_get(&balances, row, STRIPE,
									&is_null)) == stripe;
}

void
pay_ledger_balance_read(TupleTableSlot *row, PayLedgerBalance *balance)
{
	bool		is_null;

	slot_getallattrs(row);
	balance->stripes =
		DatumGetInt16(pay_table_get(&balances, row, STRIPES, &is_null));
	balance->state =
		DatumGetChar(pay_table_get(&balances, row, STATE, &is_null));
	balance->floor = limit(row, FLOOR, &balance->has_floor);
	balance->ceiling = limit(row, CEILING, &balance->has_ceiling);
	balance->overdue = 0;
	balance->held =
		pay_amount_from_balance(pay_table_get(&balances, row, HELD,
											  &is_null));
	balance->balance =
		pay_amount_from_balance(pay_table_get(&balances, row, BALANCE,
											  &is_null));
}

static int64
limit(TupleTableSlot *row, int column, bool *is_there)
{
	bool		is_null;
	Datum		value = pay_table_get(&balances, row, column, &is_null);

	*is_there = !is_null;
	return is_null ? 0 : pay_amount_from_balance(value);
}

void
pay_ledger_balance_learn(PayLedgerAccount *account,
						 const PayLedgerBalance *balance)
{
	if (account->stripes == balance->stripes)
		return;
	account->stripes = balance->stripes;
	pay_ledger_account_remember_balance(account);
}

bool
pay_ledger_balance_replace(PayLedgerAccount *account, TupleTableSlot *row,
						   const PayLedgerBalance *before,
						   const PayLedgerBalance *after)
{
	pay_table_copy_row(&balances, row);
	pay_table_set(&balances, 0, BALANCE,
				  pay_amount_to_numeric(after->balance));
	if (after->held != before->held)
		pay_table_set(&balances, 0, HELD, pay_amount_to_numeric(after->held));
	if (!pay_table_replace_row(&balances, row))
		return false;
	if (pay_table_moved(&balances, &account->place))
		pay_ledger_account_remember_balance(account);
	return true;
}
