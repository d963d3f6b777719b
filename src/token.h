/*
 * token.h
 *		The token: what a database needs, besides its own rows, to be armed.
 *
 * A file in payments.secret_dir that no backup of the data directory carries
 * along.  The database keeps a digest of it.
 */
#ifndef PAY_TOKEN_H
#define PAY_TOKEN_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "utils/timestamp.h"

#define PAY_TOKEN_DIGEST_SIZE	65	/* SHA-256 in hexadecimal digits */

typedef struct PayToken
{
	char		digest[PAY_TOKEN_DIGEST_SIZE];

	/* How far the armed database had come, and in which run of the server. */
	XLogRecPtr	mark;
	TimestampTz server_start;
} PayToken;

/*
 * Read the token of this database.  Returns NULL, or what is wrong, as text
 * that begins with the file's name (palloc'ed).
 */
extern char *pay_token_read(PayToken *token);

/*
 * As read; and if it is the one with this digest, note how far the database
 * has come.  Does not make a file that somebody has taken away.
 */
extern char *pay_token_mark(const char *digest, XLogRecPtr mark);

/*
 * Make a new token in the place of any other, at once and whole.  Raises an
 * error when that cannot be done.
 */
extern void pay_token_create(PayToken *token, XLogRecPtr mark);

#endif							/* PAY_TOKEN_H */
