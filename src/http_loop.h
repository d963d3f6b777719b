/*
 * http_loop.h
 *		libcurl's sockets and timer: internal to http.c and http_loop.c.
 */
#ifndef PAY_HTTP_LOOP_H
#define PAY_HTTP_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

/* One of our sockets */
typedef struct PayHttpSocket
{
	unsigned char state;
	unsigned char watched;		/* what the epoll descriptor looks for, or 0 */
} PayHttpSocket;

typedef struct PayHttpLoop
{
	CURLM	   *multi;
	int			epoll_fd;		/* or -1 */
	int64_t		timer_us;		/* when libcurl wants to be called, or -1 */
	PayHttpSocket *sockets;		/* by descriptor */
	int			n_sockets;
} PayHttpLoop;

extern bool pay_http_loop_create(PayHttpLoop *loop, CURLM *multi);
extern void pay_http_loop_destroy(PayHttpLoop *loop);
extern bool pay_http_loop_round(PayHttpLoop *loop, bool one_at_a_time);
extern bool pay_http_loop_is_exhausted(void);

/* libcurl's callbacks that open and close a socket; arg is the loop. */
extern curl_socket_t pay_http_loop_open(void *arg, curlsocktype purpose,
										struct curl_sockaddr *address);
extern int	pay_http_loop_close(void *arg, curl_socket_t fd);

/* The monotonic clock. */
extern int64_t pay_http_now_us(void);

#endif							/* PAY_HTTP_LOOP_H */
