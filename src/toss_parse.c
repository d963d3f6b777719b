/*
 * toss_parse.c
 *		Bytes from outside: a parser of JSON that tells what it finds.
 *
 * What it takes is what RFC 8259 allows, in UTF-8, without a NUL character and
 * not deeper than PAY_TOSS_MAX_DEPTH: what the server's own parser takes, which
 * raises errors, converts what is beyond ASCII into the database's encoding, and
 * takes five times as long, because it forms every string character by
 * character.  Numbers are told as text.
 *
 * Tokens are written one behind the other into one piece of memory, with a zero
 * byte behind each.  That fits into one byte more than the body has: a string is
 * written without its quotes, an escape is never shorter than what it stands
 * for, and something stands between any two other tokens.
 *
 * test/unit/toss_parse_test.c; test/fuzz/answer_fuzz.c
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "mb/pg_wchar.h"

#include "toss_parse.h"

typedef struct Parser
{
	const char *p;				/* what comes next */
	const char *end;
	char	   *to;				/* where the next token goes */
	int			depth;
	const char *reason;			/* why it is garbage, once that is known */
	const PayTossHandler *handler;
	void	   *reader;
} Parser;

static bool parse_value(Parser *parser);
static bool parse_container(Parser *parser, bool is_object);
static bool parse_key(Parser *parser);
static char *parse_string(Parser *parser);
static bool parse_escape(Parser *parser);
static bool parse_unicode(Parser *parser);
static int	read_hex(const char *p, const char *end);
static char *parse_number(Parser *parser);
static bool skip_digits(Parser *parser);
static char *parse_word(Parser *parser);
static char *copy_token(Parser *parser, const char *start);
static void skip_space(Parser *parser);
static bool next_is(const Parser *parser, char c);
static bool take(Parser *parser, char c);
static bool fail(Parser *parser, const char *reason);

const char *
pay_toss_parse(const char *body, size_t len, const PayTossHandler *handler,
			   void *reader)
{
	Parser		parser = {body, body + len};

	if (memchr(body, '\0', len) != NULL)
		return "the body has a NUL character";
	if (pg_encoding_verifymbstr(PG_UTF8, body, (int) len) != (int) len)
		return "the body is not UTF-8";

	parser.to = palloc(len + 1);
	parser.handler = handler;
	parser.reader = reader;
	if (parse_value(&parser))
	{
		skip_space(&parser);
		if (parser.p < parser.end)
			fail(&parser, "the body is not JSON");
	}
	return parser.reason;
}

/* Each of these returns false, with a reason, when it is garbage. */
static bool
parse_value(Parser *parser)
{
	const PayTossHandler *handler = parser->handler;
	PayTossScalar type = PAY_TOSS_NUMBER;
	char	   *token;

	skip_space(parser);
	if (next_is(parser, '{') || next_is(parser, '['))
		return parse_container(parser, *parser->p == '{');

	if (next_is(parser, '"'))
	{
		type = PAY_TOSS_STRING;
		token = parse_string(parser);
	}
	else if (next_is(parser, 't') || next_is(parser, 'f') ||
			 next_is(parser, 'n'))
	{
		type = PAY_TOSS_WORD;
		token = parse_word(parser);
	}
	else
		token = parse_number(parser);
	if (token == NULL)
		return false;
	handler->scalar(parser->reader, token, type);
	return true;
}

static bool
parse_container(Parser *parser, bool is_object)
{
	char		close = is_object ? '}' : ']';

	if (++parser->depth > PAY_TOSS_MAX_DEPTH)
		return fail(parser, "the body is nested too deeply");
	parser->p++;
	parser->handler->open(parser->reader, is_object);
	skip_space(parser);
	if (!take(parser, close))
	{
		do
		{
			if ((is_object && !parse_key(parser)) || !parse_value(parser))
				return false;
			skip_space(parser);
		} while (take(parser, ','));
		if (!take(parser, close))
			return fail(parser, "the body is not JSON");
	}
	parser->depth--;
	parser->handler->close(parser->reader);
	return true;
}

static bool
parse_key(Parser *parser)
{
	char	   *key = NULL;

	skip_space(parser);
	if (!next_is(parser, '"'))
		return fail(parser, "the body is not JSON");
	key = parse_string(parser);
	if (key == NULL)
		return false;
	skip_space(parser);
	if (!take(parser, ':'))
		return fail(parser, "the body is not JSON");
	skip_space(parser);
	parser->handler->key(parser->reader, key, next_is(parser, 'n'));
	return true;
}

