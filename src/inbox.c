/*
 * inbox.c
 *		The inbox: webhooks that come in.
 *
 * With inbox_work.c the only writer of its tables.  A webhook is a stranger's
 * word, also one that has the payment's secret: it is written down, and what it
 * says is asked for at Toss.  So nothing here changes an order.
 *
 * No lock is waited for, but for somebody who brings the same bytes.  What a
 * stranger can cause is bounded: no more than WAIT_LIMIT webhooks of an order
 * wait, and large bodies that are not believed are cut.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "fault.h"
#include "inbox.h"
#include "toss_signature.h"

#define WAIT_LIMIT		20
#define SIGNED_LIMIT	1000	/* likewise, of those that are signed */
#define KEPT_OF_OTHERS	4096	/* bytes of a body that is not believed */

#define UNIX_TO_POSTGRES_US \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static const char *const kind_names[] = {
	[PAY_WEBHOOK_PAYMENT] = "payment",
	[PAY_WEBHOOK_DEPOSIT] = "deposit",
	[PAY_WEBHOOK_SIGNED] = "signed",
	[PAY_WEBHOOK_OTHER] = "other",
	[PAY_WEBHOOK_GARBAGE] = "garbage",
};

static const char *const verdict_names[] = {
	[PAY_INBOX_HINT] = "hint",
	[PAY_INBOX_PROVED] = "proved",
	[PAY_INBOX_FORGED] = "forged",
	[PAY_INBOX_UNKNOWN_ORDER] = "unknown order",
	[PAY_INBOX_OTHER_PAYMENT] = "other payment",
	[PAY_INBOX_TOO_MANY] = "too many",
	[PAY_INBOX_UNVERIFIED] = "unverified",
	[PAY_INBOX_NO_ORDER] = "no order",
	[PAY_INBOX_GARBAGE] = "garbage",
};

static PayInboxVerdict judge_signed(void);
static PayInboxVerdict judge_secret(const PayTossWebhook *webhook,
									bool is_answered);
static bool is_old_news(const PayTossWebhook *webhook);
static bool insert_webhook(const PayInboxMessage *message,
						   PayInboxVerdict verdict, int64 id, TimestampTz now);
static void keep_body(const PayInboxMessage *message, PayInboxVerdict verdict,
					  int64 id, TimestampTz now);
static bool hide_secrets(char *body, size_t len, const char *secret);

/*
 * Coming in
 */

