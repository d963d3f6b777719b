/*
 * psp_answer.c
 *		Calls to the PSP: what came back, and where the call goes from there.
 *
 * An answer is always recorded, also one that came too late to count: fencing
 * protects the state, not the evidence.  A result counts only while the queue
 * row still belongs to the run, the attempt and the state that sent it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "db.h"
#include "psp_answer.h"
#include "psp_call.h"

static void reschedule_calls(PayResult *results, int n, const bool *owned,
							 TimestampTz now);
static void renew_call(PayResult *result, TimestampTz now);

void
pay_psp_call_record(PayResult *results, int n, const bool *owned)
{
	const char **actions = palloc(sizeof(char *) * n);

	for (int i = 0; i < n; i++)
	{
		results[i].is_late = !owned[i];
		actions[i] = owned[i] ?
			pay_action_name(results[i].decision.action) : "late";
	}
	pay_psp_answer_write(results, n, actions);
}

/*
 * Where the calls go
 */

void
pay_psp_call_move(PayResult *results, int n, const bool *owned,
				  TimestampTz now)
{
	pay_psp_call_close(results, n, owned);
	reschedule_calls(results, n, owned, now);
	pay_psp_deposit_await(results, n, owned, now);
	for (int i = 0; i < n; i++)
		if (owned[i] && results[i].decision.action == PAY_ACTION_RENEW)
			renew_call(&results[i], now);
}

/*
 * Pending again, as a confirm or a query, or waiting for a person.  When
 * nothing of the event has ever left this machine, the time of the first
 * sending is forgotten again.
 */
