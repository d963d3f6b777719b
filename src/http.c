/*
 * http.c
 *		Many HTTPS requests at once, without blocking.
 *
 * Owns the multi handle and the slots of the exchanges, from free over in
 * flight to done.  The sockets are http_loop.c's, a single exchange is
 * http_exchange.c's.
 *
 * What cannot be guessed: libcurl looks at its own clock before it looks at a
 * socket, so its timeout would throw away an answer that already lies in the
 * socket of a caller that was busy elsewhere.  So the deadlines here are ours,
 * and are looked at last, but for requests that have not left: those must not
 * leave behind their time, however long the caller was away.  And libcurl
 * starts a thread for each name that it looks up; the thread inherits the
 * signal mask, and with it the server's signal handlers, unless all signals
 * are blocked while libcurl runs.
 */
#include "http.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "http_exchange.h"
#include "http_loop.h"

#define DEFAULT_CONNECT_MS	5000
#define MAX_IN_FLIGHT		10000

/* How often the sockets are served in a row before the caller's turn. */
#define MAX_ROUNDS			32

struct PayHttp
{
	CURLM	   *multi;
	PayHttpLoop loop;
	PayHttpSettings settings;

	PayHttpExchange *slots;
	int			n_slots;
	PayHttpExchange *unused;	/* a list */
	PayHttpExchange **active;	/* in flight, in no order */
	int			n_active;
	int64_t		next_deadline_us;	/* none of theirs comes earlier */
	PayHttpExchange *done_first;	/* in the order in which they ended */
	PayHttpExchange *done_last;
	int			n_done;
	PayHttpExchange *delivered; /* the caller still reads its body */
};

static const char *check_library(void);
static bool create_handles(PayHttp *http);
static void make_slots(PayHttp *http, int n);
static void serve_sockets(PayHttp *http);
static bool waits_for_answer(const PayHttp *http);
static void collect(PayHttp *http);
static void enforce_deadlines(PayHttp *http, bool unsent_only);
static void end_exchange(PayHttp *http, PayHttpExchange *exchange,
						 CURLcode code, bool timed_out);
static void release_delivered(PayHttp *http);

/*
 * Block the signals that can wait.  Those that report a fault of this very
 * thread cannot.
 */
static void
enter_curl(sigset_t *saved)
{
	sigset_t	blocked;

	sigfillset(&blocked);
	sigdelset(&blocked, SIGSEGV);
	sigdelset(&blocked, SIGBUS);
	sigdelset(&blocked, SIGILL);
	sigdelset(&blocked, SIGFPE);
	sigdelset(&blocked, SIGABRT);
	sigdelset(&blocked, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &blocked, saved);
}

