/*
 * toss_webhook.c
 *		What Toss tells by itself: three envelopes, read into one struct.
 *
 * The structure says which of them it is, and only then the name of the event
 * (toss-api 10.4): {eventType, createdAt, data}, a flat {createdAt, secret,
 * status, transactionKey, orderId} without a name, and {eventType, createdAt,
 * eventId, entityType, entityBody}.
 *
 * test/unit/toss_webhook_test.c; test/fuzz/webhook_fuzz.c
 */
#include "toss_webhook.h"

#include <string.h>

#include "toss.h"
#include "toss_parse.h"
#include "toss_time.h"

#define MAX_EVENT_TYPE		64
#define MAX_EVENT_ID		100
#define MAX_TRANSACTION_KEY	64
#define MAX_ORDER_ID		64
#define MAX_STATUS			40
#define MAX_SECRET			200

/* The texts, before they are looked at: of the body itself, and of its data. */
typedef struct RawWebhook
{
	char	   *event_type;
	char	   *created_at;
	char	   *event_id;
	char	   *order_id;
	char	   *status;
	char	   *transaction_key;
	char	   *secret;
	char	   *data_payment_key;
	char	   *data_order_id;
	char	   *data_status;
	char	   *data_transaction_key;
	char	   *data_secret;
} RawWebhook;

typedef struct Field
{
	bool		in_data;
	const char *key;
	size_t		offset;			/* of the char * in RawWebhook */
} Field;

static const Field fields[] = {
	{false, "eventType", offsetof(RawWebhook, event_type)},
	{false, "createdAt", offsetof(RawWebhook, created_at)},
	{false, "eventId", offsetof(RawWebhook, event_id)},
	{false, "orderId", offsetof(RawWebhook, order_id)},
	{false, "status", offsetof(RawWebhook, status)},
	{false, "transactionKey", offsetof(RawWebhook, transaction_key)},
	{false, "secret", offsetof(RawWebhook, secret)},
	{true, "paymentKey", offsetof(RawWebhook, data_payment_key)},
	{true, "orderId", offsetof(RawWebhook, data_order_id)},
	{true, "status", offsetof(RawWebhook, data_status)},
	{true, "lastTransactionKey", offsetof(RawWebhook, data_transaction_key)},
	{true, "secret", offsetof(RawWebhook, data_secret)},
};

/* Where the parser stands. */
typedef struct Reader
{
	RawWebhook	raw;
	const char *reason;			/* why it is garbage, once that is known */
	int			depth;			/* objects and arrays around us */
	unsigned	seen;			/* the keys that were there, by index */
	const Field *pending;		/* the key whose value comes next */
	const char *object;			/* "data" or "entityBody", when that comes */
	bool		in_data;
	bool		has_data;
	bool		has_entity;
} Reader;

static void open_container(void *state, bool is_object);
static void close_container(void *state);
static void begin_field(void *state, const char *key, bool is_null);
static void read_scalar(void *state, char *token, PayTossScalar type);
static const char *judge(const Reader *reader, PayTossWebhook *out);
static const char *judge_payment(const RawWebhook *raw, PayTossWebhook *out);
static const char *judge_deposit(const RawWebhook *raw, PayTossWebhook *out);
static char *form_of(char *text, size_t max);
static char *status_of(char *text);

static const PayTossHandler handler = {
	open_container, close_container, begin_field, read_scalar
};

void
pay_toss_webhook_read(const char *body, size_t len, PayTossWebhook *out)
{
	const char *reason;

	memset(out, 0, sizeof(*out));
	if (len == 0)
		reason = "the body is empty";
	else if (len > PAY_TOSS_MAX_WEBHOOK)
		reason = "the body is too large";
	else
	{
		Reader		reader = {{0}};

		reason = pay_toss_parse(body, len, &handler, &reader);
		if (reason == NULL)
			reason = reader.reason ? reader.reason : judge(&reader, out);
	}

	/* Nothing of a body that is not believed as a whole may be used. */
	if (reason != NULL)
	{
		memset(out, 0, sizeof(*out));
		out->kind = PAY_WEBHOOK_GARBAGE;
		out->reason = reason;
	}
}

/*
 * The parser's callbacks.  Depth 0 is outside, 1 in the body, 2 in its data or
 * somewhere that does not matter; what is deeper is passed.
 */

