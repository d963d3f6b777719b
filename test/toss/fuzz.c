/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *	  Sends damaged requests and counts what comes back.
 *
 * Takes well-formed requests, damages them with a seeded generator and sends
 * them over TLS, or as plain bytes into the TLS port, or to the control
 * port.  It judges nothing itself: the test asks afterwards whether the
 * simulator still lives and still has its books in order.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#define MAX_REQUEST 200000
#define TIMEOUT_US 30000

#define BASIC "Authorization: Basic dGVzdF9nc2tfc2ltdWxhdG9yOg==\r\n"

static const char *const api_requests[] = {
	"POST /v1/payments/confirm HTTP/1.1\r\nHost: localhost\r\n" BASIC
	"Idempotency-Key: fuzz\r\nContent-Length: 60\r\n\r\n"
	"{\"paymentKey\":\"fuzz_1\",\"orderId\":\"ORDER-FUZZ\",\"amount\":1000}",
	"POST /v1/payments/confirm HTTP/1.1\r\nHost: localhost\r\n" BASIC
	"Transfer-Encoding: chunked\r\n\r\n"
	"3c\r\n{\"paymentKey\":\"fuzz_2\",\"orderId\":\"ORDER-FUZZ\","
	"\"amount\":1000}\r\n0\r\n\r\n",
	"POST /v1/payments/confirm HTTP/1.1\r\nHost: localhost\r\n" BASIC
	"TossPayments-Test-Code: NOT_FOUND\r\nContent-Length: 2\r\n\r\n{}",
	"GET /v1/payments/fuzz%5f1 HTTP/1.1\r\nHost: localhost\r\n" BASIC "\r\n",
	"GET /v1/payments/orders/ORDER%2DFUZZ?x=%31 HTTP/1.1\r\n"
	"Host: localhost\r\n" BASIC "\r\n",
	"POST /v1/payments/fuzz_1/cancel HTTP/1.1\r\nHost: localhost\r\n" BASIC
	"Content-Length: 41\r\n\r\n"
	"{\"cancelReason\":\"fuzz\",\"cancelAmount\":100}",
	"DELETE /v1/billing/x HTTP/1.0\r\n" BASIC "\r\n",
};

static const char *const control_requests[] = {
	"POST /pay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 61\r\n\r\n"
	"{\"orderId\":\"ORDER-FUZZ-2\",\"amount\":1000,\"method\":\"CARD\"     }",
	"POST /pay/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Length: 47\r\n\r\n"
	"{\"orderIds\":[\"ORDER-X1\",\"ORDER-X2\"],\"amount\":9}",
	"GET /summary?orders=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"GET /payments/fuzz_1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"POST /deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\n"
	"{\"paymentKey\":\"fuzz_1\"}",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static uint64_t state = 1;
static char request[MAX_REQUEST];

static uint32_t
draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 33) % below;
}

/* Damages a request in one of several ways; returns its new length. */
static size_t
damage(size_t length)
{
	size_t		at = draw((uint32_t) length);
	size_t		run = 1 + draw(20);

	switch (draw(8))
	{
		case 0:					/* a random byte */
			request[at] = (char) draw(256);
			return length;
		case 1:					/* a flipped bit */
			request[at] = (char) (request[at] ^ (1 << draw(8)));
			return length;
		case 2:					/* something left out */
			if (at + run > length)
				return length;
			memmove(request + at, request + at + run, length - at - run);
			return length - run;
		case 3:					/* cut off */
			return at + 1;
		case 4:					/* repeated, sometimes very often */
			run = draw(20) == 0 ? 70000 : run;
			if (length + run > MAX_REQUEST)
				return length;
			memmove(request + at + run, request + at, length - at);
			memset(request + at, request[at], run);
			return length + run;
		case 5:					/* structure characters */
			request[at] = "{}[]\",:\\%\r\n \0/?="[draw(16)];
			return length;
		case 6:					/* digits */
			request[at] = (char) ('0' + draw(10));
			return length;
		default:				/* twice in a row */
			if (length * 2 > MAX_REQUEST)
				return length;
			memcpy(request + length, request, length);
			return length * 2;
	}
}

static size_t
make_request(const char *const *list, size_t count)
{
	const char *base = list[draw((uint32_t) count)];
	size_t		length = strlen(base);

	memcpy(request, base, length);
	for (uint32_t i = draw(4); i > 0 && length > 1; i--)
		length = damage(length);
	return length;
}

static int
dial(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct timeval timeout = {.tv_usec = TIMEOUT_US};
	int			fd = socket(AF_INET, SOCK_STREAM, 0);
	int			on = 1;

	address.sin_port = htons((uint16_t) port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0)
	{
		close(fd);
		return -1;
	}
	return fd;
}

/* Sends plain bytes; returns the number of bytes that came back. */
static int
send_plain(int port, size_t length)
{
	char		answer[4096];
	int			fd = dial(port);
	int			size;

	if (fd < 0)
		return -1;
	if (send(fd, request, length, MSG_NOSIGNAL) < 0)
		length = 0;
	size = (int) recv(fd, answer, sizeof(answer), 0);
	close(fd);
	return size;
}

static int
send_tls(SSL_CTX *context, int port, size_t length)
{
	char		answer[4096];
	int			fd = dial(port);
	SSL		   *ssl = SSL_new(context);
	int			size = -1;

	if (fd >= 0)
	{
		SSL_set_fd(ssl, fd);
		if (SSL_connect(ssl) == 1 &&
			SSL_write(ssl, request, (int) length) > 0)
			size = SSL_read(ssl, answer, sizeof(answer));
	}
	SSL_free(ssl);
	close(fd);
	return size;
}

int
main(int argc, char **argv)
{
	SSL_CTX    *context = SSL_CTX_new(TLS_client_method());
	int			answers = 0;
	int			silent = 0;

	if (argc != 5)
	{
		fprintf(stderr, "usage: toss-fuzz port control-port count seed\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	state = strtoull(argv[4], NULL, 10) * 2654435761u + 1;
	for (int i = atoi(argv[3]); i > 0; i--)
	{
		uint32_t	way = draw(10);
		size_t		length;
		int			size;

		if (way < 7)
		{
			length = make_request(api_requests, COUNT(api_requests));
			size = way == 0 ? send_plain(atoi(argv[1]), length) :
				send_tls(context, atoi(argv[1]), length);
		}
		else
		{
			length = make_request(control_requests, COUNT(control_requests));
			size = send_plain(atoi(argv[2]), length);
		}
		if (size > 0)
			answers++;
		else
			silent++;
	}
	printf("%d answered, %d not\n", answers, silent);
	SSL_CTX_free(context);
	return 0;
}
