/*
 * order_outcome.c
 *		What the PSP's answers do to events and orders, many at a time.
 *
 * The second half of order.h: order.c has the one-order functions.
 *
 * Rows are changed directly (table.c), so the triggers of order_trigger.c,
 * which bind every other writer, are not fired.  What they see to is done here:
 *
 *	- identity, amounts and payment key stay: a new version is a copy in which
 *	  only state, reason, flags and the PSP's answer are set;
 *	- the state machine is asked (pay_order_must_allow), about the very version
 *	  of the order that is replaced: when another one got in between, nothing
 *	  is written, and the transaction is taken again (40001);
 *	- flags are only ever set, and with SUCCESS;
 *	- every transition goes into the history (order_history.c);
 *	- an event is done with its last order.  Its row is locked from the
 *	  beginning, its orders are read afterwards and changed by nobody else
 *	  without that lock, so they can be counted here.  An event that is not done
 *	  yet gets a new version as well, for whoever finishes it in a transaction
 *	  with an older snapshot: that fails with 40001 at its lock, instead of
 *	  overlooking what was finished here.
 *
 * test/t/037_direct_settling.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"

#include "amount.h"
#include "event.h"
#include "order.h"
#include "order_history.h"
#include "order_status.h"
#include "table.h"
#include "table_scan.h"

enum
{
	EVENT_ID,
	EVENT_ORDER_ID,
	EVENT_PAYMENT_KEY,
	EVENT_IS_DONE,
	EVENT_MERCHANT,
	EVENT_BUYER_ID,
	EVENT_CURRENCY,
	EVENT_AMOUNT,
	EVENT_METHOD,
	EVENT_PSP_STATUS,
	EVENT_PSP_RESPONSE,
	EVENT_APPROVED_AT
};

static PayTable events = {
	"payment_event",
	{
		[EVENT_ID] = "id",
		[EVENT_ORDER_ID] = "order_id",
		[EVENT_PAYMENT_KEY] = "payment_key",
		[EVENT_IS_DONE] = "is_payment_done",
		[EVENT_MERCHANT] = "merchant",
		[EVENT_BUYER_ID] = "buyer_id",
		[EVENT_CURRENCY] = "currency",
		[EVENT_AMOUNT] = "amount",
		[EVENT_METHOD] = "method",
		[EVENT_PSP_STATUS] = "psp_status",
		[EVENT_PSP_RESPONSE] = "psp_response",
		[EVENT_APPROVED_AT] = "approved_at",
	}
};

enum
{
	ORDER_ID,
	ORDER_STATUS,
	ORDER_AMOUNT,
	ORDER_LEDGER_UPDATED,
	ORDER_WALLET_UPDATED,
	ORDER_BUYER_ID,
	ORDER_SELLER_ID,
	ORDER_ORDER_ID,
	ORDER_LINE_NO,
	ORDER_COMMISSION,
	ORDER_REASON,
	ORDER_FAILURE_CODE,
	ORDER_UPDATED_AT
};

static PayTable orders = {
	"payment_order",
	{
		[ORDER_ID] = "id",
		[ORDER_STATUS] = "payment_order_status",
		[ORDER_AMOUNT] = "amount",
		[ORDER_LEDGER_UPDATED] = "ledger_updated",
		[ORDER_WALLET_UPDATED] = "wallet_updated",
		[ORDER_BUYER_ID] = "buyer_id",
		[ORDER_SELLER_ID] = "seller_id",
		[ORDER_ORDER_ID] = "order_id",
		[ORDER_LINE_NO] = "line_no",
		[ORDER_COMMISSION] = "commission",
		[ORDER_REASON] = "status_reason",
		[ORDER_FAILURE_CODE] = "failure_code",
		[ORDER_UPDATED_AT] = "updated_at",
	}
};

/* What becomes of the orders of all outcomes. */
typedef struct Changes
{
	TimestampTz now;
	PayOrderTransition *transitions;
	int			n;
	int			size;
} Changes;

/* What became of the orders of one of them. */
typedef struct Progress
{
	bool		flagged;		/* some got their flags */
	bool		done;			/* and now all have them */
} Progress;

static int	order_of_ids(const void *a, const void *b);
static void fill_order(TupleTableSlot *row, PayOrder *order);
static void begin_lines(PayTableScan *scan);
static TupleTableSlot *first_line(PayTableScan *scan, const char *order_id);
static void apply_to_lines(const PayOrderOutcome *outcome, PayTableScan *scan,
						   Progress *progress, Changes *changes);
static void change_line(const PayOrderOutcome *outcome, TupleTableSlot *row,
						PayOrderState from, Changes *changes);
static void add_transition(Changes *changes, const PayOrderOutcome *outcome,
						   int64 payment_order_id, PayOrderState from);
static bool apply_to_event(const PayOrderOutcome *outcome,
						   const Progress *progress, TupleTableSlot *row);
static void set_text(int column, const char *value);

