/*
 * ledger_header.c
 *		Headers of ledger transactions: who comes first with a key.
 *
 * A key is taken by entering its header into the index of keys, which looks and
 * enters in one step, and says whether somebody else may have the key.  Who is
 * told no such thing has it.
 *
 * Who comes too late has a row in the index nevertheless, and deletes it at
 * once.  To the server its transaction is in the midst of inserting it, so from
 * then on everybody else comes too late as well.  Among those, finding nobody
 * and entering another row happen under a lock that is held for just these two
 * steps: a tuple lock on the index (whose tuples nobody locks), numbered by the
 * key's hash.  Nothing is waited for while it is held.  Who finds the key taken
 * by a transaction that is still running lets go, waits for it, looks again.
 *
 * A look passes over rows that their own inserter has deleted; else two that
 * came too late would wait for each other.  They do not: who has been found had
 * not deleted its row yet, so it looks later than the one who has found it.
 * Each waits for one that has the key or looks later, and the first for none.
 *
 * Keys are taken in order, and a later one is not taken while an earlier one
 * is waited for: calls with the same keys do not deadlock.  Rows that are in no
 * index yet are seen by nobody, so all can be written at once.
 *
 * A transaction id is drawn before the ids of the rows: snapshots rely on it
 * (ledger_horizon.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "db.h"
#include "ledger_header.h"
#include "table.h"
#include "table_lookup.h"

enum
{
	HEADER_ID,
	HEADER_KEY,
	HEADER_KIND,
	HEADER_ORDER_ID,
	HEADER_DESCRIPTION,
	HEADER_REVERSES_ID,
	HEADER_EFFECTIVE_AT,
	HEADER_RECORDED_AT,
	HEADER_METADATA
};

static PayTable headers = {
	"ledger_transaction",
	{
		[HEADER_ID] = "id",
		[HEADER_KEY] = "transaction_key",
		[HEADER_KIND] = "kind",
		[HEADER_ORDER_ID] = "order_id",
		[HEADER_DESCRIPTION] = "description",
		[HEADER_REVERSES_ID] = "reverses_id",
		[HEADER_EFFECTIVE_AT] = "effective_at",
		[HEADER_RECORDED_AT] = "recorded_at",
		[HEADER_METADATA] = "metadata",
	}
};

typedef enum KeyState
{
	KEY_FREE,
	KEY_TAKEN,
	KEY_BUSY					/* by a transaction that is still running */
} KeyState;

static void write_header(int i, const PayLedgerPosting *posting,
						 TimestampTz now);
static void set_text(int i, int column, const char *value);
static bool take_key(int i, const char *transaction_key, Relation index);
static KeyState look(const char *transaction_key, Relation index,
					 TransactionId *xid);
static bool was_discarded(Relation table, ItemPointer tid);
static void check_visible(Relation table, TupleTableSlot *row);

int
pay_ledger_header_insert(PayLedgerPosting **sorted, int n, TimestampTz now)
{
	static const int key_column[] = {HEADER_KEY};
	PayLedgerPosting **there = palloc(sizeof(PayLedgerPosting *) * n);
	Relation	index;
	int64	   *ids;
	int			n_new = 0;
	int			n_there = 0;

	(void) GetCurrentTransactionId();
	ids = pay_db_draw_ids("ledger_transaction_id_seq", n);

	pay_table_open(&headers);
	index = pay_table_unique_index(&headers, key_column, 1);
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
		{
			sorted[first + i]->id = ids[first + i];
			write_header(i, sorted[first + i], now);
		}
		pay_table_write_rows(&headers, rows);
		for (int i = 0; i < rows; i++)
		{
			PayLedgerPosting *posting = sorted[first + i];

			posting->was_there = !take_key(i, posting->transaction_key,
										   index);
			if (posting->was_there)
				there[n_there++] = posting;
			else
				sorted[n_new++] = posting;
		}
		pay_table_index_rows(&headers, rows, index);
	}
	pay_table_close(&headers);
	memcpy(sorted + n_new, there, sizeof(there[0]) * n_there);
	return n_new;
}

