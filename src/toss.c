/*
 * toss.c
 *		Toss Payments: what an answer means.
 *
 * Owns the rule by which an answer is believed; its codes are toss_codes.c's.
 * Two things cannot be guessed.  A code decides, not its HTTP status, because
 * Toss sends transient faults as 400 and final refusals as 403; the status
 * only takes belief away (a 5xx never promises that nothing was executed).
 * And what is not understood is never a refusal: an unknown code, status or
 * shape is UNCERTAIN for a confirm or a cancel and LOOKUP_FAILED for a query.
 *
 * test/unit/toss_test.c walks the table and mutates every field.
 */
#include "toss.h"

#include <string.h>

#include "money.h"

/*
 * What a Payment's status means, for each operation.  A confirm that comes
 * back with anything but an approval is contradictory, and queried.  A status
 * that is not here is new to us: "could not look" keeps it open and visible.
 */
typedef struct PaymentStatus
{
	const char *status;
	PayTossMeaning confirm;
	PayTossMeaning query;
} PaymentStatus;

static const PaymentStatus payment_statuses[] = {
	{"DONE", PAY_MEANS_APPROVED, PAY_MEANS_APPROVED},
	{"WAITING_FOR_DEPOSIT", PAY_MEANS_WAITING, PAY_MEANS_WAITING},
	{"CANCELED", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
	{"PARTIAL_CANCELED", PAY_MEANS_UNCERTAIN, PAY_MEANS_CANCELED},
	{"ABORTED", PAY_MEANS_UNCERTAIN, PAY_MEANS_ABORTED},
	{"EXPIRED", PAY_MEANS_UNCERTAIN, PAY_MEANS_ABORTED},
	{"READY", PAY_MEANS_UNCERTAIN, PAY_MEANS_OPEN},
	{"IN_PROGRESS", PAY_MEANS_UNCERTAIN, PAY_MEANS_OPEN},
};

static const char *const meaning_names[] = {
	[PAY_MEANS_APPROVED] = "approved",
	[PAY_MEANS_WAITING] = "waiting",
	[PAY_MEANS_CANCELED] = "canceled",
	[PAY_MEANS_ABORTED] = "aborted",
	[PAY_MEANS_OPEN] = "open",
	[PAY_MEANS_REFUSED] = "refused",
	[PAY_MEANS_MISCONFIGURED] = "misconfigured",
	[PAY_MEANS_LATER] = "later",
	[PAY_MEANS_BUSY] = "busy",
	[PAY_MEANS_UNCERTAIN] = "uncertain",
	[PAY_MEANS_LOOKUP_FAILED] = "lookup failed",
	[PAY_MEANS_NOT_SENT] = "not sent",
	[PAY_MEANS_NO_ANSWER] = "no answer",
	[PAY_MEANS_REFUNDED] = "refunded",
	[PAY_MEANS_LAPSED] = "lapsed",
};

#define N_MEANINGS	(sizeof(meaning_names) / sizeof(meaning_names[0]))

#define N_STATUSES	(sizeof(payment_statuses) / sizeof(payment_statuses[0]))

/* "HTTP_100" to "HTTP_599", so that a code of ours needs no memory. */
#define TEN(tens) \
	"HTTP_" #tens "0", "HTTP_" #tens "1", "HTTP_" #tens "2", \
	"HTTP_" #tens "3", "HTTP_" #tens "4", "HTTP_" #tens "5", \
	"HTTP_" #tens "6", "HTTP_" #tens "7", "HTTP_" #tens "8", \
	"HTTP_" #tens "9"
#define HUNDRED(h) \
	TEN(h##0), TEN(h##1), TEN(h##2), TEN(h##3), TEN(h##4), \
	TEN(h##5), TEN(h##6), TEN(h##7), TEN(h##8), TEN(h##9)

static const char *const http_codes[] = {
	HUNDRED(1), HUNDRED(2), HUNDRED(3), HUNDRED(4), HUNDRED(5)
};

#undef HUNDRED
#undef TEN

/* The first API version whose Payment has the fields that we compare. */
#define OLDEST_VERSION		"2022-11-16"

#define MAX_CODE			100
#define MAX_MESSAGE			2048

static void interpret_payment(const PayTossRequest *request,
							  const PayTossBody *body, PayTossAnswer *answer);
static bool same_identity(const PayTossRequest *request,
						  const PayTossBody *body, PayTossAnswer *answer);
static bool same_amount(const PayTossRequest *request,
						const PayTossBody *body, PayTossAnswer *answer);
static void judge_account(const PayTossBody *body, PayTossAnswer *answer);
static bool is_known_version(const char *version);
static void interpret_error(const PayTossRequest *request, int http_status,
							const PayTossBody *body, PayTossAnswer *answer);
static void interpret_unreadable(const PayTossRequest *request,
								 int http_status, const PayTossBody *body,
								 PayTossAnswer *answer);
static bool is_one_line(const char *text);

/* What "we do not know" is called for an operation. */
static PayTossMeaning
doubt(PayTossOperation operation)
{
	return operation == PAY_TOSS_QUERY ? PAY_MEANS_LOOKUP_FAILED
		: PAY_MEANS_UNCERTAIN;
}

/*
 * Say what the end of an exchange means for the payment.  body may be NULL
 * when nothing was answered; the answer's strings live as long as it does.
 */
void
pay_toss_interpret(const PayTossRequest *request, PayTransport transport,
				   int http_status, const PayTossBody *body,
				   PayTossAnswer *answer)
{
	bool		error_status = http_status >= 400 && http_status <= 599;

	answer->meaning = doubt(request->operation);
	answer->suspect = false;
	answer->is_verified = false;
	answer->code = NULL;
	answer->detail = NULL;
	answer->cancel = NULL;

	if (transport == PAY_TRANSPORT_NOT_SENT)
	{
		answer->meaning = PAY_MEANS_NOT_SENT;
		answer->code = "NOT_SENT";
	}
	else if (transport != PAY_TRANSPORT_ANSWERED)
	{
		answer->meaning = PAY_MEANS_NO_ANSWER;
		answer->code = "NO_ANSWER";
	}
	else if (http_status == 200 && body != NULL &&
			 body->verdict == PAY_TOSS_JSON_PAYMENT)
		interpret_payment(request, body, answer);
	else if (error_status && body != NULL &&
			 body->verdict == PAY_TOSS_JSON_ERROR && pay_toss_is_code(body->code))
		interpret_error(request, http_status, body, answer);
	else
		interpret_unreadable(request, http_status, body, answer);
}

/*
 * A 200 with a Payment.  It is believed only if it is the Payment that we
 * asked for: an idempotency key that was used for another order, or a
 * connection that lost its step, brings somebody else's approval.
 *
 * ABORTED and EXPIRED are compared by their keys alone.  No money moves in
 * them whatever the amount, and Toss shows an expired foreign payment in
 * another currency ("MUSD").
 */
static void
interpret_payment(const PayTossRequest *request, const PayTossBody *body,
				  PayTossAnswer *answer)
{
	const PaymentStatus *status = NULL;

	if (!is_known_version(body->version))
	{
		answer->meaning = PAY_MEANS_UNCERTAIN;
		answer->code = "API_VERSION_TOO_OLD";
		answer->detail = "the merchant's API version must be " OLDEST_VERSION " or newer";
		return;
	}
	if (!same_identity(request, body, answer))
		return;
	if (request->refund != NULL)
	{
		if (same_amount(request, body, answer))
			pay_toss_interpret_refund(request, body, answer);
		answer->is_verified = !answer->suspect;
		return;
	}

	for (size_t i = 0; i < N_STATUSES; i++)
	{
		if (strcmp(payment_statuses[i].status, body->status) == 0)
			status = &payment_statuses[i];
	}
	if (status == NULL)
	{
		answer->code = pay_toss_is_code(body->status) ? body->status : "UNKNOWN_STATUS";
		answer->detail = "the payment has a status that is not known here";
		return;
	}

	if (status->query != PAY_MEANS_ABORTED &&
		!same_amount(request, body, answer))
		return;

	answer->is_verified = status->query != PAY_MEANS_ABORTED;
	answer->code = status->status;
	if (request->operation == PAY_TOSS_CONFIRM)
	{
		answer->meaning = status->confirm;
		if (status->confirm == PAY_MEANS_UNCERTAIN)
			answer->detail = "confirmed, but with a status that is no approval";
	}
	else
	{
		answer->meaning = status->query;
		judge_account(body, answer);
		if (status->query == PAY_MEANS_ABORTED && pay_toss_is_code(body->failure_code))
			answer->code = body->failure_code;
		if (status->query == PAY_MEANS_ABORTED &&
			is_one_line(body->failure_message))
			answer->detail = body->failure_message;
	}
}

/* Was an account cancelled while it waited for a deposit? */
bool
pay_toss_is_withdrawn(const PayTossBody *body)
{
	return body->status != NULL && strcmp(body->status, "CANCELED") == 0 &&
		body->virtual_account_bank != NULL && body->approved_at == NULL;
}

/*
 * Two things that only the account says of a payment.  Past its due date the
 * payment goes on waiting, and its account says that it is closed.  And cancelled
 * without ever having been approved it was cancelled before a deposit: no money
 * has moved.
 */
static void
judge_account(const PayTossBody *body, PayTossAnswer *answer)
{
	bool		is_closed = body->virtual_account_expired != NULL &&
	strcmp(body->virtual_account_expired, "true") == 0;

	if (answer->meaning == PAY_MEANS_WAITING && is_closed)
	{
		answer->meaning = PAY_MEANS_LAPSED;
		answer->code = "DEPOSIT_EXPIRED";
		answer->detail = "the account's due date has passed";
	}
	else if (pay_toss_is_withdrawn(body))
	{
		answer->meaning = PAY_MEANS_ABORTED;
		answer->detail = "cancelled before a deposit";
	}
}

/* A 2xx that is not ours: queried, and shown to a person. */
static bool
mismatch(PayTossAnswer *answer, const char *code, const char *detail)
{
	answer->meaning = PAY_MEANS_UNCERTAIN;
	answer->suspect = true;
	answer->code = code;
	answer->detail = detail;
	return false;
}

static bool
same_identity(const PayTossRequest *request, const PayTossBody *body,
			  PayTossAnswer *answer)
{
	if (strcmp(body->payment_key, request->payment_key) != 0)
		return mismatch(answer, "PAYMENT_KEY_MISMATCH",
						"the answer is about another payment key");
	if (strcmp(body->order_id, request->order_id) != 0)
		return mismatch(answer, "ORDER_ID_MISMATCH",
						"the answer is about another order");
	return true;
}

static bool
same_amount(const PayTossRequest *request, const PayTossBody *body,
			PayTossAnswer *answer)
{
	int64_t		amount;

	if (body->currency == NULL ||
		strcmp(body->currency, request->currency) != 0)
		return mismatch(answer, "CURRENCY_MISMATCH",
						"the answer is in another currency");
	if (pay_money_read(body->total_amount, strlen(body->total_amount),
					   request->minor_units, &amount) != PAY_MONEY_OK ||
		amount != request->amount)
		return mismatch(answer, "AMOUNT_MISMATCH",
						"the answer is about another amount");
	return true;
}

/* Is it a date (the form of every version since 2022), and not too old? */
static bool
is_known_version(const char *version)
{
	static const char form[] = "dddd-dd-dd";

	if (version == NULL || strlen(version) != sizeof(form) - 1)
		return false;
	for (int i = 0; form[i] != '\0'; i++)
	{
		bool		is_digit = version[i] >= '0' && version[i] <= '9';

		if (form[i] == 'd' ? !is_digit : version[i] != form[i])
			return false;
	}
	return strcmp(version, OLDEST_VERSION) >= 0;
}

/*
 * An error object with a code that we can read.  An unknown code with 429
 * comes from the rate limit, which stands before the execution; any other
 * unknown code is doubt.  LATER never sends again without a query in between,
 * so that even a 429 that came too late cannot charge twice.
 */
static void
interpret_error(const PayTossRequest *request, int http_status,
				const PayTossBody *body, PayTossAnswer *answer)
{
	bool		known = false;

	for (int i = 0; i < pay_toss_codes_count && !known; i++)
	{
		if (pay_toss_codes[i].operation == request->operation &&
			strcmp(pay_toss_codes[i].code, body->code) == 0)
		{
			known = true;
			answer->meaning = pay_toss_codes[i].meaning;
		}
	}

	if (!known && http_status == 429 && request->operation != PAY_TOSS_QUERY)
		answer->meaning = PAY_MEANS_LATER;

	/* A payment that we have refunded, or want to, cannot not be there. */
	if (request->refund != NULL && answer->meaning == PAY_MEANS_OPEN)
		answer->meaning = PAY_MEANS_UNCERTAIN;

	/* Behind a 5xx no code promises that nothing was executed. */
	if (http_status >= 500)
		answer->meaning = doubt(request->operation);

	answer->code = body->code;
	if (is_one_line(body->message))
		answer->detail = body->message;
}

/*
 * Anything else: no JSON, a redirect, a Payment with an error's status, an
 * error with a 200.
 */
static void
interpret_unreadable(const PayTossRequest *request, int http_status,
					 const PayTossBody *body, PayTossAnswer *answer)
{
	int			index = http_status - 100;
	int			count = sizeof(http_codes) / sizeof(http_codes[0]);

	answer->suspect = http_status >= 200 && http_status <= 299;
	answer->code = index >= 0 && index < count ? http_codes[index]
		: "HTTP_UNKNOWN";
	answer->detail = body != NULL && body->verdict == PAY_TOSS_JSON_GARBAGE
		? body->reason : "the status and the body of the answer disagree";

	if (http_status == 429 && request->operation != PAY_TOSS_QUERY)
		answer->meaning = PAY_MEANS_LATER;
}

/* Codes go into logs and columns: only what looks like one may. */
bool
pay_toss_is_code(const char *text)
{
	size_t		len;

	if (text == NULL)
		return false;
	len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	return len > 0 && len <= MAX_CODE && text[len] == '\0';
}

/* No line breaks, no escape sequences for somebody's terminal. */
static bool
is_one_line(const char *text)
{
	size_t		len;

	if (text == NULL)
		return false;
	for (len = 0; text[len] != '\0'; len++)
	{
		if ((unsigned char) text[len] < 0x20 || text[len] == 0x7f)
			return false;
	}
	return len > 0 && len <= MAX_MESSAGE;
}

/* The name of a meaning, as it stands in the table of answers. */
const char *
pay_toss_meaning_name(PayTossMeaning meaning)
{
	if ((unsigned int) meaning >= N_MEANINGS)
		return "unknown";
	return meaning_names[meaning];
}