static void
leave_curl(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/*
 * Make a client.  NULL with static text in *error when libcurl is not of the
 * right kind, or memory or descriptors are short.
 */
PayHttp *
pay_http_create(const PayHttpOptions *options, const char **error)
{
	PayHttp    *http = NULL;
	sigset_t	saved;

	enter_curl(&saved);
	*error = check_library();
	if (*error == NULL &&
		(options->max_in_flight < 1 || options->max_in_flight > MAX_IN_FLIGHT))
		*error = "max_in_flight is out of range";
	if (*error == NULL)
	{
		*error = "out of memory or descriptors";
		http = calloc(1, sizeof(PayHttp));
	}
	if (http != NULL)
	{
		http->loop.epoll_fd = -1;
		http->settings.loop = &http->loop;
		http->settings.connect_timeout_ms = options->connect_timeout_ms > 0
			? options->connect_timeout_ms : DEFAULT_CONNECT_MS;
		http->settings.max_body = options->max_body > 0
			? options->max_body : PAY_HTTP_MAX_BODY;
		if (options->ca_file != NULL)
			http->settings.ca_file = strdup(options->ca_file);
		if (options->user_agent != NULL)
			http->settings.user_agent = strdup(options->user_agent);
		make_slots(http, options->max_in_flight);

		if ((options->ca_file != NULL && http->settings.ca_file == NULL) ||
			(options->user_agent != NULL && http->settings.user_agent == NULL) ||
			http->slots == NULL || http->active == NULL ||
			!create_handles(http))
		{
			pay_http_destroy(http);
			http = NULL;
		}
		else
			*error = NULL;
	}
	leave_curl(&saved);
	return http;
}

/*
 * Initialize libcurl once in this process, and never again undo that: OpenSSL
 * is the server's too.  Returns why it cannot be used, or NULL.
 */
static const char *
check_library(void)
{
	static bool initialized = false;
	const curl_version_info_data *info;

	if (!initialized && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return "libcurl could not be initialized";
	initialized = true;

	info = curl_version_info(CURLVERSION_NOW);
	if (info->version_num < 0x075700)
		return "libcurl is older than 7.87";
	if (info->ssl_version == NULL ||
		strncmp(info->ssl_version, "OpenSSL/", 8) != 0)
		return "libcurl does not use OpenSSL";
	if ((info->features & CURL_VERSION_ASYNCHDNS) == 0)
		return "libcurl cannot look up names without blocking";
	return NULL;
}

static bool
create_handles(PayHttp *http)
{
	CURLM	   *multi = http->multi = curl_multi_init();
	CURLSH	   *share = http->settings.share = curl_share_init();

	return multi != NULL && share != NULL &&
		pay_http_loop_create(&http->loop, multi) &&
		curl_share_setopt(share, CURLSHOPT_SHARE,
						  CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK &&
		curl_multi_setopt(multi, CURLMOPT_PIPELINING,
						  CURLPIPE_NOTHING) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
						  (long) http->n_slots) == CURLM_OK;
}

/* Slots get their handle and buffer when they are first used. */
static void
make_slots(PayHttp *http, int n)
{
	http->slots = calloc(n, sizeof(PayHttpExchange));
	http->active = calloc(n, sizeof(PayHttpExchange *));
	if (http->slots == NULL)
		return;

	http->n_slots = n;
	for (int i = n - 1; i >= 0; i--)
	{
		http->slots[i].next = http->unused;
		http->unused = &http->slots[i];
	}
}

/* Close everything, also what is in flight; results that wait are lost. */
void
pay_http_destroy(PayHttp *http)
{
	sigset_t	saved;

	if (http == NULL)
		return;

	enter_curl(&saved);
	for (int i = 0; i < http->n_active; i++)
		curl_multi_remove_handle(http->multi, http->active[i]->easy);
	for (int i = 0; i < http->n_slots; i++)
		pay_http_exchange_destroy(&http->slots[i]);
	curl_multi_cleanup(http->multi);
	curl_share_cleanup(http->settings.share);
	pay_http_loop_destroy(&http->loop);
	free(http->settings.ca_file);
	free(http->settings.user_agent);
	free(http->slots);
	free(http->active);
	free(http);
	leave_curl(&saved);
}

/* The descriptor that is readable when there is something to run. */
int
pay_http_fd(const PayHttp *http)
{
	return http->loop.epoll_fd;
}

int
pay_http_in_flight(const PayHttp *http)
{
	return http->n_active + http->n_done;
}

/*
 * How long the caller may wait for the descriptor before it calls
 * pay_http_run; 0 when there is a result to fetch, -1 when there is nothing.
 */
long
pay_http_timeout_ms(PayHttp *http)
{
	int64_t		earliest = http->loop.timer_us;
	int64_t		rest;

	if (http->n_done > 0)
		return 0;
	for (int i = 0; i < http->n_active; i++)
	{
		if (earliest < 0 || http->active[i]->deadline_us < earliest)
			earliest = http->active[i]->deadline_us;
	}
	if (earliest < 0)
		return -1;

	rest = earliest - pay_http_now_us();
	return rest <= 0 ? 0 : (long) ((rest + 999) / 1000);
}

/*
 * Begin an exchange.  Nothing is sent before the next pay_http_run.  False,
 * with static text in *error, when the request must not be sent or there is no
 * room for it.
 */
bool
pay_http_start(PayHttp *http, const PayHttpRequest *request,
			   const char **error)
{
	PayHttpExchange *exchange;
	sigset_t	saved;
	bool		started = false;

	release_delivered(http);
	if (!pay_http_request_check(request, error))
		return false;
	exchange = http->unused;
	if (exchange == NULL)
	{
		*error = "too many requests are in flight";
		return false;
	}

	enter_curl(&saved);
	*error = "out of memory";
	if ((exchange->easy != NULL ||
		 pay_http_exchange_create(exchange, &http->settings)) &&
		pay_http_exchange_prepare(exchange, &http->settings, request,
								  pay_http_now_us()))
	{
		/* Linked before libcurl may call back for it. */
		http->unused = exchange->next;
		exchange->next = NULL;
		exchange->place = http->n_active;
		http->active[http->n_active++] = exchange;
		if (exchange->deadline_us < http->next_deadline_us)
			http->next_deadline_us = exchange->deadline_us;

		started = curl_multi_add_handle(http->multi, exchange->easy) == CURLM_OK;
		if (!started)
		{
			http->n_active--;
			pay_http_exchange_clear(exchange);
			exchange->next = http->unused;
			http->unused = exchange;
		}
	}
	leave_curl(&saved);

	if (started)
		*error = NULL;
	return started;
}

/*
 * Move everything that can move: sockets first, then libcurl's timer, then
 * what has ended, and only then our deadlines.  What has not left by now shall
 * not be sent any more: whoever takes over counts on that, and nobody would wait
 * for the answer.  test/t/095_standby_gone.pl
 */
void
pay_http_run(PayHttp *http)
{
	sigset_t	saved;

	release_delivered(http);

	enter_curl(&saved);
	enforce_deadlines(http, true);
	serve_sockets(http);
	collect(http);
	enforce_deadlines(http, false);
	leave_curl(&saved);
}

/*
 * Until none has anything to say.  A peer that never stops talking is left to
 * the next call.  A confirm may be sent and answered in one call, and what is
 * planned for between the two happens all the same.  (Not so a request without
 * a body: libcurl looks for its answer right after sending it.)
 * test/unit/http_fault_test.c
 */
static void
serve_sockets(PayHttp *http)
{
	bool		planned = PAY_FAULT_PLANNED("request-sent") ||
	PAY_FAULT_PLANNED("answer-in-socket");

	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		if (planned && waits_for_answer(http))
			PAY_FAULT_QUIET("answer-in-socket");
		if (!pay_http_loop_round(&http->loop, planned))
			break;
		if (planned && waits_for_answer(http))
			PAY_FAULT_QUIET("request-sent");
	}
}

/*
 * Has the first request in flight left whole, and was nothing heard since?  To
 * libcurl it has when its body was read, for it writes before it reads on.
 */
static bool
waits_for_answer(const PayHttp *http)
{
	const PayHttpExchange *first = http->n_active > 0 ? http->active[0] : NULL;

	return first != NULL && first->was_ready && first->header_bytes == 0 &&
		first->request_read == first->request_len;
}

/* Take over what libcurl has ended. */
static void
collect(PayHttp *http)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		CURL	   *easy = message->easy_handle;
		CURLcode	code = message->data.result;
		char	   *exchange = NULL;

		if (message->msg == CURLMSG_DONE &&
			curl_easy_getinfo(easy, CURLINFO_PRIVATE, &exchange) == CURLE_OK)
			end_exchange(http, (PayHttpExchange *) exchange, code, false);
	}
}

