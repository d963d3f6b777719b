/*
 * http_test.c
 *		http.c against a server that misbehaves in every way we could think of.
 *
 * The promise behind most checks: a request arrives at most once, and whenever
 * it may have arrived, the result does not claim the contrary.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "https_server.h"
#include "tap.h"

#define SLOW_LOOKUP_MS		1500

typedef struct Got
{
	bool		came;
	PayHttpResult result;
	char		body[PAY_HTTP_MAX_BODY + 1];
	long		elapsed_ms;
} Got;

static char ca_file[64];
static HttpsServer *server;
static PayHttp *client;
static Got	got;

/* ---- names: ours, so that a test needs no resolver ---- */

static volatile bool lookup_saw_open_signals;
static volatile int slow_lookups;

int
getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **res)
{
	int			(*real) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
	sigset_t	mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	if (!sigismember(&mask, SIGUSR1) || !sigismember(&mask, SIGTERM) ||
		!sigismember(&mask, SIGALRM))
		lookup_saw_open_signals = true;

	if (node != NULL && strcmp(node, "slow.test") == 0)
	{
		slow_lookups++;
		usleep(SLOW_LOOKUP_MS * 1000);
	}
	if (node != NULL && strcmp(node, "none.test") == 0)
		return EAI_NONAME;
	return real(node == NULL ? NULL : "127.0.0.1", service, hints, res);
}

/* ---- helpers ---- */

static long
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static PayHttp *
make_client_with(const char *authorities, int max_in_flight,
				 int connect_timeout_ms)
{
	PayHttpOptions options = {
		.max_in_flight = max_in_flight,
		.ca_file = authorities,
		.connect_timeout_ms = connect_timeout_ms,
		.user_agent = "unit-test",
	};
	const char *error;
	PayHttp    *http = pay_http_create(&options, &error);

	if (http == NULL)
	{
		printf("Bail out! no client: %s\n", error);
		exit(1);
	}
	return http;
}

static PayHttp *
make_client(int max_in_flight, int connect_timeout_ms)
{
	return make_client_with(ca_file, max_in_flight, connect_timeout_ms);
}

static const char *const some_headers[] = {
	"Authorization: Basic c2VjcmV0Og==",
	"Content-Type: application/json",
	"Idempotency-Key: 11111111-2222-3333-4444-555555555555",
};

static bool
start_at(PayHttp *http, const char *host, int port, const char *path,
		 const char *body, int timeout_ms, uint64_t tag)
{
	char		url[256];
	const char *error = NULL;
	PayHttpRequest request = {
		.tag = tag,
		.url = url,
		.headers = some_headers,
		.n_headers = 3,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = timeout_ms,
	};

	snprintf(url, sizeof(url), "https://%s:%d%s", host, port, path);
	return pay_http_start(http, &request, &error);
}

static bool
start(PayHttp *http, const char *path, const char *body, int timeout_ms)
{
	return start_at(http, "localhost", https_server_port(server), path, body,
					timeout_ms, 1);
}

/* Wait as a caller would, and run; false when nothing came in time. */
static bool
wait_next(PayHttp *http, PayHttpResult *result, int limit_ms)
{
	long		end = now_ms() + limit_ms;

	while (now_ms() < end)
	{
		struct pollfd ready = {.fd = pay_http_fd(http),.events = POLLIN};
		long		timeout = pay_http_timeout_ms(http);

		if (timeout < 0 || timeout > end - now_ms())
			timeout = end - now_ms();
		if (timeout < 0)
			timeout = 0;
		poll(&ready, 1, (int) timeout);
		pay_http_run(http);
		if (pay_http_next(http, result))
			return true;
	}
	return false;
}

static void
fetch(PayHttp *http)
{
	long		begin = now_ms();

	got.body[0] = '\0';
	memset(&got.result, 0, sizeof(got.result));
	got.came = wait_next(http, &got.result, 10000);
	got.elapsed_ms = now_ms() - begin;
	if (got.came && got.result.body != NULL)
		memcpy(got.body, got.result.body, got.result.body_len + 1);
}

static void
exchange(const char *path, const char *body)
{
	if (!start(client, path, body, 2000))
		ok(false, "could not start %s", path);
	fetch(client);
}