static void
reschedule_calls(PayResult *results, int n, const bool *owned,
				 TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.psp_call_queue q SET state = r.state::pg_catalog.\"char\","
		" next_operation = r.operation::pg_catalog.\"char\", due_at = r.due_at,"
		" failures = r.failures, outcome_unknown = r.outcome_unknown,"
		" key_answered = r.key_answered, phase = r.phase::pg_catalog.\"char\","
		" contradictions = r.contradictions,"
		" first_sent_at = CASE WHEN r.never_sent THEN NULL ELSE q.first_sent_at END,"
		" sent_as = CASE WHEN r.never_sent THEN NULL ELSE q.sent_as END"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
		" pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5),"
		" pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),"
		" pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11))"
		" AS r (order_id, call_id, state, operation,"
		" due_at, failures, outcome_unknown, key_answered, never_sent, phase, contradictions)"
		" WHERE q.order_id OPERATOR(pg_catalog.=) r.order_id"
		" AND q.call_id OPERATOR(pg_catalog.=) r.call_id",
		11, {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TIMESTAMPTZARRAYOID, INT4ARRAYOID, BOOLARRAYOID, BOOLARRAYOID,
		BOOLARRAYOID, TEXTARRAYOID, INT4ARRAYOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *calls = palloc(sizeof(int64) * n);
	char	  **states = palloc(sizeof(char *) * n);
	char	  **operations = palloc(sizeof(char *) * n);
	TimestampTz *dues = palloc(sizeof(TimestampTz) * n);
	int32	   *failures = palloc(sizeof(int32) * n);
	int32	   *contradictions = palloc(sizeof(int32) * n);
	bool	   *unknowns = palloc(sizeof(bool) * n);
	bool	   *answereds = palloc(sizeof(bool) * n);
	bool	   *never_sents = palloc(sizeof(bool) * n);
	char	  **phases = palloc(sizeof(char *) * n);
	int			m = 0;
	Datum		values[11];

	for (int i = 0; i < n; i++)
	{
		const PayDecision *decision = &results[i].decision;

		if (!owned[i] || pay_action_closes(decision->action) ||
			decision->action == PAY_ACTION_RENEW ||
			decision->action == PAY_ACTION_AWAIT_DEPOSIT)
			continue;
		order_ids[m] = results[i].claim->order_id;
		calls[m] = results[i].claim->call_id;
		states[m] = decision->action == PAY_ACTION_ESCALATE ? "D" : "P";
		operations[m] = decision->action != PAY_ACTION_RESEND ? "Q" :
			results[i].claim->refund_id != 0 ? "X" : "C";
		dues[m] = now + decision->delay;
		failures[m] = decision->failures;
		contradictions[m] = decision->contradictions;
		unknowns[m] = decision->outcome_unknown;
		answereds[m] = decision->key_answered;
		never_sents[m] = results[i].transport == PAY_TRANSPORT_NOT_SENT &&
			results[i].claim->is_first_send;
		phases[m] = psprintf("%c", decision->phase);
		m++;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(calls, m);
	values[2] = pay_db_text_array(states, m);
	values[3] = pay_db_text_array(operations, m);
	values[4] = pay_db_time_array(dues, m);
	values[5] = pay_db_int32_array(failures, m);
	values[6] = pay_db_bool_array(unknowns, m);
	values[7] = pay_db_bool_array(answereds, m);
	values[8] = pay_db_bool_array(never_sents, m);
	values[9] = pay_db_text_array(phases, m);
	values[10] = pay_db_int32_array(contradictions, m);
	pay_db_run(&update, values, NULL);
}

/*
 * A query proved that nothing was processed, and the key was answered with an
 * error: a new call with a new key takes the old one's place in the queue.  A
 * confirm's window goes on from the first key, a cancel's key has its own time.
 */
static void
renew_call(PayResult *result, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant,"
		" operation, payment_key, currency, amount, idempotency_key, request_body,"
		" renews_call_id, created_at, refund_id)"
		" SELECT $1, c.order_id, c.payment_event_id, c.merchant, c.operation,"
		" c.payment_key, c.currency, c.amount, $2, c.request_body, c.id, $3, c.refund_id"
		" FROM payments.psp_call c WHERE c.id OPERATOR(pg_catalog.=) $4"
		" AND c.order_id OPERATOR(pg_catalog.=) $5",
		5, {INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID, TEXTOID}
	};
	static PayStatement replace = {
		"UPDATE payments.psp_call_queue SET call_id = $1, state = 'P',"
		" next_operation = CASE WHEN $6 THEN 'X' ELSE 'C' END::pg_catalog.\"char\","
		" attempt_no = 0, failures = $2, due_at = $3,"
		" first_sent_at = CASE WHEN $6 THEN NULL ELSE first_sent_at END,"
		" sent_as = CASE WHEN $6 THEN NULL ELSE sent_as END,"
		" outcome_unknown = $4, key_answered = false, phase = 'T', contradictions = 0"
		" WHERE order_id OPERATOR(pg_catalog.=) $5",
		6, {INT8OID, INT4OID, TIMESTAMPTZOID, BOOLOID, TEXTOID, BOOLOID}
	};
	static PayStatement count = {
		"SELECT pg_catalog.count(*)::pg_catalog.int4 FROM payments.psp_call"
		" WHERE order_id OPERATOR(pg_catalog.=) $1"
		" AND COALESCE(refund_id, 0) OPERATOR(pg_catalog.=) $2",
		2, {TEXTOID, INT8OID}
	};
	const PayClaim *claim = result->claim;
	bool		is_refund = claim->refund_id != 0;
	int64		id = pay_db_draw_ids("psp_call_id_seq", 1)[0];
	int			renewal;
	Datum		values[6];

	values[0] = CStringGetTextDatum(claim->order_id);
	values[1] = Int64GetDatum(claim->refund_id);
	pay_db_run(&count, values, NULL);
	renewal = pay_db_int32(0, 1);

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(is_refund ?
									pay_psp_call_cancel_key(claim->order_id,
															claim->refund.token,
															renewal) :
									pay_psp_call_key(claim->order_id,
													 claim->payment_key,
													 renewal));
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int64GetDatum(claim->call_id);
	values[4] = CStringGetTextDatum(claim->order_id);
	pay_db_run(&insert, values, NULL);

	values[1] = Int32GetDatum(result->decision.failures);
	values[2] = TimestampTzGetDatum(now + result->decision.delay);
	values[3] = BoolGetDatum(result->decision.outcome_unknown);
	values[5] = BoolGetDatum(is_refund);
	pay_db_run(&replace, values, NULL);
	result->renewed_as = id;
}

/*
 * Put aside what could not be applied.  The row of the queue stays, so the
 * order stays visible; the answer is evidence.
 */
void
pay_psp_call_quarantine(PayResult *result, int64 epoch, int sqlstate,
						TimestampTz now)
{
	static PayStatement put_aside = {
		"UPDATE payments.psp_call_queue SET state = 'D', outcome_unknown = true, due_at = $4,"
		" key_answered = $6, phase = $7::pg_catalog.\"char\", failures = $8"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND call_id OPERATOR(pg_catalog.=) $2"
		" AND epoch OPERATOR(pg_catalog.=) $3 AND attempt_no OPERATOR(pg_catalog.=) $5"
		" AND state OPERATOR(pg_catalog.=) 'S'",
		8, {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, BOOLOID, TEXTOID,
		INT4OID}
	};
	const char *action = "quarantine";
	Datum		values[8];

	pay_db_connect();
	result->answer.detail = psprintf("could not be applied: SQLSTATE %s",
									 unpack_sql_state(sqlstate));
	pay_psp_answer_write(result, 1, &action);
	values[0] = CStringGetTextDatum(result->claim->order_id);
	values[1] = Int64GetDatum(result->claim->call_id);
	values[2] = Int64GetDatum(epoch);
	values[3] = TimestampTzGetDatum(now);
	values[4] = Int32GetDatum(result->claim->attempt_no);
	values[5] = BoolGetDatum(result->decision.key_answered);
	values[6] = CStringGetTextDatum(psprintf("%c", result->decision.phase));
	values[7] = Int32GetDatum(result->decision.failures);
	pay_db_run(&put_aside, values, NULL);
	pay_db_finish();
}
