/*
 * inbox_work.c
 *		The inbox: what a worker does about webhooks.
 *
 * It compares, and asks Toss; nothing here changes an order.  When a call is open
 * that is made due, as a query; when the order is final, and the news is not what
 * Toss has told us already, a look is opened (psp_look.h).  What a stranger can
 * cause is bounded: Toss is asked about an order of ours alone, of which something
 * was sent; not again within ASK_GAP, and not more than ASK_LIMIT times an hour.
 *
 * A webhook that comes while a call is in flight waits for its end: what the
 * call is told may be older.  Whatever is done is done in the transaction that
 * takes the webhook out of the queue: a worker that dies has done all or nothing,
 * and to ask twice does no harm.  test/t/063_webhooks.pl
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "fault.h"
#include "guc.h"
#include "inbox.h"
#include "psp_hint.h"
#include "psp_look.h"
#include "secret_security.h"
#include "toss_signature.h"

#define ASK_GAP			(2 * USECS_PER_SEC)
#define ASK_LIMIT		20
#define POSTPONE		(1 * USECS_PER_SEC)
#define KEEP_BODIES		(30 * USECS_PER_DAY)

/* A webhook that is to be decided about. */
typedef struct Waiting
{
	int64		webhook_id;
	char	   *order_id;		/* NULL: it has a signature, perhaps */
	char	   *status;
	char	   *transaction_key;	/* or NULL */
	TimestampTz created_at;		/* DT_NOBEGIN: not said */
	bool		asked_often;
	const char *outcome;		/* NULL: later */
	int64		call_id;
} Waiting;

static int	read_due(int max, TimestampTz now, Waiting **waiting);
static void decide(Waiting *waiting, int n, TimestampTz now);
static void look(Waiting *waiting, int n, const int *hint_of,
				 const PayHint *hints, TimestampTz now);
static const char *compare(const Waiting *waiting);
static const char *check_signature(const Waiting *waiting);
static bool is_signed(const char *merchant, const char *signature,
					  const char *signed_at, bytea *body, bool *has_key);
static void end_decided(const Waiting *waiting, int n, TimestampTz now);

int
pay_inbox_work(int max, TimestampTz now)
{
	Waiting    *waiting;
	int			n = read_due(max, now, &waiting);

	if (n > 0)
	{
		decide(waiting, n, now);
		end_decided(waiting, n, now);
		PAY_FAULT("webhook-decided");
	}
	return n;
}

/*
 * By key for each, which is what OFFSET 0 says: a join could be a merge, that walks
 * over all webhooks there ever were.
 */
static int
read_due(int max, TimestampTz now, Waiting **waiting)
{
	static PayStatement read = {
		"SELECT q.webhook_id, q.order_id, w.status, COALESCE(w.created_at, '-infinity'),"
		" (SELECT pg_catalog.count(*) FROM payments.webhook_outcome o"
		" WHERE o.order_id OPERATOR(pg_catalog.=) q.order_id AND o.outcome OPERATOR(pg_catalog.=) 'asked'"
		" AND o.decided_at OPERATOR(pg_catalog.>) $3) OPERATOR(pg_catalog.>=) $4, w.transaction_key"
		" FROM payments.webhook_queue q CROSS JOIN LATERAL (SELECT h.status, h.created_at, h.transaction_key"
		" FROM payments.webhook h WHERE h.id OPERATOR(pg_catalog.=) q.webhook_id OFFSET 0) w"
		" WHERE q.due_at OPERATOR(pg_catalog.<=) $1 ORDER BY q.webhook_id LIMIT $2"
		" FOR UPDATE OF q SKIP LOCKED",
		4, {TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID, INT8OID}
	};
	Datum		values[4];
	int			n;

	values[0] = TimestampTzGetDatum(now);
	values[1] = Int32GetDatum(max);
	values[2] = TimestampTzGetDatum(now - USECS_PER_HOUR);
	values[3] = Int64GetDatum(ASK_LIMIT);
	n = (int) pay_db_run(&read, values, NULL);
	*waiting = palloc0(sizeof(Waiting) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*waiting)[i].webhook_id = pay_db_int64(i, 1);
		(*waiting)[i].order_id = pay_db_text(i, 2);
		(*waiting)[i].status = pay_db_text(i, 3);
		(*waiting)[i].created_at = pay_db_time(i, 4);
		(*waiting)[i].asked_often = pay_db_bool(i, 5);
		(*waiting)[i].transaction_key = pay_db_text(i, 6);
	}
	return n;
}

