/*
 * psp_epoch.c
 *		Runs of workers: their epochs, and the calls that a run leaves behind.
 *
 * A call in flight belongs to the run whose epoch its queue row has, and to
 * nobody else while that run lives, whichever shard the order is in by now.  So
 * after a change of payments.workers_per_database an old worker that is slow,
 * or frozen, keeps what it has sent, and nobody sends it again.
 *
 * Which runs are over is found in this order: first the epochs that stand in
 * the queue, then those of the living, in shared memory.  A run says there that
 * it lives before it claims anything, and not any more when it has ended its
 * last transaction; so an epoch that was read and does not live then is over
 * for good.  The other way round a run could begin, and claim, in between.
 * test/t/058_shards.pl
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "db.h"
#include "psp_call.h"
#include "psp_epoch.h"
#include "worker_slot.h"

static bool is_one_of(int64 epoch, const int64 *epochs, int n);

int
pay_psp_epoch_orphans(PayShard shard, int64 **epochs, bool *foreign)
{
	static PayStatement read = {
		"SELECT q.epoch, pg_catalog.bool_and(COALESCE(e.system_identifier OPERATOR(pg_catalog.=) $1, false))"
		" FROM payments.psp_call_queue q LEFT JOIN payments.worker_epoch e"
		" ON e.epoch OPERATOR(pg_catalog.=) q.epoch"
		" WHERE q.state OPERATOR(pg_catalog.=) 'S' AND " PAY_SHARD_HAS("q.order_id", "$2", "$3")
		" GROUP BY q.epoch",
		3, {INT8OID, INT4OID, INT4OID}
	};
	MemoryContext caller = pay_db_connect();
	int64		alive[PAY_WORKER_SLOTS];
	int			n_alive;
	int			n_found;
	int			n = 0;
	Datum		values[3];

	values[0] = Int64GetDatum((int64) GetSystemIdentifier());
	values[1] = Int32GetDatum(shard.number);
	values[2] = Int32GetDatum(shard.of);
	n_found = (int) pay_db_run(&read, values, NULL);
	n_alive = pay_worker_slot_epochs(MyDatabaseId, alive);

	*foreign = false;
	*epochs = MemoryContextAlloc(caller, sizeof(int64) * Max(n_found, 1));
	for (int i = 0; i < n_found; i++)
	{
		int64		epoch = pay_db_int64(i, 1);

		if (is_one_of(epoch, alive, n_alive))
			continue;
		(*epochs)[n++] = epoch;
		*foreign |= !pay_db_bool(i, 2);
	}
	pay_db_finish();
	return n;
}

static bool
is_one_of(int64 epoch, const int64 *epochs, int n)
{
	for (int i = 0; i < n; i++)
		if (epochs[i] == epoch)
			return true;
	return false;
}

/*
 * The call may have been executed, so it is asked about first, and
 * what it would send next is the same key.
 */
int
pay_psp_epoch_adopt(PayShard shard, int64 *epochs, int n, TimestampTz due_at)
{
	static PayStatement adopt = {
		"UPDATE payments.psp_call_queue SET state = 'P', next_operation = 'Q', due_at = $1,"
		" outcome_unknown = outcome_unknown OR next_operation OPERATOR(pg_catalog.<>) 'Q',"
		" phase = CASE phase WHEN 'X' THEN 'R' WHEN 'L' THEN 'D' ELSE phase END"
		" WHERE state OPERATOR(pg_catalog.=) 'S' AND epoch OPERATOR(pg_catalog.=) ANY ($2)"
		" AND " PAY_SHARD_HAS("order_id", "$3", "$4"),
		4, {TIMESTAMPTZOID, INT8ARRAYOID, INT4OID, INT4OID}
	};
	int			adopted = 0;
	Datum		values[4];

	if (n == 0)
		return 0;
	pay_db_connect();
	values[0] = TimestampTzGetDatum(due_at);
	values[1] = pay_db_int64_array(epochs, n);
	values[2] = Int32GetDatum(shard.number);
	values[3] = Int32GetDatum(shard.of);
	adopted = (int) pay_db_run(&adopt, values, NULL);
	pay_db_finish();
	return adopted;
}

