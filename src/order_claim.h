/*
 * order_claim.h
 *		Orders that the application has to claim, or they are refunded.
 *
 * order_claim.c alone writes payments.payment_claim.  All functions need
 * pay_db_connect, and but for the two that look for orders the event's lock.
 */
#ifndef PAY_ORDER_CLAIM_H
#define PAY_ORDER_CLAIM_H

#include "postgres.h"

#include "order.h"
#include "shard.h"

/* confirm: it has to be claimed within this time, once it is paid. */
extern void pay_order_claim_insert(const PayOrder *order, Datum within,
								   TimestampTz now);

/* Was it confirmed so, with this time? */
extern bool pay_order_claim_same(const char *order_id, Datum within);

/*
 * The application has it.  Nothing when it had said so before.  Raises PY036
 * when it is not to be claimed, PY031 when it is not paid, and PY037 when that
 * comes too late.
 */
extern void pay_order_claim(const PayOrder *order, const char *by,
							TimestampTz now);

/*
 * Find and lock the order of a shard that is due first: false when none is, or
 * somebody holds them.  Its strings live in the current context.
 */
extern bool pay_order_claim_find(PayShard shard, TimestampTz now,
								 PayOrder *order);

/*
 * If its time is over end the waiting: an order that failed is void, a paid one
 * is refunded.  Otherwise look again when it can be over.  True when it ended.
 */
extern bool pay_order_claim_end(const PayOrder *order, TimestampTz now);

/* It could not be given back, and why; look again later. */
extern void pay_order_claim_note(const char *order_id, const char *problem,
								 TimestampTz now);

/* When the next one is due; DT_NOEND: none is. */
extern TimestampTz pay_order_claim_next(PayShard shard);

#endif							/* PAY_ORDER_CLAIM_H */
