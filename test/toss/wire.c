/*-------------------------------------------------------------------------
 *
 * wire.c
 *	  What goes over the wire: the true answer, or what a fault makes of it.
 *
 * Not guessable: a reset disconnects the socket under libmicrohttpd with
 * connect(AF_UNSPEC), which makes the kernel send RST at once.  SO_LINGER
 * alone is not enough, because the TLS layer would still say goodbye before
 * the socket is closed, and the client would see an orderly end.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include "simulator.h"

#define DRIP_PIECE 64			/* bytes */
#define DRIP_GAP 100			/* ms, unless the fault says otherwise */

#define ONE_PIECE 8192			/* bytes of a body that leave with the header */
#define OVERSIZE (1024 * 1024)	/* blanks behind a good body */
#define DEEP 60000				/* arrays in each other */

typedef struct Stream
{
	struct MHD_Connection *connection;
	Text		body;
	size_t		end;			/* the connection breaks here */
	int64_t		gap;			/* us between pieces, 0: all at once */
	bool		rested;
	Timer		timer;
} Stream;

static const char garbage[] =
"\x00\xff\xfe{\"paymentKey\":\x80\x81,,]\"status\": DONE \xc3\x28\n\x1b[31m";

static const char html[] =
"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
"<center><h1>502 Bad Gateway</h1></center>\r\n"
"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

static const char moved[] =
"<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n</html>\r\n";

static const char bare[] = "{\"version\":\"2022-11-16\"}";

/* Ends the connection with RST, and without a TLS farewell. */
static void
reset(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct linger now = {.l_onoff = 1,.l_linger = 0};

	info = MHD_get_connection_info(connection,
								   MHD_CONNECTION_INFO_CONNECTION_FD);
	setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	connect(info->connect_fd, &nobody, sizeof(nobody));
}

static void
stream_wake(void *arg)
{
	Stream	   *stream = arg;

	sim_server_resume(stream->connection);
}

static void
stream_free(void *arg)
{
	Stream	   *stream = arg;

	sim_text_free(&stream->body);
	free(stream);
}

