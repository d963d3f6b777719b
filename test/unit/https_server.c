/*
 * https_server.c
 *		A misbehaving HTTPS server in threads, for the tests of http.c.
 */
#include "https_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PATHS			64
#define MAX_THREADS			512
#define MAX_REQUEST			(64 * 1024)

struct HttpsServer
{
	SSL_CTX    *context;
	int			listener;
	int			port;
	HttpsServerOptions options;
	volatile bool stopping;
	pthread_t	acceptor;
	pthread_t	threads[MAX_THREADS];
	int			n_threads;

	pthread_mutex_t mutex;		/* for what follows */
	struct
	{
		char		path[64];
		int			arrivals;
	}			paths[MAX_PATHS];
	int			n_paths;
	int			connections;
	int			resumed;
	long		bytes;
	char		last[MAX_REQUEST + 1];
};

typedef struct Connection
{
	HttpsServer *server;
	int			fd;
	SSL		   *ssl;
	int			requests;		/* on this connection */
	bool		reset;			/* end with RST instead of FIN */
	char	   *buffer;
	int			len;
} Connection;

static EVP_PKEY *ca_key;
static X509 *ca;

/* ---- certificates ---- */

static X509 *
make_certificate(EVP_PKEY *key, const char *name, const char *host,
				 X509 *issuer, EVP_PKEY *issuer_key, bool expired)
{
	static long serial = 1;
	X509	   *cert = X509_new();
	X509V3_CTX	context;
	char		alt[128];

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), expired ? -3600 : 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
							   (const unsigned char *) name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));

	X509V3_set_ctx(&context, issuer ? issuer : cert, cert, NULL, NULL, 0);
	if (host != NULL)
		snprintf(alt, sizeof(alt), "DNS:%s", host);
	for (int i = 0; i < 2; i++)
	{
		X509_EXTENSION *extension = NULL;

		if (host == NULL && i == 0)
			extension = X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints,
											"critical,CA:TRUE");
		else if (host != NULL && i == 1)
			extension = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name,
											alt);
		if (extension != NULL)
		{
			X509_add_ext(cert, extension, -1);
			X509_EXTENSION_free(extension);
		}
	}
	X509_sign(cert, issuer_key, EVP_sha256());
	return cert;
}

void
https_make_authority(const char *ca_file)
{
	FILE	   *file = fopen(ca_file, "w");

	signal(SIGPIPE, SIG_IGN);
	ca_key = EVP_EC_gen("P-256");
	ca = make_certificate(ca_key, "test authority", NULL, NULL, ca_key, false);
	if (file == NULL || !PEM_write_X509(file, ca))
		abort();
	fclose(file);
}

static SSL_CTX *
make_context(const HttpsServerOptions *options)
{
	SSL_CTX    *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY   *key = EVP_EC_gen("P-256");
	EVP_PKEY   *issuer_key = ca_key;
	X509	   *issuer = ca;
	X509	   *cert;

	if (options->other_ca)
	{
		issuer_key = EVP_EC_gen("P-256");
		issuer = make_certificate(issuer_key, "nobody", NULL, NULL, issuer_key,
								  false);
	}
	cert = make_certificate(key, "server",
							options->host ? options->host : "localhost",
							issuer, issuer_key, options->expired);
	if (SSL_CTX_use_certificate(context, cert) != 1 ||
		SSL_CTX_use_PrivateKey(context, key) != 1)
		abort();
	X509_free(cert);
	EVP_PKEY_free(key);
	if (options->other_ca)
	{
		X509_free(issuer);
		EVP_PKEY_free(issuer_key);
	}

	if (options->tls_1_1)
	{
		SSL_CTX_set_security_level(context, 0);
		SSL_CTX_set_min_proto_version(context, TLS1_1_VERSION);
		SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
		SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
	}
	if (options->tls_1_2)
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_session_id_context(context, (const unsigned char *) "test", 4);
	return context;
}

/* ---- what it does with a request ---- */

static void
say(Connection *connection, const char *bytes, int len)
{
	if (len > 0)
		SSL_write(connection->ssl, bytes, len);
}

