/*
 * operator_argument.c
 *		Arguments of what people do about calls and refunds.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "args.h"
#include "operator_argument.h"

#define MAX_NOTE	1000		/* characters */

char *
pay_operator_note(FunctionCallInfo fcinfo, int n)
{
	char	   *note;

	if (PG_ARGISNULL(n))
		return NULL;
	note = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (note[strspn(note, " \t\r\n")] == '\0' ||
		pg_mbstrlen(note) > MAX_NOTE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("note is empty or too long"),
				 errhint("Say in 1 to %d characters what you saw and decided.",
						 MAX_NOTE)));
	return note;
}

bool
pay_operator_outcome(FunctionCallInfo fcinfo, int n)
{
	char	   *outcome;

	pay_args_require(fcinfo, n, "outcome");
	outcome = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (strcmp(outcome, "succeeded") != 0 && strcmp(outcome, "failed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("outcome \"%s\" is unknown", pay_args_shown(outcome)),
				 errhint("The outcomes are succeeded and failed.")));
	return strcmp(outcome, "succeeded") == 0;
}

/*
 * Answers are read, not locked: an older snapshot would not show the last of
 * them, and that may say that the PSP took the money.
 */
void
pay_operator_sees_evidence(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot resolve an order at this isolation level"),
				 errdetail("A REPEATABLE READ or SERIALIZABLE transaction does not see the newest answers."),
				 errhint("Call it in a READ COMMITTED transaction.")));
}
