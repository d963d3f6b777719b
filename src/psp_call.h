/*
 * psp_call.h
 *		Calls to the PSP: the immutable payload, the queue, the attempts.
 *
 * psp_call.c, psp_answer.c and psp_answer_row.c alone write the call tables.
 * The functions of the worker (claim, next_due, begin_epoch, quarantine) connect
 * by themselves and run inside a transaction of the caller; the others need
 * pay_db_connect.
 */
#ifndef PAY_PSP_CALL_H
#define PAY_PSP_CALL_H

#include "postgres.h"

#include "resolution.h"
#include "toss.h"
#include "utils/timestamp.h"

/* Queue a confirm call with a new idempotency key; due now. */
typedef struct PayCallRequest
{
	const char *order_id;
	int64		payment_event_id;
	const char *merchant;
	const char *payment_key;
	const char *currency;
	int			minor_units;
	int64		amount;			/* mills */
} PayCallRequest;

extern int64 pay_psp_call_enqueue(const PayCallRequest *request,
								  TimestampTz now);

/* For psp_answer.c, which renews keys and keeps digests. */
extern char *pay_psp_call_key(const char *order_id, const char *payment_key,
							  int renewal);
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
	char	   *order_id;
	char	   *merchant;
	char	   *idempotency_key;
	char	   *request_body;	/* the bytes of the confirm */
	char	   *payment_key;
	char	   *currency;
	char	   *sent_as;		/* fingerprint of the first confirm, or NULL */
	PayTossRequest request;		/* points at the strings above */
	bool		is_first_send;	/* no confirm of this event went out before */
	TimestampTz due_at;
	PayCallState state;
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

typedef void (*PayKeysOf) (const char *merchant, PayMerchantKeys *keys);

/*
 * Merchants whose confirms are withheld: what nothing was sent of is left where
 * it is.  What was sent before is asked about, however it would go on.
 */
typedef struct PayWithheld
{
	char	  **merchants;
	int			n;
} PayWithheld;

/*
 * Claim up to limit pending calls that are due, oldest first, for this epoch:
 * queue rows go to 'S', attempts are written.  Nothing may be sent before the
 * caller has committed.  Rows that another session has locked are passed over,
 * and so are withheld ones; keys_of may withhold more of them, and adds those
 * to the list by itself.
 * What would be a confirm is claimed as a query when the payment's window has
 * closed since the first one, when that was sent under a fingerprint that is
 * not there any more, or when its merchant may not charge.
 * Claims are made below parent; the array lives in the current context.
 */
extern int	pay_psp_call_claim(int limit, int64 epoch, TimestampTz now,
							   PayKeysOf keys_of,
							   const PayWithheld *withheld,
							   MemoryContext parent, PayClaim ***claims);

/* Earliest due_at among pending calls that are not withheld; false: none. */
extern bool pay_psp_call_next_due(const PayWithheld *withheld,
								  TimestampTz *due_at);

/*
 * Begin a run: draw the next epoch, and make calls in flight under older
 * epochs pending again as queries (their outcome is unknown, they are asked
 * for before anything is sent).  settle_us delays those queries.  Returns the
 * epoch and how many calls were orphans.
 */
extern int64 pay_psp_call_begin_epoch(TimestampTz now, int64 settle_us,
									  int *orphans);

/*
 * Calls that an earlier run sent and that are to be asked about by this time,
 * in the order of their ids.  Returns how many; the array is in the current
 * context.
 */
extern int	pay_psp_call_in_doubt(int64 epoch, TimestampTz upto,
								  int64 **calls);

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
	bool		is_late;		/* recorded as evidence only */
	bool		is_quarantined;
} PayResult;

/*
 * For settle.c.  Record the answers (always), and of those results whose
 * attempt still belongs to epoch lock the queue rows: owned[i] tells.  Then
 * move the queue rows as the decisions say: closed calls leave it, renewed
 * ones get a new call.
 */
extern void pay_psp_call_fence(PayResult *results, int n, int64 epoch,
							   bool *owned);
extern void pay_psp_call_record(PayResult *results, int n, const bool *owned);
extern void pay_psp_call_move(PayResult *results, int n, const bool *owned,
							  TimestampTz now);

/*
 * Put a call whose result could not be applied aside: 'D', with the error's
 * SQLSTATE as code of its answer.  The worker calls it in a transaction of its
 * own after bisection left this one result.
 */
extern void pay_psp_call_quarantine(PayResult *result, int64 epoch,
									int sqlstate, TimestampTz now);

#endif							/* PAY_PSP_CALL_H */
