/*
 * psp_attempt.c
 *		Attempts, as they are kept: what is about to be sent.
 *
 * Rows are written directly (table.c).  What the table's constraints would say
 * of them is so by the way they come about: the call that a row points at was
 * read by who claimed it, and cannot be changed or deleted; an operation is one
 * of our literals.  A number that an attempt has already is refused by the
 * index, as for every writer.  test/t/037_direct_settling.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"

#include "psp_attempt.h"
#include "table.h"

enum
{
	CALL_ID,
	ATTEMPT_NO,
	ORDER_ID,
	OPERATION,
	EPOCH,
	CLAIMED_AT
};

static PayTable attempts = {
	"psp_attempt",
	{
		[CALL_ID] = "call_id",
		[ATTEMPT_NO] = "attempt_no",
		[ORDER_ID] = "order_id",
		[OPERATION] = "operation",
		[EPOCH] = "epoch",
		[CLAIMED_AT] = "claimed_at",
	}
};

static void fill_row(int row, const PayClaim *claim, int64 epoch,
					 TimestampTz now);

void
pay_psp_attempt_write(PayClaim *const *claims, int n, int64 epoch,
					  TimestampTz now)
{
	pay_table_open(&attempts);
	for (int first = 0; first < n; first += PAY_TABLE_ROWS)
	{
		int			rows = Min(n - first, PAY_TABLE_ROWS);

		for (int i = 0; i < rows; i++)
			fill_row(i, claims[first + i], epoch, now);
		pay_table_insert_rows(&attempts, rows);
	}
	pay_table_close(&attempts);
	CommandCounterIncrement();
}

static void
fill_row(int row, const PayClaim *claim, int64 epoch, TimestampTz now)
{
	PayTossOperation operation = claim->request.operation;
	const char *name = operation == PAY_TOSS_CONFIRM ? "confirm" :
	operation == PAY_TOSS_CANCEL ? "cancel" : "query";

	pay_table_begin_row(&attempts, row);
	pay_table_set(&attempts, row, CALL_ID, Int64GetDatum(claim->call_id));
	pay_table_set(&attempts, row, ATTEMPT_NO, Int32GetDatum(claim->attempt_no));
	pay_table_set(&attempts, row, ORDER_ID,
				  CStringGetTextDatum(claim->order_id));
	pay_table_set(&attempts, row, OPERATION, CStringGetTextDatum(name));
	pay_table_set(&attempts, row, EPOCH, Int64GetDatum(epoch));
	pay_table_set(&attempts, row, CLAIMED_AT, TimestampTzGetDatum(now));
}
