/*
 * worker_reconcile.c
 *		Reading Toss's list of transactions, beside all the other work.
 *
 * Owns an HTTP client of its own, for one request at a time: a page is large
 * and may take a minute, and no payment is to wait for it.  The client is there
 * only while there is something to read.  As with calls, a page is claimed in
 * one transaction, asked for behind its commit, and saved in another, which
 * claims the next; nothing of it waits anywhere.
 *
 * Charges wait for it only behind a start that may have cost the books something
 * (worker_books.c).  Every start is one but that of a worker before which, since
 * the server was started, another one began in the same extension of the same
 * database, if nothing is in doubt: a crash, a promotion, a backup and a dump that
 * was put into the place of what it is a copy of are not.
 *
 * A run that was cut off goes on at its last page: whoever begins an epoch asks
 * for it again.  test/t/059_reconcile.pl
 */
#include "postgres.h"

#include <openssl/sha.h>

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "clock.h"
#include "db.h"
#include "fault.h"
#include "http.h"
#include "psp_reconcile.h"
#include "secret.h"
#include "wake.h"
#include "worker.h"

#define USER_AGENT			"payments/" PAYMENTS_VERSION
#define MAX_PATH			600
#define LIST_TIMEOUT		90000	/* ms: Toss may take a minute */
#define PAGE_PAUSE			700 /* ms: Toss allows 100 a minute */
#define KEEP_CLIENT			5000	/* ms without a request */
#define RETRY_TURN			1000	/* ms */
#define TURN_TRIES			3

#define UNIX_TO_POSTGRES_US \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

typedef enum Stage
{
	LOOKING,					/* for something that is due */
	SENT,
	ANSWERED					/* and not saved */
} Stage;

static Stage stage = LOOKING;
static int64 act_at = 0;		/* when to look, or to save once more */
static int64 looked_at = 0;
static int64 sent_at = 0;
static int	failed_turns = 0;

static PayReconcilePage *page = NULL;
static PayReconcilePage *next_page = NULL;
static PayReconcileAnswer answer;
static PayTossList list;

static PayHttp *http = NULL;
static bool has_fd = false;
static int64 used_at = 0;

static bool reconciles(const PayWorker *worker);
static bool may_act(const PayWorker *worker);
static int64 sweep_at(void);
static void take_turn(PayWorker *worker);
static void schedule(char **merchants, int n, TimestampTz now);
static int	read_merchants(bool with_key, char ***names);
static void send_page(PayWorker *worker);
static const char *start_request(void);
static bool open_client(void);
static void answer_without(const char *problem);
static void take_answer(const PayHttpResult *result);

/* Of all the workers of a database the first one reconciles. */
static bool
reconciles(const PayWorker *worker)
{
	return worker->shard.number == 0;
}

/*
 * A worker begins its epoch, in a transaction; Toss is asked at asked_at at the
 * earliest, when requests of the run before must have ended.  The first epoch
 * of all has no books that could lack anything.  Merchants without a key are
 * not left out: that may be put into its place later.
 *
 * Every worker does this, whoever reconciles, because each must find the run when
 * it looks whether its charges have to wait.  They come here one after the other,
 * each behind the commit of the one before it, since the epoch was drawn.
 */
void
pay_worker_reconcile_start(PayWorker *worker, TimestampTz asked_at)
{
	bool		went_on = worker->asking[0] == '\0' &&
	pay_worker_slot_went_on(worker->slot->database, MyDatabaseId,
							worker->extension);
	char	  **names;
	int			n;

	if (went_on || worker->epoch == 1 || pay_guc_reconcile_interval == 0)
		return;
	n = read_merchants(false, &names);
	for (int i = 0; i < n; i++)
		pay_reconcile_after_start(names[i], GetCurrentTimestamp(), asked_at);
	PAY_FAULT("list-noted");
	if (!reconciles(worker))
		pay_wake_look();
}

/* Something may be due that nobody knew of.  While results wait, in a while. */
void
pay_worker_reconcile_look(PayWorker *worker)
{
	if (stage == LOOKING)
		act_at = worker->n_results == 0 ? 0 : Min(act_at, looked_at + RETRY_TURN);
}

/* When to do something although nothing happens (pay_clock_ms) */
int64
pay_worker_reconcile_at(const PayWorker *worker)
{
	return may_act(worker) ? act_at : PAY_NEVER;
}

static bool
may_act(const PayWorker *worker)
{
	return reconciles(worker) && stage != SENT && !worker->holding &&
		worker->withheld[0] == '\0' && worker->gone[0] == '\0' &&
		!ShutdownRequestPending;
}

