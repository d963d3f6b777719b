/*
 * order_claim.c
 *		Orders that the application has to claim, or they are refunded.
 *
 * Its time runs from the moment at which the payment became SUCCESS.  When that
 * was is asked when it matters, so settling a payment does nothing for it: an
 * order is looked at no later than it could be over, and then again when it is.
 *
 * A claim and a lapse hold the event's lock, and each finds what the other has
 * done: one of them wins.  The refund is requested in the transaction that ends
 * the waiting, with a token that is a function of the payment: asked for again
 * after a failover that lost it, it is the same to the PSP.
 * test/specs/race_claim.spec, test/t/075_claim.pl
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "deposit.h"
#include "errors.h"
#include "event.h"
#include "order_claim.h"
#include "psp_call.h"
#include "refund.h"

#define REASON			"The order was not completed in time"
#define TRY_AGAIN		(60 * USECS_PER_SEC)	/* what could not be refunded */
#define MAX_CANDIDATES	"20"	/* whose events somebody may hold */

static char *status_of(const char *order_id, int64 *refund_id);
static TimestampTz deadline_of(const char *order_id);
static int64 give_back(const PayOrder *order, TimestampTz now);
static void end(const char *order_id, const char *status, int64 refund_id,
				TimestampTz now);
static void look_again(const char *order_id, TimestampTz due_at);

void
pay_order_claim_insert(const PayOrder *order, Datum within, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.payment_claim (order_id, payment_event_id, claim_within, due_at, created_at)"
		" VALUES ($1, $2, $3, $4 OPERATOR(pg_catalog.+) $3, $4)",
		4, {TEXTOID, INT8OID, INTERVALOID, TIMESTAMPTZOID}
	};
	Datum		values[4] = {CStringGetTextDatum(order->order_id),
	Int64GetDatum(order->id), within, TimestampTzGetDatum(now)};

	pay_db_run(&insert, values, NULL);
}

bool
pay_order_claim_same(const char *order_id, Datum within)
{
	static PayStatement read = {
		"SELECT claim_within OPERATOR(pg_catalog.=) $2 FROM payments.payment_claim"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, INTERVALOID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id), within};

	return pay_db_run(&read, values, NULL) == 1 && pay_db_bool(0, 1);
}

/*
 * Claiming
 */

void
pay_order_claim(const PayOrder *order, const char *by, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.payment_claim SET claim_status = 'claimed', claimed_by = $2, ended_at = $3"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND claim_status OPERATOR(pg_catalog.=) 'waiting'",
		3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[3] = {CStringGetTextDatum(order->order_id),
	CStringGetTextDatum(by), TimestampTzGetDatum(now)};
	PayOrderState state;
	int64		refund_id;
	char	   *status = status_of(order->order_id, &refund_id);

	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_TO_CLAIM),
				 errmsg("order \"%s\" is not to be claimed", order->order_id),
				 errhint("Pass claim_within to payments.confirm or payments.pay.")));
	if (strcmp(status, "claimed") == 0)
		return;
	(void) pay_order_state(order->order_id, true, &state, NULL);
	if (state != PAY_ORDER_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_REFUNDABLE),
				 errmsg("order \"%s\" cannot be claimed", order->order_id),
				 errdetail("Its status is %s.", pay_order_state_name(state)),
				 errhint("Only what is SUCCESS was paid; payments.wait_for tells when it is.")));
	if (strcmp(status, "waiting") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_CLAIMED_TOO_LATE),
				 errmsg("order \"%s\" was not claimed in time", order->order_id),
				 refund_id == 0 ? errdetail("It was given back, or a person does that.") :
				 errdetail("It is given back by refund " INT64_FORMAT ".", refund_id),
				 errhint("Do not deliver it; the buyer may order again.")));
	if (pay_db_run(&update, values, NULL) != 1)
		elog(ERROR, "could not claim order \"%s\"", order->order_id);
}

/* NULL: it has none; "waiting", "claimed" ... */
static char *
status_of(const char *order_id, int64 *refund_id)
{
	static PayStatement read = {
		"SELECT claim_status, COALESCE(refund_id, 0) FROM payments.payment_claim"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	if (pay_db_run(&read, values, NULL) == 0)
		return NULL;
	*refund_id = pay_db_int64(0, 2);
	return pay_db_text(0, 1);
}

/*
 * Lapsing
 */

bool
pay_order_claim_find(PayShard shard, TimestampTz now, PayOrder *order)
{
	static PayStatement find = {
		"SELECT c.order_id FROM payments.payment_claim c"
		" WHERE c.claim_status OPERATOR(pg_catalog.=) 'waiting' AND c.due_at OPERATOR(pg_catalog.<=) $1"
		" AND " PAY_SHARD_HAS("c.order_id", "$2", "$3")
		" ORDER BY c.due_at, c.order_id LIMIT " MAX_CANDIDATES,
		3, {TIMESTAMPTZOID, INT4OID, INT4OID}
	};
	Datum		values[3] = {TimestampTzGetDatum(now),
	Int32GetDatum(shard.number), Int32GetDatum(shard.of)};
	int			n = (int) pay_db_run(&find, values, NULL);
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));

	for (int i = 0; i < n; i++)
		order_ids[i] = pay_db_text(i, 1);
	for (int i = 0; i < n; i++)
		if (pay_order_lock_many(&order_ids[i], 1, order) == 1)
			return true;
	return false;
}

