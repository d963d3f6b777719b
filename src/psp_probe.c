/*
 * psp_probe.c
 *		Calls to the PSP: one that is to ask, whatever it would have done.
 *
 * A query moves no money, and what it says of a payment that nothing was sent
 * for is that it is open: the confirm comes next, with the key that it had.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "db.h"
#include "psp_probe.h"

bool
pay_psp_probe(int64 call_id)
{
	static PayStatement ask = {
		"WITH free AS (SELECT q.call_id FROM payments.psp_call_queue q"
		" WHERE q.call_id OPERATOR(pg_catalog.=) $1 AND q.state OPERATOR(pg_catalog.=) 'P'"
		" AND q.next_operation OPERATOR(pg_catalog.<>) 'Q'"
		" FOR NO KEY UPDATE SKIP LOCKED)"
		" UPDATE payments.psp_call_queue q SET next_operation = 'Q' FROM free f"
		" WHERE q.call_id OPERATOR(pg_catalog.=) f.call_id",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(call_id)};
	bool		was_to_send;

	pay_db_connect();
	was_to_send = pay_db_run(&ask, values, NULL) > 0;
	pay_db_finish();
	return was_to_send;
}
