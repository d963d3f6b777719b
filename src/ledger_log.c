/*
 * ledger_log.c
 *		Zero sum: every ledger transaction that commits is whole, and its
 *		entries add up to zero in every currency, whoever wrote them.
 *
 * Owns the log: one element in backend memory for each entry that this
 * database transaction inserted, in the order of arrival.  A hash table knows
 * the newest element of each ledger transaction, and elements of the same one
 * are chained from there backwards.
 *
 *	- The trigger on each entry appends it.
 *	- The deferred constraint trigger, on the last entry of each ledger
 *	  transaction, has its chain walked: as many entries as they say there
 *	  are, numbered 1 to n, each currency's sum zero.
 *	- Before commit and before PREPARE whatever has not passed since its
 *	  newest entry is checked once more, so that a constraint trigger that
 *	  was dropped, or a last entry that is missing, does not help.
 *
 * No query is run: neither row security, nor the role at commit, nor a
 * snapshot, nor search_path can blind the check.  Since entries are numbered
 * from 1 and say how many they are, and (transaction, number) is the key of
 * their table, nothing can be added to a transaction that was committed.
 *
 * What is not obvious is the rolling back.  Subtransaction ids rise, so the
 * elements of a subtransaction and of its children are those at the end of the
 * log whose id is not below its own: an abort cuts them off one by one, and
 * sets each chain's head back to the element before.  Sums per transaction
 * could not be set back like that; they are made when they are needed.
 *
 * The cost of an entry is constant.  A backend needs about 60 bytes for each
 * until the transaction ends.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

#include "ledger_log.h"
#include "zero_sum.h"

#define NO_ENTRY (-1)

typedef struct LoggedEntry
{
	int64		transaction_id;
	int64		amount;			/* mills */
	int64		previous;		/* of the same ledger transaction */
	SubTransactionId subtransaction;
	PayCurrencyCode currency;
	int16		entry_no;
	int16		entry_count;
} LoggedEntry;

typedef struct LoggedTransaction
{
	int64		id;
	int64		newest;			/* NO_ENTRY: all were rolled back */
	bool		passed;			/* since the newest entry */
	char		status;			/* simplehash's */
} LoggedTransaction;

#define SH_PREFIX logged
#define SH_ELEMENT_TYPE LoggedTransaction
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(tb, key) \
	murmurhash32((uint32) (key) ^ murmurhash32((uint32) ((uint64) (key) >> 32)))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The log lives below TopTransactionContext, and is forgotten with it. */
static struct
{
	LoggedEntry *entries;
	int64		n;
	int64		capacity;
	logged_hash *transactions;
	bool		closed;			/* the check before commit is over */
}			entry_log;

static void make_room(void);
static void check_transaction(LoggedTransaction *transaction);
static void check_whole(const LoggedTransaction *transaction);
static void check_sums(const LoggedTransaction *transaction);
static void at_transaction(XactEvent event, void *arg);
static void at_subtransaction(SubXactEvent event, SubTransactionId my_id,
							  SubTransactionId parent_id, void *arg);
static void check_log(void);
static void cut_log(SubTransactionId subtransaction);

void
pay_ledger_log_register(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
	registered = true;
}

/*
 * When memory runs out, the log stays as it was.
 */
