/*
 * money.c
 *		Amounts of money: reading, checking, calculating.
 *
 * The only file that calculates amounts.  Everything is exact integer
 * arithmetic on mills (thousandths of a unit); nothing is rounded except in
 * pay_money_share, which says how.
 *
 * Reading never builds the number that the text describes: it counts digits
 * first, and multiplies only when the value is known to fit.  So "1e999999999"
 * costs as much as "1e1", and no intermediate result can overflow.
 */
#include "money.h"

#include <string.h>

#define MILLS_LIMIT			(PAY_AMOUNT_LIMIT * PAY_MILLS_PER_UNIT)
#define UNIT_DIGITS			15	/* PAY_AMOUNT_LIMIT is 10 to this power */
#define MILLS_DIGITS		3	/* PAY_MILLS_PER_UNIT likewise */
#define EXPONENT_CAP		INT64_C(1000000000000)
#define PPM					1000000

/*
 * A decimal literal taken apart: the value is the digits of text[first..last]
 * without the point, times ten to the power of exponent.  The first and the
 * last of these digits are not zero.
 */
typedef struct Literal
{
	bool		negative;
	bool		is_zero;
	const char *first;			/* first significant digit */
	const char *last;			/* last significant digit */
	int64_t		digits;			/* how many lie between them, both included */
	int64_t		exponent;
} Literal;

static PayMoneyError split_literal(const char *text, const char *end,
								   Literal *literal);
static const char *read_digits(const char *p, const char *end);
static bool read_exponent(const char **p, const char *end, int64_t *exponent);
static void find_significant(const char *start, const char *point,
							 const char *end, int64_t exponent,
							 Literal *literal);

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(text, word, len) == 0;
}

/*
 * Read a decimal number into mills.  See money.h for what is accepted; what
 * numeric_in would also take (blanks, a plus sign, ".5", "0x10", "1_000") is
 * not, because neither JSON nor numeric_out write it.
 */
PayMoneyError
pay_money_read(const char *text, size_t len, int minor_units, int64_t *mills)
{
	Literal		literal;
	PayMoneyError error;
	int64_t		value = 0;

	if (minor_units < 0)
		minor_units = 0;
	if (minor_units > PAY_MAX_MINOR_UNITS)
		minor_units = PAY_MAX_MINOR_UNITS;

	if (is_word(text, len, "NaN"))
		return PAY_MONEY_NAN;
	if (is_word(text, len, "Infinity") || is_word(text, len, "-Infinity"))
		return PAY_MONEY_INFINITE;

	error = split_literal(text, text + len, &literal);
	if (error != PAY_MONEY_OK)
		return error;

	if (literal.is_zero)
	{
		*mills = 0;
		return PAY_MONEY_OK;
	}
	if (literal.digits + literal.exponent > UNIT_DIGITS)
		return PAY_MONEY_TOO_LARGE;
	if (literal.exponent < -minor_units)
		return PAY_MONEY_TOO_FINE;

	/* At most 15 digits before the point and 3 behind it: this fits. */
	for (const char *p = literal.first; p <= literal.last; p++)
	{
		if (is_digit(*p))
			value = value * 10 + (*p - '0');
	}
	for (int64_t i = literal.exponent + MILLS_DIGITS; i > 0; i--)
		value *= 10;

	*mills = literal.negative ? -value : value;
	return PAY_MONEY_OK;
}

/*
 * Take a literal apart by the grammar of JSON:
 * -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
 */
static PayMoneyError
split_literal(const char *text, const char *end, Literal *literal)
{
	const char *p = text;
	const char *start;
	const char *point;
	const char *mantissa_end;
	int64_t		exponent = 0;

	literal->negative = p < end && *p == '-';
	if (literal->negative)
		p++;

	start = p;
	p = read_digits(start, end);
	if (p == start || (*start == '0' && p - start > 1))
		return PAY_MONEY_SYNTAX;

	point = p;
	if (p < end && *p == '.')
	{
		p = read_digits(point + 1, end);
		if (p == point + 1)
			return PAY_MONEY_SYNTAX;
	}
	mantissa_end = p;

	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (!read_exponent(&p, end, &exponent))
			return PAY_MONEY_SYNTAX;
	}
	if (p != end)
		return PAY_MONEY_SYNTAX;

	find_significant(start, point, mantissa_end, exponent, literal);
	return PAY_MONEY_OK;
}