/* At a quote.  The token, or NULL. */
static char *
parse_string(Parser *parser)
{
	char	   *token = parser->to;

	parser->p++;
	for (;;)
	{
		const char *run = parser->p;

		while (parser->p < parser->end && *parser->p != '"' &&
			   *parser->p != '\\' && (unsigned char) *parser->p >= ' ')
			parser->p++;
		memcpy(parser->to, run, parser->p - run);
		parser->to += parser->p - run;

		if (take(parser, '"'))
			break;
		if (!take(parser, '\\'))
		{
			fail(parser, "the body is not JSON");
			return NULL;
		}
		if (!parse_escape(parser))
			return NULL;
	}
	*parser->to++ = '\0';
	return token;
}

/* Behind a backslash */
static bool
parse_escape(Parser *parser)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (take(parser, 'u'))
		return parse_unicode(parser);
	letter = parser->p < parser->end ? strchr(letters, *parser->p) : NULL;
	if (letter == NULL)
		return fail(parser, "the body is not JSON");
	*parser->to++ = meanings[letter - letters];
	parser->p++;
	return true;
}

/* Behind a backslash and a "u"; one beyond 16 bits stands there as a pair. */
static bool
parse_unicode(Parser *parser)
{
	int			unit = read_hex(parser->p, parser->end);
	int			low = -1;
	pg_wchar	c = unit;

	if (unit < 0)
		return fail(parser, "the body is not JSON");
	if (unit == 0)
		return fail(parser, "the body has a NUL character");
	parser->p += 4;
	if (unit >= 0xD800 && unit <= 0xDFFF)
	{
		if (unit <= 0xDBFF && parser->end - parser->p >= 6 &&
			parser->p[0] == '\\' && parser->p[1] == 'u')
			low = read_hex(parser->p + 2, parser->end);
		if (low < 0xDC00 || low > 0xDFFF)
			return fail(parser, "the body has half a surrogate pair");
		c = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF);
		parser->p += 6;
	}
	unicode_to_utf8(c, (unsigned char *) parser->to);
	parser->to += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	return true;
}

/* Four hexadecimal digits, or -1. */
static int
read_hex(const char *p, const char *end)
{
	int			value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char		c = p[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return value;
}

static char *
parse_number(Parser *parser)
{
	const char *start = parser->p;
	bool		good;

	(void) take(parser, '-');
	good = take(parser, '0') || skip_digits(parser);
	if (good && take(parser, '.'))
		good = skip_digits(parser);
	if (good && (take(parser, 'e') || take(parser, 'E')))
	{
		if (!take(parser, '+'))
			(void) take(parser, '-');
		good = skip_digits(parser);
	}
	if (good)
		return copy_token(parser, start);
	fail(parser, "the body is not JSON");
	return NULL;
}

/* One at least */
static bool
skip_digits(Parser *parser)
{
	const char *start = parser->p;

	while (parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9')
		parser->p++;
	return parser->p > start;
}

static char *
parse_word(Parser *parser)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < lengthof(words); i++)
	{
		size_t		len = strlen(words[i]);

		if ((size_t) (parser->end - parser->p) >= len &&
			memcmp(parser->p, words[i], len) == 0)
		{
			parser->p += len;
			return copy_token(parser, parser->p - len);
		}
	}
	fail(parser, "the body is not JSON");
	return NULL;
}

/* What was passed since start */
static char *
copy_token(Parser *parser, const char *start)
{
	size_t		len = parser->p - start;
	char	   *token = parser->to;

	memcpy(token, start, len);
	token[len] = '\0';
	parser->to += len + 1;
	return token;
}

static void
skip_space(Parser *parser)
{
	while (parser->p < parser->end &&
		   (*parser->p == ' ' || *parser->p == '\t' || *parser->p == '\n' ||
			*parser->p == '\r'))
		parser->p++;
}

static bool
next_is(const Parser *parser, char c)
{
	return parser->p < parser->end && *parser->p == c;
}

static bool
take(Parser *parser, char c)
{
	if (!next_is(parser, c))
		return false;
	parser->p++;
	return true;
}

/* The first reason is the one that counts. */
static bool
fail(Parser *parser, const char *reason)
{
	if (parser->reason == NULL)
		parser->reason = reason;
	return false;
}
