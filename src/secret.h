/*
 * secret.h
 *		Secret keys of merchants: from a file into one header, and nowhere else.
 *
 * Only the worker's process ever holds one.
 */
#ifndef PAY_SECRET_H
#define PAY_SECRET_H

#include "postgres.h"

/* Nobody but root may look into this process, and it leaves no core. */
extern void pay_secret_protect_process(void);

/*
 * The line "Authorization: ..." for a merchant, good until the next
 * pay_secret_forget.  NULL with *problem set (palloc'ed, one line, names the
 * merchant and the file) when there is no key that may be used.
 */
extern const char *pay_secret_authorization(const char *merchant,
											char **problem);

/*
 * 16 hex digits that stand for a merchant's key and payments.toss_url together;
 * palloc'ed, NULL when there is no usable key.  The key cannot be had from it.
 */
extern char *pay_secret_fingerprint(const char *merchant);

/* Wipe all keys; they are read again when they are needed. */
extern void pay_secret_forget(void);

#endif							/* PAY_SECRET_H */
