/*
 * toss_parse_test.c
 *		Our parser takes what the server's takes, and tells the same of it.
 *
 * PARSE_ROUNDS=N in the environment: more of the bodies that are drawn.
 */
#include "postgres_fe.h"

#include <stdlib.h>

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "memory.h"
#include "tap.h"
#include "toss_parse.h"

#if PG_VERSION_NUM >= 160000
#define ACTION		JsonParseErrorType
#define CONTINUE	JSON_SUCCESS
#else
#define ACTION		void
#define CONTINUE
#endif

#define MAX_TRACE	65536

/* What a parser told, as text */
typedef struct Trace
{
	char		text[MAX_TRACE];
	size_t		len;
} Trace;

static Trace ours;
static Trace theirs;

static void
note(Trace *trace, char what, const char *token)
{
	size_t		len = strlen(token);

	if (trace->len + len + 2 > MAX_TRACE)
		abort();
	trace->text[trace->len++] = what;
	memcpy(trace->text + trace->len, token, len + 1);
	trace->len += len + 1;
}

/* Ours */

static void
our_open(void *reader, bool is_object)
{
	note(reader, is_object ? '{' : '[', "");
}

static void
our_close(void *reader)
{
	note(reader, ')', "");
}

static void
our_key(void *reader, const char *key, bool is_null)
{
	note(reader, is_null ? 'n' : 'k', key);
}

static void
our_scalar(void *reader, char *token, PayTossScalar type)
{
	note(reader, type == PAY_TOSS_STRING ? 's' :
		 type == PAY_TOSS_NUMBER ? '1' : 'w', token);
}

static const PayTossHandler handler = {our_open, our_close, our_key, our_scalar};

/* The server's */

static ACTION
their_object(void *state)
{
	note(state, '{', "");
	return CONTINUE;
}

static ACTION
their_array(void *state)
{
	note(state, '[', "");
	return CONTINUE;
}

static ACTION
their_end(void *state)
{
	note(state, ')', "");
	return CONTINUE;
}

static ACTION
their_field(void *state, char *key, bool is_null)
{
	note(state, is_null ? 'n' : 'k', key);
	return CONTINUE;
}

static ACTION
their_scalar(void *state, char *token, JsonTokenType type)
{
	note(state, type == JSON_TOKEN_STRING ? 's' :
		 type == JSON_TOKEN_NUMBER ? '1' : 'w', token);
	return CONTINUE;
}

static bool
they_take(char *body, size_t len)
{
	JsonSemAction actions = {
		.semstate = &theirs,
		.object_start = their_object,
		.object_end = their_end,
		.array_start = their_array,
		.array_end = their_end,
		.object_field_start = their_field,
		.scalar = their_scalar,
	};
	JsonLexContext *lexer;

#if PG_VERSION_NUM >= 170000
	lexer = makeJsonLexContextCstringLen(NULL, body, len, PG_UTF8, true);
#else
	lexer = makeJsonLexContextCstringLen(body, len, PG_UTF8, true);
#endif
	theirs.len = 0;
	return pg_parse_json(lexer, &actions) == JSON_SUCCESS;
}

/* Do both say the same of it?  body[len] may be read by theirs, not by ours. */
static bool
agree(const char *body, size_t len)
{
	char	   *exact = malloc(len > 0 ? len : 1);
	char	   *copy = malloc(len + 1);
	const char *reason;
	bool		taken;
	bool		same;

	memory_reset();
	memcpy(exact, body, len);
	memcpy(copy, body, len);
	copy[len] = '\0';

	ours.len = 0;
	reason = pay_toss_parse(exact, len, &handler, &ours);
	if (memchr(body, '\0', len) != NULL ||
		pg_encoding_verifymbstr(PG_UTF8, body, (int) len) != (int) len)
		same = reason != NULL;	/* theirs does not look */
	else if (reason != NULL && strstr(reason, "too deeply") != NULL)
		same = true;			/* theirs has no limit */
	else
	{
		taken = they_take(copy, len);
		same = taken == (reason == NULL) &&
			(!taken || (ours.len == theirs.len &&
						memcmp(ours.text, theirs.text, ours.len) == 0));
	}
	free(exact);
	free(copy);
	return same;
}

