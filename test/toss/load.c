/*-------------------------------------------------------------------------
 *
 * load.c
 *	  A load generator: confirms over kept-alive TLS connections.
 *
 * One thread, epoll, one request in flight on each connection.  Every
 * confirm has a payment, an order and an idempotency key of its own; the
 * simulator must have been told to accept the prefix ("auto").  Every answer
 * is checked.  Given the server's pid, the CPU time the server used is
 * reported too: it is the figure to trust when the machine is shared.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BUFFER_SIZE 8192
#define MAX_CONNECTIONS 4096
#define MAX_SAMPLES (16 * 1024 * 1024)

typedef struct Connection
{
	int			fd;
	SSL		   *ssl;
	char		request[1024];
	int			request_length;
	char		order_id[64];
	char		buffer[BUFFER_SIZE];
	size_t		received;
	double		sent_at;
} Connection;

typedef struct Options
{
	int			port;
	int			pid;
	int			connections;
	double		seconds;
	const char *prefix;
	const char *ca;
	const char *credentials;	/* base64 */
} Options;

static Options options = {
	.connections = 64,
	.seconds = 10,
	.prefix = "auto_",
	.credentials = "dGVzdF9nc2tfc2ltdWxhdG9yOg==",
};
static Connection *connections;
static float *latencies;		/* ms */
static size_t answered;
static size_t wrong;
static uint64_t next_number;
static uint64_t run_number;

static void
die(const char *what)
{
	fprintf(stderr, "toss-load: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* CPU seconds a process has used so far, all threads. */
static double
cpu_seconds(int pid)
{
	char		path[64];
	char		text[1024];
	FILE	   *file;
	char	   *p;
	unsigned long user;
	unsigned long kernel;
	size_t		length;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (file == NULL)
		die(path);
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	p = strrchr(text, ')');
	if (p == NULL ||
		sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			   &user, &kernel) != 2)
		die(path);
	return (double) (user + kernel) / (double) sysconf(_SC_CLK_TCK);
}

static void
prepare_request(Connection *connection)
{
	char		body[256];
	uint64_t	number = ++next_number;
	int			length;

	snprintf(connection->order_id, sizeof(connection->order_id),
			 "LOAD-%llx-%llu", (unsigned long long) run_number,
			 (unsigned long long) number);
	length = snprintf(body, sizeof(body),
					  "{\"paymentKey\":\"%s%s\",\"orderId\":\"%s\","
					  "\"amount\":15000}", options.prefix,
					  connection->order_id, connection->order_id);
	connection->request_length =
		snprintf(connection->request, sizeof(connection->request),
				 "POST /v1/payments/confirm HTTP/1.1\r\n"
				 "Host: localhost:%d\r\n"
				 "Authorization: Basic %s\r\n"
				 "Content-Type: application/json\r\n"
				 "Idempotency-Key: key-%s\r\n"
				 "Content-Length: %d\r\n\r\n%s", options.port,
				 options.credentials, connection->order_id, length, body);
}

/* Sends the whole request; it is small enough for the socket's buffer. */
static void
send_request(Connection *connection)
{
	prepare_request(connection);
	connection->received = 0;
	connection->sent_at = now();
	if (SSL_write(connection->ssl, connection->request,
				  connection->request_length) != connection->request_length)
		die("SSL_write");
}

/* Is the answer complete?  If it is, checks and counts it. */
static bool
answer_complete(Connection *connection)
{
	char	   *end;
	char	   *length;
	char		order[96];

	connection->buffer[connection->received] = '\0';
	end = strstr(connection->buffer, "\r\n\r\n");
	if (end == NULL)
		return false;
	length = strstr(connection->buffer, "Content-Length: ");
	if (length == NULL || length > end)
		die("answer without Content-Length");
	if (connection->received < (size_t) (end + 4 - connection->buffer) +
		(size_t) atol(length + 16))
		return false;

	snprintf(order, sizeof(order), "\"orderId\":\"%s\"",
			 connection->order_id);
	if (strncmp(connection->buffer, "HTTP/1.1 200", 12) != 0 ||
		strstr(end, "\"status\":\"DONE\"") == NULL ||
		strstr(end, order) == NULL)
		wrong++;
	if (answered < MAX_SAMPLES)
		latencies[answered] = (float) ((now() - connection->sent_at) * 1000);
	answered++;
	return true;
}

static void
open_connection(Connection *connection, SSL_CTX *context, int epoll)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN,.data.ptr = connection};
	int			on = 1;

	address.sin_port = htons((uint16_t) options.port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
		connect(connection->fd, (struct sockaddr *) &address,
				sizeof(address)) != 0)
		die("connect");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection->ssl = SSL_new(context);
	SSL_set_fd(connection->ssl, connection->fd);
	SSL_set1_host(connection->ssl, "localhost");
	if (SSL_connect(connection->ssl) != 1)
		die("SSL_connect");
	if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0)
		die("fcntl");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		die("epoll_ctl");
}

