/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Reading JSON.
 *
 * A document becomes one array of nodes.  Numbers keep their text, so that
 * money never passes through floating point; strings are decoded in place in
 * a copy of the input.  Strict: no comments, no trailing commas, no NUL in
 * strings, valid UTF-8 only, at most MAX_DEPTH levels.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

#define MAX_DEPTH 32

typedef struct Reader
{
	JsonDoc    *doc;
	char	   *p;
	char	   *end;
	int			depth;
} Reader;

static bool read_value(Reader *reader, uint32_t *index, const char *name);

static void
skip_space(Reader *reader)
{
	while (reader->p < reader->end &&
		   (*reader->p == ' ' || *reader->p == '\t' ||
			*reader->p == '\n' || *reader->p == '\r'))
		reader->p++;
}

static bool
accept(Reader *reader, char c)
{
	skip_space(reader);
	if (reader->p >= reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

static uint32_t
new_node(JsonDoc *doc, const char *name)
{
	if (doc->count == doc->capacity)
	{
		doc->capacity = doc->capacity ? doc->capacity * 2 : 16;
		doc->nodes = realloc(doc->nodes, doc->capacity * sizeof(JsonNode));
		if (doc->nodes == NULL)
			abort();
	}
	memset(&doc->nodes[doc->count], 0, sizeof(JsonNode));
	doc->nodes[doc->count].name = name;
	return doc->count++;
}

static bool
read_hex4(const char *p, const char *end, unsigned *code)
{
	*code = 0;
	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++)
	{
		char		c = p[i];

		*code <<= 4;
		if (c >= '0' && c <= '9')
			*code |= (unsigned) (c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			*code |= (unsigned) ((c | 32) - 'a' + 10);
		else
			return false;
	}
	return true;
}

static char *
put_utf8(char *out, unsigned code)
{
	if (code < 0x80)
		*out++ = (char) code;
	else if (code < 0x800)
	{
		*out++ = (char) (0xc0 | (code >> 6));
		*out++ = (char) (0x80 | (code & 63));
	}
	else if (code < 0x10000)
	{
		*out++ = (char) (0xe0 | (code >> 12));
		*out++ = (char) (0x80 | ((code >> 6) & 63));
		*out++ = (char) (0x80 | (code & 63));
	}
	else
	{
		*out++ = (char) (0xf0 | (code >> 18));
		*out++ = (char) (0x80 | ((code >> 12) & 63));
		*out++ = (char) (0x80 | ((code >> 6) & 63));
		*out++ = (char) (0x80 | (code & 63));
	}
	return out;
}

/* Decodes one escape after the backslash. */
static bool
read_escape(Reader *reader, char **out)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	unsigned	code;
	unsigned	low;
	char		c = *reader->p++;
	const char *found = c ? strchr(from, c) : NULL;

	if (found != NULL)
	{
		*(*out)++ = to[found - from];
		return true;
	}
	if (c != 'u' || !read_hex4(reader->p, reader->end, &code))
		return false;
	reader->p += 4;
	if (code >= 0xd800 && code < 0xdc00)
	{
		if (reader->end - reader->p < 6 || reader->p[0] != '\\' ||
			reader->p[1] != 'u' ||
			!read_hex4(reader->p + 2, reader->end, &low) ||
			low < 0xdc00 || low > 0xdfff)
			return false;
		reader->p += 6;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	else if (code == 0 || (code >= 0xdc00 && code <= 0xdfff))
		return false;
	*out = put_utf8(*out, code);
	return true;
}

/* Reads a string after its opening quote, decoding it in place. */
static bool
read_string(Reader *reader, const char **text, size_t *length)
{
	char	   *out = reader->p;

	*text = out;
	while (reader->p < reader->end)
	{
		int			run;

		if (*reader->p == '"')
		{
			*length = (size_t) (out - *text);
			reader->p++;
			*out = '\0';
			return true;
		}
		if (*reader->p == '\\')
		{
			if (++reader->p >= reader->end || !read_escape(reader, &out))
				return false;
			continue;
		}
		run = sim_utf8_length(reader->p, reader->end);
		if (run == 0 || (unsigned char) *reader->p < 0x20)
			return false;
		memmove(out, reader->p, (size_t) run);
		out += run;
		reader->p += run;
	}
	return false;
}

static bool
read_digits(Reader *reader)
{
	char	   *start = reader->p;

	while (reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9')
		reader->p++;
	return reader->p > start;
}

static bool
read_number(Reader *reader, JsonNode *node)
{
	char	   *start = reader->p;
	bool		zero;

	if (*reader->p == '-')
		reader->p++;
	zero = reader->p < reader->end && *reader->p == '0';
	node->text = start;
	start = reader->p;
	if (!read_digits(reader) || (zero && reader->p - start > 1))
		return false;
	if (reader->p < reader->end && *reader->p == '.')
	{
		reader->p++;
		if (!read_digits(reader))
			return false;
	}
	if (reader->p < reader->end && (*reader->p | 32) == 'e')
	{
		reader->p++;
		if (reader->p < reader->end && (*reader->p == '+' || *reader->p == '-'))
			reader->p++;
		if (!read_digits(reader))
			return false;
	}
	node->kind = JSON_NUMBER;
	node->length = (size_t) (reader->p - node->text);
	return true;
}

/* Reads the members of an object or the elements of an array. */
static bool
read_children(Reader *reader, uint32_t parent, bool object)
{
	char		close = object ? '}' : ']';
	uint32_t	last = 0;

	if (accept(reader, close))
		return true;
	do
	{
		const char *name = NULL;
		size_t		length;
		uint32_t	child;

		if (object &&
			(!accept(reader, '"') || !read_string(reader, &name, &length) ||
			 !accept(reader, ':')))
			return false;
		if (!read_value(reader, &child, name))
			return false;
		if (last == 0)
			reader->doc->nodes[parent].child = child;
		else
			reader->doc->nodes[last].next = child;
		last = child;
	} while (accept(reader, ','));
	return accept(reader, close);
}

static bool
read_word(Reader *reader, const char *word, JsonNode *node, JsonKind kind)
{
	size_t		length = strlen(word);

	if ((size_t) (reader->end - reader->p) < length ||
		memcmp(reader->p, word, length) != 0)
		return false;
	reader->p += length;
	node->kind = kind;
	return true;
}

static bool
read_value(Reader *reader, uint32_t *index, const char *name)
{
	JsonNode   *node;
	bool		ok;

	skip_space(reader);
	if (reader->p >= reader->end)
		return false;
	*index = new_node(reader->doc, name);
	node = &reader->doc->nodes[*index];
	switch (*reader->p)
	{
		case '{':
		case '[':
			if (++reader->depth > MAX_DEPTH)
				return false;
			ok = *reader->p == '{';
			node->kind = ok ? JSON_OBJECT : JSON_ARRAY;
			reader->p++;
			ok = read_children(reader, *index, ok);
			reader->depth--;
			return ok;
		case '"':
			reader->p++;
			node->kind = JSON_STRING;
			return read_string(reader, &node->text, &node->length);
		case 't':
			return read_word(reader, "true", node, JSON_TRUE);
		case 'f':
			return read_word(reader, "false", node, JSON_FALSE);
		case 'n':
			return read_word(reader, "null", node, JSON_NULL);
		default:
			return read_number(reader, node);
	}
}

/* Reads a document; false if it is not JSON.  Free it in either case. */
bool
sim_json_parse(JsonDoc *doc, const char *text, size_t length)
{
	Reader		reader = {.doc = doc};
	uint32_t	root;

	memset(doc, 0, sizeof(*doc));
	doc->buffer = sim_copy(length ? text : "", length);
	reader.p = doc->buffer;
	reader.end = doc->buffer + length;
	if (!read_value(&reader, &root, NULL))
		return false;
	skip_space(&reader);
	return reader.p == reader.end;
}

void
sim_json_free(JsonDoc *doc)
{
	free(doc->nodes);
	free(doc->buffer);
	memset(doc, 0, sizeof(*doc));
}

const JsonNode *
sim_json_first(const JsonDoc *doc, const JsonNode *parent)
{
	return parent->child ? &doc->nodes[parent->child] : NULL;
}

const JsonNode *
sim_json_next(const JsonDoc *doc, const JsonNode *node)
{
	return node->next ? &doc->nodes[node->next] : NULL;
}

/* The member of that name, the last one if it is repeated; NULL if none. */
const JsonNode *
sim_json_member(const JsonDoc *doc, const JsonNode *object, const char *name)
{
	const JsonNode *found = NULL;

	if (object == NULL || object->kind != JSON_OBJECT)
		return NULL;
	for (const JsonNode *node = sim_json_first(doc, object); node != NULL;
		 node = sim_json_next(doc, node))
	{
		if (strcmp(node->name, name) == 0)
			found = node;
	}
	return found;
}

/* A string member; otherwise when it is absent or not a string. */
const char *
sim_json_string(const JsonDoc *doc, const JsonNode *object, const char *name,
				const char *otherwise)
{
	const JsonNode *node = sim_json_member(doc, object, name);

	return node != NULL && node->kind == JSON_STRING ? node->text : otherwise;
}

/* An integer member; false when it is absent or not a whole number. */
bool
sim_json_int(const JsonDoc *doc, const JsonNode *object, const char *name,
			 int64_t *number)
{
	const JsonNode *node = sim_json_member(doc, object, name);
	Amount		amount;

	if (node == NULL || node->kind != JSON_NUMBER ||
		!sim_amount_parse(node->text, node->length, &amount) ||
		amount % AMOUNT_SCALE != 0)
		return false;
	*number = amount / AMOUNT_SCALE;
	return true;
}
