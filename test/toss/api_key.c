/*-------------------------------------------------------------------------
 *
 * api_key.c
 *	  The secret keys of merchants, and the Authorization header.
 *
 * Keys are given at start and never change, so they are read without the
 * lock.  A key belongs to one merchant id (MID) and sees only its payments.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "simulator.h"

#define DEFAULT_MID "tgen_sim"
#define MAX_KEYS 64
#define MAX_MID 14
#define MAX_CREDENTIALS 512

static ApiKey keys[MAX_KEYS];
static int	key_count;

/* Adds KEY or KEY:MID; false when there are too many or it is malformed. */
bool
sim_api_key_add(const char *option)
{
	const char *colon = strchr(option, ':');
	size_t		length = colon ? (size_t) (colon - option) : strlen(option);
	ApiKey	   *key = &keys[key_count];
	unsigned char digest[32];

	if (key_count == MAX_KEYS || length == 0 ||
		(colon != NULL && (colon[1] == '\0' || strlen(colon + 1) > MAX_MID)))
		return false;
	key->secret = sim_copy(option, length);
	key->mid = sim_api_key_mid(colon ? colon + 1 : DEFAULT_MID);
	if (key->mid == NULL)
		key->mid = sim_copy(colon ? colon + 1 : DEFAULT_MID,
							strlen(colon ? colon + 1 : DEFAULT_MID));
	key->is_test = strncmp(option, "live_", 5) != 0;
	sim_tls_sha256(key->secret, length, digest);
	for (int i = 0; i < 8; i++)
		snprintf(key->fingerprint + 2 * i, 3, "%02x", digest[i]);
	key_count++;
	return true;
}

ApiKey *
sim_api_key_default(void)
{
	return key_count ? &keys[0] : NULL;
}

/* The one copy of a known MID, so that MIDs compare by address; or NULL. */
const char *
sim_api_key_mid(const char *mid)
{
	for (int i = 0; i < key_count; i++)
	{
		if (strcmp(keys[i].mid, mid) == 0)
			return keys[i].mid;
	}
	return NULL;
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes base64 into out (NUL-terminated); -1 if it is not base64. */
static int
decode_base64(const char *text, char *out, size_t size)
{
	unsigned	bits = 0;
	int			count = 0;
	int			length = 0;

	for (; *text != '\0' && *text != '='; text++)
	{
		int			value = base64_value(*text);

		if (value < 0)
			return -1;
		bits = (bits << 6) | (unsigned) value;
		if ((++count & 3) == 1)
			continue;
		if ((size_t) length + 1 >= size)
			return -1;
		out[length++] = (char) (bits >> (6 - 2 * ((count - 1) & 3)));
	}
	for (; *text == '='; text++)
		count++;
	if (*text != '\0' || (count & 3) != 0)
		return -1;
	out[length] = '\0';
	return length;
}

/*
 * Checks an Authorization header.  Returns NULL and the key, or the error:
 * no header or an unknown key is 401, credentials without a colon are 403.
 * A password after the colon is ignored; what Toss does is unknown.
 */
const Code *
sim_api_key_check(const char *authorization, ApiKey **key)
{
	char		credentials[MAX_CREDENTIALS];
	char	   *colon;
	int			length;

	if (authorization == NULL)
		return sim_code_find("UNAUTHORIZED_KEY");
	if (strncasecmp(authorization, "Basic ", 6) != 0)
		return sim_code_find("INCORRECT_BASIC_AUTH_FORMAT");
	length = decode_base64(authorization + 6, credentials,
						   sizeof(credentials));
	if (length < 0 || memchr(credentials, ':', (size_t) length) == NULL)
		return sim_code_find("INCORRECT_BASIC_AUTH_FORMAT");
	colon = memchr(credentials, ':', (size_t) length);
	*colon = '\0';

	for (int i = 0; i < key_count; i++)
	{
		if (strcmp(keys[i].secret, credentials) == 0)
		{
			*key = &keys[i];
			return NULL;
		}
	}
	return sim_code_find("UNAUTHORIZED_KEY");
}
