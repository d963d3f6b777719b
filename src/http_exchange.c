/*
 * http_exchange.c
 *		One HTTPS request and its answer, on a libcurl easy handle.
 *
 * Owns how requests are sent, and the proof that nothing was; which may be is
 * http_request.c's, the answer's bytes are http_answer.c's.  No callback may do
 * more than copy.
 *
 * What cannot be guessed: when a reused connection dies before the answer,
 * libcurl connects again and sends the request once more, and its caller sees
 * one answer.  Two things forbid that here.  The body comes from a read
 * callback that cannot be rewound (no CURLOPT_POSTFIELDS, no seek function).
 * And the callback that libcurl makes right before it sends a request aborts
 * the exchange at the second time, which covers a GET as well.
 */
#include "http_exchange.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "fault.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 or newer is needed"
#endif

/* Far behind our own deadline, in case that is never looked at again. */
#define BACKSTOP_MS			30000

/* A deadline that is seen to have passed this long ago was not waited for. */
#define SEEN_LATE_US		INT64_C(1000000)

static const struct
{
	CURLoption	option;
	long		value;
}			fixed_options[] = {
	{CURLOPT_NOSIGNAL, 1},
	{CURLOPT_NOPROGRESS, 1},

	/* never wait for a thread that still looks up a name */
	{CURLOPT_QUICK_EXIT, 1},
	{CURLOPT_DNS_CACHE_TIMEOUT, 60},

	{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
	{CURLOPT_SSL_VERIFYPEER, 1},
	{CURLOPT_SSL_VERIFYHOST, 2},

	/* The URL is sent as it is, and nobody can lead us elsewhere. */
	{CURLOPT_PATH_AS_IS, 1},
	{CURLOPT_FOLLOWLOCATION, 0},
	{CURLOPT_NETRC, CURL_NETRC_IGNORED},
	{CURLOPT_UNRESTRICTED_AUTH, 0},
	{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
	{CURLOPT_HTTP09_ALLOWED, 0},

	/* An idle connection is given up before the peer does it. */
	{CURLOPT_MAXAGE_CONN, 30},
	{CURLOPT_MAXLIFETIME_CONN, 300},

	/* And a file of authorities that was replaced counts as soon as that. */
	{CURLOPT_CA_CACHE_TIMEOUT, 300},
	{CURLOPT_TCP_KEEPALIVE, 1},
	{CURLOPT_TCP_NODELAY, 1},

	/*
	 * Not CURLOPT_BUFFERSIZE: libcurl refuses it to a handle whose look-up of
	 * a name has failed, and nothing could be sent by it any more.
	 */
};

static bool make_headers(PayHttpExchange *exchange,
						 const PayHttpRequest *request);
static bool set_options(PayHttpExchange *exchange,
						const PayHttpSettings *settings,
						const PayHttpRequest *request);
static bool set_fixed_options(CURL *easy, const PayHttpSettings *settings);
static bool set_authorities(CURL *easy, const PayHttpSettings *settings);
static bool set_callbacks(PayHttpExchange *exchange,
						  const PayHttpSettings *settings);
static int	before_request(void *arg, char *primary_ip, char *local_ip,
						   int primary_port, int local_port);
static size_t read_body(char *to, size_t size, size_t n, void *arg);
static const char *flaw(const PayHttpExchange *exchange, CURLcode code,
						bool timed_out, int status);
static const char *flaw_of_certificate(CURL *easy);
static bool nothing_left(const PayHttpExchange *exchange);

/* Give a slot what it keeps for life; a reset does not undo the share. */
bool
pay_http_exchange_create(PayHttpExchange *exchange,
						 const PayHttpSettings *settings)
{
	exchange->easy = curl_easy_init();
	exchange->max_body = settings->max_body;
	exchange->buffer = malloc(exchange->max_body + 1 + PAY_HTTP_MAX_REQUEST);
	if (exchange->easy == NULL || exchange->buffer == NULL ||
		curl_easy_setopt(exchange->easy, CURLOPT_SHARE,
						 settings->share) != CURLE_OK)
	{
		pay_http_exchange_destroy(exchange);
		return false;
	}
	exchange->request = exchange->buffer + exchange->max_body + 1;
	return true;
}

void
pay_http_exchange_destroy(PayHttpExchange *exchange)
{
	if (exchange->easy != NULL && exchange->buffer != NULL)
		pay_http_exchange_clear(exchange);
	curl_easy_cleanup(exchange->easy);
	free(exchange->buffer);
	exchange->easy = NULL;
	exchange->buffer = NULL;
}

/*
 * Make a checked request ready on the slot's easy handle.  False when memory
 * is short; the slot is then clear again.
 */
bool
pay_http_exchange_prepare(PayHttpExchange *exchange,
						  const PayHttpSettings *settings,
						  const PayHttpRequest *request, int64_t now_us)
{
	exchange->started_us = now_us;
	exchange->deadline_us = now_us + INT64_C(1000) * request->timeout_ms;
	exchange->connect_deadline_us = now_us +
		INT64_C(1000) * settings->connect_timeout_ms;
	exchange->was_ready = false;
	exchange->was_read = false;
	exchange->replay_refused = false;
	exchange->header_bytes = 0;
	exchange->head_complete = false;
	exchange->framed = false;
	exchange->foreign = false;
	exchange->body_len = 0;
	memset(&exchange->result, 0, sizeof(exchange->result));
	exchange->result.tag = request->tag;
	exchange->result.retry_after_s = -1;

	exchange->request_read = 0;
	exchange->request_len = request->body == NULL ? 0 : request->body_len;
	if (exchange->request_len > 0)
		memcpy(exchange->request, request->body, request->body_len);

	if (!make_headers(exchange, request) ||
		!set_options(exchange, settings, request))
	{
		pay_http_exchange_clear(exchange);
		return false;
	}
	return true;
}

static bool
make_headers(PayHttpExchange *exchange, const PayHttpRequest *request)
{
	/* No "Expect: 100-continue": it costs a round trip, and can be refused. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

	for (int i = 0; i < request->n_headers && headers != NULL; i++)
	{
		struct curl_slist *longer = curl_slist_append(headers,
													  request->headers[i]);

		if (longer == NULL)
			curl_slist_free_all(headers);
		headers = longer;
	}
	exchange->headers = headers;
	return headers != NULL;
}

static bool
set_options(PayHttpExchange *exchange, const PayHttpSettings *settings,
			const PayHttpRequest *request)
{
	CURL	   *easy = exchange->easy;

	if (!set_fixed_options(easy, settings) || !set_callbacks(exchange, settings) ||
		curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
						 exchange->headers) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
						 settings->connect_timeout_ms) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
						 (long) request->timeout_ms + BACKSTOP_MS) != CURLE_OK)
		return false;

	if (request->body == NULL)
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
	return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
						 (curl_off_t) request->body_len) == CURLE_OK;
}

static bool
set_fixed_options(CURL *easy, const PayHttpSettings *settings)
{
	for (size_t i = 0; i < sizeof(fixed_options) / sizeof(fixed_options[0]); i++)
	{
		if (curl_easy_setopt(easy, fixed_options[i].option,
							 fixed_options[i].value) != CURLE_OK)
			return false;
	}

	if (!set_authorities(easy, settings))
		return false;

	return curl_easy_setopt(easy, CURLOPT_MAXFILESIZE,
							(long) settings->max_body) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
						 "https") == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR,
						 "https") == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_USERAGENT,
						 settings->user_agent) == CURLE_OK;
}

/*
 * Only the authorities of the file count, not those of the system too.  Those of
 * the system are taken from its file as well, and not from its folder: libcurl
 * keeps what it has read of a file for all connections, but with a folder it
 * reads everything again for each, which takes 20 ms.
 */
static bool
set_authorities(CURL *easy, const PayHttpSettings *settings)
{
	char	   *file = settings->ca_file;

	if (file == NULL)
		curl_easy_getinfo(easy, CURLINFO_CAINFO, &file);
	return file == NULL ||
		(curl_easy_setopt(easy, CURLOPT_CAINFO, file) == CURLE_OK &&
		 curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK);
}

static bool
set_callbacks(PayHttpExchange *exchange, const PayHttpSettings *settings)
{
	CURL	   *easy = exchange->easy;

	return curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION,
						 pay_http_loop_open) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA,
						 settings->loop) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
						 pay_http_loop_close) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA,
						 settings->loop) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION,
						 before_request) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_READDATA, exchange) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
						 pay_http_answer_header) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
						 pay_http_answer_body) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK;
}

