/*
 * toss_signature_test.c
 *		A signature is valid under one of the keys, for these bytes and this
 *		time; and nothing else is, whatever the header.
 */
#include <stdlib.h>

#include "tap.h"
#include "toss_signature.h"

/* The vectors of toss-api 10.3: the key's bytes, and its text. */
#define BODY	"{\"eventType\":\"payout.changed\"}"
#define TIME	"2024-09-05T12:19:21+09:00"
#define ZEROS	"0000000000000000000000000000000000000000000000000000000000000000"
#define OTHER	"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define BY_BYTES	"sbpD5DM8i2NNuKhIQQil7BEDbh1QOt6q0zbaA2OTk1k="
#define BY_TEXT		"TnhX+OMW8downlUB74LRs+KzSkVkh/fQA9xpPPxUEyM="

static bool
is_valid(const char *header, const char *body, const char *time,
		 const char *key, const char *second_key, bool also_text)
{
	const char *keys[2] = {key, second_key};
	size_t		len = strlen(body);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		valid;

	memcpy(copy, body, len);
	valid = pay_toss_signature_is_valid(header, copy, len, time, keys,
										second_key ? 2 : 1, also_text);
	free(copy);
	return valid;
}

static const char *const bad_headers[] = {
	"", ",", " ", "v1:", "v1", BY_BYTES, "v2:" BY_BYTES, "V1:" BY_BYTES,
	"v1:" BY_TEXT, "v1: " BY_BYTES, "v1:=" BY_BYTES, "v1:" BY_BYTES "=",
	"v1:sbpD5DM8i2NNuKhIQQil7BEDbh1QOt6q0zbaA2OTk1k",
	"v1:sbpD5DM8i2NNuKhIQQil7BEDbh1QOt6q0zbaA2OTk1l=",	/* bits left over */
	"v1:sbpD5DM8i2NNuKhIQQil7BEDbh1QOt6q0zbaA2OTk1g=",
	"v1:SbpD5DM8i2NNuKhIQQil7BEDbh1QOt6q0zbaA2OTk1k=",
	"v1:sbpD5DM8i2NNuKhIQQil7BEDbh1QOt6q0zbaA2OT-1k=",
	"v1:====", "v1:" BY_BYTES BY_BYTES,
	"v1:a,v1:b,v1:c,v1:d,v1:e,v1:f",
	"v1:" BY_TEXT ",v1:" BY_TEXT ",v1:" BY_TEXT ",v1:" BY_TEXT ",v1:" BY_BYTES,	/* the fifth */
};

static void
test_signatures(void)
{
	ok(is_valid("v1:" BY_BYTES, BODY, TIME, ZEROS, NULL, false), "signed with the key's bytes");
	ok(!is_valid("v1:" BY_TEXT, BODY, TIME, ZEROS, NULL, false), "not with its text");
	ok(is_valid("v1:" BY_TEXT, BODY, TIME, ZEROS, NULL, true), "unless that is allowed");
	ok(is_valid("v1:" BY_BYTES, BODY, TIME, ZEROS, NULL, true), "and then still with its bytes");
	ok(is_valid("v1:" BY_TEXT ",v1:" BY_BYTES, BODY, TIME, ZEROS, NULL, false) &&
	   is_valid("v1:" BY_BYTES ", v1:" BY_TEXT, BODY, TIME, ZEROS, NULL, false) &&
	   is_valid("v0:x,v1:" BY_BYTES, BODY, TIME, ZEROS, NULL, false), "either of two signatures");
	ok(is_valid("v1:" BY_BYTES, BODY, TIME, OTHER, ZEROS, false) &&
	   is_valid("v1:" BY_BYTES, BODY, TIME, ZEROS, OTHER, false), "under either of two keys");
	ok(!is_valid("v1:" BY_BYTES, BODY, TIME, OTHER, NULL, true), "not under another key");
	ok(!is_valid("v1:" BY_BYTES, BODY " ", TIME, ZEROS, NULL, true) &&
	   !is_valid("v1:" BY_BYTES, "", TIME, ZEROS, NULL, true), "not for other bytes");
	ok(!is_valid("v1:" BY_BYTES, BODY, "2024-09-05T12:19:22+09:00", ZEROS, NULL, true) &&
	   !is_valid("v1:" BY_BYTES, BODY, "", ZEROS, NULL, true), "nor another time");

	for (size_t i = 0; i < sizeof(bad_headers) / sizeof(bad_headers[0]); i++)
		tap_check(!is_valid(bad_headers[i], BODY, TIME, ZEROS, NULL, false), "%s", bad_headers[i]);
	tap_check(!is_valid(NULL, BODY, TIME, ZEROS, NULL, true), "no header");
	tap_check(!is_valid("v1:" BY_BYTES, BODY, NULL, ZEROS, NULL, true), "no time");
	tap_checked("a header that is none");

	tap_check(!is_valid("v1:" BY_BYTES, BODY, TIME, "", NULL, true), "an empty key");
	tap_check(!is_valid("v1:" BY_BYTES, BODY, TIME, "0", NULL, true), "a short key");
	tap_check(!is_valid("v1:" BY_BYTES, BODY, TIME, ZEROS "00", NULL, true), "a long key");
	tap_check(!is_valid("v1:" BY_BYTES, BODY, TIME, "g" OTHER, NULL, true), "no hexadecimal digits");
	tap_check(is_valid("v1:" BY_BYTES, BODY, TIME, "", ZEROS, false), "the other one is good");
	tap_check(!pay_toss_signature_is_valid("v1:" BY_BYTES, BODY, strlen(BODY), TIME, NULL, 0, true), "no key");
	tap_checked("a key that is none");
}

static void
test_secrets(void)
{
	uint8_t		a[PAY_DIGEST_SIZE];
	uint8_t		b[PAY_DIGEST_SIZE];

	ok(pay_toss_secret_digest("abc", a) && a[0] == 0xba && a[1] == 0x78 && a[31] == 0xad,
	   "the digest of a secret is SHA-256");
	ok(pay_toss_secret_digest("abc", b) && pay_toss_same_digest(a, b), "the same is the same");
	for (int bit = 0; bit < 8 * PAY_DIGEST_SIZE; bit++)
	{
		b[bit / 8] ^= (uint8_t) (1 << bit % 8);
		tap_check(!pay_toss_same_digest(a, b), "bit %d", bit);
		b[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	tap_checked("one bit is another");
}

int
main(void)
{
	test_signatures();
	test_secrets();
	return tap_end();
}
