/* tls.h: what GnuTLS asks tls.c for, in each handshake */
#ifndef TLS_H
#define TLS_H

#include <gnutls/abstract.h>

extern int	sim_tls_certificate(gnutls_session_t session,
								const gnutls_datum_t *names, int name_count,
								const gnutls_pk_algorithm_t *algorithms,
								int algorithm_count,
								gnutls_pcert_st **certificates,
								unsigned *count, gnutls_privkey_t *key);

#endif							/* TLS_H */
