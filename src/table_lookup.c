/*
 * table_lookup.c
 *		Finding rows of a table that is open for writing.
 *
 * What is found is copied, so that no buffer stays pinned while its writer is
 * waited for: a pin would keep old versions from being pruned, and they are
 * many where many wait.
 *
 * A row whose place is known, from an earlier call or from the index, is read
 * there.  Unlike the server's own look through an index this does not prune the
 * page each time: a page that is kept half empty for updates is always empty
 * enough to hold more versions, and always, in the eyes of the server, too full.
 * It is pruned when little room is left, so that one record in the log clears
 * many versions.
 *
 * Entries of one key are in the order of their places, and a table in which
 * nothing may be cleared, because of an old snapshot, grows at its end: so they
 * are read from the last one, or every version that was ever moved to another
 * page would be read before the one that counts.  test/t/096_old_snapshot.pl
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "table_lookup.h"

/* Room for a dozen versions of a narrow row */
#define ROOM_LEFT (BLCKSZ / 8)

static bool read_in_buffer(PayTableLookup *lookup, Buffer buffer,
						   ItemPointer place);

void
pay_table_lookup_begin(PayTableLookup *lookup, const PayTable *table,
					   Relation index)
{
	lookup->relation = pay_table_relation(table);
	lookup->index = index;
	lookup->snapshot = NULL;
	lookup->row = table_slot_create(lookup->relation, NULL);
	lookup->scan = NULL;
	lookup->n_blocks = 0;
}

void
pay_table_lookup_end(PayTableLookup *lookup)
{
	if (lookup->scan != NULL)
		index_endscan(lookup->scan);
	ExecDropSingleTupleTableSlot(lookup->row);
}

void
pay_table_lookup_with(PayTableLookup *lookup, Snapshot snapshot)
{
	if (lookup->scan != NULL)
		index_endscan(lookup->scan);
	lookup->scan = NULL;
	lookup->snapshot = snapshot;
}

void
pay_table_lookup_key(PayTableLookup *lookup, ScanKey keys, int n)
{
	if (lookup->scan == NULL)
		lookup->scan = pay_index_beginscan(lookup->relation, lookup->index,
										   lookup->snapshot, n);
	index_rescan(lookup->scan, keys, n, NULL, 0);
}

bool
pay_table_lookup_next(PayTableLookup *lookup, ItemPointer place)
{
	IndexScanDesc scan = lookup->scan;
	ItemPointer tid;

	while ((tid = index_getnext_tid(scan, BackwardScanDirection)) != NULL)
	{
		*place = *tid;
		if (IsMVCCSnapshot(lookup->snapshot))
		{
			if (pay_table_lookup_place(lookup, place))
				return true;
		}
		else if (index_fetch_heap(scan, lookup->row))
		{
			ExecMaterializeSlot(lookup->row);
			return true;
		}
	}
	return false;
}

void
pay_table_lookup_entries(PayTableLookup *lookup, ScanKey keys, int n)
{
	if (lookup->scan == NULL)
		lookup->scan = pay_index_beginscan(lookup->relation, lookup->index,
										   lookup->snapshot, n);
	lookup->scan->xs_want_itup = true;
	index_rescan(lookup->scan, keys, n, NULL, 0);
}

bool
pay_table_lookup_entry(PayTableLookup *lookup, Datum *values,
					   ItemPointer place)
{
	IndexScanDesc scan = lookup->scan;
	bool		nulls[INDEX_MAX_KEYS];
	ItemPointer tid = index_getnext_tid(scan, ForwardScanDirection);

	if (tid == NULL)
		return false;
	index_deform_tuple(scan->xs_itup, scan->xs_itupdesc, values, nulls);
	*place = *tid;
	return true;
}

bool
pay_table_lookup_place(PayTableLookup *lookup, ItemPointer place)
{
	Relation	relation = lookup->relation;
	BlockNumber block;
	Buffer		buffer;
	bool		found;

	if (!ItemPointerIsValid(place))
		return false;

	/* while it is open it may grow but not shrink */
	block = ItemPointerGetBlockNumber(place);
	if (block >= lookup->n_blocks)
		lookup->n_blocks = RelationGetNumberOfBlocks(relation);
	if (block >= lookup->n_blocks)
		return false;

	buffer = ReadBuffer(relation, block);
	if (PageGetHeapFreeSpace(BufferGetPage(buffer)) < ROOM_LEFT)
		heap_page_prune_opt(relation, buffer);
	found = read_in_buffer(lookup, buffer, place);
	ReleaseBuffer(buffer);
	return found;
}

/* Follow the chain that begins at a place; copy the version that is visible. */
static bool
read_in_buffer(PayTableLookup *lookup, Buffer buffer, ItemPointer place)
{
	ItemPointerData tid = *place;
	HeapTupleData tuple;
	bool		found;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, lookup->relation, buffer,
								   lookup->snapshot, &tuple, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
		return false;

	tuple.t_self = tid;
	tuple.t_tableOid = RelationGetRelid(lookup->relation);
	ExecStoreBufferHeapTuple(&tuple, lookup->row, buffer);
	ExecMaterializeSlot(lookup->row);
	return true;
}
