/*
 * ledger_pending.c
 *		How many entries of an account stand behind its last snapshot, as far
 *		as this session knows.
 *
 * Owns a table in the session's memory, of bounded size: when it is full it is
 * emptied.  What it says decides only when a row is written, never what stands
 * in it.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "ledger_pending.h"

/* Accounts to remember: some 12 MB */
#define MAX_ACCOUNTS	262144

#define UNKNOWN			(-1)

typedef struct Pending
{
	int64		account_id;		/* the key */
	int64		entries;
} Pending;

static HTAB *accounts = NULL;	/* NULL: nothing is known */
static int64 known_upto = UNKNOWN;

static void forget(void);

void
pay_ledger_pending_begin(int64 after)
{
	HASHCTL		control = {
		.keysize = sizeof(int64),
		.entrysize = sizeof(Pending),
		.hcxt = TopMemoryContext
	};

	if (known_upto != after ||
		(accounts != NULL && hash_get_num_entries(accounts) >= MAX_ACCOUNTS))
		forget();
	known_upto = UNKNOWN;		/* until the slice is done */
	if (accounts == NULL)
		accounts = hash_create("payments pending entries", 1024, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
pay_ledger_pending_end(int64 upto)
{
	known_upto = upto;
}

static void
forget(void)
{
	if (accounts != NULL)
		hash_destroy(accounts);
	accounts = NULL;
}

bool
pay_ledger_pending_add(int64 account_id, int64 entries, int64 enough)
{
	Pending    *pending = hash_search(accounts, &account_id, HASH_FIND, NULL);

	if (pending == NULL)
		return true;
	pending->entries += entries;
	return pending->entries >= enough;
}

/*
 * It has no entries yet, and nobody else sees it before the end of the
 * transaction: what it gets stands behind every slice that has been taken.  When
 * that is rolled back the id stays unused.
 */
void
pay_ledger_pending_opened(int64 account_id)
{
	if (accounts != NULL && hash_get_num_entries(accounts) < MAX_ACCOUNTS)
		pay_ledger_pending_set(account_id, 0);
}

void
pay_ledger_pending_set(int64 account_id, int64 entries)
{
	Pending    *pending = hash_search(accounts, &account_id, HASH_ENTER, NULL);

	pending->entries = entries;
}