static const char *
outcome_name(void)
{
	static const char *const names[] = {"ANSWERED", "NOT_SENT", "NO_ANSWER"};

	return got.came ? names[got.result.outcome] : "nothing came";
}

/* A fresh server and a fresh client, so that counts begin at zero. */
static void
fresh(const HttpsServerOptions *options)
{
	if (client != NULL)
		pay_http_destroy(client);
	if (server != NULL)
		https_server_stop(server);
	server = https_server_start(options);
	client = make_client(256, 1000);
}

/* ---- what a good answer is ---- */

static void
test_answered(void)
{
	char		last[4096];

	fresh(&(HttpsServerOptions) {0});
	exchange("/ok", "{\"amount\":15000}");
	ok(got.came && got.result.outcome == PAY_HTTP_ANSWERED &&
	   got.result.status == 200 && same_text(got.body, "{\"ok\":true}") &&
	   got.result.tag == 1 && got.result.error == NULL,
	   "a POST is answered with status and body (%s)", outcome_name());
	ok(same_text(got.result.trace_id, "0123456789abcdef0123456789abcdef"),
	   "its trace id is read");
	ok(got.result.retry_after_s == -1 && !got.result.reused_connection &&
	   got.result.connect_us > 0 && got.result.total_us >= got.result.connect_us,
	   "a first connection has its timings");

	https_server_last(server, last, sizeof(last));
	ok(strstr(last, "POST /ok HTTP/1.1\r\n") == last &&
	   strstr(last, "\r\nIdempotency-Key: 11111111-2222-3333-4444-555555555555\r\n") &&
	   strstr(last, "\r\nContent-Length: 16\r\n") &&
	   strstr(last, "\r\nUser-Agent: unit-test\r\n") &&
	   strstr(last, "\r\n\r\n{\"amount\":15000}"),
	   "the request is what was asked for");
	ok(strcasestr(last, "expect:") == NULL &&
	   strcasestr(last, "accept-encoding:") == NULL &&
	   strcasestr(last, "transfer-encoding:") == NULL,
	   "no Expect, no compression, no chunks");

	exchange("/echo", "second");
	ok(got.result.outcome == PAY_HTTP_ANSWERED && got.result.reused_connection &&
	   same_text(got.body, "second") && https_server_connections(server) == 1,
	   "the second request reuses the connection");

	exchange("/ok", NULL);
	https_server_last(server, last, sizeof(last));
	ok(got.result.outcome == PAY_HTTP_ANSWERED &&
	   strstr(last, "GET /ok HTTP/1.1\r\n") == last, "a GET is answered");

	exchange("/full", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED &&
	   got.result.body_len == PAY_HTTP_MAX_BODY, "a body of 64 KiB fits");
	exchange("/interim", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED && same_text(got.body, "after") &&
	   got.result.trace_id[0] == '\0', "an interim answer is not the answer");
	exchange("/gzip", "x");
	ok(same_text(got.body, "not unpacked"), "nothing is unpacked");
	exchange("/204", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED && got.result.status == 204 &&
	   got.result.body_len == 0, "an answer without a body is an answer");
	exchange("/own-key", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED, "so is one that repeats our key");
	exchange("/429", "x");
	ok(got.result.status == 429 && got.result.retry_after_s == 7 &&
	   same_text(got.result.trace_id, "new01"),
	   "Retry-After, and the newer of two trace ids, are read");
	exchange("/429-date", "x");
	ok(got.result.retry_after_s >= 85 && got.result.retry_after_s <= 90,
	   "Retry-After as a date");
	exchange("/429-past", "x");
	ok(got.result.retry_after_s == 0, "in the past");
	exchange("/429-far", "x");
	ok(got.result.retry_after_s == 24 * 3600, "and far away");
	exchange("/429-no-date", "x");
	ok(got.result.retry_after_s == -1, "what is no date is none");
}

static void
test_not_followed(void)
{
	fresh(&(HttpsServerOptions) {0});
	exchange("/redirect", "x");
	ok(got.result.status == 302 && https_server_arrivals(server, "/target") == 0,
	   "a redirect is not followed");
	exchange("/401", "x");
	ok(got.result.status == 401 && https_server_arrivals(server, "/401") == 1,
	   "a demand for authentication is not answered with a second request");
	exchange("/417", "x");
	ok(got.result.status == 417 && https_server_arrivals(server, "/417") == 1,
	   "a failed expectation is not answered with a second request");
}

