/*
 * worker_send.c
 *		From claims to requests, and from answers to results.
 *
 * Owns the HTTP client and the table of claims in flight, which is indexed by
 * the tag that comes back with an answer.  Settings of a client cannot change,
 * so a reload makes a new one, and the old one lives until its last answer.
 *
 * A claim that cannot be sent, for want of a key for example, is a result like
 * any other: it says that nothing was sent, and the call is tried again later.
 */
#include "postgres.h"

#include <sys/stat.h>

#include <openssl/sha.h>

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "http.h"
#include "psp_answer.h"
#include "secret.h"
#include "worker.h"

#define USER_AGENT			"payments/" PAYMENTS_VERSION
#define MAX_PATH			1024
#define MAX_HEADER			400
#define RETRY_AFTER_CAP_S	300
#define SPARE_FDS			8	/* for what the server itself opens in us */

/* What tells a file from the one that took its place; all zero: none. */
typedef struct FileVersion
{
	dev_t		device;
	ino_t		inode;
	off_t		size;
	int64		changed_ns;
} FileVersion;

/* A client and the settings it was made with. */
typedef struct Client
{
	PayHttp    *http;			/* NULL: none */
	int			capacity;
	int			connect_timeout;
	char		ca_file[MAXPGPATH];
	FileVersion ca_version;
} Client;

static Client current;
static Client former;			/* gets no new requests */
static PayClaim *in_flight[PAY_MAX_IN_FLIGHT];
static int	reserved_fds = 0;

static bool open_client(PayWorker *worker, Client *client,
						const char **error);
static FileVersion version_of(const char *file);
static bool same_version(FileVersion a, FileVersion b);
static int	reserve_fds(int n);
static const char *start_request(PayClaim *claim, int tag,
								 const char *authorization);
static bool receive_from(PayWorker *worker, PayHttp *http);
static void add_result(PayWorker *worker, PayClaim *claim,
					   const PayHttpResult *answer, const char *why);
static void note_problem(PayWorker *worker, const char *merchant,
						 const char *problem);

void
pay_worker_send_open(PayWorker *worker)
{
	const char *error;

	if (!open_client(worker, &current, &error))
		ereport(ERROR,
				(errmsg("could not prepare requests to the PSP: %s", error)));
}

/*
 * Settings may have changed, or what is in the file of authorities: a client
 * keeps what it has read of that, and connections that were made by it.  Returns
 * true when the descriptors to wait for have changed.  While an older client
 * still waits for answers a second change has to wait for them too;
 * pay_worker_receive sees to it.
 */
bool
pay_worker_send_reload(PayWorker *worker)
{
	int			share = pay_shard_share(worker->shard, pay_guc_max_in_flight);
	Client		new;
	const char *error;

	if (former.http != NULL ||
		(current.connect_timeout == pay_guc_connect_timeout &&
		 strcmp(current.ca_file, pay_guc_toss_ca_file) == 0 &&
		 same_version(current.ca_version, version_of(current.ca_file)) &&
		 (current.capacity == share ||
		  current.capacity == reserve_fds(share))))
		return false;

	if (!open_client(worker, &new, &error))
	{
		if (pay_worker_may_log(worker, PAY_LOG_SETTINGS, error))
			ereport(WARNING,
					(errmsg("could not apply new settings to requests: %s", error),
					 errhidestmt(true)));
		return false;
	}
	former = current;
	current = new;
	return true;
}

static bool
open_client(PayWorker *worker, Client *client, const char **error)
{
	PayHttpOptions options = {0};

	client->capacity = reserve_fds(pay_shard_share(worker->shard,
												   pay_guc_max_in_flight));
	client->connect_timeout = pay_guc_connect_timeout;
	strlcpy(client->ca_file, pay_guc_toss_ca_file, sizeof(client->ca_file));
	client->ca_version = version_of(client->ca_file);	/* before it is read */

	options.max_in_flight = client->capacity;
	options.ca_file = client->ca_file[0] ? client->ca_file : NULL;
	options.connect_timeout_ms = client->connect_timeout;
	options.user_agent = USER_AGENT;
	client->http = pay_http_create(&options, error);
	return client->http != NULL;
}

static FileVersion
version_of(const char *file)
{
	FileVersion version = {0};
	struct stat st;

	if (file[0] != '\0' && stat(file, &st) == 0)
	{
		version.device = st.st_dev;
		version.inode = st.st_ino;
		version.size = st.st_size;
		version.changed_ns = st.st_ctim.tv_sec * INT64CONST(1000000000) +
			st.st_ctim.tv_nsec;
	}
	return version;
}

static bool
same_version(FileVersion a, FileVersion b)
{
	return a.device == b.device && a.inode == b.inode && a.size == b.size &&
		a.changed_ns == b.changed_ns;
}

