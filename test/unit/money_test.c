/*
 * money_test.c
 *		Amounts are read, written and calculated exactly, or refused.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "money.h"
#include "tap.h"

#define LIMIT_MILLS		(PAY_AMOUNT_LIMIT * PAY_MILLS_PER_UNIT)

typedef struct Literal
{
	const char *text;
	int			minor_units;
	PayMoneyError error;
	int64_t		mills;
} Literal;

#define GOOD(text, units, mills)	{text, units, PAY_MONEY_OK, INT64_C(mills)}
#define BAD(text, units, error)		{text, units, PAY_MONEY_##error, 0}

static const Literal literals[] = {
	/* integers */
	GOOD("0", 0, 0), GOOD("-0", 0, 0), GOOD("1", 0, 1000),
	GOOD("-1", 0, -1000), GOOD("15000", 0, 15000000),
	BAD("9007199254740993", 0, TOO_LARGE),
	GOOD("999999999999999", 0, 999999999999999000),
	GOOD("-999999999999999", 0, -999999999999999000),
	BAD("1000000000000000", 0, TOO_LARGE), BAD("-1000000000000000", 0, TOO_LARGE),
	BAD("9223372036854775807", 0, TOO_LARGE), BAD("9223372036854775808", 0, TOO_LARGE),
	BAD("18446744073709551616", 0, TOO_LARGE), BAD("18446744073709566616", 0, TOO_LARGE),
	BAD("99999999999999999999999999999999999999999", 0, TOO_LARGE),

	/* fractions */
	GOOD("15000.0", 0, 15000000), GOOD("15000.000000000000000000000", 0, 15000000),
	GOOD("1.25", 2, 1250), GOOD("1.250", 2, 1250), GOOD("0.5", 2, 500),
	GOOD("0.001", 3, 1), GOOD("-0.001", 3, -1), GOOD("0.010", 2, 10),
	GOOD("0.0", 0, 0), GOOD("-0.000", 0, 0),
	GOOD("999999999999999.999", 3, 999999999999999999),
	BAD("1000.5", 0, TOO_FINE), BAD("1000.6", 0, TOO_FINE), BAD("0.1", 0, TOO_FINE),
	BAD("1.255", 2, TOO_FINE), BAD("0.0001", 3, TOO_FINE), BAD("-0.0001", 3, TOO_FINE),
	BAD("0.99999999999999999999999999999", 0, TOO_FINE),
	BAD("15000.000000000000000000001", 3, TOO_FINE),
	BAD("999999999999999.9999", 3, TOO_FINE),
	BAD("1000000000000000.5", 0, TOO_LARGE),
	BAD("1.5", -1, TOO_FINE), GOOD("1.555", 9, 1555), BAD("1.5555", 9, TOO_FINE),

	/* exponents */
	GOOD("1e3", 0, 1000000), GOOD("1E3", 0, 1000000), GOOD("1e+3", 0, 1000000),
	GOOD("1.5e4", 0, 15000000), GOOD("15e3", 0, 15000000), GOOD("150000e-1", 0, 15000000),
	GOOD("1500000.0e-2", 0, 15000000), GOOD("0.00015e8", 0, 15000000),
	GOOD("1e0", 0, 1000), GOOD("1e-0", 0, 1000), GOOD("1e00000000000000000003", 0, 1000000),
	GOOD("0e999999999999999999999999", 0, 0), GOOD("-0.000e-99999999999999999999", 0, 0),
	GOOD("1e14", 0, 100000000000000000), BAD("1e15", 0, TOO_LARGE),
	GOOD("0.1e15", 0, 100000000000000000), GOOD("1e-3", 3, 1), BAD("1e-4", 3, TOO_FINE),
	BAD("1E400", 0, TOO_LARGE), BAD("1e-400", 3, TOO_FINE),
	BAD("1e999999999999999999999999999", 0, TOO_LARGE),
	BAD("1e-999999999999999999999999999", 3, TOO_FINE),
	BAD("1e9223372036854775807", 0, TOO_LARGE), BAD("1e-9223372036854775808", 3, TOO_FINE),
	BAD("1e18446744073709551616", 0, TOO_LARGE), BAD("1e4294967296", 0, TOO_LARGE),

	/* no numbers, or not as JSON and the server write them */
	BAD("", 0, SYNTAX), BAD("-", 0, SYNTAX), BAD("+1", 0, SYNTAX), BAD("--1", 0, SYNTAX),
	BAD(" 1", 0, SYNTAX), BAD("1 ", 0, SYNTAX), BAD("1\n", 0, SYNTAX), BAD("\t1", 0, SYNTAX),
	BAD(".5", 2, SYNTAX), BAD("5.", 2, SYNTAX), BAD(".", 0, SYNTAX), BAD("-.5", 2, SYNTAX),
	BAD("01", 0, SYNTAX), BAD("00", 0, SYNTAX), BAD("-01", 0, SYNTAX), BAD("00.5", 2, SYNTAX),
	BAD("1e", 0, SYNTAX), BAD("1e+", 0, SYNTAX), BAD("e1", 0, SYNTAX), BAD("1e1.5", 0, SYNTAX),
	BAD("1e1e1", 0, SYNTAX), BAD("1.2.3", 3, SYNTAX), BAD("1,000", 0, SYNTAX),
	BAD("1_000", 0, SYNTAX), BAD("0x10", 0, SYNTAX), BAD("1000\xec\x9b\x90", 0, SYNTAX),
	BAD("\xef\xbc\x91", 0, SYNTAX), BAD("\"1000\"", 0, SYNTAX), BAD("true", 0, SYNTAX),
	BAD("null", 0, SYNTAX), BAD("nan", 0, SYNTAX), BAD("inf", 0, SYNTAX),
	BAD("infinity", 0, SYNTAX), BAD("-NaN", 0, SYNTAX), BAD("+Infinity", 0, SYNTAX),
	BAD("NaN ", 0, SYNTAX), BAD("$1", 0, SYNTAX), BAD("1-", 0, SYNTAX),
	BAD("NaN", 0, NAN), BAD("Infinity", 0, INFINITE), BAD("-Infinity", 0, INFINITE),
};

