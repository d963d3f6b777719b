/*
 * flow.h
 *		Shared memory: how much may be sent for a merchant now.
 *
 * An entry per database and merchant, shared by all workers that serve it: its
 * token bucket, its circuit breaker, and how many requests are on the wire, by
 * worker, so that those of one that died are not counted for ever.  Nothing is
 * kept over a restart of the server.
 *
 * There is room for PAY_FLOW_ENTRIES merchants in the whole server.  An entry of
 * which nothing needs to be remembered makes room for another; while there is
 * none, a merchant without an entry waits for one.
 */
#ifndef PAY_FLOW_H
#define PAY_FLOW_H

#include "postgres.h"

#include "bucket.h"
#include "breaker.h"
#include "worker_slot.h"

#define PAY_FLOW_ENTRIES	1024

/* What somebody set; 0: no limit. */
typedef struct PayFlowLimits
{
	int			max_in_flight;
	int			calls_per_minute;
	int			burst;			/* 0: what comes in a second */
} PayFlowLimits;

typedef struct PayFlow
{
	Oid			dboid;			/* InvalidOid: free */
	int64		merchant_id;
	uint64		key;			/* of the address and the secret key */
	PayBucket	bucket;
	PayBreaker	breaker;
	int			probe_slot;		/* whose probe is under way */
	uint16		in_flight[PAY_WORKER_SLOTS];
	int			promised_to;	/* whose the last place on the wire is */
	int64		promised_until;
	int64		used_at;
	int64		starved_since;	/* calls wait for the bucket; 0: they do not */
	int64		starved_until;	/* and until then it is certain that they do */
	uint64		throttled;		/* answers that asked us to wait */
	uint64		opened;			/* times that the breaker did */
} PayFlow;

/* Who asks, and for whom */
typedef struct PayFlowOf
{
	int			slot_no;
	Oid			dboid;
	int64		merchant_id;
} PayFlowOf;

typedef enum PayFlowWord
{
	PAY_FLOW_GO,				/* counted as on the wire from now on */
	PAY_FLOW_PROBE,				/* the same, but a query only: the probe */
	PAY_FLOW_PROBE_AS_IS,		/* the probe, whatever it is */
	PAY_FLOW_WAIT
} PayFlowWord;

/* Ask for the memory; only while preloading. */
extern void pay_flow_init(void);

/*
 * A worker takes its slot, or leaves it: nothing of it is on the wire, and its
 * probe is lost.
 */
extern void pay_flow_clear(int slot_no);

/*
 * May a call be sent?  With WAIT, again_at is when to ask again.  A key that is
 * another one than before closes the breaker.
 */
extern PayFlowWord pay_flow_admit(const PayFlowOf *of,
								  const PayFlowLimits *limits, uint64 key,
								  int64 now, int64 *again_at);

/* It was not sent after all. */
extern void pay_flow_return(const PayFlowOf *of, bool is_probe, int64 now);

/*
 * It has ended.  pause is for how long the other side asks us to wait, in
 * milliseconds; 0: it does not; -1: it does not say how long.  Returns whether
 * the breaker opened or closed; copy is how the entry is then.
 */
extern bool pay_flow_report(const PayFlowOf *of, bool is_probe, bool is_query,
							PayBreakerResult result, int64 pause, int64 now,
							PayFlow *copy);

/*
 * A person says that the merchant goes on: its pause ends, and its breaker is
 * closed.  Nothing here can fail.  Workers see by pay_flow_resumed, a number that
 * grows, that somebody did.
 */
extern void pay_flow_resume(Oid dboid, int64 merchant_id, int64 now);
extern uint32 pay_flow_resumed(void);

/* The entry of a merchant, when something holds it back. */
extern bool pay_flow_is_held(Oid dboid, int64 merchant_id, int64 now,
							 PayFlow *copy);

/* Entry n, for people; false when it is free or of another database. */
extern bool pay_flow_read(int n, Oid dboid, PayFlow *copy);
extern int	pay_flow_in_flight(const PayFlow *flow);

#endif							/* PAY_FLOW_H */
