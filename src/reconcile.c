/*
 * reconcile.c
 *		What operators call to have the books compared with Toss's, and to close
 *		what that found.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "order.h"
#include "psp_reconcile.h"
#include "wake.h"

#define DEFAULT_PERIOD	(INT64CONST(2) * USECS_PER_DAY)
#define LONGEST_PERIOD	(INT64CONST(366) * USECS_PER_DAY)
#define MAX_NOTE		1000	/* characters */

PG_FUNCTION_INFO_V1(payments_reconcile);
PG_FUNCTION_INFO_V1(payments_close_finding);

static void check_period(TimestampTz since, TimestampTz until, TimestampTz now);

/*
 * payments.reconcile: a run over a period of a merchant's, which the worker
 * makes.  22023 for a period that is none.
 */
Datum
payments_reconcile(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz since = PG_ARGISNULL(1) ? now - DEFAULT_PERIOD :
	PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz until = PG_ARGISNULL(2) ? 0 : PG_GETARG_TIMESTAMPTZ(2);
	char	   *merchant;
	int64		id;

	PreventCommandIfReadOnly("payments.reconcile");
	pay_args_require(fcinfo, 0, "merchant");
	merchant = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2))
		check_period(since, PG_ARGISNULL(2) ? now : until, now);

	pay_db_connect();
	(void) pay_order_client_key(merchant);
	id = pay_reconcile_request(merchant,
							   GetUserNameFromId(GetSessionUserId(), false),
							   since, until, now);
	pay_wake_look();
	pay_db_finish();
	PG_RETURN_INT64(id);
}

static void
check_period(TimestampTz since, TimestampTz until, TimestampTz now)
{
	const char *wrong = NULL;

	if (TIMESTAMP_NOT_FINITE(since) || TIMESTAMP_NOT_FINITE(until))
		wrong = "Both ends are finite times.";
	else if (until > now)
		wrong = "It ends now at the latest; without until it goes up to when the run begins.";
	else if (since >= until)
		wrong = "It begins before it ends.";
	else if (until - since > LONGEST_PERIOD)
		wrong = "It is a year long at most.";
	if (wrong != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("period to be reconciled is not valid"),
				 errdetail("From %s to %s.",
						   pstrdup(timestamptz_to_str(since)),
						   pstrdup(timestamptz_to_str(until))),
				 errhint("%s", wrong)));
}

/*
 * payments.close_finding: a person has dealt with it.  42704 when there is none
 * with this number, 55000 when it has ended, 22023 for an empty or long note.
 */
Datum
payments_close_finding(PG_FUNCTION_ARGS)
{
	int64		id;
	char	   *note;

	PreventCommandIfReadOnly("payments.close_finding");
	pay_args_require(fcinfo, 0, "finding_id");
	pay_args_require(fcinfo, 1, "note");
	id = PG_GETARG_INT64(0);
	note = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (note[strspn(note, " \t\r\n")] == '\0' || pg_mbstrlen(note) > MAX_NOTE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("note is empty or too long"),
				 errhint("Say in 1 to %d characters what you saw and did.",
						 MAX_NOTE)));

	pay_db_connect();
	if (!pay_finding_exists(id))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("finding " INT64_FORMAT " does not exist", id),
				 errhint("See payments.foreign_payments.")));
	if (!pay_finding_close(id, note, GetCurrentTimestamp()))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("finding " INT64_FORMAT " has ended before", id),
				 errhint("See payments.reconciliation_finding_end.")));
	pay_db_finish();
	PG_RETURN_VOID();
}
