/*
 * merchant.c
 *		Merchants: set_merchant_limits, set_refund_policy, resume_merchant, and
 *		reading the limits.
 *
 * The row says what is so, payments.operator_action who said it.  The workers
 * hear of a change as of any change of the table's definition: the server tells
 * every process, and the one that sleeps is woken.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "args.h"
#include "clock.h"
#include "db.h"
#include "errors.h"
#include "flow_resume.h"
#include "merchant.h"
#include "operator_action.h"
#include "wake.h"

#define MAX_NOTE			1000	/* characters */
#define MAX_IN_FLIGHT		10000

PG_FUNCTION_INFO_V1(payments_set_merchant_limits);
PG_FUNCTION_INFO_V1(payments_set_refund_policy);
PG_FUNCTION_INFO_V1(payments_resume_merchant);

static int	limit_argument(FunctionCallInfo fcinfo, int n, const char *name,
						   int64 max);
static char *note_argument(FunctionCallInfo fcinfo, int n);
static void lock_merchant(const char *merchant);
static char *limits_text(const PayFlowLimits *limits);
static char *limit_text(int limit, const char *unit);
static const char *policy_text(bool sellers_may_owe);
static char *held_text(const PayFlow *flow, int64 clock, TimestampTz now);

/* payments.set_merchant_limits: see 70_functions.sql. */
Datum
payments_set_merchant_limits(PG_FUNCTION_ARGS)
{
	static PayStatement update = {
		"UPDATE payments.merchant SET max_in_flight = $2, calls_per_minute = $3, burst = $4"
		" WHERE name OPERATOR(pg_catalog.=) $1",
		4, {TEXTOID, INT4OID, INT4OID, INT4OID}
	};
	PayOperatorAction action = {.action = "set_merchant_limits"};
	PayFlowLimits limits;
	PayFlowLimits were;
	char		nulls[] = "    ";
	Datum		values[4];

	pay_args_require(fcinfo, 0, "merchant");
	limits.max_in_flight = limit_argument(fcinfo, 1, "max_in_flight",
										  MAX_IN_FLIGHT);
	limits.calls_per_minute = limit_argument(fcinfo, 2, "calls_per_minute",
											 PAY_BUCKET_MAX_RATE);
	limits.burst = limit_argument(fcinfo, 3, "burst", PAY_BUCKET_MAX_BURST);
	if (limits.burst > 0 && limits.calls_per_minute == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("burst is given without calls_per_minute"),
				 errhint("burst is how many calls may come at once while calls_per_minute limits them.")));
	action.merchant = text_to_cstring(PG_GETARG_TEXT_PP(0));
	action.note = note_argument(fcinfo, 4);

	pay_db_connect();
	for (int i = 0; i < 4; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	lock_merchant(action.merchant);
	were.max_in_flight = pay_db_int32(0, 1);
	were.calls_per_minute = pay_db_int32(0, 2);
	were.burst = pay_db_int32(0, 3);
	action.was = limits_text(&were);
	action.became = limits_text(&limits);
	pay_db_run(&update, values, nulls);
	pay_operator_action_record(&action, GetCurrentTimestamp());
	pay_db_finish();

	CacheInvalidateRelcacheByRelid(pay_merchant_table());
	pay_wake_look();
	PG_RETURN_VOID();
}

/*
 * Lock the row of a merchant, for whoever reads it and then changes it: its
 * limits, 0 for none, whether its sellers may owe, and its number.
 */
static void
lock_merchant(const char *merchant)
{
	static PayStatement lock = {
		"SELECT COALESCE(max_in_flight, 0), COALESCE(calls_per_minute, 0), COALESCE(burst, 0),"
		" sellers_may_owe, id FROM ONLY payments.merchant"
		" WHERE name OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(merchant)};

	if (pay_db_run(&lock, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_MERCHANT),
				 errmsg("merchant \"%s\" does not exist",
						pay_args_shown(merchant)),
				 errhint("The merchants are in payments.merchant; payments.set_merchant adds one.")));
}

/* 1 to max; 0 for NULL, which sets no limit */
static int
limit_argument(FunctionCallInfo fcinfo, int n, const char *name, int64 max)
{
	int			value;

	if (PG_ARGISNULL(n))
		return 0;
	value = PG_GETARG_INT32(n);
	if (value < 1 || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range", name),
				 errdetail("It is %d.", value),
				 errhint("It is 1 to " INT64_FORMAT ", or NULL for no limit of the merchant's own; to stop all charges, use payments.disarm.",
						 max)));
	return value;
}

