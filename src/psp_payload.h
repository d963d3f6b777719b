/*
 * psp_payload.h
 *		Calls to the PSP: what is to be sent, read for those who send it.
 */
#ifndef PAY_PSP_PAYLOAD_H
#define PAY_PSP_PAYLOAD_H

#include "postgres.h"

#include "psp_call.h"

/*
 * Fill what the calls of these claims say; their call_id, order_id and context
 * are set.  Needs pay_db_connect.
 */
extern void pay_psp_payload_read(PayClaim *const *claims, int n);

#endif							/* PAY_PSP_PAYLOAD_H */
