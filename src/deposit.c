/*
 * deposit.c
 *		Virtual accounts: what a buyer is to pay into, and what came in.
 *
 * The account's number is kept here and in no answer, event or message.  A
 * deposit that makes an order SUCCESS is booked like any other payment
 * (settle.c); that it came in is the account's first movement.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "db.h"
#include "deposit.h"
#include "deposit_plan.h"
#include "event.h"
#include "fault.h"
#include "psp_answer.h"

#define MAX_BANK	20			/* bytes */
#define MAX_NUMBER	40

static void learn_accounts(const PayResult *results,
						   const PayOrderOutcome *outcomes, const int *which,
						   int n, TimestampTz now);
static void tell(const PayResult *result, const PayOrder *order,
				 TimestampTz now);
static char *payload(const PayResult *result, const PayOrder *order);
static void begin_payload(StringInfo json, const PayOrder *order);
static void append_time(StringInfo json, const char *name, TimestampTz at);
static void plan_looks(const PayResult *results,
					   const PayOrderOutcome *outcomes, const int *which,
					   int n, TimestampTz now);
static void close_accounts(const PayResult *results,
						   const PayOrderOutcome *outcomes, const int *which,
						   int n, TimestampTz now);
static void note_deposits(const PayResult *results,
						  const PayOrderOutcome *outcomes, const int *which,
						  int n, TimestampTz now);

void
pay_deposit_settle(const PayResult *results, const PayOrderOutcome *outcomes,
				   const bool *counts, int n, TimestampTz now)
{
	int		   *which = palloc(sizeof(int) * Max(n, 1));
	int			m = 0;

	for (int i = 0; i < n; i++)
		if (counts[i] && outcomes[i].response != (Datum) 0 &&
			results[i].body.virtual_account_bank != NULL)
			which[m++] = i;
	pay_deposit_look_after_refunds(results, counts, n, now);
	if (m == 0)
		return;
	learn_accounts(results, outcomes, which, m, now);
	plan_looks(results, outcomes, which, m, now);
	close_accounts(results, outcomes, which, m, now);
	note_deposits(results, outcomes, which, m, now);
}