static uint64_t random_state = 20261123;

static uint64_t
random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(2685821657736338717);
}

/* Any size equally likely, up to the limit, either sign. */
static int64_t
random_mills(void)
{
	int64_t		mills = (int64_t) (random64() >> (4 + random64() % 60)) % LIMIT_MILLS;

	return random64() % 2 ? mills : -mills;
}

static void
test_literals(void)
{
	const int64_t untouched = INT64_C(-77777);

	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++)
	{
		Literal		literal = literals[i];
		int64_t		mills = untouched;
		PayMoneyError error;

		error = pay_money_read(literal.text, strlen(literal.text),
							   literal.minor_units, &mills);
		tap_check(error == literal.error, "'%s' at %d: %s", literal.text,
				  literal.minor_units, pay_money_error_text(error));
		tap_check(mills == (literal.error == PAY_MONEY_OK ? literal.mills : untouched),
				  "'%s': %" PRId64, literal.text, mills);
	}
	tap_checked("literals of every kind");
}

/* The length counts, not a terminator; and a zero byte is no digit. */
static void
test_length(void)
{
	int64_t		mills;

	tap_check(pay_money_read("15000", 2, 0, &mills) == PAY_MONEY_OK &&
			  mills == 15000, "first two bytes");
	tap_check(pay_money_read("15\0000", 5, 0, &mills) == PAY_MONEY_SYNTAX, "zero byte");
	tap_check(pay_money_read("1", 0, 0, &mills) == PAY_MONEY_SYNTAX, "no bytes");
	tap_checked("the length rules");
}

