/*
 * worker_count.c
 *		What the worker counts (worker_stats.h), and what people see of it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "worker.h"
#include "worker_stats.h"

PG_FUNCTION_INFO_V1(payments_worker_counters);
PG_FUNCTION_INFO_V1(payments_worker_histograms);

static bool is_error(const PayResult *result);
static const char *meaning_label(int i);
static const char *action_label(int i);
static const char *connection_label(int i);
static const char *turn_label(int i);
static const char *hint_label(int i);
static const char *code_label(int i);

/* Counters that belong together, and their labels. */
static const struct
{
	const char *name;
	int			first;
	int			n;
	bool		only_used;		/* those that are 0 are not shown */
	const char *(*label) (int i);	/* NULL: none */
}			groups[] =

{
	{"results", PAY_STAT_MEANING, PAY_STAT_ACTION - PAY_STAT_MEANING, false, meaning_label},
	{"actions", PAY_STAT_ACTION, PAY_STAT_SUSPECT - PAY_STAT_ACTION, false, action_label},
	{"suspect", PAY_STAT_SUSPECT, 1, false, NULL},
	{"connections", PAY_STAT_CONNECTED, 2, false, connection_label},
	{"turns", PAY_STAT_TURN, 2, false, turn_label},
	{"hints", PAY_STAT_HINT_TAKEN, 2, false, hint_label},
	{"codes", PAY_STAT_CODE, PAY_STATS - PAY_STAT_CODE, true, code_label},
};

/* A result that is saved. */
void
pay_worker_count_result(PayWorker *worker, const PayResult *result)
{
	PayWorkerStats *stats = pay_worker_stats(worker->slot_no);
	int			fate = result->is_late ? PAY_STAT_LATE :
	result->is_quarantined ? PAY_STAT_QUARANTINE :
	PAY_STAT_ACTION + result->decision.action;

	pay_worker_stats_add(stats, PAY_STAT_MEANING + result->answer.meaning, 1);
	pay_worker_stats_add(stats, fate, 1);
	if (result->answer.suspect)
		pay_worker_stats_add(stats, PAY_STAT_SUSPECT, 1);
	if (is_error(result))
		pay_worker_stats_add(stats, pay_worker_stats_code(result->answer.code), 1);
	pay_worker_stats_time(stats, PAY_HISTOGRAM_SETTLE,
						  GetCurrentTimestamp() - result->received_at);
	if (result->transport != PAY_TRANSPORT_ANSWERED)
		return;

	if (result->connect_us > 0)
	{
		pay_worker_stats_add(stats, PAY_STAT_CONNECTED, 1);
		pay_worker_stats_time(stats, PAY_HISTOGRAM_CONNECT, result->connect_us);
	}
	else
		pay_worker_stats_add(stats, PAY_STAT_REUSED, 1);
	pay_worker_stats_time(stats, PAY_HISTOGRAM_FIRST_BYTE,
						  result->first_byte_us);
	pay_worker_stats_time(stats, PAY_HISTOGRAM_TOTAL, result->total_us);
}

/* Did Toss, or something on the way, answer with an error? */
static bool
is_error(const PayResult *result)
{
	return result->transport == PAY_TRANSPORT_ANSWERED &&
		result->answer.code != NULL &&
		(result->http_status < 200 || result->http_status > 299);
}

/* A claim that is about to be sent. */
void
pay_worker_count_claim(PayWorker *worker, const PayClaim *claim,
					   TimestampTz now)
{
	pay_worker_stats_time(pay_worker_stats(worker->slot_no),
						  PAY_HISTOGRAM_QUEUE_WAIT, now - claim->due_at);
}

/* A turn, and how long its commit took; 0 when it failed. */
void
pay_worker_count_turn(PayWorker *worker, int64 commit_us)
{
	PayWorkerStats *stats = pay_worker_stats(worker->slot_no);

	pay_worker_stats_add(stats, commit_us > 0 ? PAY_STAT_TURN :
						 PAY_STAT_TURN_FAILED, 1);
	if (commit_us > 0)
		pay_worker_stats_time(stats, PAY_HISTOGRAM_COMMIT, commit_us);
}

