/*
 * psp_call.c
 *		Calls to the PSP: enqueueing and claiming.
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
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "amount.h"
#include "db.h"
#include "psp_call.h"
#include "wake.h"

static char *key_of(const char *text);
static char *add_account(const char *body, uint64 row);
static PayClaim *make_claim(uint64 row, TimestampTz now,
							MemoryContext parent);

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

/*
 * By key: rows that are locked are passed over, and a row that is not as it is
 * believed to be does not match.
 */
int
pay_psp_call_claim(const PayCallWanted *wanted, int n_wanted, int64 epoch,
				   TimestampTz now, MemoryContext parent, PayClaim ***claims)
{
	static PayStatement claim = {
		"WITH free AS (SELECT q.call_id, w.fingerprint,"
		" q.sent_as IS NOT NULL AND q.sent_as IS DISTINCT FROM w.fingerprint"
		" AND q.sent_as IS DISTINCT FROM w.previous AS key_changed,"
		" q.next_operation OPERATOR(pg_catalog.<>) 'Q' AND w.may_charge"
		" AND COALESCE(q.first_sent_at OPERATOR(pg_catalog.>=)"
		" CASE q.next_operation WHEN 'C' THEN $5 ELSE $9 END, true)"
		" AND COALESCE(q.sent_as OPERATOR(pg_catalog.=) w.fingerprint"
		" OR q.sent_as OPERATOR(pg_catalog.=) w.previous, q.sent_as IS NULL) AS is_sent"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($4),"
		" pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8))"
		" AS w (call_id, fingerprint, previous, may_charge, merchant_id)"
		" JOIN payments.psp_call_queue q ON q.call_id OPERATOR(pg_catalog.=) w.call_id"
		" AND q.merchant_id OPERATOR(pg_catalog.=) w.merchant_id"
		" WHERE q.state OPERATOR(pg_catalog.=) 'P' AND q.due_at OPERATOR(pg_catalog.<=) $3"
		" AND (w.may_charge OR q.next_operation OPERATOR(pg_catalog.=) 'Q' OR q.first_sent_at IS NOT NULL)"
		" FOR NO KEY UPDATE OF q SKIP LOCKED),"
		" claimed AS (UPDATE payments.psp_call_queue q SET state = 'S',"
		" attempt_no = q.attempt_no OPERATOR(pg_catalog.+) 1, epoch = $2,"
		" next_operation = CASE WHEN f.is_sent THEN q.next_operation ELSE 'Q'::pg_catalog.\"char\" END,"
		" first_sent_at = CASE WHEN f.is_sent THEN COALESCE(q.first_sent_at, $3) ELSE q.first_sent_at END,"
		" sent_as = CASE WHEN f.is_sent THEN COALESCE(q.sent_as, f.fingerprint) ELSE q.sent_as END"
		" FROM free f WHERE q.call_id OPERATOR(pg_catalog.=) f.call_id RETURNING q.*, f.key_changed),"
		" sent AS (INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)"
		" SELECT call_id, attempt_no, order_id,"
		" CASE next_operation WHEN 'C' THEN 'confirm' WHEN 'X' THEN 'cancel' ELSE 'query' END, epoch, $3"
		" FROM claimed)"
		" SELECT q.call_id, q.attempt_no, c.payment_event_id, q.order_id, c.merchant,"
		" c.idempotency_key, c.request_body, c.payment_key, c.currency, COALESCE(r.total, c.amount),"
		" y.minor_units::pg_catalog.int4, q.next_operation, q.outcome_unknown, q.key_answered,"
		" q.failures, q.first_sent_at, q.phase, q.key_changed, q.due_at, q.sent_as, q.merchant_id,"
		" c.refund_id, r.token, c.amount, c.operation OPERATOR(pg_catalog.=) 'look',"
		" a.bank, a.account_number, a.holder_name"
		" FROM claimed q JOIN payments.psp_call c ON c.id OPERATOR(pg_catalog.=) q.call_id"
		" AND c.order_id OPERATOR(pg_catalog.=) q.order_id"
		" JOIN payments.currency y ON y.code OPERATOR(pg_catalog.=) c.currency"
		" LEFT JOIN LATERAL (SELECT f.token, e.amount FROM payments.refund f"
		" JOIN payments.payment_event e ON e.id OPERATOR(pg_catalog.=) f.payment_event_id"
		" AND e.order_id OPERATOR(pg_catalog.=) f.order_id"
		" WHERE f.id OPERATOR(pg_catalog.=) c.refund_id"
		" AND f.order_id OPERATOR(pg_catalog.=) c.order_id) r (token, total) ON true"
		" LEFT JOIN payments.refund_account a ON a.refund_id OPERATOR(pg_catalog.=) c.refund_id"
		" AND a.order_id OPERATOR(pg_catalog.=) c.order_id"
		" ORDER BY q.call_id",
		9, {INT8ARRAYOID, INT8OID, TIMESTAMPTZOID, TEXTARRAYOID, TIMESTAMPTZOID,
		TEXTARRAYOID, BOOLARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID}
	};
	MemoryContext caller = pay_db_connect();
	int64	   *call_ids = palloc(sizeof(int64) * Max(n_wanted, 1));
	int64	   *merchant_ids = palloc(sizeof(int64) * Max(n_wanted, 1));
	char	  **fingerprints = palloc(sizeof(char *) * Max(n_wanted, 1));
	char	  **previous = palloc(sizeof(char *) * Max(n_wanted, 1));
	bool	   *may_charge = palloc(sizeof(bool) * Max(n_wanted, 1));
	int			n = 0;
	Datum		values[9];

	for (int i = 0; i < n_wanted; i++)
	{
		call_ids[i] = wanted[i].call_id;
		merchant_ids[i] = wanted[i].merchant_id;
		fingerprints[i] = unconstify(char *, wanted[i].keys->fingerprint);
		previous[i] = unconstify(char *, wanted[i].keys->previous);
		may_charge[i] = wanted[i].keys->may_charge;
	}
	*claims = NULL;
	if (n_wanted > 0)
	{
		values[0] = pay_db_int64_array(call_ids, n_wanted);
		values[1] = Int64GetDatum(epoch);
		values[2] = TimestampTzGetDatum(now);
		values[3] = pay_db_text_array(fingerprints, n_wanted);
		values[4] = TimestampTzGetDatum(now - PAY_CONFIRM_WINDOW);
		values[5] = pay_db_text_array(previous, n_wanted);
		values[6] = pay_db_bool_array(may_charge, n_wanted);
		values[7] = pay_db_int64_array(merchant_ids, n_wanted);
		values[8] = TimestampTzGetDatum(now - PAY_KEY_LIFETIME);
		n = (int) pay_db_run(&claim, values, NULL);
	}
	if (n > 0)
	{
		*claims = MemoryContextAlloc(caller, sizeof(PayClaim *) * n);
		for (int i = 0; i < n; i++)
			(*claims)[i] = make_claim(i, now, parent);
	}
	pay_db_finish();
	return n;
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

/* The account is a part of the bytes that are sent, but of no others. */
static char *
add_account(const char *body, uint64 row)
{
	char	   *holder = pay_db_text(row, 28);
	PayTossAccount account = {
		pay_db_text(row, 26), pay_db_text(row, 27),
		pg_server_to_any(holder, (int) strlen(holder), PG_UTF8)
	};
	size_t		size = strlen(body) + 1024;
	char	   *buf = palloc(size);

	if (pay_toss_body_to_account(body, &account, buf, size) < 0)
		elog(ERROR, "could not write a cancel with its account");
	return buf;
}

static PayClaim *
make_claim(uint64 row, TimestampTz now, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "payments claim",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PayClaim   *claim = palloc0(sizeof(PayClaim));

	claim->context = context;
	claim->call_id = pay_db_int64(row, 1);
	claim->attempt_no = pay_db_int32(row, 2);
	claim->payment_event_id = pay_db_int64(row, 3);
	claim->order_id = pay_db_text(row, 4);
	claim->merchant = pay_db_text(row, 5);
	claim->idempotency_key = pay_db_text(row, 6);
	claim->request_body = pay_db_text(row, 7);
	claim->payment_key = pay_db_text(row, 8);
	claim->currency = pay_db_text(row, 9);
	claim->sent_as = pay_db_text(row, 20);
	claim->merchant_id = pay_db_int64(row, 21);

	claim->request.operation = (PayTossOperation) pay_db_char(row, 12);
	claim->request.payment_key = claim->payment_key;
	claim->request.order_id = claim->order_id;
	claim->request.currency = claim->currency;
	claim->request.amount = pay_db_mills(row, 10);
	claim->request.minor_units = pay_db_int32(row, 11);

	if (!pay_db_is_null(row, 22))
	{
		claim->refund_id = pay_db_int64(row, 22);
		claim->refund.token = pay_db_text(row, 23);
		claim->refund.amount = pay_db_mills(row, 24);
		claim->request.refund = &claim->refund;
	}
	if (!pay_db_is_null(row, 26))
		claim->request_body = add_account(claim->request_body, row);
	claim->is_look = pay_db_bool(row, 25);
	claim->state.operation = claim->request.operation;
	claim->state.is_look = claim->is_look;
	claim->state.is_refund = claim->refund_id != 0;
	claim->state.outcome_unknown = pay_db_bool(row, 13);
	claim->state.key_answered = pay_db_bool(row, 14);
	claim->state.failures = pay_db_int32(row, 15);
	claim->state.phase = (PayCallPhase) pay_db_char(row, 17);
	claim->state.key_changed = pay_db_bool(row, 18);
	claim->state.reached_psp = !pay_db_is_null(row, 16);
	claim->state.first_sent_at = claim->state.reached_psp ?
		pay_db_time(row, 16) : 0;
	claim->due_at = pay_db_time(row, 19);
	claim->is_first_send = claim->state.first_sent_at == now;
	MemoryContextSwitchTo(caller);
	return claim;
}
