/*
 * toss_request.c
 *		Toss Payments: how a request is written.
 *
 * The same arguments give the same bytes, for ever: a request that is sent
 * again must be the one that was sent.  Keys and ids are checked here once
 * more, so that nothing can be smuggled into a path or a body.
 */
#include "toss.h"

#include <string.h>

#include "money.h"

#define LETTERS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS				"0123456789"

#define MAX_PAYMENT_KEY		200
#define MIN_ORDER_ID		6
#define MAX_ORDER_ID		64

static bool append(char *buf, size_t size, size_t *len, const char *text);
static bool append_encoded(char *buf, size_t size, size_t *len,
						   const char *text);
static bool append_escaped(char *buf, size_t size, size_t *len,
						   const char *text);
static int	cancel_body(const PayTossRequest *request, char *buf,
						size_t size);
static bool write_amount(int64_t mills, int minor_units, char *text);
static bool is_token(const char *text);

/*
 * Write the path of a request.  The key is percent-encoded except for
 * unreserved characters; "." and ".." are refused with the other invalid keys,
 * because a client may resolve them as directories.
 */
int
pay_toss_path(const PayTossRequest *request, char *buf, size_t size)
{
	size_t		len = 0;
	bool		fits = false;

	if (!pay_toss_valid_payment_key(request->payment_key))
		return -1;

	if (request->operation == PAY_TOSS_CONFIRM)
		fits = append(buf, size, &len, "/v1/payments/confirm");
	else if (request->operation == PAY_TOSS_QUERY ||
			 request->operation == PAY_TOSS_CANCEL)
		fits = append(buf, size, &len, "/v1/payments/") &&
			append_encoded(buf, size, &len, request->payment_key) &&
			(request->operation == PAY_TOSS_QUERY ||
			 append(buf, size, &len, "/cancel"));

	return fits ? (int) len : -1;
}

/*
 * Write the body of a confirm or a cancel.  A query has none: that is -1 as
 * well, so that nobody sends an empty POST by mistake.  Amounts are plain
 * decimal numbers and must be positive and no finer than their currency.
 */
int
pay_toss_body(const PayTossRequest *request, char *buf, size_t size)
{
	char		amount[PAY_MONEY_TEXT_SIZE];
	size_t		len = 0;

	if (!pay_toss_valid_payment_key(request->payment_key) ||
		!pay_toss_valid_order_id(request->order_id))
		return -1;
	if (request->operation == PAY_TOSS_CANCEL)
		return cancel_body(request, buf, size);
	if (request->operation != PAY_TOSS_CONFIRM ||
		!write_amount(request->amount, request->minor_units, amount))
		return -1;

	if (!append(buf, size, &len, "{\"paymentKey\":\"") ||
		!append(buf, size, &len, request->payment_key) ||
		!append(buf, size, &len, "\",\"orderId\":\"") ||
		!append(buf, size, &len, request->order_id) ||
		!append(buf, size, &len, "\",\"amount\":") ||
		!append(buf, size, &len, amount) ||
		!append(buf, size, &len, "}"))
		return -1;
	return (int) len;
}

/*
 * The balance goes with it: should this cancel have been executed without our
 * knowing, or anything else have been taken back meanwhile, it is refused.
 * Toss wants the currency of a payment that is not in KRW.
 */
static int
cancel_body(const PayTossRequest *request, char *buf, size_t size)
{
	const PayTossRefund *refund = request->refund;
	char		amount[PAY_MONEY_TEXT_SIZE];
	char		balance[PAY_MONEY_TEXT_SIZE];
	bool		is_foreign = strcmp(request->currency, "KRW") != 0;
	size_t		len = 0;

	if (refund == NULL || !is_token(refund->token) ||
		refund->amount > refund->balance ||
		!write_amount(refund->amount, request->minor_units, amount) ||
		!write_amount(refund->balance, request->minor_units, balance))
		return -1;

	if (!append(buf, size, &len, "{\"cancelReason\":\"") ||
		!append_escaped(buf, size, &len, refund->reason) ||
		!append(buf, size, &len, " [rf:") ||
		!append(buf, size, &len, refund->token) ||
		!append(buf, size, &len, "]\",\"cancelAmount\":") ||
		!append(buf, size, &len, amount) ||
		!append(buf, size, &len, is_foreign ? ",\"currency\":\"" : "") ||
		!append(buf, size, &len, is_foreign ? request->currency : "") ||
		!append(buf, size, &len, is_foreign ? "\"" : "") ||
		!append(buf, size, &len, ",\"refundableAmount\":") ||
		!append(buf, size, &len, balance) ||
		!append(buf, size, &len, "}"))
		return -1;
	return (int) len;
}

