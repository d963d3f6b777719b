/*-------------------------------------------------------------------------
 *
 * amount.c
 *	  Money as whole thousandths of the currency unit.
 *
 * Thousandths hold every currency Toss settles in, up to 10^15 units.  A
 * number that does not fit exactly is refused, never rounded; there is no
 * floating point.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "simulator.h"

#define SCALE_DIGITS 3

/*
 * Reads a JSON number.  Accepts 15000, 15000.0, 1.25 and 1.5e4; refuses
 * more than three decimals other than zeros, and 10^15 and above.
 */
bool
sim_amount_parse(const char *text, size_t length, Amount *amount)
{
	const char *end = text + length;
	bool		negative = false;
	bool		point = false;
	int			exponent = 0;
	int64_t		value = 0;
	int			scale = 0;

	if (text < end && *text == '-')
	{
		negative = true;
		text++;
	}
	for (; text < end && ((*text >= '0' && *text <= '9') || *text == '.');
		 text++)
	{
		if (*text == '.')
		{
			if (point)
				return false;
			point = true;
			continue;
		}
		if (value >= INT64_MAX / 100)
			return false;
		value = value * 10 + (*text - '0');
		scale += point ? 1 : 0;
	}
	if (text < end && (*text == 'e' || *text == 'E'))
	{
		int			sign = 1;

		if (++text < end && (*text == '+' || *text == '-'))
			sign = *text++ == '-' ? -1 : 1;
		for (; text < end && *text >= '0' && *text <= '9'; text++)
		{
			if (exponent > 100)
				return false;
			exponent = exponent * 10 + (*text - '0');
		}
		exponent *= sign;
	}
	if (text != end)
		return false;

	/* Bring the digits to thousandths without losing any. */
	for (scale = SCALE_DIGITS - scale + exponent; scale != 0 && value != 0;
		 scale += scale > 0 ? -1 : 1)
	{
		if (scale < 0 && value % 10 != 0)
			return false;
		if (scale > 0 && value > INT64_MAX / 10)
			return false;
		value = scale > 0 ? value * 10 : value / 10;
	}
	if (value >= INT64_C(1000000000000000) * AMOUNT_SCALE)
		return false;

	*amount = negative ? -value : value;
	return true;
}

/* Appends the shortest decimal form: 15000, 1.25. */
void
sim_amount_write(Text *out, Amount amount)
{
	int64_t		fraction = amount % AMOUNT_SCALE;

	if (amount < 0 && amount / AMOUNT_SCALE == 0)
		sim_text_add(out, "-");
	sim_text_add_int(out, amount / AMOUNT_SCALE);
	if (fraction != 0)
	{
		char		digits[5] = ".000";
		int			length = 4;

		fraction = fraction < 0 ? -fraction : fraction;
		for (int i = 3; i > 0; i--, fraction /= 10)
			digits[i] = (char) ('0' + fraction % 10);
		while (digits[length - 1] == '0')
			length--;
		sim_text_add_bytes(out, digits, (size_t) length);
	}
}

/*
 * The VAT inside a taxable amount: one eleventh, rounded half up to the
 * currency's smallest unit.  Observed for KRW; for others it is a guess.
 */
Amount
sim_amount_vat(Amount taxable, const char *currency)
{
	bool		whole = strcmp(currency, "KRW") == 0 ||
	strcmp(currency, "JPY") == 0;
	Amount		unit = whole ? AMOUNT_SCALE : AMOUNT_SCALE / 100;
	Amount		units = taxable / unit;

	return (units * 2 + 11) / 22 * unit;
}