static const char *
read_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/*
 * Read the digits of an exponent with their sign.  A huge one stays at the
 * cap, which is far beyond any text's length, so that no sum with it overflows
 * and no number of digits can bring the value back into range.
 */
static bool
read_exponent(const char **p, const char *end, int64_t *exponent)
{
	bool		negative = false;
	const char *start;

	if (*p < end && (**p == '+' || **p == '-'))
	{
		negative = **p == '-';
		(*p)++;
	}

	start = *p;
	*p = read_digits(start, end);
	if (*p == start)
		return false;

	*exponent = 0;
	for (const char *digit = start; digit < *p; digit++)
	{
		*exponent = *exponent * 10 + (*digit - '0');
		if (*exponent > EXPONENT_CAP)
			*exponent = EXPONENT_CAP;
	}
	if (negative)
		*exponent = -*exponent;
	return true;
}

/*
 * Drop the zeros at both ends of the mantissa start..end, whose point (or, if
 * it has none, whose end) is at point, and move the exponent accordingly.
 */
static void
find_significant(const char *start, const char *point, const char *end,
				 int64_t exponent, Literal *literal)
{
	const char *first = start;
	const char *last = end - 1;

	while (first < end && !(*first >= '1' && *first <= '9'))
		first++;
	literal->is_zero = first == end;
	if (literal->is_zero)
		return;
	while (!(*last >= '1' && *last <= '9'))
		last--;

	literal->first = first;
	literal->last = last;
	literal->digits = last - first + 1;
	if (first < point && last > point)
		literal->digits--;		/* the point itself */

	/* The place of the last digit, counted from the point. */
	literal->exponent = exponent +
		(last < point ? point - last - 1 : point - last);
}

/* A price or a payment must be more than nothing. */
PayMoneyError
pay_money_check_positive(int64_t mills)
{
	if (mills > 0)
		return PAY_MONEY_OK;
	return mills == 0 ? PAY_MONEY_ZERO : PAY_MONEY_NEGATIVE;
}

/*
 * Write mills as the shortest plain decimal text: no exponent, no zeros behind
 * the last digit that counts, no point without digits.  Every int64 has room.
 */
int
pay_money_write(int64_t mills, char buf[PAY_MONEY_TEXT_SIZE])
{
	char		reversed[PAY_MONEY_TEXT_SIZE];
	uint64_t	rest = mills < 0 ? -(uint64_t) mills : (uint64_t) mills;
	int			places = MILLS_DIGITS;
	int			n = 0;
	int			length = 0;

	while (places > 0 && rest % 10 == 0)
	{
		rest /= 10;
		places--;
	}

	/* Backwards: what stands behind the point, the point, what is before it */
	for (; places > 0; places--)
	{
		reversed[n++] = '0' + rest % 10;
		rest /= 10;
		if (places == 1)
			reversed[n++] = '.';
	}
	do
	{
		reversed[n++] = '0' + rest % 10;
		rest /= 10;
	} while (rest > 0);
	if (mills < 0)
		reversed[n++] = '-';

	while (n > 0)
		buf[length++] = reversed[--n];
	buf[length] = '\0';
	return length;
}

/* What is wrong with an amount, to be put after its name. */
const char *
pay_money_error_text(PayMoneyError error)
{
	switch (error)
	{
		case PAY_MONEY_OK:
			return "is valid";
		case PAY_MONEY_SYNTAX:
			return "is not a decimal number";
		case PAY_MONEY_NAN:
			return "is not a number (NaN)";
		case PAY_MONEY_INFINITE:
			return "is infinite";
		case PAY_MONEY_ZERO:
			return "is zero";
		case PAY_MONEY_NEGATIVE:
			return "is negative";
		case PAY_MONEY_TOO_LARGE:
			return "is too large";
		case PAY_MONEY_TOO_FINE:
			return "has more decimal digits than its currency";
	}
	return "is not valid";
}

