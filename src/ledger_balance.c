/*
 * ledger_balance.c
 *		Changing the balances of accounts: the one place where postings wait
 *		for each other.
 *
 * Owns the writing of payments.ledger_balance while posting goes on.  The row
 * of an account carries all that may refuse a posting (state, limits, what is
 * held), so whoever changes any of it changes this row.  A posting reads the
 * newest version, decides, and puts a new one in its place; when somebody
 * else's version came in between, it reads and decides again.  So what was
 * decided on is what was replaced, and the check is exact.
 *
 * A balance stays locked until its transaction is over, and a commit waits for
 * the disk; an account that every payment touches would let one of them pass
 * per flush.  Such an account has several rows (stripes); a backend always
 * takes the same one, and readers add them up.  Only accounts of one row have
 * limits and holds.  All rows of an account exist from its opening on: one that
 * is not there any more tells that the number of stripes has changed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "errors.h"
#include "ledger_account_cache.h"
#include "ledger_balance.h"
#include "ledger_hold.h"
#include "ledger_state.h"
#include "table.h"
#include "table_lookup.h"

enum
{
	ACCOUNT_ID,
	STRIPE,
	STRIPES,
	STATE,
	FLOOR,
	CEILING,
	HELD,
	BALANCE
};

static PayTable balances = {
	"ledger_balance",
	{
		[ACCOUNT_ID] = "account_id",
		[STRIPE] = "stripe",
		[STRIPES] = "stripes",
		[STATE] = "state",
		[FLOOR] = "floor",
		[CEILING] = "ceiling",
		[HELD] = "held",
		[BALANCE] = "balance",
	}
};

/* A version of a row; amounts in mills */
typedef struct Balance
{
	int			stripes;
	char		state;
	bool		has_floor;
	bool		has_ceiling;
	int64		floor;
	int64		ceiling;
	int64		held;
	int64		overdue;		/* of it, by holds that others are ending */
	int64		balance;
} Balance;

static void change_one(PayLedgerAccount *account, PayTableLookup *lookup);
static bool find_row(PayLedgerAccount *account, int stripe,
					 PayTableLookup *lookup);
static bool find_at(PayLedgerAccount *account, int stripe,
					PayTableLookup *lookup);
static bool is_row(const PayLedgerAccount *account, int stripe,
				   TupleTableSlot *row);
static void read_row(TupleTableSlot *row, Balance *balance);
static int64 limit(TupleTableSlot *row, int column, bool *is_there);
static void learn_stripes(PayLedgerAccount *account, const Balance *balance);
static bool replace_row(TupleTableSlot *row, const Balance *before,
						const Balance *after);
static bool decide(PayLedgerAccount *account, PayTableLookup *lookup,
				   const Balance *before, Balance *after);
static bool is_newest(PayLedgerAccount *account, PayTableLookup *lookup);
static void check_until(const PayLedgerAccount *account);
static void release_due(PayLedgerAccount *account, Balance *after);
static bool falls_below_floor(const PayLedgerAccount *account,
							  const Balance *before, const Balance *after);
static void check_limits(const PayLedgerAccount *account,
						 const Balance *before, const Balance *after);
static void refuse(const PayLedgerAccount *account, const char *what,
				   int64 limit, const Balance *after);
static int	compare_ids(const void *a, const void *b);

void
pay_ledger_balance_change(PayLedgerAccount *accounts, int n)
{
	static const int key_columns[] = {ACCOUNT_ID, STRIPE};
	PayLedgerAccount **sorted = palloc(sizeof(PayLedgerAccount *) * n);
	PayTableLookup lookup;

	for (int i = 0; i < n; i++)
		sorted[i] = &accounts[i];
	qsort(sorted, n, sizeof(sorted[0]), compare_ids);

	pay_table_open(&balances);
	pay_table_lookup_begin(&lookup, &balances,
						   pay_table_unique_index(&balances, key_columns, 2));
	for (int i = 0; i < n; i++)
		change_one(sorted[i], &lookup);
	pay_table_lookup_end(&lookup);
	pay_table_close(&balances);
}