static void
test_long_text(void)
{
	size_t		n = 1000000;
	char	   *text = malloc(n + 32);
	int64_t		mills = 0;

	/* 1, a million zeros, and an exponent that takes them back */
	text[0] = '1';
	memset(text + 1, '0', n);
	strcpy(text + 1 + n, "e-1000000");
	tap_check(pay_money_read(text, strlen(text), 0, &mills) == PAY_MONEY_OK &&
			  mills == 1000, "%" PRId64, mills);

	memset(text, '0', n);
	text[1] = '.';
	strcpy(text + n, "1e999999");
	mills = 0;
	tap_check(pay_money_read(text, strlen(text), 0, &mills) == PAY_MONEY_OK &&
			  mills == 1000, "%" PRId64, mills);

	memset(text, '9', n);
	text[n] = '\0';
	tap_check(pay_money_read(text, n, 0, &mills) == PAY_MONEY_TOO_LARGE, "nines");
	free(text);
	tap_checked("texts of a million digits");
}

static void
test_write(void)
{
	static const struct
	{
		int64_t		mills;
		const char *text;
	}			rows[] = {
		{0, "0"}, {1, "0.001"}, {10, "0.01"}, {100, "0.1"}, {1000, "1"},
		{-1, "-0.001"}, {1001, "1.001"}, {1010, "1.01"}, {1250, "1.25"},
		{15000000, "15000"}, {-15000500, "-15000.5"}, {10000, "10"},
		{INT64_C(999999999999999999), "999999999999999.999"},
		{INT64_MAX, "9223372036854775.807"}, {INT64_MIN, "-9223372036854775.808"},
	};
	char		buf[PAY_MONEY_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		int			n = pay_money_write(rows[i].mills, buf);

		tap_check(same_text(buf, rows[i].text) && n == (int) strlen(buf),
				  "%s is not %s", buf, rows[i].text);
	}
	tap_checked("amounts are written in the shortest plain form");

	for (int i = 0; i < 200000; i++)
	{
		int64_t		mills = random_mills();
		int64_t		back = 0;
		int			n = pay_money_write(mills, buf);

		tap_check(pay_money_read(buf, n, 3, &back) == PAY_MONEY_OK && back == mills,
				  "%s", buf);
		tap_check((mills % 1000 == 0) ==
				  (pay_money_read(buf, n, 0, &back) == PAY_MONEY_OK), "%s", buf);
	}
	tap_checked("what is written is read back");
}

/* The same value, written in many ways, is read as the same. */
static void
test_forms(void)
{
	for (int i = 0; i < 100000; i++)
	{
		int64_t		mills = random_mills();
		char		plain[PAY_MONEY_TEXT_SIZE];
		char		text[128];
		char		mantissa[32];
		int64_t		back = 0;
		int			shift = (int) (random64() % 30);
		int			digits;

		if (mills == 0)
			mills = 1;
		pay_money_write(mills, plain);
		snprintf(text, sizeof(text), "%s%s%.*s", plain, strchr(plain, '.') ? "" : ".0",
				 (int) (random64() % 10), "000000000");
		tap_check(pay_money_read(text, strlen(text), 3, &back) == PAY_MONEY_OK &&
				  back == mills, "%s", text);

		snprintf(text, sizeof(text), "%" PRId64 "%.*se-%d", mills, shift,
				 "000000000000000000000000000000", 3 + shift);
		tap_check(pay_money_read(text, strlen(text), 3, &back) == PAY_MONEY_OK &&
				  back == mills, "%s", text);

		snprintf(mantissa, sizeof(mantissa), "%" PRIu64, (uint64_t) llabs(mills));
		digits = (int) strlen(mantissa);
		snprintf(text, sizeof(text), "%s%c.%s0E%d", mills < 0 ? "-" : "", mantissa[0],
				 mantissa + 1, digits - 1 - 3);
		tap_check(pay_money_read(text, strlen(text), 3, &back) == PAY_MONEY_OK &&
				  back == mills, "%s", text);
	}
	tap_checked("forms of one value are one amount");
}