/* Hints of new calls: taken from the ring, or lost because it was full. */
void
pay_worker_count_hints(PayWorker *worker, int taken, int64 lost)
{
	PayWorkerStats *stats = pay_worker_stats(worker->slot_no);

	pay_worker_stats_add(stats, PAY_STAT_HINT_TAKEN, taken);
	pay_worker_stats_add(stats, PAY_STAT_HINT_LOST, lost);
}

/*
 * Labels
 */

static const char *
meaning_label(int i)
{
	return pay_toss_meaning_name((PayTossMeaning) i);
}

static const char *
action_label(int i)
{
	if (i == PAY_STAT_LATE - PAY_STAT_ACTION)
		return "late";
	if (i == PAY_STAT_QUARANTINE - PAY_STAT_ACTION)
		return "quarantine";
	return pay_action_name((PayAction) i);
}

static const char *
connection_label(int i)
{
	return i == 0 ? "new" : "kept";
}

static const char *
turn_label(int i)
{
	return i == 0 ? "done" : "failed";
}

static const char *
hint_label(int i)
{
	return i == 0 ? "taken" : "lost";
}

static const char *
code_label(int i)
{
	return i < pay_toss_codes_count ? pay_toss_codes[i].code : "other";
}

/*
 * What people see
 */

/* payments.worker_counters: a row for each counter of each worker. */
Datum
payments_worker_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int n = 0; pay_worker_shared != NULL && n < PAY_WORKER_SLOTS; n++)
	{
		PayWorkerStats *stats = pay_worker_stats(n);
		PayWorkerSlot slot;

		pay_worker_slot_read(n, &slot);
		if (slot.database[0] == '\0')
			continue;
		for (int g = 0; g < lengthof(groups); g++)
		{
			for (int i = 0; i < groups[g].n; i++)
			{
				uint64		value =
				pg_atomic_read_u64(&stats->counters[groups[g].first + i]);
				bool		nulls[5] = {false};
				Datum		values[5];

				if (value == 0 && groups[g].only_used)
					continue;
				values[0] = DirectFunctionCall1(namein,
												CStringGetDatum(slot.database));
				values[1] = Int32GetDatum(slot.shard.number);
				values[2] = CStringGetTextDatum(groups[g].name);
				nulls[3] = groups[g].label == NULL;
				if (!nulls[3])
					values[3] = CStringGetTextDatum(groups[g].label(i));
				values[4] = Int64GetDatum((int64) value);
				tuplestore_putvalues(result->setResult, result->setDesc,
									 values, nulls);
			}
		}
	}
	return (Datum) 0;
}

/*
 * payments.worker_histograms: a row for each bucket, with how many took as long
 * or less.
 */
Datum
payments_worker_histograms(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int n = 0; pay_worker_shared != NULL && n < PAY_WORKER_SLOTS; n++)
	{
		PayWorkerStats *stats = pay_worker_stats(n);
		PayWorkerSlot slot;

		pay_worker_slot_read(n, &slot);
		if (slot.database[0] == '\0')
			continue;
		for (int h = 0; h < PAY_HISTOGRAMS; h++)
		{
			PayHistogram *histogram = &stats->histograms[h];
			uint64		sum_us = pg_atomic_read_u64(&histogram->sum_us);
			uint64		count = 0;

			for (int b = 0; b < PAY_HISTOGRAM_BUCKETS; b++)
			{
				int64		limit_us = pay_histogram_limit_us(b);
				bool		nulls[6] = {false};
				Datum		values[6];

				count += pg_atomic_read_u64(&histogram->buckets[b]);
				values[0] = DirectFunctionCall1(namein,
												CStringGetDatum(slot.database));
				values[1] = Int32GetDatum(slot.shard.number);
				values[2] = CStringGetTextDatum(pay_histogram_name(h));
				nulls[3] = limit_us == 0;
				values[3] = Int64GetDatum(limit_us);
				values[4] = Int64GetDatum((int64) count);
				values[5] = Int64GetDatum((int64) sum_us);
				tuplestore_putvalues(result->setResult, result->setDesc,
									 values, nulls);
			}
		}
	}
	return (Datum) 0;
}
