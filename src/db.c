/*
 * db.c
 *		Running SQL from C: the only file that calls SPI.
 *
 * Owns the saved plans.  A plan is kept in its PayStatement for the session;
 * the plan cache re-parses it when the objects it names have changed, so it
 * also survives DROP and CREATE EXTENSION.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "jit/jit.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "amount.h"
#include "db.h"
#include "db_plan.h"
#include "search_path.h"

static void prepare(PayStatement *statement);
static uint64 execute(PayStatement *statement, Datum *values,
					  const char *nulls, bool read_only);

MemoryContext
pay_db_connect(void)
{
	MemoryContext caller = CurrentMemoryContext;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI manager");
	return caller;
}

MemoryContext
pay_db_connect_committing(void)
{
	MemoryContext caller = CurrentMemoryContext;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI manager");
	return caller;
}

void
pay_db_commit(void)
{
	SPI_commit();
}

void
pay_db_finish(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from the SPI manager");
}

uint64
pay_db_run(PayStatement *statement, Datum *values, const char *nulls)
{
	return execute(statement, values, nulls, false);
}

uint64
pay_db_read(PayStatement *statement, Datum *values, const char *nulls)
{
	return execute(statement, values, nulls, true);
}

void
pay_db_utility(const char *text)
{
	int			path = pay_search_path_pin();
	int			rc = SPI_execute(text, false, 0);

	pay_search_path_give_back(path);
	if (rc < 0)
		elog(ERROR, "could not execute a utility statement: %s",
			 SPI_result_code_string(rc));
}

PayDbResult
pay_db_suspend(void)
{
	return SPI_tuptable;
}

void
pay_db_resume(PayDbResult result)
{
	SPI_tuptable = result;
}

static void
prepare(PayStatement *statement)
{
	SPIPlanPtr	plan;

	Assert(statement->nargs <= PAY_DB_MAX_ARGS);

	/* one plan for all values: every access is by key */
	plan = SPI_prepare_cursor(statement->text, statement->nargs,
							  statement->argtypes, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep a plan");
	statement->plan = plan;
}

/*
 * SPI leaves its own context as the current one, whatever the caller's was: what
 * he allocates next would go away with pay_db_finish, so his is put back.
 *
 * Just-in-time compilation is switched off for what we run.  Plans are made for
 * all values and look dear for the worst of them; compiling one takes longer
 * than a hundred runs of it.
 */