/* Each order is asked about once, however many webhooks there are of it. */
static void
decide(Waiting *waiting, int n, TimestampTz now)
{
	PayHint    *hints = palloc0(sizeof(PayHint) * n);
	int		   *hint_of = palloc(sizeof(int) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		hint_of[i] = -1;
		if (waiting[i].asked_often || waiting[i].order_id == NULL)
			continue;
		for (int h = 0; h < m; h++)
			if (strcmp(hints[h].order_id, waiting[i].order_id) == 0)
				hint_of[i] = h;
		if (hint_of[i] < 0)
		{
			hints[m].order_id = waiting[i].order_id;
			hint_of[i] = m++;
		}
	}
	pay_psp_hint(hints, m, now - ASK_GAP, now);

	for (int i = 0; i < n; i++)
	{
		const PayHint *hint = hint_of[i] >= 0 ? &hints[hint_of[i]] : NULL;

		if (waiting[i].order_id == NULL)
			waiting[i].outcome = check_signature(&waiting[i]);
		else if (hint == NULL)
			waiting[i].outcome = "asked too often";
		else if (hint->state == PAY_HINT_ASKED)
		{
			waiting[i].outcome = "asked";
			waiting[i].call_id = hint->call_id;
		}
		else if (hint->state == PAY_HINT_UNSENT)
			waiting[i].outcome = "not sent";
		else if (hint->state == PAY_HINT_DEAD)
			waiting[i].outcome = "waits for a person";
	}
	look(waiting, n, hint_of, hints, now);
}

/*
 * Those without an open call: look at the payments that there is news of.  What
 * cannot be looked at yet, or has got an open call meanwhile, comes again.
 */
static void
look(Waiting *waiting, int n, const int *hint_of, const PayHint *hints,
	 TimestampTz now)
{
	PayLook    *looks = palloc0(sizeof(PayLook) * n);
	int		   *look_of = palloc(sizeof(int) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		look_of[i] = -1;
		if (hint_of[i] < 0 || hints[hint_of[i]].state != PAY_HINT_CLOSED)
			continue;
		waiting[i].outcome = compare(&waiting[i]);
		if (waiting[i].outcome != NULL)
			continue;
		for (int l = 0; l < m; l++)
			if (strcmp(looks[l].order_id, waiting[i].order_id) == 0)
				look_of[i] = l;
		if (look_of[i] < 0)
		{
			looks[m].order_id = waiting[i].order_id;
			look_of[i] = m++;
		}
	}
	pay_psp_look(looks, m, true, now);

	for (int i = 0; i < n; i++)
	{
		if (look_of[i] < 0)
			continue;
		if (looks[look_of[i]].state == PAY_LOOK_QUEUED)
		{
			waiting[i].outcome = "asked";
			waiting[i].call_id = looks[look_of[i]].call_id;
		}
		else if (looks[look_of[i]].state == PAY_LOOK_TOO_OFTEN)
			waiting[i].outcome = "asked too often";
	}
}

/*
 * The order has no open call: is what the webhook says what Toss has told us
 * already?  A cancel is told once and stays; a deposit may be taken back, and
 * come again, so it has to be the newest that we were told.  NULL: it is news.
 */
static const char *
compare(const Waiting *waiting)
{
	static PayStatement read = {
		"SELECT e.payment_key IS NULL, (SELECT pg_catalog.min(o.payment_order_status)::pg_catalog.text"
		" FROM payments.payment_order o WHERE o.order_id OPERATOR(pg_catalog.=) e.order_id),"
		" COALESCE(e.approved_at, 'infinity'),"
		" EXISTS (SELECT FROM payments.psp_answer a WHERE a.order_id OPERATOR(pg_catalog.=) e.order_id"
		" AND a.psp_status OPERATOR(pg_catalog.=) $2 AND a.transaction_key IS NOT DISTINCT FROM $3"
		" AND a.meaning OPERATOR(pg_catalog.=) ANY ('{canceled,refunded}'))"
		" OR EXISTS (SELECT FROM payments.refund f WHERE f.order_id OPERATOR(pg_catalog.=) e.order_id"
		" AND f.transaction_key OPERATOR(pg_catalog.=) $3"
		" AND $2 OPERATOR(pg_catalog.=) ANY ('{CANCELED,PARTIAL_CANCELED}')),"
		" (SELECT a.psp_status OPERATOR(pg_catalog.=) $2 AND a.transaction_key IS NOT DISTINCT FROM $3"
		" FROM payments.psp_answer a WHERE a.order_id OPERATOR(pg_catalog.=) e.order_id"
		" AND a.meaning OPERATOR(pg_catalog.=) ANY ('{approved,waiting,canceled,refunded,aborted}')"
		" ORDER BY a.received_at DESC, a.call_id DESC, a.attempt_no DESC LIMIT 1)"
		" FROM payments.payment_event e WHERE e.order_id OPERATOR(pg_catalog.=) $1",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];
	char	   *state;

	values[0] = CStringGetTextDatum(waiting->order_id);
	values[1] = CStringGetTextDatum(waiting->status);
	values[2] = waiting->transaction_key == NULL ? (Datum) 0 :
		CStringGetTextDatum(waiting->transaction_key);
	if (pay_db_run(&read, values,
				   waiting->transaction_key == NULL ? "  n" : NULL) == 0 ||
		pay_db_bool(0, 1))
		return "not confirmed";
	state = pay_db_text(0, 2);
	if (pay_db_bool(0, 4) || (!pay_db_is_null(0, 5) && pay_db_bool(0, 5)))
		return "known";
	if (strcmp(state, "FAILURE") == 0 &&
		(strcmp(waiting->status, "EXPIRED") == 0 ||
		 strcmp(waiting->status, "ABORTED") == 0))
		return "known";

	/* what came before the approval may come in after it */
	if (strcmp(waiting->status, "WAITING_FOR_DEPOSIT") == 0 &&
		waiting->created_at < pay_db_time(0, 3))
		return strcmp(state, "SUCCESS") == 0 ? "late" : NULL;
	return NULL;
}

