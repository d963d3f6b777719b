/*
 * order_history.c
 *		The history of payment orders: every transition, who caused it and why.
 *
 * Rows are written directly (table.c).  What the table's constraints would say
 * of them is so by the way they come about: a transition has two different
 * states, and the payment order that it points at is one that this very
 * transaction has changed, so it is there and nobody else can delete it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "db.h"
#include "order_history.h"
#include "order_status.h"
#include "table.h"

enum
{
	ID,
	ORDER_ID,
	PAYMENT_ORDER_ID,
	FROM_STATUS,
	TO_STATUS,
	REASON,
	ACTOR,
	CHANGED_AT
};

static PayTable history = {
	"payment_order_history",
	{
		[ID] = "id",
		[ORDER_ID] = "order_id",
		[PAYMENT_ORDER_ID] = "payment_order_id",
		[FROM_STATUS] = "from_status",
		[TO_STATUS] = "to_status",
		[REASON] = "reason",
		[ACTOR] = "actor",
		[CHANGED_AT] = "changed_at",
	}
};

const char *pay_order_actor = NULL;

static void fill_row(int row, const PayOrderTransition *transition, int64 id,
					 const char *actor, TimestampTz now);

void
pay_order_history_write(const PayOrderTransition *transitions, int n,
						TimestampTz now)
{
	const char *actor = pay_order_actor;
	int64	   *ids;

	if (n == 0)
		return;
	if (actor == NULL)
		actor = GetUserNameFromId(GetSessionUserId(), false);
	ids = pay_db_draw_ids("payment_order_history_id_seq", n);

	pay_table_open(&history);
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
			fill_row(i, &transitions[first + i], ids[first + i], actor, now);
		pay_table_insert_rows(&history, rows);
	}
	pay_table_close(&history);
	CommandCounterIncrement();
}

static void
fill_row(int row, const PayOrderTransition *transition, int64 id,
		 const char *actor, TimestampTz now)
{
	Assert(transition->from != transition->to);
	pay_table_begin_row(&history, row);
	pay_table_set(&history, row, ID, Int64GetDatum(id));
	pay_table_set(&history, row, ORDER_ID,
				  CStringGetTextDatum(transition->order_id));
	pay_table_set(&history, row, PAYMENT_ORDER_ID,
				  Int64GetDatum(transition->payment_order_id));
	pay_table_set(&history, row, FROM_STATUS,
				  pay_order_status_datum(transition->from));
	pay_table_set(&history, row, TO_STATUS,
				  pay_order_status_datum(transition->to));
	if (transition->reason != NULL)
		pay_table_set(&history, row, REASON,
					  CStringGetTextDatum(transition->reason));
	pay_table_set(&history, row, ACTOR, CStringGetTextDatum(actor));
	pay_table_set(&history, row, CHANGED_AT, TimestampTzGetDatum(now));
}
