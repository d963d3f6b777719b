/*
 * toss_list.c
 *		Toss's list of transactions: how a page is asked for, and read.
 *
 * A row is believed field by field: its texts are of a form that can be
 * stored, shown and sent back, or they are not there.  A cancel comes with a
 * positive amount from Toss, and nobody says that it always will (toss-api
 * 11.1): the sign is dropped, and the status tells what the money did.
 *
 * test/unit/toss_list_test.c; test/fuzz/list_fuzz.c
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "money.h"
#include "toss.h"
#include "toss_json.h"
#include "toss_list.h"
#include "toss_parse.h"
#include "toss_time.h"

#define MAX_TRANSACTION_KEY	64
#define MAX_ORDER_ID		64
#define MAX_STATUS			40
#define ROWS_AT_FIRST		64

/* Where the texts of a row are, before they are looked at. */
typedef struct RawRow
{
	const char *problem;
	char	   *transaction_key;
	char	   *payment_key;
	char	   *order_id;
	char	   *status;
	char	   *currency;
	char	   *amount;
	char	   *transaction_at;
} RawRow;

typedef struct Field
{
	const char *key;
	bool		is_number;
	size_t		offset;			/* of the char * in RawRow */
} Field;

static const Field fields[] = {
	{"transactionKey", false, offsetof(RawRow, transaction_key)},
	{"paymentKey", false, offsetof(RawRow, payment_key)},
	{"orderId", false, offsetof(RawRow, order_id)},
	{"status", false, offsetof(RawRow, status)},
	{"currency", false, offsetof(RawRow, currency)},
	{"amount", true, offsetof(RawRow, amount)},
	{"transactionAt", false, offsetof(RawRow, transaction_at)},
};

/* Where the parser stands. */
typedef struct Reader
{
	PayTossList *out;
	const char *reason;			/* why it is garbage, once that is known */
	int			depth;			/* objects and arrays around us */
	int			room;			/* for rows */
	RawRow		row;			/* the one that is being read */
	unsigned	seen;			/* its keys, by index */
	const Field *pending;		/* the key whose value comes next */
} Reader;

static void open_container(void *state, bool is_object);
static void close_container(void *state);
static void begin_field(void *state, const char *key, bool is_null);
static void read_scalar(void *state, char *token, PayTossScalar type);
static void begin_row(Reader *reader);
static void end_row(Reader *reader);
static void judge_row(const RawRow *raw, PayTossRow *row);
static char *form_of(char *text, size_t max);
static bool is_upper(const char *text, size_t min, size_t max);
static bool read_amount(const char *text, int64_t *mills);

static const PayTossHandler handler = {
	open_container, close_container, begin_field, read_scalar
};

int
pay_toss_list_path(const PayTossListRequest *request, char *buf, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	char		from[PAY_TOSS_TIME_SIZE];
	char		to[PAY_TOSS_TIME_SIZE];
	char		after[3 * MAX_TRANSACTION_KEY + 1];
	char	   *p = after;
	int			len;

	if (request->from_us > request->to_us || request->rows < 1 ||
		!pay_toss_time_write(request->from_us, from) ||
		!pay_toss_time_write(request->to_us, to))
		return -1;
	if (request->after != NULL &&
		form_of(unconstify(char *, request->after), MAX_TRANSACTION_KEY) == NULL)
		return -1;
	for (const char *key = request->after; key != NULL && *key != '\0'; key++)
	{
		if ((*key >= '0' && *key <= '9') || (*key >= 'A' && *key <= 'Z') ||
			(*key >= 'a' && *key <= 'z') || strchr("-._~", *key) != NULL)
			*p++ = *key;
		else
		{
			*p++ = '%';
			*p++ = hex[(unsigned char) *key >> 4];
			*p++ = hex[*key & 15];
		}
	}
	*p = '\0';

	len = snprintf(buf, size,
				   "/v1/transactions?startDate=%s&endDate=%s%s%s&limit=%d",
				   from, to, request->after ? "&startingAfter=" : "", after,
				   request->rows);
	return len >= 0 && (size_t) len < size ? len : -1;
}

void
pay_toss_list_read(const char *body, size_t len, PayTossList *out)
{
	const char *reason = NULL;
	size_t		start = 0;

	memset(out, 0, sizeof(*out));
	while (start < len && strchr(" \t\r\n", body[start]) != NULL &&
		   body[start] != '\0')
		start++;

	if (start < len && body[start] == '{')
	{
		PayTossBody error;

		pay_toss_json_read(body, len, &error);
		if (error.verdict == PAY_TOSS_JSON_ERROR)
		{
			out->verdict = PAY_TOSS_LIST_ERROR;
			out->code = error.code;
			return;
		}
		reason = error.reason ? error.reason : "the body is a payment";
	}
	else if (len > PAY_TOSS_MAX_LIST)
		reason = "the body is too large";
	else
	{
		Reader		reader = {.out = out};

		reason = pay_toss_parse(body, len, &handler, &reader);
		if (reason == NULL)
			reason = reader.reason;
	}

	/* Nothing of a body that is not believed as a whole may be used. */
	if (reason != NULL)
	{
		memset(out, 0, sizeof(*out));
		out->verdict = PAY_TOSS_LIST_GARBAGE;
		out->reason = reason;
	}
}