int
pay_toss_body_to_account(const char *body, const PayTossAccount *account,
						 char *buf, size_t size)
{
	size_t		end = strlen(body);
	size_t		len;

	if (end < 2 || end >= size || body[end - 1] != '}')
		return -1;
	memcpy(buf, body, end - 1);
	len = end - 1;
	buf[len] = '\0';
	if (!append(buf, size, &len, ",\"refundReceiveAccount\":{\"bank\":\"") ||
		!append_escaped(buf, size, &len, account->bank) ||
		!append(buf, size, &len, "\",\"accountNumber\":\"") ||
		!append_escaped(buf, size, &len, account->number) ||
		!append(buf, size, &len, "\",\"holderName\":\"") ||
		!append_escaped(buf, size, &len, account->holder) ||
		!append(buf, size, &len, "\"}}"))
		return -1;
	return (int) len;
}

/* False when it is not positive, or finer than the currency. */
static bool
write_amount(int64_t mills, int minor_units, char *text)
{
	int64_t		checked;
	int			n = pay_money_write(mills, text);

	return pay_money_read(text, n, minor_units, &checked) == PAY_MONEY_OK &&
		pay_money_check_positive(checked) == PAY_MONEY_OK;
}

static bool
is_token(const char *text)
{
	size_t		len = strspn(text, LETTERS DIGITS);

	return len > 0 && len <= PAY_TOSS_MAX_TOKEN && text[len] == '\0';
}

/* Add text, with its terminating zero; false when there is no room. */
static bool
append(char *buf, size_t size, size_t *len, const char *text)
{
	size_t		n = strlen(text);

	if (*len >= size || n >= size - *len)
		return false;
	memcpy(buf + *len, text, n + 1);
	*len += n;
	return true;
}

static bool
append_encoded(char *buf, size_t size, size_t *len, const char *text)
{
	static const char unreserved[] = LETTERS DIGITS "-._~";
	static const char hex[] = "0123456789ABCDEF";

	for (const char *p = text; *p != '\0'; p++)
	{
		unsigned char byte = *p;
		char		piece[4] = {*p, '\0', '\0', '\0'};

		if (strchr(unreserved, byte) == NULL)
		{
			piece[0] = '%';
			piece[1] = hex[byte >> 4];
			piece[2] = hex[byte & 15];
		}
		if (!append(buf, size, len, piece))
			return false;
	}
	return true;
}

/* As the inside of a JSON string; what is beyond ASCII stays as it is. */
static bool
append_escaped(char *buf, size_t size, size_t *len, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (const char *p = text; *p != '\0'; p++)
	{
		unsigned char byte = *p;
		char		piece[7] = {*p, '\0'};

		if (byte == '"' || byte == '\\')
		{
			piece[0] = '\\';
			piece[1] = *p;
		}
		else if (byte < 0x20 || byte == 0x7f)
		{
			memcpy(piece, "\\u00", 4);
			piece[4] = hex[byte >> 4];
			piece[5] = hex[byte & 15];
		}
		if (!append(buf, size, len, piece))
			return false;
	}
	return true;
}

/* The length of text if it consists of what a key or an id may contain. */
static size_t
identifier_length(const char *text)
{
	size_t		len = strspn(text, LETTERS DIGITS "_=.-");

	return text[len] == '\0' ? len : 0;
}

/* 1 to 200 of [A-Za-z0-9_=.-], but neither "." nor ".." */
bool
pay_toss_valid_payment_key(const char *text)
{
	size_t		len = identifier_length(text);

	return len >= 1 && len <= MAX_PAYMENT_KEY &&
		strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* 6 to 64 of the same */
bool
pay_toss_valid_order_id(const char *text)
{
	size_t		len = identifier_length(text);

	return len >= MIN_ORDER_ID && len <= MAX_ORDER_ID;
}