/* ---- not sent ---- */

static void
check_not_sent(const HttpsServerOptions *options, const char *host,
			   const char *what, const char *why)
{
	for (int get = 0; get < 2; get++)
	{
		fresh(options);
		start_at(client, host, https_server_port(server), "/ok",
				 get ? NULL : "body", 3000, 1);
		fetch(client);
		ok(got.came && got.result.outcome == PAY_HTTP_NOT_SENT &&
		   got.result.error != NULL && https_server_bytes(server) == 0 &&
		   (why == NULL || strcmp(got.result.error, why) == 0),
		   "%s: %s not sent, nothing readable arrived (%s, %s)", what,
		   get ? "a GET is" : "a POST is", outcome_name(), got.result.error);
	}
}

static void
test_not_sent(void)
{
	int			port;

	check_not_sent(&(HttpsServerOptions) {.other_ca = true}, "localhost",
				   "unknown authority", "unable to get local issuer certificate");
	check_not_sent(&(HttpsServerOptions) {.expired = true}, "localhost",
				   "expired certificate", "certificate has expired");
	check_not_sent(&(HttpsServerOptions) {.host = "other.test"}, "localhost",
				   "certificate of another host",
				   "the certificate is not for this host");
	check_not_sent(&(HttpsServerOptions) {0}, "toss.test",
				   "certificate of this host, name of another",
				   "the certificate is not for this host");
	check_not_sent(&(HttpsServerOptions) {.tls_1_1 = true}, "localhost",
				   "TLS 1.1", NULL);
	check_not_sent(&(HttpsServerOptions) {.stall = true}, "localhost",
				   "a handshake that stalls", NULL);
	check_not_sent(&(HttpsServerOptions) {0}, "none.test",
				   "a name that does not exist", NULL);

	/* Whatever a failed look-up leaves behind, the next request goes out. */
	fresh(&(HttpsServerOptions) {0});
	start_at(client, "none.test", https_server_port(server), "/ok", "x", 2000, 1);
	fetch(client);
	exchange("/ok", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED,
	   "and the next request goes out (%s)", outcome_name());

	fresh(&(HttpsServerOptions) {.tls_1_2 = true});
	exchange("/ok", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED, "TLS 1.2 is good enough");

	port = https_server_port(server);
	fresh(&(HttpsServerOptions) {0});
	start_at(client, "localhost", port, "/ok", "x", 2000, 1);
	fetch(client);
	ok(got.result.outcome == PAY_HTTP_NOT_SENT && !got.result.timed_out &&
	   got.result.curl_code == 7, "a refused connection: not sent");

	/* The deadline itself, before the handshake is over. */
	fresh(&(HttpsServerOptions) {.stall = true});
	start(client, "/ok", "x", 200);
	fetch(client);
	ok(got.result.outcome == PAY_HTTP_NOT_SENT && got.result.timed_out &&
	   got.elapsed_ms < 800, "a deadline within the handshake: not sent");
}

/* ---- sent, and nothing whole came back ---- */

static void
test_no_answer(void)
{
	static const char *const paths[] = {
		"/reset", "/cut", "/cut-unbounded", "/unbounded", "/cut-head",
		"/cut-head-late", "/over", "/over-chunked", "/flood", "/headers",
		"/interim-flood", "/drip", "/hang", "/no-http", "/other-key",
	};

	fresh(&(HttpsServerOptions) {0});
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
	{
		for (int get = 0; get < 2; get++)
		{
			start(client, paths[i], get ? NULL : "body", 700);
			fetch(client);
			tap_check(got.came && got.result.outcome == PAY_HTTP_NO_ANSWER &&
					  got.result.body == NULL && got.result.status == 0 &&
					  got.result.error != NULL &&
					  https_server_arrivals(server, paths[i]) == get + 1,
					  "%s: %s, arrived %d times", paths[i], outcome_name(),
					  https_server_arrivals(server, paths[i]));
		}
	}
	tap_checked("whatever breaks the answer: no answer, one arrival");

	start(client, "/hang", "x", 300);
	fetch(client);
	ok(got.result.outcome == PAY_HTTP_NO_ANSWER && got.result.timed_out &&
	   got.result.curl_code == 0 && got.elapsed_ms >= 290 &&
	   got.elapsed_ms < 1000, "a deadline is kept (%ld ms)", got.elapsed_ms);
	start(client, "/drip", "x", 300);
	fetch(client);
	ok(got.result.timed_out && got.elapsed_ms < 1000,
	   "also against a trickle (%ld ms)", got.elapsed_ms);
	exchange("/ok", "x");
	ok(got.result.outcome == PAY_HTTP_ANSWERED,
	   "a connection that was cut off is not used again");
}