PayInboxVerdict
pay_inbox_judge(const PayTossWebhook *webhook)
{
	static PayStatement read = {
		"SELECT payment_key, psp_status IS NOT NULL, (SELECT pg_catalog.count(*) FROM payments.webhook_queue q"
		" WHERE q.order_id OPERATOR(pg_catalog.=) $1)::pg_catalog.int4"
		" FROM payments.payment_event WHERE order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1];
	char	   *payment_key;
	bool		is_answered;
	int			n_waiting;

	if (webhook->kind == PAY_WEBHOOK_GARBAGE)
		return PAY_INBOX_GARBAGE;
	if (webhook->kind == PAY_WEBHOOK_SIGNED)
		return judge_signed();
	if (webhook->order_id == NULL)
		return PAY_INBOX_NO_ORDER;
	values[0] = CStringGetTextDatum(webhook->order_id);
	if (pay_db_run(&read, values, NULL) == 0)
		return PAY_INBOX_UNKNOWN_ORDER;

	payment_key = pay_db_text(0, 1);
	is_answered = pay_db_bool(0, 2);
	n_waiting = pay_db_int32(0, 3);
	if (webhook->payment_key != NULL && payment_key != NULL &&
		strcmp(webhook->payment_key, payment_key) != 0)
		return PAY_INBOX_OTHER_PAYMENT;
	if (webhook->kind == PAY_WEBHOOK_DEPOSIT)
	{
		PayInboxVerdict verdict = judge_secret(webhook, is_answered);

		if (verdict != PAY_INBOX_HINT)
			return verdict;
	}
	return n_waiting >= WAIT_LIMIT ? PAY_INBOX_TOO_MANY : PAY_INBOX_HINT;
}

/* The worker has the key. */
static PayInboxVerdict
judge_signed(void)
{
	static PayStatement count = {
		"SELECT pg_catalog.count(*)::pg_catalog.int4 FROM payments.webhook_queue"
		" WHERE order_id IS NULL",
		0
	};

	pay_db_run(&count, NULL, NULL);
	return pay_db_int32(0, 1) >= SIGNED_LIMIT ? PAY_INBOX_TOO_MANY :
		PAY_INBOX_UNVERIFIED;
}

/*
 * All that are known are compared, so that the time tells nothing.  None is
 * known before Toss has answered, and of a payment that is not into an account.
 */
static PayInboxVerdict
judge_secret(const PayTossWebhook *webhook, bool is_answered)
{
	static PayStatement read = {
		"SELECT secret_sha256 FROM payments.payment_secret"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(webhook->order_id)};
	uint64		rows = pay_db_run(&read, values, NULL);
	uint8		digest[PAY_DIGEST_SIZE];
	bool		found = false;

	if (rows == 0)
		return is_answered ? PAY_INBOX_FORGED : PAY_INBOX_HINT;
	if (!pay_toss_secret_digest(webhook->secret, digest))
		elog(ERROR, "could not compute a SHA-256 digest");
	for (uint64 row = 0; row < rows; row++)
	{
		bool		is_null;
		bytea	   *known = DatumGetByteaPP(pay_db_datum(row, 1, &is_null));

		if (VARSIZE_ANY_EXHDR(known) == PAY_DIGEST_SIZE)
			found |= pay_toss_same_digest(digest, (uint8 *) VARDATA_ANY(known));
	}
	return found ? PAY_INBOX_PROVED : PAY_INBOX_FORGED;
}

bool
pay_inbox_is_queued(PayInboxVerdict verdict)
{
	return verdict == PAY_INBOX_HINT || verdict == PAY_INBOX_PROVED ||
		verdict == PAY_INBOX_UNVERIFIED;
}

bool
pay_inbox_insert(const PayInboxMessage *message, PayInboxVerdict verdict,
				 TimestampTz now)
{
	static PayStatement queue = {
		"INSERT INTO payments.webhook_queue (webhook_id, order_id, due_at) VALUES ($1, $2, $3)",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	int64		id;
	Datum		values[3];

	if (pay_inbox_is_queued(verdict) && message->webhook->order_id != NULL &&
		is_old_news(message->webhook))
		return false;
	id = pay_db_draw_ids("webhook_id_seq", 1)[0];
	if (!insert_webhook(message, verdict, id, now))
		return false;
	keep_body(message, verdict, id, now);
	if (pay_inbox_is_queued(verdict))
	{
		values[0] = Int64GetDatum(id);
		if (message->webhook->order_id != NULL)
			values[1] = CStringGetTextDatum(message->webhook->order_id);
		values[2] = TimestampTzGetDatum(now);
		pay_db_run(&queue, values,
				   message->webhook->order_id != NULL ? NULL : " n ");
	}
	PAY_FAULT("webhook-stored");
	return true;
}

/*
 * Does the newest webhook of the order that was believed say the same?  Not any
 * of them: a payment may come back to a status that it had.
 */
static bool
is_old_news(const PayTossWebhook *webhook)
{
	static PayStatement read = {
		"SELECT status OPERATOR(pg_catalog.=) $2 AND kind OPERATOR(pg_catalog.=) $3"
		" AND payment_key IS NOT DISTINCT FROM $4 AND transaction_key IS NOT DISTINCT FROM $5"
		" FROM payments.webhook WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND verdict OPERATOR(pg_catalog.=) ANY ('{hint,proved}') ORDER BY id DESC LIMIT 1",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	char		nulls[] = "     ";
	Datum		values[5];

	values[0] = CStringGetTextDatum(webhook->order_id);
	values[1] = CStringGetTextDatum(webhook->status);
	values[2] = CStringGetTextDatum(kind_names[webhook->kind]);
	if (webhook->payment_key != NULL)
		values[3] = CStringGetTextDatum(webhook->payment_key);
	else
		nulls[3] = 'n';
	if (webhook->transaction_key != NULL)
		values[4] = CStringGetTextDatum(webhook->transaction_key);
	else
		nulls[4] = 'n';
	return pay_db_run(&read, values, nulls) > 0 && pay_db_bool(0, 1);
}

static bool
insert_webhook(const PayInboxMessage *message, PayInboxVerdict verdict,
			   int64 id, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.webhook (id, order_id, received_at, kind, verdict, detail, event_type,"
		" payment_key, status, transaction_key, event_id, created_at, transmission_id,"
		" retried_count, body_size, body_sha256)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
		" ON CONFLICT ON CONSTRAINT webhook_body_sha256_key DO NOTHING",
		16, {INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
			TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, INT4OID,
		INT4OID, BYTEAOID}
	};
	const PayTossWebhook *webhook = message->webhook;
	const char *texts[] = {
		[1] = webhook->order_id,[3] = kind_names[webhook->kind],
		[4] = verdict_names[verdict],[5] = webhook->reason,
		[6] = webhook->event_type,[7] = webhook->payment_key,
		[8] = webhook->status,[9] = webhook->transaction_key,
		[10] = webhook->event_id,[12] = message->transmission_id
	};
	bytea	   *digest = palloc(VARHDRSZ + PAY_DIGEST_SIZE);
	char		nulls[] = "                ";
	Datum		values[16];

	for (int i = 0; i < lengthof(texts); i++)
	{
		if (texts[i] != NULL)
			values[i] = CStringGetTextDatum(texts[i]);
		else
			nulls[i] = 'n';
	}
	SET_VARSIZE(digest, VARHDRSZ + PAY_DIGEST_SIZE);
	pay_psp_call_sha256(message->body, message->body_size,
						(uint8 *) VARDATA(digest));
	nulls[0] = nulls[2] = ' ';
	values[0] = Int64GetDatum(id);
	values[2] = TimestampTzGetDatum(now);
	if (webhook->has_time)
	{
		nulls[11] = ' ';
		values[11] = TimestampTzGetDatum((TimestampTz) webhook->created_us -
										 UNIX_TO_POSTGRES_US);
	}
	if (message->retried_count >= 0)
		values[13] = Int32GetDatum(message->retried_count);
	else
		nulls[13] = 'n';
	values[14] = Int32GetDatum((int32) message->body_size);
	values[15] = PointerGetDatum(digest);
	return pay_db_run(&insert, values, nulls) > 0;
}

/*
 * The bytes, with asterisks for secrets; not those of a body whose secret is not
 * found where it is written out.
 */
static void
keep_body(const PayInboxMessage *message, PayInboxVerdict verdict, int64 id,
		  TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.webhook_body (webhook_id, order_id, received_at, body,"
		" signature, signed_at) VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT8OID, TEXTOID, TIMESTAMPTZOID, BYTEAOID, TEXTOID, TEXTOID}
	};
	size_t		len = pay_inbox_is_queued(verdict) ? message->body_size :
	Min(message->body_size, KEPT_OF_OTHERS);
	bytea	   *body = palloc(VARHDRSZ + len);
	const char *texts[] = {
		[1] = message->webhook->order_id,[4] = message->signature,
		[5] = message->signed_at
	};
	char		nulls[] = "      ";
	Datum		values[6];

	SET_VARSIZE(body, VARHDRSZ + len);
	memcpy(VARDATA(body), message->body, len);
	if (!hide_secrets(VARDATA(body), len, message->webhook->secret))
		return;
	for (int i = 0; i < lengthof(texts); i++)
	{
		if (texts[i] != NULL)
			values[i] = CStringGetTextDatum(texts[i]);
		else
			nulls[i] = 'n';
	}
	nulls[0] = nulls[2] = nulls[3] = ' ';
	values[0] = Int64GetDatum(id);
	values[2] = TimestampTzGetDatum(now);
	values[3] = PointerGetDatum(body);
	pay_db_run(&insert, values, nulls);
}

/*
 * Overwrite the text behind every "secret" that looks like a key, in whatever
 * the bytes are.  False when the secret that was read is still somewhere.
 */
static bool
hide_secrets(char *body, size_t len, const char *secret)
{
	static const char key[] = "\"secret\"";
	size_t		secret_len = secret ? strlen(secret) : 0;

	for (size_t i = 0; i + sizeof(key) - 1 <= len; i++)
	{
		size_t		at = i + sizeof(key) - 1;

		if (memcmp(body + i, key, sizeof(key) - 1) != 0)
			continue;
		while (at < len && strchr(" \t\r\n:", body[at]) != NULL)
			at++;
		if (at >= len || body[at] != '"')
			continue;
		for (at++; at < len && body[at] != '"'; at++)
			body[at] = '*';
	}
	for (size_t i = 0; secret_len > 0 && i + secret_len <= len; i++)
		if (memcmp(body + i, secret, secret_len) == 0)
			return false;
	return true;
}

void
pay_inbox_learn_secrets(const PayResult *results, int n, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.payment_secret (order_id, secret_sha256, learnt_at)"
		" SELECT s.order_id, pg_catalog.decode(s.digest, 'hex'), $3"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS s (order_id, digest)"
		" ORDER BY 1, 2 ON CONFLICT ON CONSTRAINT payment_secret_pkey DO NOTHING",
		3, {TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));
	char	  **digests = palloc(sizeof(char *) * Max(n, 1));
	int			m = 0;
	Datum		values[3];

	for (int i = 0; i < n; i++)
	{
		uint8		digest[PAY_DIGEST_SIZE];

		if (results[i].body.secret == NULL ||
			(results[i].answer.meaning != PAY_MEANS_WAITING &&
			 results[i].answer.meaning != PAY_MEANS_APPROVED))
			continue;
		if (!pay_toss_secret_digest(results[i].body.secret, digest))
			elog(ERROR, "could not compute a SHA-256 digest");
		digests[m] = palloc(2 * PAY_DIGEST_SIZE + 1);
		for (int b = 0; b < PAY_DIGEST_SIZE; b++)
			snprintf(digests[m] + 2 * b, 3, "%02x", digest[b]);
		order_ids[m++] = results[i].claim->order_id;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_text_array(digests, m);
	values[2] = TimestampTzGetDatum(now);
	pay_db_run(&insert, values, NULL);
}
