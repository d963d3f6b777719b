/*
 * psp_reconcile.c
 *		Reconciling: runs over Toss's list of transactions.
 *
 * A run reads its period day by day, because nobody says how long a period Toss
 * takes (toss-api 11.1), and each day page by page until a page brings nothing
 * new: fewer rows than were asked for may only be another limit.  Days share
 * their first and last second, and the first begins nine hours early, in case
 * Toss takes our times, which are Korean and say so nowhere, for UTC.  What is
 * read twice, or lies outside of the period, does no harm.
 *
 * Only reading is asked of Toss, so a page may be asked for as often as it
 * likes.  Where a run has come to is committed with what the page brought; dying
 * anywhere in between means to ask for the page again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "db.h"
#include "fault.h"
#include "psp_reconcile.h"

#define ACTOR				"payments worker"
#define TIME_ZONE_MARGIN	(INT64CONST(9) * USECS_PER_HOUR)
#define AGAIN_AFTER			(INT64CONST(15) * USECS_PER_MINUTE)
#define RETRY_CAP_S			600
#define RETRY_AFTER_CAP_S	3600
#define GIVE_UP_AFTER		(INT64CONST(1) * USECS_PER_DAY)
#define MAX_SLICE_PAGES		20000	/* of a day: then it goes in circles */

/* How a run stands after a page. */
typedef struct Progress
{
	char		state;			/* 'P', 'C', 'G' */
	int			failures;
	TimestampTz failing_since;	/* 0: NULL */
	const char *problem;
	TimestampTz due_at;
	TimestampTz slice_since;
	const char *last_key;
	int			slice_pages;
} Progress;

static void insert_run(const char *merchant, const char *cause,
					   TimestampTz due_at, TimestampTz now, bool unless_waiting,
					   TimestampTz unless_since);
static PayReconcilePage *make_page(MemoryContext parent);
static bool still_ours(const PayReconcilePage *page, int64 epoch);
static void advance(const PayReconcilePage *page, const PayTossList *list,
					TimestampTz now, Progress *progress);
static void fail(const PayReconcilePage *page,
				 const PayReconcileAnswer *answer, const char *problem,
				 TimestampTz now, Progress *progress);
static const char *last_key_of(const PayTossList *list);
static void write_progress(const PayReconcilePage *page,
						   const Progress *progress, int transactions,
						   TimestampTz now);
static void write_page(const PayReconcilePage *page,
					   const PayReconcileAnswer *answer, const char *problem,
					   int transactions, int unreadable, bool counted);