static uint64
execute(PayStatement *statement, Datum *values, const char *nulls,
		bool read_only)
{
	bool		jit = jit_enabled;
	bool		ours = pay_db_plans_ours;
	MemoryContext caller = CurrentMemoryContext;
	int			path = pay_search_path_pin();
	int			rc = 0;

	if (statement->plan == NULL)
		prepare(statement);

	jit_enabled = false;
	pay_db_plans_ours = true;
	PG_TRY();
	{
		rc = SPI_execute_plan(statement->plan, values, nulls, read_only, 0);
	}
	PG_FINALLY();
	{
		jit_enabled = jit;
		pay_db_plans_ours = ours;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	pay_search_path_give_back(path);
	if (rc < 0)
		elog(ERROR, "could not execute a statement: %s",
			 SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Columns of the last result
 */

Datum
pay_db_datum(uint64 row, int column, bool *is_null)
{
	Assert(SPI_tuptable != NULL && row < SPI_tuptable->numvals);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, is_null);
}

void
pay_db_row(uint64 row, Datum *values, bool *nulls)
{
	Assert(SPI_tuptable != NULL && row < SPI_tuptable->numvals);
	heap_deform_tuple(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
					  values, nulls);
}

/* A column that cannot be null by its table's definition. */
static Datum
not_null_datum(uint64 row, int column)
{
	bool		is_null;
	Datum		value = pay_db_datum(row, column, &is_null);

	if (is_null)
		elog(ERROR, "unexpected null in column %d", column);
	return value;
}

bool
pay_db_is_null(uint64 row, int column)
{
	bool		is_null;

	(void) pay_db_datum(row, column, &is_null);
	return is_null;
}

int64
pay_db_int64(uint64 row, int column)
{
	return DatumGetInt64(not_null_datum(row, column));
}

int32
pay_db_int32(uint64 row, int column)
{
	return DatumGetInt32(not_null_datum(row, column));
}

bool
pay_db_bool(uint64 row, int column)
{
	return DatumGetBool(not_null_datum(row, column));
}

char
pay_db_char(uint64 row, int column)
{
	return DatumGetChar(not_null_datum(row, column));
}

TimestampTz
pay_db_time(uint64 row, int column)
{
	return DatumGetTimestampTz(not_null_datum(row, column));
}

char *
pay_db_text(uint64 row, int column)
{
	bool		is_null;
	Datum		value = pay_db_datum(row, column, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

int64
pay_db_mills(uint64 row, int column)
{
	return pay_amount_from_table(not_null_datum(row, column));
}

/*
 * Arrays for unnest()
 */

Datum
pay_db_int64_array(const int64 *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
pay_db_int32_array(const int32 *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Int32GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, INT4OID, sizeof(int32),
										   true, TYPALIGN_INT));
}

Datum
pay_db_bool_array(const bool *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = BoolGetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, BOOLOID, 1, true,
										   TYPALIGN_CHAR));
}

/* A time of zero is a NULL element. */
Datum
pay_db_time_array(const TimestampTz *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			dims[1] = {n};
	int			lower_bounds[1] = {1};

	for (int i = 0; i < n; i++)
	{
		datums[i] = TimestampTzGetDatum(values[i]);
		nulls[i] = values[i] == 0;
	}
	if (n == 0)
		return PointerGetDatum(construct_empty_array(TIMESTAMPTZOID));
	return PointerGetDatum(construct_md_array(datums, nulls, 1, dims,
											  lower_bounds, TIMESTAMPTZOID,
											  sizeof(TimestampTz),
											  FLOAT8PASSBYVAL,
											  TYPALIGN_DOUBLE));
}

/* An array of a varlena type; a null pointer is a null element. */
static Datum
varlena_array(Datum *datums, int n, Oid type, char align)
{
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			dims[1] = {n};
	int			lower_bounds[1] = {1};

	for (int i = 0; i < n; i++)
		nulls[i] = DatumGetPointer(datums[i]) == NULL;
	if (n == 0)
		return PointerGetDatum(construct_empty_array(type));
	return PointerGetDatum(construct_md_array(datums, nulls, 1, dims,
											  lower_bounds, type, -1, false,
											  align));
}

Datum
pay_db_text_array(char *const *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = values[i] == NULL ?
			PointerGetDatum(NULL) : CStringGetTextDatum(values[i]);
	return varlena_array(datums, n, TEXTOID, TYPALIGN_INT);
}

Datum
pay_db_mills_array(const int64 *mills, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = pay_amount_to_numeric(mills[i]);
	return varlena_array(datums, n, NUMERICOID, TYPALIGN_INT);
}

Datum
pay_db_array(Datum *values, int n, Oid type)
{
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	return PointerGetDatum(construct_array(values, n, type, length, by_value,
										   align));
}

/*
 * The sequence's oid comes from the system cache each time: kept, it would go
 * stale with DROP EXTENSION.
 */
int64 *
pay_db_draw_ids(const char *sequence, int n)
{
	Oid			oid = get_relname_relid(sequence,
										get_namespace_oid("payments", false));
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));

	if (!OidIsValid(oid))
		elog(ERROR, "sequence payments.%s does not exist", sequence);
	for (int i = 0; i < n; i++)
		ids[i] = DatumGetInt64(DirectFunctionCall1(nextval_oid,
												   ObjectIdGetDatum(oid)));
	return ids;
}
