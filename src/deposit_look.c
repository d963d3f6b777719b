/*
 * deposit_look.c
 *		Virtual accounts: when to ask about those whose orders are final.
 *
 * A bank may take a deposit back, and one may come late.  What an answer shows of
 * them is deposit_turn.c's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "db.h"
#include "deposit.h"
#include "deposit_plan.h"
#include "fault.h"
#include "psp_look.h"

#define LOOK_LATER	(10 * USECS_PER_SEC)

/*
 * A refund that came to nothing since the account waits for a deposit again, or
 * did when it was cancelled: the bank has taken it back, and a look is to say so.
 */
void
pay_deposit_look_after_refunds(const PayResult *results, const bool *counts,
							   int n, TimestampTz now)
{
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));
	int			m = 0;

	for (int i = 0; i < n; i++)
		if (counts[i] && results[i].body.status != NULL &&
			results[i].decision.action == PAY_ACTION_REFUND_FAIL &&
			(strcmp(results[i].body.status, "WAITING_FOR_DEPOSIT") == 0 ||
			 pay_toss_is_withdrawn(&results[i].body)))
			order_ids[m++] = results[i].claim->order_id;
	pay_deposit_look_at(order_ids, m, now);
}

void
pay_deposit_look_at(char *const *order_ids, int n, TimestampTz at)
{
	static PayStatement plan = {
		"UPDATE payments.virtual_account SET look_at = $2"
		" WHERE order_id OPERATOR(pg_catalog.=) ANY ($1)",
		2, {TEXTARRAYOID, TIMESTAMPTZOID}
	};
	Datum		values[2];

	if (n == 0)
		return;
	values[0] = pay_db_text_array(order_ids, n);
	values[1] = TimestampTzGetDatum(at);
	pay_db_run(&plan, values, NULL);
}

/*
 * Looking at them: one transaction opens the look and says when the next comes,
 * so that neither is without the other.  What somebody has locked waits.
 */
void
pay_deposit_look(PayShard shard, int max, TimestampTz now)
{
	static PayStatement read = {
		"SELECT v.order_id, COALESCE((SELECT pg_catalog.max(m.recorded_at) FROM payments.deposit_movement m"
		" WHERE m.order_id OPERATOR(pg_catalog.=) v.order_id), v.expired_at, v.issued_at)"
		" FROM payments.virtual_account v WHERE v.look_at OPERATOR(pg_catalog.<=) $1"
		" AND " PAY_SHARD_HAS("v.order_id", "$3", "$4")
		" ORDER BY v.look_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
		4, {TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID}
	};
	static PayStatement plan = {
		"UPDATE payments.virtual_account v SET look_at = NULLIF(l.look_at, 'infinity')"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l (order_id, look_at)"
		" WHERE v.order_id OPERATOR(pg_catalog.=) l.order_id",
		2, {TEXTARRAYOID, TIMESTAMPTZARRAYOID}
	};
	Datum		values[4] = {TimestampTzGetDatum(now), Int32GetDatum(max),
	Int32GetDatum(shard.number), Int32GetDatum(shard.of)};
	char	  **order_ids;
	TimestampTz *looks_at;
	PayLook    *looks;
	int			n;

	pay_db_connect();
	n = (int) pay_db_run(&read, values, NULL);
	order_ids = palloc(sizeof(char *) * Max(n, 1));
	looks_at = palloc(sizeof(TimestampTz) * Max(n, 1));
	looks = palloc0(sizeof(PayLook) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		int64		wait = pay_deposit_plan_look(now - pay_db_time(i, 2));

		order_ids[i] = pay_db_text(i, 1);
		looks[i].order_id = order_ids[i];
		looks_at[i] = wait == 0 ? DT_NOEND : now + wait;
	}
	if (n > 0)
	{
		pay_psp_look(looks, n, false, now);
		for (int i = 0; i < n; i++)
			if (looks[i].state == PAY_LOOK_LATER)
				looks_at[i] = now + LOOK_LATER;
		values[0] = pay_db_text_array(order_ids, n);
		values[1] = pay_db_time_array(looks_at, n);
		pay_db_run(&plan, values, NULL);
		PAY_FAULT("look-opened");
	}
	pay_db_finish();
}

TimestampTz
pay_deposit_look_next(PayShard shard)
{
	static PayStatement next = {
		"SELECT look_at FROM payments.virtual_account WHERE look_at IS NOT NULL"
		" AND " PAY_SHARD_HAS("order_id", "$1", "$2") " ORDER BY look_at LIMIT 1",
		2, {INT4OID, INT4OID}
	};
	TimestampTz look_at = DT_NOEND;
	Datum		values[2] = {Int32GetDatum(shard.number),
	Int32GetDatum(shard.of)};

	pay_db_connect();
	if (pay_db_run(&next, values, NULL) > 0)
		look_at = pay_db_time(0, 1);
	pay_db_finish();
	return look_at;
}
