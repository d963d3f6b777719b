/*
 * arm.c
 *		What operators call to arm a database, and to disarm it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "args.h"
#include "arming.h"
#include "guc.h"
#include "wake.h"

#define MAX_REASON	200

PG_FUNCTION_INFO_V1(payments_arm);
PG_FUNCTION_INFO_V1(payments_disarm);

static char *get_reason(FunctionCallInfo fcinfo);

/*
 * payments.arm: charges may be sent from this database, as it is here and now.
 * Raises 55000 where nothing can be armed, 22023 for an empty or long reason.
 */
Datum
payments_arm(PG_FUNCTION_ARGS)
{
	char	   *reason = get_reason(fcinfo);

	PreventCommandIfReadOnly("payments.arm");
	if (pay_guc_environment == PAY_ENVIRONMENT_TEST &&
		!pay_guc_test_keys_need_arming)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is nothing to arm in a test environment"),
				 errdetail("payments.environment is \"test\": live keys are refused, and test keys need no arming."),
				 errhint("To go live, set payments.environment to \"live\" in the configuration file and reload it.")));
	pay_arming_arm(reason, GetUserNameFromId(GetSessionUserId(), false));
	pay_wake_look();
	PG_RETURN_VOID();
}

/*
 * payments.disarm: no charge is claimed for sending any more once this has
 * committed.  What was claimed before goes out.  Test keys charge unarmed: who
 * thinks that he has stopped them is told.
 */
Datum
payments_disarm(PG_FUNCTION_ARGS)
{
	char	   *reason = get_reason(fcinfo);

	PreventCommandIfReadOnly("payments.disarm");
	if (pay_guc_environment == PAY_ENVIRONMENT_TEST &&
		!pay_guc_test_keys_need_arming)
		ereport(WARNING,
				(errmsg("charges with test keys go on"),
				 errdetail("payments.environment is \"test\", and test keys need no arming."),
				 errhint("To stop them, too, set payments.test_keys_need_arming in the configuration file and reload it.")));
	pay_arming_disarm(reason, GetUserNameFromId(GetSessionUserId(), false));
	pay_wake_look();
	PG_RETURN_VOID();
}

/* One line that says why. */
static char *
get_reason(FunctionCallInfo fcinfo)
{
	char	   *reason;

	pay_args_require(fcinfo, 0, "reason");
	reason = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (reason[strspn(reason, " \t")] == '\0' ||
		strlen(reason) > MAX_REASON || strpbrk(reason, "\n\r") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reason is not valid"),
				 errhint("Say in one line, of at most %d bytes, why.",
						 MAX_REASON)));
	return reason;
}
