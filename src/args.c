/*
 * args.c
 *		Arguments of SQL-callable functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "datatype/timestamp.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"

#include "args.h"

#define MAX_SHOWN	64			/* bytes; the length of an order id at most */

void
pay_args_require(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is null", name),
				 errhint("Give a value for this argument.")));
}

const char *
pay_args_shown(const char *text)
{
	size_t		len = strlen(text);

	if (len <= MAX_SHOWN)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, (int) len, MAX_SHOWN), text);
}

bool
pay_args_is_line(const char *text)
{
	if (text[strspn(text, " ")] == '\0')
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

int
pay_args_number(FunctionCallInfo fcinfo, int n, const char *name, int most)
{
	int32		number;

	pay_args_require(fcinfo, n, name);
	number = PG_GETARG_INT32(n);
	if (number < 1 || number > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range", name),
				 errhint("Give a number from 1 to %d.", most)));
	return number;
}

long
pay_args_milliseconds(const Interval *interval, const char *name)
{
	if (interval->month == 0 && interval->day >= 0 && interval->day <= 1 &&
		interval->time >= 0 && interval->time <= USECS_PER_DAY)
	{
		int64		us = interval->day * USECS_PER_DAY + interval->time;

		if (us <= USECS_PER_DAY)
			return (long) (us / 1000);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is out of range", name),
			 errhint("It must be at least 0 and at most 1 day.")));
	return 0;					/* keep compiler quiet */
}

Datum
pay_args_record(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}
