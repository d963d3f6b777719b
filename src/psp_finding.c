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
#include "psp_movement.h"
#include "psp_reconcile.h"
#include "reconciliation.h"
#include "wake.h"

#define MAX_LOOK_AGAIN	5000	/* findings that are looked at again, at once */

#define UNIX_TO_POSTGRES_US \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Findings that a full cancel at Toss settles */
#define UNDONE_BY_CANCEL \
	"('unknown payment', 'not confirmed here', 'other payment', 'other order', 'failed here')"

static bool in_period(const PayReconcilePage *page, const PayTossRow *row);
static void take_row(const PayTossRow *row, PayMovement *movement);
static char *digest_of(const PayTossRow *row);
static void write_findings(const PayReconcilePage *page,
						   const PayMovement *movements, int n, TimestampTz now);
static void end_canceled(const PayReconcilePage *page,
						 const PayMovement *movements, int n, TimestampTz now);
static void ask_about(const PayMovement *movements, int n, TimestampTz now);
static void look_at(const PayMovement *movements, int n, TimestampTz now);
static int	compare_looks(const void *a, const void *b);

int
pay_finding_compare(const PayReconcilePage *page, const PayTossRow *rows,
					int n, int *unreadable, TimestampTz now)
{
	PayMovement *movements = palloc0(sizeof(PayMovement) * Max(n, 1));
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
	pay_psp_movement_judge(movements, m);
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
take_row(const PayTossRow *row, PayMovement *movement)
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

static void
write_findings(const PayReconcilePage *page, const PayMovement *movements,
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
		const PayMovement *movement = &movements[i];

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
end_canceled(const PayReconcilePage *page, const PayMovement *movements, int n,
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
ask_about(const PayMovement *movements, int n, TimestampTz now)
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
	PayMovement *movements;
	char	  **kinds;
	int64	   *ended;
	bool	   *agrees;
	int			n;
	int			m = 0;
	Datum		values[4];

	values[0] = CStringGetTextDatum(page->merchant);
	values[1] = Int32GetDatum(MAX_LOOK_AGAIN);
	n = (int) pay_db_run(&read, values, NULL);
	movements = palloc0(sizeof(PayMovement) * Max(n, 1));
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
	pay_psp_movement_judge(movements, n);
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
look_at(const PayMovement *movements, int n, TimestampTz now)
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