static void
test_arithmetic(void)
{
	const int64_t top = LIMIT_MILLS - 1;
	int64_t		result = 42;

	tap_check(pay_money_check_positive(1) == PAY_MONEY_OK, "1");
	tap_check(pay_money_check_positive(0) == PAY_MONEY_ZERO, "0");
	tap_check(pay_money_check_positive(-1) == PAY_MONEY_NEGATIVE, "-1");
	tap_check(pay_money_check_positive(INT64_MIN) == PAY_MONEY_NEGATIVE, "min");

	tap_check(pay_money_add(top, 0, &result) && result == top, "top");
	tap_check(pay_money_add(-top, 0, &result) && result == -top, "bottom");
	result = 42;
	tap_check(!pay_money_add(top, 1, &result) && !pay_money_add(-top, -1, &result) &&
			  !pay_money_add(INT64_MAX, 1, &result) &&
			  !pay_money_add(INT64_MIN, -1, &result) &&
			  !pay_money_add(INT64_MAX, INT64_MAX, &result) &&
			  !pay_money_add(INT64_MAX, 0, &result) && result == 42, "beyond");
	tap_check(pay_money_multiply(1000, 999999999999999, &result) &&
			  result == INT64_C(999999999999999000), "largest product");
	result = 42;
	tap_check(!pay_money_multiply(1000, INT64_C(1000000000000000), &result) &&
			  !pay_money_multiply(INT64_C(1) << 32, INT64_C(1) << 32, &result) &&
			  !pay_money_multiply(INT64_MIN, -1, &result) &&
			  !pay_money_multiply(top, 2, &result) && result == 42, "products beyond");
	tap_check(pay_money_multiply(top, 0, &result) && result == 0, "nothing");
	tap_check(pay_money_multiply(1250, -3, &result) && result == -3750, "negative");

	for (int i = 0; i < 200000; i++)
	{
		int64_t		a = random_mills();
		int64_t		b = random_mills();
		__int128	sum = (__int128) a + b;
		__int128	product = (__int128) a * b;
		bool		sum_fits = sum < LIMIT_MILLS && sum > -LIMIT_MILLS;
		bool		product_fits = product < LIMIT_MILLS && product > -LIMIT_MILLS;

		tap_check(pay_money_add(a, b, &result) == sum_fits &&
				  (!sum_fits || result == sum), "%" PRId64 " + %" PRId64, a, b);
		tap_check(pay_money_multiply(a, b, &result) == product_fits &&
				  (!product_fits || result == product), "%" PRId64 " * %" PRId64, a, b);
	}
	tap_checked("sums and products are exact or refused");
}

static void
test_share(void)
{
	static const int64_t steps[] = {1000, 100, 10, 1};

	tap_check(pay_money_share(15000000, 25000, 0) == 375000, "2.5 %% of 15000");
	tap_check(pay_money_share(33000, 100000, 0) == 3000, "10 %% of 33, cut to 3");
	tap_check(pay_money_share(1990, 29000, 2) == 50, "2.9 %% of 1.99, cut to 0.05");
	tap_check(pay_money_share(999, 999999, 3) == 998, "less than the whole");
	tap_check(pay_money_share(LIMIT_MILLS - 1, 1000000, 3) == LIMIT_MILLS - 1, "all");
	tap_check(pay_money_share(1000, 5000000, 0) == 1000, "never more than the whole");
	tap_check(pay_money_share(1000, -5, 0) == 0, "never negative");

	for (int i = 0; i < 200000; i++)
	{
		int64_t		mills = random_mills();
		int32_t		rate = (int32_t) (random64() % 1000001);
		int			units = (int) (random64() % 4);
		int64_t		share = pay_money_share(mills, rate, units);
		__int128	exact = (__int128) (mills < 0 ? -mills : mills) * rate;
		__int128	got = (__int128) (share < 0 ? -share : share) * 1000000;

		tap_check(share % steps[units] == 0, "%" PRId64 " at %d", share, units);
		tap_check(got <= exact && exact - got < (__int128) steps[units] * 1000000,
				  "%" PRId64 " of %" PRId64 " at %d ppm", share, mills, rate);
		tap_check(pay_money_share(-mills, rate, units) == -share,
				  "a reversal of %" PRId64 " differs", mills);
	}
	tap_checked("a share is cut to the minor unit, and reverses exactly");
}

int
main(void)
{
	test_literals();
	test_length();
	test_long_text();
	test_write();
	test_forms();
	test_arithmetic();
	test_share();

	for (int i = -1; i < 10; i++)
		tap_check(pay_money_error_text(i) != NULL, "%d", i);
	tap_checked("each error has a text");
	return tap_end();
}
