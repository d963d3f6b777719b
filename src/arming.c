/*
 * arming.c
 *		Whether this database may charge: for this very cluster, and no copy.
 *
 * Owns payments.arming, to which rows are only appended; the newest counts.  A
 * row that arms says what it means: the cluster by its system identifier and
 * timeline, the database by oid and name, the data directory by its place, and
 * the token by a digest.  A base backup that is started, a restored dump, a
 * clone, a point-in-time recovery and a promoted standby all carry the row
 * along, and each differs from it in one of these at least.  A dump that was
 * restored in the very place that it was taken of differs in none; but another
 * transaction has written the row than the one it names.  A data directory that
 * was put back to an earlier state differs in neither; then the token's mark is
 * ahead of its log.
 *
 * Order of things in pay_arming_arm: first the token, then the row.  Whoever
 * dies between the two leaves a token that no row knows, and that is disarmed.
 * The lock keeps the newest row and the token together.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "arming.h"
#include "db.h"
#include "errors.h"
#include "place.h"

static void lock_table(void);
static void append(bool arm, const char *reason, const char *actor);
static void fit_token(const PayArming *newest, PayToken *token);
static bool is_ahead(const PayToken *token, XLogRecPtr started_at);
static const char *difference(const PayArming *arming);

void
pay_arming_read(PayArming *arming)
{
	static PayStatement read = {
		"SELECT action OPERATOR(pg_catalog.=) 'arm', reason, actor, system_identifier,"
		" timeline, database_oid, database_name::pg_catalog.text, place, token_sha256, id,"
		" xmin OPERATOR(pg_catalog.=) pg_catalog.xid(arming.xid)"
		" FROM payments.arming ORDER BY id DESC LIMIT 1",
		0
	};
	MemoryContext caller = pay_db_connect();
	MemoryContext old;

	memset(arming, 0, sizeof(PayArming));
	if (pay_db_run(&read, NULL, NULL) > 0)
	{
		old = MemoryContextSwitchTo(caller);
		arming->exists = true;
		arming->id = pay_db_int64(0, 10);
		arming->is_armed = pay_db_bool(0, 1);
		arming->reason = pay_db_text(0, 2);
		arming->actor = pay_db_text(0, 3);
		arming->system_identifier = pay_db_int64(0, 4);
		arming->timeline = pay_db_int32(0, 5);
		arming->database_oid = pay_db_int64(0, 6);
		arming->database_name = pay_db_text(0, 7);
		arming->place = pay_db_text(0, 8);
		arming->token_digest = pay_db_text(0, 9);
		arming->was_restored = !pay_db_bool(0, 11);
		MemoryContextSwitchTo(old);
	}
	pay_db_finish();
}

PayArmingState
pay_arming_judge(const PayArming *arming, XLogRecPtr started_at, char *why)
{
	const char *differs;
	PayToken	token;
	char	   *wrong;

	if (!arming->exists)
	{
		strlcpy(why, "it was never armed", PAY_ARMING_WHY);
		return PAY_NEVER_ARMED;
	}
	if (!arming->is_armed)
	{
		snprintf(why, PAY_ARMING_WHY, "%s disarmed it: %s", arming->actor,
				 arming->reason);
		return PAY_DISARMED;
	}

	differs = difference(arming);
	if (differs != NULL)
	{
		snprintf(why, PAY_ARMING_WHY, "what was armed was another %s",
				 differs);
		return strcmp(differs, "timeline") == 0 && !arming->was_restored ?
			PAY_PROMOTED : PAY_ARMED_ELSEWHERE;
	}
	if (arming->was_restored)
	{
		strlcpy(why, "what was armed was restored from a dump since",
				PAY_ARMING_WHY);
		return PAY_ARMED_ELSEWHERE;
	}

	/*
	 * Another process may be writing the mark just now, and half of what is
	 * read be of before: what looks like a token that is ahead is looked at
	 * again.
	 */
	wrong = pay_token_read(&token);
	if (wrong == NULL && is_ahead(&token, started_at))
	{
		pg_usleep(1000);
		wrong = pay_token_read(&token);
	}
	if (wrong != NULL)
	{
		snprintf(why, PAY_ARMING_WHY, "%s", wrong);
		pfree(wrong);
		return PAY_NO_TOKEN;
	}
	if (strcmp(token.digest, arming->token_digest) != 0)
	{
		strlcpy(why, "the token is another one than it was armed with",
				PAY_ARMING_WHY);
		return PAY_ARMED_ELSEWHERE;
	}
	if (is_ahead(&token, started_at))
	{
		strlcpy(why, "the data directory was put back to an earlier state",
				PAY_ARMING_WHY);
		return PAY_ARMED_ELSEWHERE;
	}
	return PAY_ARMED;
}

