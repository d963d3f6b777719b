/*
 * refund_argument.c
 *		The arguments of payments.refund, as far as they need no order.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "args.h"
#include "refund_argument.h"
#include "toss.h"

#define MAX_KEY			200		/* characters */

/* What the PSP shows to the buyer: one line that leaves room for our token. */
char *
pay_refund_reason(FunctionCallInfo fcinfo)
{
	char	   *reason;

	pay_args_require(fcinfo, 1, "reason");
	reason = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!pay_args_is_line(reason) ||
		pg_mbstrlen(reason) > PAY_TOSS_MAX_REASON)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reason is empty, too long, or not one line"),
				 errhint("Say in 1 to %d characters why; the buyer may see it.",
						 PAY_TOSS_MAX_REASON)));
	return reason;
}

char *
pay_refund_key(FunctionCallInfo fcinfo)
{
	char	   *key;

	if (PG_ARGISNULL(5))
		return NULL;
	key = text_to_cstring(PG_GETARG_TEXT_PP(5));
	if (key[0] == '\0' || pg_mbstrlen(key) > MAX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("idempotency_key is empty or too long"),
				 errhint("It has 1 to %d characters; NULL is none.", MAX_KEY)));
	return key;
}

/*
 * What was asked for, in whatever words: two that are equal are the same.  The
 * account is not among it, since it is to be forgotten.
 */
char *
pay_refund_request_text(FunctionCallInfo fcinfo)
{
	StringInfoData json;

	if (!PG_ARGISNULL(6) && (!PG_ARGISNULL(2) || !PG_ARGISNULL(3)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines stand alone"),
				 errhint("Give lines, or an amount and perhaps a payment_order_id.")));

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (!PG_ARGISNULL(2))
	{
		Numeric		amount = PG_GETARG_NUMERIC(2);

		if (numeric_is_nan(amount) || numeric_is_inf(amount))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("amount is not a number"),
					 errhint("Give a positive amount.")));
		appendStringInfo(&json, "\"amount\": %s",
						 DatumGetCString(DirectFunctionCall1(numeric_out,
															 NumericGetDatum(amount))));
	}
	if (!PG_ARGISNULL(3))
		appendStringInfo(&json, "%s\"payment_order_id\": " INT64_FORMAT,
						 json.len > 1 ? ", " : "", PG_GETARG_INT64(3));
	if (!PG_ARGISNULL(6))
		appendStringInfo(&json, "\"lines\": %s",
						 JsonbToCString(NULL, &PG_GETARG_JSONB_P(6)->root,
										VARSIZE(PG_GETARG_JSONB_P(6))));
	if (!PG_ARGISNULL(4))
		appendStringInfo(&json, "%s\"refund_account\": true",
						 json.len > 1 ? ", " : "");
	appendStringInfoChar(&json, '}');
	return json.data;
}