/* ---- one request, one arrival ---- */

static void
test_no_replay(void)
{
	static const char *const paths[] = {"/second-reset", "/second-close"};

	for (int i = 0; i < 4; i++)
	{
		const char *path = paths[i / 2];
		const char *body = i % 2 ? NULL : "{\"amount\":15000}";

		for (int round = 0; round < 10; round++)
		{
			fresh(&(HttpsServerOptions) {0});
			exchange(path, body);
			tap_check(got.result.outcome == PAY_HTTP_ANSWERED, "%s", outcome_name());
			exchange(path, body);
			tap_check(got.came && got.result.outcome == PAY_HTTP_NO_ANSWER &&
					  got.result.reused_connection &&
					  https_server_arrivals(server, path) == 2,
					  "%s, arrived %d times", outcome_name(),
					  https_server_arrivals(server, path));
		}
	}
	tap_checked("a reused connection that dies after execution: no replay");
}

/*
 * The server closes after its answer.  With a pause the client has seen it;
 * without, it may write into a dead connection.  No arrival may go unclaimed.
 */
static void
check_closed_idle(const char *path)
{
	int			answered = 0;
	int			arrivals = 0;

	fresh(&(HttpsServerOptions) {0});
	exchange(path, "x");
	for (int i = 0; i < 5; i++)
	{
		usleep(50 * 1000);
		exchange(path, "x");
		tap_check(got.result.outcome == PAY_HTTP_ANSWERED &&
				  !got.result.reused_connection, "%s: %s", path, outcome_name());
	}
	tap_check(https_server_arrivals(server, path) == 6, "%s: arrived %d times",
			  path, https_server_arrivals(server, path));
	tap_check(https_server_resumed(server) == 5, "%s: resumed %d times", path,
			  https_server_resumed(server));
	tap_checked("a connection that was closed while idle is replaced, its TLS session taken up");

	for (int i = 0; i < 200; i++)
	{
		exchange(path, i % 2 ? "x" : NULL);
		tap_check(got.came, "nothing came");
		if (got.result.outcome == PAY_HTTP_ANSWERED)
			answered++;
	}
	arrivals = https_server_arrivals(server, path) - 6;
	tap_check(arrivals == answered, "%d answered, %d arrived", answered, arrivals);
	printf("# %s: %d of 200 answered\n", path, answered);
	tap_checked("requests into closing connections arrive once or never");
}

static void
test_closed_idle(void)
{
	check_closed_idle("/close-idle");
	check_closed_idle("/farewell");
}

/* A connection made by another slot takes up the first one's session. */
static void
test_session(void)
{
	int			answered = 0;
	PayHttpResult result;

	fresh(&(HttpsServerOptions) {0});
	exchange("/ok", "x");
	for (int i = 0; i < 4; i++)
		start(client, "/late", "x", 5000);
	while (answered < 4 && wait_next(client, &result, 5000))
		answered += result.outcome == PAY_HTTP_ANSWERED;
	ok(answered == 4 && https_server_connections(server) == 4 &&
	   https_server_resumed(server) >= 1,
	   "TLS sessions are shared (%d connections, %d resumed)",
	   https_server_connections(server), https_server_resumed(server));
}

