/*-------------------------------------------------------------------------
 *
 * tls.c
 *	  Certificates made at start.
 *
 * A certificate authority and a server certificate signed by it, fresh in
 * every process.  Only the authority's certificate ever reaches a file; both
 * private keys stay in memory, so there is nothing to protect afterwards.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "simulator.h"

#define LIFETIME (3650 * 86400)

static bool
fill_common(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
			const char *name)
{
	unsigned char serial[16];
	time_t		now = time(NULL);

	gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (unsigned char) ((serial[0] & 0x7f) | 1);
	return gnutls_x509_crt_set_version(certificate, 3) >= 0 &&
		gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial)) >= 0 &&
		gnutls_x509_crt_set_key(certificate, key) >= 0 &&
		gnutls_x509_crt_set_activation_time(certificate, now - 86400) >= 0 &&
		gnutls_x509_crt_set_expiration_time(certificate, now + LIFETIME) >= 0 &&
		gnutls_x509_crt_set_subject_key_id(certificate, serial,
										   sizeof(serial)) >= 0 &&
		gnutls_x509_crt_set_dn_by_oid(certificate,
									  GNUTLS_OID_X520_COMMON_NAME, 0, name,
									  (unsigned) strlen(name)) >= 0;
}

static bool
make_authority(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
	return fill_common(certificate, key, "Toss simulator test CA") &&
		gnutls_x509_crt_set_basic_constraints(certificate, 1, 0) >= 0 &&
		gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN |
									  GNUTLS_KEY_CRL_SIGN) >= 0 &&
		gnutls_x509_crt_sign2(certificate, certificate, key,
							  GNUTLS_DIG_SHA256, 0) >= 0;
}

/* Adds a host name or an address to the names the certificate is for. */
static bool
add_name(gnutls_x509_crt_t certificate, const char *name)
{
	unsigned char address[16];
	unsigned	length = 0;

	if (inet_pton(AF_INET, name, address) == 1)
		length = 4;
	else if (inet_pton(AF_INET6, name, address) == 1)
		length = 16;
	return gnutls_x509_crt_set_subject_alt_name(certificate,
												length ? GNUTLS_SAN_IPADDRESS
												: GNUTLS_SAN_DNSNAME,
												length ? (const void *) address
												: (const void *) name,
												length ? length :
												(unsigned) strlen(name),
												GNUTLS_FSAN_APPEND) >= 0;
}

static bool
make_server(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
			gnutls_x509_crt_t authority, gnutls_x509_privkey_t authority_key,
			const char **names, int count)
{
	unsigned char key_id[32];
	size_t		key_id_size = sizeof(key_id);
	bool		ok = fill_common(certificate, key, "Toss simulator") &&
	gnutls_x509_crt_get_subject_key_id(authority, key_id, &key_id_size,
									   NULL) >= 0 &&
	gnutls_x509_crt_set_authority_key_id(certificate, key_id,
										 key_id_size) >= 0;

	for (int i = 0; ok && i < count; i++)
		ok = add_name(certificate, names[i]);
	return ok &&
		gnutls_x509_crt_set_basic_constraints(certificate, 0, -1) >= 0 &&
		gnutls_x509_crt_set_key_usage(certificate,
									  GNUTLS_KEY_DIGITAL_SIGNATURE) >= 0 &&
		gnutls_x509_crt_set_key_purpose_oid(certificate,
											GNUTLS_KP_TLS_WWW_SERVER, 0) >= 0 &&
		gnutls_x509_crt_sign2(certificate, authority, authority_key,
							  GNUTLS_DIG_SHA256, 0) >= 0;
}

static char *
take_pem(gnutls_datum_t *pem)
{
	char	   *text = sim_copy((char *) pem->data, pem->size);

	gnutls_free(pem->data);
	return text;
}

/* Makes both certificates for these names; false if GnuTLS fails. */
bool
sim_tls_make(Certificates *out, const char **names, int count)
{
	gnutls_x509_crt_t authority;
	gnutls_x509_crt_t server;
	gnutls_x509_privkey_t keys[2];
	gnutls_datum_t pem[3];
	bool		ok = true;

	gnutls_x509_crt_init(&authority);
	gnutls_x509_crt_init(&server);
	for (int i = 0; i < 2; i++)
	{
		gnutls_x509_privkey_init(&keys[i]);
		ok = ok &&
			gnutls_x509_privkey_generate(keys[i], GNUTLS_PK_ECDSA,
										 GNUTLS_CURVE_TO_BITS
										 (GNUTLS_ECC_CURVE_SECP256R1),
										 0) >= 0;
	}
	ok = ok && make_authority(authority, keys[0]) &&
		make_server(server, keys[1], authority, keys[0], names, count) &&
		gnutls_x509_crt_export2(authority, GNUTLS_X509_FMT_PEM, &pem[0]) >= 0 &&
		gnutls_x509_crt_export2(server, GNUTLS_X509_FMT_PEM, &pem[1]) >= 0 &&
		gnutls_x509_privkey_export2(keys[1], GNUTLS_X509_FMT_PEM,
									&pem[2]) >= 0;
	if (ok)
	{
		out->authority = take_pem(&pem[0]);
		out->certificate = take_pem(&pem[1]);
		out->private_key = take_pem(&pem[2]);
	}
	for (int i = 0; i < 2; i++)
		gnutls_x509_privkey_deinit(keys[i]);
	gnutls_x509_crt_deinit(server);
	gnutls_x509_crt_deinit(authority);
	return ok;
}

void
sim_tls_sha256(const void *bytes, size_t length, unsigned char digest[32])
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, length, digest);
}
