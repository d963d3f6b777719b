/*
 * psp_answer_row.c
 *		Answers of the PSP, as they are kept: the only writer of their table.
 *
 * Rows are written directly (table.c).  What the table's constraints would say
 * of them is so by the way they come about: names are literals of ours, and the
 * attempt that a row points at was committed by this very worker before it was
 * sent, and cannot be changed or deleted.  Keys are up to the indexes, as for
 * every writer: an order has one approval at most, and an answer that is there
 * already (a turn repeated after a failure that turned out to have committed) is
 * left as it is.  test/t/037_direct_settling.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "amount.h"
#include "psp_answer.h"
#include "table.h"
#include "table_scan.h"
#include "toss_time.h"

#define MAX_DETAIL	200			/* bytes of a detail that is kept */
#define MAX_TEXT	1000		/* of anything else */

#define UNIX_TO_POSTGRES_US \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

enum
{
	CALL_ID,
	ATTEMPT_NO,
	ORDER_ID,
	OPERATION,
	TRANSPORT,
	HTTP_STATUS,
	MEANING,
	SUSPECT,
	CODE,
	DETAIL,
	ACTION,
	PAYMENT_KEY,
	PSP_ORDER_ID,
	CURRENCY,
	AMOUNT,
	PSP_STATUS,
	TRANSACTION_KEY,
	RESPONSE,
	TRACE_ID,
	BODY_SIZE,
	BODY_SHA256,
	CONNECT_US,
	FIRST_BYTE_US,
	TOTAL_US,
	RECEIVED_AT
};

static PayTable answers = {
	"psp_answer",
	{
		[CALL_ID] = "call_id",
		[ATTEMPT_NO] = "attempt_no",
		[ORDER_ID] = "order_id",
		[OPERATION] = "operation",
		[TRANSPORT] = "transport",
		[HTTP_STATUS] = "http_status",
		[MEANING] = "meaning",
		[SUSPECT] = "suspect",
		[CODE] = "code",
		[DETAIL] = "detail",
		[ACTION] = "action",
		[PAYMENT_KEY] = "payment_key",
		[PSP_ORDER_ID] = "psp_order_id",
		[CURRENCY] = "currency",
		[AMOUNT] = "amount",
		[PSP_STATUS] = "psp_status",
		[TRANSACTION_KEY] = "transaction_key",
		[RESPONSE] = "response",
		[TRACE_ID] = "trace_id",
		[BODY_SIZE] = "body_size",
		[BODY_SHA256] = "body_sha256",
		[CONNECT_US] = "connect_us",
		[FIRST_BYTE_US] = "first_byte_us",
		[TOTAL_US] = "total_us",
		[RECEIVED_AT] = "received_at",
	}
};

/* The fields of a Payment that are kept, and their names in the JSON. */
static const struct
{
	const char *name;
	size_t		offset;
}			kept_fields[] =

{
	{"version", offsetof(PayTossBody, version)},
	{"type", offsetof(PayTossBody, type)},
	{"mId", offsetof(PayTossBody, mid)},
	{"method", offsetof(PayTossBody, method)},
	{"status", offsetof(PayTossBody, status)},
	{"currency", offsetof(PayTossBody, currency)},
	{"totalAmount", offsetof(PayTossBody, total_amount)},
	{"balanceAmount", offsetof(PayTossBody, balance_amount)},
	{"requestedAt", offsetof(PayTossBody, requested_at)},
	{"approvedAt", offsetof(PayTossBody, approved_at)},
	{"lastTransactionKey", offsetof(PayTossBody, last_transaction_key)},
	{"cardIssuerCode", offsetof(PayTossBody, card_issuer_code)},
	{"cardType", offsetof(PayTossBody, card_type)},
	{"installmentPlanMonths", offsetof(PayTossBody, installment_plan_months)},
	{"easyPayProvider", offsetof(PayTossBody, easy_pay_provider)},
	{"receiptUrl", offsetof(PayTossBody, receipt_url)},
	{"failureCode", offsetof(PayTossBody, failure_code)},
	{"virtualAccountBank", offsetof(PayTossBody, virtual_account_bank)},
	{"virtualAccountDueDate", offsetof(PayTossBody, virtual_account_due_date)},
	{"virtualAccountExpired", offsetof(PayTossBody, virtual_account_expired)},
};

