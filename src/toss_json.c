/*
 * toss_json.c
 *		What we read out of a Toss body: a Payment or an error.
 *
 * Owns the allow-list of fields.  A body is first made safe by a scan of our
 * own, and then parsed by the server's parser, which calls back for each key
 * and value.
 *
 * The scan is there because the parser may raise errors in a server: it
 * recurses until the stack is full, and in a database whose encoding is not
 * UTF-8 it converts every \u escape beyond ASCII.  So the scan limits the
 * depth, and writes such escapes out as the characters they mean.
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "compat.h"
#include "toss_json.h"

/* The objects that we look into; everything deeper or elsewhere is passed. */
typedef enum Container
{
	IN_NOTHING,
	IN_TOP,
	IN_CARD,
	IN_EASY_PAY,
	IN_RECEIPT,
	IN_FAILURE,
	IN_VIRTUAL_ACCOUNT,
	IN_ERROR
} Container;

typedef enum FieldKind
{
	TEXT,
	NUMBER,
	OBJECT
} FieldKind;

typedef struct Field
{
	Container	container;
	const char *key;
	FieldKind	kind;
	size_t		offset;			/* of the char * in PayTossBody */
	Container	opens;			/* if it is an object */
} Field;

#define MEMBER(name)	offsetof(PayTossBody, name), IN_NOTHING
#define OPENS(name)		0, name

static const Field fields[] = {
	{IN_TOP, "version", TEXT, MEMBER(version)},
	{IN_TOP, "paymentKey", TEXT, MEMBER(payment_key)},
	{IN_TOP, "type", TEXT, MEMBER(type)},
	{IN_TOP, "orderId", TEXT, MEMBER(order_id)},
	{IN_TOP, "mId", TEXT, MEMBER(mid)},
	{IN_TOP, "currency", TEXT, MEMBER(currency)},
	{IN_TOP, "method", TEXT, MEMBER(method)},
	{IN_TOP, "status", TEXT, MEMBER(status)},
	{IN_TOP, "totalAmount", NUMBER, MEMBER(total_amount)},
	{IN_TOP, "balanceAmount", NUMBER, MEMBER(balance_amount)},
	{IN_TOP, "requestedAt", TEXT, MEMBER(requested_at)},
	{IN_TOP, "approvedAt", TEXT, MEMBER(approved_at)},
	{IN_TOP, "lastTransactionKey", TEXT, MEMBER(last_transaction_key)},
	{IN_TOP, "secret", TEXT, MEMBER(secret)},
	{IN_TOP, "card", OBJECT, OPENS(IN_CARD)},
	{IN_CARD, "issuerCode", TEXT, MEMBER(card_issuer_code)},
	{IN_CARD, "cardType", TEXT, MEMBER(card_type)},
	{IN_CARD, "installmentPlanMonths", NUMBER, MEMBER(installment_plan_months)},
	{IN_TOP, "easyPay", OBJECT, OPENS(IN_EASY_PAY)},
	{IN_EASY_PAY, "provider", TEXT, MEMBER(easy_pay_provider)},
	{IN_TOP, "receipt", OBJECT, OPENS(IN_RECEIPT)},
	{IN_RECEIPT, "url", TEXT, MEMBER(receipt_url)},
	{IN_TOP, "failure", OBJECT, OPENS(IN_FAILURE)},
	{IN_FAILURE, "code", TEXT, MEMBER(failure_code)},
	{IN_FAILURE, "message", TEXT, MEMBER(failure_message)},
	{IN_TOP, "virtualAccount", OBJECT, OPENS(IN_VIRTUAL_ACCOUNT)},
	{IN_VIRTUAL_ACCOUNT, "bankCode", TEXT, MEMBER(virtual_account_bank)},
	{IN_VIRTUAL_ACCOUNT, "accountNumber", TEXT, MEMBER(virtual_account_number)},
	{IN_VIRTUAL_ACCOUNT, "dueDate", TEXT, MEMBER(virtual_account_due_date)},

	/* an error: of the first API version, and of the second */
	{IN_TOP, "code", TEXT, MEMBER(code)},
	{IN_TOP, "message", TEXT, MEMBER(message)},
	{IN_TOP, "error", OBJECT, OPENS(IN_ERROR)},
	{IN_ERROR, "code", TEXT, MEMBER(code)},
	{IN_ERROR, "message", TEXT, MEMBER(message)},
};

StaticAssertDecl(lengthof(fields) <= 64, "a bit of Reader.seen for each field");

/* Where the parser stands. */
typedef struct Reader
{
	PayTossBody *out;
	const char *reason;			/* why it is garbage, once that is known */
	int			depth;			/* objects and arrays around us */
	Container	inner;			/* the known object at depth 2 */
	const Field *pending;		/* the key whose value comes next */
	uint64		seen;			/* the keys that were there, by index */
} Reader;

static size_t copy_escape(const char *escape, const char *end, char **to,
						  const char **reason);
static int	read_hex(const char *p, const char *end);
static void write_character(pg_wchar c, char **to);
static const char *parse(char *json, size_t len, PayTossBody *out);
static const char *classify(PayTossBody *out);

/*
 * Read a body.  The strings of the result, and what the parser needs on the
 * way, are allocated in the current memory context.
 */
