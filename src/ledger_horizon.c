/*
 * ledger_horizon.c
 *		Up to which id ledger transactions are final.
 *
 * Owns payments.ledger_horizon.  Ids come from a sequence and are committed in
 * any order: a session may draw 7, think for an hour and commit, while 8 to
 * 9000 are there already.  Whoever sums up "what is new since the last time"
 * by id loses 7 for ever.  So nothing is summed up before it is certain that
 * no id at or below it can come any more.  That takes three steps, and each
 * has to see the one before committed:
 *
 * 1. The last number of the sequence becomes the candidate L.  Whatever draws
 *	  an id from here on draws one above L.
 * 2. X is the next transaction number (xid) that the server will give, once L is
 *	  committed.  (A snapshot's xmax will not do: it is one past the newest xid
 *	  that has ended, and there may be running ones beyond it.)  A
 *	  post draws its xid before its id: one that has an id up to L has an xid
 *	  below X.  A raw writer may bring any id, but from the moment L is
 *	  committed its trigger refuses those up to L, unless its xid is below X.
 * 3. Once all transactions below X have ended, prepared ones too, whatever has
 *	  an id up to L is there for everybody to see, or never will be: L is final.
 *
 * A call takes one or two of them.  A writing transaction that stays open, in
 * whatever database, holds up the third; reads are exact all the same, they
 * only have more entries to add up.
 *
 * A restored database begins with the mark at 0, and takes ids of any age
 * while its rows come in.  test/specs/snapshot_horizon.spec
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "db.h"
#include "errors.h"
#include "ledger_snapshot.h"

/* Columns of payments.ledger_horizon */
#define FINAL_ID		2
#define CANDIDATE_ID	4
#define WAIT_XID		6
#define COLUMNS			6

typedef struct Mark
{
	int64		final_id;
	int64		done_id;
	int64		candidate_id;
	uint64		candidate_xid;	/* who wrote the candidate */
	uint64		wait_xid;		/* X; 0: not known yet */
} Mark;

static bool lock_mark(Mark *mark);
static void move(Mark *mark);
static int64 new_candidate(const Mark *mark);
static bool read_mark(Datum *values, bool *nulls);

bool
pay_ledger_horizon_advance(int64 *done_id, int64 *final_id)
{
	static PayStatement update = {
		"UPDATE payments.ledger_horizon SET final_id = $1, candidate_id = $2, candidate_xid = $3, wait_xid = $4",
		4, {INT8OID, INT8OID, XID8OID, XID8OID}
	};
	Mark		mark;
	Mark		before;
	Datum		values[4];

	if (!lock_mark(&mark))
		return false;
	before = mark;
	move(&mark);
	if (mark.final_id != before.final_id ||
		mark.candidate_id != before.candidate_id ||
		mark.wait_xid != before.wait_xid)
	{
		values[0] = Int64GetDatum(mark.final_id);
		values[1] = Int64GetDatum(mark.candidate_id);
		values[2] = UInt64GetDatum(mark.candidate_xid);
		values[3] = UInt64GetDatum(mark.wait_xid);
		pay_db_run(&update, values, mark.wait_xid == 0 ? "   n" : NULL);
	}
	*done_id = mark.done_id;
	*final_id = mark.final_id;
	return true;
}

