/*
 * zero_sum.c
 *		Do entries add up to zero in every currency?
 *
 * Owns nothing.  A currency is looked up by going through those seen so far,
 * the last one first: in practice there is one, or each has its entries
 * together, so that the cost of an entry is constant.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "money.h"
#include "zero_sum.h"

/* Currencies that a message names at most */
#define NAMED	20

static int	find(PayZeroSum *zero_sum, PayCurrencyCode currency);
static void make_room(PayZeroSum *zero_sum);
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
	zero_sum->last = 0;
	zero_sum->room = PAY_ZERO_SUM_USUAL;
	zero_sum->currencies = zero_sum->usual;
}

void
pay_zero_sum_add(PayZeroSum *zero_sum, PayCurrencyCode currency, int64 amount)
{
	int			i = zero_sum->last;

	if (i >= zero_sum->n || zero_sum->currencies[i].code != currency)
		i = find(zero_sum, currency);
	zero_sum->currencies[i].sum += amount;
	zero_sum->last = i;
}

/* The place of a currency, a new one when it has not been seen. */
static int
find(PayZeroSum *zero_sum, PayCurrencyCode currency)
{
	int			i = 0;

	while (i < zero_sum->n && zero_sum->currencies[i].code != currency)
		i++;
	if (i < zero_sum->n)
		return i;
	if (zero_sum->n == zero_sum->room)
		make_room(zero_sum);
	zero_sum->currencies[i].code = currency;
	zero_sum->currencies[i].sum = 0;
	zero_sum->n++;
	return i;
}

static void
make_room(PayZeroSum *zero_sum)
{
	Size		size = sizeof(PayZeroSumCurrency) * zero_sum->room;

	if (zero_sum->currencies == zero_sum->usual)
	{
		zero_sum->currencies = palloc(2 * size);
		memcpy(zero_sum->currencies, zero_sum->usual, size);
	}
	else
		zero_sum->currencies = repalloc(zero_sum->currencies, 2 * size);
	zero_sum->room *= 2;
}

char *
pay_zero_sum_residual(const PayZeroSum *zero_sum)
{
	StringInfoData text;
	int			named = 0;

	text.data = NULL;
	for (int i = 0; i < zero_sum->n; i++)
	{
		const PayZeroSumCurrency *currency = &zero_sum->currencies[i];

		if (currency->sum == 0)
			continue;
		if (named == 0)
			initStringInfo(&text);
		else
			appendStringInfoString(&text, ", ");
		if (named++ == NAMED)
		{
			appendStringInfoString(&text, "and others");
			break;
		}
		append_amount(&text, currency->sum);
		appendStringInfo(&text, " %c%c%c", (int) (currency->code >> 16 & 0xff),
						 (int) (currency->code >> 8 & 0xff),
						 (int) (currency->code & 0xff));
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
