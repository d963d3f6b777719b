/*
 * http_fault_test.c
 *		The fault points of http.c between a request and its answer are passed,
 *		however fast the answer comes.
 *
 * http.c is built with its fault points here, and this file stands for
 * fault.c.  On a busy machine the PSP may run before the process that has just
 * sent a request to it runs on, so that the answer is there when the sockets
 * are looked at next, in the same call of pay_http_run.  Here it always is.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "http.h"
#include "https_server.h"
#include "tap.h"

#define ANSWER_US	20000		/* the server needs far less */

static const char *planned;
static char passed[256];		/* points, in their order */

/* ---- in the place of fault.c ---- */

bool
pay_fault_is_planned(const char *point)
{
	return planned != NULL && strcmp(planned, point) == 0;
}

void
pay_fault_hit(const char *point, bool may_raise)
{
	size_t		len = strlen(passed);

	if (!pay_fault_is_planned(point) && strcmp(point, "answer-begun") != 0)
		return;
	snprintf(passed + len, sizeof(passed) - len, "%s ", point);
	if (pay_fault_is_planned(point))
		planned = NULL;
}

/* ---- sockets are looked at when the answer is there ---- */

int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	usleep(ANSWER_US);
	return (int) syscall(SYS_epoll_pwait, fd, events, max, timeout, NULL, 8);
}

/* ---- helpers ---- */

static bool
exchange(PayHttp *client, HttpsServer *server)
{
	char		url[64];
	const char *error;
	PayHttpResult result;
	PayHttpRequest request = {
		.url = url,
		.body = "x",
		.body_len = 1,
		.timeout_ms = 10000,
	};

	snprintf(url, sizeof(url), "https://localhost:%d/ok",
			 https_server_port(server));
	if (!pay_http_start(client, &request, &error))
		return false;
	while (pay_http_in_flight(client) > 0)
	{
		struct pollfd ready = {.fd = pay_http_fd(client),.events = POLLIN};

		poll(&ready, 1, (int) pay_http_timeout_ms(client));
		pay_http_run(client);
		if (pay_http_next(client, &result))
			return result.outcome == PAY_HTTP_ANSWERED;
	}
	return false;
}

static void
passes(PayHttp *client, HttpsServer *server, const char *point,
	   const char *name)
{
	char		expected[64];
	bool		answered;

	planned = point;
	passed[0] = '\0';
	snprintf(expected, sizeof(expected), "%s answer-begun ", point);
	answered = exchange(client, server);
	ok(answered && same_text(passed, expected), "%s: %s", point, name);
	if (!same_text(passed, expected))
		printf("# passed: %s\n", passed);
}

int
main(void)
{
	static const char *const points[] = {"request-sent", "answer-in-socket"};
	char		ca_file[64];
	HttpsServer *server;

	snprintf(ca_file, sizeof(ca_file), "/tmp/http_fault_test_ca.%d.pem",
			 (int) getpid());
	https_make_authority(ca_file);
	server = https_server_start(&(HttpsServerOptions) {0});

	for (int i = 0; i < 2; i++)
	{
		PayHttpOptions options = {
			.max_in_flight = 8,
			.ca_file = ca_file,
			.connect_timeout_ms = 5000,
			.user_agent = "unit-test",
		};
		const char *error;
		PayHttp    *client = pay_http_create(&options, &error);

		if (client == NULL)
		{
			printf("Bail out! no client: %s\n", error);
			exit(1);
		}
		passes(client, server, points[i], "on a new connection");
		passes(client, server, points[i], "on one that was used before");
		pay_http_destroy(client);
	}

	https_server_stop(server);
	unlink(ca_file);
	return tap_end();
}
