/*
 * toss_parse.h
 *		Bytes from outside into the server's JSON parser, and what it finds.
 *
 * Uses the server's own JSON parser.  No SQL; with FRONTEND defined it links
 * against libpgcommon and needs no server.
 */
#ifndef PAY_TOSS_PARSE_H
#define PAY_TOSS_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#define PAY_TOSS_MAX_DEPTH	32

typedef enum PayTossScalar
{
	PAY_TOSS_STRING,			/* without its quotes and escapes */
	PAY_TOSS_NUMBER,			/* as text */
	PAY_TOSS_WORD				/* true, false, null */
} PayTossScalar;

/*
 * What is told of a document, in its order: an object or an array begins and
 * ends; the next value is that of a key; a value that is neither.  Tokens are
 * allocated in the current memory context, and stay.
 */
typedef struct PayTossHandler
{
	void		(*open) (void *reader, bool is_object);
	void		(*close) (void *reader);
	void		(*key) (void *reader, const char *key, bool is_null);
	void		(*scalar) (void *reader, char *token, PayTossScalar type);
} PayTossHandler;

/*
 * Returns NULL, or as a static text why body[0..len) is garbage: a NUL
 * character, not UTF-8, deeper than PAY_TOSS_MAX_DEPTH, not JSON, or two
 * documents.  The reader has been told of some of it then.  Never raises an
 * error, whatever the bytes are.
 */
extern const char *pay_toss_parse(const char *body, size_t len,
								  const PayTossHandler *handler,
								  void *reader);

#endif							/* PAY_TOSS_PARSE_H */
