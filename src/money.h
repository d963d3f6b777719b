/*
 * money.h
 *		Amounts of money: reading, checking, calculating.
 *
 * An amount inside C is an int64 in thousandths of the currency's unit
 * ("mills"), whatever the currency: the largest amount, below 10^15 units, is
 * below 10^18 mills and fits.  No currency has more than three minor digits
 * here.  There is no floating point, and no other file calculates amounts.
 *
 * Pure C: no memory is allocated, no error is raised, no clock is read.
 */
#ifndef PAY_MONEY_H
#define PAY_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAY_MILLS_PER_UNIT		1000
#define PAY_MAX_MINOR_UNITS		3
#define PAY_AMOUNT_LIMIT		INT64_C(1000000000000000)	/* units, exclusive */

/* Why a text is not an amount.  Data, so that messages live in one place. */
typedef enum PayMoneyError
{
	PAY_MONEY_OK = 0,
	PAY_MONEY_SYNTAX,			/* not a decimal number */
	PAY_MONEY_NAN,				/* NaN */
	PAY_MONEY_INFINITE,			/* Infinity, -Infinity */
	PAY_MONEY_ZERO,
	PAY_MONEY_NEGATIVE,
	PAY_MONEY_TOO_LARGE,		/* 10^15 or more */
	PAY_MONEY_TOO_FINE			/* more digits than the currency has */
} PayMoneyError;

/*
 * Read the decimal number text[0..len) into mills, exactly.  Accepts what JSON
 * and numeric_out write: sign, digits, fraction, exponent ("15000", "15000.0",
 * "1.5e4"), NaN and Infinity by name (as errors).  Sign and zero are allowed
 * here.  minor_units is how fine the value may be (trailing zeros do not
 * count).  Work is bounded whatever the exponent says.
 */
extern PayMoneyError pay_money_read(const char *text, size_t len,
									int minor_units, int64_t *mills);

/* A price or payment must also be positive: PAY_MONEY_OK, _ZERO, _NEGATIVE. */
extern PayMoneyError pay_money_check_positive(int64_t mills);

/* Not zero, and below the limit on either side: what an entry may be. */
extern bool pay_money_in_range(int64_t mills);

/* Write mills as the shortest plain decimal text; returns its length. */
#define PAY_MONEY_TEXT_SIZE 24
extern int	pay_money_write(int64_t mills, char buf[PAY_MONEY_TEXT_SIZE]);

/* One line, lower case, for the primary message or the detail: "is negative". */
extern const char *pay_money_error_text(PayMoneyError error);

/* a + b and a * n; false on overflow of the limit above. */
extern bool pay_money_add(int64_t a, int64_t b, int64_t *sum);
extern bool pay_money_multiply(int64_t a, int64_t n, int64_t *product);

/*
 * The share of an amount: amount * rate_ppm / 10^6, rounded down to the
 * currency's minor unit.  Used for commissions; what is cut off stays with
 * the seller.
 */
extern int64_t pay_money_share(int64_t mills, int32_t rate_ppm,
							   int minor_units);

/*
 * Split an amount over n parts in proportion to what each may take at most, in
 * whole minor units: rounded down first, and the units that are left go to the
 * largest remainders, of equal ones to the first.  No part exceeds its most,
 * and they add up exactly.  False when the amount is negative, finer than the
 * currency, or more than all of them together.
 */
extern bool pay_money_split(int64_t mills, const int64_t *most, int n,
							int minor_units, int64_t *parts);

/*
 * A line that cost amount, of which the platform kept commission, gives back
 * so much more: how much of that is commission.  returned is what it gave back
 * before, commission_returned the commission in it.  In proportion, rounded
 * down, as long as what then remains of the commission is no more than what
 * remains of the line; so the last unit takes the last of the commission with
 * it, in whatever steps and whatever was taken back in between.
 */
extern int64_t pay_money_commission_back(int64_t amount, int64_t commission,
										 int64_t returned,
										 int64_t commission_returned,
										 int64_t mills, int minor_units);

#endif							/* PAY_MONEY_H */