static void
begin_field(void *state, const char *key, bool is_null)
{
	Reader	   *reader = state;

	reader->pending = NULL;
	reader->object = NULL;
	if (reader->depth == 1 && strcmp(key, "data") == 0)
		reader->object = "data";
	else if (reader->depth == 1 && strcmp(key, "entityBody") == 0)
		reader->object = "entityBody";

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
	{
		if (reader->depth != (fields[i].in_data ? 2 : 1) ||
			(fields[i].in_data && !reader->in_data) ||
			strcmp(fields[i].key, key) != 0)
			continue;
		if (reader->seen & (1U << i))
			reader->reason = "the body has a key twice";
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

	if (reader->depth == 0 && !is_object)
		reader->reason = "the body is no object";
	if (reader->object != NULL && is_object)
	{
		if (reader->has_data || reader->has_entity)
			reader->reason = "the body has a key twice";
		reader->in_data = strcmp(reader->object, "data") == 0;
		reader->has_data |= reader->in_data;
		reader->has_entity |= !reader->in_data;
	}
	reader->object = NULL;
	reader->pending = NULL;
	reader->depth++;
}

static void
close_container(void *state)
{
	Reader	   *reader = state;

	if (--reader->depth == 1)
		reader->in_data = false;
}

/* A value of another type than text is as good as missing. */
static void
read_scalar(void *state, char *token, PayTossScalar type)
{
	Reader	   *reader = state;

	if (reader->depth == 0)
		reader->reason = "the body is no object";
	else if (reader->pending != NULL && type == PAY_TOSS_STRING)
		*(char **) ((char *) &reader->raw + reader->pending->offset) = token;
	reader->pending = NULL;
	reader->object = NULL;
}

/*
 * What it is
 */

static const char *
judge(const Reader *reader, PayTossWebhook *out)
{
	const RawWebhook *raw = &reader->raw;

	out->event_type = form_of(raw->event_type, MAX_EVENT_TYPE);
	out->event_id = form_of(raw->event_id, MAX_EVENT_ID);
	out->has_time = raw->created_at != NULL &&
		pay_toss_time_read(raw->created_at, &out->created_us);

	if (raw->event_type != NULL && out->event_type == NULL)
		return "the event has no usable name";
	if (reader->has_entity || reader->has_data)
	{
		if (out->event_type == NULL)
			return "the event has no name";
		out->kind = PAY_WEBHOOK_OTHER;
		if (reader->has_entity)
		{
			if (strcmp(out->event_type, "payout.changed") == 0 ||
				strcmp(out->event_type, "seller.changed") == 0)
				out->kind = PAY_WEBHOOK_SIGNED;
			return NULL;
		}
		return strcmp(out->event_type, "PAYMENT_STATUS_CHANGED") == 0 ?
			judge_payment(raw, out) : NULL;
	}
	if (raw->event_type == NULL && raw->secret != NULL && raw->order_id != NULL)
		return judge_deposit(raw, out);
	return "the body is no event";
}

static const char *
judge_payment(const RawWebhook *raw, PayTossWebhook *out)
{
	out->kind = PAY_WEBHOOK_PAYMENT;
	if (raw->data_payment_key == NULL ||
		!pay_toss_valid_payment_key(raw->data_payment_key))
		return "the event has no usable paymentKey";
	out->payment_key = raw->data_payment_key;
	out->order_id = form_of(raw->data_order_id, MAX_ORDER_ID);
	if (out->order_id == NULL)
		return "the event has no usable orderId";
	out->status = status_of(raw->data_status);
	if (out->status == NULL)
		return "the event has no usable status";
	out->transaction_key = form_of(raw->data_transaction_key,
								   MAX_TRANSACTION_KEY);
	out->secret = form_of(raw->data_secret, MAX_SECRET);
	return NULL;
}

static const char *
judge_deposit(const RawWebhook *raw, PayTossWebhook *out)
{
	out->kind = PAY_WEBHOOK_DEPOSIT;
	out->event_type = "DEPOSIT_CALLBACK";
	out->order_id = form_of(raw->order_id, MAX_ORDER_ID);
	if (out->order_id == NULL)
		return "the event has no usable orderId";
	out->status = status_of(raw->status);
	if (out->status == NULL)
		return "the event has no usable status";
	out->secret = form_of(raw->secret, MAX_SECRET);
	if (out->secret == NULL)
		return "the event has no usable secret";
	out->transaction_key = form_of(raw->transaction_key, MAX_TRANSACTION_KEY);
	return NULL;
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
static char *
status_of(char *text)
{
	size_t		len;

	if (text == NULL)
		return NULL;
	len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	return text[len] == '\0' && len >= 1 && len <= MAX_STATUS ? text : NULL;
}
