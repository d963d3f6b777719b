/*
 * toss_json.c
 *		What we read out of a Toss body: a Payment or an error.
 *
 * Owns the allow-list of fields; toss_parse.c tells what is in a body.
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "toss_json.h"
#include "toss_parse.h"

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
	IN_CANCELS,					/* an array, the only one; of these: */
	IN_CANCEL,
	IN_ERROR
} Container;

typedef enum FieldKind
{
	TEXT,
	NUMBER,
	WORD,						/* true or false */
	OBJECT,
	ARRAY
} FieldKind;

typedef struct Field
{
	Container	container;
	const char *key;
	FieldKind	kind;
	size_t		offset;			/* of the char * in PayTossBody, PayTossCancel */
	Container	opens;			/* if it is an object or an array */
} Field;

#define MEMBER(name)	offsetof(PayTossBody, name), IN_NOTHING
#define CANCEL(name)	offsetof(PayTossCancel, name), IN_NOTHING
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
	{IN_VIRTUAL_ACCOUNT, "expired", WORD, MEMBER(virtual_account_expired)},
	{IN_TOP, "cancels", ARRAY, OPENS(IN_CANCELS)},
	{IN_CANCEL, "cancelAmount", NUMBER, CANCEL(amount)},
	{IN_CANCEL, "cancelReason", TEXT, CANCEL(reason)},
	{IN_CANCEL, "transactionKey", TEXT, CANCEL(transaction_key)},
	{IN_CANCEL, "canceledAt", TEXT, CANCEL(canceled_at)},
	{IN_CANCEL, "cancelStatus", TEXT, CANCEL(status)},

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
	Container	inner;			/* the known object or array at depth 2 */
	int			room;			/* for cancels */
	const Field *pending;		/* the key whose value comes next */
	uint64		seen;			/* the keys that were there, by index */
} Reader;

static void open_container(void *state, bool is_object);
static void close_container(void *state);
static void begin_field(void *state, const char *key, bool is_null);
static void read_scalar(void *state, char *token, PayTossScalar type);
static const char *classify(PayTossBody *out);

static const PayTossHandler handler = {
	open_container, close_container, begin_field, read_scalar
};

/*
 * Read a body.  The strings of the result, and what the parser needs on the
 * way, are allocated in the current memory context.
 */
void
pay_toss_json_read(const char *body, size_t len, PayTossBody *out)
{
	Reader		reader = {.out = out};
	const char *reason;

	memset(out, 0, sizeof(*out));
	if (len == 0)
		reason = "the body is empty";
	else if (len > PAY_TOSS_MAX_BODY)
		reason = "the body is too large";
	else
		reason = pay_toss_parse(body, len, &handler, &reader);
	if (reason == NULL)
		reason = reader.reason;
	if (reason == NULL)
		reason = classify(out);

	/* Nothing of a body that is not believed as a whole may be used. */
	if (reason != NULL)
	{
		memset(out, 0, sizeof(*out));
		out->verdict = PAY_TOSS_JSON_GARBAGE;
		out->reason = reason;
	}
}

/* The known field with this key at the place where the parser stands. */
static const Field *
find_field(const Reader *reader, const char *key)
{
	Container	container = IN_NOTHING;

	if (reader->depth == 1)
		container = IN_TOP;
	else if (reader->depth == 2)
		container = reader->inner == IN_CANCELS ? IN_NOTHING : reader->inner;
	else if (reader->depth == 3 && reader->inner == IN_CANCELS)
		container = IN_CANCEL;
	if (container == IN_NOTHING)
		return NULL;

	for (size_t i = 0; i < lengthof(fields); i++)
	{
		if (fields[i].container == container && fields[i].key[0] == key[0] &&
			strcmp(fields[i].key, key) == 0)
			return &fields[i];
	}
	return NULL;
}

static void
begin_field(void *state, const char *key, bool is_null)
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
		if (!is_null)
			reader->pending = field;
	}
}

/* One more cancel; its keys have not been seen yet. */
static void
add_cancel(Reader *reader)
{
	PayTossBody *out = reader->out;

	if (out->n_cancels == reader->room)
	{
		reader->room = reader->room == 0 ? 8 : reader->room * 2;
		out->cancels = out->cancels == NULL ?
			palloc(sizeof(PayTossCancel) * reader->room) :
			repalloc(out->cancels, sizeof(PayTossCancel) * reader->room);
	}
	memset(&out->cancels[out->n_cancels++], 0, sizeof(PayTossCancel));
	for (size_t i = 0; i < lengthof(fields); i++)
	{
		if (fields[i].container == IN_CANCEL)
			reader->seen &= ~(UINT64CONST(1) << i);
	}
}

/* An object or an array begins. */
static void
open_container(void *state, bool is_object)
{
	Reader	   *reader = state;
	const Field *field = reader->pending;
	bool		is_cancel = field == NULL && reader->depth == 2 &&
	reader->inner == IN_CANCELS;

	reader->pending = NULL;
	reader->depth++;
	if (field != NULL && field->kind == (is_object ? OBJECT : ARRAY))
		reader->inner = field->opens;
	else if (is_cancel && is_object)
		add_cancel(reader);
	else if (field != NULL || is_cancel)
		reader->reason = "a value in the body has the wrong type";
}

static void
close_container(void *state)
{
	Reader	   *reader = state;

	if (reader->depth == 2)
		reader->inner = IN_NOTHING;
	reader->depth--;
}

/* A string (without its quotes and escapes), a number as text, or a word. */
static void
read_scalar(void *state, char *token, PayTossScalar type)
{
	Reader	   *reader = state;
	const Field *field = reader->pending;

	reader->pending = NULL;
	if (field == NULL && reader->depth == 2 && reader->inner == IN_CANCELS)
		reader->reason = "a value in the body has the wrong type";
	if (field != NULL)
	{
		char	   *base = field->container == IN_CANCEL ?
		(char *) &reader->out->cancels[reader->out->n_cancels - 1] :
		(char *) reader->out;
		char	  **member = (char **) (base + field->offset);

		if (!(field->kind == TEXT && type == PAY_TOSS_STRING) &&
			!(field->kind == NUMBER && type == PAY_TOSS_NUMBER) &&
			!(field->kind == WORD && type == PAY_TOSS_WORD))
			reader->reason = "a value in the body has the wrong type";
		else if (*member != NULL)
			reader->reason = "the body has two errors";
		else
			*member = token;
	}
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
