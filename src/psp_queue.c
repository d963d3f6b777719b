/*
 * psp_queue.c
 *		Calls to the PSP: what waits in the queue, read without locks.
 *
 * For the worker's schedule (schedule.h), which keeps ids in memory and reads
 * here what it has no room for, or was not told of.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"

#include "db.h"
#include "psp_call.h"

/*
 * All rows, so that one that nobody can take is not walked over twice.  In the
 * order of the index, so that a part of a large backlog costs no more than that
 * part: two bounds of one column would look narrow to the planner, which then
 * sorts all that is between them, and so one of the two is of both columns.
 * test/t/105_dead_queue.pl
 */
int
pay_psp_queue_read(PayShard shard, int64 merchant_id, bool may_charge,
				   int64 after, int64 upto, int max, PayQueueRow **rows)
{
	static PayStatement read = {
		"SELECT call_id, merchant_id, CASE WHEN state OPERATOR(pg_catalog.=) 'P'"
		" AND ($4 OR next_operation OPERATOR(pg_catalog.=) 'Q' OR first_sent_at IS NOT NULL)"
		" THEN due_at ELSE 'infinity' END FROM payments.psp_call_queue"
		" WHERE merchant_id OPERATOR(pg_catalog.=) $1"
		" AND (merchant_id, call_id) OPERATOR(pg_catalog.>) ($1, $2)"
		" AND call_id OPERATOR(pg_catalog.<=) $7"
		" AND " PAY_SHARD_HAS("order_id", "$5", "$6")
		" ORDER BY merchant_id, call_id LIMIT $3",
		7, {INT8OID, INT8OID, INT4OID, BOOLOID, INT4OID, INT4OID, INT8OID}
	};
	MemoryContext caller = pay_db_connect();
	Datum		values[7];
	int			n;

	values[0] = Int64GetDatum(merchant_id);
	values[1] = Int64GetDatum(after);
	values[2] = Int32GetDatum(max);
	values[3] = BoolGetDatum(may_charge);
	values[4] = Int32GetDatum(shard.number);
	values[5] = Int32GetDatum(shard.of);
	values[6] = Int64GetDatum(upto);
	n = pay_psp_queue_rows(caller, pay_db_run(&read, values, NULL), rows);
	pay_db_finish();
	return n;
}

/* Nothing is ever deleted from psp_call, so its last entry is there. */
int64
pay_psp_queue_newest(void)
{
	static PayStatement read = {
		"SELECT id FROM payments.psp_call ORDER BY id DESC LIMIT 1",
		0
	};
	int64		newest = 0;

	pay_db_connect();
	if (pay_db_run(&read, NULL, NULL) > 0)
		newest = pay_db_int64(0, 1);
	pay_db_finish();
	return newest;
}

int
pay_psp_queue_look(const PayCallWanted *wanted, int n, PayQueueRow **rows)
{
	static PayStatement look = {
		"SELECT q.call_id, q.merchant_id, q.due_at FROM ROWS FROM (pg_catalog.unnest($1),"
		" pg_catalog.unnest($2)) AS w (call_id, may_charge)"
		" JOIN payments.psp_call_queue q ON q.call_id OPERATOR(pg_catalog.=) w.call_id"
		" WHERE q.state OPERATOR(pg_catalog.=) 'P'"
		" AND (w.may_charge OR q.next_operation OPERATOR(pg_catalog.=) 'Q' OR q.first_sent_at IS NOT NULL)",
		2, {INT8ARRAYOID, BOOLARRAYOID}
	};
	MemoryContext caller = pay_db_connect();
	int64	   *call_ids = palloc(sizeof(int64) * Max(n, 1));
	bool	   *may_charge = palloc(sizeof(bool) * Max(n, 1));
	Datum		values[2];

	for (int i = 0; i < n; i++)
	{
		call_ids[i] = wanted[i].call_id;
		may_charge[i] = wanted[i].keys->may_charge;
	}
	values[0] = pay_db_int64_array(call_ids, n);
	values[1] = pay_db_bool_array(may_charge, n);
	n = pay_psp_queue_rows(caller, pay_db_run(&look, values, NULL), rows);
	pay_db_finish();
	return n;
}

/* The last result, of call_id, merchant_id and due_at, as rows of the caller's. */
int
pay_psp_queue_rows(MemoryContext caller, uint64 n, PayQueueRow **rows)
{
	*rows = MemoryContextAlloc(caller, sizeof(PayQueueRow) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		(*rows)[i].call_id = pay_db_int64(i, 1);
		(*rows)[i].merchant_id = pay_db_int64(i, 2);
		(*rows)[i].due_at = pay_db_time(i, 3);
	}
	return (int) n;
}

int
pay_psp_queue_merchants(PayMerchant **merchants)
{
	static PayStatement read = {
		"SELECT id, name FROM payments.merchant ORDER BY id",
		0
	};
	MemoryContext caller = pay_db_connect();
	int			n = (int) pay_db_run(&read, NULL, NULL);

	*merchants = MemoryContextAlloc(caller, sizeof(PayMerchant) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*merchants)[i].id = pay_db_int64(i, 1);
		(*merchants)[i].name = MemoryContextStrdup(caller, pay_db_text(i, 2));
	}
	pay_db_finish();
	return n;
}

uint32
pay_psp_queue_prepared(void)
{
	static PayStatement read = {
		"SELECT pg_catalog.string_agg(transaction::pg_catalog.text, ' ' ORDER BY transaction::pg_catalog.text)"
		" FROM pg_catalog.pg_prepared_xacts"
		" WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database()",
		0
	};
	uint32		number = 0;
	char	   *ids;

	if (max_prepared_xacts == 0)
		return 0;
	pay_db_connect();
	pay_db_run(&read, NULL, NULL);
	ids = pay_db_text(0, 1);
	if (ids != NULL)
		number = hash_bytes((unsigned char *) ids, strlen(ids)) | 1;
	pay_db_finish();
	return number;
}
