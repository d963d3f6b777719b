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
	else if (request->operation == PAY_TOSS_QUERY)
		fits = append(buf, size, &len, "/v1/payments/") &&
			append_encoded(buf, size, &len, request->payment_key);

	return fits ? (int) len : -1;
}

/*
 * Write the body of a confirm.  A query has none: that is -1 as well, so that
 * nobody sends an empty POST by mistake.  The amount is a plain decimal number
 * and must be positive and no finer than its currency.
 */
int
pay_toss_body(const PayTossRequest *request, char *buf, size_t size)
{
	char		amount[PAY_MONEY_TEXT_SIZE];
	int64_t		checked;
	size_t		len = 0;
	int			n;

	if (request->operation != PAY_TOSS_CONFIRM ||
		!pay_toss_valid_payment_key(request->payment_key) ||
		!pay_toss_valid_order_id(request->order_id))
		return -1;

	n = pay_money_write(request->amount, amount);
	if (pay_money_read(amount, n, request->minor_units, &checked) != PAY_MONEY_OK ||
		pay_money_check_positive(checked) != PAY_MONEY_OK)
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
