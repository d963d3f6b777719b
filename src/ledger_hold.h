/*
 * ledger_hold.h
 *		Holds: money of an account that is spoken for.
 */
#ifndef PAY_LEDGER_HOLD_H
#define PAY_LEDGER_HOLD_H

#include "postgres.h"

#include "utils/timestamp.h"

/*
 * End the holds of an account that are past their time, and return their sum
 * in mills, which the caller takes off "held" in the account's balance row.
 * Those that somebody else is ending right now are left to him; their sum, in
 * *others, is still in "held" but counts as released.  It is right as long as
 * the balance row stays as it was when the caller read it.  Waits for nobody.
 * Needs pay_db_connect.
 */
extern int64 pay_ledger_hold_expire_due(int64 account_id, TimestampTz now,
										int64 *others);

/* The same, in a balance row that the caller has locked; returns *others. */
extern int64 pay_ledger_hold_release_due(int64 account_id, TimestampTz now);

/* Take an amount off "held", or add it when it is negative. */
extern void pay_ledger_hold_lower(int64 account_id, int64 amount);

#endif							/* PAY_LEDGER_HOLD_H */
