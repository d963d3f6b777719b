/*
 * psp_call.c
 *		Calls to the PSP: enqueueing.
 *
 * One of the writers of the call tables (psp_call.h).  The order of commits
 * is the guarantee: the payload with the application's transaction, the attempt
 * with the claim, and only then the first byte (G1).  An Idempotency-Key is a
 * pure function of what is paid and of how often it was renewed, so that even a
 * row that a failover lost comes back with the same key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "amount.h"
#include "db.h"
#include "psp_call.h"
#include "wake.h"

static char *key_of(const char *text);

/*
 * The key of the n-th call for a payment: 64 hex digits of SHA-256.  Unique per
 * payment key, since Toss ignores the body when it recognises a key.
 */
char *
pay_psp_call_key(const char *order_id, const char *payment_key, int renewal)
{
	return key_of(psprintf("confirm\n%s\n%s\n%d", order_id, payment_key,
						   renewal));
}

/* Of a cancel: unique per refund, as its token is. */
char *
pay_psp_call_cancel_key(const char *order_id, const char *token, int renewal)
{
	return key_of(psprintf("cancel\n%s\n%s\n%d", order_id, token, renewal));
}

/* Of a look, which sends none. */
char *
pay_psp_call_look_key(const char *order_id, int64 call_id)
{
	return key_of(psprintf("look\n%s\n" INT64_FORMAT, order_id, call_id));
}

static char *
key_of(const char *text)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *key = palloc(2 * sizeof(digest) + 1);

	pay_psp_call_sha256(text, strlen(text), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(key + 2 * i, 3, "%02x", digest[i]);
	return key;
}

void
pay_psp_call_sha256(const char *bytes, size_t len, uint8 *digest)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL ||
		pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) bytes, len) < 0 ||
		pg_cryptohash_final(context, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a SHA-256 digest");
	pg_cryptohash_free(context);
}

int64
pay_psp_call_enqueue(const PayCallRequest *request, TimestampTz now)
{
	static PayStatement insert_call = {
		"INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant,"
		" operation, payment_key, currency, amount, idempotency_key, request_body, created_at, refund_id)"
		" VALUES ($1, $2, $3, $4, CASE WHEN $11 IS NULL THEN 'confirm' ELSE 'cancel' END,"
		" $5, $6, $7, $8, $9, $10, $11)",
		11, {INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID,
		TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID}
	};
	static PayStatement insert_queue = {
		"INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at, next_operation)"
		" SELECT $1, $2, m.id, $3, $5::pg_catalog.\"char\" FROM payments.merchant m"
		" WHERE m.name OPERATOR(pg_catalog.=) $4 RETURNING merchant_id",
		5, {INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	};
	PayTossRequest toss = {0};
	bool		is_refund = request->refund_id != 0;
	TimestampTz due_at = request->due_at ? request->due_at : now;
	char		body[4097];
	int64		id = pay_db_draw_ids("psp_call_id_seq", 1)[0];
	Datum		values[11];

	toss.operation = is_refund ? PAY_TOSS_CANCEL : PAY_TOSS_CONFIRM;
	toss.payment_key = request->payment_key;
	toss.order_id = request->order_id;
	toss.currency = request->currency;
	toss.amount = request->amount;
	toss.minor_units = request->minor_units;
	toss.refund = request->refund;
	if (pay_toss_body(&toss, body, sizeof(body)) < 0)
		elog(ERROR, "could not write the request of order \"%s\"",
			 request->order_id);

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(request->order_id);
	values[2] = Int64GetDatum(request->payment_event_id);
	values[3] = CStringGetTextDatum(request->merchant);
	values[4] = CStringGetTextDatum(request->payment_key);
	values[5] = CStringGetTextDatum(request->currency);
	values[6] = pay_amount_to_numeric(is_refund ? request->refund->amount :
									  request->amount);
	values[7] = CStringGetTextDatum(is_refund ?
									pay_psp_call_cancel_key(request->order_id,
															request->refund->token, 0) :
									pay_psp_call_key(request->order_id,
													 request->payment_key, 0));
	values[8] = CStringGetTextDatum(body);
	values[9] = TimestampTzGetDatum(now);
	values[10] = Int64GetDatum(request->refund_id);
	pay_db_run(&insert_call, values, is_refund ? NULL : "          n");

	values[2] = TimestampTzGetDatum(due_at);
	values[4] = CStringGetTextDatum(is_refund ? "X" : "C");
	if (pay_db_run(&insert_queue, values, NULL) != 1)
		elog(ERROR, "merchant \"%s\" of order \"%s\" does not exist",
			 request->merchant, request->order_id);

	pay_wake_enqueued(request->order_id, id, pay_db_int64(0, 1), due_at);
	return id;
}

bool
pay_psp_call_put_aside(int64 call_id, TimestampTz now)
{
	static PayStatement put_aside = {
		"UPDATE payments.psp_call_queue SET state = 'D', due_at = $2"
		" WHERE call_id OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'P'",
		2, {INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {Int64GetDatum(call_id), TimestampTzGetDatum(now)};
	bool		done;

	pay_db_connect();
	done = pay_db_run(&put_aside, values, NULL) > 0;
	pay_db_finish();
	return done;
}
