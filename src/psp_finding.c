/*
 * psp_finding.c
 *		Reconciling: what Toss has and our books have not, or otherwise.
 *
 * A movement of Toss's never changes, and our books only grow: so each is found
 * once, whatever runs come later, and what ended does not come back.  Whether an
 * open finding still is one is asked of our books alone, with what Toss said of
 * the movement when it was found; that it lies outside of a later run's period
 * does not matter.
 *
 * Calls that are open are made due, and asked about before anything is sent of
 * them: the answer settles the order, never the list.  Nothing else is done here
 * but to write findings down.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/sha2.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "psp_call.h"
#include "psp_look.h"
#include "psp_reconcile.h"
#include "reconciliation.h"
#include "wake.h"

#define MAX_LOOK_AGAIN	5000	/* findings that are looked at again, at once */

#define UNIX_TO_POSTGRES_US \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Findings that a full cancel at Toss settles */
#define UNDONE_BY_CANCEL \
	"('unknown payment', 'not confirmed here', 'other payment', 'other order', 'failed here')"

/* A movement, and what it came to. */
typedef struct Movement
{
	int64		finding_id;		/* of an open finding that is looked at again */
	char	   *transaction_key;
	char	   *payment_key;
	char	   *order_id;
	char	   *status;
	char	   *currency;
	bool		has_amount;
	int64		amount;
	TimestampTz at;				/* 0: unknown */
	const char *detail;
	PayFinding	finding;
} Movement;

static bool in_period(const PayReconcilePage *page, const PayTossRow *row);
static void take_row(const PayTossRow *row, Movement *movement);
static char *digest_of(const PayTossRow *row);
static void judge(Movement *movements, int n);
static void write_findings(const PayReconcilePage *page,
						   const Movement *movements, int n, TimestampTz now);
static void end_canceled(const PayReconcilePage *page,
						 const Movement *movements, int n, TimestampTz now);
static void ask_about(const Movement *movements, int n, TimestampTz now);
static void look_at(const Movement *movements, int n, TimestampTz now);
static int	compare_looks(const void *a, const void *b);

int
pay_finding_compare(const PayReconcilePage *page, const PayTossRow *rows,
					int n, int *unreadable, TimestampTz now)
{
	Movement   *movements = palloc0(sizeof(Movement) * Max(n, 1));
	int			m = 0;

	*unreadable = 0;
	for (int i = 0; i < n; i++)
	{
		if (!in_period(page, &rows[i]))
			continue;
		take_row(&rows[i], &movements[m]);
		if (movements[m++].finding == PAY_FINDING_UNREADABLE)
			(*unreadable)++;
	}
	judge(movements, m);
	write_findings(page, movements, m, now);
	end_canceled(page, movements, m, now);
	ask_about(movements, m, now);
	look_at(movements, m, now);
	return m;
}

/* What does not say when it was is in it. */
static bool
in_period(const PayReconcilePage *page, const PayTossRow *row)
{
	TimestampTz at = row->time_us - UNIX_TO_POSTGRES_US;

	return !row->has_time || (at >= page->since && at <= page->until);
}

static void
take_row(const PayTossRow *row, Movement *movement)
{
	movement->transaction_key = row->transaction_key;
	movement->payment_key = row->payment_key;
	movement->order_id = row->order_id;
	movement->status = row->status;
	movement->currency = row->currency;
	movement->has_amount = row->has_amount;
	movement->amount = row->amount;
	movement->at = row->has_time ? row->time_us - UNIX_TO_POSTGRES_US : 0;
	movement->detail = row->problem;
	if (row->problem == NULL)
		return;
	movement->finding = PAY_FINDING_UNREADABLE;
	if (movement->transaction_key == NULL)
		movement->transaction_key = digest_of(row);
}

/* The same row has the same one, whenever it is read. */
static char *
digest_of(const PayTossRow *row)
{
	char	   *text = psprintf("%s\n%s\n%s\n%s\n%s\n" INT64_FORMAT "\n" INT64_FORMAT,
								row->problem,
								row->payment_key ? row->payment_key : "",
								row->order_id ? row->order_id : "",
								row->status ? row->status : "",
								row->currency ? row->currency : "",
								row->amount, row->time_us);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *key = palloc(7 + 2 * sizeof(digest) + 1);

	pay_psp_call_sha256(text, strlen(text), digest);
	strlcpy(key, "sha256:", 8);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(key + 7 + 2 * i, 3, "%02x", digest[i]);
	return key;
}

