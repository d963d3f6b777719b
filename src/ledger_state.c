/*
 * ledger_state.c
 *		The state of an account: locked, read, and what happened to it.
 *
 * Owns payments.ledger_account_event.  ledger_balance repeats what an account's
 * last event says, in each of its rows, since postings read it there.
 *
 * Stripe 0 is locked before the others are looked for: whoever changes which
 * rows an account has holds its lock, so they are all there is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "amount.h"
#include "currency.h"
#include "compat.h"
#include "db.h"
#include "errors.h"
#include "ledger_account.h"
#include "ledger_hold.h"
#include "ledger_state.h"

#define MAX_STRIPES 64

static const char *state_name(char state);

void
pay_ledger_state_lock(const char *code, TimestampTz now,
					  PayLedgerLocked *account)
{
	static PayStatement find = {
		"SELECT id, kind, currency FROM ONLY payments.ledger_account"
		" WHERE code OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	static PayStatement lock_first = {
		"SELECT held OPERATOR(pg_catalog.>) 0 FROM ONLY payments.ledger_balance"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.=) 0::pg_catalog.int2"
		" FOR NO KEY UPDATE",
		1, {INT8OID}
	};
	static PayStatement lock_all = {
		"SELECT pg_catalog.count(*), pg_catalog.min(s.stripes)::pg_catalog.int4,"
		" pg_catalog.min(s.state::pg_catalog.text)::\"char\","
		" pg_catalog.bool_or(s.floor IS NOT NULL OR s.ceiling IS NOT NULL),"
		" NULLIF(pg_catalog.sum(s.held), 0)::pg_catalog.text,"
		" NULLIF(pg_catalog.sum(s.balance), 0)::pg_catalog.text"
		" FROM (SELECT * FROM ONLY payments.ledger_balance"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 ORDER BY stripe FOR NO KEY UPDATE) AS s",
		1, {INT8OID}
	};
	Datum		values[1] = {CStringGetTextDatum(code)};

	if (pay_db_run(&find, values, NULL) == 0)
		pay_ledger_state_unknown(code);
	account->code = pstrdup(code);
	account->id = pay_db_int64(0, 1);
	account->kind = pay_db_text(0, 2);
	account->currency = pay_db_text(0, 3);

	values[0] = Int64GetDatum(account->id);
	account->overdue = 0;
	if (pay_db_run(&lock_first, values, NULL) == 1 && pay_db_bool(0, 1))
		account->overdue = pay_ledger_hold_release_due(account->id, now);
	pay_db_run(&lock_all, values, NULL);
	if (pay_db_int64(0, 1) == 0 ||
		pay_db_int64(0, 1) != pay_db_int32(0, 2))
		pay_ledger_state_rows_missing(code);
	account->stripes = pay_db_int32(0, 2);
	account->state = pay_db_char(0, 3);
	account->limited = pay_db_bool(0, 4);
	account->held = pay_db_text(0, 5);
	account->balance = pay_db_text(0, 6);
}

void
pay_ledger_state_record(int64 account_id, const char *event,
						const char *reason, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_account_event"
		" (id, account_id, event, state, stripes, floor, ceiling, reason, actor, created_at)"
		" SELECT $1, b.account_id, $3, b.state, b.stripes, b.floor, b.ceiling, $4, SESSION_USER, $5"
		" FROM ONLY payments.ledger_balance b"
		" WHERE b.account_id OPERATOR(pg_catalog.=) $2 AND b.stripe OPERATOR(pg_catalog.=) 0::pg_catalog.int2",
		5, {INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[5];

	values[0] = Int64GetDatum(*pay_db_draw_ids("ledger_account_event_id_seq",
											   1));
	values[1] = Int64GetDatum(account_id);
	values[2] = CStringGetTextDatum(event);
	values[3] = reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason);
	values[4] = TimestampTzGetDatum(now);
	if (pay_db_run(&insert, values, reason == NULL ? "   n " : NULL) != 1)
		elog(ERROR, "an account event was not written");
}

Datum
pay_ledger_state_limit(Datum limit, const char *currency, const char *name)
{
	int			minor_units = pay_currency_minor_units(currency);

	if (DatumGetBool(DirectFunctionCall2(numeric_eq, limit,
										 NumericGetDatum(int64_to_numeric(0)))))
		return pay_amount_to_numeric(0);
	return pay_amount_to_numeric(pay_amount_signed_from_caller(limit,
															   minor_units,
															   currency,
															   name));
}

void
pay_ledger_state_check_limits(int64 account_id, const char *code,
							  int64 overdue)
{
	static PayStatement check = {
		"SELECT CASE WHEN n.balance OPERATOR(pg_catalog.-) n.held OPERATOR(pg_catalog.<) b.floor"
		" THEN pg_catalog.format('Its floor would be %s; its balance is %s, of which %s is held.', b.floor, n.balance, n.held)"
		" WHEN n.balance OPERATOR(pg_catalog.>) b.ceiling"
		" THEN pg_catalog.format('Its ceiling would be %s; its balance is %s.', b.ceiling, n.balance) END"
		" FROM ONLY payments.ledger_balance b"
		" JOIN ONLY payments.ledger_account a ON a.id OPERATOR(pg_catalog.=) b.account_id"
		" CROSS JOIN LATERAL (SELECT CASE WHEN a.kind IN ('asset', 'expense') THEN b.balance"
		" ELSE OPERATOR(pg_catalog.-) b.balance END AS balance, b.held OPERATOR(pg_catalog.-) $2 AS held) AS n"
		" WHERE b.account_id OPERATOR(pg_catalog.=) $1 AND b.stripe OPERATOR(pg_catalog.=) 0::pg_catalog.int2",
		2, {INT8OID, NUMERICOID}
	};
	Datum		values[2] = {Int64GetDatum(account_id),
	pay_amount_to_numeric(overdue)};
	char	   *fault;

	pay_db_run(&check, values, NULL);
	fault = pay_db_text(0, 1);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_LIMIT_CROSSED),
				 errmsg("account \"%s\" is past the limit already", code),
				 errdetail_internal("%s", fault),
				 errhint("Set a limit that holds now, or post to the account first.")));
}

void
pay_ledger_state_unknown(const char *code)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_UNKNOWN_ACCOUNT),
			 errmsg("account \"%s\" does not exist", code),
			 errhint("payments.open_account opens it; payments.accounts lists those there are.")));
}

void
pay_ledger_state_rows_missing(const char *code)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("balance rows of account \"%s\" are missing", code),
			 errhint("Build them anew: SELECT * FROM payments.rebuild_balances().")));
}

void
pay_ledger_state_not_open(int64 account_id, const char *code, char state)
{
	static PayStatement read = {
		"SELECT pg_catalog.format('%s did so, for the reason \"%s\".', actor, reason)"
		" FROM ONLY payments.ledger_account_event"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND event OPERATOR(pg_catalog.=) $2"
		" ORDER BY id DESC LIMIT 1",
		2, {INT8OID, TEXTOID}
	};
	Datum		values[2] = {Int64GetDatum(account_id),
	CStringGetTextDatum(state_name(state))};
	bool		known = pay_db_run(&read, values, NULL) > 0;

	ereport(ERROR,
			(errcode(ERRCODE_PAY_ACCOUNT_NOT_OPEN),
			 errmsg("account \"%s\" is %s", code, state_name(state)),
			 known ? errdetail_internal("%s", pay_db_text(0, 1)) : 0,
			 state == PAY_LEDGER_FROZEN ?
			 errhint("payments.unfreeze_account opens it again.") :
			 errhint("payments.reopen_account opens it again.")));
}

void
pay_ledger_state_check_stripes(int stripes)
{
	if (stripes < 1 || stripes > MAX_STRIPES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stripes is out of range"),
				 errdetail("The value is %d.", stripes),
				 errhint("It is 1 for an exact balance, and up to %d for an account that many post to at a time.",
						 MAX_STRIPES)));
}

static const char *
state_name(char state)
{
	return state == PAY_LEDGER_FROZEN ? "frozen" : state == PAY_LEDGER_CLOSED ? "closed" : "open";
}