/* What was found may have been claimed before the lock was taken. */
bool
pay_order_claim_end(const PayOrder *order, TimestampTz now)
{
	const char *order_id = order->order_id;
	int64		refund_id;
	char	   *status = status_of(order_id, &refund_id);
	PayOrderState state;
	TimestampTz deadline;

	if (status == NULL || strcmp(status, "waiting") != 0)
		return false;
	(void) pay_order_state(order_id, true, &state, NULL);
	if (state == PAY_ORDER_FAILURE)
	{
		end(order_id, "void", 0, now);
		return true;
	}
	deadline = state == PAY_ORDER_SUCCESS ? deadline_of(order_id) : DT_NOEND;
	if (deadline > now)
	{
		look_again(order_id, deadline);
		return false;
	}
	end(order_id, "lapsed", give_back(order, now), now);
	pay_event_write_payment("payment.unclaimed", order, NULL, now);
	return true;
}

static TimestampTz
deadline_of(const char *order_id)
{
	static PayStatement read = {
		"SELECT (SELECT pg_catalog.max(h.changed_at) FROM payments.payment_order_history h"
		" WHERE h.order_id OPERATOR(pg_catalog.=) $1 AND h.to_status OPERATOR(pg_catalog.=) 'SUCCESS')"
		" OPERATOR(pg_catalog.+) c.claim_within"
		" FROM payments.payment_claim c WHERE c.order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	if (pay_db_run(&read, values, NULL) != 1 || pay_db_is_null(0, 1))
		elog(ERROR, "order \"%s\" does not say when it was paid", order_id);
	return pay_db_time(0, 1);
}

/*
 * All that is left of it; returns the refund, or 0 when nothing is, or when it was
 * paid by a deposit: to which account that goes back only the buyer can say.
 */
static int64
give_back(const PayOrder *order, TimestampTz now)
{
	PayRefund	refund = {.origin = PAY_REFUND_BY_CLAIM};
	PayRefundable *lines;
	int			n = pay_refund_lines(order->order_id, &lines);
	int64	   *parts = palloc(sizeof(int64) * Max(n, 1));

	if (pay_deposit_movements(order->order_id) >= 0)
		return 0;
	for (int i = 0; i < n; i++)
		parts[i] = lines[i].amount - lines[i].returned;
	pay_refund_choose(order, lines, n, parts, &refund);
	if (refund.amount == 0)
		return 0;
	refund.reason = REASON;
	refund.request = "{}";
	refund.requested_by = "payments worker";
	refund.token = pay_refund_token(psprintf("claim\n%s\n%s", order->order_id,
											 order->payment_key));
	pay_refund_insert(order, &refund, now);
	return refund.id;
}

static void
end(const char *order_id, const char *status, int64 refund_id, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.payment_claim SET claim_status = $2, refund_id = $3, ended_at = $4, problem = NULL"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND claim_status OPERATOR(pg_catalog.=) 'waiting'",
		4, {TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[4] = {CStringGetTextDatum(order_id),
		CStringGetTextDatum(status), Int64GetDatum(refund_id),
	TimestampTzGetDatum(now)};

	if (pay_db_run(&update, values, refund_id == 0 ? "  n " : NULL) != 1)
		elog(ERROR, "could not end the claim of order \"%s\"", order_id);
}

/*
 * When it is over; of what is not paid yet, when it could be over at the
 * earliest, should it be paid now.
 */
static void
look_again(const char *order_id, TimestampTz due_at)
{
	static PayStatement update = {
		"UPDATE payments.payment_claim SET due_at = CASE WHEN $2 OPERATOR(pg_catalog.=) 'infinity'"
		" THEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) claim_within ELSE $2 END"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	TimestampTzGetDatum(due_at)};

	pay_db_run(&update, values, NULL);
}

void
pay_order_claim_note(const char *order_id, const char *problem,
					 TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.payment_claim SET problem = $2, due_at = $3"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND claim_status OPERATOR(pg_catalog.=) 'waiting'",
		3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[3] = {CStringGetTextDatum(order_id),
		CStringGetTextDatum(problem),
	TimestampTzGetDatum(now + TRY_AGAIN)};

	pay_db_run(&update, values, NULL);
}

TimestampTz
pay_order_claim_next(PayShard shard)
{
	static PayStatement read = {
		"SELECT c.due_at FROM payments.payment_claim c"
		" WHERE c.claim_status OPERATOR(pg_catalog.=) 'waiting'"
		" AND " PAY_SHARD_HAS("c.order_id", "$1", "$2") " ORDER BY c.due_at, c.order_id LIMIT 1",
		2, {INT4OID, INT4OID}
	};
	Datum		values[2] = {Int32GetDatum(shard.number),
	Int32GetDatum(shard.of)};

	return pay_db_run(&read, values, NULL) == 0 ? DT_NOEND : pay_db_time(0, 1);
}