/* Change one account's balance, however often others come in between. */
static void
change_one(PayLedgerAccount *account, PayTableLookup *lookup)
{
	bool		done = false;
	int			missing = 0;

	while (!done)
	{
		Balance		before;
		Balance		after;

		if (account->stripes > 0 &&
			find_row(account, MyProcPid % account->stripes, lookup))
		{
			read_row(lookup->row, &before);
			done = decide(account, lookup, &before, &after) &&
				replace_row(lookup->row, &before, &after);
			learn_stripes(account, &before);
			if (!done && IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update"),
						 errdetail("The balance of account \"%s\" has changed since this transaction began.",
								   account->code),
						 errhint("Repeat the transaction.")));
		}
		else
		{
			/* once it may have been added between the two looks */
			if (!find_row(account, 0, lookup) || ++missing > 3)
				pay_ledger_state_rows_missing(account->code);
			read_row(lookup->row, &before);
			learn_stripes(account, &before);
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/* Find the newest version of a row. */
static bool
find_row(PayLedgerAccount *account, int stripe, PayTableLookup *lookup)
{
	Snapshot	snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ?
											GetTransactionSnapshot() :
											GetLatestSnapshot());
	bool		found;

	pay_table_lookup_with(lookup, snapshot);
	found = find_at(account, stripe, lookup);
	pay_table_lookup_with(lookup, NULL);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * Where it was the last time: an update leaves the root of its chain in place
 * as long as the page has room.  Else by its key.
 */
static bool
find_at(PayLedgerAccount *account, int stripe, PayTableLookup *lookup)
{
	ScanKeyData keys[2];

	if (pay_table_lookup_place(lookup, &account->place) &&
		is_row(account, stripe, lookup->row))
		return true;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(account->id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(stripe));
	pay_table_lookup_key(lookup, keys, 2);
	if (!pay_table_lookup_next(lookup, &account->place))
		return false;
	pay_ledger_account_remember_balance(account);
	return true;
}

static bool
is_row(const PayLedgerAccount *account, int stripe, TupleTableSlot *row)
{
	bool		is_null;

	return DatumGetInt64(pay_table_get(&balances, row, ACCOUNT_ID,
									   &is_null)) == account->id &&
		DatumGetInt16(pay_table_get(&balances, row, STRIPE,
									&is_null)) == stripe;
}

static void
read_row(TupleTableSlot *row, Balance *balance)
{
	bool		is_null;

	slot_getallattrs(row);
	balance->stripes =
		DatumGetInt16(pay_table_get(&balances, row, STRIPES, &is_null));
	balance->state =
		DatumGetChar(pay_table_get(&balances, row, STATE, &is_null));
	balance->floor = limit(row, FLOOR, &balance->has_floor);
	balance->ceiling = limit(row, CEILING, &balance->has_ceiling);
	balance->overdue = 0;
	balance->held =
		pay_amount_from_balance(pay_table_get(&balances, row, HELD,
											  &is_null));
	balance->balance =
		pay_amount_from_balance(pay_table_get(&balances, row, BALANCE,
											  &is_null));
}

static int64
limit(TupleTableSlot *row, int column, bool *is_there)
{
	bool		is_null;
	Datum		value = pay_table_get(&balances, row, column, &is_null);

	*is_there = !is_null;
	return is_null ? 0 : pay_amount_from_balance(value);
}

/* For the next time: over how many rows it is spread */
static void
learn_stripes(PayLedgerAccount *account, const Balance *balance)
{
	if (account->stripes == balance->stripes)
		return;
	account->stripes = balance->stripes;
	pay_ledger_account_remember_balance(account);
}

/* False: somebody else has put a new version in its place. */
static bool
replace_row(TupleTableSlot *row, const Balance *before, const Balance *after)
{
	pay_table_copy_row(&balances, row);
	pay_table_set(&balances, 0, BALANCE,
				  pay_amount_to_numeric(after->balance));
	if (after->held != before->held)
		pay_table_set(&balances, 0, HELD, pay_amount_to_numeric(after->held));
	return pay_table_replace_row(&balances, row);
}

/*
 * What becomes of a balance; raises what the header says.  False: the row is
 * not what it was, and has to be read again.
 */
static bool
decide(PayLedgerAccount *account, PayTableLookup *lookup,
	   const Balance *before, Balance *after)
{
	*after = *before;
	if (pg_add_s64_overflow(before->balance, account->change,
							&after->balance) ||
		pg_sub_s64_overflow(before->held, account->release, &after->held))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance of account \"%s\" is out of range",
						account->code),
				 errdetail("A balance and what is held of it stay below 9.2 * 10^15 %s.",
						   account->currency),
				 errhint("Use several accounts.")));
	if (account->fact)
		return true;

	if (before->state != PAY_LEDGER_OPEN)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_ACCOUNT_NOT_OPEN),
				 errmsg("account \"%s\" is %s", account->code,
						before->state == PAY_LEDGER_FROZEN ?
						"frozen" : "closed"),
				 errdetail("Nothing is posted to it by hand."),
				 errhint("payments.accounts shows since when and why; an operator opens it again with payments.%s.",
						 before->state == PAY_LEDGER_FROZEN ?
						 "unfreeze_account" : "reopen_account")));
	check_until(account);
	if (after->held > 0 && falls_below_floor(account, before, after))
	{
		release_due(account, after);

		/*
		 * A hold past its time that somebody else has ended since the row was
		 * read is in the row still, and among the due ones no more.
		 * test/specs/race_hold_overdue.spec
		 */
		if (falls_below_floor(account, before, after) &&
			!is_newest(account, lookup))
			return false;
	}
	check_limits(account, before, after);
	return true;
}

