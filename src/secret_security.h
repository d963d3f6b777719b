/*
 * secret_security.h
 *		Security keys of merchants, by which Toss signs some webhooks.
 *
 * Only the worker's process ever holds one, and no longer than it compares.
 */
#ifndef PAY_SECRET_SECURITY_H
#define PAY_SECRET_SECURITY_H

#include "postgres.h"

#define PAY_SECURITY_KEYS		2
#define PAY_SECURITY_KEY_SIZE	65	/* 64 hexadecimal digits */

typedef char PaySecurityKey[PAY_SECURITY_KEY_SIZE];

/*
 * The keys of a merchant: the present one and, while it takes another's place,
 * the one before.  Returns how many there are; whoever asks wipes them.
 */
extern int	pay_secret_security(const char *merchant,
								PaySecurityKey keys[PAY_SECURITY_KEYS]);

#endif							/* PAY_SECRET_SECURITY_H */
