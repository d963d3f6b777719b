/*
 * ledger_balance.c
 *		Changing the balances of accounts: the one place where postings wait
 *		for each other.
 *
 * The rows of payments.ledger_balance are ledger_balance_row.c's.  The row
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
#include "utils/timestamp.h"

#include "amount.h"
#include "errors.h"
#include "ledger_balance.h"
#include "ledger_balance_row.h"
#include "ledger_hold.h"
#include "ledger_state.h"

static void change_one(PayLedgerAccount *account, PayTableLookup *lookup);
static bool may_be_refused(const PayLedgerAccount *account,
						   const PayLedgerBalance *before);
static bool move(const PayLedgerAccount *account,
				 const PayLedgerBalance *before, PayLedgerBalance *after);
static bool decide(PayLedgerAccount *account, PayTableLookup *lookup,
				   const PayLedgerBalance *before, PayLedgerBalance *after);
static bool is_newest(PayLedgerAccount *account, PayTableLookup *lookup);
static void check_until(const PayLedgerAccount *account);
static void release_due(PayLedgerAccount *account, PayLedgerBalance *after);
static bool falls_below_floor(const PayLedgerAccount *account,
							  const PayLedgerBalance *before,
							  const PayLedgerBalance *after);
static void check_limits(const PayLedgerAccount *account,
						 const PayLedgerBalance *before,
						 const PayLedgerBalance *after);
static void refuse(const PayLedgerAccount *account, const char *what,
				   int64 limit, const PayLedgerBalance *after);
static int	compare_ids(const void *a, const void *b);

void
pay_ledger_balance_change(PayLedgerAccount *accounts, int n)
{
	PayLedgerAccount **sorted = palloc(sizeof(PayLedgerAccount *) * n);
	PayTableLookup lookup;

	for (int i = 0; i < n; i++)
		sorted[i] = &accounts[i];
	qsort(sorted, n, sizeof(sorted[0]), compare_ids);

	pay_ledger_balance_begin(&lookup);
	for (int i = 0; i < n; i++)
		change_one(sorted[i], &lookup);
	pay_ledger_balance_end(&lookup);
}

/*
 * Change one account's balance, however often others come in between.  The first
 * look is with a snapshot that all accounts of the call share.  Replacing what it
 * finds is right or fails; to refuse is not for it to decide.
 */
static void
change_one(PayLedgerAccount *account, PayTableLookup *lookup)
{
	bool		newest = false;
	bool		done = false;
	int			missing = 0;

	while (!done)
	{
		PayLedgerBalance before;
		PayLedgerBalance after;

		if (account->stripes > 0 &&
			pay_ledger_balance_find(account, MyProcPid % account->stripes,
									newest, lookup))
		{
			pay_ledger_balance_read(lookup->row, &before);
			if (!newest && may_be_refused(account, &before))
			{
				newest = true;
				continue;
			}
			done = decide(account, lookup, &before, &after) &&
				pay_ledger_balance_replace(account, lookup->row, &before,
										   &after);
			newest = true;
			pay_ledger_balance_learn(account, &before);
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
			newest = true;
			if (!pay_ledger_balance_find(account, 0, true, lookup) ||
				++missing > 3)
				pay_ledger_state_rows_missing(account->code);
			pay_ledger_balance_read(lookup->row, &before);
			pay_ledger_balance_learn(account, &before);
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * What could stand in the way of it, as far as the account has it?
 * test/specs/ledger_old_look.spec
 */
static bool
may_be_refused(const PayLedgerAccount *account,
			   const PayLedgerBalance *before)
{
	PayLedgerBalance after;

	if (!move(account, before, &after))
		return true;
	return !account->fact &&
		(before->state != PAY_LEDGER_OPEN || before->has_floor ||
		 before->has_ceiling || account->release_until != 0);
}

/* The balance after the change; false when that is out of range. */
static bool
move(const PayLedgerAccount *account, const PayLedgerBalance *before,
	 PayLedgerBalance *after)
{
	*after = *before;
	return !pg_add_s64_overflow(before->balance, account->change,
								&after->balance) &&
		!pg_sub_s64_overflow(before->held, account->release, &after->held);
}

/*
 * What becomes of a balance; raises what the header says.  False: the row is
 * not what it was, and has to be read again.
 */
static bool
decide(PayLedgerAccount *account, PayTableLookup *lookup,
	   const PayLedgerBalance *before, PayLedgerBalance *after)
{
	if (!move(account, before, after))
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

	return pay_ledger_balance_find(account, 0, true, lookup) &&
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
release_due(PayLedgerAccount *account, PayLedgerBalance *after)
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
falls_below_floor(const PayLedgerAccount *account,
				  const PayLedgerBalance *before,
				  const PayLedgerBalance *after)
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
check_limits(const PayLedgerAccount *account, const PayLedgerBalance *before,
			 const PayLedgerBalance *after)
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
	   const PayLedgerBalance *after)
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
