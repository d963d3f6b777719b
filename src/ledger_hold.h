/*
 * ledger_hold.h
 *		Holds: money of an account that is spoken for.
 */
#ifndef PAY_LEDGER_HOLD_H
#define PAY_LEDGER_HOLD_H

#include "postgres.h"

#include "utils/timestamp.h"

/*
 * End the holds of an account that are past their time, but for those that
 * somebody else is ending right now, and return their sum in mills.  The
 * caller has locked the account's balance row, and takes the sum off "held"
 * there.  Needs pay_db_connect.
 */
extern int64 pay_ledger_hold_expire_due(int64 account_id, TimestampTz now);

/* The same, and take the sum off "held". */
extern void pay_ledger_hold_release_due(int64 account_id, TimestampTz now);

/* Take an amount off "held", or add it when it is negative. */
extern void pay_ledger_hold_lower(int64 account_id, int64 amount);

#endif							/* PAY_LEDGER_HOLD_H */