static bool
in_range(int64_t mills)
{
	return mills > -MILLS_LIMIT && mills < MILLS_LIMIT;
}

bool
pay_money_in_range(int64_t mills)
{
	return mills != 0 && in_range(mills);
}

/* a + b; false, and *sum untouched, when it is beyond the largest amount. */
bool
pay_money_add(int64_t a, int64_t b, int64_t *sum)
{
	int64_t		result;

	if (__builtin_add_overflow(a, b, &result) || !in_range(result))
		return false;
	*sum = result;
	return true;
}

/* a * n for a quantity n; false as above. */
bool
pay_money_multiply(int64_t a, int64_t n, int64_t *product)
{
	int64_t		result;

	if (__builtin_mul_overflow(a, n, &result) || !in_range(result))
		return false;
	*product = result;
	return true;
}

/* The currency's smallest unit, in mills. */
static int64_t
minor_unit(int minor_units)
{
	static const int64_t steps[PAY_MAX_MINOR_UNITS + 1] = {1000, 100, 10, 1};

	if (minor_units < 0)
		minor_units = 0;
	if (minor_units > PAY_MAX_MINOR_UNITS)
		minor_units = PAY_MAX_MINOR_UNITS;
	return steps[minor_units];
}

/*
 * The share of an amount at rate_ppm millionths, cut to the minor unit.  Cut
 * means towards zero: the share of a negative amount is the negative of the
 * amount's share, so that a reversal takes back exactly what was given.  A
 * rate outside 0..10^6 counts as the nearer bound: a share is never negative
 * and never more than the whole.
 */
int64_t
pay_money_share(int64_t mills, int32_t rate_ppm, int minor_units)
{
	int64_t		step = minor_unit(minor_units);
	int64_t		share;

	if (rate_ppm < 0)
		rate_ppm = 0;
	if (rate_ppm > PPM)
		rate_ppm = PPM;
	share = (int64_t) ((__int128) mills * rate_ppm / PPM);
	return share / step * step;
}

bool
pay_money_split(int64_t mills, const int64_t *most, int n, int minor_units,
				int64_t *parts)
{
	int64_t		unit = minor_unit(minor_units);
	__int128	total = 0;
	int64_t		left = mills;

	for (int i = 0; i < n; i++)
	{
		if (most[i] < 0 || most[i] % unit != 0)
			return false;
		total += most[i];
	}
	if (mills < 0 || mills % unit != 0 || mills > total)
		return false;

	for (int i = 0; i < n; i++)
	{
		parts[i] = total == 0 ? 0 :
			(int64_t) ((__int128) mills * most[i] / total) / unit * unit;
		left -= parts[i];
	}

	/* fewer units than parts are left: each is given to another one */
	while (left > 0)
	{
		__int128	largest = -1;
		int			taker = -1;

		for (int i = 0; i < n; i++)
		{
			__int128	remainder = (__int128) mills * most[i] -
			(__int128) parts[i] * total;

			if (remainder > largest)
			{
				largest = remainder;
				taker = i;
			}
		}
		parts[taker] += unit;
		left -= unit;
	}
	return true;
}

int64_t
pay_money_commission_back(int64_t amount, int64_t commission, int64_t returned,
						  int64_t commission_returned, int64_t mills,
						  int minor_units)
{
	int64_t		unit = minor_unit(minor_units);
	int64_t		remains = amount - returned;
	int64_t		commission_remains = commission - commission_returned;
	int64_t		least = commission_remains - (remains - mills);
	int64_t		most = mills < commission_remains ? mills : commission_remains;
	int64_t		share = (int64_t) ((__int128) commission *
								   (returned + mills) / amount) / unit * unit -
	commission_returned;

	if (share > most)
		share = most;
	if (share < least)
		share = least;
	return share < 0 ? 0 : share;
}