/*
 * The parser's callbacks.  Depth 0 is outside, 1 in the list, 2 in a row; what
 * is deeper is passed.
 */

static void
begin_field(void *state, const char *key, bool is_null)
{
	Reader	   *reader = state;

	reader->pending = NULL;
	for (int i = 0; reader->depth == 2 && i < lengthof(fields); i++)
	{
		if (strcmp(fields[i].key, key) != 0)
			continue;
		if (reader->seen & (1U << i))
			reader->row.problem = "it has a key twice";
		reader->seen |= 1U << i;
		if (!is_null)
			reader->pending = &fields[i];
	}
}

/* A value begins, and it is no scalar. */
static void
open_container(void *state, bool is_object)
{
	Reader	   *reader = state;

	if (reader->depth == 0 && is_object)
		reader->reason = "the body is no list";
	else if (reader->depth == 1)
	{
		begin_row(reader);
		if (!is_object)
			reader->row.problem = "it is no object";
	}
	else if (reader->depth == 2 && reader->pending != NULL)
		reader->row.problem = "a value has the wrong type";
	reader->pending = NULL;
	reader->depth++;
}

static void
close_container(void *state)
{
	Reader	   *reader = state;

	if (--reader->depth == 1)
		end_row(reader);
}

static void
read_scalar(void *state, char *token, PayTossScalar type)
{
	Reader	   *reader = state;
	const Field *field = reader->pending;

	reader->pending = NULL;
	if (reader->depth == 0)
		reader->reason = "the body is no list";
	else if (reader->depth == 1)
	{
		begin_row(reader);
		reader->row.problem = "it is no object";
		end_row(reader);
	}
	else if (field != NULL && reader->depth == 2)
	{
		if (type != (field->is_number ? PAY_TOSS_NUMBER : PAY_TOSS_STRING))
			reader->row.problem = "a value has the wrong type";
		else
			*(char **) ((char *) &reader->row + field->offset) = token;
	}
}

static void
begin_row(Reader *reader)
{
	memset(&reader->row, 0, sizeof(reader->row));
	reader->seen = 0;
}

static void
end_row(Reader *reader)
{
	PayTossList *out = reader->out;

	if (out->n == PAY_TOSS_MAX_ROWS)
		reader->reason = "the list has too many rows";
	if (reader->reason != NULL)
		return;
	if (out->n == reader->room)
	{
		reader->room = out->n == 0 ? ROWS_AT_FIRST : 2 * out->n;
		out->rows = out->n == 0 ? palloc(sizeof(PayTossRow) * reader->room) :
			repalloc(out->rows, sizeof(PayTossRow) * reader->room);
	}
	judge_row(&reader->row, &out->rows[out->n++]);
}

/* What of a row can be used, and whether that is enough. */
static void
judge_row(const RawRow *raw, PayTossRow *row)
{
	memset(row, 0, sizeof(*row));
	row->transaction_key = form_of(raw->transaction_key, MAX_TRANSACTION_KEY);
	if (raw->payment_key != NULL && pay_toss_valid_payment_key(raw->payment_key))
		row->payment_key = raw->payment_key;
	row->order_id = form_of(raw->order_id, MAX_ORDER_ID);
	if (raw->status != NULL && is_upper(raw->status, 1, MAX_STATUS))
		row->status = raw->status;
	if (raw->currency != NULL && is_upper(raw->currency, 3, 4))
		row->currency = raw->currency;
	row->has_amount = raw->amount != NULL &&
		read_amount(raw->amount, &row->amount);
	row->has_time = pay_toss_time_read(raw->transaction_at, &row->time_us);

	row->problem = raw->problem ? raw->problem :
		row->transaction_key == NULL ? "it has no usable transactionKey" :
		row->payment_key == NULL ? "it has no usable paymentKey" :
		row->order_id == NULL ? "it has no usable orderId" :
		row->status == NULL ? "it has no usable status" :
		row->currency == NULL ? "it has no usable currency" :
		!row->has_amount ? "it has no usable amount" :
		!row->has_time ? "it has no usable transactionAt" : NULL;
}

/* The text itself, if it is 1 to max visible characters of ASCII. */
static char *
form_of(char *text, size_t max)
{
	size_t		len = 0;

	if (text == NULL)
		return NULL;
	while (text[len] > ' ' && text[len] <= '~')
		len++;
	return text[len] == '\0' && len >= 1 && len <= max ? text : NULL;
}

/* Capital letters and '_' */
static bool
is_upper(const char *text, size_t min, size_t max)
{
	size_t		len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return text[len] == '\0' && len >= min && len <= max;
}

static bool
read_amount(const char *text, int64_t *mills)
{
	if (pay_money_read(text, strlen(text), PAY_MAX_MINOR_UNITS, mills) != PAY_MONEY_OK)
		return false;
	if (*mills < 0)
		*mills = -*mills;
	return true;
}