static void
test_strange_answers(void)
{
	fresh(&(HttpsServerOptions) {0});
	exchange("/unsolicited", "x");
	tap_check(got.result.outcome == PAY_HTTP_ANSWERED, "%s", outcome_name());
	usleep(200 * 1000);
	exchange("/echo", "mine");
	tap_check(got.result.outcome != PAY_HTTP_ANSWERED ||
			  same_text(got.body, "mine"), "got %s", got.body);

	for (int i = 0; i < 20; i++)
	{
		exchange("/two-answers", "x");
		tap_check(got.result.outcome != PAY_HTTP_ANSWERED ||
				  same_text(got.body, "first"), "got %s", got.body);
		exchange("/echo", "mine");
		tap_check(got.result.outcome != PAY_HTTP_ANSWERED ||
				  same_text(got.body, "mine"), "got %s", got.body);
	}
	tap_checked("an answer that nobody asked for is nobody's answer");
}

/* ---- time ---- */

static void
test_stalled_caller(void)
{
	fresh(&(HttpsServerOptions) {0});
	exchange("/ok", "warm up");

	/* The answer comes after 200 ms; the caller is away from 20 to 900. */
	start(client, "/late", "x", 400);
	for (long end = now_ms() + 20; now_ms() < end; usleep(1000))
		pay_http_run(client);
	usleep(880 * 1000);
	fetch(client);
	ok(got.result.outcome == PAY_HTTP_ANSWERED && got.elapsed_ms < 100,
	   "an answer that waits in the socket is no timeout (%s)", outcome_name());

	/* A large one too, which takes more than one reading. */
	start(client, "/full", "x", 100);
	for (long end = now_ms() + 20; now_ms() < end; usleep(1000))
	{
		pay_http_run(client);
		if (https_server_arrivals(server, "/full") > 0)
			break;
	}
	usleep(400 * 1000);
	fetch(client);
	ok(got.result.outcome == PAY_HTTP_ANSWERED &&
	   got.result.body_len == PAY_HTTP_MAX_BODY,
	   "nor is a large one (%s)", outcome_name());

	/* What had not left when the caller went away does not leave afterwards. */
	fresh(&(HttpsServerOptions) {0});
	start(client, "/late", "x", 100);
	usleep(1400 * 1000);
	fetch(client);
	ok(got.result.outcome == PAY_HTTP_NOT_SENT && got.result.timed_out &&
	   got.result.seen_late && https_server_arrivals(server, "/late") == 0,
	   "what has not left in its time does not leave any more (%s)",
	   outcome_name());
}

static void
test_slow_lookup(void)
{
	long		slowest = 0;
	long		begin = now_ms();

	fresh(&(HttpsServerOptions) {0});
	start_at(client, "slow.test", https_server_port(server), "/ok", "x", 300, 1);
	got.came = false;
	while (!got.came && now_ms() - begin < 5000)
	{
		long		before = now_ms();

		pay_http_run(client);
		if (now_ms() - before > slowest)
			slowest = now_ms() - before;
		got.came = pay_http_next(client, &got.result);
		usleep(5000);
	}
	ok(slow_lookups == 1 && got.came && got.result.timed_out &&
	   got.result.outcome == PAY_HTTP_NOT_SENT && now_ms() - begin < 1000,
	   "a slow look-up of a name ends at the deadline, not sent");
	ok(slowest < 100, "and blocks nobody (%ld ms at most)", slowest);

	start_at(client, "slow.test", https_server_port(server), "/ok", "x", 5000, 1);
	for (int i = 0; i < 10; i++)
	{
		pay_http_run(client);
		usleep(5000);
	}
	begin = now_ms();
	pay_http_destroy(client);
	client = NULL;
	ok(now_ms() - begin < 100, "nor does destroying the client (%ld ms)",
	   now_ms() - begin);
	usleep((SLOW_LOOKUP_MS + 200) * 1000);
	ok(!lookup_saw_open_signals, "threads that look up names take no signals");
}

static void
test_idle(void)
{
	struct pollfd ready = {.events = POLLIN};

	fresh(&(HttpsServerOptions) {0});
	ok(pay_http_timeout_ms(client) == -1, "nothing to wait for at first");
	exchange("/ok", "x");
	pay_http_run(client);
	ready.fd = pay_http_fd(client);
	ok(pay_http_timeout_ms(client) == -1 && pay_http_in_flight(client) == 0 &&
	   poll(&ready, 1, 300) == 0, "nor after an exchange");

	start(client, "/hang", "x", 700);
	for (long end = now_ms() + 200; now_ms() < end; usleep(1000))
		pay_http_run(client);
	ok(pay_http_timeout_ms(client) > 300 && pay_http_timeout_ms(client) <= 510,
	   "while it waits for an answer, only the deadline (%ld ms)",
	   pay_http_timeout_ms(client));
	fetch(client);
}

