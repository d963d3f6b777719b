/*
 * refund_argument.h
 *		The arguments of payments.refund, as far as they need no order.
 */
#ifndef PAY_REFUND_ARGUMENT_H
#define PAY_REFUND_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

/* 22004 and 22023 for what is not valid; the key is NULL when there is none. */
extern char *pay_refund_reason(FunctionCallInfo fcinfo);
extern char *pay_refund_key(FunctionCallInfo fcinfo);

/* By which two requests with the same key are told apart. */
extern char *pay_refund_request_text(FunctionCallInfo fcinfo);

#endif							/* PAY_REFUND_ARGUMENT_H */
