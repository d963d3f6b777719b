/*
 * flow_resume.h
 *		Merchants whose pause or circuit breaker this transaction ends.
 */
#ifndef PAY_FLOW_RESUME_H
#define PAY_FLOW_RESUME_H

#include "postgres.h"

/* Register the transaction callbacks; once per process, behind pay_wake's. */
extern void pay_flow_resume_register(void);

/* At its commit; not when the savepoint inside which that was is rolled back. */
extern void pay_flow_resume_at_commit(int64 merchant_id);

#endif							/* PAY_FLOW_RESUME_H */
