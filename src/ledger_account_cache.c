/*
 * ledger_account_cache.c
 *		The accounts that this session has met.
 *
 * Rows of payments.ledger_account never change and never go, so what was read
 * once is true for ever, with two exceptions: the transaction that read it may
 * have opened it itself and be rolled back, and the table may be dropped.  In
 * both cases everything is forgotten.  The number of stripes and the place of
 * the balance are hints; who uses them finds out when they have changed
 * (ledger_balance.c).
 *
 * Every session has its own, so an account takes little room: what is looked up
 * for each posting should stay in the processor's cache.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "storage/bufmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "ledger_account_cache.h"

#define MAX_KNOWN 100000		/* then it begins anew */

#define CODES_SIZE	8192		/* room for codes is made in such pieces */

/* Reading ahead of need: after so many misses, in tables of up to so many blocks */
#define AHEAD_AFTER		16
#define AHEAD_BLOCKS	512
#define AHEAD_AT_ONCE	128

typedef struct KnownCode
{
	char	   *code;
	uint32		hash;
	char		status;			/* simplehash's */
	bool		normal_debit;
	int16		stripes;
	int64		id;
	char		currency[4];
	ItemPointerData place;
} KnownCode;

#define SH_PREFIX code
#define SH_ELEMENT_TYPE KnownCode
#define SH_KEY_TYPE char *
#define SH_KEY code
#define SH_HASH_KEY(tb, key) \
	hash_bytes((const unsigned char *) (key), (int) strlen(key))
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static struct
{
	MemoryContext context;		/* NULL: nothing is known */
	code_hash  *codes;
	char	   *room;			/* for the next code */
	Size		room_left;
	Oid			table;
	bool		fresh;			/* one was opened by this transaction */
	bool		stale;			/* to be forgotten at the next use */
	int			missed;			/* so many were looked for in the table */
	BlockNumber ahead;			/* from this block of it on nothing was read */
	BlockNumber end;			/* nor will it be from this one on */
}			known;

static void make_ready(void);
static char *copy_code(const char *code);
static void at_transaction(XactEvent event, void *arg);
static void at_subtransaction(SubXactEvent event, SubTransactionId my_id,
							  SubTransactionId parent_id, void *arg);
static void at_invalidation(Datum arg, Oid relation);

bool
pay_ledger_account_recall(PayLedgerAccount *account)
{
	KnownCode  *entry;

	make_ready();
	entry = code_lookup(known.codes, unconstify(char *, account->code));
	if (entry == NULL)
		return false;
	account->id = entry->id;
	memcpy(account->currency, entry->currency, sizeof(account->currency));
	account->normal_debit = entry->normal_debit;
	account->stripes = entry->stripes;
	account->place = entry->place;
	return true;
}

void
pay_ledger_account_remember(const PayLedgerAccount *account, bool own)
{
	KnownCode  *entry;

	make_ready();
	entry = code_lookup(known.codes, unconstify(char *, account->code));
	if (entry == NULL)
	{
		bool		found;

		entry = code_insert(known.codes, copy_code(account->code), &found);
	}
	entry->id = account->id;
	memcpy(entry->currency, account->currency, sizeof(entry->currency));
	entry->normal_debit = account->normal_debit;
	entry->stripes = account->stripes;
	entry->place = account->place;
	if (own)
		known.fresh = true;
}

void
pay_ledger_account_remember_balance(const PayLedgerAccount *account)
{
	KnownCode  *entry;

	make_ready();
	entry = code_lookup(known.codes, unconstify(char *, account->code));
	if (entry == NULL)
		return;
	entry->stripes = account->stripes;
	entry->place = account->place;
}

bool
pay_ledger_account_read_ahead(Relation table, int n, BlockNumber *first,
							  BlockNumber *last)
{
	make_ready();
	if (known.missed <= AHEAD_AFTER)
		known.missed += n;
	if (known.missed <= AHEAD_AFTER)
		return false;

	if (known.end == 0)
	{
		known.end = RelationGetNumberOfBlocks(table);
		if (known.end > AHEAD_BLOCKS)
			known.ahead = known.end;
	}
	if (known.ahead == known.end)
		return false;
	*first = known.ahead;
	known.ahead = Min(known.ahead + Min(n, AHEAD_AT_ONCE), known.end);
	*last = known.ahead - 1;
	return true;
}

/* Empty the cache when it is due, and see that there is one. */
static void
make_ready(void)
{
	static bool registered = false;
	MemoryContext context;

	if (!registered)
	{
		RegisterXactCallback(at_transaction, NULL);
		RegisterSubXactCallback(at_subtransaction, NULL);
		CacheRegisterRelcacheCallback(at_invalidation, (Datum) 0);
		registered = true;
	}
	if (known.context != NULL && !known.stale &&
		known.codes->members < MAX_KNOWN)
		return;

	if (known.context != NULL)
		MemoryContextDelete(known.context);
	memset(&known, 0, sizeof(known));
	context = AllocSetContextCreate(TopMemoryContext, "payments accounts",
									ALLOCSET_DEFAULT_SIZES);
	known.codes = code_create(context, 256, NULL);
	known.table = get_relname_relid("ledger_account",
									get_namespace_oid("payments", false));
	known.context = context;
}

static char *
copy_code(const char *code)
{
	Size		size = strlen(code) + 1;
	char	   *copy;

	if (size > known.room_left)
	{
		known.room = MemoryContextAlloc(known.context,
										Max(size, CODES_SIZE));
		known.room_left = Max(size, CODES_SIZE);
	}
	copy = known.room;
	memcpy(copy, code, size);
	known.room += size;
	known.room_left -= size;
	return copy;
}

/* What a transaction opened that did not commit is not there. */
static void
at_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT)
		known.fresh = false;
	else if (known.fresh && (event == XACT_EVENT_ABORT ||
							 event == XACT_EVENT_PREPARE))
		known.stale = true;
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId my_id,
				  SubTransactionId parent_id, void *arg)
{
	if (known.fresh && event == SUBXACT_EVENT_ABORT_SUB)
		known.stale = true;
}

static void
at_invalidation(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == known.table)
		known.stale = true;
}
