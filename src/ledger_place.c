/*
 * ledger_place.c
 *		Where the balances of accounts stand: many at a time, by the index alone.
 *
 * Owns nothing, writes nothing and waits for nobody.
 */
#include "postgres.h"

#include "utils/fmgroids.h"

#include "ledger_place.h"
#include "table.h"
#include "table_lookup.h"

#define MAX_STRIPES 64

enum
{
	ACCOUNT_ID,
	STRIPE
};

static PayTable balances = {
	"ledger_balance",
	{
		[ACCOUNT_ID] = "account_id",
		[STRIPE] = "stripe",
	}
};

static void look(PayLedgerAccount **sorted, int n, PayTableLookup *lookup);
static void learn(PayLedgerAccount *account, int stripe, ItemPointer place);
static int	compare_ids(const void *a, const void *b);

void
pay_ledger_place_find(PayLedgerAccount *accounts, int n, Snapshot snapshot)
{
	static const int key_columns[] = {ACCOUNT_ID, STRIPE};
	PayLedgerAccount **sorted = palloc(sizeof(PayLedgerAccount *) * Max(n, 1));
	PayTableLookup lookup;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		sorted[i] = &accounts[i];
	qsort(sorted, n, sizeof(sorted[0]), compare_ids);

	pay_table_open(&balances);
	pay_table_lookup_begin(&lookup, &balances,
						   pay_table_unique_index(&balances, key_columns, 2));
	pay_table_lookup_with(&lookup, snapshot);
	look(sorted, n, &lookup);
	pay_table_lookup_end(&lookup);
	pay_table_close(&balances);
}

/*
 * The entries from the first account's to the last one's; where they are many
 * times as many as the accounts, just the beginning.
 */
static void
look(PayLedgerAccount **sorted, int n, PayTableLookup *lookup)
{
	ScanKeyData range[2];
	Datum		values[INDEX_MAX_KEYS];
	ItemPointerData place;
	int			seen = 0;
	int			next = 0;

	ScanKeyInit(&range[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(sorted[0]->id));
	ScanKeyInit(&range[1], 1, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(sorted[n - 1]->id));
	pay_table_lookup_entries(lookup, range, 2);
	while (seen++ < MAX_STRIPES + 2 * n &&
		   pay_table_lookup_entry(lookup, values, &place))
	{
		int64		id = DatumGetInt64(values[0]);

		while (sorted[next]->id < id)
			next++;
		if (sorted[next]->id == id)
			learn(sorted[next], DatumGetInt16(values[1]), &place);
	}
}

/* One with several rows is left to its first posting. */
static void
learn(PayLedgerAccount *account, int stripe, ItemPointer place)
{
	account->stripes = stripe == 0 ? 1 : 0;
	if (stripe == 0)
		account->place = *place;
	else
		ItemPointerSetInvalid(&account->place);
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = (*(PayLedgerAccount *const *) a)->id;
	int64		right = (*(PayLedgerAccount *const *) b)->id;

	return left < right ? -1 : left > right;
}
