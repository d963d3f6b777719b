/*
 * amount.c
 *		Amounts at the border between SQL's numeric and C's mills.
 *
 * Values cross as decimal text, which both sides read exactly.  The arithmetic
 * is money.c's; the wording of what is wrong with an amount is here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "amount.h"

static int64 from_caller(Datum numeric, int minor_units, const char *currency,
						 const char *what, bool positive);

Datum
pay_amount_to_numeric(int64 mills)
{
	int			scale = PAY_MAX_MINOR_UNITS;

	/* the fewest digits that are exact: 15000, not 15000.000 */
	while (scale > 0 && mills % 10 == 0)
	{
		mills /= 10;
		scale--;
	}
	if (scale == 0)
		return NumericGetDatum(int64_to_numeric(mills));
	return NumericGetDatum(int64_div_fast_to_numeric(mills, scale));
}

int64
pay_amount_from_table(Datum numeric)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   numeric));
	int64		mills;

	if (pay_money_read(text, strlen(text), PAY_MAX_MINOR_UNITS,
					   &mills) != PAY_MONEY_OK)
		elog(ERROR, "unexpected amount \"%s\" in a table", text);
	pfree(text);
	return mills;
}

int64
pay_amount_from_balance(Datum numeric)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   numeric));
	int64		mills;
	PayMoneyError error = pay_money_read(text, strlen(text),
										 PAY_MAX_MINOR_UNITS, &mills);
	Datum		thousand;

	if (error != PAY_MONEY_OK && error != PAY_MONEY_TOO_LARGE)
		elog(ERROR, "unexpected balance \"%s\" in a table", text);
	pfree(text);
	if (error == PAY_MONEY_OK)
		return mills;

	thousand = NumericGetDatum(int64_to_numeric(PAY_MILLS_PER_UNIT));
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 DirectFunctionCall2(numeric_mul,
																 numeric,
																 thousand)));
}

int64
pay_amount_from_caller(Datum numeric, int minor_units, const char *currency,
					   const char *what)
{
	return from_caller(numeric, minor_units, currency, what, true);
}

int64
pay_amount_signed_from_caller(Datum numeric, int minor_units,
							  const char *currency, const char *what)
{
	return from_caller(numeric, minor_units, currency, what, false);
}

bool
pay_amount_signed_read(Datum numeric, int minor_units, int64 *mills)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   numeric));
	PayMoneyError error = pay_money_read(text, strlen(text), minor_units,
										 mills);

	pfree(text);
	return error == PAY_MONEY_OK && *mills != 0;
}

static int64
from_caller(Datum numeric, int minor_units, const char *currency,
			const char *what, bool positive)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   numeric));
	int64		mills = 0;
	PayMoneyError error;

	error = pay_money_read(text, strlen(text), minor_units, &mills);
	if (error == PAY_MONEY_OK)
	{
		error = pay_money_check_positive(mills);
		if (error == PAY_MONEY_NEGATIVE && !positive)
			error = PAY_MONEY_OK;
	}
	if (error == PAY_MONEY_OK)
	{
		pfree(text);
		return mills;
	}

	/* a value may have a hundred thousand digits: show the first ones */
	if (strlen(text) > 40)
		memcpy(text + 37, "...", 4);
	ereport(ERROR,
			(errcode(error == PAY_MONEY_TOO_LARGE ?
					 ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE :
					 ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s", what, pay_money_error_text(error)),
			 errdetail("The value is %s, the currency is %s with %d digits after the point.",
					   text, currency, minor_units),
			 errhint("Amounts are %sbelow 10^15, in units of the currency and no finer than it has digits.",
					 positive ? "positive, " :
					 error == PAY_MONEY_ZERO ? "not zero, " : "")));
	return 0;					/* keep compiler quiet */
}

char *
pay_amount_text(int64 mills)
{
	char	   *text = palloc(PAY_MONEY_TEXT_SIZE);

	pay_money_write(mills, text);
	return text;
}
