/*
 * checkout.c
 *		Steps 1 and 2 of the flow: checkout and widget.
 *
 * checkout reads the lines, computes the total here and nowhere else, and
 * inserts the order.  When the order id is taken, the present order is compared
 * with what was asked for: the same content is the same order, other content
 * is an error, so that a repeated request can never make or change anything.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "currency.h"
#include "port.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "checkout.h"
#include "checkout_lines.h"
#include "db.h"
#include "errors.h"
#include "order.h"
#include "order_status.h"

#define MAX_EXPIRES_IN	(INT64CONST(366) * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(payments_checkout);
PG_FUNCTION_INFO_V1(payments_widget);

static void read_arguments(FunctionCallInfo fcinfo, PayOrder *order);
static void check_names(const PayOrder *order);
static void total(PayOrder *order);
static char *name_from_lines(const PayOrder *order);
static void compare_with_present(const PayOrder *asked, PayOrder *present,
								 bool name_given);

/*
 * payments.checkout: see 70_functions.sql.  Takes no lock beyond the inserted
 * rows; a concurrent checkout of the same order id waits for this transaction.
 */
Datum
payments_checkout(PG_FUNCTION_ARGS)
{
	PayOrder	order;
	PayOrder	present;
	Datum		result;
	MemoryContext caller;
	bool		name_given = !PG_ARGISNULL(3);

	caller = pay_db_connect();
	read_arguments(fcinfo, &order);
	if (!pay_order_insert(&order, pay_checkout_random_id("cus_")))
	{
		if (!pay_order_lock(order.order_id, &present))
			elog(ERROR, "order \"%s\" is there and not there", order.order_id);
		compare_with_present(&order, &present, name_given);
		order = present;
	}

	MemoryContextSwitchTo(caller);
	result = pay_checkout_result(fcinfo, &order);
	pay_db_finish();
	PG_RETURN_DATUM(result);
}

static void
read_arguments(FunctionCallInfo fcinfo, PayOrder *order)
{
	pay_args_require(fcinfo, 0, "buyer_id");
	pay_args_require(fcinfo, 1, "lines");
	pay_args_require(fcinfo, 4, "currency");
	pay_args_require(fcinfo, 5, "merchant");
	pay_args_require(fcinfo, 6, "expires_in");

	memset(order, 0, sizeof(PayOrder));
	order->buyer_id = PG_GETARG_INT64(0);
	order->order_id = PG_ARGISNULL(2) ? pay_checkout_random_id("ord_") :
		text_to_cstring(PG_GETARG_TEXT_PP(2));
	order->currency = text_to_cstring(PG_GETARG_TEXT_PP(4));
	order->merchant = text_to_cstring(PG_GETARG_TEXT_PP(5));
	order->minor_units = pay_currency_minor_units(order->currency);
	pay_checkout_lines_read(PG_GETARG_JSONB_P(1), order);
	total(order);
	order->order_name = PG_ARGISNULL(3) ? name_from_lines(order) :
		text_to_cstring(PG_GETARG_TEXT_PP(3));
	if (!PG_ARGISNULL(7))
	{
		Jsonb	   *metadata = PG_GETARG_JSONB_P(7);

		if (!JB_ROOT_IS_OBJECT(metadata))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("metadata is not a JSON object"),
					 errhint("Give an object, for example {\"cart\": 17}.")));
		order->metadata = JsonbToCString(NULL, &metadata->root,
										 VARSIZE(metadata));
	}

	pay_checkout_set_times(order, PG_GETARG_INTERVAL_P(6));
	check_names(order);
}

void
pay_checkout_set_times(PayOrder *order, Interval *expires_in)
{
	order->created_at = GetCurrentTimestamp();
	order->expires_at =
		DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												TimestampTzGetDatum(order->created_at),
												IntervalPGetDatum(expires_in)));
	if (order->expires_at <= order->created_at ||
		order->expires_at - order->created_at > MAX_EXPIRES_IN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expires_in is out of range"),
				 errhint("It must be positive and at most 366 days.")));
}

static void
check_names(const PayOrder *order)
{
	int			name_length = pg_mbstrlen(order->order_name);

	pay_order_check_id(order->order_id);
	if (order->buyer_id <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("buyer_id is not positive"),
				 errdetail("The value is " INT64_FORMAT ".", order->buyer_id),
				 errhint("Give the number that the buyer has in your own tables.")));
	if (name_length < 1 || name_length > PAY_MAX_ORDER_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("order_name is too %s", name_length < 1 ? "short" : "long"),
				 errdetail("It has %d characters.", name_length),
				 errhint("An order name has 1 to %d characters.",
						 PAY_MAX_ORDER_NAME)));
	(void) pay_order_client_key(order->merchant);	/* must exist */
}

/* The total of the lines, which must itself be an amount. */
static void
total(PayOrder *order)
{
	order->amount = 0;
	for (int i = 0; i < order->n_lines; i++)
		if (!pay_money_add(order->amount, order->lines[i].amount,
						   &order->amount))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the total of the lines is too large"),
					 errhint("Amounts are below 10^15.")));
}