void
pay_toss_json_read(const char *body, size_t len, PayTossBody *out)
{
	const char *reason = NULL;

	memset(out, 0, sizeof(*out));

	if (len == 0)
		reason = "the body is empty";
	else if (len > PAY_TOSS_MAX_BODY)
		reason = "the body is too large";
	else
	{
		char	   *copy = palloc(len + 1);
		size_t		copy_len;

		reason = pay_toss_json_make_safe(body, len, copy, &copy_len);
		if (reason == NULL)
			reason = parse(copy, copy_len, out);
		if (reason == NULL)
			reason = classify(out);
		pfree(copy);
	}

	/* Nothing of a body that is not believed as a whole may be used. */
	if (reason != NULL)
	{
		memset(out, 0, sizeof(*out));
		out->verdict = PAY_TOSS_JSON_GARBAGE;
		out->reason = reason;
	}
}

const char *
pay_toss_json_make_safe(const char *body, size_t len, char *copy,
						size_t *copy_len)
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
		if (in_string && *p == '\\')
		{
			p += copy_escape(p, end, &to, &reason);
			continue;
		}

		if (*p == '"')
			in_string = !in_string;
		else if (!in_string && (*p == '{' || *p == '['))
		{
			if (++depth > PAY_TOSS_MAX_DEPTH)
				reason = "the body is nested too deeply";
		}
		else if (!in_string && (*p == '}' || *p == ']'))
			depth--;

		*to++ = *p++;
	}

	*to = '\0';
	*copy_len = to - copy;
	return reason;
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

/* The known field with this key at the place where the parser stands. */
static const Field *
find_field(const Reader *reader, const char *key)
{
	Container	container = IN_NOTHING;

	if (reader->depth == 1)
		container = IN_TOP;
	else if (reader->depth == 2)
		container = reader->inner;
	if (container == IN_NOTHING)
		return NULL;

	for (size_t i = 0; i < lengthof(fields); i++)
	{
		if (fields[i].container == container &&
			strcmp(fields[i].key, key) == 0)
			return &fields[i];
	}
	return NULL;
}

static PAY_JSON_ACTION
start_field(void *state, char *key, bool isnull)
{
	Reader	   *reader = state;
	const Field *field = find_field(reader, key);

	reader->pending = NULL;
	if (field != NULL)
	{
		uint64		bit = UINT64CONST(1) << (field - fields);

		if (reader->seen & bit)
			reader->reason = "the body has a key twice";
		reader->seen |= bit;
		if (!isnull)
			reader->pending = field;
	}
	return PAY_JSON_CONTINUE;
}

/* An object or an array begins; as a value only an object can be right. */
static void
open_container(Reader *reader, bool is_object)
{
	const Field *field = reader->pending;

	reader->pending = NULL;
	reader->depth++;
	if (field == NULL)
		return;
	if (is_object && field->kind == OBJECT)
		reader->inner = field->opens;
	else
		reader->reason = "a value in the body has the wrong type";
}

static void
close_container(Reader *reader)
{
	if (reader->depth == 2)
		reader->inner = IN_NOTHING;
	reader->depth--;
}

static PAY_JSON_ACTION
start_object(void *state)
{
	open_container(state, true);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
end_object(void *state)
{
	close_container(state);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
start_array(void *state)
{
	open_container(state, false);
	return PAY_JSON_CONTINUE;
}

static PAY_JSON_ACTION
end_array(void *state)
{
	close_container(state);
	return PAY_JSON_CONTINUE;
}

/* A string (without its quotes and escapes), a number as text, or a word. */
static PAY_JSON_ACTION
read_scalar(void *state, char *token, JsonTokenType type)
{
	Reader	   *reader = state;
	const Field *field = reader->pending;

	reader->pending = NULL;
	if (field != NULL)
	{
		char	  **member = (char **) ((char *) reader->out + field->offset);

		if (!(field->kind == TEXT && type == JSON_TOKEN_STRING) &&
			!(field->kind == NUMBER && type == JSON_TOKEN_NUMBER))
			reader->reason = "a value in the body has the wrong type";
		else if (*member != NULL)
			reader->reason = "the body has two errors";
		else
			*member = token;
	}
	return PAY_JSON_CONTINUE;
}

/*
 * Parse a body that was made safe, and fill the members of out that it has.
 * Returns why it is garbage, or NULL.
 */
static const char *
parse(char *json, size_t len, PayTossBody *out)
{
	Reader		reader = {.out = out};
	JsonSemAction actions = {
		.semstate = &reader,
		.object_start = start_object,
		.object_end = end_object,
		.array_start = start_array,
		.array_end = end_array,
		.object_field_start = start_field,
		.scalar = read_scalar,
	};

	if (pg_parse_json(pay_json_lexer(json, len), &actions) != JSON_SUCCESS)
		return "the body is not JSON";
	return reader.reason;
}

/* A Payment or an error, but not both, and not less. */
static const char *
classify(PayTossBody *out)
{
	bool		is_payment = out->payment_key != NULL &&
	out->order_id != NULL && out->status != NULL &&
	out->total_amount != NULL;
	bool		is_error = out->code != NULL;

	if (is_payment && is_error)
		return "the body is a payment and an error at once";
	if (!is_payment && !is_error)
		return "the body is neither a payment nor an error";

	out->verdict = is_payment ? PAY_TOSS_JSON_PAYMENT : PAY_TOSS_JSON_ERROR;
	return NULL;
}
