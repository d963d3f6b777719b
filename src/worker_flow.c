/*
 * worker_flow.c
 *		How much this worker may send for a merchant: between its schedule, the
 *		results, and what all workers share (flow.h).
 *
 * Decided before a call is claimed: what may not go stays in the queue, where it
 * takes nobody's place, and can expire.  What was let go and is then not claimed,
 * or whose turn is rolled back, is given back.
 *
 * While a breaker is open nothing goes but its probe, and that asks: a call that
 * would confirm is made to query first.  So the other side is not tried with a
 * buyer's money, unless it has answered query after query with errors (breaker.h).
 * test/t/057_flow.pl
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "flow.h"
#include "http.h"
#include "merchant.h"
#include "psp_probe.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(payments_merchant_flow);

/* What was let go in this turn. */
typedef struct Permit
{
	int64		merchant_id;
	int64		call_id;
	bool		is_probe;
	bool		asks;			/* as a probe, it must */
	bool		was_to_send;	/* which it would not have done */
} Permit;

static PayMerchantLimits *limits = NULL;	/* by merchant */
static int	n_limits = 0;
static bool changed = true;
static uint32 seen_resumed = 0;
static Oid	merchant_table = InvalidOid;

static Permit permits[PAY_MAX_IN_FLIGHT];
static int	n_permits = 0;

/* The probes that are under way, few if any. */
static int64 probes[PAY_MAX_IN_FLIGHT];
static int	n_probes = 0;

static PayFlowOf flow_of(const PayWorker *worker, int64 merchant_id);
static const PayFlowLimits *limits_of(int64 merchant_id);
static bool take_probe(int64 call_id);
static PayBreakerResult judge(const PayResult *result,
							  const PayHttpResult *answer);
static int64 pause_of(const PayHttpResult *answer);
static void tell(PayWorker *worker, const PayClaim *claim,
				 const PayFlow *flow);
static void table_changed(Datum arg, Oid relation);

/* Before the first turn. */
void
pay_worker_flow_start(PayWorker *worker)
{
	pay_flow_clear(worker->slot_no);
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
}

/*
 * A turn that claims begins, in a transaction.  Returns whether limits may have
 * changed, or somebody has ended what held a merchant back.
 */
