/*
 * table_key.c
 *		Who comes first with a key: taking it for a row that is written directly.
 *
 * A key is taken by entering its row into the index of keys, which looks and
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
 * Keys are to be taken in order, and a later one is not taken while an earlier
 * one is waited for: calls with the same keys do not deadlock.
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
#include "utils/snapmgr.h"

#include "table_key.h"
#include "table_lookup.h"

typedef enum KeyState
{
	KEY_FREE,
	KEY_TAKEN,
	KEY_BUSY					/* by a transaction that is still running */
} KeyState;

static KeyState look(PayTable *table, Relation index, const char *key,
					 const char *what, TransactionId *xid);
static bool was_discarded(Relation table, ItemPointer tid);
static void check_visible(Relation table, TupleTableSlot *row,
						  const char *what);

bool
pay_table_take_key(PayTable *table, int i, Relation index, const char *key,
				   const char *what)
{
	uint32		hash;
	ItemPointerData lock;

	if (pay_table_enter_key(table, i, index))
		return true;
	pay_table_discard_row(table, i);

	hash = hash_bytes((const unsigned char *) key, (int) strlen(key));
	ItemPointerSet(&lock, hash, FirstOffsetNumber);
	for (;;)
	{
		TransactionId xid;
		KeyState	state;

		LockTuple(index, &lock, ExclusiveLock);
		state = look(table, index, key, what, &xid);
		if (state == KEY_FREE)
		{
			/* others may have it only by rows that they have deleted */
			pay_table_write_again(table, i);
			(void) pay_table_enter_key(table, i, index);
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
look(PayTable *table, Relation index, const char *key, const char *what,
	 TransactionId *xid)
{
	Relation	relation = pay_table_relation(table);
	PayTableLookup lookup;
	ItemPointerData place;
	SnapshotData dirty;
	ScanKeyData equal;
	KeyState	state = KEY_FREE;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&equal, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key));
	equal.sk_collation = index->rd_indcollation[0];
	pay_table_lookup_begin(&lookup, table, index);
	pay_table_lookup_with(&lookup, &dirty);
	pay_table_lookup_key(&lookup, &equal, 1);
	while (state == KEY_FREE && pay_table_lookup_next(&lookup, &place))
	{
		*xid = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
		if (TransactionIdIsValid(dirty.xmin) &&
			was_discarded(relation, &lookup.row->tts_tid))
			continue;
		state = TransactionIdIsValid(*xid) ? KEY_BUSY : KEY_TAKEN;
		if (state == KEY_TAKEN && IsolationUsesXactSnapshot())
			check_visible(relation, lookup.row, what);
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
check_visible(Relation table, TupleTableSlot *row, const char *what)
{
	CommandCounterIncrement();	/* it may stand twice in this very call */
	if (!table_tuple_fetch_row_version(table, &row->tts_tid,
									   GetTransactionSnapshot(), row))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("%s since this transaction began.", what),
				 errhint("Repeat the transaction.")));
}