/*
 * Tell the server's file manager how many sockets there may be.  It grants at
 * most a third of all descriptors; returns how many requests that allows.
 */
static int
reserve_fds(int n)
{
	while (reserved_fds > n)
	{
		ReleaseExternalFD();
		reserved_fds--;
	}
	while (reserved_fds < n && AcquireExternalFD())
		reserved_fds++;
	if (reserved_fds < n)
	{
		for (int i = 0; i < SPARE_FDS && reserved_fds > 1; i++)
		{
			ReleaseExternalFD();
			reserved_fds--;
		}
		ereport(LOG,
				(errmsg("payments worker uses %d of its %d payments.max_in_flight: there are not enough file descriptors",
						Max(reserved_fds, 1), n),
				 errhint("Raise max_files_per_process."),
				 errhidestmt(true)));
	}
	return Max(reserved_fds, 1);
}

int
pay_worker_send_capacity(const PayWorker *worker)
{
	return Min(current.capacity,
			   pay_shard_share(worker->shard, pay_guc_max_in_flight));
}

int
pay_worker_send_fds(int fds[2])
{
	int			n = 0;

	fds[n++] = pay_http_fd(current.http);
	if (former.http != NULL)
		fds[n++] = pay_http_fd(former.http);
	return n;
}

/* How long the clients can be left alone; -1 when for ever. */
long
pay_worker_send_timeout_ms(void)
{
	long		timeout = pay_http_timeout_ms(current.http);
	long		other = former.http ? pay_http_timeout_ms(former.http) : -1;

	if (timeout < 0 || (other >= 0 && other < timeout))
		return other < 0 ? timeout : other;
	return timeout;
}

/*
 * Send a claim that is durable.  Takes the claim over.  Once the worker is to
 * stop nothing is begun any more: "not sent" is the better result.
 */
void
pay_worker_send(PayWorker *worker, PayClaim *claim)
{
	bool		moves_money = claim->request.operation != PAY_TOSS_QUERY;
	const char *authorization;
	const char *why;
	char	   *problem;
	int			tag = 0;

	if (!pay_worker_flow_may_send(worker, claim))
	{
		add_result(worker, claim, NULL, "a probe only asks");
		return;
	}
	if (ShutdownRequestPending)
	{
		add_result(worker, claim, NULL, "the worker was stopped");
		return;
	}

	/* what moves money goes out with the key that its claim says */
	authorization = pay_secret_authorization(claim->merchant, claim->sent_as,
											 moves_money, &problem);
	if (authorization == NULL)
	{
		note_problem(worker, claim->merchant, problem);
		pfree(problem);
		add_result(worker, claim, NULL, "no usable secret key");
		return;
	}
	if (strcmp(worker->problem_merchant, claim->merchant) == 0)
		note_problem(worker, "", "");
	if (moves_money && !pay_worker_may_send(claim->merchant))
	{
		add_result(worker, claim, NULL, "not armed any more");
		return;
	}

	while (in_flight[tag] != NULL)
		tag++;
	why = start_request(claim, tag, authorization);
	if (why != NULL)
	{
		add_result(worker, claim, NULL, why);
		return;
	}
	in_flight[tag] = claim;
	worker->in_flight++;
}

/* Hand a request to the client.  Returns NULL, or why it refuses. */
static const char *
start_request(PayClaim *claim, int tag, const char *authorization)
{
	char		path[MAX_PATH];
	char		url[MAX_PATH + 300];
	char		key[MAX_HEADER];
	const char *headers[3];
	const char *error;
	PayHttpRequest request = {0};

	if (pay_toss_path(&claim->request, path, sizeof(path)) < 0)
		return "the request cannot be addressed";
	if (snprintf(url, sizeof(url), "%s%s", pay_guc_toss_url, path) >= sizeof(url) ||
		snprintf(key, sizeof(key), "Idempotency-Key: %s", claim->idempotency_key) >= sizeof(key))
		return "the request is too long";

	request.tag = tag;
	request.url = url;
	request.headers = headers;
	headers[request.n_headers++] = authorization;
	if (claim->request.operation != PAY_TOSS_QUERY)
	{
		headers[request.n_headers++] = "Content-Type: application/json";
		headers[request.n_headers++] = key;
		request.body = claim->request_body;
		request.body_len = strlen(claim->request_body);
	}
	request.timeout_ms = pay_guc_request_timeout;
	return pay_http_start(current.http, &request, &error) ? NULL : error;
}

/*
 * Move the network, and make results of what has ended.  Returns true when the
 * descriptors to wait for have changed.
 */
bool
pay_worker_receive(PayWorker *worker)
{
	receive_from(worker, current.http);
	if (former.http == NULL || receive_from(worker, former.http))
		return false;

	pay_http_destroy(former.http);
	former.http = NULL;
	(void) pay_worker_send_reload(worker);
	return true;
}

