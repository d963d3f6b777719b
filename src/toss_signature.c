/*
 * toss_signature.c
 *		Whether a webhook is Toss's: its HMAC, or the secret of a payment.
 *
 * The message is the body's very bytes, a colon, and the text of the header
 * tosspayments-webhook-transmission-time (toss-api 10.3); its two vectors are in
 * test/unit/toss_signature_test.c.
 *
 * Every signature of the header is compared with the HMAC of every key, to the
 * end: how long that takes tells nothing of where a match is.
 */
#include "toss_signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIGNATURES	4
#define MAX_KEYS		4
#define KEY_DIGITS		64
#define KEY_BYTES		(KEY_DIGITS / 2)

static int	read_header(const char *header,
						uint8_t signatures[][PAY_DIGEST_SIZE]);
static bool read_base64(const char *text, size_t len,
						uint8_t bytes[PAY_DIGEST_SIZE]);
static bool read_key(const char *key, uint8_t bytes[KEY_BYTES]);
static bool matches(const uint8_t *key, size_t key_len, const char *message,
					size_t len, uint8_t signatures[][PAY_DIGEST_SIZE], int n);

bool
pay_toss_signature_is_valid(const char *header, const char *body, size_t len,
							const char *time, const char *const *keys,
							int n_keys, bool also_text)
{
	uint8_t		signatures[MAX_SIGNATURES][PAY_DIGEST_SIZE];
	size_t		time_len;
	char	   *message;
	int			n;
	bool		valid = false;

	if (header == NULL || time == NULL || n_keys < 1 || n_keys > MAX_KEYS)
		return false;
	n = read_header(header, signatures);
	if (n == 0)
		return false;

	time_len = strlen(time);
	message = malloc(len + 1 + time_len);
	if (message == NULL)
		return false;
	memcpy(message, body, len);
	message[len] = ':';
	memcpy(message + len + 1, time, time_len);

	for (int i = 0; i < n_keys; i++)
	{
		uint8_t		bytes[KEY_BYTES];

		if (keys[i] == NULL || !read_key(keys[i], bytes))
			continue;
		valid |= matches(bytes, sizeof(bytes), message, len + 1 + time_len,
						 signatures, n);
		OPENSSL_cleanse(bytes, sizeof(bytes));
		if (also_text)
			valid |= matches((const uint8_t *) keys[i], KEY_DIGITS, message,
							 len + 1 + time_len, signatures, n);
	}
	free(message);
	return valid;
}

/* How many signatures of version 1 there are; others are passed over. */
static int
read_header(const char *header, uint8_t signatures[][PAY_DIGEST_SIZE])
{
	int			n = 0;

	while (n < MAX_SIGNATURES)
	{
		size_t		len;

		header += strspn(header, " \t,");
		len = strcspn(header, " \t,");
		if (len == 0)
			break;
		if (len > 3 && strncmp(header, "v1:", 3) == 0 &&
			read_base64(header + 3, len - 3, signatures[n]))
			n++;
		header += len;
	}
	return n;
}

/* Exactly as many bytes as a digest has: 43 characters and one '='. */
static bool
read_base64(const char *text, size_t len, uint8_t bytes[PAY_DIGEST_SIZE])
{
	static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t	bits = 0;
	int			n_bits = 0;
	size_t		n = 0;

	if (len != 44 || text[43] != '=')
		return false;
	for (size_t i = 0; i < 43; i++)
	{
		const char *place = memchr(alphabet, text[i], 64);

		if (place == NULL)
			return false;
		bits = (bits << 6 | (uint32_t) (place - alphabet)) & 0xFFFFFF;
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			bytes[n++] = (uint8_t) (bits >> n_bits);
		}
	}
	return n == PAY_DIGEST_SIZE && (bits & ((1U << n_bits) - 1)) == 0;
}

static bool
read_key(const char *key, uint8_t bytes[KEY_BYTES])
{
	if (strlen(key) != KEY_DIGITS)
		return false;
	for (size_t i = 0; i < KEY_DIGITS; i++)
	{
		char		c = key[i];
		int			digit = c >= '0' && c <= '9' ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

		if (digit < 0)
			return false;
		if (i % 2 == 0)
			bytes[i / 2] = (uint8_t) (digit << 4);
		else
			bytes[i / 2] |= (uint8_t) digit;
	}
	return true;
}

static bool
matches(const uint8_t *key, size_t key_len, const char *message, size_t len,
		uint8_t signatures[][PAY_DIGEST_SIZE], int n)
{
	uint8_t		digest[PAY_DIGEST_SIZE];
	unsigned int digest_len = sizeof(digest);
	bool		found = false;

	if (HMAC(EVP_sha256(), key, (int) key_len, (const uint8_t *) message, len,
			 digest, &digest_len) == NULL || digest_len != sizeof(digest))
		return false;
	for (int i = 0; i < n; i++)
		found |= pay_toss_same_digest(digest, signatures[i]);
	return found;
}

bool
pay_toss_secret_digest(const char *secret, uint8_t digest[PAY_DIGEST_SIZE])
{
	unsigned int len = PAY_DIGEST_SIZE;

	return EVP_Digest(secret, strlen(secret), digest, &len, EVP_sha256(),
					  NULL) == 1 && len == PAY_DIGEST_SIZE;
}

bool
pay_toss_same_digest(const uint8_t *a, const uint8_t *b)
{
	return CRYPTO_memcmp(a, b, PAY_DIGEST_SIZE) == 0;
}
