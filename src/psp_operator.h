/*
 * psp_operator.h
 *		Calls to the PSP: what a person may do to an open one.
 *
 * Like psp_call.c and psp_answer.c, this file writes the call tables.  All
 * functions need pay_db_connect, and the lock of the call's event.
 */
#ifndef PAY_PSP_OPERATOR_H
#define PAY_PSP_OPERATOR_H

#include "postgres.h"

#include "resolution.h"
#include "utils/timestamp.h"

typedef struct PayOpenCall
{
	int64		call_id;
	char		state;			/* P, S, D, as in psp_call_queue */
	PayCallPhase phase;
	TimestampTz first_sent_at;	/* 0: no confirm of the order was ever sent */
	bool		is_confirm;
	int64		refund_id;		/* 0: it is no cancel */
} PayOpenCall;

/*
 * Lock and read the open call of an order; false when there is none.  Waits
 * for a claim that is being committed, and none can come in between.  One that
 * waits for a deposit comes back into the queue.
 */
extern bool pay_psp_operator_lock(const char *order_id, PayOpenCall *call);

/*
 * Make it due now, if it is not in flight, and tell the worker.  What was sent
 * before is only asked about.
 */
extern void pay_psp_operator_push(const char *order_id, TimestampTz now);

/* Close it: a person has decided. */
extern void pay_psp_operator_close(const char *order_id,
								   const PayOpenCall *call);

/* Does what the PSP answered last about the money say that it has it? */
extern bool pay_psp_operator_is_approved(const char *order_id);

/* Has the PSP ever said that it, or a part of it, was taken back? */
extern bool pay_psp_operator_was_canceled(const char *order_id);

#endif							/* PAY_PSP_OPERATOR_H */
