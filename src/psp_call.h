/*
 * psp_call.h
 *		Calls to the PSP: the immutable payload, the queue, the attempts.
 *
 * psp_call.c, psp_claim.c, psp_attempt.c, psp_look.c, psp_answer.c,
 * psp_answer_row.c and psp_deposit.c alone write the call tables; psp_queue.c
 * reads what waits.  The functions of the worker (claim, those of psp_queue.c,
 * recall, quarantine) connect by themselves and run inside a transaction of the
 * caller; the others need pay_db_connect.
 */
#ifndef PAY_PSP_CALL_H
#define PAY_PSP_CALL_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/timestamp.h"

#include "jump.h"
#include "resolution.h"
#include "shard.h"
#include "toss.h"

/*
 * pay_shard_has as SQL; the column has the collation "C".  Not as an OR: the
 * planner would expect one row in a hundred to pass, and rather sort all that are
 * due than read the first few by an index.
 */
#define PAY_SHARD_HAS(order_id, number, of) \
	"CASE WHEN " of " OPERATOR(pg_catalog.=) 1 THEN true" \
	" ELSE (pg_catalog.hashtext(" order_id ") OPERATOR(pg_catalog.&) 2147483647)" \
	" OPERATOR(pg_catalog.%) " of " OPERATOR(pg_catalog.=) " number " END"

/* Queue a confirm, or the cancel of a refund, with a new idempotency key. */
typedef struct PayCallRequest
{
	const char *order_id;
	int64		payment_event_id;
	const char *merchant;
	const char *payment_key;
	const char *currency;
	int			minor_units;
	int64		amount;			/* mills, of the payment */
	int64		refund_id;		/* 0: a confirm */
	const PayTossRefund *refund;	/* or NULL */
	TimestampTz due_at;			/* or 0: now */
} PayCallRequest;

extern int64 pay_psp_call_enqueue(const PayCallRequest *request,
								  TimestampTz now);

/* For psp_answer.c and psp_look.c, which renew keys, make them, keep digests. */
extern char *pay_psp_call_key(const char *order_id, const char *payment_key,
							  int renewal);
extern char *pay_psp_call_cancel_key(const char *order_id, const char *token,
									 int renewal);
extern char *pay_psp_call_look_key(const char *order_id, int64 call_id);
extern void pay_psp_call_sha256(const char *bytes, size_t len, uint8 *digest);

/*
 * A claimed attempt: everything that is needed to send it and to understand
 * the answer.  context holds the struct and its strings; whoever ends with the
 * claim deletes it.
 */
typedef struct PayClaim
{
	MemoryContext context;
	int64		call_id;
	int			attempt_no;
	int64		payment_event_id;
	int64		merchant_id;
	char	   *order_id;
	char	   *merchant;
	char	   *idempotency_key;
	char	   *request_body;	/* the bytes of the confirm or cancel */
	char	   *payment_key;
	char	   *currency;
	char	   *sent_as;		/* fingerprint of the first confirm, or NULL */
	PayTossRequest request;		/* points at the strings above */
	bool		is_look;		/* the call only asks (psp_look.h) */
	int64		refund_id;		/* 0: the call is no cancel */
	PayTossRefund refund;		/* of a cancel */
	bool		is_first_send;	/* no confirm of this event, or cancel with
								 * this key, went out before */
	TimestampTz due_at;
	PayCallState state;
	const char *asked;			/* how, when otherwise than it was sent; or
								 * NULL */
} PayClaim;

/*
 * What a merchant's calls are sent with now: digests of the key and the
 * address, NULL when there is no key; and of the key before, while it is there.
 * Whether a confirm may be sent for it now at all.
 */
typedef struct PayMerchantKeys
{
	const char *fingerprint;
	const char *previous;
	bool		may_charge;
} PayMerchantKeys;

/* A call that is to be claimed, and of whom it is believed to be. */
typedef struct PayCallWanted
{
	int64		call_id;
	int64		merchant_id;
	const PayMerchantKeys *keys;
} PayCallWanted;

/*
 * Claim those calls that are pending and due, for this epoch: queue rows go to
 * 'S', attempts are written.  Nothing may be sent before the caller has
 * committed.  Rows that another session has locked are passed over, and so is
 * whatever is not as the caller believes, and of a merchant that may not charge
 * that of which nothing was sent.
 * What would be a confirm is claimed as a query when the payment's window has
 * closed since the first one, a cancel when its key has had its time; both when
 * that was sent under a fingerprint that is not there any more, or when its
 * merchant may not charge.
 * Claims are made below parent; the array lives in the current context.
 */