/*
 * libcurl is connected, TLS included, and about to send.  Up to here not one
 * byte of the request has left; a second time would be a replay.
 */
static int
before_request(void *arg, char *primary_ip, char *local_ip,
			   int primary_port, int local_port)
{
	PayHttpExchange *exchange = arg;
	long		connects = 1;

	(void) primary_ip;
	(void) local_ip;
	(void) primary_port;
	(void) local_port;

	if (exchange->was_ready)
	{
		exchange->replay_refused = true;
		return CURL_PREREQFUNC_ABORT;
	}
	exchange->was_ready = true;

	curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connects);
	exchange->result.reused_connection = connects == 0;
	return CURL_PREREQFUNC_OK;
}

static size_t
read_body(char *to, size_t size, size_t n, void *arg)
{
	PayHttpExchange *exchange = arg;
	size_t		room = size * n;
	size_t		rest = exchange->request_len - exchange->request_read;
	size_t		count = rest < room ? rest : room;

	if (exchange->request_read == 0)
		PAY_FAULT_QUIET("request-headers-sent");
	else
		PAY_FAULT_QUIET("request-half-sent");
	if (PAY_FAULT_PLANNED("request-half-sent"))
		count = (count + 1) / 2;
	exchange->was_read = true;
	memcpy(to, exchange->request + exchange->request_read, count);
	exchange->request_read += count;
	return count;
}