/*
 * Say of all that were read what they are.  A cancel is booked when a refund of
 * ours is it, or a posting of somebody's; while a refund of the order is open
 * nobody can say, and a later run sees it again.
 */
static void
judge(Movement *movements, int n)
{
	static PayStatement read = {
		"SELECT w.n::pg_catalog.int4, o.order_id IS NOT NULL, k.order_id IS NOT NULL,"
		" COALESCE(k.order_id OPERATOR(pg_catalog.=) w.order_id, false), o.payment_key IS NOT NULL,"
		" COALESCE(k.currency OPERATOR(pg_catalog.=) w.currency, false), k.amount, s.status,"
		" COALESCE(w.at OPERATOR(pg_catalog.>) k.approved_at, false),"
		" COALESCE(t.order_id OPERATOR(pg_catalog.=) k.order_id, false)"
		" OR EXISTS (SELECT FROM payments.refund f WHERE f.order_id OPERATOR(pg_catalog.=) k.order_id"
		" AND (f.transaction_key OPERATOR(pg_catalog.=) w.transaction_key"
		" OR f.refund_status::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{REQUESTED,EXECUTING,UNKNOWN}'))),"
		" COALESCE(k.psp_status OPERATOR(pg_catalog.=) 'WAITING_FOR_DEPOSIT', false),"
		" EXISTS (SELECT FROM payments.deposit_movement d WHERE d.order_id OPERATOR(pg_catalog.=) k.order_id"
		" AND d.kind OPERATOR(pg_catalog.=) 'reversal' AND (d.recorded_at OPERATOR(pg_catalog.>=) w.at"
		" OR COALESCE(d.transaction_key OPERATOR(pg_catalog.=) w.transaction_key, false))),"
		" EXISTS (SELECT FROM payments.virtual_account v WHERE v.order_id OPERATOR(pg_catalog.=) k.order_id),"
		" EXISTS (SELECT FROM payments.deposit_movement d WHERE d.order_id OPERATOR(pg_catalog.=) k.order_id"
		" AND d.kind OPERATOR(pg_catalog.=) 'deposit' AND COALESCE(d.transaction_key"
		" OPERATOR(pg_catalog.=) w.transaction_key, true))"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5)) WITH ORDINALITY"
		" AS w (transaction_key, payment_key, order_id, currency, at, n)"
		" LEFT JOIN payments.payment_event o ON o.order_id OPERATOR(pg_catalog.=) w.order_id"
		" LEFT JOIN payments.payment_event k ON k.payment_key OPERATOR(pg_catalog.=) w.payment_key"
		" LEFT JOIN LATERAL (SELECT CASE WHEN pg_catalog.min(l.payment_order_status)"
		" OPERATOR(pg_catalog.=) pg_catalog.max(l.payment_order_status)"
		" THEN pg_catalog.min(l.payment_order_status)::pg_catalog.text ELSE 'UNKNOWN' END AS status"
		" FROM payments.payment_order l WHERE l.order_id OPERATOR(pg_catalog.=) COALESCE(k.order_id, o.order_id)) s ON true"
		" LEFT JOIN payments.ledger_transaction t ON t.transaction_key OPERATOR(pg_catalog.=)"
		" ('cancel:' OPERATOR(pg_catalog.||) w.transaction_key)"
		" ORDER BY w.n",
		5, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID}
	};
	Movement  **read_ones = palloc(sizeof(Movement *) * Max(n, 1));
	char	  **texts[4];
	TimestampTz *times = palloc(sizeof(TimestampTz) * Max(n, 1));
	int			m = 0;
	Datum		values[5];

	for (int k = 0; k < lengthof(texts); k++)
		texts[k] = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (movements[i].finding == PAY_FINDING_UNREADABLE)
			continue;
		texts[0][m] = movements[i].transaction_key;
		texts[1][m] = movements[i].payment_key;
		texts[2][m] = movements[i].order_id;
		texts[3][m] = movements[i].currency;
		times[m] = movements[i].at;
		read_ones[m++] = &movements[i];
	}
	if (m == 0)
		return;
	for (int k = 0; k < lengthof(texts); k++)
		values[k] = pay_db_text_array(texts[k], m);
	values[4] = pay_db_time_array(times, m);
	if (pay_db_run(&read, values, NULL) != m)
		elog(ERROR, "movements were not read one by one");
	for (int i = 0; i < m; i++)
	{
		PayTheirs	theirs = {read_ones[i]->status, read_ones[i]->amount};
		PayOurs		ours = {0};

		ours.knows_order = pay_db_bool(i, 2);
		ours.knows_key = pay_db_bool(i, 3);
		ours.same = pay_db_bool(i, 4);
		ours.order_has_key = pay_db_bool(i, 5);
		ours.same_currency = pay_db_bool(i, 6);
		ours.amount = pay_db_is_null(i, 7) ? 0 : pay_db_mills(i, 7);
		if (!pay_order_state_from_name(pay_db_text(i, 8), &ours.state))
			ours.state = PAY_ORDER_UNKNOWN;
		ours.after_approval = pay_db_bool(i, 9);
		ours.canceled = pay_db_bool(i, 10);
		ours.waits = pay_db_bool(i, 11);
		ours.reversed = pay_db_bool(i, 12);
		ours.has_account = pay_db_bool(i, 13);
		ours.deposited = pay_db_bool(i, 14);
		read_ones[i]->finding = pay_reconcile(&theirs, &ours);
	}
}

