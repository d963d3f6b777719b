/*
 * ledger_statement.c
 *		payments.statement: an account from one time to another.
 *
 * The opening balance comes from snapshots; the entries are found through
 * them, so that a page out of a long history does not read all of it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "args.h"
#include "db.h"
#include "ledger_read.h"
#include "ledger_snapshot.h"

#define COLUMNS	13

/* What was asked for: from_at <= a time on the clock < to_at */
typedef struct Period
{
	bool		recorded;		/* the clock: recorded_at or effective_at */
	TimestampTz from_at;
	TimestampTz to_at;
	PayLedgerPart before;		/* the entries that the opening balance sums */
	PayLedgerPart within;
} Period;

static void read_period(FunctionCallInfo fcinfo, Period *period);
static uint64 read_lines(const Period *period);

PG_FUNCTION_INFO_V1(payments_statement);

/*
 * payments.statement: see 46_ledger_reading.sql.  Errors: 22004, 22023, PY012.
 */
Datum
payments_statement(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Period		period;
	uint64		rows;

	pay_args_require(fcinfo, 0, "account");
	pay_args_require(fcinfo, 3, "clock");
	InitMaterializedSRF(fcinfo, 0);

	pay_db_connect();
	read_period(fcinfo, &period);
	rows = read_lines(&period);
	for (uint64 i = 0; i < rows; i++)
	{
		Datum		row[COLUMNS];
		bool		nulls[COLUMNS];

		for (int c = 0; c < COLUMNS; c++)
			row[c] = pay_db_datum(i, c + 1, &nulls[c]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	pay_db_finish();
	PG_RETURN_NULL();
}

/*
 * The arguments.  Times are whole microseconds, so "before to_at" is "up to
 * the microsecond before it"; an infinite end includes what stands there.
 */
static void
read_period(FunctionCallInfo fcinfo, Period *period)
{
	char	   *clock = text_to_cstring(PG_GETARG_TEXT_PP(3));
	TimestampTz from_at = pay_ledger_read_time(fcinfo, 1, DT_NOBEGIN);
	TimestampTz to_at = pay_ledger_read_time(fcinfo, 2, DT_NOEND);
	TimestampTz before = from_at;
	PayLedgerPart all = {0};

	period->recorded = strcmp(clock, "recorded") == 0;
	if (!period->recorded && strcmp(clock, "effective") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("clock \"%s\" is unknown", clock),
				 errhint("The clocks are effective (when it happened) and recorded (when it was written).")));
	if (from_at > to_at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("from_at is later than to_at"),
				 errhint("A statement begins at from_at and ends before to_at.")));

	all.account_id = pay_ledger_read_account(fcinfo, 0, NULL);
	all.effective_from = all.recorded_from = DT_NOBEGIN;
	all.effective_to = DT_NOEND;
	all.recorded_to = pay_ledger_read_time(fcinfo, 4, DT_NOEND);

	period->from_at = from_at;
	period->to_at = to_at;
	period->before = period->within = all;
	if (!TIMESTAMP_IS_NOBEGIN(from_at))
		before--;
	if (!TIMESTAMP_NOT_FINITE(to_at))
		to_at--;
	if (period->recorded)
	{
		period->before.recorded_to = Min(all.recorded_to, before);
		period->within.recorded_from = from_at;
		period->within.recorded_to = Min(all.recorded_to, to_at);
	}
	else
	{
		period->before.effective_to = before;
		period->within.effective_from = from_at;
		period->within.effective_to = to_at;
	}
}

/*
 * Opening balance, entries and closing balance, as rows of the last result.
 * DISTINCT: ranges may overlap.
 */