/* When to look in any case, if we are awake by then. */
static int64
sweep_at(void)
{
	return stage == LOOKING ?
		looked_at + pay_guc_sweep_interval * INT64CONST(1000) : PAY_NEVER;
}

/*
 * A step.  Returns true when the descriptors to wait for have changed.  Looks
 * at the table when something is due, when asked, and once per sweep interval
 * while it is awake anyway.
 */
bool
pay_worker_reconcile(PayWorker *worker)
{
	PayHttp    *before = http;
	PayHttpResult result;
	int64		now;

	if (http != NULL)
	{
		pay_http_run(http);
		if (pay_http_next(http, &result))
			take_answer(&result);
	}
	now = pay_clock_ms();
	if (may_act(worker) && now >= Min(act_at, sweep_at()))
		take_turn(worker);
	if (stage == LOOKING && http != NULL && now - used_at > KEEP_CLIENT)
		pay_worker_reconcile_close(worker);
	return http != before;
}

/* Save what was answered, and claim what is due. */
static void
take_turn(PayWorker *worker)
{
	PayTurn		turn = {PAY_TURN_RECONCILE};
	PayReconcilePage *saved = stage == ANSWERED ? page : NULL;

	if (pay_worker_try_turn(worker, &turn))
	{
		failed_turns = 0;
		if (saved != NULL)
		{
			PAY_FAULT("list-saved");
			MemoryContextDelete(saved->context);
			pay_worker_books_look(worker);
		}
		page = next_page;
		stage = LOOKING;
		if (page != NULL)
		{
			MemoryContextSetParent(page->context, worker->context);
			PAY_FAULT("list-claimed");
			send_page(worker);
		}
		return;
	}
	if (worker->gone[0] != '\0')
		return;
	if (pay_worker_may_log(worker, PAY_LOG_RECONCILE, turn.failure.message))
		ereport(WARNING,
				(errmsg("payments worker cannot reconcile with the PSP's list"),
				 errdetail("%s", turn.failure.message),
				 errhint("Payments go on. See payments.reconciliation."),
				 errhidestmt(true)));
	act_at = pay_clock_ms() + RETRY_TURN;

	/* a page that cannot be saved must not stand in the way for ever */
	if (saved != NULL && ++failed_turns == TURN_TRIES)
	{
		answer.problem = "NOT_STORABLE";
		answer.list = NULL;
		answer.trace_id = NULL;
	}
}

/* The turn's transaction, for worker_turn.c. */
void
pay_worker_reconcile_work(PayWorker *worker)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		clock = pay_clock_ms();
	TimestampTz next_due;
	char	  **names;
	int			n;

	next_page = NULL;
	if (stage == ANSWERED)
		pay_reconcile_save(page, &answer, worker->epoch, now);
	if (!pay_worker_may_claim(worker))
	{
		act_at = clock + RETRY_TURN;
		return;
	}
	if (clock < sent_at + PAGE_PAUSE)
	{
		act_at = sent_at + PAGE_PAUSE;
		return;
	}
	n = read_merchants(true, &names);
	if (clock - looked_at >= RETRY_TURN)
		schedule(names, n, now);
	looked_at = clock;
	next_page = pay_reconcile_claim(names, n, worker->epoch, now,
									worker->turn_context, &next_due);
	act_at = next_page != NULL || next_due == DT_NOEND ? PAY_NEVER :
		clock + Max(next_due - now, 0) / 1000 + 1;
}

static void
schedule(char **merchants, int n, TimestampTz now)
{
	for (int i = 0; i < n && pay_guc_reconcile_interval > 0; i++)
		pay_reconcile_scheduled(merchants[i], now,
								pay_guc_reconcile_interval);
}

/* All, or those with a key that can be used */
static int
read_merchants(bool with_key, char ***names)
{
	static PayStatement read = {
		"SELECT name FROM payments.merchant ORDER BY name",
		0
	};
	MemoryContext caller = pay_db_connect();
	int			n = (int) pay_db_run(&read, NULL, NULL);
	int			m = 0;

	*names = MemoryContextAlloc(caller, sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		char	   *name = pay_db_text(i, 1);
		PaySecretKeys keys = {0};

		if (with_key)
			pay_secret_look(name, &keys);
		if (!with_key || keys.fingerprint != NULL)
			(*names)[m++] = MemoryContextStrdup(caller, name);
	}
	pay_db_finish();
	return m;
}