void
pay_ledger_log_append(int64 transaction_id, int16 entry_no, int16 entry_count,
					  PayCurrencyCode currency, int64 amount)
{
	LoggedTransaction *transaction;
	LoggedEntry *entry;
	bool		found;

	/*
	 * Only code that inserts from a pre-commit callback of its own, after
	 * ours, gets here: there is nobody left to check the entry.
	 */
	if (entry_log.closed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot insert ledger entries while the transaction is being committed")));

	make_room();
	transaction = logged_insert(entry_log.transactions, transaction_id,
								&found);
	if (!found)
		transaction->newest = NO_ENTRY;
	transaction->passed = false;

	entry = &entry_log.entries[entry_log.n];
	entry->transaction_id = transaction_id;
	entry->amount = amount;
	entry->previous = transaction->newest;
	entry->subtransaction = GetCurrentSubTransactionId();
	entry->currency = currency;
	entry->entry_no = entry_no;
	entry->entry_count = entry_count;
	transaction->newest = entry_log.n++;
}

static void
make_room(void)
{
	MemoryContext context = TopTransactionContext;

	if (entry_log.entries == NULL)
	{
		entry_log.transactions = logged_create(context, 16, NULL);
		entry_log.entries = MemoryContextAlloc(context,
											   32 * sizeof(LoggedEntry));
		entry_log.capacity = 32;
		entry_log.n = 0;
	}
	else if (entry_log.n == entry_log.capacity)
	{
		int64		capacity = entry_log.capacity * 2;

		entry_log.entries = repalloc_huge(entry_log.entries,
										  capacity * sizeof(LoggedEntry));
		entry_log.capacity = capacity;
	}
}

bool
pay_ledger_log_check(int64 transaction_id)
{
	LoggedTransaction *transaction;

	if (entry_log.transactions == NULL)
		return false;
	transaction = logged_lookup(entry_log.transactions, transaction_id);
	if (transaction == NULL || transaction->newest == NO_ENTRY)
		return false;
	if (!transaction->passed)
		check_transaction(transaction);
	return true;
}

/*
 * Check one ledger transaction by its logged entries.  Raises 23514 with the
 * name of the constraint.
 */
static void
check_transaction(LoggedTransaction *transaction)
{
	check_whole(transaction);
	check_sums(transaction);
	transaction->passed = true;
}

/* As many entries as they say there are, each number once. */
static void
check_whole(const LoggedTransaction *transaction)
{
	uint64		seen[PG_INT16_MAX / 64 + 1];
	int			count = entry_log.entries[transaction->newest].entry_count;
	int64		logged = 0;
	int64		i;
	const char *fault = NULL;

	if (count < 2)
		fault = "an entry says that it is the only one";
	else
		memset(seen, 0, (count / 64 + 1) * sizeof(uint64));

	for (i = transaction->newest; i != NO_ENTRY && fault == NULL;
		 i = entry_log.entries[i].previous)
	{
		const LoggedEntry *entry = &entry_log.entries[i];
		int			bit = entry->entry_no;

		if (entry->entry_count != count)
			fault = "entries disagree on how many they are";
		else if (bit < 1 || bit > count)
			fault = "the number of an entry is out of range";
		else if (seen[bit / 64] & UINT64CONST(1) << (bit % 64))
			fault = "two entries have the same number";
		else
			seen[bit / 64] |= UINT64CONST(1) << (bit % 64);
		logged++;
	}

	if (fault == NULL && logged == count)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("ledger transaction " INT64_FORMAT " is not whole",
					transaction->id),
			 fault != NULL ? errdetail("What is wrong: %s.", fault) :
			 errdetail("%d entries were announced, this database transaction inserted " INT64_FORMAT ".",
					   count, logged),
			 errhint("Entries are numbered 1 to entry_count, at least 2, and are inserted in one database transaction; nothing can be added later."),
			 pay_zero_sum_errconstraint()));
}

/* The sum of each currency is zero. */
static void
check_sums(const LoggedTransaction *transaction)
{
	PayZeroSum	zero_sum;
	char	   *residual;
	int64		i;

	pay_zero_sum_begin(&zero_sum);
	for (i = transaction->newest; i != NO_ENTRY;
		 i = entry_log.entries[i].previous)
	{
		const LoggedEntry *entry = &entry_log.entries[i];

		pay_zero_sum_add(&zero_sum, entry->currency, entry->amount);
	}

	residual = pay_zero_sum_residual(&zero_sum);
	if (residual != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("ledger transaction " INT64_FORMAT " does not add up to zero",
						transaction->id),
				 errdetail("What is left over: %s.", residual),
				 errhint("Debits are positive, credits negative; in each currency they must cancel out."),
				 pay_zero_sum_errconstraint()));
}

/*
 * Ends of transactions
 */

static void
at_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			check_log();
			entry_log.closed = true;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			/* the memory goes with TopTransactionContext */
			memset(&entry_log, 0, sizeof(entry_log));
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			/* parallel workers insert nothing */
			break;
	}
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId my_id,
				  SubTransactionId parent_id, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		cut_log(my_id);
}

/* Check whatever has not passed since its newest entry. */
static void
check_log(void)
{
	logged_iterator iterator;
	LoggedTransaction *transaction;

	if (entry_log.transactions == NULL)
		return;
	logged_start_iterate(entry_log.transactions, &iterator);
	while ((transaction = logged_iterate(entry_log.transactions,
										 &iterator)) != NULL)
	{
		if (!transaction->passed && transaction->newest != NO_ENTRY)
			check_transaction(transaction);
	}
}

/*
 * Take back what a subtransaction and its children logged.  Allocates nothing
 * and raises nothing: an abort is under way.
 */
static void
cut_log(SubTransactionId subtransaction)
{
	while (entry_log.n > 0)
	{
		LoggedEntry *last = &entry_log.entries[entry_log.n - 1];
		LoggedTransaction *transaction;

		if (last->subtransaction < subtransaction)
			break;
		transaction = logged_lookup(entry_log.transactions,
									last->transaction_id);
		transaction->newest = last->previous;
		transaction->passed = false;
		entry_log.n--;
	}
}
