/*
 * ledger_open.c
 *		payments.open_account.
 *
 * An account that is opened by its first posting is all that its code says.
 * Opened here it may be more: a kind and a currency of its own, limits,
 * stripes.  Codes that payments itself books on stay what their names say,
 * since a payment must never fail for an account that somebody opened first.
 *
 * Opening is idempotent: what is compared is what the account was opened
 * with, not what became of it since.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "args.h"
#include "db.h"
#include "errors.h"
#include "ledger_account.h"
#include "ledger_argument.h"
#include "ledger_state.h"

static const char *const kinds[] = {"asset", "liability", "revenue", "expense"};

/* First parts of codes that payments books on */
static const char *const booked[] = {"psp:", "buyer:", "seller:", "platform:"};

typedef struct Opening
{
	char	   *code;
	const char *kind;
	const char *currency;
	Datum		floor;
	Datum		ceiling;
	bool		has_floor;
	bool		has_ceiling;
	int			stripes;
	char	   *reason;
} Opening;

static void read_opening(FunctionCallInfo fcinfo, Opening *opening);
static const char *choose_kind(const char *code, const char *kind,
							   int *stripes);
static const char *choose_currency(const char *code, const char *currency);
static void choose_limits(FunctionCallInfo fcinfo, Opening *opening);
static int64 insert_account(const Opening *opening, TimestampTz now);
static int64 compare_account(const Opening *opening);

PG_FUNCTION_INFO_V1(payments_open_account);

/*
 * payments.open_account: errors 22004, 22023 and 22003 for arguments, PY012 for
 * a code whose kind is neither known nor given, PY011 when the account was
 * opened with other content, PY019 for a limit that no new account can keep.
 */
Datum
payments_open_account(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	Opening		opening = {0};
	int64		id;

	pay_args_require(fcinfo, 0, "account");
	pay_db_connect();
	read_opening(fcinfo, &opening);
	id = insert_account(&opening, now);
	if (id == 0)
		id = compare_account(&opening);
	else
	{
		pay_ledger_state_check_limits(id, opening.code, 0);
		pay_ledger_state_record(id, "opened", opening.reason, now);
	}
	pay_db_finish();
	PG_RETURN_INT64(id);
}

static void
read_opening(FunctionCallInfo fcinfo, Opening *opening)
{
	int			stripes;

	opening->code = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pay_ledger_account_check_code(opening->code);
	opening->kind = choose_kind(opening->code,
								pay_ledger_argument_text(fcinfo, 1, "kind"),
								&stripes);
	opening->currency = choose_currency(opening->code,
										pay_ledger_argument_text(fcinfo, 2, "currency"));
	opening->reason = pay_ledger_argument_text(fcinfo, 6, "reason");
	choose_limits(fcinfo, opening);

	if (!PG_ARGISNULL(5))
		stripes = PG_GETARG_INT32(5);
	else if (opening->has_floor || opening->has_ceiling)
		stripes = 1;
	pay_ledger_state_check_stripes(stripes);
	if (stripes > 1 && (opening->has_floor || opening->has_ceiling))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("account \"%s\" cannot have limits and stripes",
						opening->code),
				 errdetail("Limits are checked in one row."),
				 errhint("Leave out stripes, or floor and ceiling.")));
	opening->stripes = stripes;
}

/* The kind of a code, given or known; and how many stripes it has then. */
static const char *
choose_kind(const char *code, const char *kind, int *stripes)
{
	const char *known;
	bool		is_kind = false;

	if (!pay_ledger_account_default(code, &known, stripes))
	{
		known = NULL;
		*stripes = 1;
	}
	if (kind == NULL && known == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_ACCOUNT),
				 errmsg("kind of account \"%s\" is unknown", code),
				 errhint("Give it: asset, liability, revenue or expense.")));
	if (kind == NULL)
		return known;

	for (int i = 0; i < lengthof(kinds); i++)
		is_kind = is_kind || strcmp(kind, kinds[i]) == 0;
	if (!is_kind)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind \"%s\" of account \"%s\" is unknown", kind, code),
				 errhint("The kinds are asset, liability, revenue and expense.")));
	if (known != NULL && strcmp(kind, known) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("account \"%s\" cannot be of kind \"%s\"", code, kind),
				 errdetail("By its first part its kind is \"%s\".", known),
				 errhint("Begin the code with something else, or leave the kind out.")));
	return kind;
}

/*
 * The currency that the code ends in, or the one that is given; a code that
 * payments books on has no choice.
 */
static const char *
choose_currency(const char *code, const char *currency)
{
	static PayStatement find = {
		"SELECT code FROM ONLY payments.currency"
		" WHERE code OPERATOR(pg_catalog.=) pg_catalog.substring($1, ':([A-Z]{3})$')",
		1, {TEXTOID}
	};
	const char *fixed = NULL;
	Datum		values[1] = {CStringGetTextDatum(code)};

	if (pay_db_run(&find, values, NULL) > 0)
		fixed = pay_db_text(0, 1);
	for (int i = 0; fixed == NULL && i < lengthof(booked); i++)
		if (strncmp(code, booked[i], strlen(booked[i])) == 0)
			fixed = PAY_LEDGER_CURRENCY;

	if (currency == NULL)
		return fixed != NULL ? fixed : PAY_LEDGER_CURRENCY;
	if (fixed != NULL && strcmp(fixed, currency) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WRONG_CURRENCY),
				 errmsg("account \"%s\" cannot have the currency \"%s\"",
						code, currency),
				 errdetail("By its code the currency is %s.", fixed),
				 errhint("End the code in the currency, as in seller:7:USD.")));
	return currency;
}

