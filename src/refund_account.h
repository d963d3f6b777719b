/*
 * refund_account.h
 *		Where the refund of a deposit goes: an account of the buyer's.
 *
 * Personal data: it stands in a table of its own, which no kind of role is
 * granted, goes into the bytes that are sent and nowhere else, and is deleted in
 * the transaction that ends the refund.  All functions but pay_refund_account_read
 * need pay_db_connect and the lock of the order's event.
 */
#ifndef PAY_REFUND_ACCOUNT_H
#define PAY_REFUND_ACCOUNT_H

#include "postgres.h"

#include "order.h"
#include "psp_call.h"
#include "toss.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/*
 * {"bank", "account_number", "holder_name"} as an account, in the current
 * context and the database's encoding.  Raises 22023, which never quotes it, when
 * it is none.
 */
extern void pay_refund_account_read(Jsonb *json, PayTossAccount *account);

/*
 * Does a refund of this order, which is SUCCESS, need an account (or NULL)?
 * Raises 22023 when it is missing, or not needed, and PY031 when there is nothing
 * to give back since the bank has taken the deposit back.
 */
extern void pay_refund_account_check(const PayOrder *order,
									 const PayTossAccount *account);

/* Of a refund that is new. */
extern void pay_refund_account_insert(const char *order_id, int64 refund_id,
									  const PayTossAccount *account,
									  TimestampTz now);

/* Is it this one, as far as it is still known? */
extern bool pay_refund_account_same(const char *order_id, int64 refund_id,
									const PayTossAccount *account);

/* Make the accounts a part of what is sent of these calls; without a lock. */
extern void pay_refund_account_send(PayClaim **claims, int n);

/* Forget those of refunds that have ended. */
extern void pay_refund_account_erase(char *const *order_ids, const int64 *ids,
									 int n);

#endif							/* PAY_REFUND_ACCOUNT_H */