/* Toss signs with the key of one of the merchants, and does not say which. */
static const char *
check_signature(const Waiting *waiting)
{
	static PayStatement read = {
		"SELECT signature, signed_at, body FROM payments.webhook_body"
		" WHERE webhook_id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(waiting->webhook_id)};
	PayMerchant *merchants;
	char	   *signature;
	char	   *signed_at;
	bytea	   *body;
	bool		is_null;
	bool		has_key = false;
	bool		valid = false;
	int			n;

	if (pay_db_run(&read, values, NULL) == 0)
		return "signature wrong";	/* its bytes are gone */
	signature = pay_db_text(0, 1);
	signed_at = pay_db_text(0, 2);
	body = DatumGetByteaPCopy(pay_db_datum(0, 3, &is_null));
	n = pay_psp_queue_merchants(&merchants);
	for (int i = 0; i < n; i++)
		valid |= is_signed(merchants[i].name, signature, signed_at, body,
						   &has_key);
	return valid ? "signature valid" :
		has_key ? "signature wrong" : "no security key";
}

static bool
is_signed(const char *merchant, const char *signature, const char *signed_at,
		  bytea *body, bool *has_key)
{
	PaySecurityKey keys[PAY_SECURITY_KEYS];
	const char *those[PAY_SECURITY_KEYS];
	int			n = pay_secret_security(merchant, keys);
	bool		valid;

	for (int i = 0; i < n; i++)
		those[i] = keys[i];
	*has_key |= n > 0;
	valid = pay_toss_signature_is_valid(signature, VARDATA(body),
										VARSIZE(body) - VARHDRSZ, signed_at,
										those, n, pay_guc_webhook_text_key);
	explicit_bzero(keys, sizeof(keys));
	return valid;
}

/* Outcomes for those that are decided; the others wait a little. */
static void
end_decided(const Waiting *waiting, int n, TimestampTz now)
{
	static PayStatement end = {
		"WITH gone AS (DELETE FROM payments.webhook_queue q"
		" USING ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		" AS d (webhook_id, outcome, call_id)"
		" WHERE q.webhook_id OPERATOR(pg_catalog.=) d.webhook_id"
		" RETURNING q.webhook_id, q.order_id, d.outcome, NULLIF(d.call_id, 0))"
		" INSERT INTO payments.webhook_outcome (webhook_id, order_id, outcome, call_id, decided_at)"
		" SELECT g.*, $4 FROM gone g",
		4, {INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID}
	};
	static PayStatement postpone = {
		"UPDATE payments.webhook_queue SET due_at = $2"
		" WHERE webhook_id OPERATOR(pg_catalog.=) ANY ($1)",
		2, {INT8ARRAYOID, TIMESTAMPTZOID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *calls = palloc(sizeof(int64) * n);
	char	  **outcomes = palloc(sizeof(char *) * n);
	int			decided = 0;
	int			later = n;
	Datum		values[4];

	/* the decided from the front, the others from the back */
	for (int i = 0; i < n; i++)
	{
		if (waiting[i].outcome == NULL)
		{
			ids[--later] = waiting[i].webhook_id;
			continue;
		}
		ids[decided] = waiting[i].webhook_id;
		calls[decided] = waiting[i].call_id;
		outcomes[decided++] = unconstify(char *, waiting[i].outcome);
	}
	if (decided > 0)
	{
		values[0] = pay_db_int64_array(ids, decided);
		values[1] = pay_db_text_array(outcomes, decided);
		values[2] = pay_db_int64_array(calls, decided);
		values[3] = TimestampTzGetDatum(now);
		pay_db_run(&end, values, NULL);
	}
	if (later < n)
	{
		values[0] = pay_db_int64_array(ids + later, n - later);
		values[1] = TimestampTzGetDatum(now + POSTPONE);
		pay_db_run(&postpone, values, NULL);
	}
}

TimestampTz
pay_inbox_next(void)
{
	static PayStatement read = {
		"SELECT COALESCE(pg_catalog.min(due_at), 'infinity') FROM payments.webhook_queue",
		0
	};

	pay_db_run(&read, NULL, NULL);
	return pay_db_time(0, 1);
}

void
pay_inbox_erase(int max, TimestampTz now)
{
	static PayStatement erase = {
		"DELETE FROM payments.webhook_body b USING"
		" (SELECT webhook_id FROM payments.webhook_body ORDER BY webhook_id LIMIT $1) o"
		" WHERE b.webhook_id OPERATOR(pg_catalog.=) o.webhook_id"
		" AND b.received_at OPERATOR(pg_catalog.<) $2",
		2, {INT4OID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {Int32GetDatum(max),
	TimestampTzGetDatum(now - KEEP_BODIES)};

	pay_db_run(&erase, values, NULL);
}