static const char *const transport_names[] = {
	[PAY_TRANSPORT_ANSWERED] = "answered",
	[PAY_TRANSPORT_NOT_SENT] = "not sent",
	[PAY_TRANSPORT_NO_ANSWER] = "no answer",
};

static const int key_columns[] = {ORDER_ID, CALL_ID, ATTEMPT_NO};

static void fill_row(int row, const PayResult *result, const char *action);
static void fill_payment(int row, const PayResult *result);
static void fill_transfer(int row, const PayResult *result);
static bytea *bytes_of(const uint8 *bytes, int len);
static void set_text(int row, int column, const char *value);
static Datum response_of(const PayTossBody *body);
static JsonbValue json_string(char *text);
static void must_be_there(const PayResult *result);

/*
 * Text from outside in the database's encoding.  Where that is not UTF-8 the
 * characters beyond ASCII become '?': the answer must not be lost for them.
 */
char *
pay_psp_answer_text(const char *text, int max)
{
	char	   *copy;
	int			len;

	if (text == NULL)
		return NULL;
	len = (int) strlen(text);
	if (len > max)
		len = pg_encoding_mbcliplen(PG_UTF8, text, len, max);
	copy = pnstrdup(text, len);
	if (GetDatabaseEncoding() != PG_UTF8)
		for (char *p = copy; *p; p++)
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
	return copy;
}

TimestampTz
pay_psp_answer_time(const char *text)
{
	int64_t		unix_us;

	if (text == NULL || !pay_toss_time_read(text, &unix_us))
		return 0;
	return (TimestampTz) unix_us - UNIX_TO_POSTGRES_US;
}

/* As the tables say it. */
static const char *
operation_name(PayTossOperation operation)
{
	return operation == PAY_TOSS_CONFIRM ? "confirm" :
		operation == PAY_TOSS_CANCEL ? "cancel" : "query";
}

/* One row per answer; sets what is kept of a Payment in the results. */
void
pay_psp_answer_write(PayResult *results, int n, const char *const *actions)
{
	Relation	index;

	pay_table_open(&answers);
	index = pay_table_unique_index(&answers, key_columns,
								   lengthof(key_columns));
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
		{
			PayResult  *result = &results[first + i];

			result->response = result->transport == PAY_TRANSPORT_ANSWERED ?
				response_of(&result->body) : (Datum) 0;
			fill_row(i, result, actions[first + i]);
		}
		pay_table_write_rows(&answers, rows);
		for (int i = 0; i < rows; i++)
		{
			if (pay_table_enter_key(&answers, i, index))
				continue;
			pay_table_discard_row(&answers, i);
			must_be_there(&results[first + i]);
		}
		pay_table_index_rows(&answers, rows, index);
	}
	pay_table_close(&answers);
	CommandCounterIncrement();
}

static void
fill_row(int row, const PayResult *result, const char *action)
{
	const PayClaim *claim = result->claim;

	pay_table_begin_row(&answers, row);
	pay_table_set(&answers, row, CALL_ID, Int64GetDatum(claim->call_id));
	pay_table_set(&answers, row, ATTEMPT_NO, Int32GetDatum(claim->attempt_no));
	set_text(row, ORDER_ID, claim->order_id);
	set_text(row, OPERATION, operation_name(claim->request.operation));
	set_text(row, TRANSPORT, transport_names[result->transport]);
	set_text(row, MEANING, pay_toss_meaning_name(result->answer.meaning));
	pay_table_set(&answers, row, SUSPECT, BoolGetDatum(result->answer.suspect));
	set_text(row, CODE, result->answer.code);
	set_text(row, DETAIL, pay_psp_answer_text(result->answer.detail,
											  MAX_DETAIL));
	set_text(row, ACTION, action);
	if (result->response != (Datum) 0)
		fill_payment(row, result);
	fill_transfer(row, result);
}