/*
 * Does the token know of a log beyond the one that this run of the server began
 * with?  Marks of this run itself do.
 */
static bool
is_ahead(const PayToken *token, XLogRecPtr started_at)
{
	return started_at != 0 && token->server_start != PgStartTime &&
		token->mark > started_at;
}

/*
 * What of the row is not so here; NULL: nothing.  A standby that was promoted
 * differs in the timeline first, and is allowed to differ in the place.
 */
static const char *
difference(const PayArming *arming)
{
	char	   *name = get_database_name(MyDatabaseId);

	if (arming->system_identifier != (int64) GetSystemIdentifier())
		return "cluster";
	if (arming->database_oid != MyDatabaseId || name == NULL ||
		strcmp(arming->database_name, name) != 0)
		return "database";
	pfree(name);
	if (arming->timeline != (int) GetWALInsertionTimeLine())
		return "timeline";
	return strcmp(arming->place, pay_place()) == 0 ? NULL : "data directory";
}

void
pay_arming_arm(const char *reason, const char *actor)
{
	lock_table();
	append(true, reason, actor);
}

void
pay_arming_disarm(const char *reason, const char *actor)
{
	lock_table();
	append(false, reason, actor);
}

bool
pay_arming_try(const PayArming *judged, bool arm, const char *reason,
			   const char *actor)
{
	PayArming	newest;

	if (!ConditionalLockRelationOid(pay_arming_table(), ShareRowExclusiveLock))
		return false;
	pay_arming_read(&newest);
	if (!newest.exists || newest.id != judged->id)
		return false;
	append(arm, reason, actor);
	return true;
}

/* Others may read meanwhile, and nobody may write. */
static void
lock_table(void)
{
	LockRelationOid(pay_arming_table(), ShareRowExclusiveLock);
}

Oid
pay_arming_table(void)
{
	return get_relname_relid("arming", get_namespace_oid("payments", false));
}

/* Append a row, and let every process know that looks at the newest. */
static void
append(bool arm, const char *reason, const char *actor)
{
	static PayStatement insert = {
		"INSERT INTO payments.arming (id, action, reason, actor, happened_at,"
		" system_identifier, timeline, database_oid, database_name, place, token_sha256,"
		" xid)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::pg_catalog.name, $10, $11, $12)",
		12, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID,
		INT4OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, XID8OID}
	};
	PayArming	newest;
	PayToken	token;
	Datum		values[12];

	pay_arming_read(&newest);
	if (arm)
		fit_token(&newest, &token);

	pay_db_connect();
	values[0] = Int64GetDatum(pay_db_draw_ids("arming_id_seq", 1)[0]);
	values[1] = CStringGetTextDatum(arm ? "arm" : "disarm");
	values[2] = CStringGetTextDatum(reason);
	values[3] = CStringGetTextDatum(actor);
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[5] = Int64GetDatum((int64) GetSystemIdentifier());
	values[6] = Int32GetDatum((int32) GetWALInsertionTimeLine());
	values[7] = Int64GetDatum((int64) MyDatabaseId);
	values[8] = CStringGetTextDatum(get_database_name(MyDatabaseId));
	values[9] = CStringGetTextDatum(pay_place());
	values[10] = arm ? CStringGetTextDatum(token.digest) : (Datum) 0;
	values[11] = FullTransactionIdGetDatum(GetCurrentFullTransactionId());
	pay_db_run(&insert, values, arm ? NULL : "          n ");
	pay_db_finish();
	CacheInvalidateRelcacheByRelid(pay_arming_table());
}

/*
 * The token that is there goes on when the newest row knows it: so who repeats
 * an arming, and rolls it back, is still armed.  Any other is replaced, which
 * disarms whoever used it: of several copies that share a folder one is armed
 * at most.
 */
static void
fit_token(const PayArming *newest, PayToken *token)
{
	XLogRecPtr	now = GetFlushRecPtr(NULL);
	char	   *why;

	if (newest->exists && newest->is_armed && !newest->was_restored &&
		difference(newest) == NULL)
	{
		why = pay_token_mark(newest->token_digest, now);
		if (why == NULL)
		{
			strlcpy(token->digest, newest->token_digest,
					sizeof(token->digest));
			return;
		}
		pfree(why);
	}
	pay_token_create(token, now);
}
