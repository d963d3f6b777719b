/*
 * ledger_pending.c
 *		The entries of an account behind its last snapshot, as far as this
 *		session knows.
 *
 * Owns a table in the session's memory, of bounded size: when it is full it is
 * emptied.  Entries that are final never change, so lines that are complete are
 * what would be read; whether they stand behind the account's last row is seen
 * by that row (ledger_snapshot_write.c).  An account whose lines find no room,
 * or whose first ones were not met, is only counted.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "ledger_pending.h"

/* Accounts and lines to remember: some 20 MB, and 40 */
#define MAX_ACCOUNTS	262144
#define MAX_LINES		1000000

/* Room for the first lines of an account; doubled each time */
#define FIRST_LINES		12

#define UNKNOWN			(-1)

static MemoryContext context = NULL;	/* NULL: nothing is known */
static HTAB *accounts;
static int64 n_lines;			/* room for so many was made */
static int64 known_upto = UNKNOWN;

static void make_ready(void);
static void forget(void);
static bool make_room(PayLedgerPending *pending);
static void drop_lines(PayLedgerPending *pending);

void
pay_ledger_pending_begin(int64 after)
{
	if (known_upto != after ||
		(context != NULL && hash_get_num_entries(accounts) >= MAX_ACCOUNTS))
		forget();
	known_upto = UNKNOWN;		/* until the slice is done */
	if (context == NULL)
		make_ready();
}

void
pay_ledger_pending_end(int64 upto)
{
	known_upto = upto;
}

static void
make_ready(void)
{
	HASHCTL		control = {
		.keysize = sizeof(int64),
		.entrysize = sizeof(PayLedgerPending)
	};

	context = AllocSetContextCreate(TopMemoryContext,
									"payments pending entries",
									ALLOCSET_DEFAULT_SIZES);
	control.hcxt = context;
	accounts = hash_create("payments pending entries", 1024, &control,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	n_lines = 0;
}

static void
forget(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
}

PayLedgerPending *
pay_ledger_pending_of(int64 account_id)
{
	bool		found;
	PayLedgerPending *pending = hash_search(accounts, &account_id, HASH_ENTER,
											&found);

	if (!found)
	{
		memset(pending, 0, sizeof(PayLedgerPending));
		pending->account_id = account_id;
		pending->entries = UNKNOWN;
	}
	return pending;
}

void
pay_ledger_pending_count(PayLedgerPending *pending, int64 entries)
{
	drop_lines(pending);
	pending->entries = entries;
}

void
pay_ledger_pending_restart(PayLedgerPending *pending, int32 ordinal,
						   int64 last_id)
{
	pending->entries = 0;
	pending->complete = true;
	pending->ordinal = ordinal;
	pending->last_id = last_id;
	pending->n_lines = 0;
}

void
pay_ledger_pending_add(PayLedgerPending *pending,
					   const PayLedgerPendingLine *line)
{
	PayLedgerPendingLine *last;

	pending->entries += line->entries;
	if (!pending->complete)
		return;

	last = pending->n_lines == 0 ? NULL :
		&pending->lines[pending->n_lines - 1];
	if (last != NULL && last->id == line->id)
	{
		last->entries += line->entries;
		if (pg_add_s64_overflow(last->amount, line->amount, &last->amount))
			drop_lines(pending);
	}
	else if (pending->n_lines < pending->size || make_room(pending))
		pending->lines[pending->n_lines++] = *line;
	else
		drop_lines(pending);
}

/* False when there is no more. */
static bool
make_room(PayLedgerPending *pending)
{
	int			size = pending->size == 0 ? FIRST_LINES : 2 * pending->size;
	Size		bytes = sizeof(PayLedgerPendingLine) * size;

	if (n_lines + size - pending->size > MAX_LINES)
		return false;
	if (pending->lines == NULL)
		pending->lines = MemoryContextAlloc(context, bytes);
	else
		pending->lines = repalloc(pending->lines, bytes);
	n_lines += size - pending->size;
	pending->size = size;
	return true;
}

static void
drop_lines(PayLedgerPending *pending)
{
	if (pending->lines != NULL)
		pfree(pending->lines);
	n_lines -= pending->size;
	pending->lines = NULL;
	pending->size = pending->n_lines = 0;
	pending->complete = false;
}
