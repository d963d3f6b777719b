/*
 * http_loop.c
 *		libcurl's sockets in an epoll descriptor, and its one timer.
 *
 * Owns the descriptor that a caller can put into its own wait.  It promises
 * that a round serves every socket before it lets libcurl look at the clock,
 * and that no request is sent on an idle connection that has something to say.
 *
 * The second is not libcurl's habit.  Before it reuses a TLS connection it
 * takes any byte that waits there for a sign of life.  But it is either the
 * peer's farewell, and the request is lost, or an answer too many, and the
 * next request gets it for its own.  So we go on watching idle connections,
 * and break those that speak; libcurl then sees that they are closed.
 */
#include "http_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS				256

/* What is read from a connection that is given up, in pieces of this size. */
#define RUBBISH				4096
#define MAX_RUBBISH			64

typedef enum SocketState
{
	NOT_OURS,					/* no socket, or a resolver's */
	IN_USE,
	IDLE						/* in libcurl's pool */
} SocketState;

static int	on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
					  void *known);
static void watch_foreign(PayHttpLoop *loop, int fd, int what,
						  uint32_t wanted, bool known);
static bool watch(PayHttpLoop *loop, int fd, uint32_t wanted, bool known);
static int	on_timer(CURLM *multi, long timeout_ms, void *arg);
static SocketState state_of(const PayHttpLoop *loop, int fd);
static void serve(PayHttpLoop *loop, int fd, uint32_t events);
static void give_up(PayHttpLoop *loop, int fd);
static bool run_timer(PayHttpLoop *loop);

int64_t
pay_http_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return INT64_C(1000000) * now.tv_sec + now.tv_nsec / 1000;
}

/* Take over a multi handle's sockets and timer; it stays the caller's. */
bool
pay_http_loop_create(PayHttpLoop *loop, CURLM *multi)
{
	loop->multi = multi;
	loop->timer_us = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	return loop->epoll_fd >= 0 &&
		curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop) == CURLM_OK;
}

/* After curl_multi_cleanup, which still calls back. */
void
pay_http_loop_destroy(PayHttpLoop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
	free(loop->sockets);
	loop->sockets = NULL;
	loop->n_sockets = 0;
}

/* A socket that no program started by the server inherits. */
curl_socket_t
pay_http_loop_open(void *arg, curlsocktype purpose,
				   struct curl_sockaddr *address)
{
	PayHttpLoop *loop = arg;
	int			fd = socket(address->family,
							address->socktype | SOCK_CLOEXEC,
							address->protocol);

	(void) purpose;