/*
 * The exchange is over: fill its result.  Must be called before the easy
 * handle is used again.  Whatever is not a whole answer is "no answer" unless
 * it is proved that nothing left.
 */
void
pay_http_exchange_finish(PayHttpExchange *exchange, CURLcode code,
						 bool timed_out, int64_t now_us)
{
	PayHttpResult *result = &exchange->result;
	curl_off_t	time = 0;
	long		number = 0;

	PAY_FAULT_QUIET("answer-read");
	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &number);
	result->error = flaw(exchange, code, timed_out, (int) number);
	if (result->error == NULL)
	{
		result->outcome = PAY_HTTP_ANSWERED;
		result->status = (int) number;
		exchange->buffer[exchange->body_len] = '\0';
		result->body = exchange->buffer;
		result->body_len = exchange->body_len;
	}
	else
	{
		result->outcome = nothing_left(exchange) ? PAY_HTTP_NOT_SENT
			: PAY_HTTP_NO_ANSWER;
		result->timed_out = timed_out;
		result->seen_late =
			(timed_out && now_us - exchange->deadline_us > SEEN_LATE_US) ||
			(code == CURLE_OPERATION_TIMEDOUT && !timed_out &&
			 now_us - exchange->connect_deadline_us > SEEN_LATE_US);
		result->curl_code = timed_out ? 0 : (int) code;
	}

	if (curl_easy_getinfo(exchange->easy, CURLINFO_APPCONNECT_TIME_T,
						  &time) == CURLE_OK)
		result->connect_us = time;
	if (result->outcome == PAY_HTTP_ANSWERED &&
		curl_easy_getinfo(exchange->easy, CURLINFO_STARTTRANSFER_TIME_T,
						  &time) == CURLE_OK)
		result->first_byte_us = time;
	result->total_us = now_us - exchange->started_us;
}

/*
 * Why this is not a whole answer, or NULL.  libcurl is content when the peer
 * closes in the middle of the head, or after a body without a length, even
 * without TLS's farewell; so an attacker, or a proxy that dies, could cut it
 * anywhere.
 */
static const char *
flaw(const PayHttpExchange *exchange, CURLcode code, bool timed_out,
	 int status)
{
	if (timed_out)
		return "the deadline passed";
	if (exchange->replay_refused)
		return "the reused connection broke";
	if (exchange->foreign)
		return "the answer belongs to another request";
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return flaw_of_certificate(exchange->easy);
	if (code != CURLE_OK)
		return !exchange->was_ready && pay_http_loop_is_exhausted() ?
			"there are no file descriptors left for a connection" :
			curl_easy_strerror(code);
	if (!exchange->head_complete || status < 200 || status > 999)
		return "the head of the answer is not whole";
	if (!exchange->framed && status != 204)
		return "the answer does not say where it ends";
	return NULL;
}

/*
 * libcurl has one text for all that can be wrong with a certificate; OpenSSL says
 * what it is.  It has no complaint when only the name is another, and libcurl
 * has not asked it by then: either is a result without a reason.
 */
static const char *
flaw_of_certificate(CURL *easy)
{
	long		result = X509_V_OK;

	curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
	if (result == X509_V_OK || result == X509_V_ERR_UNSPECIFIED)
		return "the certificate is not for this host";
	return X509_verify_cert_error_string(result);
}

/*
 * The proof: libcurl never came to the point where it sends a request, and by
 * its own count it sent nothing, and nobody read the body.  The first alone
 * suffices, for a GET too; the others guard against a libcurl that sends
 * without asking.
 */
static bool
nothing_left(const PayHttpExchange *exchange)
{
	curl_off_t	pretransfer = 1;
	long		request_size = 1;

	return !exchange->was_ready && !exchange->was_read &&
		curl_easy_getinfo(exchange->easy, CURLINFO_PRETRANSFER_TIME_T,
						  &pretransfer) == CURLE_OK &&
		curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE,
						  &request_size) == CURLE_OK &&
		pretransfer == 0 && request_size == 0;
}

/*
 * Forget the exchange, and wipe what may be secret: the headers carry a key,
 * the bodies personal data.  Copies that libcurl made are out of our reach.
 */
void
pay_http_exchange_clear(PayHttpExchange *exchange)
{
	curl_easy_reset(exchange->easy);

	for (struct curl_slist *item = exchange->headers; item != NULL;
		 item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(exchange->headers);
	exchange->headers = NULL;

	explicit_bzero(exchange->buffer, exchange->body_len);
	if (exchange->request_len > 0)
		explicit_bzero(exchange->request, exchange->request_len);
	exchange->body_len = 0;
	exchange->request_len = 0;
}