/* Reads what has arrived; sends the next request after a whole answer. */
static void
serve(Connection *connection)
{
	for (;;)
	{
		int			size = SSL_read(connection->ssl,
									connection->buffer + connection->received,
									(int) (BUFFER_SIZE - 1 -
										   connection->received));

		if (size <= 0)
		{
			if (SSL_get_error(connection->ssl, size) == SSL_ERROR_WANT_READ)
				return;
			die("connection lost");
		}
		connection->received += (size_t) size;
		if (answer_complete(connection))
		{
			send_request(connection);
			return;
		}
	}
}

static int
compare(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return x < y ? -1 : x > y;
}

static void
report(double seconds, double server_cpu, double own_cpu)
{
	size_t		samples = answered < MAX_SAMPLES ? answered : MAX_SAMPLES;

	qsort(latencies, samples, sizeof(float), compare);
	printf("confirms            %zu, wrong answers %zu\n", answered, wrong);
	printf("connections         %d\n", options.connections);
	printf("wall clock          %.2f s, %.0f confirms/s\n", seconds,
		   (double) answered / seconds);
	if (samples > 0)
		printf("latency             p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
			   latencies[samples / 2], latencies[samples * 99 / 100],
			   latencies[samples - 1]);
	if (options.pid > 0 && answered > 0)
		printf("server CPU          %.1f us/confirm = %.0f confirms/s "
			   "on one core\n", server_cpu * 1e6 / (double) answered,
			   (double) answered / server_cpu);
	if (answered > 0)
		printf("load generator CPU  %.1f us/confirm\n",
			   own_cpu * 1e6 / (double) answered);
}

static void
run(SSL_CTX *context)
{
	int			epoll = epoll_create1(EPOLL_CLOEXEC);
	double		start;
	double		server_cpu;
	double		own_cpu;
	struct epoll_event events[256];

	for (int i = 0; i < options.connections; i++)
		open_connection(&connections[i], context, epoll);
	start = now();
	server_cpu = options.pid > 0 ? cpu_seconds(options.pid) : 0;
	own_cpu = cpu_seconds(getpid());
	for (int i = 0; i < options.connections; i++)
		send_request(&connections[i]);
	while (now() - start < options.seconds)
	{
		int			count = epoll_wait(epoll, events, 256, 100);

		for (int i = 0; i < count; i++)
			serve(events[i].data.ptr);
	}
	report(now() - start,
		   (options.pid > 0 ? cpu_seconds(options.pid) : 0) - server_cpu,
		   cpu_seconds(getpid()) - own_cpu);
}

int
main(int argc, char **argv)
{
	SSL_CTX    *context = SSL_CTX_new(TLS_client_method());
	int			option;

	while ((option = getopt(argc, argv, "p:a:c:s:i:x:k:")) != -1)
	{
		switch (option)
		{
			case 'p':
				options.port = atoi(optarg);
				break;
			case 'a':
				options.ca = optarg;
				break;
			case 'c':
				options.connections = atoi(optarg);
				break;
			case 's':
				options.seconds = atof(optarg);
				break;
			case 'i':
				options.pid = atoi(optarg);
				break;
			case 'x':
				options.prefix = optarg;
				break;
			case 'k':
				options.credentials = optarg;
				break;
			default:
				fprintf(stderr, "usage: toss-load -p port -a ca.pem "
						"[-c connections] [-s seconds] [-i server pid] "
						"[-x prefix] [-k base64 credentials]\n");
				return 2;
		}
	}
	if (options.ca == NULL || options.connections < 1 ||
		options.connections > MAX_CONNECTIONS ||
		SSL_CTX_load_verify_locations(context, options.ca, NULL) != 1)
		die("bad options");
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	run_number = (uint64_t) time(NULL) * 1000 + (uint64_t) getpid() % 1000;
	connections = calloc((size_t) options.connections, sizeof(Connection));
	latencies = malloc(MAX_SAMPLES * sizeof(float));
	run(context);
	return wrong > 0;
}