static char *
note_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *note;

	if (PG_ARGISNULL(n))
		return NULL;
	note = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (note[strspn(note, " \t\r\n")] == '\0' || pg_mbstrlen(note) > MAX_NOTE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("note is empty or too long"),
				 errhint("Say in 1 to %d characters why.", MAX_NOTE)));
	return note;
}

static char *
limits_text(const PayFlowLimits *limits)
{
	return psprintf("in flight %s, %s, burst %s",
					limit_text(limits->max_in_flight, ""),
					limit_text(limits->calls_per_minute, " a minute"),
					limit_text(limits->burst, ""));
}

static char *
limit_text(int limit, const char *unit)
{
	return limit == 0 ? pstrdup("default") : psprintf("%d%s", limit, unit);
}

/* payments.set_refund_policy: see 70_functions.sql. */
Datum
payments_set_refund_policy(PG_FUNCTION_ARGS)
{
	static PayStatement update = {
		"UPDATE payments.merchant SET sellers_may_owe = $2"
		" WHERE name OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, BOOLOID}
	};
	PayOperatorAction action = {.action = "set_refund_policy"};
	Datum		values[2];

	pay_args_require(fcinfo, 0, "merchant");
	pay_args_require(fcinfo, 1, "sellers_may_owe");
	action.merchant = text_to_cstring(PG_GETARG_TEXT_PP(0));
	action.became = policy_text(PG_GETARG_BOOL(1));
	action.note = note_argument(fcinfo, 2);

	pay_db_connect();
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	lock_merchant(action.merchant);
	action.was = policy_text(pay_db_bool(0, 4));
	pay_db_run(&update, values, NULL);
	pay_operator_action_record(&action, GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_VOID();
}

static const char *
policy_text(bool sellers_may_owe)
{
	return sellers_may_owe ? "sellers may owe" : "sellers may not owe";
}

/*
 * payments.resume_merchant: see 70_functions.sql.  What holds a merchant back is
 * in shared memory, and ends at the commit: until then anybody may see it, and
 * the row that says who ended it is not there.
 */
Datum
payments_resume_merchant(PG_FUNCTION_ARGS)
{
	PayOperatorAction action = {.action = "resume_merchant"};
	TimestampTz now = GetCurrentTimestamp();
	int64		clock = pay_clock_ms();
	int64		merchant_id;
	PayFlow		flow;
	bool		is_held;

	pay_args_require(fcinfo, 0, "merchant");
	action.merchant = text_to_cstring(PG_GETARG_TEXT_PP(0));
	action.note = note_argument(fcinfo, 1);

	pay_db_connect();
	lock_merchant(action.merchant);
	merchant_id = pay_db_int64(0, 5);
	is_held = pay_flow_is_held(MyDatabaseId, merchant_id, clock, &flow);
	if (is_held)
	{
		action.was = held_text(&flow, clock, now);
		action.became = "resumed";
		pay_operator_action_record(&action, now);
		pay_flow_resume_at_commit(merchant_id);
		pay_wake_look();
	}
	pay_db_finish();
	PG_RETURN_BOOL(is_held);
}

static char *
held_text(const PayFlow *flow, int64 clock, TimestampTz now)
{
	bool		is_open = flow->breaker.state != PAY_BREAKER_CLOSED;
	bool		is_paused = flow->bucket.paused_until > clock;
	TimestampTz until = now + (flow->bucket.paused_until - clock) * 1000;

	return psprintf("%s%s%s%s", is_open ? "breaker open" : "",
					is_open && is_paused ? ", " : "",
					is_paused ? "paused until " : "",
					is_paused ? timestamptz_to_str(until) : "");
}

int
pay_merchant_limits_read(PayMerchantLimits **limits)
{
	static PayStatement read = {
		"SELECT id, COALESCE(max_in_flight, 0), COALESCE(calls_per_minute, 0), COALESCE(burst, 0)"
		" FROM payments.merchant ORDER BY id",
		0
	};
	MemoryContext caller = pay_db_connect();
	int			n = (int) pay_db_run(&read, NULL, NULL);

	*limits = MemoryContextAlloc(caller, sizeof(PayMerchantLimits) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*limits)[i].merchant_id = pay_db_int64(i, 1);
		(*limits)[i].limits.max_in_flight = pay_db_int32(i, 2);
		(*limits)[i].limits.calls_per_minute = pay_db_int32(i, 3);
		(*limits)[i].limits.burst = pay_db_int32(i, 4);
	}
	pay_db_finish();
	return n;
}

Oid
pay_merchant_table(void)
{
	return get_relname_relid("merchant",
							 get_namespace_oid("payments", false));
}