/* Once the sockets are drained, what is late is late. */
static void
enforce_deadlines(PayHttp *http, bool unsent_only)
{
	int64_t		now = pay_http_now_us();
	int64_t		next = INT64_MAX;

	if (now < http->next_deadline_us)
		return;

	/* Backwards, because the last one moves into a place that becomes free. */
	for (int i = http->n_active - 1; i >= 0; i--)
	{
		PayHttpExchange *exchange = http->active[i];

		if (exchange->deadline_us <= now &&
			!(unsent_only && exchange->was_ready))
			end_exchange(http, exchange, CURLE_OPERATION_TIMEDOUT, true);
		else if (exchange->deadline_us < next)
			next = exchange->deadline_us;
	}
	http->next_deadline_us = next;
}

static void
end_exchange(PayHttp *http, PayHttpExchange *exchange, CURLcode code,
			 bool timed_out)
{
	PayHttpExchange *last = http->active[--http->n_active];

	http->active[exchange->place] = last;
	last->place = exchange->place;

	pay_http_exchange_finish(exchange, code, timed_out, pay_http_now_us());

	/* Back to the pool of connections, or closed if it was cut off. */
	curl_multi_remove_handle(http->multi, exchange->easy);

	exchange->next = NULL;
	if (http->done_last == NULL)
		http->done_first = exchange;
	else
		http->done_last->next = exchange;
	http->done_last = exchange;
	http->n_done++;
}

/* Hand out the next result; its body lives until the next call. */
bool
pay_http_next(PayHttp *http, PayHttpResult *result)
{
	PayHttpExchange *exchange;

	release_delivered(http);

	exchange = http->done_first;
	if (exchange == NULL)
		return false;

	http->done_first = exchange->next;
	if (http->done_first == NULL)
		http->done_last = NULL;
	http->n_done--;

	http->delivered = exchange;
	*result = exchange->result;
	return true;
}

static void
release_delivered(PayHttp *http)
{
	PayHttpExchange *exchange = http->delivered;

	if (exchange == NULL)
		return;
	pay_http_exchange_clear(exchange);
	exchange->next = http->unused;
	http->unused = exchange;
	http->delivered = NULL;
}