static void
answer_with(Connection *connection, const char *status, const char *headers,
			const char *body, int body_len)
{
	char		head[512];
	int			n = snprintf(head, sizeof(head),
							 "HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n",
							 status, body_len, headers);
	char	   *all = malloc(n + body_len);

	memcpy(all, head, n);
	memcpy(all + n, body, body_len);
	say(connection, all, n + body_len);
	free(all);
}

static void
answer(Connection *connection, const char *status, const char *headers,
	   const char *body)
{
	answer_with(connection, status, headers, body, (int) strlen(body));
}

static void
wait_ms(Connection *connection, int ms)
{
	for (; ms > 0 && !connection->server->stopping; ms -= 10)
		usleep(10 * 1000);
}

/* Close so that the peer gets a reset, with no TLS farewell. */
static void
reset(Connection *connection)
{
	struct linger linger = {.l_onoff = 1,.l_linger = 0};

	setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	connection->reset = true;
}

/* True: the connection may carry another request. */
typedef bool (*Behaviour) (Connection *connection, const char *body);

static bool
do_ok(Connection *connection, const char *body)
{
	answer(connection, "200 OK",
		   "Content-Type: application/json\r\n"
		   "X-TossPayments-Trace-Id: 0123456789abcdef0123456789abcdef\r\n",
		   "{\"ok\":true}");
	return true;
}

static bool
do_echo(Connection *connection, const char *body)
{
	answer(connection, "200 OK", "", body);
	return true;
}

static bool
do_hang(Connection *connection, const char *body)
{
	wait_ms(connection, 60000);
	return false;
}

static bool
do_late(Connection *connection, const char *body)
{
	wait_ms(connection, 200);
	return do_ok(connection, body);
}

/* The first request on a connection is served; any other is executed only. */
static bool
do_second_reset(Connection *connection, const char *body)
{
	if (connection->requests == 1)
		return do_ok(connection, body);
	reset(connection);
	return false;
}

static bool
do_second_close(Connection *connection, const char *body)
{
	if (connection->requests == 1)
		return do_ok(connection, body);
	return false;
}

static bool
do_reset(Connection *connection, const char *body)
{
	reset(connection);
	return false;
}

static bool
do_cut(Connection *connection, const char *body)
{
	const char *half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\":";

	say(connection, half, (int) strlen(half));
	return false;
}

static bool
do_cut_unbounded(Connection *connection, const char *body)
{
	const char *half = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"ok\":";

	say(connection, half, (int) strlen(half));
	return false;
}

/* The same with a farewell, as a proxy would end what its peer cut. */
static bool
do_unbounded(Connection *connection, const char *body)
{
	do_cut_unbounded(connection, body);
	SSL_shutdown(connection->ssl);
	return false;
}

static bool
do_cut_head(Connection *connection, const char *body)
{
	const char *half = "HTTP/1.1 200 OK\r\nContent-Le";

	say(connection, half, (int) strlen(half));
	return false;
}

static bool
do_cut_head_late(Connection *connection, const char *body)
{
	const char *half = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Mor";

	say(connection, half, (int) strlen(half));
	return false;
}

static void
answer_size(Connection *connection, int size)
{
	char	   *body = malloc(size);

	memset(body, 'x', size);
	answer_with(connection, "200 OK", "", body, size);
	free(body);
}

static bool
do_full(Connection *connection, const char *body)
{
	answer_size(connection, 64 * 1024);
	return true;
}

static bool
do_over(Connection *connection, const char *body)
{
	answer_size(connection, 64 * 1024 + 1);
	return true;
}

/* One byte too many, and no length beforehand; else in good order. */
static bool
do_over_chunked(Connection *connection, const char *body)
{
	char	   *all = malloc(64 * 1024 + 256);
	int			n = sprintf(all, "HTTP/1.1 200 OK\r\n"
							"Transfer-Encoding: chunked\r\n\r\n10001\r\n");

	memset(all + n, 'x', 0x10001);
	n += 0x10001;
	n += sprintf(all + n, "\r\n0\r\n\r\n");
	say(connection, all, n);
	free(all);
	return true;
}

static bool
do_flood(Connection *connection, const char *body)
{
	char		chunk[4096 + 32];
	int			n = snprintf(chunk, sizeof(chunk), "1000\r\n");
	const char *head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

	say(connection, head, (int) strlen(head));
	memset(chunk + n, 'x', 4096);
	memcpy(chunk + n + 4096, "\r\n", 2);
	for (int i = 0; i < 1000 && !connection->server->stopping; i++)
	{
		if (SSL_write(connection->ssl, chunk, n + 4098) <= 0)
			break;
	}
	return false;
}

