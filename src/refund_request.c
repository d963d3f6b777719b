/*
 * refund_request.c
 *		payments.refund: what is to go back, and out of which lines.
 *
 * All of it happens under the event's lock, so the lines are read as they are,
 * and two refunds of an order come one after the other; a constraint stands
 * behind it (refund.c).  Nothing is sent before the caller has committed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "deposit.h"
#include "errors.h"
#include "fault.h"
#include "order.h"
#include "order_status.h"
#include "refund.h"
#include "refund_account.h"
#include "refund_argument.h"

PG_FUNCTION_INFO_V1(payments_refund);

static void check_refundable(const PayOrder *order,
							 const PayTossAccount *account);
static void hide_statement(void *arg);
static int64 find_same(const char *order_id, const PayRefund *refund);
static char *draw_token(const PayOrder *order, const char *idempotency_key);
static void choose_lines(FunctionCallInfo fcinfo, const PayOrder *order,
						 PayRefund *refund);
static int64 amount_argument(FunctionCallInfo fcinfo, const PayOrder *order,
							 int64 rest);
static void split_amount(const PayOrder *order, const PayRefundable *lines,
						 int n, int64 amount, int64 *parts);
static void take_one_line(const PayOrder *order, const PayRefundable *lines,
						  int n, int64 payment_order_id, int64 amount,
						  int64 *parts);
static void take_given_lines(const PayOrder *order, Jsonb *json,
							 const PayRefundable *lines, int n, int64 *parts);
static void read_line(JsonbContainer *json, const PayOrder *order,
					  int64 *payment_order_id, int64 *amount);
pg_noreturn static void lines_error(const char *problem);
pg_noreturn static void refuse_amount(const PayOrder *order, int64 asked,
									  int64 left);

/*
 * payments.refund: see 70_functions.sql.  Locks the event.
 */
Datum
payments_refund(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PayRefund	refund = {0};
	PayTossAccount account;
	ErrorContextCallback hide = {error_context_stack, hide_statement, NULL};
	PayOrder	order;
	char	   *order_id;

	if (!PG_ARGISNULL(4))
		error_context_stack = &hide;
	pay_args_require(fcinfo, 0, "order_id");
	order_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	refund.reason = pay_refund_reason(fcinfo);
	refund.idempotency_key = pay_refund_key(fcinfo);
	if (!PG_ARGISNULL(4))
	{
		pay_refund_account_read(PG_GETARG_JSONB_P(4), &account);
		refund.account = &account;
	}
	refund.request = pay_refund_request_text(fcinfo);
	refund.requested_by = GetUserNameFromId(GetSessionUserId(), false);

	pay_db_connect();
	if (!pay_order_lock(order_id, &order))
		pay_order_unknown(order_id);
	refund.id = find_same(order_id, &refund);
	if (refund.id == 0)
	{
		check_refundable(&order, refund.account);
		choose_lines(fcinfo, &order, &refund);
		refund.token = draw_token(&order, refund.idempotency_key);
		pay_refund_insert(&order, &refund, now);
		PAY_FAULT("refund-reserved");
	}
	pay_db_finish();
	error_context_stack = hide.previous;
	PG_RETURN_INT64(refund.id);
}

/*
 * The refund that was requested with this key before; 0: there is none.  One that
 * has ended does not know its account any more.
 */
static int64
find_same(const char *order_id, const PayRefund *refund)
{
	int64		id;
	bool		same;

	if (refund->idempotency_key == NULL)
		return 0;
	id = pay_refund_find(order_id, refund->idempotency_key, refund->reason,
						 refund->request, &same);
	if (id != 0 && same && refund->account != NULL)
		same = pay_refund_account_same(order_id, id, refund->account);
	if (id != 0 && !same)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_REFUND_DIFFERS),
				 errmsg("refund " INT64_FORMAT " of order \"%s\" was requested with this idempotency_key and other arguments",
						id, order_id),
				 errhint("Repeat a request as it was; another refund takes another key.")));
	return id;
}

/*
 * A statement that names an account does not go to the log with its error, nor
 * does a function's, or a parameter of it.
 */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

/*
 * Whether
 */

/* Only what was certainly paid. */
static void
check_refundable(const PayOrder *order, const PayTossAccount *account)
{
	PayOrderState state;

	if (!pay_order_state(order->order_id, true, &state, NULL))
		pay_order_unknown(order->order_id);
	if (state == PAY_ORDER_EXECUTING &&
		pay_deposit_movements(order->order_id) >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_REFUNDABLE),
				 errmsg("order \"%s\" cannot be refunded", order->order_id),
				 errdetail("It waits for a deposit, and nothing was paid yet."),
				 errhint("It ends as FAILURE when its account expires, or when the payment is cancelled in the PSP's dashboard.")));
	if (state != PAY_ORDER_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_REFUNDABLE),
				 errmsg("order \"%s\" cannot be refunded", order->order_id),
				 errdetail("Its status is %s.", pay_order_state_name(state)),
				 errhint("Only what is SUCCESS was paid; payments.wait_for tells when it is.")));
	pay_refund_account_check(order, account);
	if (pay_refund_count(order->order_id) >= PAY_MAX_REFUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_REFUNDS_TOO_MUCH),
				 errmsg("order \"%s\" has %d refunds already",
						order->order_id, PAY_MAX_REFUNDS),
				 errhint("A payment can be refunded in so many parts.")));
}