/* Also looks the currency up: 22023 when it is unknown. */
static void
choose_limits(FunctionCallInfo fcinfo, Opening *opening)
{
	Datum		zero = pay_ledger_state_limit(NumericGetDatum(int64_to_numeric(0)),
											  opening->currency, "floor");

	opening->has_floor = !PG_ARGISNULL(3);
	opening->floor = !opening->has_floor ? zero :
		pay_ledger_state_limit(PG_GETARG_DATUM(3), opening->currency, "floor");
	opening->has_ceiling = !PG_ARGISNULL(4);
	opening->ceiling = !opening->has_ceiling ? zero :
		pay_ledger_state_limit(PG_GETARG_DATUM(4), opening->currency,
							   "ceiling");
	if (opening->has_floor && opening->has_ceiling &&
		DatumGetBool(DirectFunctionCall2(numeric_gt, opening->floor,
										 opening->ceiling)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("floor is above ceiling"),
				 errhint("Give a floor up to the ceiling, or NULL for no limit.")));
}

/*
 * Returns 0 when there is an account with this code.  Another session may be
 * opening it: the insert waits for it.
 */
static int64
insert_account(const Opening *opening, TimestampTz now)
{
	static PayStatement insert = {
		"WITH a AS (INSERT INTO payments.ledger_account (id, code, kind, currency, created_at)"
		" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO NOTHING RETURNING id)"
		" INSERT INTO payments.ledger_balance (account_id, stripe, stripes, state, floor, ceiling, held, balance)"
		" SELECT a.id, s.stripe, $6, 'o', $7, $8, 0, 0 FROM a"
		" CROSS JOIN pg_catalog.generate_series(0, $6 OPERATOR(pg_catalog.-) 1) AS s (stripe)",
		8, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID,
		NUMERICOID, NUMERICOID}
	};
	int64		id = *pay_db_draw_ids("ledger_account_id_seq", 1);
	Datum		values[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', 'n', 'n'};

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(opening->code);
	values[2] = CStringGetTextDatum(opening->kind);
	values[3] = CStringGetTextDatum(opening->currency);
	values[4] = TimestampTzGetDatum(now);
	values[5] = Int32GetDatum(opening->stripes);
	values[6] = opening->floor;
	values[7] = opening->ceiling;
	if (opening->has_floor)
		nulls[6] = ' ';
	if (opening->has_ceiling)
		nulls[7] = ' ';
	return pay_db_run(&insert, values, nulls) > 0 ? id : 0;
}

/*
 * The id of the account that is there.  Raises PY011 with what differs.  One
 * that its first posting opened has no limits and its code's stripes.
 */
static int64
compare_account(const Opening *opening)
{
	static PayStatement read = {
		"SELECT a.id, pg_catalog.concat_ws(', ',"
		" CASE WHEN a.kind OPERATOR(pg_catalog.<>) $2 THEN 'kind' END,"
		" CASE WHEN a.currency OPERATOR(pg_catalog.<>) $3 THEN 'currency' END,"
		" CASE WHEN e.floor IS DISTINCT FROM $4 THEN 'floor' END,"
		" CASE WHEN e.ceiling IS DISTINCT FROM $5 THEN 'ceiling' END,"
		" CASE WHEN COALESCE(e.stripes, $7) IS DISTINCT FROM $6 THEN 'stripes' END)"
		" FROM ONLY payments.ledger_account a"
		" LEFT JOIN ONLY payments.ledger_account_event e"
		" ON e.account_id OPERATOR(pg_catalog.=) a.id AND e.event OPERATOR(pg_catalog.=) 'opened'"
		" WHERE a.code OPERATOR(pg_catalog.=) $1",
		7, {TEXTOID, TEXTOID, TEXTOID, NUMERICOID, NUMERICOID, INT4OID,
		INT4OID}
	};
	const char *kind;
	int			stripes;
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', 'n', 'n', ' ', ' '};
	char	   *differences;

	if (!pay_ledger_account_default(opening->code, &kind, &stripes))
		stripes = 1;
	values[0] = CStringGetTextDatum(opening->code);
	values[1] = CStringGetTextDatum(opening->kind);
	values[2] = CStringGetTextDatum(opening->currency);
	values[3] = opening->floor;
	values[4] = opening->ceiling;
	values[5] = Int32GetDatum(opening->stripes);
	values[6] = Int32GetDatum(stripes);
	if (opening->has_floor)
		nulls[3] = ' ';
	if (opening->has_ceiling)
		nulls[4] = ' ';
	if (pay_db_run(&read, values, nulls) != 1)
		elog(ERROR, "an account that was opened is not there");

	differences = pay_db_text(0, 2);
	if (differences[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_PAY_LEDGER_DIFFERS),
				 errmsg("account \"%s\" was opened before with other content",
						opening->code),
				 errdetail("What differs: %s.", differences),
				 errhint("Change limits and stripes with payments.set_account_limits and payments.set_account_stripes; kind and currency never change.")));
	return pay_db_int64(0, 1);
}