static bool
do_headers(Connection *connection, const char *body)
{
	char		line[1100];

	say(connection, "HTTP/1.1 200 OK\r\n", 17);
	memset(line, 'h', sizeof(line));
	memcpy(line, "X-A: ", 5);
	memcpy(line + 1022, "\r\n", 2);
	for (int i = 0; i < 40; i++)
		say(connection, line, 1024);
	say(connection, "Content-Length: 2\r\n\r\nok", 23);
	return false;
}

static bool
do_drip(Connection *connection, const char *body)
{
	say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 41);
	for (int i = 0; i < 1000 && !connection->server->stopping; i++)
	{
		say(connection, "x", 1);
		wait_ms(connection, 20);
	}
	return false;
}

static bool
do_interim(Connection *connection, const char *body)
{
	const char *interim = "HTTP/1.1 100 Continue\r\nX-TossPayments-Trace-Id: interim\r\n\r\n";

	say(connection, interim, (int) strlen(interim));
	answer(connection, "200 OK", "", "after");
	return true;
}

static bool
do_interim_flood(Connection *connection, const char *body)
{
	const char *interim = "HTTP/1.1 100 Continue\r\nX-Padding: aaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";

	for (int i = 0; i < 100000 && !connection->server->stopping; i++)
	{
		if (SSL_write(connection->ssl, interim, (int) strlen(interim)) <= 0)
			break;
	}
	return false;
}

static bool
do_redirect(Connection *connection, const char *body)
{
	char		headers[128];

	snprintf(headers, sizeof(headers),
			 "Location: https://localhost:%d/target\r\n",
			 connection->server->port);
	answer(connection, "302 Found", headers, "elsewhere");
	return true;
}

static bool
do_401(Connection *connection, const char *body)
{
	answer(connection, "401 Unauthorized",
		   "WWW-Authenticate: Basic realm=\"x\"\r\n", "{}");
	return true;
}

static bool
do_417(Connection *connection, const char *body)
{
	answer(connection, "417 Expectation Failed", "", "{}");
	return true;
}

static bool
do_429(Connection *connection, const char *body)
{
	answer(connection, "429 Too Many Requests",
		   "Retry-After: 7\r\nX-TossPayments-Trace-Id: new01, original02\r\n", "");
	return true;
}