/* Gives MHD the next piece of the body, resting between the pieces. */
static ssize_t
stream_read(void *arg, uint64_t position, char *buffer, size_t size)
{
	Stream	   *stream = arg;
	size_t		rest = stream->end - (size_t) position;

	if (rest == 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (stream->gap > 0 && !stream->rested)
	{
		stream->rested = true;
		stream->timer.due = sim_clock_monotonic() + stream->gap;
		MHD_suspend_connection(stream->connection);
		sim_delay_add(&stream->timer);
		return 0;
	}
	stream->rested = false;
	if (stream->gap > 0 && size > DRIP_PIECE)
		size = DRIP_PIECE;
	if (size > rest)
		size = rest;
	memcpy(buffer, stream->body.data + position, size);
	return (ssize_t) size;
}

/* A response that arrives slowly or not whole; takes the body over. */
static struct MHD_Response *
stream_response(struct MHD_Connection *connection, const Request *request,
				Text *body)
{
	Stream	   *stream = sim_alloc(sizeof(Stream));

	stream->connection = connection;
	stream->body = *body;
	stream->end = body->length;
	stream->timer.wake = stream_wake;
	stream->timer.arg = stream;
	if (request->form == FORM_CUT)
		stream->end /= 2;
	else
		stream->gap = 1000 * (request->fault.delay_ms > 0 ?
							  request->fault.delay_ms : DRIP_GAP);
	return MHD_create_response_from_callback(body->length, DRIP_PIECE * 64,
											 stream_read, stream,
											 stream_free);
}

static struct MHD_Response *
fixed_response(const char *body, size_t length)
{
	return MHD_create_response_from_buffer(length, (void *) body,
										   MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *
make_response(struct MHD_Connection *connection, Request *request)
{
	Text		body = request->answer_body;

	switch (request->form)
	{
		case FORM_EMPTY:
			return fixed_response("", 0);
		case FORM_GARBAGE:
			return fixed_response(garbage, sizeof(garbage) - 1);
		case FORM_HTML502:
			return fixed_response(html, sizeof(html) - 1);
		case FORM_REDIRECT:
			return fixed_response(moved, sizeof(moved) - 1);
		case FORM_BARE:
			return fixed_response(bare, sizeof(bare) - 1);
		default:
			break;
	}

	memset(&request->answer_body, 0, sizeof(request->answer_body));
	if (request->form == FORM_DEEP)
		sim_text_free(&body);
	if (request->form == FORM_OVERSIZE || request->form == FORM_DEEP)
		sim_text_fill(&body, request->form == FORM_DEEP ? '[' : ' ',
					  request->form == FORM_DEEP ? DEEP : OVERSIZE);
	if (request->form == FORM_DRIP || request->form == FORM_CUT)
		return stream_response(connection, request, &body);
	return MHD_create_response_from_buffer(body.length, body.data,
										   MHD_RESPMEM_MUST_FREE);
}

static void
add_headers(struct MHD_Response *response, const Request *request,
			unsigned status)
{
	char		trace[72];
	const char *type = "application/json";

	if (request->form == FORM_HTML502 || request->form == FORM_REDIRECT)
		type = "text/html";
	else if (request->form == FORM_CONTENT_TYPE)
		type = "text/html;charset=UTF-8";
	MHD_add_response_header(response, "Content-Type", type);
	if (request->form == FORM_REDIRECT)
		MHD_add_response_header(response, "Location",
								"https://elsewhere.invalid/v1/payments/confirm");
	if (request->form == FORM_HTML502 || request->form == FORM_REDIRECT)
		return;

	strcpy(trace, request->trace);
	if (request->original_trace[0] != '\0')
	{
		strcat(trace, ", ");
		strcat(trace, request->original_trace);
	}
	MHD_add_response_header(response, "x-tosspayments-trace-id", trace);
	if (request->idempotency_key != NULL)
		MHD_add_response_header(response, "idempotency-key",
								request->idempotency_key);
	if (status == 429 && sim_settings.retry_after_seconds > 0)
	{
		snprintf(trace, sizeof(trace), "%lld",
				 (long long) sim_settings.retry_after_seconds);
		MHD_add_response_header(response, "Retry-After", trace);
	}
}

static gnutls_session_t
session(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(connection,
								   MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return info->tls_session;
}

/* Then TLS says goodbye before anybody is told that the answer is complete. */
static bool
ends_with_answer(struct MHD_Connection *connection)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
									   "Connection") != NULL;
}

/* From here on the connection gathers what is sent. */
static void
hold(struct MHD_Connection *connection)
{
	gnutls_record_cork(session(connection));
}

/*
 * Answers a request the way its form says.  Returns what MHD's handler is to
 * return: MHD_NO ends the connection.
 */
int
sim_wire_answer(struct MHD_Connection *connection, Request *request)
{
	struct MHD_Response *response;
	enum MHD_Result result;
	size_t		body_length = request->answer_body.length;
	unsigned	status = request->answer.code ?
	(unsigned) request->answer.code->status : 200;

	if (request->form == FORM_RESET)
		reset(connection);
	if (request->form == FORM_RESET || request->form == FORM_CLOSE)
		return MHD_NO;

	if (request->form == FORM_HTML502)
		status = 502;
	else if (request->form == FORM_REDIRECT)
		status = 301;
	else if (request->form == FORM_EMPTY || request->form == FORM_GARBAGE ||
			 request->form == FORM_DEEP || request->form == FORM_BARE)
		status = 200;
	response = make_response(connection, request);
	if (response == NULL)
		return MHD_NO;
	add_headers(response, request, status);
	if (request->form == FORM_NORMAL && body_length <= ONE_PIECE &&
		!ends_with_answer(connection))
		hold(connection);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Sends what was gathered, as one record; nothing when nothing was. */
void
sim_wire_release(struct MHD_Connection *connection)
{
	(void) gnutls_record_uncork(session(connection), GNUTLS_RECORD_WAIT);
}