bool
pay_worker_flow_turn(PayWorker *worker)
{
	uint32		now_resumed = pay_flow_resumed();
	bool		resumed = now_resumed != seen_resumed;
	MemoryContext old;
	PayMerchantLimits *read;
	int			n;

	seen_resumed = now_resumed;
	if (!changed)
		return resumed;
	changed = false;			/* what changes from here on is read anew */
	merchant_table = pay_merchant_table();
	old = MemoryContextSwitchTo(worker->context);
	PG_TRY();
	{
		n = pay_merchant_limits_read(&read);
	}
	PG_CATCH();
	{
		changed = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (limits != NULL)
		pfree(limits);
	limits = read;
	n_limits = n;
	return true;
}

/*
 * May this call be claimed?  Now or earlier: yes, and it counts; otherwise when
 * to ask again.  fingerprint is that of the merchant's address and key, or NULL.
 */
int64
pay_worker_flow_admit(PayWorker *worker, int64 merchant_id, int64 call_id,
					  const char *fingerprint, int64 now)
{
	PayFlowOf	of = flow_of(worker, merchant_id);
	uint64		key = fingerprint == NULL ? 0 :
	hash_bytes_extended((const unsigned char *) fingerprint,
						strlen(fingerprint), 0);
	int64		again_at;
	PayFlowWord word;

	if (n_permits == PAY_MAX_IN_FLIGHT)
		return now + 1;
	word = pay_flow_admit(&of, limits_of(merchant_id), key, now, &again_at);
	if (word == PAY_FLOW_WAIT)
		return Max(again_at, now + 1);
	memset(&permits[n_permits], 0, sizeof(Permit));
	permits[n_permits].merchant_id = merchant_id;
	permits[n_permits].call_id = call_id;
	permits[n_permits].is_probe = word != PAY_FLOW_GO;
	permits[n_permits++].asks = word == PAY_FLOW_PROBE;
	return now;
}

/* What was let go is about to be claimed: make queries of the probes. */
void
pay_worker_flow_before_claim(PayWorker *worker)
{
	for (int i = 0; i < n_permits; i++)
		if (permits[i].asks)
			permits[i].was_to_send = pay_psp_probe(permits[i].call_id);
}

/*
 * These were claimed; what else was let go is given back.  The schedule may know
 * a call twice, and lets it go twice: it is claimed once.
 */
void
pay_worker_flow_claimed(PayWorker *worker, PayClaim *const *claims, int n)
{
	int64		now = pay_clock_ms();

	for (int i = 0; i < n_permits; i++)
	{
		PayFlowOf	of = flow_of(worker, permits[i].merchant_id);
		bool		claimed = false;

		for (int j = 0; j < n && !claimed; j++)
		{
			claimed = claims[j]->call_id == permits[i].call_id;
			if (claimed && permits[i].was_to_send)
				claims[j]->state.asks_for_others = true;
		}
		for (int j = 0; j < i && claimed; j++)
			claimed = permits[j].call_id != permits[i].call_id;
		if (!claimed)
		{
			pay_flow_return(&of, permits[i].is_probe, now);
			permits[i--] = permits[--n_permits];
		}
	}
}

/* The turn is rolled back: nothing was claimed in it. */
void
pay_worker_flow_rolled_back(PayWorker *worker)
{
	pay_worker_flow_claimed(worker, NULL, 0);
}

/*
 * A claim is about to be sent, behind the commit, and its result gives its permit
 * back.  False: it must not be sent.
 */
bool
pay_worker_flow_may_send(PayWorker *worker, const PayClaim *claim)
{
	bool		is_probe = false;
	bool		asks = false;

	for (int i = 0; i < n_permits; i++)
	{
		if (permits[i].call_id != claim->call_id)
			continue;
		is_probe = permits[i].is_probe;
		asks = permits[i].asks;
		permits[i] = permits[--n_permits];
		break;
	}
	if (!is_probe)
		return true;
	probes[n_probes++] = claim->call_id;
	return !asks || claim->request.operation == PAY_TOSS_QUERY;
}

/* An attempt has ended; without an answer nothing was sent. */
void
pay_worker_flow_result(PayWorker *worker, const PayResult *result,
					   const PayHttpResult *answer)
{
	const PayClaim *claim = result->claim;
	PayFlowOf	of = flow_of(worker, claim->merchant_id);
	bool		is_probe = take_probe(claim->call_id);
	int64		now = pay_clock_ms();
	PayFlow		flow;

	if (answer == NULL)
		pay_flow_return(&of, is_probe, now);
	else if (pay_flow_report(&of, is_probe,
							 claim->request.operation == PAY_TOSS_QUERY,
							 judge(result, answer), pause_of(answer), now, &flow))
		tell(worker, claim, &flow);
	pay_worker_queue_release(worker, claim->merchant_id);
}

static PayFlowOf
flow_of(const PayWorker *worker, int64 merchant_id)
{
	return (PayFlowOf) {worker->slot_no, MyDatabaseId, merchant_id};
}

/* A merchant that is not known yet has none, until the table is read. */
static const PayFlowLimits *
limits_of(int64 merchant_id)
{
	static const PayFlowLimits none = {0};
	int			low = 0;
	int			high = n_limits;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (limits[middle].merchant_id < merchant_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n_limits && limits[low].merchant_id == merchant_id ?
		&limits[low].limits : &none;
}

static bool
take_probe(int64 call_id)
{
	for (int i = 0; i < n_probes; i++)
	{
		if (probes[i] == call_id)
		{
			probes[i] = probes[--n_probes];
			return true;
		}
	}
	return false;
}

/*
 * Does the other side work?  A refusal shows that it does.  A key that is not
 * accepted would spoil one order after the other.  What ends because this worker
 * does says nothing.
 */
static PayBreakerResult
judge(const PayResult *result, const PayHttpResult *answer)
{
	if (result->transport != PAY_TRANSPORT_ANSWERED)
		return ShutdownRequestPending || answer->seen_late ?
			PAY_BREAKER_SAYS_NOTHING : PAY_BREAKER_FAILS;
	if (answer->status == 401)
		return PAY_BREAKER_FAILS_AT_ONCE;
	if (answer->status >= 500 || (answer->status >= 300 && answer->status < 400))
		return PAY_BREAKER_ERRS;
	return PAY_BREAKER_WORKS;
}

/* "Too many requests" asks to wait, and so does "not available for so long". */
static int64
pause_of(const PayHttpResult *answer)
{
	if (answer->outcome != PAY_HTTP_ANSWERED)
		return 0;
	if (answer->status == 429)
		return answer->retry_after_s > 0 ?
			answer->retry_after_s * INT64CONST(1000) : -1;
	return answer->status == 503 && answer->retry_after_s > 0 ?
		answer->retry_after_s * INT64CONST(1000) : 0;
}

static void
tell(PayWorker *worker, const PayClaim *claim, const PayFlow *flow)
{
	if (flow->breaker.state == PAY_BREAKER_CLOSED)
		ereport(LOG,
				(errmsg("payments worker sends again for merchant \"%s\"",
						claim->merchant),
				 errhidestmt(true)));
	else if (pay_worker_may_log(worker, PAY_LOG_BREAKER, claim->merchant))
		ereport(WARNING,
				(errmsg("payments worker stops sending for merchant \"%s\": the PSP does not answer, or refuses the key",
						claim->merchant),
				 errhint("It asks now and then whether the PSP answers again; see payments.merchant_stats."),
				 errhidestmt(true)));
}

/* Callback of the cache; no oid means "anything". */
static void
table_changed(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == merchant_table)
		changed = true;
}

/*
 * What people see
 */

#define COLUMNS	10

static Datum
time_datum(int64 at, int64 now)
{
	return TimestampTzGetDatum(GetCurrentTimestamp() +
							   (at - now) * INT64CONST(1000));
}

/* payments.merchant_flow: a row for each merchant of this database. */
Datum
payments_merchant_flow(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		now = pay_clock_ms();
	PayFlow		flow;

	InitMaterializedSRF(fcinfo, 0);
	for (int n = 0; n < PAY_FLOW_ENTRIES; n++)
	{
		Datum		values[COLUMNS];
		bool		nulls[COLUMNS] = {false};
		bool		is_open;
		int			i = 0;

		if (!pay_flow_read(n, MyDatabaseId, &flow))
			continue;
		is_open = flow.breaker.state != PAY_BREAKER_CLOSED;
		values[i++] = Int64GetDatum(flow.merchant_id);
		values[i++] = Int32GetDatum(pay_flow_in_flight(&flow));
		nulls[i] = flow.bucket.rate == 0;
		values[i++] = Int64GetDatum(pay_bucket_tokens(&flow.bucket, now));
		nulls[i] = flow.bucket.paused_until <= now;
		values[i++] = time_datum(flow.bucket.paused_until, now);
		nulls[i] = flow.starved_since == 0 || now > flow.starved_until;
		values[i++] = time_datum(flow.starved_since, now);
		values[i++] = CStringGetTextDatum(pay_breaker_state_name(flow.breaker.state));
		nulls[i] = !is_open;
		values[i++] = time_datum(flow.breaker.since, now);
		nulls[i] = flow.breaker.state != PAY_BREAKER_OPEN;
		values[i++] = time_datum(flow.breaker.probe_at, now);
		values[i++] = Int64GetDatum((int64) flow.throttled);
		values[i++] = Int64GetDatum((int64) flow.opened);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