int
pay_psp_epoch_in_doubt(PayShard shard, TimestampTz upto, int64 **calls)
{
	static PayStatement read = {
		"SELECT call_id FROM payments.psp_call_queue"
		" WHERE state OPERATOR(pg_catalog.=) 'P' AND next_operation OPERATOR(pg_catalog.=) 'Q'"
		" AND attempt_no OPERATOR(pg_catalog.>) 0 AND due_at OPERATOR(pg_catalog.<=) $1"
		" AND " PAY_SHARD_HAS("order_id", "$2", "$3") " ORDER BY call_id",
		3, {TIMESTAMPTZOID, INT4OID, INT4OID}
	};
	MemoryContext caller = pay_db_connect();
	Datum		values[3];
	int			n;

	values[0] = TimestampTzGetDatum(upto);
	values[1] = Int32GetDatum(shard.number);
	values[2] = Int32GetDatum(shard.of);
	n = (int) pay_db_run(&read, values, NULL);
	*calls = MemoryContextAlloc(caller, sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*calls)[i] = pay_db_int64(i, 1);
	pay_db_finish();
	return n;
}

/*
 * Of the two the one that came last, by number: neither was later for being
 * written by a clock that was ahead.
 */
TimestampTz
pay_psp_epoch_last_seen(void)
{
	static PayStatement read = {
		"SELECT CASE WHEN a.epoch OPERATOR(pg_catalog.>) (e.epoch OPERATOR(pg_catalog.-) e.shards)"
		" THEN a.claimed_at ELSE e.started_at END"
		" FROM (SELECT epoch, shards, started_at FROM payments.worker_epoch"
		" ORDER BY epoch DESC LIMIT 1) e"
		" LEFT JOIN (SELECT epoch, claimed_at FROM payments.psp_attempt"
		" ORDER BY call_id DESC, attempt_no DESC LIMIT 1) a ON true",
		0
	};
	TimestampTz last = 0;

	pay_db_connect();
	if (pay_db_run(&read, NULL, NULL) > 0)
		last = pay_db_time(0, 1);
	pay_db_finish();
	return last;
}

/*
 * Workers that begin at once draw one after the other: the key makes one wait
 * for the other's commit, and then try the next number.  The living count, too:
 * theirs need not be in the table any more, which may be truncated.
 */
int64
pay_psp_epoch_draw(PayShard shard, TimestampTz now)
{
	static PayStatement draw = {
		"INSERT INTO payments.worker_epoch (epoch, started_at, system_identifier, shard, shards, timeline)"
		" SELECT GREATEST(pg_catalog.max(epoch), $5) OPERATOR(pg_catalog.+) 1, $1, $2, $3, $4, $6"
		" FROM payments.worker_epoch"
		" ON CONFLICT ON CONSTRAINT worker_epoch_pkey DO NOTHING RETURNING epoch",
		6, {TIMESTAMPTZOID, INT8OID, INT4OID, INT4OID, INT8OID, INT4OID}
	};
	int64		alive[PAY_WORKER_SLOTS];
	int			n_alive = pay_worker_slot_epochs(MyDatabaseId, alive);
	int64		epoch = 0;
	Datum		values[6];

	for (int i = 0; i < n_alive; i++)
		epoch = Max(epoch, alive[i]);

	values[0] = TimestampTzGetDatum(now);
	values[1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[2] = Int32GetDatum(shard.number);
	values[3] = Int32GetDatum(shard.of);
	values[4] = Int64GetDatum(epoch);
	values[5] = Int32GetDatum((int32) GetWALInsertionTimeLine());
	pay_db_connect();
	while (pay_db_run(&draw, values, NULL) == 0)
		CHECK_FOR_INTERRUPTS();
	epoch = pay_db_int64(0, 1);
	pay_db_finish();
	return epoch;
}
