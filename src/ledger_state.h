/*
 * ledger_state.h
 *		The state of an account of the ledger.
 */
#ifndef PAY_LEDGER_STATE_H
#define PAY_LEDGER_STATE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "compat.h"

/* An account whose balance rows are locked */
typedef struct PayLedgerLocked
{
	char	   *code;
	int64		id;
	char	   *kind;
	char	   *currency;
	int			stripes;
	char		state;			/* as in the table: o, f, c */
	bool		limited;		/* has a floor or a ceiling */
	char	   *held;			/* as text; NULL when nothing is held */
	int64		overdue;		/* of it, in mills, by holds that others end */
	char	   *balance;		/* as text; NULL when it is zero */
} PayLedgerLocked;

/*
 * Lock all balance rows of an account in their order, end its holds that are
 * past their time, and read its state.  Needs pay_db_connect.  Raises PY012
 * when there is no such account.
 */
extern void pay_ledger_state_lock(const char *code, TimestampTz now,
								  PayLedgerLocked *account);

/*
 * Write what happened to an account whose balance rows are locked and say by
 * now what holds after it.  reason may be NULL for "opened".
 */
extern void pay_ledger_state_record(int64 account_id, const char *event,
									const char *reason, TimestampTz now);

/*
 * A limit as numeric, in the current context; 0 and negative ones are limits
 * too.  Raises 22023 and 22003.
 */
extern Datum pay_ledger_state_limit(Datum limit, const char *currency,
									const char *name);

/*
 * Raises PY019 when an account is past the limits in its locked row.  overdue
 * of what is held counts as released.
 */
extern void pay_ledger_state_check_limits(int64 account_id, const char *code,
										  int64 overdue);

/* PY012: there is no such account. */
pg_noreturn extern void pay_ledger_state_unknown(const char *code);

/* 55000: some of an account's balance rows are gone. */
pg_noreturn extern void pay_ledger_state_rows_missing(const char *code);

/*
 * PY018: an account is frozen or closed, since when and why.  Needs
 * pay_db_connect.
 */
pg_noreturn extern void pay_ledger_state_not_open(int64 account_id,
												  const char *code,
												  char state);

/* 22023 when a number of stripes is out of range. */
extern void pay_ledger_state_check_stripes(int stripes);

#endif							/* PAY_LEDGER_STATE_H */
