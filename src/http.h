/*
 * http.h
 *		Many HTTPS requests at once, without blocking: libcurl multi on epoll.
 *
 * Knows no table, no Toss and no PostgreSQL: buffers are malloc'ed, errors are
 * values, and no callback allocates from, or jumps out to, anything but libc.
 * The caller waits on pay_http_fd() (an epoll descriptor) for at most
 * pay_http_timeout_ms(), and then calls pay_http_run() with signals blocked
 * (pay_http_run does that itself, around every libcurl call).
 *
 * What it promises, and what the tests in test/unit/http_test.c prove:
 *	- a request is never sent twice by the library: when a reused connection
 *	  dies, the exchange ends without an answer instead of being replayed;
 *	- a deadline is enforced only after the sockets were drained, so that a
 *	  stalled caller never turns an answer into a timeout;
 *	- "not sent" is said only when no byte of the request can have left;
 *	- TLS 1.2 or newer, peer and host verified; no redirect, no proxy from the
 *	  environment, no netrc, no decompression; caps on body and headers;
 *	- nothing blocks, not even a name that is looked up for minutes, and
 *	  nothing wakes the caller while nothing is in flight.
 */
#ifndef PAY_HTTP_H
#define PAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct PayHttp PayHttp;

#define PAY_HTTP_MAX_BODY		(64 * 1024) /* of an answer, unless told */
#define PAY_HTTP_MAX_HEADERS	(32 * 1024) /* of an answer, all together */
#define PAY_HTTP_MAX_REQUEST	(16 * 1024) /* the body of a request */

typedef struct PayHttpOptions
{
	int			max_in_flight;
	const char *ca_file;		/* NULL: the system's authorities */
	int			connect_timeout_ms; /* with TLS; 0: 5 seconds */
	const char *user_agent;		/* or NULL */
	size_t		max_body;		/* of an answer; 0: PAY_HTTP_MAX_BODY */
} PayHttpOptions;

typedef struct PayHttpRequest
{
	uint64_t	tag;			/* comes back with the result */
	const char *url;			/* https only */
	const char *const *headers; /* "Name: value" lines; control bytes refused */
	int			n_headers;
	const char *body;			/* NULL: GET; else POST, not empty.  Copied. */
	size_t		body_len;
	int			timeout_ms;		/* whole exchange, our own deadline */
} PayHttpRequest;

typedef enum PayHttpOutcome
{
	PAY_HTTP_ANSWERED,			/* status and body are whole */
	PAY_HTTP_NOT_SENT,			/* proved that no byte of the request left */
	PAY_HTTP_NO_ANSWER			/* sent or perhaps sent; nothing whole came
								 * back */
} PayHttpOutcome;

typedef struct PayHttpResult
{
	uint64_t	tag;
	PayHttpOutcome outcome;
	bool		timed_out;		/* our deadline ended it */
	bool		seen_late;		/* in vain, but the caller did not look in
								 * time: says nothing about the peer */
	int			curl_code;		/* CURLcode, 0 when answered or timed out */
	const char *error;			/* static text, or NULL when answered */
	int			status;			/* HTTP status, 0 when none */
	const char *body;			/* until the next pay_http_* call */
	size_t		body_len;
	char		trace_id[65];	/* x-tosspayments-trace-id, "" when absent */
	int			retry_after_s;	/* Retry-After in seconds, -1 when absent */
	bool		reused_connection;
	int64_t		connect_us;		/* from the start; 0 when reused or not
								 * reached */
	int64_t		first_byte_us;
	int64_t		total_us;
} PayHttpResult;

extern PayHttp *pay_http_create(const PayHttpOptions *options,
								const char **error);
extern void pay_http_destroy(PayHttp *http);	/* closes what is in flight */

extern int	pay_http_fd(const PayHttp *http);

/* Started, and not yet handed out by pay_http_next. */
extern int	pay_http_in_flight(const PayHttp *http);

extern long pay_http_timeout_ms(PayHttp *http); /* -1: nothing to wait for */

/* false: no room, or a request that must not be sent (bad URL, bad header) */
extern bool pay_http_start(PayHttp *http, const PayHttpRequest *request,
						   const char **error);

/* Move everything that can move; never waits. */
extern void pay_http_run(PayHttp *http);

/* The next finished exchange; false when there is none. */
extern bool pay_http_next(PayHttp *http, PayHttpResult *result);

#endif							/* PAY_HTTP_H */
