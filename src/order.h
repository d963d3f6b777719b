/*
 * order.h
 *		Orders: buyers, sellers, payment events and payment orders.
 *
 * order.c and order_outcome.c alone write these tables.  Behind order.c, as
 * behind every other writer but order_outcome.c, history and is_payment_done
 * are written by the triggers of order_trigger.c.
 * All functions need pay_db_connect.  Locks are taken in one order everywhere:
 * payment event, its orders, its call, balances by account, wallets by seller.
 */
#ifndef PAY_ORDER_H
#define PAY_ORDER_H

#include "postgres.h"

#include "compat.h"
#include "order_state.h"
#include "storage/itemptr.h"
#include "utils/timestamp.h"

#define PAY_MAX_LINES		1000
#define PAY_MAX_ORDER_NAME	100 /* characters */

typedef struct PayOrderLine
{
	int64		seller_id;
	int64		amount;			/* mills, of the whole line */
	int64		commission;		/* mills */
	int32		quantity;
	char	   *product_id;		/* or NULL */
	char	   *product_name;	/* or NULL */
} PayOrderLine;

typedef struct PayOrder
{
	int64		id;				/* of the payment event */
	char	   *order_id;
	char	   *payment_key;	/* NULL before confirm */
	char	   *merchant;
	int64		buyer_id;
	char	   *order_name;
	char	   *currency;
	int			minor_units;
	int64		amount;			/* mills, the total */
	char	   *psp_status;		/* or NULL */
	char	   *metadata;		/* JSON text, or NULL */
	char	   *retry_of;		/* for pay_order_insert alone, or NULL */
	TimestampTz created_at;
	TimestampTz expires_at;
	int			n_lines;
	PayOrderLine *lines;		/* when they were asked for */
	ItemPointerData place;		/* of the row, by pay_order_lock_many */
} PayOrder;

/* Raises 22004 or 22023 unless text can be an order id of ours. */
extern void pay_order_check_id(const char *order_id);

/* PY001, in the same words from every function. */
pg_noreturn extern void pay_order_unknown(const char *order_id);

/*
 * Insert a checkout: the buyer and the sellers when new, the event, the
 * orders, commissions by the sellers' present rates.  False when the order id
 * is taken; then no order was written.
 */
extern bool pay_order_insert(PayOrder *order, const char *new_customer_key);

/* Read an event; false when there is none.  Strings in the current context. */
extern bool pay_order_read(const char *order_id, PayOrder *order);
extern void pay_order_read_lines(PayOrder *order);

/* What they select of e (payment_event) and c (currency); and reading a row. */
#define PAY_ORDER_COLUMNS \
	"e.id, e.order_id, e.payment_key, e.merchant, e.buyer_id, e.order_name," \
	" e.currency, c.minor_units::pg_catalog.int4, e.amount, e.psp_status," \
	" e.metadata::pg_catalog.text, e.created_at, e.expires_at"
extern void pay_order_fill(uint64 row, PayOrder *order);

/* As pay_order_read, with the event's row locked against other writers. */
extern bool pay_order_lock(const char *order_id, PayOrder *order);

/*
 * The state of all orders of an event: the one they share, else UNKNOWN.
 * False when there is no such event.  worth_waiting tells whether anything can
 * still be waited for: false for a final state, and for a virtual account that
 * waits
 * for its deposit.
 */
extern bool pay_order_state(const char *order_id, bool fresh_snapshot,
							PayOrderState *state, bool *worth_waiting);

/* Does another event hold this payment key? */
extern bool pay_order_key_taken(const char *payment_key,
								const char *order_id);

extern char *pay_order_customer_key(int64 buyer_id);
extern char *pay_order_client_key(const char *merchant);

/* confirm: store the payment key, NOT_STARTED -> EXECUTING. */
extern void pay_order_start(const char *order_id, const char *payment_key,
							TimestampTz now);

/* fail redirect: NOT_STARTED -> FAILURE; number of orders changed. */
extern uint64 pay_order_abandon(const char *order_id, const char *code,
								const char *reason, TimestampTz now);

/* The result of a call for one event, for pay_order_apply. */
typedef struct PayOrderOutcome
{
	const PayOrder *order;		/* as pay_order_lock_many locked it */
	const char *order_id;
	PayOrderState state;		/* EXECUTING: leave the orders as they are */
	const char *reason;
	const char *code;			/* or NULL */
	const char *method;			/* or NULL: leave */
	const char *psp_status;		/* or NULL: leave */
	Datum		response;		/* jsonb, or 0: leave */
	TimestampTz approved_at;	/* 0: leave */
} PayOrderOutcome;

/* A line that is to be booked. */
typedef struct PayOrderSale
{
	int			outcome;		/* index into the outcomes */
	int64		payment_order_id;
	int64		buyer_id;
	int64		seller_id;
	int64		amount;
	int64		commission;
	const char *currency;
} PayOrderSale;

/*
 * Lock the events of these orders, in order_id order, and read them into
 * locked: what does not change, but for name, metadata and times.  Those that
 * another session has locked are passed over: their id is 0.  Returns the
 * number of those that were locked.
 */
extern int	pay_order_lock_many(char *const *order_ids, int n,
								PayOrder *locked);

/* The lines, not yet booked, of the outcomes that are SUCCESS. */
extern int	pay_order_read_sales(const PayOrderOutcome *outcomes, int n,
								 PayOrderSale **sales);

/*
 * Write the outcomes: orders (SUCCESS with both flags, since ledger and wallets
 * were written before, in this transaction), history, events, and
 * is_payment_done with its event of the outbox.  At most one outcome per order
 * and command.
 */
extern void pay_order_apply(const PayOrderOutcome *outcomes, int n,
							TimestampTz now);

#endif							/* PAY_ORDER_H */
