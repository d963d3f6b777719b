/*
 * psp_attempt.h
 *		Attempts, as they are kept: what is about to be sent.
 */
#ifndef PAY_PSP_ATTEMPT_H
#define PAY_PSP_ATTEMPT_H

#include "postgres.h"

#include "psp_call.h"

/*
 * Write down that these claims, made now by a run, are to be sent.  In the
 * transaction that claims them: nothing is sent before it is committed.
 */
extern void pay_psp_attempt_write(PayClaim *const *claims, int n,
								  int64 epoch, TimestampTz now);

#endif							/* PAY_PSP_ATTEMPT_H */