static void
write_findings(const PayReconcilePage *page, const Movement *movements,
			   int n, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.reconciliation_finding (id, reconciliation_id, merchant, transaction_key,"
		" kind, payment_key, order_id, status, currency, amount, transaction_at, detail, found_at)"
		" SELECT pg_catalog.nextval('payments.reconciliation_finding_id_seq'), $1, $2, w.transaction_key,"
		" w.kind, w.payment_key, w.order_id, w.status, w.currency,"
		" CASE WHEN w.has_amount THEN w.amount END, w.at, w.detail, $3"
		" FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),"
		" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10),"
		" pg_catalog.unnest($11), pg_catalog.unnest($12), pg_catalog.unnest($13))"
		" AS w (transaction_key, kind, payment_key, order_id, status, currency, amount, has_amount, at, detail)"
		" WHERE NOT EXISTS (SELECT FROM payments.reconciliation_finding f"
		" WHERE f.merchant OPERATOR(pg_catalog.=) $2"
		" AND f.transaction_key OPERATOR(pg_catalog.=) w.transaction_key"
		" AND f.kind OPERATOR(pg_catalog.=) w.kind)"
		" ON CONFLICT ON CONSTRAINT reconciliation_finding_once DO NOTHING",
		13, {INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, NUMERICARRAYOID, BOOLARRAYOID,
		TIMESTAMPTZARRAYOID, TEXTARRAYOID}
	};
	char	  **texts[7];
	int64	   *amounts = palloc(sizeof(int64) * Max(n, 1));
	bool	   *has_amount = palloc(sizeof(bool) * Max(n, 1));
	TimestampTz *times = palloc(sizeof(TimestampTz) * Max(n, 1));
	int			m = 0;
	Datum		values[13];

	for (int k = 0; k < lengthof(texts); k++)
		texts[k] = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const Movement *movement = &movements[i];

		if (movement->finding == PAY_FINDING_NONE ||
			movement->finding == PAY_FINDING_ASK)
			continue;
		texts[0][m] = movement->transaction_key;
		texts[1][m] = unconstify(char *, pay_finding_name(movement->finding));
		texts[2][m] = movement->payment_key;
		texts[3][m] = movement->order_id;
		texts[4][m] = movement->status;
		texts[5][m] = movement->currency;
		texts[6][m] = unconstify(char *, movement->detail);
		amounts[m] = movement->amount;
		has_amount[m] = movement->has_amount;
		times[m++] = movement->at;
	}
	if (m == 0)
		return;
	values[0] = Int64GetDatum(page->id);
	values[1] = CStringGetTextDatum(page->merchant);
	values[2] = TimestampTzGetDatum(now);
	for (int k = 0; k < 6; k++)
		values[3 + k] = pay_db_text_array(texts[k], m);
	values[9] = pay_db_mills_array(amounts, m);
	values[10] = pay_db_bool_array(has_amount, m);
	values[11] = pay_db_time_array(times, m);
	values[12] = pay_db_text_array(texts[6], m);
	pay_db_run(&insert, values, NULL);
}

