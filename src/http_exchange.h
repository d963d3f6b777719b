/*
 * http_exchange.h
 *		One request and its answer: internal to the http files.
 */
#ifndef PAY_HTTP_EXCHANGE_H
#define PAY_HTTP_EXCHANGE_H

#include <curl/curl.h>

#include "http.h"
#include "http_loop.h"

/* What all exchanges of a PayHttp have in common. */
typedef struct PayHttpSettings
{
	CURLSH	   *share;
	PayHttpLoop *loop;
	char	   *ca_file;
	char	   *user_agent;
	long		connect_timeout_ms;
	size_t		max_body;
} PayHttpSettings;

/*
 * A slot.  The easy handle and the buffer live as long as the slot and are
 * used again; everything else belongs to the present exchange.
 */
typedef struct PayHttpExchange
{
	CURL	   *easy;
	char	   *buffer;			/* body of the answer, then of the request */
	struct PayHttpExchange *next;	/* in the list of free or done ones */
	int			place;			/* among those in flight */

	int64_t		started_us;
	int64_t		deadline_us;
	int64_t		connect_deadline_us;	/* libcurl's */
	struct curl_slist *headers;
	char	   *request;		/* in buffer */
	size_t		request_len;
	size_t		request_read;	/* handed to libcurl so far */

	/* evidence that something may have left */
	bool		was_ready;		/* libcurl was about to send the request */
	bool		was_read;		/* libcurl asked for the body */
	bool		replay_refused; /* it was about to send it once more */

	size_t		body_len;
	size_t		max_body;
	size_t		header_bytes;
	bool		head_complete;	/* the blank line behind the headers came */
	bool		framed;			/* the headers say how long the body is */
	bool		foreign;		/* it repeats another request's key */
	PayHttpResult result;
} PayHttpExchange;

/* http_request.c: may it be sent at all?  *error is static text. */
extern bool pay_http_request_check(const PayHttpRequest *request,
								   const char **error);

extern bool pay_http_exchange_create(PayHttpExchange *exchange,
									 const PayHttpSettings *settings);
extern void pay_http_exchange_destroy(PayHttpExchange *exchange);

extern bool pay_http_exchange_prepare(PayHttpExchange *exchange,
									  const PayHttpSettings *settings,
									  const PayHttpRequest *request,
									  int64_t now_us);
extern void pay_http_exchange_finish(PayHttpExchange *exchange, CURLcode code,
									 bool timed_out, int64_t now_us);
extern void pay_http_exchange_clear(PayHttpExchange *exchange);

/* libcurl's callbacks in http_answer.c */
extern size_t pay_http_answer_header(char *line, size_t size, size_t n,
									 void *arg);
extern size_t pay_http_answer_body(char *bytes, size_t size, size_t n,
								   void *arg);

#endif							/* PAY_HTTP_EXCHANGE_H */
