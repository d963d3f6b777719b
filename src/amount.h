/*
 * amount.h
 *		Amounts at the border between SQL's numeric and C's mills.
 *
 * The arithmetic is money.c's; here are the conversions and the errors, each
 * with the amount, what is wrong with it, and what to do.
 */
#ifndef PAY_AMOUNT_H
#define PAY_AMOUNT_H

#include "postgres.h"

#include "money.h"
#include "utils/numeric.h"

/* mills to numeric, in the current memory context */
extern Datum pay_amount_to_numeric(int64 mills);

/* numeric from our own tables to mills; anything odd is an internal error */
extern int64 pay_amount_from_table(Datum numeric);

/*
 * The same for a balance: a sum may be larger than any amount.  Raises 22003
 * when it is beyond 9.2 * 10^15 units.
 */
extern int64 pay_amount_from_balance(Datum numeric);

/*
 * A positive amount from a caller, in a currency with minor_units digits.
 * Raises 22023 (22003 when too large), naming "what" (for example
 * "line 2: amount") and the currency.
 */
extern int64 pay_amount_from_caller(Datum numeric, int minor_units,
									const char *currency, const char *what);

/* As above, but a signed amount other than zero (ledger entries). */
extern int64 pay_amount_signed_from_caller(Datum numeric, int minor_units,
										   const char *currency,
										   const char *what);

/* The same without an error, and so without a name; false when it is bad. */
extern bool pay_amount_signed_read(Datum numeric, int minor_units,
								   int64 *mills);

/* mills as palloc'ed text, for messages and JSON */
extern char *pay_amount_text(int64 mills);

#endif							/* PAY_AMOUNT_H */