/* The claim is durable. */
static void
send_page(PayWorker *worker)
{
	const char *problem = NULL;

	stage = SENT;
	sent_at = pay_clock_ms();
	if (http == NULL && !open_client())
		problem = "NO_CLIENT";
	if (problem == NULL)
		problem = start_request();
	if (problem != NULL)
		answer_without(problem);
	else
		PAY_FAULT("list-asked");
}

/* Returns NULL, or why nothing was sent. */
static const char *
start_request(void)
{
	PayTossListRequest wanted = {
		.from_us = page->slice_since + UNIX_TO_POSTGRES_US,
		.to_us = page->slice_until + UNIX_TO_POSTGRES_US,
		.after = page->last_key,
		.rows = PAY_RECONCILE_ROWS
	};
	PayHttpRequest request = {0};
	char		path[MAX_PATH];
	char		url[MAX_PATH + 300];
	const char *headers[1];
	const char *error;
	char	   *problem;

	if (pay_toss_list_path(&wanted, path, sizeof(path)) < 0 ||
		snprintf(url, sizeof(url), "%s%s", pay_guc_toss_url, path) >= sizeof(url))
		return "NOT_ADDRESSABLE";
	headers[0] = pay_secret_authorization(page->merchant, NULL, false,
										  &problem);
	if (headers[0] == NULL)
	{
		pfree(problem);
		return "NO_SECRET_KEY";
	}
	request.url = url;
	request.headers = headers;
	request.n_headers = 1;
	request.timeout_ms = Max(pay_guc_request_timeout, LIST_TIMEOUT);
	return pay_http_start(http, &request, &error) ? NULL : "NOT_SENT";
}

static bool
open_client(void)
{
	PayHttpOptions options = {
		.max_in_flight = 1,
		.ca_file = pay_guc_toss_ca_file[0] ? pay_guc_toss_ca_file : NULL,
		.connect_timeout_ms = pay_guc_connect_timeout,
		.user_agent = USER_AGENT,
		.max_body = PAY_TOSS_MAX_LIST
	};
	const char *error;

	has_fd = AcquireExternalFD();
	if (has_fd)
		http = pay_http_create(&options, &error);
	if (http == NULL && has_fd)
	{
		ReleaseExternalFD();
		has_fd = false;
	}
	return http != NULL;
}

/* Part with the client; what it waits for is asked for again some day. */
bool
pay_worker_reconcile_close(PayWorker *worker)
{
	if (http == NULL)
		return false;
	pay_http_destroy(http);
	http = NULL;
	ReleaseExternalFD();
	has_fd = false;
	return true;
}

int
pay_worker_reconcile_fd(void)
{
	return http == NULL ? -1 : pay_http_fd(http);
}

long
pay_worker_reconcile_timeout_ms(void)
{
	return http == NULL ? -1 : pay_http_timeout_ms(http);
}

static void
answer_without(const char *problem)
{
	memset(&answer, 0, sizeof(answer));
	answer.problem = problem;
	answer.received_at = GetCurrentTimestamp();
	stage = ANSWERED;
	act_at = 0;
	failed_turns = 0;
	used_at = pay_clock_ms();
}

/* All that it needs lives in the page's own context. */
static void
take_answer(const PayHttpResult *result)
{
	MemoryContext old = MemoryContextSwitchTo(page->context);

	answer_without(NULL);
	if (result->outcome != PAY_HTTP_ANSWERED)
		answer.problem = result->outcome == PAY_HTTP_NOT_SENT ? "NOT_SENT" :
			"NO_ANSWER";
	else
	{
		pay_toss_list_read(result->body, result->body_len, &list);
		answer.http_status = result->status;
		answer.retry_after_s = result->retry_after_s;
		answer.body_size = (int) result->body_len;
		SHA256((const unsigned char *) result->body, result->body_len,
			   answer.body_sha256);
		if (result->trace_id[0] != '\0')
			answer.trace_id = pstrdup(result->trace_id);
		answer.total_us = result->total_us;
		if (result->status == 200 && list.verdict == PAY_TOSS_LIST_ROWS)
			answer.list = &list;
		else if (list.verdict == PAY_TOSS_LIST_ERROR)
			answer.problem = pay_toss_is_code(list.code) ? list.code :
				"UNKNOWN_CODE";
		else
			answer.problem = result->status == 200 ? "GARBAGE" :
				psprintf("HTTP_%d", result->status);
	}
	MemoryContextSwitchTo(old);
	PAY_FAULT("list-answered");
}
