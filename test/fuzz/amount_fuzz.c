/*
 * amount_fuzz.c
 *		Any bytes as an amount: read exactly as a slow and simple reader does.
 *
 * The first byte of the input chooses the minor units, the rest is the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "money.h"

static void
must(bool condition)
{
	if (!condition)
		abort();
}

/*
 * The slow and simple reader, for texts with small exponents: digit by digit
 * into 128 bits, scaled step by step.  False when the text is beyond it.
 */
static bool
simple_read(const char *text, size_t len, __int128 *mills, bool *exact)
{
	__int128	value = 0;
	int			scale = 3;
	int			exponent = 0;
	bool		negative = false;
	bool		negative_exponent = false;
	bool		behind_point = false;
	size_t		i = 0;

	if (len > 24)
		return false;
	if (i < len && text[i] == '-')
		negative = true, i++;
	for (; i < len && text[i] != 'e' && text[i] != 'E'; i++)
	{
		if (text[i] == '.')
		{
			behind_point = true;
			continue;
		}
		value = value * 10 + (text[i] - '0');
		if (behind_point)
			scale--;
	}
	if (i < len)
	{
		i++;
		if (text[i] == '-' || text[i] == '+')
			negative_exponent = text[i++] == '-';
		for (; i < len; i++)
		{
			exponent = exponent * 10 + (text[i] - '0');
			if (exponent > 12)
				return false;
		}
	}
	scale += negative_exponent ? -exponent : exponent;
	*exact = true;
	for (; scale > 0; scale--)
		value *= 10;
	for (; scale < 0; scale++)
	{
		*exact = *exact && value % 10 == 0;
		value /= 10;
	}
	*mills = negative ? -value : value;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const __int128 limit = (__int128) PAY_AMOUNT_LIMIT * PAY_MILLS_PER_UNIT;
	int			minor_units;
	char	   *text;
	size_t		len;
	int64_t		mills = -1;
	int64_t		back;
	__int128	expected;
	bool		exact;
	char		written[PAY_MONEY_TEXT_SIZE];
	PayMoneyError error;

	if (size < 1)
		return 0;
	minor_units = data[0] % 4;
	len = size - 1;
	text = malloc(len > 0 ? len : 1);
	memcpy(text, data + 1, len);
	error = pay_money_read(text, len, minor_units, &mills);

	if (error == PAY_MONEY_OK)
	{
		must(mills < limit && mills > -limit);
		must(pay_money_read(written, pay_money_write(mills, written), minor_units,
							&back) == PAY_MONEY_OK && back == mills);
	}
	else
		must(mills == -1);

	if (error == PAY_MONEY_OK || error == PAY_MONEY_TOO_LARGE ||
		error == PAY_MONEY_TOO_FINE)
	{
		if (simple_read(text, len, &expected, &exact))
		{
			static const int64_t steps[] = {1000, 100, 10, 1};
			bool		large = expected >= limit || expected <= -limit;

			exact = exact && expected % steps[minor_units] == 0;
			must((error == PAY_MONEY_TOO_LARGE) == large);
			must(large || (error == PAY_MONEY_OK) == exact);
			must(error != PAY_MONEY_OK || expected == mills);
		}
	}
	free(text);
	return 0;
}
