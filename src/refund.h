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

/* Bytes of the PSP's name of a cancel that are kept */
#define PAY_MAX_TRANSACTION_KEY	1000

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

/* Who wanted it */
typedef enum PayRefundOrigin
{
	PAY_REFUND_BY_APPLICATION,
	PAY_REFUND_BY_CLAIM,		/* nobody claimed the order in time */
	PAY_REFUND_BY_PSP			/* somebody else, at the PSP */
} PayRefundOrigin;

typedef struct PayRefund
{
	int64		id;
	PayRefundOrigin origin;
	const char *reason;
	const char *idempotency_key;	/* the caller's, or NULL */
	const char *request;		/* JSON text */
	const char *token;			/* NULL: it was not by us */
	const char *requested_by;
	int64		proof_call_id;	/* of the answer that showed it, then */
	int32		proof_attempt_no;
	const PayTossAccount *account;	/* where it goes, or NULL */
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

/* The token that a text stands for, always the same; NULL: a random one. */
extern char *pay_refund_token(const char *text);

/*
 * Insert a refund, reserve it in its lines and in the wallets of its sellers,
 * and tell so.  Draws its id.  Raises 23514 when it is more than is left of a
 * line, and PY034 when a wallet has too little and the merchant does not allow
 * that.
 */
extern void pay_refund_insert(const PayOrder *order, PayRefund *refund,
							  TimestampTz now);

/* Insert one that happened already: nothing is reserved for it. */
extern void pay_refund_insert_fact(const PayOrder *order, PayRefund *refund,
								   TimestampTz now);

/* Its lines: those of which a part, given by line, goes back; and its amount. */
extern void pay_refund_choose(const PayOrder *order, const PayRefundable *lines,
							  int n, const int64 *parts, PayRefund *refund);

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
 * What becomes of a refund, for refund_settle.c: from the answer to a cancel
 * (refund_answer.c), from what else a payment shows (refund_foreign.c), or from
 * a person's word (refund_resolve.c).  The event is locked.
 */
typedef struct PayRefundOutcome
{
	const PayOrder *order;
	int64		refund_id;
	int64		amount;			/* mills */
	PayRefundState state;		/* EXECUTING: as it was */
	bool		is_fact;		/* nothing was reserved: it just happened */
	char	   *reason;			/* of the change, for people */
	const char *told_reason;	/* why it was refunded, of a fact */
	char	   *code;			/* why it is not done, or NULL */
	char	   *transaction_key;	/* of one that is done */
	TimestampTz refunded_at;
	int			n_lines;
	PayRefundLine *lines;
} PayRefundOutcome;

/* refund_answer.c: those of the results that are cancels', and count. */
extern int	pay_refund_outcomes(const PayResult *results, const PayOrder *orders,
								const bool *counts, int n, TimestampTz now,
								PayRefundOutcome **outcomes);
extern void pay_refund_fill_proof(PayRefundOutcome *outcome,
								  const PayTossCancel *cancel, TimestampTz now);

/* refund_foreign.c: and what was cancelled without us. */
extern int	pay_refund_add_foreign(const PayResult *results,
								   const PayOrder *orders, const bool *counts,
								   int n, TimestampTz now,
								   PayRefundOutcome **outcomes,
								   int n_outcomes);

/*
 * refund_settle.c, for settle.c: first what the books are to say, added to the
 * arrays, then the rest.  At most one posting for each outcome, and two changes
 * for each of its lines.
 */
extern void pay_refund_read_lines(PayRefundOutcome *outcomes, int n);
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
