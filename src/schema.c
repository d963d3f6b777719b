/*
 * schema.c
 *		What the schema is, and whether it is what it must be: the only writer of
 *		payments.schema_record.
 *
 * The hooks of guard.c prevent; this looks.  It also sees what was done while
 * the library was not loaded, or by force.  It cannot see what was changed and
 * changed back, nor what is not in the catalogue: files, and the library.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "errors.h"
#include "guard.h"
#include "schema.h"
#include "schema_query.h"

/* The newest record, as rows like those of the schema. */
#define RECORDED \
	", b AS MATERIALIZED (SELECT j.key COLLATE \"C\" AS object, j.value AS definition" \
	" FROM (SELECT objects FROM ONLY payments.schema_record ORDER BY id DESC LIMIT 1) s, jsonb_each_text(s.objects) j) "

/* Indexes that people add for their queries are welcome. */
#define COUNTS \
	" NOT (b.object IS NULL AND now.object LIKE 'index %' AND now.definition LIKE 'CREATE INDEX %') "

#define FINGERPRINT "encode(sha256(convert_to(x.objects::text, 'UTF8')), 'hex')"

/* Settings that decide how definitions are written */
static const struct
{
	const char *name;
	const char *value;
}			pinned[] =

{
	{"quote_all_identifiers", "off"},
	{"standard_conforming_strings", "on"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"bytea_output", "hex"},
	{"extra_float_digits", "1"},
	{"xmlbinary", "base64"},
	{"jit", "off"},
	{"enable_seqscan", "on"},	/* a worker has it off */
	{"search_path", "pg_catalog, pg_temp"},
};

static bool recording = false;

static int	pin_settings(void);
static void return_rows(FunctionCallInfo fcinfo, PayStatement *statement,
						int columns);
static void check_may_record(void);
static char *record(text *reason);

PG_FUNCTION_INFO_V1(payments_schema_objects);
PG_FUNCTION_INFO_V1(payments_schema_fingerprint);
PG_FUNCTION_INFO_V1(payments_schema_problems);
PG_FUNCTION_INFO_V1(payments_record_schema);
PG_FUNCTION_INFO_V1(payments_schema_record_guard);

static PayStatement problems = {
	PAY_SCHEMA_QUERY RECORDED
	"SELECT CASE WHEN b.object IS NULL THEN format('extra %s: %s', now.object, left(now.definition, 120))"
	" WHEN now.object IS NULL THEN format('missing %s', b.object)"
	" ELSE format('changed %s: was \"%s\", is \"%s\"', b.object, substr(b.definition, d.first - 20, 100),"
	"  substr(now.definition, d.first - 20, 100)) END"
	" FROM now FULL JOIN b ON b.object = now.object, LATERAL (SELECT coalesce(min(c.place), 0)::integer AS first"
	"  FROM ROWS FROM (string_to_table(b.definition, NULL), string_to_table(now.definition, NULL)) WITH ORDINALITY c (was, is_now, place)"
	"  WHERE c.was IS DISTINCT FROM c.is_now) d"
	" WHERE b.definition IS DISTINCT FROM now.definition AND EXISTS (SELECT FROM b) AND " COUNTS
	" UNION ALL SELECT 'nothing was recorded' WHERE NOT EXISTS (SELECT FROM b)"
	" ORDER BY 1",
	0
};

/* payments.schema_objects: what the schema is now. */
Datum
payments_schema_objects(PG_FUNCTION_ARGS)
{
	static PayStatement objects = {
		PAY_SCHEMA_QUERY "SELECT object, definition FROM now ORDER BY object",
		0
	};

	return_rows(fcinfo, &objects, 2);
	return (Datum) 0;
}

/* payments.schema_problems: how it differs from what was recorded. */
Datum
payments_schema_problems(PG_FUNCTION_ARGS)
{
	return_rows(fcinfo, &problems, 1);
	return (Datum) 0;
}

/* payments.schema_fingerprint: the digest of what the schema is now. */
Datum
payments_schema_fingerprint(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(pay_schema_fingerprint()));
}

char *
pay_schema_fingerprint(void)
{
	static PayStatement fingerprint = {
		PAY_SCHEMA_QUERY RECORDED
		"SELECT " FINGERPRINT " FROM (SELECT jsonb_object_agg(now.object, now.definition) AS objects"
		" FROM now LEFT JOIN b ON b.object = now.object WHERE " COUNTS ") x",
		0
	};
	int			level = pin_settings();
	MemoryContext caller = pay_db_connect();
	char	   *result;

	pay_db_read(&fingerprint, NULL, NULL);
	result = MemoryContextStrdup(caller, pay_db_text(0, 1));
	pay_db_finish();
	AtEOXact_GUC(true, level);
	return result;
}

