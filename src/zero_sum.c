/*
 * zero_sum.c
 *		Do entries add up to zero in every currency?
 *
 * Owns nothing.  A currency is looked up by going through those seen so far:
 * in practice there is one, and never more than a fixed number, so that the
 * cost of an entry is constant.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "money.h"
#include "zero_sum.h"

static void append_amount(StringInfo text, int128 mills);

PayCurrencyCode
pay_zero_sum_pack(const char *currency)
{
	PayCurrencyCode code = 0;

	if (strlen(currency) != 3)
		return 0;
	for (int i = 0; i < 3; i++)
	{
		if (currency[i] < 'A' || currency[i] > 'Z')
			return 0;
		code = code << 8 | (unsigned char) currency[i];
	}
	return code;
}

void
pay_zero_sum_begin(PayZeroSum *zero_sum)
{
	zero_sum->n = 0;
}

bool
pay_zero_sum_add(PayZeroSum *zero_sum, PayCurrencyCode currency, int64 amount)
{
	int			i = 0;

	while (i < zero_sum->n && zero_sum->currencies[i] != currency)
		i++;
	if (i == PAY_ZERO_SUM_CURRENCIES)
		return false;
	if (i == zero_sum->n)
	{
		zero_sum->currencies[i] = currency;
		zero_sum->sums[i] = 0;
		zero_sum->n++;
	}
	zero_sum->sums[i] += amount;
	return true;
}

char *
pay_zero_sum_residual(const PayZeroSum *zero_sum)
{
	StringInfoData text;

	text.data = NULL;
	for (int i = 0; i < zero_sum->n; i++)
	{
		PayCurrencyCode code = zero_sum->currencies[i];

		if (zero_sum->sums[i] == 0)
			continue;
		if (text.data == NULL)
			initStringInfo(&text);
		else
			appendStringInfoString(&text, ", ");
		append_amount(&text, zero_sum->sums[i]);
		appendStringInfo(&text, " %c%c%c", (int) (code >> 16 & 0xff),
						 (int) (code >> 8 & 0xff), (int) (code & 0xff));
	}
	return text.data;
}

/* errtableconstraint without a Relation: there is none before a commit. */
int
pay_zero_sum_errconstraint(void)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, "payments");
	err_generic_string(PG_DIAG_TABLE_NAME, "ledger_entry");
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, "ledger_entry_zero_sum");
	return 0;
}

/* Append mills as the shortest decimal text, whatever their size. */
static void
append_amount(StringInfo text, int128 mills)
{
	char		digits[48];
	int			end = sizeof(digits);
	int			start = end;
	bool		negative = mills < 0;
	int128		rest = negative ? -mills : mills;

	/* from the last digit to the first, the point after the third of them */
	for (int i = 0; rest != 0 || i <= 3; i++)
	{
		if (i == 3)
			digits[--start] = '.';
		digits[--start] = '0' + (int) (rest % 10);
		rest /= 10;
	}

	while (digits[end - 1] == '0')
		end--;
	if (digits[end - 1] == '.')
		end--;
	if (negative)
		appendStringInfoChar(text, '-');
	appendBinaryStringInfo(text, digits + start, end - start);
}
