/*
 * psp_claim.c
 *		Calls to the PSP: claiming what is pending, for a run of a worker; and,
 *		when their results are there, which of them still count.
 *
 * Everything is met by key and without a statement: a row of the queue gets a
 * new version that belongs to the run, the call is read, the attempt is written
 * (psp_attempt.c).  What the queue's constraints would say is so: a state and an
 * operation are literals of ours or what was there.  test/t/037_direct_settling.pl
 *
 * A claim waits for nothing.  A row that somebody has locked is passed over, and
 * the worker looks after it later.  heap_update cannot be told not to wait: so a row
 * is locked first, and what it says then counts.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "db.h"
#include "psp_attempt.h"
#include "psp_call.h"
#include "psp_payload.h"
#include "refund_account.h"
#include "secret.h"
#include "table.h"
#include "table_scan.h"

enum
{
	CALL_ID,
	ORDER_ID,
	STATE,
	NEXT_OPERATION,
	ATTEMPT_NO,
	FAILURES,
	EPOCH,
	OUTCOME_UNKNOWN,
	KEY_ANSWERED,
	PHASE,
	FIRST_SENT_AT,
	DUE_AT,
	SENT_AS,
	MERCHANT_ID,
	CONTRADICTIONS
};

static PayTable queue = {
	"psp_call_queue",
	{
		[CALL_ID] = "call_id",
		[ORDER_ID] = "order_id",
		[STATE] = "state",
		[NEXT_OPERATION] = "next_operation",
		[ATTEMPT_NO] = "attempt_no",
		[FAILURES] = "failures",
		[EPOCH] = "epoch",
		[OUTCOME_UNKNOWN] = "outcome_unknown",
		[KEY_ANSWERED] = "key_answered",
		[PHASE] = "phase",
		[FIRST_SENT_AT] = "first_sent_at",
		[DUE_AT] = "due_at",
		[SENT_AS] = "sent_as",
		[MERCHANT_ID] = "merchant_id",
		[CONTRADICTIONS] = "contradictions",
	}
};

static int	take_calls(const PayCallWanted *wanted, int n_wanted, int64 epoch,
					   const PayTimes *times, MemoryContext parent,
					   PayClaim **claims);
static void begin_scan(PayTableScan *scan);
static int	compare_wanted(const void *a, const void *b);
static bool may_take(TupleTableSlot *row, const PayCallWanted *wanted,
					 const PayTimes *times);
static PayClaim *take(TupleTableSlot *row, const PayCallWanted *wanted,
					  int64 epoch, const PayTimes *times,
					  MemoryContext parent);
static bool may_send(TupleTableSlot *row, const PayCallWanted *wanted,
					 const PayTimes *times, bool key_changed);
static bool is_same(const char *sent_as, const char *fingerprint);
static PayClaim *make_claim(TupleTableSlot *row, MemoryContext parent);
static bool is_in_flight(TupleTableSlot *row, const PayClaim *claim,
						 int64 epoch);
static char char_of(TupleTableSlot *row, int column);
static TimestampTz time_of(TupleTableSlot *row, int column);

int
pay_psp_call_claim(const PayCallWanted *wanted, int n_wanted, int64 epoch,
				   const PayTimes *times, MemoryContext parent,
				   PayClaim ***claims)
{
	MemoryContext caller = pay_db_connect();
	int			n = 0;

	*claims = NULL;
	if (n_wanted > 0)
	{
		*claims = MemoryContextAlloc(caller, sizeof(PayClaim *) * n_wanted);
		n = take_calls(wanted, n_wanted, epoch, times, parent, *claims);
	}
	if (n > 0)
	{
		pay_psp_payload_read(*claims, n);
		pay_refund_account_send(*claims, n);
		pay_psp_attempt_write(*claims, n, epoch, times->now);
	}
	pay_db_finish();
	return n;
}

/* In the order of their ids; one that is wanted twice is claimed once. */
static int
take_calls(const PayCallWanted *wanted, int n_wanted, int64 epoch,
		   const PayTimes *times, MemoryContext parent, PayClaim **claims)
{
	PayCallWanted *sorted = palloc(sizeof(PayCallWanted) * n_wanted);
	PayTableScan scan;
	int			n = 0;

	memcpy(sorted, wanted, sizeof(PayCallWanted) * n_wanted);
	qsort(sorted, n_wanted, sizeof(PayCallWanted), compare_wanted);

	pay_table_open(&queue);
	begin_scan(&scan);
	for (int i = 0; i < n_wanted; i++)
	{
		Datum		id = Int64GetDatum(sorted[i].call_id);
		TupleTableSlot *row;

		if (i > 0 && sorted[i].call_id == sorted[i - 1].call_id)
			continue;
		row = pay_table_scan_first(&scan, &id);
		if (row == NULL || !may_take(row, &sorted[i], times) ||
			!pay_table_scan_lock(&scan) || !may_take(row, &sorted[i], times))
			continue;
		claims[n++] = take(row, &sorted[i], epoch, times, parent);
	}
	pay_table_scan_end(&scan);
	pay_table_close(&queue);
	return n;
}

