/*
 * https_server.h
 *		A misbehaving HTTPS server in threads, for the tests of http.c.
 *
 * What it does with a request is said by the request's path; see the table of
 * behaviours in https_server.c.  Every request that arrived whole, and so
 * could have moved money, is counted by its path.
 */
#ifndef HTTPS_SERVER_H
#define HTTPS_SERVER_H

#include <stdbool.h>

typedef struct HttpsServer HttpsServer;

typedef struct HttpsServerOptions
{
	const char *host;			/* in the certificate; NULL: localhost */
	bool		other_ca;		/* signed by an authority nobody knows */
	bool		expired;		/* the certificate's time is over */
	bool		tls_1_1;		/* speaks nothing newer than TLS 1.1 */
	bool		tls_1_2;		/* speaks nothing newer than TLS 1.2 */
	bool		stall;			/* accepts, and never shakes hands */
} HttpsServerOptions;

/* Writes the test authority's certificate to the file; once per process. */
extern void https_make_authority(const char *ca_file);

extern HttpsServer *https_server_start(const HttpsServerOptions *options);
extern void https_server_stop(HttpsServer *server);

extern int	https_server_port(const HttpsServer *server);

/* Requests that arrived whole for a path; connections; bytes that decrypted */
extern int	https_server_arrivals(HttpsServer *server, const char *path);
extern int	https_server_connections(HttpsServer *server);
extern long https_server_bytes(HttpsServer *server);

/* How many handshakes took up an earlier TLS session. */
extern int	https_server_resumed(HttpsServer *server);

/* What arrived last, head and body as one text, cut at a cap. */
extern void https_server_last(HttpsServer *server, char *buf, int size);

#endif							/* HTTPS_SERVER_H */
