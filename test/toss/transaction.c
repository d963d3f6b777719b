/*-------------------------------------------------------------------------
 *
 * transaction.c
 *	  GET /v1/transactions: every movement of a payment, as a list.
 *
 * Owns that list, which only grows: an approval, an account that was issued,
 * a deposit, a cancel.  Rows are written by who moves the money, and rows that
 * no payment stands behind by POST /transaction, verbatim.
 *
 * What the documentation leaves open is a switch: how soon a row appears, in
 * which order, in which time zone the dates are read, whether endDate takes in
 * its second, whether startingAfter takes in its row, how long a period may
 * be, whether fewer rows come than were asked for, and the sign of a cancel.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control.h"

#define DEFAULT_LIMIT 100
#define MAX_LIMIT 5000
#define KST (9 * 3600 * SECOND)
#define DAY (24 * 3600 * SECOND)

typedef struct Transaction
{
	const Payment *payment;		/* NULL: raw */
	int			version;
	char	   *raw;
	const char *mid;
	char		key[40];
	int64_t		clock_time;
	int64_t		real_time;
} Transaction;

static Transaction *transactions;
static size_t transaction_count;
static size_t transaction_capacity;

static Transaction *
add(const char *mid, int64_t clock_time)
{
	Transaction *transaction;

	if (transaction_count == transaction_capacity)
	{
		transaction_capacity = transaction_capacity ?
			transaction_capacity * 2 : 1024;
		transactions = realloc(transactions,
							   transaction_capacity * sizeof(Transaction));
		if (transactions == NULL)
			abort();
	}
	transaction = &transactions[transaction_count++];
	memset(transaction, 0, sizeof(*transaction));
	transaction->mid = mid;
	transaction->clock_time = clock_time;
	transaction->real_time = sim_clock_real();
	return transaction;
}

/* The newest version of a payment moved it; the lock must be held. */
void
sim_transaction_add(const Payment *payment)
{
	int			version = payment->version_count - 1;
	Transaction *transaction = add(payment->mid,
								   payment->versions[version].clock_time);

	transaction->payment = payment;
	transaction->version = version;
	sim_payment_transaction_key(transaction->key, payment,
								payment->versions[version].transaction);
}

/*
 * POST /transaction {"raw": text, "key": its transactionKey}: one more row,
 * whatever it is.
 */
int
sim_transaction_add_raw(Call *call)
{
	const JsonNode *root = &call->json.nodes[0];
	const char *raw = sim_json_string(&call->json, root, "raw", NULL);
	const char *key = sim_json_string(&call->json, root, "key", "");
	Transaction *transaction;

	if (raw == NULL)
		return sim_control_bad_value(call, "raw");
	if (strlen(key) >= sizeof(transaction->key))
		return sim_control_bad_value(call, "key");
	transaction = add(sim_api_key_default()->mid, sim_clock_now());
	transaction->raw = sim_copy(raw, strlen(raw));
	strcpy(transaction->key, key);
	sim_text_add(&call->out, "{\"ok\":true}\n");
	return 200;
}

/* "2026-11-27" or "2026-11-27T10:00:00[.123]" as microseconds since 1970. */
static bool
read_date(const char *text, int64_t *time)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	struct tm	tm = {0};
	size_t		length = strlen(text);
	int			part[6] = {0};
	int			n = 0;

	if (length > sizeof(form) - 1)
	{
		if (text[sizeof(form) - 1] != '.' || length > sizeof(form) + 6 ||
			strspn(text + sizeof(form), "0123456789") != length - sizeof(form))
			return false;
		length = sizeof(form) - 1;
	}
	if (length != 10 && length != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (form[i] != 'd')
		{
			if (text[i] != form[i])
				return false;
			n++;
		}
		else if (text[i] < '0' || text[i] > '9')
			return false;
		else
			part[n] = part[n] * 10 + (text[i] - '0');
	}
	if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31 ||
		part[3] > 23 || part[4] > 59 || part[5] > 59)
		return false;
	tm.tm_year = part[0] - 1900;
	tm.tm_mon = part[1] - 1;
	tm.tm_mday = part[2];
	tm.tm_hour = part[3];
	tm.tm_min = part[4];
	tm.tm_sec = part[5];
	*time = (int64_t) timegm(&tm) * SECOND;
	return tm.tm_mday == part[2];
}

/* Does this merchant's list have the row by now? */
static bool
shows(const Transaction *transaction, const char *mid)
{
	return transaction->mid == mid &&
		transaction->real_time <=
		sim_clock_real() - sim_settings.transactions_lag_ms * 1000;
}

/* The place of startingAfter among all rows; -1: there is no such row. */
static int64_t
find_cursor(const char *key, const char *mid)
{
	for (size_t i = 0; i < transaction_count; i++)
	{
		if (shows(&transactions[i], mid) && *transactions[i].key != '\0' &&
			strcmp(transactions[i].key, key) == 0)
			return (int64_t) i;
	}
	return -1;
}

