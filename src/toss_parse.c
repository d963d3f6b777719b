/*
 * toss_parse.c
 *		Bytes from outside into the server's JSON parser, and what it finds.
 *
 * A body is first made safe by a scan of our own, and then parsed by the server's
 * parser, which keeps numbers as text and calls back for each key and value.
 *
 * The scan is there because the parser may raise errors in a server: it
 * recurses until the stack is full, and in a database whose encoding is not
 * UTF-8 it converts every \u escape beyond ASCII.  So the scan limits the
 * depth, and writes such escapes out as the characters they mean.
 *
 * test/unit/toss_json_test.c; test/fuzz/answer_fuzz.c
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "compat.h"
#include "toss_parse.h"

/* Who is told */
typedef struct Listener
{
	const PayTossHandler *handler;
	void	   *reader;
} Listener;

static const char *make_safe(const char *body, size_t len, char *copy,
							 size_t *copy_len);
static size_t plain_length(const char *p, const char *end);
static size_t copy_escape(const char *escape, const char *end, char **to,
						  const char **reason);
static int	read_hex(const char *p, const char *end);
static void write_character(pg_wchar c, char **to);

/* The parser's callbacks */

static PAY_JSON_ACTION
start_object(void *state)
{
	Listener   *listener = state;

	listener->handler->open(listener->reader, true);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
start_array(void *state)
{
	Listener   *listener = state;

	listener->handler->open(listener->reader, false);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
end_container(void *state)
{
	Listener   *listener = state;

	listener->handler->close(listener->reader);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
start_field(void *state, char *key, bool is_null)
{
	Listener   *listener = state;

	listener->handler->key(listener->reader, key, is_null);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
read_scalar(void *state, char *token, JsonTokenType type)
{
	Listener   *listener = state;

	listener->handler->scalar(listener->reader, token,
							  type == JSON_TOKEN_STRING ? PAY_TOSS_STRING :
							  type == JSON_TOKEN_NUMBER ? PAY_TOSS_NUMBER :
							  PAY_TOSS_WORD);
	return PAY_JSON_CONTINUE;
}

const char *
pay_toss_parse(const char *body, size_t len, const PayTossHandler *handler,
			   void *reader)
{
	Listener	listener = {handler, reader};
	JsonSemAction actions = {
		.semstate = &listener,
		.object_start = start_object,
		.object_end = end_container,
		.array_start = start_array,
		.array_end = end_container,
		.object_field_start = start_field,
		.scalar = read_scalar,
	};
	char	   *copy = palloc(len + 1);
	size_t		copy_len;
	const char *reason = make_safe(body, len, copy, &copy_len);

	if (reason == NULL &&
		pg_parse_json(pay_json_lexer(copy, copy_len), &actions) != JSON_SUCCESS)
		reason = "the body is not JSON";
	pfree(copy);
	return reason;
}

/*
 * Copy a body into as many bytes and one so that the parser cannot raise an
 * error on it; the result is never longer.  Returns why it is garbage, or NULL.
 */
static const char *
make_safe(const char *body, size_t len, char *copy, size_t *copy_len)
{
	const char *end = body + len;
	const char *p = body;
	const char *reason = NULL;
	char	   *to = copy;
	bool		in_string = false;
	int			depth = 0;

	if (memchr(body, '\0', len) != NULL)
		return "the body has a NUL character";
	if (pg_encoding_verifymbstr(PG_UTF8, body, (int) len) != (int) len)
		return "the body is not UTF-8";

	while (p < end && reason == NULL)
	{
		if (in_string)
		{
			size_t		plain = plain_length(p, end);

			memcpy(to, p, plain);
			to += plain;
			p += plain;
			if (p == end)
				break;
			if (*p == '\\')
			{
				p += copy_escape(p, end, &to, &reason);
				continue;
			}
		}
		else if (*p == '{' || *p == '[')
		{
			if (++depth > PAY_TOSS_MAX_DEPTH)
				reason = "the body is nested too deeply";
		}
		else if (*p == '}' || *p == ']')
			depth--;

		if (*p == '"')
			in_string = !in_string;
		*to++ = *p++;
	}

	*to = '\0';
	*copy_len = to - copy;
	return reason;
}

/* How much of a string has neither its end nor an escape sequence in it */
static size_t
plain_length(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p - start;
}

/*
 * Copy the escape sequence at the backslash, written out as a character if it
 * stands for one beyond ASCII.  Returns how many bytes were used.  A malformed
 * sequence is copied as it is, for the parser to refuse.
 */
static size_t
copy_escape(const char *escape, const char *end, char **to,
			const char **reason)
{
	size_t		used = end - escape >= 2 ? 2 : 1;
	int			unit = -1;

	if (used == 2 && escape[1] == 'u')
		unit = read_hex(escape + 2, end);

	if (unit == 0)
		*reason = "the body has a NUL character";
	else if (unit >= 0xD800 && unit <= 0xDFFF)
	{
		int			low = -1;

		if (end - escape >= 12 && escape[6] == '\\' && escape[7] == 'u')
			low = read_hex(escape + 8, end);
		if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
			*reason = "the body has half a surrogate pair";
		else
		{
			write_character(0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF), to);
			return 12;
		}
	}
	else if (unit >= 0x80)
	{
		write_character(unit, to);
		return 6;
	}

	memcpy(*to, escape, used);
	*to += used;
	return used;
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

/* Write a character, not a surrogate, as UTF-8: never more than its escape. */
static void
write_character(pg_wchar c, char **to)
{
	unicode_to_utf8(c, (unsigned char *) *to);
	*to += c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}