/* Those that are there already may have another due date. */
static void
learn_accounts(const PayResult *results, const PayOrderOutcome *outcomes,
			   const int *which, int n, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.virtual_account (order_id, bank_code, account_number, due_at, issued_at)"
		" SELECT a.order_id, a.bank_code, a.account_number, NULLIF(a.due_at, 'infinity'), $5"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4)) AS a (order_id, bank_code, account_number, due_at)"
		" ON CONFLICT ON CONSTRAINT virtual_account_pkey DO NOTHING RETURNING order_id",
		5, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID}
	};
	static PayStatement update = {
		"UPDATE payments.virtual_account v SET due_at = a.due_at"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS a (order_id, due_at)"
		" WHERE v.order_id OPERATOR(pg_catalog.=) a.order_id"
		" AND a.due_at OPERATOR(pg_catalog.<>) 'infinity' AND v.due_at IS DISTINCT FROM a.due_at",
		2, {TEXTARRAYOID, TIMESTAMPTZARRAYOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	char	  **banks = palloc(sizeof(char *) * n);
	char	  **numbers = palloc(sizeof(char *) * n);
	TimestampTz *dues = palloc(sizeof(TimestampTz) * n);
	char	  **new_ones;
	int			n_new;
	Datum		values[5];

	for (int i = 0; i < n; i++)
	{
		const PayTossBody *body = &results[which[i]].body;
		TimestampTz due_at = pay_psp_answer_time(body->virtual_account_due_date);

		order_ids[i] = results[which[i]].claim->order_id;
		banks[i] = pay_psp_answer_text(body->virtual_account_bank, MAX_BANK);
		numbers[i] = pay_psp_answer_text(body->virtual_account_number,
										 MAX_NUMBER);
		dues[i] = due_at != 0 ? due_at : DT_NOEND;
	}
	values[0] = pay_db_text_array(order_ids, n);
	values[1] = pay_db_text_array(banks, n);
	values[2] = pay_db_text_array(numbers, n);
	values[3] = pay_db_time_array(dues, n);
	values[4] = TimestampTzGetDatum(now);
	n_new = (int) pay_db_run(&insert, values, NULL);
	new_ones = palloc(sizeof(char *) * Max(n_new, 1));
	for (int i = 0; i < n_new; i++)
		new_ones[i] = pay_db_text(i, 1);

	values[1] = values[3];
	if (n_new < n)
		pay_db_run(&update, values, NULL);
	for (int i = 0; i < n_new; i++)
		for (int k = 0; k < n; k++)
			if (strcmp(order_ids[k], new_ones[i]) == 0)
				tell(&results[which[k]], outcomes[which[k]].order, now);
}

/* Of an account that is new, as long as it can be paid into. */
static void
tell(const PayResult *result, const PayOrder *order, TimestampTz now)
{
	PayEvent	event = {"deposit.awaited", order->order_id};

	if (result->answer.meaning != PAY_MEANS_WAITING)
		return;
	event.payload = payload(result, order);
	pay_event_write(&event, 1, now);
}

/* As a payment's, with the bank and the due date. */
static char *
payload(const PayResult *result, const PayOrder *order)
{
	StringInfoData json;
	TimestampTz due_at =
	pay_psp_answer_time(result->body.virtual_account_due_date);

	begin_payload(&json, order);
	appendStringInfoString(&json, ", \"bank_code\": ");
	escape_json(&json, pay_psp_answer_text(result->body.virtual_account_bank,
										   MAX_BANK));
	if (due_at != 0)
		append_time(&json, "due_at", due_at);
	appendStringInfoChar(&json, '}');
	return json.data;
}

char *
pay_deposit_payload(const PayOrder *order, int movement_no, TimestampTz at)
{
	StringInfoData json;

	begin_payload(&json, order);
	appendStringInfo(&json, ", \"movement_no\": %d", movement_no);
	append_time(&json, "effective_at", at);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* What events about payments say; without the closing brace. */
static void
begin_payload(StringInfo json, const PayOrder *order)
{
	initStringInfo(json);
	appendStringInfoString(json, "{\"order_id\": ");
	escape_json(json, order->order_id);
	appendStringInfoString(json, ", \"payment_key\": ");
	escape_json(json, order->payment_key);
	appendStringInfo(json, ", \"amount\": %s, \"currency\": \"%s\", \"buyer_id\": " INT64_FORMAT ", \"merchant\": ",
					 pay_amount_text(order->amount), order->currency,
					 order->buyer_id);
	escape_json(json, order->merchant);
}

static void
append_time(StringInfo json, const char *name, TimestampTz at)
{
	char		text[MAXDATELEN + 1];
	int			utc = 0;

	JsonEncodeDateTime(text, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc);
	appendStringInfo(json, ", \"%s\": \"%s\"", name, text);
}

/* Orders that have just become final are looked at for a while. */
static void
plan_looks(const PayResult *results, const PayOrderOutcome *outcomes,
		   const int *which, int n, TimestampTz now)
{
	char	  **order_ids = palloc(sizeof(char *) * n);
	int			m = 0;

	for (int i = 0; i < n; i++)
		if (pay_order_state_is_final(outcomes[which[i]].state))
			order_ids[m++] = results[which[i]].claim->order_id;
	pay_deposit_look_at(order_ids, m, now + pay_deposit_plan_look(0));
}

/* Those whose orders failed because nobody can pay into them any more. */
static void
close_accounts(const PayResult *results, const PayOrderOutcome *outcomes,
			   const int *which, int n, TimestampTz now)
{
	static PayStatement close = {
		"UPDATE payments.virtual_account SET expired_at = $2"
		" WHERE order_id OPERATOR(pg_catalog.=) ANY ($1) AND expired_at IS NULL",
		2, {TEXTARRAYOID, TIMESTAMPTZOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	int			m = 0;
	Datum		values[2];

	for (int i = 0; i < n; i++)
		if (outcomes[which[i]].state == PAY_ORDER_FAILURE &&
			results[which[i]].answer.meaning == PAY_MEANS_LAPSED)
			order_ids[m++] = results[which[i]].claim->order_id;
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = TimestampTzGetDatum(now);
	pay_db_run(&close, values, NULL);
	PAY_FAULT("account-closed");
}

/* The deposits that made their orders SUCCESS. */
static void
note_deposits(const PayResult *results, const PayOrderOutcome *outcomes,
			  const int *which, int n, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key,"
		" transaction_key, call_id, attempt_no, effective_at, recorded_at)"
		" SELECT m.order_id, 1, 'deposit', m.amount, 'payment:' OPERATOR(pg_catalog.||) m.order_id,"
		" m.transaction_key, m.call_id, m.attempt_no, m.effective_at, $7"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))"
		" AS m (order_id, amount, transaction_key, call_id, attempt_no, effective_at)",
		7, {TEXTARRAYOID, NUMERICARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID,
		TIMESTAMPTZARRAYOID, TIMESTAMPTZOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *amounts = palloc(sizeof(int64) * n);
	char	  **keys = palloc(sizeof(char *) * n);
	int64	   *calls = palloc(sizeof(int64) * n);
	int32	   *attempts = palloc(sizeof(int32) * n);
	TimestampTz *times = palloc(sizeof(TimestampTz) * n);
	int			m = 0;
	Datum		values[7];

	for (int i = 0; i < n; i++)
	{
		const PayResult *result = &results[which[i]];
		const PayOrderOutcome *outcome = &outcomes[which[i]];

		if (outcome->state != PAY_ORDER_SUCCESS)
			continue;
		order_ids[m] = result->claim->order_id;
		amounts[m] = outcome->order->amount;
		keys[m] = pay_psp_answer_text(result->body.last_transaction_key, 1000);
		calls[m] = result->claim->call_id;
		attempts[m] = result->claim->attempt_no;
		times[m++] = outcome->approved_at ? outcome->approved_at : now;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_mills_array(amounts, m);
	values[2] = pay_db_text_array(keys, m);
	values[3] = pay_db_int64_array(calls, m);
	values[4] = pay_db_int32_array(attempts, m);
	values[5] = pay_db_time_array(times, m);
	values[6] = TimestampTzGetDatum(now);
	pay_db_run(&insert, values, NULL);
	PAY_FAULT("deposit-noted");
}

void
pay_deposit_resolved(const PayOrder *order, TimestampTz at, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key,"
		" effective_at, recorded_at)"
		" SELECT v.order_id, 1, 'deposit', $2, 'payment:' OPERATOR(pg_catalog.||) v.order_id, $3, $4"
		" FROM payments.virtual_account v WHERE v.order_id OPERATOR(pg_catalog.=) $1",
		4, {TEXTOID, NUMERICOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	Datum		values[4] = {CStringGetTextDatum(order->order_id),
		pay_amount_to_numeric(order->amount), TimestampTzGetDatum(at ? at : now),
	TimestampTzGetDatum(now)};

	pay_db_run(&insert, values, NULL);
}

int
pay_deposit_movements(const char *order_id)
{
	static PayStatement read = {
		"SELECT (SELECT pg_catalog.count(*) FROM payments.deposit_movement m"
		" WHERE m.order_id OPERATOR(pg_catalog.=) v.order_id)::pg_catalog.int4"
		" FROM payments.virtual_account v WHERE v.order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	return pay_db_run(&read, values, NULL) == 0 ? -1 : pay_db_int32(0, 1);
}