	if (fd >= loop->n_sockets)
	{
		int			n = 2 * fd + 64;
		PayHttpSocket *longer = realloc(loop->sockets,
										sizeof(PayHttpSocket) * n);

		if (longer == NULL)
		{
			close(fd);
			return CURL_SOCKET_BAD;
		}
		memset(longer + loop->n_sockets, 0,
			   sizeof(PayHttpSocket) * (n - loop->n_sockets));
		loop->sockets = longer;
		loop->n_sockets = n;
	}
	if (fd >= 0)
		loop->sockets[fd] = (PayHttpSocket) {IN_USE, 0};
	return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

/*
 * Are there no descriptors left for a connection?  libcurl needs them for more
 * than sockets, and says each time that something else does not work.
 */
bool
pay_http_loop_is_exhausted(void)
{
	int			fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE;
	close(fd);
	return false;
}

int
pay_http_loop_close(void *arg, curl_socket_t fd)
{
	PayHttpLoop *loop = arg;

	if (state_of(loop, fd) != NOT_OURS)
		loop->sockets[fd] = (PayHttpSocket) {NOT_OURS, 0};
	return close(fd);
}

static SocketState
state_of(const PayHttpLoop *loop, int fd)
{
	return fd >= 0 && fd < loop->n_sockets ?
		(SocketState) loop->sockets[fd].state : NOT_OURS;
}

/*
 * Serve each socket that has something to say, and then the timer.  False when
 * there was nothing to do.  One at a time: only the first socket, and the timer
 * only when there is none, so that the caller sees all that comes between.
 */
bool
pay_http_loop_round(PayHttpLoop *loop, bool one_at_a_time)
{
	struct epoll_event events[EVENTS];
	int			max = one_at_a_time ? 1 : EVENTS;
	int			n = epoll_wait(loop->epoll_fd, events, max, 0);
	bool		timer_ran;

	for (int i = 0; i < n; i++)
		serve(loop, events[i].data.fd, events[i].events);

	/* New requests begin in here: only after all idle ones were heard. */
	timer_ran = n < max && run_timer(loop);
	return n > 0 || timer_ran;
}

static void
serve(PayHttpLoop *loop, int fd, uint32_t events)
{
	int			what = 0;
	int			running;

	if (state_of(loop, fd) == IDLE)
	{
		give_up(loop, fd);
		return;
	}

	if (events & EPOLLIN)
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;

	/* Never an error alone: there may be an answer to read first. */
	if (events & (EPOLLERR | EPOLLHUP))
		what |= CURL_CSELECT_IN | CURL_CSELECT_ERR;
	curl_multi_socket_action(loop->multi, fd, what, &running);
}

/*
 * Make an idle connection look as closed as it is useless.  What it said has
 * to be read away, because libcurl looks for nothing but the end of the
 * stream.  If it says too much, a request that is written to it fails.
 */
static void
give_up(PayHttpLoop *loop, int fd)
{
	char		rubbish[RUBBISH];
	struct epoll_event event = {0};

	(void) shutdown(fd, SHUT_RDWR);
	for (int i = 0; i < MAX_RUBBISH; i++)
	{
		if (recv(fd, rubbish, sizeof(rubbish), MSG_DONTWAIT) <= 0)
			break;
	}
	(void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, &event);
	loop->sockets[fd].watched = 0;
}

static bool
run_timer(PayHttpLoop *loop)
{
	int			running;

	if (loop->timer_us < 0 || loop->timer_us > pay_http_now_us())
		return false;

	/* libcurl sets it anew from within the call. */
	loop->timer_us = -1;
	curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	return true;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	PayHttpLoop *loop = arg;

	(void) multi;
	loop->timer_us = timeout_ms < 0 ? -1
		: pay_http_now_us() + INT64_C(1000) * timeout_ms;
	return 0;
}

/*
 * libcurl wants to hear of a socket, or no longer.  A connection that it stops
 * asking about goes into its pool, or is about to be closed: we listen on.  So
 * most of the time nothing changes for epoll, and it is not called.
 */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	PayHttpLoop *loop = arg;
	PayHttpSocket *socket;
	uint32_t	wanted = 0;

	(void) easy;

	if (what == CURL_POLL_REMOVE || (what & CURL_POLL_IN))
		wanted |= EPOLLIN;
	if (what != CURL_POLL_REMOVE && (what & CURL_POLL_OUT))
		wanted |= EPOLLOUT;

	if (state_of(loop, fd) == NOT_OURS)
	{
		watch_foreign(loop, fd, what, wanted, known != NULL);
		return 0;
	}
	socket = &loop->sockets[fd];
	socket->state = what == CURL_POLL_REMOVE ? IDLE : IN_USE;
	if (socket->watched != wanted)
		socket->watched = watch(loop, fd, wanted, socket->watched != 0) ?
			wanted : 0;
	return 0;
}

/*
 * A resolver's socket.  The pointer that libcurl keeps for us per socket says
 * whether it asked before.  It may have closed the descriptor, and even opened
 * another under its number, before it tells us.
 */
static void
watch_foreign(PayHttpLoop *loop, int fd, int what, uint32_t wanted,
			  bool known)
{
	struct epoll_event event = {.data.fd = fd};

	if (what == CURL_POLL_REMOVE)
		(void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, &event);
	else
		(void) watch(loop, fd, wanted, known);
	if (known != (what != CURL_POLL_REMOVE))
		curl_multi_assign(loop->multi, fd, known ? NULL : loop);
}

/*
 * Let epoll look for these events.  If it is out of room the exchange hears
 * nothing more and ends at its deadline; an error returned to libcurl would end
 * all the others as well.
 */
static bool
watch(PayHttpLoop *loop, int fd, uint32_t wanted, bool known)
{
	struct epoll_event event = {.events = wanted,.data.fd = fd};
	int			first = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int			second = known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	return epoll_ctl(loop->epoll_fd, first, fd, &event) == 0 ||
		epoll_ctl(loop->epoll_fd, second, fd, &event) == 0;
}