/* What Toss cancelled as a whole, and nobody booked, is settled. */
static void
end_canceled(const PayReconcilePage *page, const Movement *movements, int n,
			 TimestampTz now)
{
	static PayStatement end = {
		"INSERT INTO payments.reconciliation_finding_end (finding_id, outcome, reconciliation_id, actor, ended_at)"
		" SELECT f.id, 'canceled', $1, 'payments worker', $2 FROM payments.reconciliation_finding f"
		" WHERE f.merchant OPERATOR(pg_catalog.=) $3 AND f.payment_key OPERATOR(pg_catalog.=) ANY ($4)"
		" AND f.kind IN " UNDONE_BY_CANCEL
		" AND NOT EXISTS (SELECT FROM payments.reconciliation_finding_end e"
		" WHERE e.finding_id OPERATOR(pg_catalog.=) f.id)"
		" ON CONFLICT ON CONSTRAINT reconciliation_finding_end_pkey DO NOTHING",
		4, {INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTARRAYOID}
	};
	char	  **keys = palloc(sizeof(char *) * Max(n, 1));
	int			m = 0;
	Datum		values[4];

	for (int i = 0; i < n; i++)
	{
		PayTheirs	theirs = {movements[i].status, movements[i].amount};

		if (movements[i].finding == PAY_FINDING_NONE &&
			pay_reconcile_undoes(&theirs))
			keys[m++] = movements[i].payment_key;
	}
	if (m == 0)
		return;
	values[0] = Int64GetDatum(page->id);
	values[1] = TimestampTzGetDatum(now);
	values[2] = CStringGetTextDatum(page->merchant);
	values[3] = pay_db_text_array(keys, m);
	pay_db_run(&end, values, NULL);
}

/*
 * Make open calls due now, as queries.  Calls that somebody has locked, that
 * are in flight or wait for a person are left as they are.
 */