int64
pay_reconcile_request(const char *merchant, const char *actor,
					  TimestampTz since, TimestampTz until, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.reconciliation (id, merchant, cause, actor, requested_at, since, until, due_at)"
		" VALUES ($1, $2, 'operator', $3, $4, $5, $6, $4)",
		6, {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	int64		id = pay_db_draw_ids("reconciliation_id_seq", 1)[0];
	Datum		values[6];

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(merchant);
	values[2] = CStringGetTextDatum(actor);
	values[3] = TimestampTzGetDatum(now);
	values[4] = TimestampTzGetDatum(since);
	values[5] = TimestampTzGetDatum(until);
	pay_db_run(&insert, values, until == 0 ? "     n" : NULL);
	return id;
}

void
pay_reconcile_after_start(const char *merchant, TimestampTz now,
						  TimestampTz first_at)
{
	pay_db_connect();
	insert_run(merchant, "start", first_at, now, true, now);
	insert_run(merchant, "after start", first_at + AGAIN_AFTER, now, true, now);
	pay_db_finish();
}

void
pay_reconcile_scheduled(const char *merchant, TimestampTz now, int interval_s)
{
	pay_db_connect();
	insert_run(merchant, "schedule", now, now, false,
			   now - interval_s * USECS_PER_SEC);
	pay_db_finish();
}

/*
 * From when on?  A day, and all that may be missing: what happened since our
 * newest attempt, in a copy of the books that is old, and since the last run of
 * our own that was completed.  What operators let run counts for nothing here:
 * they choose the period.  Never longer than a month, and not before there was the
 * merchant: what was paid then is not ours.
 */
static void
insert_run(const char *merchant, const char *cause, TimestampTz due_at,
		   TimestampTz now, bool unless_waiting, TimestampTz unless_since)
{
	static PayStatement insert = {
		"INSERT INTO payments.reconciliation (id, merchant, cause, actor, requested_at, since, due_at)"
		" SELECT pg_catalog.nextval('payments.reconciliation_id_seq'), m.name, $2, $3, $4,"
		" pg_catalog.date_trunc('second', GREATEST(m.created_at, $4 OPERATOR(pg_catalog.-) '31 days'::pg_catalog.interval,"
		" LEAST($4 OPERATOR(pg_catalog.-) '1 day'::pg_catalog.interval,"
		" (SELECT a.claimed_at FROM payments.psp_attempt a ORDER BY a.call_id DESC, a.attempt_no DESC LIMIT 1)"
		" OPERATOR(pg_catalog.-) '1 hour'::pg_catalog.interval,"
		" (SELECT r.until FROM payments.reconciliation r WHERE r.merchant OPERATOR(pg_catalog.=) $1"
		" AND r.state OPERATOR(pg_catalog.=) 'C' AND r.cause OPERATOR(pg_catalog.<>) 'operator'"
		" ORDER BY r.requested_at DESC LIMIT 1)"
		" OPERATOR(pg_catalog.-) '1 day'::pg_catalog.interval))), $5"
		" FROM payments.merchant m WHERE m.name OPERATOR(pg_catalog.=) $1"
		" AND NOT EXISTS (SELECT FROM payments.reconciliation r WHERE r.merchant OPERATOR(pg_catalog.=) $1"
		" AND CASE WHEN $6 THEN r.cause OPERATOR(pg_catalog.=) $2 AND r.ended_at IS NULL"
		" AND r.attempt_no OPERATOR(pg_catalog.=) 0 ELSE r.cause OPERATOR(pg_catalog.<>) 'operator'"
		" AND r.requested_at OPERATOR(pg_catalog.>) $7 END)",
		7, {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID,
		TIMESTAMPTZOID}
	};
	Datum		values[7];

	values[0] = CStringGetTextDatum(merchant);
	values[1] = CStringGetTextDatum(cause);
	values[2] = CStringGetTextDatum(ACTOR);
	values[3] = TimestampTzGetDatum(now);
	values[4] = TimestampTzGetDatum(due_at);
	values[5] = BoolGetDatum(unless_waiting);
	values[6] = TimestampTzGetDatum(unless_since);
	pay_db_run(&insert, values, NULL);
}

int
pay_reconcile_open_starts(PayReconcileOpen **open)
{
	static PayStatement read = {
		"SELECT merchant, pg_catalog.min(CASE attempt_no WHEN 0 THEN due_at ELSE requested_at END)"
		" FROM payments.reconciliation WHERE ended_at IS NULL"
		" AND cause OPERATOR(pg_catalog.=) 'start' GROUP BY merchant",
		0
	};
	MemoryContext caller = pay_db_connect();
	int			n = (int) pay_db_run(&read, NULL, NULL);

	*open = MemoryContextAlloc(caller, sizeof(PayReconcileOpen) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*open)[i].merchant = MemoryContextStrdup(caller, pay_db_text(i, 1));
		(*open)[i].due_at = pay_db_time(i, 2);
	}
	pay_db_finish();
	return n;
}