/*
 * Reads what the request asks for.  Returns a code, or NULL; the lock must be
 * held.
 */
static const char *
read_query(Request *request)
{
	List	   *list = &request->list;
	int64_t		zone = sim_settings.transactions_utc ? 0 : KST;
	Amount		limit;

	if (list->start_date == NULL || list->end_date == NULL ||
		!read_date(list->start_date, &list->from) ||
		!read_date(list->end_date, &list->to))
		return "INVALID_DATE";
	list->from -= zone;
	list->to -= zone;
	if (list->from > list->to)
		return "INVALID_REQUEST";
	if (sim_settings.transactions_max_days > 0 &&
		list->to - list->from > sim_settings.transactions_max_days * DAY)
		return "INVALID_DATE";
	if (!sim_settings.transactions_end_exclusive)
		list->to += SECOND;

	list->rows = DEFAULT_LIMIT;
	if (list->limit != NULL)
	{
		if (!sim_amount_parse(list->limit, strlen(list->limit), &limit) ||
			limit < AMOUNT_SCALE || limit % AMOUNT_SCALE != 0)
			return "INVALID_REQUEST";
		if (limit / AMOUNT_SCALE > MAX_LIMIT)
			return "EXCEED_MAX_QUERY_LIMIT";
		list->rows = limit / AMOUNT_SCALE;
	}
	if (sim_settings.transactions_max_rows > 0 &&
		list->rows > sim_settings.transactions_max_rows)
		list->rows = sim_settings.transactions_max_rows;

	list->after = -1;
	if (list->starting_after != NULL)
	{
		list->after = find_cursor(list->starting_after,
								  request->api_key->mid);
		if (list->after < 0)
			return "INVALID_PAGING_KEY";
	}
	return NULL;
}

Answer
sim_transactions_execute(Request *request)
{
	const char *problem = read_query(request);

	return problem ? sim_answer_code(problem) : (Answer) {0};
}

static void
write_row(Text *out, const Transaction *transaction)
{
	const Payment *payment = transaction->payment;
	const Version *version;
	Amount		amount;

	if (payment == NULL)
	{
		sim_text_add(out, transaction->raw);
		return;
	}
	version = &payment->versions[transaction->version];
	amount = version->canceled > 0 ? version->canceled : payment->amount;
	if (version->status == STATUS_WAITING_FOR_DEPOSIT)
		amount = 0;
	if (version->canceled > 0 && sim_settings.transactions_negative)
		amount = -amount;

	sim_text_add(out, "{\"mId\":");
	sim_text_add_json(out, payment->mid);
	sim_text_add(out, ",\"transactionKey\":");
	sim_text_add_json(out, transaction->key);
	sim_text_add(out, ",\"paymentKey\":");
	sim_text_add_json(out, payment->key);
	sim_text_add(out, ",\"orderId\":");
	sim_text_add_json(out, payment->order->id);
	sim_text_add(out, ",\"method\":");
	sim_payment_write_method_name(out, payment);
	sim_text_format(out, ",\"customerKey\":null,\"useEscrow\":false,"
					"\"receiptUrl\":\"https://dashboard.tosspayments.com/"
					"receipt/redirection?transactionId=%s&ref=PX\","
					"\"status\":\"%s\",\"transactionAt\":", payment->key,
					sim_status_name(version->status));
	sim_clock_write(out, transaction->clock_time);
	sim_text_add(out, ",\"currency\":");
	sim_text_add_json(out, payment->currency);
	sim_text_add(out, ",\"amount\":");
	sim_amount_write(out, amount);
	sim_text_add(out, "}");
}

/* Appends the page that a request asks for; the lock must be held. */
void
sim_transactions_write(Text *out, const Request *request)
{
	const List *list = &request->list;
	bool		down = sim_settings.transactions_descending;
	int64_t		end = (int64_t) transaction_count;
	int64_t		first = down ? end - 1 : 0;
	int64_t		rows = 0;

	if (list->after >= 0)
		first = sim_settings.transactions_inclusive ? list->after :
			list->after + (down ? -1 : 1);
	sim_text_add(out, "[");
	for (int64_t i = first; i >= 0 && i < end && rows < list->rows;
		 i += down ? -1 : 1)
	{
		const Transaction *transaction = &transactions[i];

		if (!shows(transaction, request->api_key->mid) ||
			transaction->clock_time < list->from ||
			transaction->clock_time >= list->to)
			continue;
		if (rows++ > 0)
			sim_text_add(out, ",");
		write_row(out, transaction);
	}
	sim_text_add(out, "]");
}

/* Forgets all of it. */
void
sim_transaction_reset(void)
{
	for (size_t i = 0; i < transaction_count; i++)
		free(transactions[i].raw);
	transaction_count = 0;
}
