/*
 * toss_signature.h
 *		Whether a webhook is Toss's: its HMAC, or the secret of a payment.
 *
 * Pure.  What is secret is compared in a time that does not depend on it.
 */
#ifndef PAY_TOSS_SIGNATURE_H
#define PAY_TOSS_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAY_DIGEST_SIZE		32	/* of SHA-256 */

/*
 * Is the header tosspayments-webhook-signature, "v1:<base64>,v1:<base64>", the
 * HMAC-SHA256 of body, ':' and time under one of these keys?  While a key takes
 * another's place there are two of both, and one match is enough.  A key is the
 * 64 hexadecimal digits that Toss shows; whether their bytes or their text sign
 * is not documented (toss-api 10.3), so also_text says whether the text may,
 * too.
 */
extern bool pay_toss_signature_is_valid(const char *header, const char *body,
										size_t len, const char *time,
										const char *const *keys, int n_keys,
										bool also_text);

/*
 * The digest of a payment's secret, under which it is kept; false: OpenSSL
 * cannot.  And whether two are the same.
 */
extern bool pay_toss_secret_digest(const char *secret,
								   uint8_t digest[PAY_DIGEST_SIZE]);
extern bool pay_toss_same_digest(const uint8_t *a, const uint8_t *b);

#endif							/* PAY_TOSS_SIGNATURE_H */