char *
pay_schema_versions(void)
{
	static PayStatement versions = {PAY_SCHEMA_VERSIONS_QUERY, 0};
	int			level = pin_settings();
	MemoryContext caller = pay_db_connect();
	char	   *result;

	pay_db_run(&versions, NULL, NULL);
	result = MemoryContextStrdup(caller, pay_db_text(0, 1));
	pay_db_finish();
	AtEOXact_GUC(true, level);
	return result;
}

char *
pay_schema_problem(void)
{
	int			level = pin_settings();
	MemoryContext caller = pay_db_connect();
	char	   *problem = NULL;

	if (pay_db_run(&problems, NULL, NULL) > 0)
		problem = MemoryContextStrdup(caller, pay_db_text(0, 1));
	pay_db_finish();
	AtEOXact_GUC(true, level);
	return problem;
}

/*
 * payments.record_schema: the schema as it is now is the one that must be.
 * Raises PY024 outside the extension's own scripts and maintenance mode.
 */
Datum
payments_record_schema(PG_FUNCTION_ARGS)
{
	int			level;
	char	   *fingerprint;

	pay_args_require(fcinfo, 0, "reason");
	check_may_record();

	level = pin_settings();
	recording = true;
	PG_TRY();
	{
		fingerprint = record(PG_GETARG_TEXT_PP(0));
	}
	PG_FINALLY();
	{
		recording = false;
	}
	PG_END_TRY();
	AtEOXact_GUC(true, level);
	PG_RETURN_TEXT_P(cstring_to_text(fingerprint));
}

static void
check_may_record(void)
{
	if (pay_guard_in_own_script())
		return;
	if (pay_guard_maintenance() == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_GUARDED),
				 errmsg("cannot record the schema of payments now"),
				 errdetail("It is recorded by the extension's own scripts, and in maintenance mode."),
				 errhint("Restart the server with payments.maintenance set to the reason.")));
	pay_guard_log_note("record_schema", "schema payments");
	pay_guard_log_flush();
}

static char *
record(text *reason)
{
	static PayStatement insert = {
		PAY_SCHEMA_QUERY
		"INSERT INTO payments.schema_record (id, reason, extension_version, server_version, fingerprint, objects, actor, recorded_at)"
		" SELECT $1, $2, (SELECT extversion FROM e), current_setting('server_version'), " FINGERPRINT ", x.objects, session_user, $3"
		" FROM (SELECT jsonb_object_agg(now.object, now.definition) AS objects FROM now) x"
		" RETURNING fingerprint",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	MemoryContext caller = pay_db_connect();
	Datum		values[3];
	char	   *fingerprint;

	values[0] = Int64GetDatum(*pay_db_draw_ids("schema_record_id_seq", 1));
	values[1] = PointerGetDatum(reason);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	pay_db_run(&insert, values, NULL);
	fingerprint = MemoryContextStrdup(caller, pay_db_text(0, 1));
	pay_db_finish();
	return fingerprint;
}

/* Trigger: only record() writes records; a copy of the database makes its own. */
Datum
payments_schema_record_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER INSERT FOR EACH ROW",
						"payments.schema_record_guard")));
	if (!recording)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_GUARDED),
				 errmsg("cannot insert into \"payments.schema_record\""),
				 errdetail("Its rows are written by payments.record_schema alone."),
				 errhint("Call payments.record_schema in maintenance mode.")));
	return PointerGetDatum(NULL);
}

/* Make definitions come out alike for everybody; undone by AtEOXact_GUC. */
static int
pin_settings(void)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(pinned); i++)
		(void) set_config_option(pinned[i].name, pinned[i].value,
								 PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* The rows of a statement whose columns are all text. */
static void
return_rows(FunctionCallInfo fcinfo, PayStatement *statement, int columns)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			level = pin_settings();
	uint64		n;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	pay_db_connect();
	n = pay_db_read(statement, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[4];
		bool		nulls[4];

		for (int c = 0; c < columns; c++)
			values[c] = pay_db_datum(i, c + 1, &nulls[c]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	pay_db_finish();
	AtEOXact_GUC(true, level);
}
