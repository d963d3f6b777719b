/*
 * seller.c
 *		Sellers: set_seller.
 *
 * The rate is checked here, so that an error says what a rate is; the table's
 * constraints would show the row.  A rate that is too fine is refused like such
 * an amount: rounded, it would not be the one that was agreed upon.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "operator_action.h"

#define RATE_DIGITS	6			/* after the point, as the column has */
#define MAX_SHOWN	40			/* bytes of a number */

/* What an operator is told, and the record of it */
#define RATE_TEXT	"'commission rate ' OPERATOR(pg_catalog.||)" \
	" pg_catalog.trim_scale(commission_rate)::pg_catalog.text"

PG_FUNCTION_INFO_V1(payments_set_seller);

static void put_seller(FunctionCallInfo fcinfo, PayOperatorAction *action);
static void check_rate(Datum rate);
static bool holds(PGFunction compare, Datum a, Datum b);

/* payments.set_seller: see 70_functions.sql. */
Datum
payments_set_seller(PG_FUNCTION_ARGS)
{
	PayOperatorAction action = {.action = "set_seller"};

	pay_args_require(fcinfo, 0, "seller_id");
	pay_args_require(fcinfo, 1, "commission_rate");
	if (PG_GETARG_INT64(0) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("seller_id is not positive"),
				 errdetail("It is " INT64_FORMAT ".", PG_GETARG_INT64(0)),
				 errhint("Give the application's own id of the seller, 1 or more.")));
	check_rate(PG_GETARG_DATUM(1));

	action.seller_id = PG_GETARG_INT64(0);

	pay_db_connect();
	put_seller(fcinfo, &action);
	pay_operator_action_record(&action, GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_VOID();
}

/*
 * Add it, or change it, and tell what it was before and is now.  Who finds it
 * there waits for whoever has just added it, and reads it behind him.
 */
static void
put_seller(FunctionCallInfo fcinfo, PayOperatorAction *action)
{
	static PayStatement add = {
		"INSERT INTO payments.seller (id, commission_rate, created_at)"
		" VALUES ($1, $2, pg_catalog.now())"
		" ON CONFLICT ON CONSTRAINT seller_pkey DO NOTHING"
		" RETURNING " RATE_TEXT,
		2, {INT8OID, NUMERICOID}
	};
	static PayStatement lock = {
		"SELECT " RATE_TEXT " FROM ONLY payments.seller WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
		1, {INT8OID}
	};
	static PayStatement change = {
		"UPDATE payments.seller SET commission_rate = $2"
		" WHERE id OPERATOR(pg_catalog.=) $1"
		" RETURNING " RATE_TEXT,
		2, {INT8OID, NUMERICOID}
	};
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	if (pay_db_run(&add, values, NULL) == 0)
	{
		if (pay_db_run(&lock, values, NULL) != 1)
			elog(ERROR, "seller vanished while it was changed");
		action->was = pay_db_text(0, 1);
		pay_db_run(&change, values, NULL);
	}
	action->became = pay_db_text(0, 1);
}

/* 0 to below 1, and as fine as the column keeps it.  NaN is above all. */
static void
check_rate(Datum rate)
{
	char	   *text;

	if (holds(numeric_ge, rate, NumericGetDatum(int64_to_numeric(0))) &&
		holds(numeric_lt, rate, NumericGetDatum(int64_to_numeric(1))) &&
		holds(numeric_eq, rate,
			  DirectFunctionCall2(numeric_round, rate,
								  Int32GetDatum(RATE_DIGITS))))
		return;

	/* a value may have a hundred thousand digits: show the first ones */
	text = DatumGetCString(DirectFunctionCall1(numeric_out, rate));
	if (strlen(text) > MAX_SHOWN)
		memcpy(text + MAX_SHOWN - 3, "...", 4);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("commission_rate is not valid"),
			 errdetail("It is %s.", text),
			 errhint("It is a fraction from 0 to below 1, with %d digits after the point at most: 0.035 is 3.5 %%.",
					 RATE_DIGITS)));
}

static bool
holds(PGFunction compare, Datum a, Datum b)
{
	return DatumGetBool(DirectFunctionCall2(compare, a, b));
}
