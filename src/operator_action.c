/*
 * operator_action.c
 *		What people did about calls, merchants and sellers:
 *		payments.operator_action.
 *
 * The only writer of that table, and in the transaction that does what it
 * says.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "operator_action.h"

static Datum text_or_null(const char *text, char *null);
static Datum id_or_null(int64 id, char *null);

void
pay_operator_action_record(const PayOperatorAction *action, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.operator_action (id, order_id, call_id, action, outcome,"
		" payment_key, currency, amount, approved_at, note, actor, acted_at, merchant, became,"
		" refund_id, transaction_key, was, seller_id)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, SESSION_USER, $11, $12, $13, $14, $15,"
		" $16, $17)",
		17, {INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
			NUMERICOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, TEXTOID,
		TEXTOID, INT8OID, TEXTOID, TEXTOID, INT8OID}
	};
	char		nulls[] = "                 ";
	Datum		values[17] = {0};

	values[0] = Int64GetDatum(pay_db_draw_ids("operator_action_id_seq", 1)[0]);
	values[1] = text_or_null(action->order_id, &nulls[1]);
	values[2] = id_or_null(action->call_id, &nulls[2]);
	values[3] = CStringGetTextDatum(action->action);
	values[4] = text_or_null(action->outcome, &nulls[4]);
	values[5] = text_or_null(action->payment_key, &nulls[5]);
	if (action->payment_key != NULL)
	{
		values[6] = CStringGetTextDatum(action->currency);
		values[7] = pay_amount_to_numeric(action->amount);
	}
	else
		nulls[6] = nulls[7] = 'n';
	if (action->approved_at != 0)
		values[8] = TimestampTzGetDatum(action->approved_at);
	else
		nulls[8] = 'n';
	values[9] = text_or_null(action->note, &nulls[9]);
	values[10] = TimestampTzGetDatum(now);
	values[11] = text_or_null(action->merchant, &nulls[11]);
	values[12] = text_or_null(action->became, &nulls[12]);
	values[13] = id_or_null(action->refund_id, &nulls[13]);
	values[14] = text_or_null(action->transaction_key, &nulls[14]);
	values[15] = text_or_null(action->was, &nulls[15]);
	values[16] = id_or_null(action->seller_id, &nulls[16]);
	pay_db_run(&insert, values, nulls);
}

static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static Datum
id_or_null(int64 id, char *null)
{
	*null = id == 0 ? 'n' : ' ';
	return Int64GetDatum(id);
}

bool
pay_operator_action_find(const char *order_id, PayOperatorAction *action)
{
	static PayStatement read = {
		"SELECT order_id, call_id, outcome, payment_key, currency, amount,"
		" COALESCE(approved_at, $2), note, actor, acted_at FROM ONLY payments.operator_action"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND action OPERATOR(pg_catalog.=) 'resolve'",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	TimestampTzGetDatum((TimestampTz) 0)};

	if (pay_db_run(&read, values, NULL) == 0)
		return false;
	memset(action, 0, sizeof(PayOperatorAction));
	action->order_id = pay_db_text(0, 1);
	action->call_id = pay_db_int64(0, 2);
	action->action = "resolve";
	action->outcome = pay_db_text(0, 3);
	action->payment_key = pay_db_text(0, 4);
	action->currency = pay_db_text(0, 5);
	if (action->payment_key != NULL)
		action->amount = pay_db_mills(0, 6);
	action->approved_at = pay_db_time(0, 7);
	action->note = pay_db_text(0, 8);
	action->actor = pay_db_text(0, 9);
	action->acted_at = pay_db_time(0, 10);
	return true;
}

bool
pay_operator_action_find_refund(const char *order_id, int64 refund_id,
								PayOperatorAction *action)
{
	static PayStatement read = {
		"SELECT outcome, transaction_key, note, actor FROM ONLY payments.operator_action"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND refund_id OPERATOR(pg_catalog.=) $2"
		" AND action OPERATOR(pg_catalog.=) 'resolve_refund'",
		2, {TEXTOID, INT8OID}
	};
	Datum		values[2] = {CStringGetTextDatum(order_id),
	Int64GetDatum(refund_id)};

	if (pay_db_run(&read, values, NULL) == 0)
		return false;
	memset(action, 0, sizeof(PayOperatorAction));
	action->outcome = pay_db_text(0, 1);
	action->transaction_key = pay_db_text(0, 2);
	action->note = pay_db_text(0, 3);
	action->actor = pay_db_text(0, 4);
	return true;
}