/* A clock that was set back behind since leaves a second of a period. */
PayReconcilePage *
pay_reconcile_claim(char **merchants, int n, int64 epoch, TimestampTz now,
					MemoryContext parent, TimestampTz *next_due)
{
	static PayStatement claim = {
		"WITH due AS (SELECT id FROM payments.reconciliation WHERE ended_at IS NULL"
		" AND merchant OPERATOR(pg_catalog.=) ANY ($5) AND due_at OPERATOR(pg_catalog.<=) $2"
		" AND (state OPERATOR(pg_catalog.=) 'P' OR epoch OPERATOR(pg_catalog.<>) $1)"
		" ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)"
		" UPDATE payments.reconciliation r SET state = 'S', epoch = $1,"
		" attempt_no = r.attempt_no OPERATOR(pg_catalog.+) 1,"
		" until = COALESCE(r.until, GREATEST($2, r.since OPERATOR(pg_catalog.+) '1 second'::pg_catalog.interval)),"
		" slice_since = COALESCE(r.slice_since, r.since OPERATOR(pg_catalog.-) $3)"
		" FROM due WHERE r.id OPERATOR(pg_catalog.=) due.id"
		" RETURNING r.id, r.attempt_no, r.merchant, r.since, r.until, r.slice_since,"
		" LEAST(r.until, r.slice_since OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval),"
		" r.last_key, r.slice_pages, r.failures, COALESCE(r.failing_since, $4)",
		5, {INT8OID, TIMESTAMPTZOID, INTERVALOID, TIMESTAMPTZOID, TEXTARRAYOID}
	};
	static PayStatement next = {
		"SELECT due_at FROM payments.reconciliation WHERE ended_at IS NULL"
		" AND merchant OPERATOR(pg_catalog.=) ANY ($2)"
		" AND (state OPERATOR(pg_catalog.=) 'P' OR epoch OPERATOR(pg_catalog.<>) $1)"
		" ORDER BY due_at LIMIT 1",
		2, {INT8OID, TEXTARRAYOID}
	};
	Interval	margin = {.time = TIME_ZONE_MARGIN};
	PayReconcilePage *page = NULL;
	Datum		values[5];

	*next_due = DT_NOEND;
	if (n == 0)
		return NULL;

	pay_db_connect();
	values[0] = Int64GetDatum(epoch);
	values[1] = TimestampTzGetDatum(now);
	values[2] = IntervalPGetDatum(&margin);
	values[3] = TimestampTzGetDatum((TimestampTz) 0);
	values[4] = pay_db_text_array(merchants, n);
	if (pay_db_run(&claim, values, NULL) > 0)
		page = make_page(parent);
	else
	{
		values[1] = values[4];
		if (pay_db_run(&next, values, NULL) > 0)
			*next_due = pay_db_time(0, 1);
	}
	pay_db_finish();
	return page;
}

static PayReconcilePage *
make_page(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "payments page",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PayReconcilePage *page = palloc0(sizeof(PayReconcilePage));

	page->context = context;
	page->id = pay_db_int64(0, 1);
	page->attempt_no = pay_db_int32(0, 2);
	page->merchant = pay_db_text(0, 3);
	page->since = pay_db_time(0, 4);
	page->until = pay_db_time(0, 5);
	page->slice_since = pay_db_time(0, 6);
	page->slice_until = pay_db_time(0, 7);
	page->last_key = pay_db_text(0, 8);
	page->slice_pages = pay_db_int32(0, 9);
	page->failures = pay_db_int32(0, 10);
	page->failing_since = pay_db_time(0, 11);
	MemoryContextSwitchTo(caller);
	return page;
}

void
pay_reconcile_save(const PayReconcilePage *page,
				   const PayReconcileAnswer *answer, int64 epoch,
				   TimestampTz now)
{
	const char *problem = answer->problem;
	Progress	progress;
	bool		counted;
	int			transactions = 0;
	int			unreadable = 0;

	pay_db_connect();
	counted = still_ours(page, epoch);
	if (counted)
	{
		if (problem == NULL)
		{
			transactions = pay_finding_compare(page, answer->list->rows,
											   answer->list->n, &unreadable,
											   now);
			PAY_FAULT("list-compared");
			advance(page, answer->list, now, &progress);
			problem = progress.problem;
		}
		if (problem != NULL)
			fail(page, answer, problem, now, &progress);
		if (progress.state == 'C')
			pay_finding_look_again(page, now);
		write_progress(page, &progress, transactions, now);
	}
	write_page(page, answer, problem, transactions, unreadable, counted);
	PAY_FAULT("list-written");
	pay_db_finish();
}