/* ---- what is refused ---- */

static void
check_refused(const PayHttpRequest *good, const char *url, const char *header,
			  const char *body, size_t body_len, int timeout_ms,
			  const char *what)
{
	PayHttpRequest request = *good;
	const char *error = NULL;
	bool		started;

	if (url != NULL)
		request.url = url;
	if (header != NULL)
	{
		request.headers = &header;
		request.n_headers = 1;
	}
	request.body = body;
	request.body_len = body_len;
	request.timeout_ms = timeout_ms;
	started = pay_http_start(client, &request, &error);
	tap_check(!started && error != NULL, "%s", what);
}

static void
test_refused(void)
{
	static const char *const urls[] = {
		"http://localhost/", "HTTPS://localhost/", "ftp://localhost/", "https://",
		"https:///path", "localhost", "", "https://user:pw@localhost/",
		"https://localhost/a b", "https://localhost/\r\nX: y", "https://localhost/\x7f",
		"https://localhost/\xec\x9b\x90", "https://localhost/#x", "file:///etc/passwd",
	};
	static const char *const headers[] = {
		"", "X", "X:", "X: ", ": y", "X;", "X:y", "X Y: z", "X: y\r\nEvil: 1",
		"X: y\nEvil: 1", "X: y\rEvil: 1", "X\r\nEvil: y", "X: \x01", "X: \x7f",
		"X: \xec\x9b\x90", "X\t: y",
	};
	static char large[PAY_HTTP_MAX_REQUEST + 1];
	PayHttpRequest good = {
		.url = "https://localhost/", .headers = some_headers, .n_headers = 3,
	};
	const char *error;
	PayHttpOptions options = {.max_in_flight = 0};

	fresh(&(HttpsServerOptions) {0});
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		check_refused(&good, urls[i], NULL, "x", 1, 100, urls[i]);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		check_refused(&good, NULL, headers[i], "x", 1, 100, headers[i]);
	check_refused(&good, NULL, NULL, "", 0, 100, "empty body");
	check_refused(&good, NULL, NULL, large, sizeof(large), 100, "large body");
	check_refused(&good, NULL, NULL, "x", 1, 0, "no time limit");
	check_refused(&good, NULL, NULL, "x", 1, -1, "negative time limit");
	tap_checked("requests that must not be sent are refused");
	ok(pay_http_in_flight(client) == 0 && pay_http_timeout_ms(client) == -1,
	   "and leave nothing behind");
	ok(pay_http_create(&options, &error) == NULL && error != NULL,
	   "a client for no requests is refused");
}

/* ---- many ---- */

static void
test_concurrent(void)
{
	enum
	{
		N = 200
	};
	bool		seen[N] = {false};
	long		begin;
	int			answered = 0;
	PayHttpResult result;

	fresh(&(HttpsServerOptions) {0});
	pay_http_destroy(client);
	client = make_client(N, 30000);

	for (int round = 0; round < 3; round++)
	{
		memset(seen, 0, sizeof(seen));
		answered = 0;
		begin = now_ms();
		for (int i = 0; i < N; i++)
			tap_check(start_at(client, "localhost", https_server_port(server),
							   "/late", "x", 30000, i), "start %d", i);
		tap_check(!start(client, "/ok", "x", 100), "room for one more");
		tap_check(pay_http_in_flight(client) == N, "in flight");
		while (answered < N && wait_next(client, &result, 30000))
		{
			tap_check(result.outcome == PAY_HTTP_ANSWERED && result.tag < N &&
					  !seen[result.tag], "tag %d, outcome %d", (int) result.tag,
					  result.outcome);
			seen[result.tag] = true;
			answered++;
		}
		tap_check(answered == N, "%d answered", answered);
		printf("# %d requests of 200 ms in %ld ms\n", N, now_ms() - begin);
	}
	tap_check(https_server_arrivals(server, "/late") == 3 * N, "arrivals");
	tap_check(https_server_connections(server) == N, "%d connections",
			  https_server_connections(server));
	tap_checked("200 at once, three times, on 200 connections");
}