int
pay_order_lock_many(char *const *order_ids, int n, PayOrder *locked)
{
	static const int key[] = {EVENT_ORDER_ID};
	char	   *const **sorted = palloc(sizeof(char *const *) * Max(n, 1));
	PayTableScan scan;
	int			n_locked = 0;

	memset(locked, 0, sizeof(PayOrder) * n);
	for (int i = 0; i < n; i++)
		sorted[i] = &order_ids[i];
	qsort(sorted, n, sizeof(sorted[0]), order_of_ids);

	pay_table_open(&events);
	pay_table_scan_begin(&scan, &events, key, lengthof(key), 1);
	for (int i = 0; i < n; i++)
	{
		Datum		order_id = CStringGetTextDatum(*sorted[i]);

		if (pay_table_scan_first(&scan, &order_id) == NULL ||
			!pay_table_scan_lock(&scan))
			continue;
		fill_order(scan.row, &locked[sorted[i] - order_ids]);
		n_locked++;
	}
	pay_table_scan_end(&scan);
	pay_table_close(&events);
	return n_locked;
}

static int
order_of_ids(const void *a, const void *b)
{
	return strcmp(**(char *const *const *) a, **(char *const *const *) b);
}

static void
fill_order(TupleTableSlot *row, PayOrder *order)
{
	order->id = pay_table_int64(&events, row, EVENT_ID);
	order->order_id = pay_table_text(&events, row, EVENT_ORDER_ID);
	order->payment_key = pay_table_text(&events, row, EVENT_PAYMENT_KEY);
	order->merchant = pay_table_text(&events, row, EVENT_MERCHANT);
	order->buyer_id = pay_table_int64(&events, row, EVENT_BUYER_ID);
	order->currency = pay_table_text(&events, row, EVENT_CURRENCY);
	order->amount = pay_amount_from_table(pay_table_value(&events, row, EVENT_AMOUNT));
	order->place = row->tts_tid;
}

/*
 * Lines
 */

int
pay_order_read_sales(const PayOrderOutcome *outcomes, int n,
					 PayOrderSale **sales)
{
	PayTableScan scan;
	int			size = Max(n, 1);
	int			n_sales = 0;

	*sales = palloc(sizeof(PayOrderSale) * size);
	pay_table_open(&orders);
	begin_lines(&scan);
	for (int i = 0; i < n; i++)
	{
		TupleTableSlot *row = outcomes[i].state != PAY_ORDER_SUCCESS ? NULL :
		first_line(&scan, outcomes[i].order_id);

		for (; row != NULL; row = pay_table_scan_next(&scan))
		{
			PayOrderSale *sale;
			Datum		status = pay_table_value(&orders, row, ORDER_STATUS);

			if (DatumGetBool(pay_table_value(&orders, row, ORDER_LEDGER_UPDATED)) ||
				DatumGetBool(pay_table_value(&orders, row, ORDER_WALLET_UPDATED)) ||
				pay_order_status_from_datum(status) == PAY_ORDER_FAILURE)
				continue;
			if (n_sales == size)
				*sales = repalloc(*sales, sizeof(PayOrderSale) * (size *= 2));
			sale = &(*sales)[n_sales++];
			sale->outcome = i;
			sale->payment_order_id = pay_table_int64(&orders, row, ORDER_ID);
			sale->buyer_id = pay_table_int64(&orders, row, ORDER_BUYER_ID);
			sale->seller_id = pay_table_int64(&orders, row, ORDER_SELLER_ID);
			sale->amount =
				pay_amount_from_table(pay_table_value(&orders, row, ORDER_AMOUNT));
			sale->commission =
				pay_amount_from_table(pay_table_value(&orders, row, ORDER_COMMISSION));
			sale->currency = outcomes[i].order->currency;
		}
	}
	pay_table_scan_end(&scan);
	pay_table_close(&orders);
	return n_sales;
}

/* A scan over the lines of orders, in the order of their numbers. */
static void
begin_lines(PayTableScan *scan)
{
	static const int key[] = {ORDER_ORDER_ID, ORDER_LINE_NO};

	pay_table_scan_begin(scan, &orders, key, lengthof(key), 1);
}

static TupleTableSlot *
first_line(PayTableScan *scan, const char *order_id)
{
	Datum		key = CStringGetTextDatum(order_id);

	return pay_table_scan_first(scan, &key);
}

/*
 * Outcomes
 */

void
pay_order_apply(const PayOrderOutcome *outcomes, int n, TimestampTz now)
{
	Changes		changes = {now};
	Progress   *progress = palloc0(sizeof(Progress) * Max(n, 1));
	PayEvent   *completed = palloc(sizeof(PayEvent) * Max(n, 1));
	int			n_completed = 0;
	PayTableScan scan;
	TupleTableSlot *row;

	changes.size = Max(n, 1);
	changes.transitions = palloc(sizeof(PayOrderTransition) * changes.size);
	pay_table_open(&orders);
	begin_lines(&scan);
	for (int i = 0; i < n; i++)
		if (outcomes[i].state != PAY_ORDER_EXECUTING)
			apply_to_lines(&outcomes[i], &scan, &progress[i], &changes);
	pay_table_scan_end(&scan);
	pay_table_close(&orders);
	pay_order_history_write(changes.transitions, changes.n, now);

	pay_table_open(&events);
	row = table_slot_create(pay_table_relation(&events), NULL);
	for (int i = 0; i < n; i++)
	{
		if (!apply_to_event(&outcomes[i], &progress[i], row))
			continue;
		completed[n_completed].kind = "payment.completed";
		completed[n_completed].order_id = outcomes[i].order_id;
		completed[n_completed].payload = NULL;
		completed[n_completed].json =
			pay_event_payment_json(outcomes[i].order, NULL);
		n_completed++;
	}
	ExecDropSingleTupleTableSlot(row);
	pay_table_close(&events);
	CommandCounterIncrement();
	pay_event_write(completed, n_completed, now);
}

