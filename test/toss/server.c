/*-------------------------------------------------------------------------
 *
 * server.c
 *	  The public HTTPS server.
 *
 * libmicrohttpd with epoll and TLS.  This file collects a request, lets
 * api.c decide, suspends the connection while the answer has to wait, and
 * hands the decided request to wire.c.  Connections are numbered, and so are
 * the requests on each, because a fault may want a reused connection.
 *
 * The loop is our own, in one thread.  MHD's own loop reads 128 events at a
 * time, and when there were exactly 128, or 256, it waits for more before it
 * serves them: a burst of that many requests stays unanswered until something
 * else happens.  Told not to wait it serves them all.  t/085_burst.t
 *
 *-------------------------------------------------------------------------
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "simulator.h"
#include "tls.h"

#define MAX_BODY 65536
#define MAX_DISCARD (4 * 1024 * 1024)
#define CONNECTION_MEMORY (24 * 1024)
#define MAX_CONNECTIONS 16384
#define BACKLOG 1024

typedef struct Connection
{
	uint64_t	number;
	uint64_t	requests;
} Connection;

struct Exchange
{
	Request		request;
	struct MHD_Connection *connection;
	Timer		timer;
	size_t		discarded;
	bool		begun;
};

static _Atomic uint64_t last_connection;

static pthread_t thread;
static int	knock_fd = -1;		/* readable when the loop is to look again */
static _Atomic bool stopping;

static void
notify_connection(void *cls, struct MHD_Connection *connection,
				  void **socket_context,
				  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		Connection *state = sim_alloc(sizeof(Connection));

		state->number = atomic_fetch_add(&last_connection, 1) + 1;
		*socket_context = state;
	}
	else
		free(*socket_context);
}

static void
notify_completed(void *cls, struct MHD_Connection *connection,
				 void **context, enum MHD_RequestTerminationCode code)
{
	Exchange   *exchange = *context;

	if (exchange == NULL)
		return;
	sim_wire_release(connection);
	sim_api_release(&exchange->request);
	free(exchange);
	*context = NULL;
}

/* During an outage nobody gets as far as the TLS handshake. */
static enum MHD_Result
accept_client(void *cls, const struct sockaddr *address, socklen_t length)
{
	bool		down;

	sim_lock();
	down = sim_settings.down;
	sim_unlock();
	return down ? MHD_NO : MHD_YES;
}

/* Paths stay as they were sent; api.c decodes them piece by piece. */
static size_t
keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* A parameter behind the path's '?', decoded; NULL when it is not there. */
static char *
parameter(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection,
													MHD_GET_ARGUMENT_KIND,
													name);

	return value ? sim_decode_percent(value) : NULL;
}