/*
 * With a key of the caller's, a refund whose row was lost in a failover and is
 * requested again is the same to the PSP; without one, no two are the same.
 */
static char *
draw_token(const PayOrder *order, const char *idempotency_key)
{
	return pay_refund_token(idempotency_key == NULL ? NULL :
							psprintf("refund\n%s\n%s\n%s", order->order_id,
									 order->payment_key, idempotency_key));
}

/*
 * How much of each line
 */

static void
choose_lines(FunctionCallInfo fcinfo, const PayOrder *order,
			 PayRefund *refund)
{
	PayRefundable *lines;
	int			n = pay_refund_lines(order->order_id, &lines);
	int64	   *parts = palloc0(sizeof(int64) * n);
	int64		rest = 0;

	for (int i = 0; i < n; i++)
		rest += lines[i].amount - lines[i].returned;
	if (rest == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_REFUNDS_TOO_MUCH),
				 errmsg("nothing of order \"%s\" is left to be refunded",
						order->order_id),
				 errhint("See payments.refunds for what was, or is being.")));
	if (!PG_ARGISNULL(6))
		take_given_lines(order, PG_GETARG_JSONB_P(6), lines, n, parts);
	else if (!PG_ARGISNULL(3))
		take_one_line(order, lines, n, PG_GETARG_INT64(3),
					  amount_argument(fcinfo, order, 0), parts);
	else
		split_amount(order, lines, n, amount_argument(fcinfo, order, rest),
					 parts);

	pay_refund_choose(order, lines, n, parts, refund);
}

/* The amount that was given, or else the rest. */
static int64
amount_argument(FunctionCallInfo fcinfo, const PayOrder *order, int64 rest)
{
	return PG_ARGISNULL(2) ? rest :
		pay_amount_from_caller(PG_GETARG_DATUM(2), order->minor_units,
							   order->currency, "amount");
}

static void
split_amount(const PayOrder *order, const PayRefundable *lines, int n,
			 int64 amount, int64 *parts)
{
	int64	   *most = palloc(sizeof(int64) * n);
	int64		left = 0;

	for (int i = 0; i < n; i++)
	{
		most[i] = lines[i].amount - lines[i].returned;
		left += most[i];
	}
	if (amount > left)
		refuse_amount(order, amount, left);
	if (!pay_money_split(amount, most, n, order->minor_units, parts))
		elog(ERROR, "could not split a refund of order \"%s\"",
			 order->order_id);
}

/* amount 0: all that is left of it. */
static void
take_one_line(const PayOrder *order, const PayRefundable *lines, int n,
			  int64 payment_order_id, int64 amount, int64 *parts)
{
	int64		left;
	int			i = 0;

	while (i < n && lines[i].payment_order_id != payment_order_id)
		i++;
	if (i == n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("payment order " INT64_FORMAT " is not of order \"%s\"",
						payment_order_id, order->order_id),
				 errhint("payments.payment shows the lines of an order and their ids.")));
	left = lines[i].amount - lines[i].returned;
	if (parts[i] != 0)
		lines_error("names a line twice");
	if (left == 0 || amount > left)
		refuse_amount(order, amount, left);
	parts[i] = amount == 0 ? left : amount;
}

static void
take_given_lines(const PayOrder *order, Jsonb *json,
				 const PayRefundable *lines, int n, int64 *parts)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	int			n_given = 0;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		lines_error("is not a JSON array");
	it = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		int64		payment_order_id;
		int64		amount;

		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvBinary ||
			!JsonContainerIsObject(value.val.binary.data))
			lines_error("has an element that is not an object");
		read_line(value.val.binary.data, order, &payment_order_id, &amount);
		take_one_line(order, lines, n, payment_order_id, amount, parts);
		n_given++;
	}
	if (n_given == 0)
		lines_error("is empty");
}

/* An amount of 0 when there is none. */
static void
read_line(JsonbContainer *json, const PayOrder *order,
		  int64 *payment_order_id, int64 *amount)
{
	JsonbIterator *it = JsonbIteratorInit(json);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *key = NULL;

	*payment_order_id = 0;
	*amount = 0;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		if (token != WJB_VALUE || value.type == jbvNull)
			continue;
		if (strcmp(key, "payment_order_id") != 0 && strcmp(key, "amount") != 0)
			lines_error(psprintf("has the unknown key \"%s\"", key));
		if (value.type != jbvNumeric)
			lines_error(psprintf("has a %s that is not a number", key));
		if (strcmp(key, "amount") == 0)
			*amount = pay_amount_from_caller(NumericGetDatum(value.val.numeric),
											 order->minor_units,
											 order->currency, "lines: amount");
		else
			*payment_order_id =
				DatumGetInt64(DirectFunctionCall1(numeric_int8,
												  NumericGetDatum(value.val.numeric)));
	}
	if (*payment_order_id == 0)
		lines_error("has an element without payment_order_id");
}

static void
lines_error(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("lines %s", problem),
			 errhint("Give an array of objects with payment_order_id and, unless all that is left of the line, amount.")));
}

static void
refuse_amount(const PayOrder *order, int64 asked, int64 left)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_REFUNDS_TOO_MUCH),
			 errmsg("refund of order \"%s\" is more than there is left",
					order->order_id),
			 errdetail("%s %s are left; refunds that are open count.",
					   pay_amount_text(left), order->currency),
			 asked == 0 ? 0 :
			 errhint("%s %s were asked for; see payments.refunds.",
					 pay_amount_text(asked), order->currency)));
}