/* Has nobody changed the only row of an account since it was read? */
static bool
is_newest(PayLedgerAccount *account, PayTableLookup *lookup)
{
	ItemPointerData version = lookup->row->tts_tid;

	return find_row(account, 0, lookup) &&
		ItemPointerEquals(&lookup->row->tts_tid, &version);
}

/*
 * A hold has to be posted in time, that is when the row is written: others have
 * counted it as released since.
 */
static void
check_until(const PayLedgerAccount *account)
{
	if (account->release_until != 0 &&
		account->release_until <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_PAY_HOLD_ENDED),
				 errmsg("a hold on account \"%s\" has expired",
						account->code),
				 errhint("A hold ends once; the view payments.holds shows how.")));
}

/*
 * Holds past their time count no more: end them, and take them off what is
 * held.  They stay ended, and in the account's release, when the row has to be
 * read again.  Those that others are ending are found anew then.
 */
static void
release_due(PayLedgerAccount *account, Balance *after)
{
	int64		due = pay_ledger_hold_expire_due(account->id,
												 GetCurrentTimestamp(),
												 &after->overdue);

	account->release += due;
	account->expired += due;
	after->held -= due;
}

/*
 * Would less be available than the floor, and less than before?  What is past
 * its time was not held before either.
 */
static bool
falls_below_floor(const PayLedgerAccount *account, const Balance *before,
				  const Balance *after)
{
	int64		sign = account->normal_debit ? 1 : -1;
	int64		available = sign * after->balance - after->held;
	int64		available_before = sign * before->balance - before->held;

	available += after->overdue;
	available_before += after->overdue + account->expired;
	return before->has_floor && available < before->floor &&
		available < available_before;
}

/*
 * A limit stops what moves towards it: money that comes in is welcome however
 * low the balance is.
 */
static void
check_limits(const PayLedgerAccount *account, const Balance *before,
			 const Balance *after)
{
	int64		sign = account->normal_debit ? 1 : -1;

	if (falls_below_floor(account, before, after))
		refuse(account, "fall below its floor", before->floor, after);
	if (before->has_ceiling && sign * after->balance > before->ceiling &&
		sign * after->balance > sign * before->balance)
		refuse(account, "rise above its ceiling", before->ceiling, after);
}

static void
refuse(const PayLedgerAccount *account, const char *what, int64 limit,
	   const Balance *after)
{
	int64		sign = account->normal_debit ? 1 : -1;

	ereport(ERROR,
			(errcode(ERRCODE_PAY_LIMIT_CROSSED),
			 errmsg("account \"%s\" would %s", account->code, what),
			 errdetail("The limit is %s %s; the balance would be %s, of which %s is held.",
					   pay_amount_text(limit), account->currency,
					   pay_amount_text(sign * after->balance),
					   pay_amount_text(after->held - after->overdue)),
			 errhint("Post less, or have an operator change the limit with payments.set_account_limits.")));
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = (*(PayLedgerAccount *const *) a)->id;
	int64		right = (*(PayLedgerAccount *const *) b)->id;

	return left < right ? -1 : left > right;
}