static void
begin_scan(PayTableScan *scan)
{
	static const int key[] = {CALL_ID};

	pay_table_scan_begin(scan, &queue, key, lengthof(key), lengthof(key));
}

static int
compare_wanted(const void *a, const void *b)
{
	int64		first = ((const PayCallWanted *) a)->call_id;
	int64		second = ((const PayCallWanted *) b)->call_id;

	return first < second ? -1 : first > second;
}

/* Is it pending and due, of the merchant it is believed to be of? */
static bool
may_take(TupleTableSlot *row, const PayCallWanted *wanted,
		 const PayTimes *times)
{
	int64		merchant_id = pay_table_int64(&queue, row, MERCHANT_ID);

	return char_of(row, STATE) == 'P' && time_of(row, DUE_AT) <= times->latest &&
		merchant_id == wanted->merchant_id &&
		(wanted->keys->may_charge || char_of(row, NEXT_OPERATION) == 'Q' ||
		 time_of(row, FIRST_SENT_AT) != 0);
}

/* Make the row this run's, in flight; it is locked. */
static PayClaim *
take(TupleTableSlot *row, const PayCallWanted *wanted, int64 epoch,
	 const PayTimes *times, MemoryContext parent)
{
	TimestampTz now = times->now;
	PayClaim   *claim = make_claim(row, parent);
	const char *fingerprint = wanted->keys->fingerprint;
	bool		key_changed = claim->sent_as != NULL &&
	!is_same(claim->sent_as, fingerprint) &&
	!is_same(claim->sent_as, wanted->keys->previous);

	claim->state.key_changed = key_changed;
	if (key_changed)
		claim->asked = pay_secret_difference(claim->sent_as, fingerprint);
	if (pg_add_s32_overflow(claim->attempt_no, 1, &claim->attempt_no))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("call " INT64_FORMAT " has no number left for an attempt",
						claim->call_id)));
	pay_table_copy_row(&queue, row);
	if (may_send(row, wanted, times, key_changed))
	{
		if (!claim->state.reached_psp)
		{
			claim->state.first_sent_at = now;
			pay_table_set(&queue, 0, FIRST_SENT_AT, TimestampTzGetDatum(now));
		}
		if (claim->sent_as == NULL && fingerprint != NULL)
		{
			claim->sent_as = MemoryContextStrdup(claim->context, fingerprint);
			pay_table_set(&queue, 0, SENT_AS, CStringGetTextDatum(fingerprint));
		}
	}
	else
	{
		claim->request.operation = PAY_TOSS_QUERY;
		pay_table_set(&queue, 0, NEXT_OPERATION, CharGetDatum('Q'));
	}
	claim->state.operation = claim->request.operation;
	claim->state.reached_psp = claim->state.first_sent_at != 0;
	claim->is_first_send = claim->state.first_sent_at == now;
	pay_table_set(&queue, 0, STATE, CharGetDatum('S'));
	pay_table_set(&queue, 0, ATTEMPT_NO, Int32GetDatum(claim->attempt_no));
	pay_table_set(&queue, 0, EPOCH, Int64GetDatum(epoch));

	if (!pay_table_replace_row(&queue, row))
		elog(ERROR, "a locked row of payments.%s has changed", queue.name);
	return claim;
}

/*
 * May what moves money be sent?  Not when its merchant may not charge, when the
 * time of its first key is over, or when that key is not there any more.
 */