static void
fill_payment(int row, const PayResult *result)
{
	const PayTossBody *body = &result->body;
	int64		mills;

	set_text(row, PAYMENT_KEY, body->payment_key);
	set_text(row, PSP_ORDER_ID, body->order_id);
	set_text(row, CURRENCY, body->currency);
	set_text(row, PSP_STATUS, body->status);
	set_text(row, TRANSACTION_KEY, result->answer.cancel != NULL ?
			 result->answer.cancel->transaction_key : body->last_transaction_key);
	if (pay_money_read(body->total_amount, strlen(body->total_amount),
					   PAY_MAX_MINOR_UNITS, &mills) == PAY_MONEY_OK)
		pay_table_set(&answers, row, AMOUNT, pay_amount_to_numeric(mills));
	pay_table_set(&answers, row, RESPONSE, result->response);
}

/* What is known of the exchange itself */
static void
fill_transfer(int row, const PayResult *result)
{
	set_text(row, TRACE_ID, result->trace_id);
	if (result->http_status > 0)
		pay_table_set(&answers, row, HTTP_STATUS,
					  Int32GetDatum(result->http_status));
	pay_table_set(&answers, row, BODY_SIZE, Int32GetDatum(result->body_size));
	if (result->body_size > 0)
		pay_table_set(&answers, row, BODY_SHA256,
					  PointerGetDatum(bytes_of(result->body_sha256,
											   sizeof(result->body_sha256))));
	if (result->transport == PAY_TRANSPORT_ANSWERED)
	{
		pay_table_set(&answers, row, CONNECT_US,
					  Int64GetDatum(result->connect_us));
		pay_table_set(&answers, row, FIRST_BYTE_US,
					  Int64GetDatum(result->first_byte_us));
		pay_table_set(&answers, row, TOTAL_US, Int64GetDatum(result->total_us));
	}
	pay_table_set(&answers, row, RECEIVED_AT,
				  TimestampTzGetDatum(result->received_at));
}

static bytea *
bytes_of(const uint8 *bytes, int len)
{
	return (bytea *) cstring_to_text_with_len((const char *) bytes, len);
}

/* NULL stays null. */
static void
set_text(int row, int column, const char *value)
{
	if (value != NULL)
		pay_table_set(&answers, row, column,
					  CStringGetTextDatum(pay_psp_answer_text(value, MAX_TEXT)));
}

/* The kept fields of a Payment as jsonb; 0 when it is none. */
static Datum
response_of(const PayTossBody *body)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;

	if (body->verdict != PAY_TOSS_JSON_PAYMENT)
		return (Datum) 0;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (size_t i = 0; i < lengthof(kept_fields); i++)
	{
		const char *value = *(char *const *) ((const char *) body +
											  kept_fields[i].offset);
		JsonbValue	string;

		if (value == NULL)
			continue;
		string = json_string(unconstify(char *, kept_fields[i].name));
		pushJsonbValue(&state, WJB_KEY, &string);
		string = json_string(pay_psp_answer_text(value, MAX_TEXT));
		pushJsonbValue(&state, WJB_VALUE, &string);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

static JsonbValue
json_string(char *text)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = text;
	value.val.string.len = (int) strlen(text);
	return value;
}

/*
 * Somebody has this answer's key.  When it is not there to be seen he is still
 * about to write it, or has just changed his mind: the turn is taken again.
 */
static void
must_be_there(const PayResult *result)
{
	const PayClaim *claim = result->claim;
	Datum		key[] = {CStringGetTextDatum(claim->order_id),
	Int64GetDatum(claim->call_id), Int32GetDatum(claim->attempt_no)};
	PayTableScan scan;
	bool		found;

	CommandCounterIncrement();	/* what was discarded is gone */
	pay_table_scan_begin(&scan, &answers, key_columns, lengthof(key_columns),
						 lengthof(key_columns));
	found = pay_table_scan_first(&scan, key) != NULL;
	pay_table_scan_end(&scan);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("Somebody else writes an answer to call " INT64_FORMAT ".",
						   claim->call_id),
				 errhint("Repeat the transaction.")));
}
