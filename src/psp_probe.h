/*
 * psp_probe.h
 *		Calls to the PSP: one that is to ask, whatever it would have done.
 */
#ifndef PAY_PSP_PROBE_H
#define PAY_PSP_PROBE_H

#include "postgres.h"

/*
 * The next attempt of this call is a query, if it is pending and nobody has its
 * row locked.  Returns whether it would have been something else.  Connects by
 * itself, in a transaction of the caller.
 */
extern bool pay_psp_probe(int64 call_id);

#endif							/* PAY_PSP_PROBE_H */
