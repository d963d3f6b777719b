/*
 * refund_account.h
 *		Where the refund of a deposit goes: an account of the buyer's.
 *
 * Personal data: it stands in a table of its own, that nobody is granted, goes
 * into the request that needs it and nowhere else, and is deleted with the
 * refund's end.
 */
#ifndef PAY_REFUND_ACCOUNT_H
#define PAY_REFUND_ACCOUNT_H

#include "postgres.h"

#include "toss.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/*
 * {"bank", "account_number", "holder_name"} as an account, in the current
 * context.  Raises 22023, without its contents, when it is none.
 */
extern void pay_refund_account_read(Jsonb *json, PayTossAccount *account);

/* What tells two of them apart: hexadecimal digits. */
extern char *pay_refund_account_digest(const PayTossAccount *account);

/* Of a refund that is new; and forget those of refunds that have ended. */
extern void pay_refund_account_insert(const char *order_id, int64 refund_id,
									  const PayTossAccount *account,
									  TimestampTz now);
extern void pay_refund_account_erase(char *const *order_ids, const int64 *ids,
									 int n);

#endif							/* PAY_REFUND_ACCOUNT_H */