extern int	pay_psp_call_claim(const PayCallWanted *wanted, int n_wanted,
							   int64 epoch, const PayTimes *times,
							   MemoryContext parent, PayClaim ***claims);

/*
 * A call that cannot be claimed: it waits for a person, if it is still pending.
 * Connects by itself, in a transaction of the caller.
 */
extern bool pay_psp_call_put_aside(int64 call_id, TimestampTz now);

/*
 * What waits (psp_queue.c).  The rows of a shard and merchant behind an id and up
 * to another, in order, at most max; the greatest id that any call has; and rows
 * of some ids that are pending, and may be claimed if they are due.  palloc'ed.
 */
typedef struct PayQueueRow
{
	int64		call_id;
	int64		merchant_id;
	TimestampTz due_at;			/* DT_NOEND: is not to be claimed */
} PayQueueRow;

extern int	pay_psp_queue_read(PayShard shard, int64 merchant_id,
							   bool may_charge, int64 after, int64 upto,
							   int max, PayQueueRow **rows);
extern int64 pay_psp_queue_newest(void);
extern int	pay_psp_queue_look(const PayCallWanted *wanted, int n,
							   PayQueueRow **rows);
extern int	pay_psp_queue_rows(MemoryContext caller, uint64 n,
							   PayQueueRow **rows);

/*
 * Calls that wait for a deposit (psp_deposit.c).  Bring up to max of a shard's
 * that are due back into the queue; say when the next one is (DT_NOEND: none);
 * and, for psp_operator.c and psp_hint.c, bring back those of orders.
 */
extern int	pay_psp_deposit_recall(PayShard shard, TimestampTz now, int max,
								   PayQueueRow **rows);
extern TimestampTz pay_psp_deposit_next(PayShard shard);
extern bool pay_psp_deposit_recall_order(const char *order_id);
extern void pay_psp_deposit_recall_orders(Datum order_ids,
										  TimestampTz not_after);

/* Every merchant.  palloc'ed. */
typedef struct PayMerchant
{
	int64		id;
	char	   *name;
} PayMerchant;

extern int	pay_psp_queue_merchants(PayMerchant **merchants);

/*
 * Which transactions are prepared in this database: a number that is another
 * one when they are others; 0 when there are none.
 */
extern uint32 pay_psp_queue_prepared(void);

/* What happened to an attempt; filled by the worker, applied by settle.c. */
typedef struct PayResult
{
	PayClaim   *claim;
	PayTransport transport;
	int			http_status;
	PayTossBody body;
	PayTossAnswer answer;
	PayDecision decision;
	const char *trace_id;		/* or NULL */
	int			body_size;
	uint8		body_sha256[32];	/* when body_size > 0 */
	int64		connect_us;
	int64		first_byte_us;
	int64		total_us;
	TimestampTz received_at;
	Datum		response;		/* jsonb, kept by the turn; 0: no Payment */
	ItemPointerData place;		/* of the queue's row, if it counts */
	bool		is_late;		/* recorded as evidence only */
	bool		is_quarantined;
	int64		renewed_as;		/* the call that took its place, or 0 */

	/* worker_put_off.c */
	int64		again_at;		/* pay_clock_ms */
	int64		delay;			/* ms; 0: never put off */
} PayResult;

/*
 * For settle.c.  Record the answers (always), and of those results whose
 * attempt still belongs to epoch lock the queue rows: owned[i] tells.  Then
 * move the queue rows as the decisions say: closed calls leave it, those that
 * wait for a deposit go to a table of their own, renewed ones get a new call.
 */
extern void pay_psp_call_fence(PayResult *results, int n, int64 epoch,
							   bool *owned);
extern void pay_psp_call_record(PayResult *results, int n, const bool *owned);
extern void pay_psp_call_move(PayResult *results, int n, const bool *owned,
							  TimestampTz now);
extern void pay_psp_call_close(const PayResult *results, int n,
							   const bool *owned);
extern void pay_psp_deposit_await(PayResult *results, int n,
								  const bool *owned, TimestampTz now);

/*
 * Put a call whose result could not be applied aside: 'D', with the error's
 * SQLSTATE as code of its answer.  The worker calls it in a transaction of its
 * own after bisection left this one result.
 */
extern void pay_psp_call_quarantine(PayResult *result, int64 epoch,
									int sqlstate, TimestampTz now);

#endif							/* PAY_PSP_CALL_H */