/* Lock the run: does it still wait for this very answer? */
static bool
still_ours(const PayReconcilePage *page, int64 epoch)
{
	static PayStatement lock = {
		"SELECT id FROM payments.reconciliation WHERE id OPERATOR(pg_catalog.=) $1"
		" AND epoch OPERATOR(pg_catalog.=) $2 AND attempt_no OPERATOR(pg_catalog.=) $3"
		" AND state OPERATOR(pg_catalog.=) 'S' FOR NO KEY UPDATE",
		3, {INT8OID, INT8OID, INT4OID}
	};
	Datum		values[3];

	values[0] = Int64GetDatum(page->id);
	values[1] = Int64GetDatum(epoch);
	values[2] = Int32GetDatum(page->attempt_no);
	return pay_db_run(&lock, values, NULL) > 0;
}

/*
 * Where to go on behind a page that was read, with progress->problem when that
 * cannot be said.  A page without rows, or with nothing but the row behind which
 * it was to begin, is the last one of its day.
 */
static void
advance(const PayReconcilePage *page, const PayTossList *list,
		TimestampTz now, Progress *progress)
{
	const char *last = last_key_of(list);
	bool		stays = last != NULL && page->last_key != NULL &&
	strcmp(last, page->last_key) == 0;

	memset(progress, 0, sizeof(Progress));
	progress->state = 'P';
	progress->due_at = now;
	progress->slice_since = page->slice_since;
	if (list->n == 0 || (stays && list->n == 1))
	{
		progress->slice_since = page->slice_until;
		if (page->slice_until >= page->until)
			progress->state = 'C';
		return;
	}
	progress->last_key = last;
	progress->slice_pages = page->slice_pages + 1;
	if (last == NULL)
		progress->problem = "NO_KEY_TO_GO_ON";
	else if (stays || progress->slice_pages > MAX_SLICE_PAGES)
		progress->problem = "LIST_DOES_NOT_END";
}

/* The same page again, later each time, and some day no more. */
static void
fail(const PayReconcilePage *page, const PayReconcileAnswer *answer,
	 const char *problem, TimestampTz now, Progress *progress)
{
	int			seconds = page->failures < 10 ?
	Min(1 << page->failures, RETRY_CAP_S) : RETRY_CAP_S;

	memset(progress, 0, sizeof(Progress));
	seconds = Max(seconds, Min(answer->retry_after_s, RETRY_AFTER_CAP_S));
	progress->failing_since = page->failing_since ? page->failing_since : now;
	progress->state = now - progress->failing_since > GIVE_UP_AFTER ? 'G' : 'P';
	progress->failures = page->failures + 1;
	progress->problem = problem;
	progress->due_at = now + seconds * USECS_PER_SEC;
	progress->slice_since = page->slice_since;
	progress->last_key = page->last_key;
	progress->slice_pages = page->slice_pages;
}

/* Of the last row that has one, good or not */
static const char *
last_key_of(const PayTossList *list)
{
	for (int i = list->n - 1; i >= 0; i--)
	{
		if (list->rows[i].transaction_key != NULL)
			return list->rows[i].transaction_key;
	}
	return NULL;
}