/* ---- the process around it ---- */

static bool
is_connection(int fd)
{
	struct sockaddr_storage address;
	socklen_t	len = sizeof(address);

	return getsockname(fd, (struct sockaddr *) &address, &len) == 0 &&
		address.ss_family == AF_INET;
}

static int
count_descriptors(bool *all_cloexec)
{
	DIR		   *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int			n = 0;

	*all_cloexec = true;
	while ((entry = readdir(dir)) != NULL)
	{
		int			fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd <= 2 || fd == dirfd(dir))
			continue;
		n++;
		if (is_connection(fd) && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			*all_cloexec = false;
	}
	closedir(dir);
	return n;
}

static void
test_descriptors(void)
{
	bool		cloexec;
	int			before;
	sigset_t	mask_before;
	sigset_t	mask_after;
	bool		same_mask = true;

	fresh(&(HttpsServerOptions) {0});
	pay_http_destroy(client);
	client = NULL;
	usleep(100 * 1000);
	before = count_descriptors(&cloexec);

	pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
	client = make_client(8, 1000);
	for (int i = 0; i < 5; i++)
		start(client, "/hang", "x", 5000);
	for (long end = now_ms() + 200; now_ms() < end; usleep(1000))
		pay_http_run(client);
	pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
	ok(count_descriptors(&cloexec) >= before + 6 && cloexec,
	   "no connection is inherited by programs");
	for (int i = 1; i < 32; i++)
		same_mask = same_mask &&
			sigismember(&mask_before, i) == sigismember(&mask_after, i);
	ok(same_mask && !sigismember(&mask_after, SIGTERM),
	   "the signal mask is as it was");

	pay_http_destroy(client);
	client = NULL;
	https_server_stop(server);
	server = NULL;
	ok(count_descriptors(&cloexec) <= before,
	   "nothing is left open, also of what was in flight");
}

/* ---- the authorities of the system ---- */

static char *system_authorities;
static int	times_read;

static FILE *
open_counted(const char *symbol, const char *path, const char *mode)
{
	FILE	   *(*real) (const char *, const char *) = dlsym(RTLD_NEXT, symbol);

	if (system_authorities != NULL && strcmp(path, system_authorities) == 0)
		times_read++;
	return real(path, mode);
}

/* OpenSSL's ways to open a file */
FILE *
fopen(const char *path, const char *mode)
{
	return open_counted("fopen", path, mode);
}

FILE *
fopen64(const char *path, const char *mode)
{
	return open_counted("fopen64", path, mode);
}

/* Reading them takes 20 ms, in which nothing else goes on. */
static void
test_authorities(void)
{
	CURL	   *easy = curl_easy_init();

	curl_easy_getinfo(easy, CURLINFO_CAINFO, &system_authorities);
	curl_easy_cleanup(easy);
	if (system_authorities == NULL || access(system_authorities, R_OK) != 0)
	{
		ok(true, "this system has no file of authorities");
		return;
	}

	fresh(&(HttpsServerOptions) {0});
	pay_http_destroy(client);
	client = make_client_with(NULL, 8, 1000);
	for (int i = 0; i < 3; i++)
	{
		exchange("/ok", "x");
		ok(got.came && got.result.outcome == PAY_HTTP_NOT_SENT,
		   "the system does not know the test's authority");
	}
	ok(times_read == 1, "those of the system are read once (%d)",
	   times_read);

	pay_http_destroy(client);
	client = NULL;
	https_server_stop(server);
	server = NULL;
}

int
main(void)
{
	snprintf(ca_file, sizeof(ca_file), "/tmp/http_test_ca.%d.pem", (int) getpid());
	https_make_authority(ca_file);

	/* None of this may matter. */
	setenv("https_proxy", "http://127.0.0.1:9", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:9", 1);

	test_answered();
	test_not_followed();
	test_not_sent();
	test_no_answer();
	test_no_replay();
	test_closed_idle();
	test_session();
	test_strange_answers();
	test_stalled_caller();
	test_slow_lookup();
	test_idle();
	test_refused();
	test_concurrent();
	test_descriptors();
	test_authorities();

	unlink(ca_file);
	return tap_end();
}