/* Returns whether more is to come. */
static bool
receive_from(PayWorker *worker, PayHttp *http)
{
	PayHttpResult answer;

	/* also when nothing is in flight: the PSP may have closed a connection */
	pay_http_run(http);
	while (pay_http_next(http, &answer))
	{
		PayClaim   *claim = in_flight[answer.tag];

		in_flight[answer.tag] = NULL;
		worker->in_flight--;
		if (worker->problem_merchant[0] == '\0')
			note_problem(worker, "", answer.error ? answer.error : "");
		add_result(worker, claim, &answer, answer.error);
	}
	return pay_http_in_flight(http) > 0;
}

/* Whatever is still in flight ends without an answer. */
void
pay_worker_give_up(PayWorker *worker)
{
	static const PayHttpResult none = {.outcome = PAY_HTTP_NO_ANSWER};

	for (int tag = 0; tag < PAY_MAX_IN_FLIGHT; tag++)
	{
		if (in_flight[tag] == NULL)
			continue;
		add_result(worker, in_flight[tag], &none, "the worker was stopped");
		in_flight[tag] = NULL;
		worker->in_flight--;
	}
	pay_http_destroy(current.http);
	pay_http_destroy(former.http);
	current.http = former.http = NULL;
}

/*
 * Make a result of a claim: read the answer, understand it, and decide.  All
 * that it needs lives in the claim's own context.  Without an answer nothing
 * was sent; why is static text.
 */
static void
add_result(PayWorker *worker, PayClaim *claim, const PayHttpResult *answer,
		   const char *why)
{
	PayResult  *result = &worker->results[worker->n_results++];
	PayCallState state;
	PayTimes	times;
	MemoryContext old = MemoryContextSwitchTo(claim->context);

	memset(result, 0, sizeof(PayResult));
	result->claim = claim;
	pay_worker_clock(worker, &times);
	result->received_at = times.now;
	result->transport = answer == NULL ||
		answer->outcome == PAY_HTTP_NOT_SENT ? PAY_TRANSPORT_NOT_SENT :
		answer->outcome == PAY_HTTP_ANSWERED ? PAY_TRANSPORT_ANSWERED :
		PAY_TRANSPORT_NO_ANSWER;

	if (result->transport == PAY_TRANSPORT_ANSWERED)
	{
		pay_toss_json_read(answer->body, answer->body_len, &result->body);
		result->http_status = answer->status;
		result->body_size = (int) answer->body_len;

		/* OpenSSL's own: the server's digests need a transaction. */
		SHA256((const unsigned char *) answer->body, answer->body_len,
			   result->body_sha256);
		if (answer->trace_id[0] != '\0')
			result->trace_id = pstrdup(answer->trace_id);
		result->connect_us = answer->connect_us;
		result->first_byte_us = answer->first_byte_us;
		result->total_us = answer->total_us;
	}

	pay_toss_interpret(&claim->request, result->transport, result->http_status,
					   &result->body, &result->answer);
	if (result->answer.detail == NULL)
		result->answer.detail = why;
	if (claim->asked != NULL && !result->answer.suspect &&
		(result->answer.meaning == PAY_MEANS_OPEN ||
		 result->answer.meaning == PAY_MEANS_UNCERTAIN))
		result->answer.detail = psprintf("asked %s than it was sent with",
										 claim->asked);
	claim->state.deposit_due_at =
		pay_psp_answer_time(result->body.virtual_account_due_date);
	state = claim->state;
	state.first_sent_at += times.now - times.earliest;
	pay_resolve(&state, result->answer.meaning, times.now,
				&result->decision);
	if (answer != NULL && answer->retry_after_s > 0)
	{
		PayTime		asked = Min(answer->retry_after_s, RETRY_AFTER_CAP_S);

		result->decision.delay = Max(result->decision.delay,
									 asked * USECS_PER_SEC);
	}
	pay_worker_flow_result(worker, result, answer);
	MemoryContextSwitchTo(old);
}

/*
 * Remember for the status what stands in the way of sending, and warn now and
 * then.  Empty text: nothing any more.
 */
static void
note_problem(PayWorker *worker, const char *merchant, const char *problem)
{
	strlcpy(worker->problem_merchant, merchant,
			sizeof(worker->problem_merchant));
	strlcpy(worker->problem, problem, sizeof(worker->problem));
	if (problem[0] != '\0' && pay_worker_may_log(worker, PAY_LOG_SENDING, problem))
		ereport(WARNING,
				(errmsg("request to the PSP could not be sent or was not answered"),
				 errdetail("%s.", problem),
				 errhidestmt(true)));
}
