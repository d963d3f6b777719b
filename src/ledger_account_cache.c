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
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "ledger_account_cache.h"

#define MAX_KNOWN 100000		/* then it begins anew */

typedef struct KnownCode
{
	char	   *code;
	uint32		hash;
	char		status;			/* simplehash's */
	PayLedgerAccount account;
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
	Oid			table;
	bool		fresh;			/* something was read by this transaction */
	bool		stale;			/* to be forgotten at the next use */
}			known;

static void make_ready(void);
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
	account->id = entry->account.id;
	memcpy(account->currency, entry->account.currency,
		   sizeof(account->currency));
	account->normal_debit = entry->account.normal_debit;
	account->stripes = entry->account.stripes;
	account->place = entry->account.place;
	return true;
}

void
pay_ledger_account_remember(const PayLedgerAccount *account)
{
	KnownCode  *entry;
	char	   *code;
	bool		found;

	make_ready();
	code = MemoryContextStrdup(known.context, account->code);
	entry = code_insert(known.codes, code, &found);
	if (found)
		pfree(code);
	entry->account = *account;
	entry->account.code = entry->code;
	known.fresh = true;
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

/* What a transaction read that did not commit may be its own. */
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