/* Retry-After as a date: 90 seconds from now, long ago, and none. */
static bool
do_429_date(Connection *connection, const char *body)
{
	time_t		then = time(NULL) + 90;
	char		header[80];

	strftime(header, sizeof(header),
			 "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime(&then));
	answer(connection, "429 Too Many Requests", header, "");
	return true;
}

static bool
do_429_past(Connection *connection, const char *body)
{
	answer(connection, "429 Too Many Requests",
		   "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "");
	return true;
}

static bool
do_429_far(Connection *connection, const char *body)
{
	answer(connection, "429 Too Many Requests",
		   "Retry-After: Fri, 31 Dec 2199 23:59:59 GMT\r\n", "");
	return true;
}

static bool
do_429_no_date(Connection *connection, const char *body)
{
	answer(connection, "429 Too Many Requests",
		   "Retry-After: Soon, we hope, and not too late\r\n", "");
	return true;
}

static bool
do_gzip(Connection *connection, const char *body)
{
	answer(connection, "200 OK", "Content-Encoding: gzip\r\n", "not unpacked");
	return true;
}

static bool
do_close_idle(Connection *connection, const char *body)
{
	do_ok(connection, body);
	return false;
}

/* The same with TLS's farewell, as a well-bred server does it. */
static bool
do_farewell(Connection *connection, const char *body)
{
	do_ok(connection, body);
	SSL_shutdown(connection->ssl);
	return false;
}

static bool
do_204(Connection *connection, const char *body)
{
	say(connection, "HTTP/1.1 204 No Content\r\n\r\n", 27);
	return true;
}

static bool
do_own_key(Connection *connection, const char *body)
{
	answer(connection, "200 OK",
		   "idempotency-key: 11111111-2222-3333-4444-555555555555\r\n", "{}");
	return true;
}

static bool
do_other_key(Connection *connection, const char *body)
{
	answer(connection, "200 OK",
		   "idempotency-key: 99999999-2222-3333-4444-555555555555\r\n", "{}");
	return true;
}

/* An answer that nobody asked for, once the connection lies idle. */
static bool
do_unsolicited(Connection *connection, const char *body)
{
	do_ok(connection, body);
	wait_ms(connection, 50);
	answer(connection, "200 OK", "", "{\"ok\":\"of somebody else\"}");
	return true;
}

static bool
do_two_answers(Connection *connection, const char *body)
{
	const char *two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
	"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";

	say(connection, two, (int) strlen(two));
	return true;
}

static bool
do_no_http(Connection *connection, const char *body)
{
	say(connection, "220 smtp ready\r\n\r\n", 18);
	return false;
}

static const struct
{
	const char *path;
	Behaviour	behave;
}			behaviours[] = {
	{"/ok", do_ok},
	{"/echo", do_echo},
	{"/target", do_ok},
	{"/hang", do_hang},
	{"/late", do_late},
	{"/second-reset", do_second_reset},
	{"/second-close", do_second_close},
	{"/reset", do_reset},
	{"/cut", do_cut},
	{"/cut-unbounded", do_cut_unbounded},
	{"/cut-head", do_cut_head},
	{"/cut-head-late", do_cut_head_late},
	{"/full", do_full},
	{"/over", do_over},
	{"/over-chunked", do_over_chunked},
	{"/flood", do_flood},
	{"/headers", do_headers},
	{"/drip", do_drip},
	{"/interim", do_interim},
	{"/interim-flood", do_interim_flood},
	{"/redirect", do_redirect},
	{"/401", do_401},
	{"/417", do_417},
	{"/429", do_429},
	{"/429-date", do_429_date},
	{"/429-past", do_429_past},
	{"/429-far", do_429_far},
	{"/429-no-date", do_429_no_date},
	{"/gzip", do_gzip},
	{"/close-idle", do_close_idle},
	{"/farewell", do_farewell},
	{"/unbounded", do_unbounded},
	{"/204", do_204},
	{"/own-key", do_own_key},
	{"/other-key", do_other_key},
	{"/unsolicited", do_unsolicited},
	{"/two-answers", do_two_answers},
	{"/no-http", do_no_http},
};

/* ---- connections ---- */

/* Read one request into the buffer; false at the end of the connection. */
static bool
read_request(Connection *connection, char *path, int size, char **body)
{
	HttpsServer *server = connection->server;
	int			len = 0;
	int			expected = -1;

	for (;;)
	{
		char	   *head_end;
		char	   *length;
		int			n;

		n = SSL_read(connection->ssl, connection->buffer + len,
					 MAX_REQUEST - len);
		if (n <= 0)
			return false;
		len += n;
		connection->buffer[len] = '\0';
		pthread_mutex_lock(&server->mutex);
		server->bytes += n;
		pthread_mutex_unlock(&server->mutex);

		head_end = strstr(connection->buffer, "\r\n\r\n");
		if (head_end == NULL)
			continue;
		if (expected < 0)
		{
			length = strcasestr(connection->buffer, "content-length:");
			expected = length != NULL ? atoi(length + 15) : 0;
		}
		*body = head_end + 4;
		if (connection->buffer + len - *body >= expected)
			break;
	}

	/* "POST /path HTTP/1.1" */
	path[0] = '\0';
	if (strchr(connection->buffer, ' ') != NULL)
		snprintf(path, size, "%.*s",
				 (int) strcspn(strchr(connection->buffer, ' ') + 1, " "),
				 strchr(connection->buffer, ' ') + 1);

	pthread_mutex_lock(&server->mutex);
	memcpy(server->last, connection->buffer, len + 1);
	for (int i = 0; i <= server->n_paths && i < MAX_PATHS; i++)
	{
		if (i == server->n_paths)
		{
			snprintf(server->paths[i].path, sizeof(server->paths[i].path), "%s", path);
			server->n_paths++;
		}
		if (strcmp(server->paths[i].path, path) == 0)
		{
			server->paths[i].arrivals++;
			break;
		}
	}
	pthread_mutex_unlock(&server->mutex);
	return true;
}

static void
serve(Connection *connection)
{
	char		path[64];
	char	   *body;
	bool		again = true;

	while (again && !connection->server->stopping &&
		   read_request(connection, path, sizeof(path), &body))
	{
		connection->requests++;
		again = false;
		for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
		{
			if (strcmp(behaviours[i].path, path) == 0)
				again = behaviours[i].behave(connection, body);
		}
	}
}

static void *
connection_main(void *arg)
{
	Connection *connection = arg;
	HttpsServer *server = connection->server;

	if (server->options.stall)
		wait_ms(connection, 60000);
	else
	{
		connection->ssl = SSL_new(server->context);
		connection->buffer = malloc(MAX_REQUEST + 1);
		SSL_set_fd(connection->ssl, connection->fd);
		if (SSL_accept(connection->ssl) == 1)
		{
			if (SSL_session_reused(connection->ssl))
			{
				pthread_mutex_lock(&server->mutex);
				server->resumed++;
				pthread_mutex_unlock(&server->mutex);
			}
			serve(connection);
		}
		ERR_clear_error();
		SSL_free(connection->ssl);
		free(connection->buffer);
	}
	if (!connection->reset)
		shutdown(connection->fd, SHUT_WR);
	close(connection->fd);
	free(connection);
	return NULL;
}

static void *
acceptor_main(void *arg)
{
	HttpsServer *server = arg;

	while (!server->stopping)
	{
		struct pollfd ready = {.fd = server->listener,.events = POLLIN};
		Connection *connection;
		int			fd;

		if (poll(&ready, 1, 20) <= 0)
			continue;
		fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		connection = calloc(1, sizeof(*connection));
		connection->server = server;
		connection->fd = fd;
		pthread_mutex_lock(&server->mutex);
		server->connections++;
		pthread_mutex_unlock(&server->mutex);
		if (server->n_threads == MAX_THREADS ||
			pthread_create(&server->threads[server->n_threads], NULL,
						   connection_main, connection) != 0)
			abort();
		server->n_threads++;
	}
	return NULL;
}

/* ---- the handle ---- */

HttpsServer *
https_server_start(const HttpsServerOptions *options)
{
	HttpsServer *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	len = sizeof(address);

	server->options = *options;
	server->context = make_context(options);
	pthread_mutex_init(&server->mutex, NULL);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(server->listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(server->listener, 512) != 0 ||
		getsockname(server->listener, (struct sockaddr *) &address, &len) != 0)
		abort();
	server->port = ntohs(address.sin_port);
	if (pthread_create(&server->acceptor, NULL, acceptor_main, server) != 0)
		abort();
	return server;
}

/* The client must be gone, or its idle connections keep the threads. */
void
https_server_stop(HttpsServer *server)
{
	server->stopping = true;
	pthread_join(server->acceptor, NULL);
	for (int i = 0; i < server->n_threads; i++)
		pthread_join(server->threads[i], NULL);
	close(server->listener);
	SSL_CTX_free(server->context);
	pthread_mutex_destroy(&server->mutex);
	free(server);
}

int
https_server_port(const HttpsServer *server)
{
	return server->port;
}

int
https_server_arrivals(HttpsServer *server, const char *path)
{
	int			arrivals = 0;

	pthread_mutex_lock(&server->mutex);
	for (int i = 0; i < server->n_paths; i++)
	{
		if (strcmp(server->paths[i].path, path) == 0)
			arrivals = server->paths[i].arrivals;
	}
	pthread_mutex_unlock(&server->mutex);
	return arrivals;
}

int
https_server_connections(HttpsServer *server)
{
	int			value;

	pthread_mutex_lock(&server->mutex);
	value = server->connections;
	pthread_mutex_unlock(&server->mutex);
	return value;
}

long
https_server_bytes(HttpsServer *server)
{
	long		value;

	pthread_mutex_lock(&server->mutex);
	value = server->bytes;
	pthread_mutex_unlock(&server->mutex);
	return value;
}

int
https_server_resumed(HttpsServer *server)
{
	int			value;

	pthread_mutex_lock(&server->mutex);
	value = server->resumed;
	pthread_mutex_unlock(&server->mutex);
	return value;
}

void
https_server_last(HttpsServer *server, char *buf, int size)
{
	pthread_mutex_lock(&server->mutex);
	snprintf(buf, size, "%s", server->last);
	pthread_mutex_unlock(&server->mutex);
}
