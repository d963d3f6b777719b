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
 * What a merchant's calls are sent with: 16 hex digits that stand for a key and
 * payments.toss_url together.  The key cannot be had from them.  NULL: no
 * usable key; previous is there while a key takes another's place.  The text is
 * good until the next pay_secret_forget.
 */
#define PAY_FINGERPRINT_SIZE	33	/* half of the key, half of the address */

typedef struct PaySecretKeys
{
	const char *fingerprint;
	const char *previous;
	bool		has_live;		/* one of them moves money */
	bool		has_test;
} PaySecretKeys;

extern void pay_secret_look(const char *merchant, PaySecretKeys *keys);

/*
 * In what a fingerprint differs from the one of a moment ago, for people; NULL:
 * in nothing.  Static text; now may be NULL.
 */
extern const char *pay_secret_difference(const char *was, const char *now);

/*
 * The line "Authorization: ..." for a merchant, good until the next
 * pay_secret_forget: of the key with this fingerprint or, unless only that one
 * will do, of the key that is used now.  NULL with *problem set (palloc'ed, one
 * line, names the merchant and the file) when there is no key that may be used.
 */
extern const char *pay_secret_authorization(const char *merchant,
											const char *fingerprint,
											bool only, char **problem);

/*
 * For files beside the keys.  payments.secret_dir without links (MAXPGPATH
 * bytes), and whether a file there is safe: NULL, or what is wrong.  And read a
 * file into secret (PAY_MAX_SECRET + 2 bytes), without the end of its line.
 */
#define PAY_MAX_SECRET	200

struct stat;
extern const char *pay_secret_folder(char *folder);
extern const char *pay_secret_check_file(const struct stat *st);
extern const char *pay_secret_read_file(const char *path, char *secret);

/* Wipe all keys; they are read again when they are needed. */
extern void pay_secret_forget(void);

#endif							/* PAY_SECRET_H */