/* prefix and 128 random bits, in the alphabet of an order id */
char *
pay_checkout_random_id(const char *prefix)
{
	uint8		bytes[16];
	StringInfoData token;

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	initStringInfo(&token);
	appendStringInfoString(&token, prefix);
	for (size_t i = 0; i < sizeof(bytes); i++)
		appendStringInfo(&token, "%02x", bytes[i]);
	return token.data;
}

/*
 * "name of the first line", and " 외 2건" (and two more) when there are more:
 * what Korean shops write.  Cut to the length that Toss allows.
 */
static char *
name_from_lines(const PayOrder *order)
{
	const char *first = order->lines[0].product_name;
	int			more = order->n_lines - 1;
	char	   *suffix = "";
	int			room;
	int			len;

	if (first == NULL)
		return order->order_id;
	if (more > 0)
		suffix = GetDatabaseEncoding() == PG_UTF8 ?
			psprintf(" 외 %d건", more) : psprintf(" +%d", more);
	room = PAY_MAX_ORDER_NAME - pg_mbstrlen(suffix);
	len = pg_mbcharcliplen(first, strlen(first), room);
	return psprintf("%.*s%s", len, first, suffix);
}

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
same_lines(const PayOrder *a, const PayOrder *b)
{
	if (a->n_lines != b->n_lines)
		return false;
	for (int i = 0; i < a->n_lines; i++)
	{
		const PayOrderLine *x = &a->lines[i];
		const PayOrderLine *y = &b->lines[i];

		if (x->seller_id != y->seller_id || x->amount != y->amount ||
			x->quantity != y->quantity ||
			!same_text(x->product_id, y->product_id) ||
			!same_text(x->product_name, y->product_name))
			return false;
	}
	return true;
}

/*
 * The order id is taken: every argument but expires_in, and order_name when it
 * is given, must be what the present order has, else PY002 names those that
 * differ.
 */
static void
compare_with_present(const PayOrder *asked, PayOrder *present,
					 bool name_given)
{
	StringInfoData differing;

	pay_order_read_lines(present);

	initStringInfo(&differing);
	if (asked->buyer_id != present->buyer_id)
		appendStringInfoString(&differing, ", buyer_id");
	if (!same_lines(asked, present))
		appendStringInfoString(&differing, ", lines");
	if (name_given && !same_text(asked->order_name, present->order_name))
		appendStringInfoString(&differing, ", order_name");
	if (!same_text(asked->currency, present->currency))
		appendStringInfoString(&differing, ", currency");
	if (!same_text(asked->merchant, present->merchant))
		appendStringInfoString(&differing, ", merchant");
	if (!same_text(asked->metadata, present->metadata))
		appendStringInfoString(&differing, ", metadata");
	if (differing.len == 0)
		return;

	ereport(ERROR,
			(errcode(ERRCODE_PAY_ORDER_DIFFERS),
			 errmsg("order \"%s\" exists with other content",
					asked->order_id),
			 errdetail("These arguments differ: %s.", differing.data + 2),
			 errhint("Use a new order_id for a new order.")));
}

Datum
pay_checkout_result(FunctionCallInfo fcinfo, const PayOrder *order)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(order->order_id);
	values[1] = pay_amount_to_numeric(order->amount);
	values[2] = CStringGetTextDatum(order->currency);
	values[3] = CStringGetTextDatum(order->order_name);
	values[4] = TimestampTzGetDatum(order->expires_at);
	return pay_args_record(fcinfo, values, nulls);
}

/*
 * payments.widget: see 70_functions.sql.  Gives what TossPayments(clientKey),
 * widgets({customerKey}), setAmount and requestPayment take (toss-api 13).
 */
Datum
payments_widget(PG_FUNCTION_ARGS)
{
	char	   *order_id;
	PayOrder	order;
	PayOrderState state;
	StringInfoData json;
	MemoryContext caller;

	pay_args_require(fcinfo, 0, "order_id");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));

	caller = pay_db_connect();
	if (!pay_order_read(order_id, &order) ||
		!pay_order_state(order_id, false, &state, NULL))
		pay_order_unknown(order_id);
	pay_order_must_be_open(&order, state, GetCurrentTimestamp());

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"clientKey\": ");
	escape_json(&json, pay_order_client_key(order.merchant));
	appendStringInfoString(&json, ", \"customerKey\": ");
	escape_json(&json, pay_order_customer_key(order.buyer_id));
	appendStringInfoString(&json, ", \"orderId\": ");
	escape_json(&json, order.order_id);
	appendStringInfoString(&json, ", \"orderName\": ");
	escape_json(&json, order.order_name);
	appendStringInfo(&json, ", \"amount\": {\"currency\": \"%s\", \"value\": %s}",
					 order.currency, pay_amount_text(order.amount));
	if (!PG_ARGISNULL(1))
	{
		appendStringInfoString(&json, ", \"successUrl\": ");
		escape_json(&json, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	}
	if (!PG_ARGISNULL(2))
	{
		appendStringInfoString(&json, ", \"failUrl\": ");
		escape_json(&json, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	}
	appendStringInfoChar(&json, '}');

	MemoryContextSwitchTo(caller);
	json.data = pstrdup(json.data);
	pay_db_finish();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in,
										CStringGetDatum(json.data)));
}