static void
write_progress(const PayReconcilePage *page, const Progress *progress,
			   int transactions, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.reconciliation SET state = $2, failures = $3, failing_since = $4,"
		" problem = $5, due_at = $6, slice_since = $7, last_key = $8, slice_pages = $9,"
		" transactions = transactions OPERATOR(pg_catalog.+) $10,"
		" ended_at = CASE WHEN $2 OPERATOR(pg_catalog.=) 'P' THEN NULL ELSE $11 END"
		" WHERE id OPERATOR(pg_catalog.=) $1",
		11, {INT8OID, CHAROID, INT4OID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID}
	};
	char		nulls[] = "           ";
	Datum		values[11] = {0};

	values[0] = Int64GetDatum(page->id);
	values[1] = CharGetDatum(progress->state);
	values[2] = Int32GetDatum(progress->failures);
	values[3] = TimestampTzGetDatum(progress->failing_since);
	if (progress->failing_since == 0)
		nulls[3] = 'n';
	if (progress->problem != NULL)
		values[4] = CStringGetTextDatum(progress->problem);
	else
		nulls[4] = 'n';
	values[5] = TimestampTzGetDatum(progress->due_at);
	values[6] = TimestampTzGetDatum(progress->slice_since);
	if (progress->last_key != NULL)
		values[7] = CStringGetTextDatum(progress->last_key);
	else
		nulls[7] = 'n';
	values[8] = Int32GetDatum(progress->slice_pages);
	values[9] = Int64GetDatum((int64) transactions);
	values[10] = TimestampTzGetDatum(now);
	pay_db_run(&update, values, nulls);
}

static void
write_page(const PayReconcilePage *page, const PayReconcileAnswer *answer,
		   const char *problem, int transactions, int unreadable, bool counted)
{
	static PayStatement insert = {
		"INSERT INTO payments.reconciliation_page (reconciliation_id, attempt_no, since, until,"
		" after_key, http_status, problem, rows, transactions, unreadable, counted, body_size,"
		" body_sha256, trace_id, total_us, received_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
		" ON CONFLICT ON CONSTRAINT reconciliation_page_pkey DO NOTHING",
		16, {INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT4OID,
			TEXTOID, INT4OID, INT4OID, INT4OID, BOOLOID, INT4OID, BYTEAOID, TEXTOID,
		INT8OID, TIMESTAMPTZOID}
	};
	char		nulls[] = "                ";
	Datum		values[16] = {0};

	values[0] = Int64GetDatum(page->id);
	values[1] = Int32GetDatum(page->attempt_no);
	values[2] = TimestampTzGetDatum(page->slice_since);
	values[3] = TimestampTzGetDatum(page->slice_until);
	if (page->last_key != NULL)
		values[4] = CStringGetTextDatum(page->last_key);
	else
		nulls[4] = 'n';
	values[5] = Int32GetDatum(answer->http_status);
	if (answer->http_status == 0)
		nulls[5] = 'n';
	if (problem != NULL)
		values[6] = CStringGetTextDatum(problem);
	else
		nulls[6] = 'n';
	values[7] = Int32GetDatum(answer->list ? answer->list->n : 0);
	values[8] = Int32GetDatum(transactions);
	values[9] = Int32GetDatum(unreadable);
	values[10] = BoolGetDatum(counted);
	values[11] = Int32GetDatum(answer->body_size);
	if (answer->body_size > 0)
	{
		bytea	   *digest = palloc(VARHDRSZ + sizeof(answer->body_sha256));

		SET_VARSIZE(digest, VARHDRSZ + sizeof(answer->body_sha256));
		memcpy(VARDATA(digest), answer->body_sha256,
			   sizeof(answer->body_sha256));
		values[12] = PointerGetDatum(digest);
	}
	else
		nulls[12] = 'n';
	if (answer->trace_id != NULL)
		values[13] = CStringGetTextDatum(answer->trace_id);
	else
		nulls[13] = 'n';
	values[14] = Int64GetDatum(answer->total_us);
	if (answer->http_status == 0)
		nulls[14] = 'n';
	values[15] = TimestampTzGetDatum(answer->received_at);
	pay_db_run(&insert, values, nulls);
}