static void
write_header(int i, const PayLedgerPosting *posting, TimestampTz now)
{
	pay_table_begin_row(&headers, i);
	pay_table_set(&headers, i, HEADER_ID, Int64GetDatum(posting->id));
	set_text(i, HEADER_KEY, posting->transaction_key);
	set_text(i, HEADER_KIND, posting->kind);
	set_text(i, HEADER_ORDER_ID, posting->order_id);
	set_text(i, HEADER_DESCRIPTION, posting->description);
	if (posting->reverses_id != 0)
		pay_table_set(&headers, i, HEADER_REVERSES_ID,
					  Int64GetDatum(posting->reverses_id));
	pay_table_set(&headers, i, HEADER_EFFECTIVE_AT,
				  TimestampTzGetDatum(posting->effective_at == PAY_LEDGER_NOW ?
									  now : posting->effective_at));
	pay_table_set(&headers, i, HEADER_RECORDED_AT, TimestampTzGetDatum(now));
	if (posting->metadata != NULL)
		pay_table_set(&headers, i, HEADER_METADATA,
					  DirectFunctionCall1(jsonb_in,
										  CStringGetDatum(posting->metadata)));
}

/* NULL stays null. */
static void
set_text(int i, int column, const char *value)
{
	if (value != NULL)
		pay_table_set(&headers, i, column, CStringGetTextDatum(value));
}

/* Make the key row i's; when it is somebody else's, false, and no row is left. */
static bool
take_key(int i, const char *transaction_key, Relation index)
{
	uint32		hash;
	ItemPointerData lock;

	if (pay_table_enter_key(&headers, i, index))
		return true;
	pay_table_discard_row(&headers, i);

	hash = hash_bytes((const unsigned char *) transaction_key,
					  (int) strlen(transaction_key));
	ItemPointerSet(&lock, hash, FirstOffsetNumber);
	for (;;)
	{
		TransactionId xid;
		KeyState	state;

		LockTuple(index, &lock, ExclusiveLock);
		state = look(transaction_key, index, &xid);
		if (state == KEY_FREE)
		{
			/* others may have it only by rows that they have deleted */
			pay_table_write_again(&headers, i);
			(void) pay_table_enter_key(&headers, i, index);
		}
		UnlockTuple(index, &lock, ExclusiveLock);

		if (state != KEY_BUSY)
			return state == KEY_FREE;
		XactLockTableWait(xid, NULL, NULL, XLTW_None);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Who has the key?  Raises 40001 when it was taken after this transaction's
 * snapshot.
 */
static KeyState
look(const char *transaction_key, Relation index, TransactionId *xid)
{
	Relation	table = pay_table_relation(&headers);
	PayTableLookup lookup;
	ItemPointerData place;
	SnapshotData dirty;
	ScanKeyData equal;
	KeyState	state = KEY_FREE;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&equal, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(transaction_key));
	equal.sk_collation = index->rd_indcollation[0];
	pay_table_lookup_begin(&lookup, &headers, index);
	pay_table_lookup_with(&lookup, &dirty);
	pay_table_lookup_key(&lookup, &equal, 1);
	while (state == KEY_FREE && pay_table_lookup_next(&lookup, &place))
	{
		*xid = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
		if (TransactionIdIsValid(dirty.xmin) &&
			was_discarded(table, &lookup.row->tts_tid))
			continue;
		state = TransactionIdIsValid(*xid) ? KEY_BUSY : KEY_TAKEN;
		if (state == KEY_TAKEN && IsolationUsesXactSnapshot())
			check_visible(table, lookup.row);
	}
	pay_table_lookup_end(&lookup);
	return state;
}

/*
 * Has its inserter deleted it?  Having locked it, as a foreign key does, is
 * another thing, and both may be under way: hence the lock on the page.  When
 * the inserter was rolled back the row may be gone.
 */
static bool
was_discarded(Relation table, ItemPointer tid)
{
	Buffer		buffer = ReadBuffer(table, ItemPointerGetBlockNumber(tid));
	Page		page = BufferGetPage(buffer);
	ItemId		item;
	bool		discarded = true;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	item = PageGetItemId(page, ItemPointerGetOffsetNumber(tid));
	if (ItemIdIsNormal(item))
	{
		HeapTupleHeader row = (HeapTupleHeader) PageGetItem(page, item);

		discarded = !(row->t_infomask & HEAP_XMAX_INVALID) &&
			!HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
			HeapTupleHeaderGetRawXmax(row) == HeapTupleHeaderGetRawXmin(row);
	}
	UnlockReleaseBuffer(buffer);
	return discarded;
}

static void
check_visible(Relation table, TupleTableSlot *row)
{
	CommandCounterIncrement();	/* it may stand twice in this very call */
	if (!table_tuple_fetch_row_version(table, &row->tts_tid,
									   GetTransactionSnapshot(), row))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("A ledger transaction with the same key was posted since this transaction began."),
				 errhint("Repeat the transaction.")));
}
