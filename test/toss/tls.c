/*-------------------------------------------------------------------------
 *
 * tls.c
 *	  The certificate that the server shows, and its authority.
 *
 * The authority is made at start, fresh in every process, and a certificate
 * signed by it; a test may then have another one shown, from the next
 * handshake on: a good one, or one that no client may accept.  Only the
 * authority's certificate ever reaches a file; all private keys stay in
 * memory, so there is nothing to protect afterwards.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "simulator.h"
#include "tls.h"

#define LIFETIME (3650 * 86400)

typedef struct Identity
{
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
} Identity;

/* What is shown; those of before stay, for handshakes that are under way. */
typedef struct Shown
{
	struct Shown *before;
	gnutls_pcert_st certificate;
	gnutls_privkey_t key;
} Shown;

typedef struct Kind
{
	const char *name;
	bool		other_authority;
	bool		expired;
	const char *only_name[1];	/* NULL: ours */
} Kind;

static const Kind kinds[] = {
	{.name = "renewed"},
	{.name = "unknown-authority",.other_authority = true},
	{.name = "expired",.expired = true},
	{.name = "wrong-host",.only_name = {"other.invalid"}},
};

static Identity authority;
static const char **own_names;
static int	own_name_count;
static Shown *shown;

static void
identity_free(Identity *identity)
{
	gnutls_x509_crt_deinit(identity->certificate);
	gnutls_x509_privkey_deinit(identity->key);
}

/* A key, and a certificate that is not signed yet. */
static bool
identity_init(Identity *identity, const char *name, time_t until)
{
	gnutls_x509_crt_t certificate;
	unsigned char serial[16];

	gnutls_x509_crt_init(&identity->certificate);
	gnutls_x509_privkey_init(&identity->key);
	certificate = identity->certificate;
	gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (unsigned char) ((serial[0] & 0x7f) | 1);
	return gnutls_x509_privkey_generate(identity->key, GNUTLS_PK_ECDSA,
										GNUTLS_CURVE_TO_BITS
										(GNUTLS_ECC_CURVE_SECP256R1),
										0) >= 0 &&
		gnutls_x509_crt_set_version(certificate, 3) >= 0 &&
		gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial)) >= 0 &&
		gnutls_x509_crt_set_key(certificate, identity->key) >= 0 &&
		gnutls_x509_crt_set_activation_time(certificate,
											time(NULL) - 86400) >= 0 &&
		gnutls_x509_crt_set_expiration_time(certificate, until) >= 0 &&
		gnutls_x509_crt_set_subject_key_id(certificate, serial,
										   sizeof(serial)) >= 0 &&
		gnutls_x509_crt_set_dn_by_oid(certificate,
									  GNUTLS_OID_X520_COMMON_NAME, 0, name,
									  (unsigned) strlen(name)) >= 0;
}

static bool
make_authority(Identity *identity)
{
	gnutls_x509_crt_t certificate;

	if (!identity_init(identity, "Toss simulator test CA",
					   time(NULL) + LIFETIME))
		return false;
	certificate = identity->certificate;
	return gnutls_x509_crt_set_basic_constraints(certificate, 1, 0) >= 0 &&
		gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN |
									  GNUTLS_KEY_CRL_SIGN) >= 0 &&
		gnutls_x509_crt_sign2(certificate, certificate, identity->key,
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
make_server(Identity *identity, const Identity *issuer,
			const char *const *names, int count, bool expired)
{
	unsigned char key_id[32];
	size_t		key_id_size = sizeof(key_id);
	gnutls_x509_crt_t certificate;
	bool		ok = identity_init(identity, "Toss simulator", time(NULL) +
								   (expired ? -3600 : LIFETIME));

	certificate = identity->certificate;
	ok = ok && gnutls_x509_crt_get_subject_key_id(issuer->certificate, key_id,
												  &key_id_size, NULL) >= 0 &&
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
		gnutls_x509_crt_sign2(certificate, issuer->certificate, issuer->key,
							  GNUTLS_DIG_SHA256, 0) >= 0;
}

/* Shows it from the next handshake on; the certificate goes with what is shown. */
static bool
show(const Identity *identity)
{
	Shown	   *next = sim_alloc(sizeof(Shown));
	bool		ok = gnutls_privkey_init(&next->key) >= 0 &&
	gnutls_privkey_import_x509(next->key, identity->key,
							   GNUTLS_PRIVKEY_IMPORT_COPY) >= 0 &&
	gnutls_pcert_import_x509(&next->certificate, identity->certificate, 0) >= 0;

	if (!ok)
	{
		free(next);
		return false;
	}
	next->before = __atomic_load_n(&shown, __ATOMIC_ACQUIRE);
	__atomic_store_n(&shown, next, __ATOMIC_RELEASE);
	return true;
}

/* Called by GnuTLS in each handshake. */
int
sim_tls_certificate(gnutls_session_t session, const gnutls_datum_t *names,
					int name_count, const gnutls_pk_algorithm_t *algorithms,
					int algorithm_count, gnutls_pcert_st **certificates,
					unsigned *count, gnutls_privkey_t *key)
{
	Shown	   *now = __atomic_load_n(&shown, __ATOMIC_ACQUIRE);

	*certificates = &now->certificate;
	*count = 1;
	*key = now->key;
	return 0;
}

static char *
pem_of(const Identity *identity)
{
	gnutls_datum_t pem;
	char	   *text;

	if (gnutls_x509_crt_export2(identity->certificate, GNUTLS_X509_FMT_PEM,
								&pem) < 0)
		return NULL;
	text = sim_copy((char *) pem.data, pem.size);
	gnutls_free(pem.data);
	return text;
}

/* The authority's certificate, to be freed. */
char *
sim_tls_authority(void)
{
	return pem_of(&authority);
}

/* Makes an authority and shows a certificate for these names; false if GnuTLS fails. */
bool
sim_tls_make(const char **names, int count)
{
	char	   *pem = NULL;

	own_names = names;
	own_name_count = count;
	if (!make_authority(&authority) || sim_tls_serve("renewed", &pem) != NULL)
		return false;
	free(pem);
	return true;
}

/*
 * Shows another certificate.  NULL, or the name of what is wrong; *authority is
 * the certificate of who signed it, to be freed.  The lock must be held.
 */
const char *
sim_tls_serve(const char *name, char **signed_by)
{
	const Kind *kind = NULL;
	Identity	other = {0};
	Identity	server = {0};
	const Identity *issuer = &authority;
	bool		ok = true;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
			kind = &kinds[i];
	}
	if (kind == NULL)
		return "kind";
	if (kind->other_authority)
	{
		ok = make_authority(&other);
		issuer = &other;
	}
	ok = ok && make_server(&server, issuer,
						   kind->only_name[0] ? kind->only_name : own_names,
						   kind->only_name[0] ? 1 : own_name_count,
						   kind->expired) && show(&server);
	*signed_by = ok ? pem_of(issuer) : NULL;
	identity_free(&server);
	if (kind->other_authority)
		identity_free(&other);
	return *signed_by != NULL ? NULL : "GnuTLS";
}

void
sim_tls_sha256(const void *bytes, size_t length, unsigned char digest[32])
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, length, digest);
}
