/*
 * http_answer.c
 *		What is taken from an answer: its body and a few of its headers.
 *
 * These are libcurl's callbacks.  They copy into memory that is there already,
 * and end the exchange when the peer sends more than the caps allow, or what
 * cannot be meant for this request.
 */
#include <string.h>
#include <strings.h>
#include <time.h>

#include "fault.h"
#include "http_exchange.h"

#define MAX_RETRY_AFTER		(24 * 3600)
#define MIN_DATE			24	/* "Sun Nov  6 08:49:37 1994" */
#define MAX_DATE			40
#define TRACE_HEADER		"X-TossPayments-Trace-Id"
#define KEY_HEADER			"Idempotency-Key"

/* The value of a header line if the line is of that name, else NULL. */
static const char *
header_value(const char *line, size_t len, const char *name, size_t *value_len)
{
	size_t		name_len = strlen(name);
	const char *value = line + name_len + 1;
	const char *end = line + len;

	if (len <= name_len || line[name_len] != ':' ||
		strncasecmp(line, name, name_len) != 0)
		return NULL;

	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t' ||
						   end[-1] == '\r' || end[-1] == '\n'))
		end--;
	*value_len = end - value;
	return value;
}

/* The first id; on a replay Toss adds that of the original behind a comma. */
static void
take_trace_id(PayHttpResult *result, const char *value, size_t len)
{
	size_t		n = 0;

	while (n < len && ((value[n] >= '0' && value[n] <= '9') ||
					   (value[n] >= 'A' && value[n] <= 'Z') ||
					   (value[n] >= 'a' && value[n] <= 'z') ||
					   value[n] == '-' || value[n] == '_'))
		n++;
	if (n >= sizeof(result->trace_id) || (n < len && value[n] != ','))
		return;
	memcpy(result->trace_id, value, n);
	result->trace_id[n] = '\0';
}

/* -1 when it is no date of HTTP's; 0 when it is past */
static int
seconds_until(const char *value, size_t len)
{
	char		text[MAX_DATE + 1];
	time_t		at;
	time_t		now = time(NULL);

	/* curl reads many forms; HTTP's all begin with a day of the week */
	if (len > MAX_DATE || len < MIN_DATE || value[0] < 'A' || value[0] > 'Z')
		return -1;
	memcpy(text, value, len);
	text[len] = '\0';
	at = curl_getdate(text, NULL);
	if (at < 0)
		return -1;
	if (at <= now)
		return 0;
	return at - now > MAX_RETRY_AFTER ? MAX_RETRY_AFTER : (int) (at - now);
}

/* Seconds, or a date: then as far from now as it is, by this machine's clock. */
static void
take_retry_after(PayHttpResult *result, const char *value, size_t len)
{
	int			seconds = 0;

	if (len == 0)
		return;
	for (size_t i = 0; i < len; i++)
	{
		if (value[i] < '0' || value[i] > '9')
		{
			result->retry_after_s = seconds_until(value, len);
			return;
		}
		seconds = seconds * 10 + (value[i] - '0');
		if (seconds > MAX_RETRY_AFTER)
			seconds = MAX_RETRY_AFTER;
	}
	result->retry_after_s = seconds;
}

/*
 * Does the answer repeat the key that was sent?  Toss does repeat it, so that
 * an answer that slipped into another request's place shows itself.
 */
static bool
is_our_key(const PayHttpExchange *exchange, const char *value, size_t len)
{
	for (struct curl_slist *item = exchange->headers; item != NULL;
		 item = item->next)
	{
		size_t		sent_len;
		const char *sent = header_value(item->data, strlen(item->data),
										KEY_HEADER, &sent_len);

		if (sent != NULL)
			return sent_len == len && memcmp(sent, value, len) == 0;
	}
	return true;
}

/* A header line of the answer, or of an interim answer before it. */
size_t
pay_http_answer_header(char *line, size_t size, size_t n, void *arg)
{
	PayHttpExchange *exchange = arg;
	PayHttpResult *result = &exchange->result;
	size_t		len = size * n;
	size_t		value_len;
	const char *value;

	if (exchange->header_bytes == 0)
		PAY_FAULT_QUIET("answer-begun");

	/* Any count but len ends the exchange, and closes the connection. */
	exchange->header_bytes += len;
	if (exchange->header_bytes > PAY_HTTP_MAX_HEADERS)
		return 0;

	if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0)
	{
		result->trace_id[0] = '\0';
		result->retry_after_s = -1;
		exchange->head_complete = false;
		exchange->framed = false;
	}
	else if (line[0] == '\r' || line[0] == '\n')
		exchange->head_complete = true;
	else if (header_value(line, len, "Content-Length", &value_len) != NULL ||
			 header_value(line, len, "Transfer-Encoding", &value_len) != NULL)
		exchange->framed = true;
	else if ((value = header_value(line, len, TRACE_HEADER, &value_len)) != NULL)
		take_trace_id(result, value, value_len);
	else if ((value = header_value(line, len, "Retry-After", &value_len)) != NULL)
		take_retry_after(result, value, value_len);
	else if ((value = header_value(line, len, KEY_HEADER, &value_len)) != NULL &&
			 !is_our_key(exchange, value, value_len))
	{
		exchange->foreign = true;
		return 0;
	}
	return len;
}

/* Bytes of the body; what exceeds the cap ends the exchange. */
size_t
pay_http_answer_body(char *bytes, size_t size, size_t n, void *arg)
{
	PayHttpExchange *exchange = arg;
	size_t		len = size * n;

	if (len > exchange->max_body - exchange->body_len)
		return 0;
	memcpy(exchange->buffer + exchange->body_len, bytes, len);
	exchange->body_len += len;
	return len;
}