static const char *const bodies[] = {
	"", " ", "{}", "[]", "null", "true", "false", "nul", "nulll", "nope", "0", "-0", "01", "-", "1.", ".5", "1.50",
	"1e5", "1E+05", "1e-", "1e", "+1", "0x10", "12345678901234567890.123e-99", "\"\"", "\"", "\"a", "\"\\\"", "\"\t\"",
	"\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"", "\"\\x\"", "\"\\u0041\"", "\"\\u0001\"", "\"\\u0000\"", "\"\\u00e9\\uac00\"",
	"\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\"", "\"\\u12\"", "\"\\u12g4\"",
	"\"\x7f\"", "[1,2]", "[1,]", "[,1]", "[1 2]", "[1", "[[[]]]", "[]]", "{\"a\":1}", "{\"a\":null,\"b\":nul}", "{\"a\"}",
	"{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "{\"a\":1 \"b\":2}", "{\"\":{\"\":[]}}", "{\"a\":1}{", "{\"a\":1} x",
	"1 1", "\"a\" \"b\"", "[1]//", "\xef\xbb\xbf{}", "\v1", "{\"a\" : [ 1 , true ,\n\r\t\"x\" ] } ", "[\"\\\\\\\\\"]",
	"{\"paymentKey\":\"pk\",\"orderId\":\"order1\",\"card\":{\"number\":\"1234****\",\"isInterestFree\":false,"
	"\"interestPayer\":null},\"orderName\":\"테스트 \\ud14c 외 1건\",\"totalAmount\":15000.0,\"vat\":-1.5e4,"
	"\"cancels\":[{\"transactionKey\":\"\\\"k\\\"\"},[]],\"approvedAt\":\"2026-11-22T10:16:02+09:00\"}",
};

static uint64 seed = 1;

static size_t
draw(size_t n)
{
	seed = seed * UINT64CONST(6364136223846793005) + 1442695040888963407;
	return n == 0 ? 0 : (size_t) (seed >> 33) % n;
}

/* Change a body a little: take away, put in, or put something else. */
static size_t
change(char *body, size_t len, size_t max)
{
	static const char pieces[] = "{}[]\",:\\ \n0123456789-+.eEtrufalsn/bd8c\x80\xea\xb0\x01";
	size_t		at = draw(len + 1);
	size_t		n = draw(4);

	switch (draw(3))
	{
		case 0:
			n = Min(n, len - at);
			memmove(body + at, body + at + n, len - at - n);
			return len - n;
		case 1:
			n = Min(n, max - len);
			memmove(body + at + n, body + at, len - at);
			for (size_t i = 0; i < n; i++)
				body[at + i] = pieces[draw(sizeof(pieces) - 1)];
			return len + n;
		default:
			if (at < len)
				body[at] = pieces[draw(sizeof(pieces) - 1)];
			return len;
	}
}

static size_t
count_disagreements(size_t rounds)
{
	size_t		disagreements = 0;
	char		body[1024];

	for (size_t round = 0; round < rounds; round++)
	{
		const char *from = bodies[draw(lengthof(bodies))];
		size_t		len = strlen(from);

		memcpy(body, from, len);
		for (size_t changes = 1 + draw(4); changes > 0; changes--)
			len = change(body, len, sizeof(body));
		if (!agree(body, len))
		{
			disagreements++;
			printf("# round %zu: %.*s\n", round, (int) len, body);
		}
	}
	return disagreements;
}

int
main(void)
{
	const char *rounds = getenv("PARSE_ROUNDS");
	char		deep[2 * PAY_TOSS_MAX_DEPTH + 2];

	for (size_t i = 0; i < lengthof(bodies); i++)
		ok(agree(bodies[i], strlen(bodies[i])), "the same of body %zu: %.40s", i, bodies[i]);
	ok(count_disagreements(rounds ? strtoul(rounds, NULL, 10) : 30000) == 0, "and of bodies that were drawn");

	memset(deep, '[', PAY_TOSS_MAX_DEPTH + 1);
	memset(deep + PAY_TOSS_MAX_DEPTH + 1, ']', PAY_TOSS_MAX_DEPTH + 1);
	ok(pay_toss_parse(deep + 1, 2 * PAY_TOSS_MAX_DEPTH, &handler, &ours) == NULL, "as deep as may be");
	ok(pay_toss_parse(deep, 2 * PAY_TOSS_MAX_DEPTH + 2, &handler, &ours) != NULL, "deeper is garbage");
	return tap_end();
}
