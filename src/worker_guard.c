/*
 * worker_guard.c
 *		Nothing is sent from a database whose guards are not in place.
 *
 * Before a worker claims calls it makes sure that the schema is what was
 * recorded (schema.c): when it starts, once per sweep interval, and whenever the
 * server says that one of our tables, views, indexes or functions has changed.
 * Otherwise it knows already, and asking costs a comparison.  A look takes some
 * 50 ms, and the server says so behind every VACUUM and ANALYZE, too, of all tables
 * in turn when autovacuum comes: if the catalogue's rows have the versions that
 * they had, that is enough.  As long as
 * something is wrong it saves answers, claims nothing, says why, and looks again
 * every second.  In maintenance mode it claims nothing at all.
 *
 * Changes of the catalogue's rows by force are not announced, but they do not
 * work before something else is: so they are seen in time, too.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "clock.h"
#include "db.h"
#include "guard.h"
#include "schema.h"
#include "worker.h"

#define LOOK_AGAIN	1000		/* ms, while something is wrong */

/* What to be told of: relations by oid, functions by the hash of their row. */
typedef struct Watch
{
	uint32	   *numbers;		/* sorted */
	int			n;
} Watch;

static Watch watched_relations;
static Watch watched_functions;
static bool changed = true;

static int64 look_at = 0;		/* the latest time of the next look */
static bool told_fingerprint = false;
static char *seen_versions = NULL;

static bool is_as_seen(PayWorker *worker);
static void look(PayWorker *worker);
static void say(PayWorker *worker, const char *problem);
static void watch(PayWorker *worker);
static void fill(PayWorker *worker, Watch *watch, PayStatement *statement);
static void relation_changed(Datum arg, Oid relation);
static void function_changed(Datum arg, int cache, uint32 hash);
static bool is_in(const Watch *watch, uint32 number);
static int	compare(const void *a, const void *b);

void
pay_worker_guard_start(PayWorker *worker)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
	if (pay_guard_maintenance() != NULL)
	{
		snprintf(worker->withheld, sizeof(worker->withheld),
				 "maintenance mode: %s", pay_guard_maintenance());
		worker->look_again_at = PAY_NEVER;
	}
}

/*
 * May calls be claimed in this transaction?  If not, worker->withheld says why.
 */
bool
pay_worker_may_claim(PayWorker *worker)
{
	int64		now = pay_clock_ms();

	if (pay_guard_maintenance() != NULL)
		return false;
	if (changed || now >= look_at)
	{
		int64		planned = look_at;

		changed = false;		/* what changes from here on is looked at anew */
		look_at = 0;			/* so is all of it when this look fails */
		if (is_as_seen(worker) && now < planned)
			look_at = planned;
		else
		{
			look(worker);
			look_at = now + pay_guc_sweep_interval * INT64_C(1000);
			if (worker->withheld[0] != '\0')
				look_at = worker->look_again_at = now + LOOK_AGAIN;
		}
	}
	return worker->withheld[0] == '\0';
}

/* Asked before the look, so that what happens meanwhile is not taken for seen. */
static bool
is_as_seen(PayWorker *worker)
{
	char	   *versions = pay_schema_versions();
	bool		same = seen_versions != NULL &&
	strcmp(versions, seen_versions) == 0;

	if (same)
		return true;
	versions = MemoryContextStrdup(worker->context, versions);
	if (seen_versions != NULL)
		pfree(seen_versions);
	seen_versions = versions;
	return false;
}

static void
look(PayWorker *worker)
{
	char	   *problem = pay_schema_problem();

	say(worker, problem);
	if (problem != NULL)
		snprintf(worker->withheld, sizeof(worker->withheld),
				 "the schema is not as it was recorded: %s", problem);
	else
	{
		worker->withheld[0] = '\0';
		watch(worker);
	}
}

/* The log hears of it when it begins and when it is over. */
static void
say(PayWorker *worker, const char *problem)
{
	bool		was_wrong = worker->withheld[0] != '\0';

	if (problem != NULL && !was_wrong)
	{
		if (pay_worker_may_log(worker, PAY_LOG_SCHEMA, problem))
			ereport(LOG,
					(errmsg("%s holds: the schema is not as it was recorded",
							worker->name),
					 errdetail("%s", problem),
					 errhint("See payments.schema_problems()."),
					 errhidestmt(true)));
	}
	else if (problem == NULL && (was_wrong || !told_fingerprint))
	{
		told_fingerprint = true;
		if (pay_worker_may_log(worker, PAY_LOG_SCHEMA, "as recorded"))
			ereport(LOG,
					(errmsg("%s: the schema is as it was recorded, fingerprint %s",
							worker->name, pay_schema_fingerprint()),
					 errhidestmt(true)));
	}
}

/* Remember what there is, so as to be told of changes. */
static void
watch(PayWorker *worker)
{
	static PayStatement relations = {
		"SELECT oid FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=)"
		" 'payments'::pg_catalog.regnamespace",
		0
	};
	static PayStatement functions = {
		"SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=)"
		" 'payments'::pg_catalog.regnamespace",
		0
	};

	pay_db_connect();
	fill(worker, &watched_relations, &relations);
	fill(worker, &watched_functions, &functions);
	pay_db_finish();
}

static void
fill(PayWorker *worker, Watch *watch, PayStatement *statement)
{
	uint64		n = pay_db_run(statement, NULL, NULL);
	uint32	   *numbers = MemoryContextAlloc(worker->context,
											 sizeof(uint32) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
	{
		bool		is_null;
		Datum		oid = pay_db_datum(i, 1, &is_null);

		numbers[i] = watch == &watched_functions ?
			GetSysCacheHashValue1(PROCOID, oid) : DatumGetObjectId(oid);
	}
	qsort(numbers, n, sizeof(uint32), compare);
	if (watch->numbers != NULL)
		pfree(watch->numbers);
	watch->numbers = numbers;
	watch->n = n;
}

/* Callbacks of the caches; no oid, or no hash, means "anything". */
static void
relation_changed(Datum arg, Oid relation)
{
	if (!changed)
		changed = relation == InvalidOid ||
			is_in(&watched_relations, relation);
}

static void
function_changed(Datum arg, int cache, uint32 hash)
{
	if (!changed)
		changed = hash == 0 || is_in(&watched_functions, hash);
}

static bool
is_in(const Watch *watch, uint32 number)
{
	return watch->n > 0 && bsearch(&number, watch->numbers, watch->n,
								   sizeof(uint32), compare) != NULL;
}

static int
compare(const void *a, const void *b)
{
	uint32		left = *(const uint32 *) a;
	uint32		right = *(const uint32 *) b;

	return left < right ? -1 : left > right;
}
