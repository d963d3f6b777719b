/*
 * ledger_read.h
 *		Reading an account of the ledger.
 */
#ifndef PAY_LEDGER_READ_H
#define PAY_LEDGER_READ_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

/*
 * The id of the account that argument n, "account", names; its currency unless
 * currency is NULL.  Needs pay_db_connect.  Raises 22004, and PY012 when there
 * is no such account.
 */
extern int64 pay_ledger_read_account(FunctionCallInfo fcinfo, int n,
									 char **currency);

/* A time that argument n gives; what is instead of NULL otherwise. */
extern TimestampTz pay_ledger_read_time(FunctionCallInfo fcinfo, int n,
										TimestampTz instead);

#endif							/* PAY_LEDGER_READ_H */