static bool
may_send(TupleTableSlot *row, const PayCallWanted *wanted,
		 const PayTimes *times, bool key_changed)
{
	char		operation = char_of(row, NEXT_OPERATION);
	TimestampTz first_sent_at = time_of(row, FIRST_SENT_AT);
	TimestampTz since = times->earliest -
	(operation == 'C' ? PAY_CONFIRM_WINDOW : PAY_KEY_LIFETIME);

	return operation != 'Q' && wanted->keys->may_charge && !key_changed &&
		(first_sent_at == 0 || first_sent_at >= since);
}

static bool
is_same(const char *sent_as, const char *fingerprint)
{
	return fingerprint != NULL && strcmp(sent_as, fingerprint) == 0;
}

/* What the row of the queue says, in a context of its own below parent. */
static PayClaim *
make_claim(TupleTableSlot *row, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "payments claim",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	PayClaim   *claim = palloc0(sizeof(PayClaim));

	claim->context = context;
	claim->call_id = pay_table_int64(&queue, row, CALL_ID);
	claim->merchant_id = pay_table_int64(&queue, row, MERCHANT_ID);
	claim->order_id = pay_table_text(&queue, row, ORDER_ID);
	claim->sent_as = pay_table_text(&queue, row, SENT_AS);
	claim->due_at = time_of(row, DUE_AT);
	claim->attempt_no = DatumGetInt32(pay_table_value(&queue, row,
													  ATTEMPT_NO));
	claim->request.operation = (PayTossOperation) char_of(row, NEXT_OPERATION);
	claim->state.failures = DatumGetInt32(pay_table_value(&queue, row,
														  FAILURES));
	claim->state.contradictions = DatumGetInt32(pay_table_value(&queue, row,
																CONTRADICTIONS));
	claim->state.outcome_unknown = DatumGetBool(pay_table_value(&queue, row,
																OUTCOME_UNKNOWN));
	claim->state.key_answered = DatumGetBool(pay_table_value(&queue, row,
															 KEY_ANSWERED));
	claim->state.phase = (PayCallPhase) char_of(row, PHASE);
	claim->state.first_sent_at = time_of(row, FIRST_SENT_AT);
	claim->state.reached_psp = claim->state.first_sent_at != 0;
	MemoryContextSwitchTo(old);
	return claim;
}

/*
 * Lock the queue rows of these results, whoever has them, and tell which still
 * belong to the attempt that was sent.  Their events are locked.
 */
void
pay_psp_call_fence(PayResult *results, int n, int64 epoch, bool *owned)
{
	PayTableScan scan;

	pay_table_open(&queue);
	begin_scan(&scan);
	for (int i = 0; i < n; i++)
	{
		const PayClaim *claim = results[i].claim;
		Datum		id = Int64GetDatum(claim->call_id);
		TupleTableSlot *row = pay_table_scan_first(&scan, &id);

		owned[i] = row != NULL && pay_table_scan_wait(&scan) &&
			is_in_flight(row, claim, epoch);
		if (owned[i])
			results[i].place = row->tts_tid;
	}
	pay_table_scan_end(&scan);
	pay_table_close(&queue);
}

static bool
is_in_flight(TupleTableSlot *row, const PayClaim *claim, int64 epoch)
{
	int32		attempt_no = DatumGetInt32(pay_table_value(&queue, row,
														   ATTEMPT_NO));

	return pay_table_int64(&queue, row, CALL_ID) == claim->call_id &&
		attempt_no == claim->attempt_no &&
		pay_table_int64(&queue, row, EPOCH) == epoch &&
		char_of(row, STATE) == 'S';
}

/* Nothing has touched their rows since the fence. */
void
pay_psp_call_close(const PayResult *results, int n, const bool *owned)
{
	pay_table_open(&queue);
	for (int i = 0; i < n; i++)
	{
		ItemPointerData place = results[i].place;

		if (owned[i] && pay_action_closes(results[i].decision.action))
			pay_table_delete_row(&queue, &place);
	}
	pay_table_close(&queue);
	CommandCounterIncrement();
}

/* 0 when null */
static TimestampTz
time_of(TupleTableSlot *row, int column)
{
	bool		is_null;
	Datum		value = pay_table_get(&queue, row, column, &is_null);

	return is_null ? 0 : DatumGetTimestampTz(value);
}

static char
char_of(TupleTableSlot *row, int column)
{
	return DatumGetChar(pay_table_value(&queue, row, column));
}
