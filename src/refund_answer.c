/*
 * refund_answer.c
 *		What the answers to cancels come to.
 *
 * Results of calls become outcomes of refunds (refund.h), which
 * refund_settle.c books and applies.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "psp_answer.h"
#include "refund.h"

static PayRefundState state_of(const PayResult *result);
static char *reason_of(const PayResult *result);
static char *code_of(const PayResult *result);

int
pay_refund_outcomes(const PayResult *results, const PayOrder *orders,
					const bool *counts, int n, TimestampTz now,
					PayRefundOutcome **outcomes)
{
	int			m = 0;

	*outcomes = palloc0(sizeof(PayRefundOutcome) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayRefundOutcome *outcome = &(*outcomes)[m];

		if (results[i].claim->refund_id == 0 || !counts[i])
			continue;
		outcome->order = &orders[i];
		outcome->refund_id = results[i].claim->refund_id;
		outcome->amount = results[i].claim->refund.amount;
		outcome->state = state_of(&results[i]);
		outcome->reason = reason_of(&results[i]);
		if (outcome->state == PAY_REFUND_SUCCESS)
			pay_refund_fill_proof(outcome, results[i].answer.cancel, now);
		else
			outcome->code = code_of(&results[i]);
		m++;
	}
	if (m > 0)
		pay_refund_read_lines(*outcomes, m);
	return m;
}

static PayRefundState
state_of(const PayResult *result)
{
	const PayDecision *decision = &result->decision;

	if (decision->action == PAY_ACTION_REFUND)
		return PAY_REFUND_SUCCESS;
	if (decision->action == PAY_ACTION_REFUND_FAIL)
		return PAY_REFUND_FAILURE;
	return decision->orders_unknown ? PAY_REFUND_UNKNOWN : PAY_REFUND_EXECUTING;
}

/* The key in the database's encoding, as it stands in the table of answers. */
void
pay_refund_fill_proof(PayRefundOutcome *outcome, const PayTossCancel *cancel,
					  TimestampTz now)
{
	TimestampTz at = pay_psp_answer_time(cancel->canceled_at);

	outcome->transaction_key = pay_psp_answer_text(cancel->transaction_key,
												   PAY_MAX_TRANSACTION_KEY);
	outcome->refunded_at = at != 0 ? at : now;
}

/* As for an order */
static char *
reason_of(const PayResult *result)
{
	const char *code = result->answer.code;

	return psprintf("%s: %s%s%s",
					result->claim->request.operation == PAY_TOSS_CANCEL ?
					"cancel" : "query",
					pay_toss_meaning_name(result->answer.meaning),
					code ? " " : "", code ? code : "");
}

/*
 * Why it is not done: behind a query that did not show our token, that is what
 * the cancel was refused with.  The answers of this turn are recorded.
 */
static char *
code_of(const PayResult *result)
{
	static PayStatement read = {
		"SELECT code FROM payments.psp_answer WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND call_id OPERATOR(pg_catalog.=) $2 AND meaning OPERATOR(pg_catalog.=) 'refused'"
		" AND code IS NOT NULL ORDER BY attempt_no DESC LIMIT 1",
		2, {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(result->claim->order_id),
	Int64GetDatum(result->claim->call_id)};

	if (result->decision.action == PAY_ACTION_REFUND_FAIL &&
		pay_db_run(&read, values, NULL) > 0)
		return pay_db_text(0, 1);
	return result->answer.code == NULL ? NULL : pstrdup(result->answer.code);
}