static Exchange *
new_exchange(struct MHD_Connection *connection, const char *method,
			 const char *path)
{
	const union MHD_ConnectionInfo *info;
	Exchange   *exchange = sim_alloc(sizeof(Exchange));
	Request    *request = &exchange->request;
	Connection *state;

	info = MHD_get_connection_info(connection,
								   MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	state = info->socket_context;
	exchange->connection = connection;
	request->method = method;
	request->path = sim_copy(path, strlen(path));
	request->authorization = header(connection, "Authorization");
	request->idempotency_key = header(connection, "Idempotency-Key");
	request->test_code = header(connection, "TossPayments-Test-Code");
	request->list.start_date = parameter(connection, "startDate");
	request->list.end_date = parameter(connection, "endDate");
	request->list.starting_after = parameter(connection, "startingAfter");
	request->list.limit = parameter(connection, "limit");
	request->received_at = sim_clock_real();
	request->connection_number = state->number;
	request->request_on_connection = ++state->requests;
	return exchange;
}

static void
wake(void *arg)
{
	Exchange   *exchange = arg;

	/* Here, because MHD does not call again when the client has gone. */
	sim_api_finish(&exchange->request);
	sim_server_resume(exchange->connection);
}

/* From any thread: MHD alone does not wake a loop that is not its own. */
void
sim_server_resume(struct MHD_Connection *connection)
{
	MHD_resume_connection(connection);
	(void) eventfd_write(knock_fd, 1);
}

/* Suspends the connection until the answer may be sent. */
static void
wait_for_answer(Exchange *exchange)
{
	int64_t		wait = exchange->request.wait_ms;

	exchange->timer.wake = wake;
	exchange->timer.arg = exchange;
	exchange->timer.hangs = wait < 0 ||
		(exchange->request.fault.kind != NULL &&
		 exchange->request.fault.kind->hangs);
	exchange->timer.due = wait < 0 ? TIMER_NEVER :
		sim_clock_monotonic() + wait * 1000;
	MHD_suspend_connection(exchange->connection);
	sim_delay_add(&exchange->timer);
}

/* Keeps a piece of the body; false when the client sends without end. */
static bool
take_body(Exchange *exchange, const char *data, size_t size)
{
	Request    *request = &exchange->request;

	if (request->body.length + size > MAX_BODY)
	{
		request->body_too_large = true;
		exchange->discarded += size;
		return exchange->discarded <= MAX_DISCARD;
	}
	sim_text_add_bytes(&request->body, data, size);
	return true;
}

/*
 * Called by MHD when the header is there, for every piece of the body, when
 * the body is complete, and again after a suspended connection was resumed.
 */
static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *path,
	   const char *method, const char *version, const char *data,
	   size_t *size, void **context)
{
	Exchange   *exchange = *context;

	if (exchange == NULL)
	{
		*context = new_exchange(connection, method, path);
		return MHD_YES;
	}
	if (*size > 0)
	{
		bool		ok = take_body(exchange, data, *size);

		*size = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	if (!exchange->begun)
	{
		exchange->begun = true;
		sim_api_begin(&exchange->request);
		if (exchange->request.wait_ms != 0)
		{
			wait_for_answer(exchange);
			return MHD_YES;
		}
	}
	return (enum MHD_Result) sim_wire_answer(connection, &exchange->request);
}

/* GnuTLS talks about every client that goes away; that is no news. */
static void
log_nothing(void *cls, const char *format, va_list args)
{
}

static struct MHD_Daemon *
start(const ServerOptions *options, unsigned flags,
	  const struct sockaddr *address)
{
	return MHD_start_daemon(flags, (uint16_t) options->port,
							accept_client, NULL, handle, NULL,
							MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL,
							MHD_OPTION_SOCK_ADDR, address,
							MHD_OPTION_HTTPS_CERT_CALLBACK,
							&sim_tls_certificate,
							MHD_OPTION_HTTPS_PRIORITIES,
							"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
							MHD_OPTION_NOTIFY_CONNECTION, notify_connection,
							NULL,
							MHD_OPTION_NOTIFY_COMPLETED, notify_completed,
							NULL,
							MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT,
							(size_t) CONNECTION_MEMORY,
							MHD_OPTION_CONNECTION_LIMIT,
							(unsigned) MAX_CONNECTIONS,
							MHD_OPTION_CONNECTION_TIMEOUT,
							(unsigned) options->idle_seconds,
							MHD_OPTION_LISTEN_BACKLOG_SIZE,
							(unsigned) BACKLOG,
							MHD_OPTION_END);
}

static struct MHD_Daemon *
open_daemon(const ServerOptions *options)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	unsigned	flags = MHD_USE_EPOLL | MHD_USE_TLS |
	MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	v4.sin_port = v6.sin6_port = htons((uint16_t) options->port);
	if (inet_pton(AF_INET, options->listen, &v4.sin_addr) == 1)
		return start(options, flags, (struct sockaddr *) &v4);
	if (inet_pton(AF_INET6, options->listen, &v6.sin6_addr) == 1)
		return start(options, flags | MHD_USE_DUAL_STACK,
					 (struct sockaddr *) &v6);
	return NULL;
}

/* Wait here, and let MHD do what can be done without waiting. */
static void *
serve(void *arg)
{
	struct MHD_Daemon *daemon = arg;
	struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};

	fds[0].fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	fds[1].fd = knock_fd;
	while (!stopping)
	{
		MHD_UNSIGNED_LONG_LONG due;
		eventfd_t	knocks;
		int			wait = -1;

		MHD_run(daemon);
		if (MHD_get_timeout(daemon, &due) == MHD_YES)
			wait = due < 1000 ? (int) due : 1000;
		if (poll(fds, 2, wait) > 0 && fds[1].revents != 0)
			(void) eventfd_read(knock_fd, &knocks);
	}
	return NULL;
}

/* Starts serving; NULL if the address is bad or taken. */
struct MHD_Daemon *
sim_server_start(const ServerOptions *options)
{
	struct MHD_Daemon *daemon = open_daemon(options);

	knock_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (daemon != NULL &&
		(knock_fd < 0 || pthread_create(&thread, NULL, serve, daemon) != 0))
	{
		MHD_stop_daemon(daemon);
		daemon = NULL;
	}
	return daemon;
}

void
sim_server_stop(struct MHD_Daemon *daemon)
{
	stopping = true;
	(void) eventfd_write(knock_fd, 1);
	pthread_join(thread, NULL);
	MHD_stop_daemon(daemon);
	close(knock_fd);
}

/* The port that was bound, for --port 0. */
int
sim_server_port(struct MHD_Daemon *daemon)
{
	return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}
