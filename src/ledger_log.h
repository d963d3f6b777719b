/*
 * ledger_log.h
 *		The entries that this database transaction inserted, and the zero-sum
 *		check over them.
 */
#ifndef PAY_LEDGER_LOG_H
#define PAY_LEDGER_LOG_H

#include "postgres.h"

#include "zero_sum.h"

/*
 * Register the callbacks at the end of transactions and subtransactions, once
 * per process.  The triggers do it anyway; _PG_init may.
 */
extern void pay_ledger_log_register(void);

/* Log an entry in the current subtransaction. */
extern void pay_ledger_log_append(int64 transaction_id, int16 entry_no,
								  int16 entry_count,
								  PayCurrencyCode currency, int64 amount);

/*
 * Check a ledger transaction now.  Raises 23514 with the constraint's name;
 * false when it has no entry in the log.
 */
extern bool pay_ledger_log_check(int64 transaction_id);

#endif							/* PAY_LEDGER_LOG_H */
