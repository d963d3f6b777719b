/*
 * webhook.c
 *		Webhooks: what Toss, or somebody who says so, tells by itself.
 *
 * The receiver is a page on the open internet, so the arguments are whatever
 * anybody sends.  None of it is an error: garbage is written down as such, and
 * what is missing among the headers is not there.
 *
 * The receiver answers 200 when this has committed.  Whoever dies before that has
 * written down nothing, and Toss sends it again; who dies after it, before the
 * answer is out, gets it again as well, and finds a duplicate.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "db.h"
#include "inbox.h"
#include "toss_webhook.h"
#include "wake.h"

#define TRANSMISSION_ID		"tosspayments-webhook-transmission-id"
#define RETRIED_COUNT		"tosspayments-webhook-transmission-retried-count"
#define SIGNATURE			"tosspayments-webhook-signature"
#define SIGNED_AT			"tosspayments-webhook-transmission-time"
#define MAX_HEADER			250 /* bytes of a value that is kept */
#define MAX_RETRIED_COUNT	1000000

PG_FUNCTION_INFO_V1(payments_receive_webhook);

static void read_body(text *body, PayInboxMessage *message);
static char *find_header(Jsonb *headers, const char *name);
static char *text_of(const JsonbValue *value);
static int	number_of(const char *text);

/* payments.receive_webhook: see 62_webhook.sql. */
Datum
payments_receive_webhook(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayInboxMessage message = {.retried_count = -1};
	PayTossWebhook webhook;
	PayInboxVerdict verdict;
	const char *answer = "duplicate";

	pay_db_connect();
	message.webhook = &webhook;
	message.body = "";
	if (!PG_ARGISNULL(0))
		read_body(PG_GETARG_TEXT_PP(0), &message);
	if (!PG_ARGISNULL(1))
	{
		Jsonb	   *headers = PG_GETARG_JSONB_P(1);

		message.transmission_id = find_header(headers, TRANSMISSION_ID);
		message.retried_count = number_of(find_header(headers, RETRIED_COUNT));
		message.signature = find_header(headers, SIGNATURE);
		message.signed_at = find_header(headers, SIGNED_AT);
	}

	pay_toss_webhook_read(message.body, message.body_size, &webhook);
	verdict = pay_inbox_judge(&webhook);
	if (verdict == PAY_INBOX_UNVERIFIED && message.signature == NULL)
		verdict = PAY_INBOX_FORGED;
	if (pay_inbox_insert(&message, verdict, now))
	{
		answer = pay_inbox_is_queued(verdict) ? "accepted" : "ignored";
		if (pay_inbox_is_queued(verdict))
			pay_wake_look();
	}
	pay_db_finish();
	PG_RETURN_TEXT_P(cstring_to_text(answer));
}

/* The bytes as they came: in a database of another encoding, UTF-8 again. */
static void
read_body(text *body, PayInboxMessage *message)
{
	int			encoding = GetDatabaseEncoding();

	message->body = VARDATA_ANY(body);
	message->body_size = VARSIZE_ANY_EXHDR(body);
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return;
	message->body = pg_server_to_any(message->body, (int) message->body_size,
									 PG_UTF8);
	if (message->body != VARDATA_ANY(body))
		message->body_size = strlen(message->body);
}

/* The value of a header, or the first of its values; NULL: none that can be kept. */
static char *
find_header(Jsonb *headers, const char *name)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		is_it = false;
	int			depth = 0;

	if (!JB_ROOT_IS_OBJECT(headers))
		return NULL;
	it = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
			depth++;
		else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
			depth--;
		else if (token == WJB_KEY && depth == 1)
			is_it = value.val.string.len == strlen(name) &&
				pg_strncasecmp(value.val.string.val, name,
							   value.val.string.len) == 0;
		else if (is_it && (token == WJB_VALUE || token == WJB_ELEM))
			return text_of(&value);
	}
	return NULL;
}

/* 1 to MAX_HEADER visible characters of ASCII, from a text or a number */
static char *
text_of(const JsonbValue *value)
{
	char	   *text;
	size_t		len;

	if (value->type == jbvString)
		text = pnstrdup(value->val.string.val, value->val.string.len);

	else if (value->type == jbvNumeric)
		text = DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value->val.numeric)));

	else
		return NULL;
	for (len = 0; text[len] > ' ' && text[len] <= '~'; len++)
		;
	return text[len] == '\0' && len >= 1 && len <= MAX_HEADER ? text : NULL;
}

/* -1 when it is none */
static int
number_of(const char *text)
{
	int			number = 0;

	if (text == NULL)
		return -1;
	for (; *text !='\0'; text ++)
	{
		if (*text <'0' || *text >'9' || number > MAX_RETRIED_COUNT)
			return -1;
		number = number * 10 + (*text -'0');
	}
	return number;
}