static void
ask_about(const Movement *movements, int n, TimestampTz now)
{
	static PayStatement push = {
		"WITH free AS (SELECT call_id FROM payments.psp_call_queue"
		" WHERE order_id OPERATOR(pg_catalog.=) ANY ($1) AND state OPERATOR(pg_catalog.=) 'P'"
		" AND (due_at OPERATOR(pg_catalog.>) $2 OR next_operation OPERATOR(pg_catalog.<>) 'Q')"
		" FOR NO KEY UPDATE SKIP LOCKED)"
		" UPDATE payments.psp_call_queue q SET due_at = $2, next_operation = 'Q'"
		" FROM free WHERE q.call_id OPERATOR(pg_catalog.=) free.call_id"
		" AND q.order_id OPERATOR(pg_catalog.=) ANY ($1) RETURNING q.call_id, q.merchant_id, q.order_id",
		2, {TEXTARRAYOID, TIMESTAMPTZOID}
	};
	static PayStatement push_deposits = {
		"WITH free AS (SELECT call_id FROM payments.psp_call_deposit"
		" WHERE order_id OPERATOR(pg_catalog.=) ANY ($1) AND due_at OPERATOR(pg_catalog.>) $2"
		" FOR NO KEY UPDATE SKIP LOCKED)"
		" UPDATE payments.psp_call_deposit d SET due_at = $2 FROM free"
		" WHERE d.call_id OPERATOR(pg_catalog.=) free.call_id"
		" AND d.order_id OPERATOR(pg_catalog.=) ANY ($1)",
		2, {TEXTARRAYOID, TIMESTAMPTZOID}
	};
	char	  **orders = palloc(sizeof(char *) * Max(n, 1));
	int			m = 0;
	uint64		pushed;
	Datum		values[2];

	for (int i = 0; i < n; i++)
	{
		if (movements[i].finding == PAY_FINDING_ASK)
			orders[m++] = movements[i].order_id;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(orders, m);
	values[1] = TimestampTzGetDatum(now);
	pushed = pay_db_run(&push, values, NULL);
	for (uint64 i = 0; i < pushed; i++)
		pay_wake_enqueued(pay_db_text(i, 3), pay_db_int64(i, 1),
						  pay_db_int64(i, 2), now);
	pay_db_run(&push_deposits, values, NULL);
}

/*
 * Open findings against our books as they are now: those that agree end, and
 * those that have become something else give way to that.
 */
void
pay_finding_look_again(const PayReconcilePage *page, TimestampTz now)
{
	static PayStatement read = {
		"SELECT f.id, f.transaction_key, f.payment_key, f.order_id, f.status, f.currency, f.amount,"
		" f.transaction_at, f.kind FROM payments.reconciliation_finding f"
		" WHERE f.merchant OPERATOR(pg_catalog.=) $1"
		" AND f.kind OPERATOR(pg_catalog.<>) ALL ('{unreadable,unknown status}')"
		" AND NOT EXISTS (SELECT FROM payments.reconciliation_finding_end e"
		" WHERE e.finding_id OPERATOR(pg_catalog.=) f.id) ORDER BY f.id LIMIT $2",
		2, {TEXTOID, INT4OID}
	};
	static PayStatement end = {
		"INSERT INTO payments.reconciliation_finding_end (finding_id, outcome, reconciliation_id, actor, ended_at)"
		" SELECT w.id, CASE WHEN w.agrees THEN 'agrees' ELSE 'replaced' END, $1, 'payments worker', $2"
		" FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4)) AS w (id, agrees)"
		" ON CONFLICT ON CONSTRAINT reconciliation_finding_end_pkey DO NOTHING",
		4, {INT8OID, TIMESTAMPTZOID, INT8ARRAYOID, BOOLARRAYOID}
	};
	Movement   *movements;
	char	  **kinds;
	int64	   *ended;
	bool	   *agrees;
	int			n;
	int			m = 0;
	Datum		values[4];

	values[0] = CStringGetTextDatum(page->merchant);
	values[1] = Int32GetDatum(MAX_LOOK_AGAIN);
	n = (int) pay_db_run(&read, values, NULL);
	movements = palloc0(sizeof(Movement) * Max(n, 1));
	kinds = palloc(sizeof(char *) * Max(n, 1));
	ended = palloc(sizeof(int64) * Max(n, 1));
	agrees = palloc(sizeof(bool) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		movements[i].finding_id = pay_db_int64(i, 1);
		movements[i].transaction_key = pay_db_text(i, 2);
		movements[i].payment_key = pay_db_text(i, 3);
		movements[i].order_id = pay_db_text(i, 4);
		movements[i].status = pay_db_text(i, 5);
		movements[i].currency = pay_db_text(i, 6);
		movements[i].has_amount = true;
		movements[i].amount = pay_db_mills(i, 7);
		movements[i].at = pay_db_time(i, 8);
		kinds[i] = pay_db_text(i, 9);
	}
	judge(movements, n);
	for (int i = 0; i < n; i++)
	{
		if (movements[i].finding == PAY_FINDING_ASK ||
			strcmp(pay_finding_name(movements[i].finding), kinds[i]) == 0)
			continue;
		agrees[m] = movements[i].finding == PAY_FINDING_NONE;
		ended[m++] = movements[i].finding_id;
	}
	write_findings(page, movements, n, now);
	if (m == 0)
		return;
	values[0] = Int64GetDatum(page->id);
	values[1] = TimestampTzGetDatum(now);
	values[2] = pay_db_int64_array(ended, m);
	values[3] = pay_db_bool_array(agrees, m);
	pay_db_run(&end, values, NULL);
}

bool
pay_finding_close(int64 finding_id, const char *note, TimestampTz now)
{
	static PayStatement end = {
		"INSERT INTO payments.reconciliation_finding_end (finding_id, outcome, note, actor, ended_at)"
		" VALUES ($1, 'closed', $2, SESSION_USER, $3)"
		" ON CONFLICT ON CONSTRAINT reconciliation_finding_end_pkey DO NOTHING",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[3];

	values[0] = Int64GetDatum(finding_id);
	values[1] = CStringGetTextDatum(note);
	values[2] = TimestampTzGetDatum(now);
	return pay_db_run(&end, values, NULL) > 0;
}

bool
pay_finding_exists(int64 finding_id)
{
	static PayStatement read = {
		"SELECT id FROM payments.reconciliation_finding WHERE id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(finding_id)};

	return pay_db_run(&read, values, NULL) > 0;
}

/* What was cancelled elsewhere is booked by what Toss says of the payment. */
static void
look_at(const Movement *movements, int n, TimestampTz now)
{
	PayLook    *looks = palloc0(sizeof(PayLook) * Max(n, 1));
	int			m = 0;
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (movements[i].finding == PAY_FINDING_CANCELED_THERE)
			looks[m++].order_id = movements[i].order_id;
	if (m == 0)
		return;
	qsort(looks, m, sizeof(PayLook), compare_looks);
	for (int i = 0; i < m; i++)
		if (i == 0 || strcmp(looks[i].order_id, looks[kept - 1].order_id) != 0)
			looks[kept++] = looks[i];
	pay_psp_look(looks, kept, true, now);
}

static int
compare_looks(const void *a, const void *b)
{
	return strcmp(((const PayLook *) a)->order_id,
				  ((const PayLook *) b)->order_id);
}
