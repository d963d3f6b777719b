/*
 * operator_argument.h
 *		Arguments of what people do about calls and refunds.
 */
#ifndef PAY_OPERATOR_ARGUMENT_H
#define PAY_OPERATOR_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

/* A note of up to 1000 characters, or NULL when it is none. */
extern char *pay_operator_note(FunctionCallInfo fcinfo, int n);

/* True for "succeeded", false for "failed". */
extern bool pay_operator_outcome(FunctionCallInfo fcinfo, int n);

/* 25001 in a transaction that may not see the newest answers. */
extern void pay_operator_sees_evidence(void);

#endif							/* PAY_OPERATOR_ARGUMENT_H */