static uint64
read_lines(const Period *period)
{
	static PayStatement read = {
		"WITH line AS MATERIALIZED (SELECT CASE WHEN $8 THEN t.recorded_at ELSE t.effective_at END AS at,"
		" e.transaction_id, e.entry_no, e.amount,"
		" t.transaction_key, t.kind, t.order_id, t.description, t.effective_at, t.recorded_at"
		" FROM (SELECT DISTINCT e.transaction_id, e.entry_no, e.amount"
		" FROM ROWS FROM (pg_catalog.unnest($6), pg_catalog.unnest($7)) AS r (first, last)"
		" CROSS JOIN LATERAL (SELECT e.transaction_id, e.entry_no, e.amount FROM ONLY payments.ledger_entry e"
		" WHERE e.account_id OPERATOR(pg_catalog.=) $1 AND e.transaction_id OPERATOR(pg_catalog.>=) r.first"
		" AND e.transaction_id OPERATOR(pg_catalog.<=) r.last OFFSET 0) e) e"
		" CROSS JOIN LATERAL (SELECT * FROM ONLY payments.ledger_transaction t"
		" WHERE t.id OPERATOR(pg_catalog.=) e.transaction_id OFFSET 0) t"
		" WHERE t.effective_at OPERATOR(pg_catalog.>=) $2 AND t.effective_at OPERATOR(pg_catalog.<=) $3"
		" AND t.recorded_at OPERATOR(pg_catalog.>=) $4 AND t.recorded_at OPERATOR(pg_catalog.<=) $5)"
		" SELECT s.line, s.at, s.transaction_id, s.entry_no, s.transaction_key, s.kind, s.order_id, s.description,"
		" s.effective_at, s.recorded_at, s.debit, s.credit, s.balance FROM ("
		"SELECT 'opening' AS line, 0 AS place, $10 AS at, NULL::pg_catalog.int8 AS transaction_id,"
		" NULL::pg_catalog.int2 AS entry_no, NULL::pg_catalog.text AS transaction_key, NULL::pg_catalog.text AS kind,"
		" NULL::pg_catalog.text AS order_id, NULL::pg_catalog.text AS description,"
		" NULL::pg_catalog.timestamptz AS effective_at, NULL::pg_catalog.timestamptz AS recorded_at,"
		" NULL::pg_catalog.numeric AS debit, NULL::pg_catalog.numeric AS credit, $9 AS balance"
		" UNION ALL SELECT 'entry', 1, l.at, l.transaction_id, l.entry_no, l.transaction_key, l.kind,"
		" l.order_id, l.description, l.effective_at, l.recorded_at,"
		" CASE WHEN l.amount OPERATOR(pg_catalog.>) 0 THEN l.amount END,"
		" CASE WHEN l.amount OPERATOR(pg_catalog.<) 0 THEN OPERATOR(pg_catalog.-) l.amount END,"
		" pg_catalog.trim_scale($9 OPERATOR(pg_catalog.+) pg_catalog.sum(l.amount) OVER (ORDER BY l.at, l.transaction_id, l.entry_no))"
		" FROM line l"
		" UNION ALL SELECT 'closing', 2, $11, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
		" COALESCE(pg_catalog.sum(l.amount) FILTER (WHERE l.amount OPERATOR(pg_catalog.>) 0), 0),"
		" COALESCE(OPERATOR(pg_catalog.-) pg_catalog.sum(l.amount) FILTER (WHERE l.amount OPERATOR(pg_catalog.<) 0), 0),"
		" pg_catalog.trim_scale($9 OPERATOR(pg_catalog.+) COALESCE(pg_catalog.sum(l.amount), 0)) FROM line l) s"
		" ORDER BY s.place, s.at, s.transaction_id, s.entry_no",
		11, {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			TIMESTAMPTZOID, INT8ARRAYOID, INT8ARRAYOID, BOOLOID, NUMERICOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	const PayLedgerPart *within = &period->within;
	PayLedgerRanges ranges;
	Datum		opening = NumericGetDatum(int64_to_numeric(0));
	Datum		values[11];

	/* nothing is before the beginning of all times */
	if (!TIMESTAMP_IS_NOBEGIN(period->from_at))
		opening = pay_ledger_snapshot_sum(&period->before);
	pay_ledger_snapshot_find(within, false, &ranges);

	values[0] = Int64GetDatum(within->account_id);
	values[1] = TimestampTzGetDatum(within->effective_from);
	values[2] = TimestampTzGetDatum(within->effective_to);
	values[3] = TimestampTzGetDatum(within->recorded_from);
	values[4] = TimestampTzGetDatum(within->recorded_to);
	values[5] = ranges.first_ids;
	values[6] = ranges.last_ids;
	values[7] = BoolGetDatum(period->recorded);
	values[8] = opening;
	values[9] = TimestampTzGetDatum(period->from_at);
	values[10] = TimestampTzGetDatum(period->to_at);
	return pay_db_read(&read, values, NULL);
}