void
pay_ledger_horizon_done(int64 done_id)
{
	static PayStatement update = {
		"UPDATE payments.ledger_horizon SET done_id = $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(done_id)};

	pay_db_run(&update, values, NULL);
}

/*
 * Lock the row for the rest of the transaction; whoever comes second goes
 * away.  This also draws our own xid, before move() looks at others'.
 */
static bool
lock_mark(Mark *mark)
{
	static PayStatement lock = {
		"SELECT h.final_id, h.done_id, h.candidate_id, h.candidate_xid, h.wait_xid"
		" FROM ONLY payments.ledger_horizon h FOR UPDATE SKIP LOCKED",
		0
	};
	bool		is_null;

	if (pay_db_run(&lock, NULL, NULL) == 0)
		return false;
	mark->final_id = pay_db_int64(0, 1);
	mark->done_id = pay_db_int64(0, 2);
	mark->candidate_id = pay_db_int64(0, 3);
	mark->candidate_xid = DatumGetUInt64(pay_db_datum(0, 4, &is_null));
	mark->wait_xid = DatumGetUInt64(pay_db_datum(0, 5, &is_null));
	if (is_null)
		mark->wait_xid = 0;
	return true;
}

/*
 * Take the steps that can be taken now.  The snapshot is that of a statement
 * that began after the row was locked, so whatever the row says had been
 * committed when it was taken; only our own candidate was not.
 */
static void
move(Mark *mark)
{
	static PayStatement look = {
		"SELECT pg_catalog.pg_current_xact_id(),"
		" pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())",
		0
	};
	uint64		own;
	uint64		xmin;
	bool		is_null;

	pay_db_run(&look, NULL, NULL);
	own = DatumGetUInt64(pay_db_datum(0, 1, &is_null));
	xmin = DatumGetUInt64(pay_db_datum(0, 2, &is_null));

	if (mark->candidate_id > mark->final_id)
	{
		if (mark->wait_xid == 0 && mark->candidate_xid != own)
			mark->wait_xid =
				U64FromFullTransactionId(ReadNextFullTransactionId());
		else if (mark->wait_xid != 0 && xmin >= mark->wait_xid)
		{
			mark->final_id = mark->candidate_id;
			mark->wait_xid = 0;
		}
	}
	if (mark->candidate_id == mark->final_id)
	{
		mark->candidate_id = new_candidate(mark);
		mark->candidate_xid = own;
	}
}

/*
 * The last id that was drawn.  Read by the function that locks the page: it
 * may hold a number too high for a moment.
 *
 * The first time, the newest ledger transaction must have its entries.  While
 * a restore is still at them a worker may be up already.
 */
static int64
new_candidate(const Mark *mark)
{
	static PayStatement read = {
		"SELECT COALESCE(pg_catalog.pg_sequence_last_value(s.seqrelid), 0), s.seqcache OPERATOR(pg_catalog.=) 1"
		" FROM pg_catalog.pg_sequence s WHERE s.seqrelid OPERATOR(pg_catalog.=)"
		" 'payments.ledger_transaction_id_seq'::pg_catalog.regclass",
		0
	};
	static PayStatement restored = {
		"SELECT 1 FROM ONLY payments.ledger_entry e WHERE e.transaction_id OPERATOR(pg_catalog.=)"
		" (SELECT pg_catalog.max(t.id) FROM ONLY payments.ledger_transaction t) LIMIT 1",
		0
	};
	int64		last;

	pay_db_run(&read, NULL, NULL);
	if (!pay_db_bool(0, 2))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sequence \"payments.ledger_transaction_id_seq\" hands out numbers in advance"),
				 errdetail("An id that a session keeps for later could come after its snapshots were written."),
				 errhint("ALTER SEQUENCE payments.ledger_transaction_id_seq CACHE 1, and end the sessions that posted meanwhile.")));
	last = pay_db_int64(0, 1);

	if (last <= mark->final_id ||
		(mark->final_id == 0 && pay_db_run(&restored, NULL, NULL) == 0))
		return mark->final_id;
	return last;
}

/*
 * The check
 */

void
pay_ledger_horizon_check(int64 id)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
	uint64		own = U64FromFullTransactionId(GetTopFullTransactionId());
	int64		candidate_id;

	if (!read_mark(values, nulls))
		return;

	/* until there is a mark, ids may be what they like */
	candidate_id = DatumGetInt64(values[CANDIDATE_ID - 1]);
	if (id > candidate_id || candidate_id == 0)
		return;

	/* not final yet, and we are waited for */
	if (id > DatumGetInt64(values[FINAL_ID - 1]) &&
		!nulls[WAIT_XID - 1] && own < DatumGetUInt64(values[WAIT_XID - 1]))
		return;

	ereport(ERROR,
			(errcode(ERRCODE_PAY_LEDGER_FINAL),
			 errmsg("ledger transaction " INT64_FORMAT " comes too late", id),
			 errdetail("Ids up to " INT64_FORMAT " are final, or about to be, and summed up in snapshots.",
					   candidate_id),
			 errhint("Take the id from the sequence payments.ledger_transaction_id_seq in the same transaction, and try again; or call payments.post.")));
}

/*
 * The row as it is committed now, whatever the transaction's own snapshot
 * shows.  False when there is none.  A heap scan: the table has one page, and
 * old versions of the row are pruned as we pass.
 */
static bool
read_mark(Datum *values, bool *nulls)
{
	Oid			oid = get_relname_relid("ledger_horizon",
										get_namespace_oid("payments", false));
	Relation	table = table_open(oid, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TableScanDesc scan = table_beginscan(table, snapshot, 0, NULL);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection,
											   slot);

	if (found)
	{
		slot_getsomeattrs(slot, COLUMNS);
		memcpy(values, slot->tts_values, sizeof(Datum) * COLUMNS);
		memcpy(nulls, slot->tts_isnull, sizeof(bool) * COLUMNS);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(table, AccessShareLock);
	return found;
}
