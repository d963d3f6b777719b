/*
 * refund.h
 *		Refunds: what is to go back, of which lines, and how far it has come.
 *
 * refund.c and refund_settle.c alone write these tables, and the counters of
 * payment orders that say how much went back.  All functions need
 * pay_db_connect and, but for pay_refund_state, the lock of the refund's event.
 */
#ifndef PAY_REFUND_H
#define PAY_REFUND_H

#include "postgres.h"

#include "event.h"
#include "ledger.h"
#include "order.h"
#include "psp_call.h"
#include "refund_state.h"
#include "wallet.h"

/* Toss answers a payment with all its cancels, and an answer has an end. */
#define PAY_MAX_REFUNDS		100 /* of an order, open or done */

/* Between two cancels of a payment. */
#define PAY_REFUND_DISTANCE	USECS_PER_SEC

/* A line of an order, and what may still go back of it. */
typedef struct PayRefundable
{
	int64		payment_order_id;
	int64		seller_id;
	int64		amount;			/* mills, as are all of these */
	int64		commission;
	int64		returned;		/* by refunds that are open or done */
	int64		commission_returned;
} PayRefundable;

/* Part of a refund. */
typedef struct PayRefundLine
{
	int64		payment_order_id;
	int64		seller_id;
	int64		amount;
	int64		commission;
} PayRefundLine;

typedef struct PayRefund
{
	int64		id;
	const char *reason;
	const char *idempotency_key;	/* the caller's, or NULL */
	const char *request;		/* JSON text */
	const char *token;
	const char *requested_by;
	int64		amount;
	int			n_lines;
	PayRefundLine *lines;
} PayRefund;

/* The lines of an order, by their numbers.  palloc'ed. */
extern int	pay_refund_lines(const char *order_id, PayRefundable **lines);

/* How many refunds of an order are open or done? */
extern int	pay_refund_count(const char *order_id);

/*
 * The refund that has the caller's key, and whether it was asked for in the
 * same words; 0 when there is none.
 */
extern int64 pay_refund_find(const char *order_id, const char *idempotency_key,
							 const char *reason, const char *request,
							 bool *same);

/*
 * Insert a refund, reserve it in its lines and in the wallets of its sellers,
 * and tell so.  Draws its id.  Raises 23514 when it is more than is left of a
 * line, and PY034 when a wallet has too little and the merchant does not allow
 * that.
 */
extern void pay_refund_insert(const PayOrder *order, PayRefund *refund,
							  TimestampTz now);

/*
 * If no call of the order is open, queue the cancel of the refund that waits
 * longest; no sooner than PAY_REFUND_DISTANCE after the last one.
 */
extern void pay_refund_next(const char *order_id, TimestampTz now);

/* The state of a refund; false when the order has none with this id. */
extern bool pay_refund_state(const char *order_id, int64 refund_id,
							 PayRefundState *state);

/* The enum's value; and the SQL enum's as a state. */
extern Datum pay_refund_status_datum(PayRefundState state);
extern PayRefundState pay_refund_state_from_datum(Datum status);

/*
 * refund_settle.c, for settle.c: what the results do that are cancels' and
 * count.  First what the books are to say, added to the arrays, then the rest.
 */
typedef struct PayRefundOutcome
{
	const PayResult *result;
	const PayOrder *order;
	PayRefundState state;
	char	   *code;			/* why it is not done, or NULL */
	TimestampTz refunded_at;
	int			n_lines;
	PayRefundLine *lines;
} PayRefundOutcome;

extern int	pay_refund_outcomes(const PayResult *results, const PayOrder *orders,
								const bool *counts, int n, TimestampTz now,
								PayRefundOutcome **outcomes);
extern int	pay_refund_postings(const PayRefundOutcome *outcomes, int n,
								PayLedgerPosting *postings);
extern int	pay_refund_wallet_changes(const PayRefundOutcome *outcomes, int n,
									  PayWalletChange *changes);
extern void pay_refund_apply(const PayRefundOutcome *outcomes, int n,
							 TimestampTz now);

/* The payload of an event about a refund.  palloc'ed. */
extern char *pay_refund_payload(const PayOrder *order, int64 refund_id,
								int64 amount, const PayRefundLine *lines,
								int n_lines, const char *reason,
								const char *code);

#endif							/* PAY_REFUND_H */