/* Change the orders of one outcome that are not in its state already. */
static void
apply_to_lines(const PayOrderOutcome *outcome, PayTableScan *scan,
			   Progress *progress, Changes *changes)
{
	TupleTableSlot *row = first_line(scan, outcome->order_id);

	progress->done = row != NULL;
	for (; row != NULL; row = pay_table_scan_next(scan))
	{
		PayOrderState from =
		pay_order_status_from_datum(pay_table_value(&orders, row, ORDER_STATUS));

		if (from == outcome->state)
		{
			if (!DatumGetBool(pay_table_value(&orders, row, ORDER_LEDGER_UPDATED)) ||
				!DatumGetBool(pay_table_value(&orders, row, ORDER_WALLET_UPDATED)))
				progress->done = false;
			continue;
		}
		change_line(outcome, row, from, changes);
		if (outcome->state == PAY_ORDER_SUCCESS)
			progress->flagged = true;
		else
			progress->done = false;
	}
}

static void
change_line(const PayOrderOutcome *outcome, TupleTableSlot *row,
			PayOrderState from, Changes *changes)
{
	pay_order_must_allow(outcome->order_id, from, outcome->state);
	pay_table_copy_row(&orders, row);
	pay_table_set(&orders, 0, ORDER_STATUS,
				  pay_order_status_datum(outcome->state));
	pay_table_set(&orders, 0, ORDER_REASON,
				  CStringGetTextDatum(outcome->reason));
	if (outcome->code != NULL)
		pay_table_set(&orders, 0, ORDER_FAILURE_CODE,
					  CStringGetTextDatum(outcome->code));
	else
		pay_table_set_null(&orders, 0, ORDER_FAILURE_CODE);
	if (outcome->state == PAY_ORDER_SUCCESS)
	{
		pay_table_set(&orders, 0, ORDER_LEDGER_UPDATED, BoolGetDatum(true));
		pay_table_set(&orders, 0, ORDER_WALLET_UPDATED, BoolGetDatum(true));
	}
	pay_table_set(&orders, 0, ORDER_UPDATED_AT,
				  TimestampTzGetDatum(changes->now));
	if (!pay_table_replace_row(&orders, row))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("Order \"%s\" was changed by somebody who had not locked its payment event.",
						   outcome->order_id),
				 errhint("Repeat the transaction.")));
	add_transition(changes, outcome,
				   pay_table_int64(&orders, row, ORDER_ID), from);
}

static void
add_transition(Changes *changes, const PayOrderOutcome *outcome,
			   int64 payment_order_id, PayOrderState from)
{
	PayOrderTransition *transition;

	if (changes->n == changes->size)
		changes->transitions = repalloc(changes->transitions,
										sizeof(PayOrderTransition) *
										(changes->size *= 2));
	transition = &changes->transitions[changes->n++];
	transition->order_id = outcome->order_id;
	transition->payment_order_id = payment_order_id;
	transition->from = from;
	transition->to = outcome->state;
	transition->reason = outcome->reason;
}

/* Returns whether the event is done now, and was not before. */
static bool
apply_to_event(const PayOrderOutcome *outcome, const Progress *progress,
			   TupleTableSlot *row)
{
	ItemPointerData place = outcome->order->place;
	bool		completes;

	if (outcome->psp_status == NULL && outcome->response == (Datum) 0 &&
		!progress->flagged)
		return false;

	pay_table_read_locked(&events, &place, row);
	completes = progress->flagged && progress->done &&
		!DatumGetBool(pay_table_value(&events, row, EVENT_IS_DONE));
	pay_table_copy_row(&events, row);
	set_text(EVENT_METHOD, outcome->method);
	set_text(EVENT_PSP_STATUS, outcome->psp_status);
	if (outcome->response != (Datum) 0)
		pay_table_set(&events, 0, EVENT_PSP_RESPONSE, outcome->response);
	if (outcome->approved_at != 0)
		pay_table_set(&events, 0, EVENT_APPROVED_AT,
					  TimestampTzGetDatum(outcome->approved_at));
	if (completes)
		pay_table_set(&events, 0, EVENT_IS_DONE, BoolGetDatum(true));
	if (!pay_table_replace_row(&events, row))
		elog(ERROR, "payment event of order \"%s\" changed under its lock",
			 outcome->order_id);
	return completes;
}

static void
set_text(int column, const char *value)
{
	if (value != NULL)
		pay_table_set(&events, 0, column, CStringGetTextDatum(value));
}
