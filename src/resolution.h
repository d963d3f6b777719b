/*
 * resolution.h
 *		What to do next with a call, given what its answer means.
 *
 * The algorithm of toss-api 9.1 as one pure function over a small state, so
 * that every path can be walked in a unit test.  A final state is chosen only
 * when the evidence leaves one possibility.
 */
#ifndef PAY_RESOLUTION_H
#define PAY_RESOLUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "toss.h"

/* Microseconds on any clock, as long as both times are from the same one. */
typedef int64_t PayTime;

/*
 * How far a call has come.  Only in the first phase may a confirm be sent; a
 * refused call may still expire, and any may come to wait for a deposit, which
 * may lapse.  It is kept with the call like the flags below: a caller that
 * forgets it never fails an expired payment, and may try a refused one again.
 */
typedef enum PayCallPhase
{
	PAY_PHASE_TRYING = 'T',
	PAY_PHASE_REFUSED = 'R',	/* refused, but an earlier attempt is in doubt */
	PAY_PHASE_EXPIRED = 'X',	/* found unprocessed after its window, once */
	PAY_PHASE_DEPOSIT = 'D',	/* Toss issued an account to pay into */
	PAY_PHASE_LAPSED = 'L',		/* whose due date has passed, seen once */

	/* of a cancel, which has no window, and so is asked about twice */
	PAY_PHASE_UNSEEN = 'U',		/* not among the payment's, once */
	PAY_PHASE_REFUSED_UNSEEN = 'F'	/* refused, and then not among them */
} PayCallPhase;

/*
 * What is known about a call before the answer that is being judged.  The
 * flags, the phase and the failures are copied from the decision before, also
 * into the call that renews another, which keeps first_sent_at as well.
 */
typedef struct PayCallState
{
	PayTossOperation operation; /* what was just answered */
	bool		is_refund;		/* the call is a cancel, not a confirm */
	bool		is_look;		/* nor that: it only asks */
	bool		outcome_unknown;	/* an earlier attempt may have executed */
	bool		key_answered;	/* the key got an error: it can only repeat it */
	bool		reached_psp;	/* some confirm of this event was sent, or a
								 * cancel with this key */
	bool		key_changed;	/* asked with another key than it was sent */
	bool		asks_for_others;	/* it was to be sent, and asked as a probe */
	PayCallPhase phase;
	int			failures;		/* fruitless attempts in a row, for back-off
								 * and nothing else */
	int			contradictions; /* answers in a row that cannot be */
	PayTime		first_sent_at;	/* of those, when the first was sent */
	PayTime		deposit_due_at; /* of the account in the answer; 0: none */
} PayCallState;

typedef enum PayAction
{
	PAY_ACTION_SUCCEED,			/* close the call, orders to SUCCESS */
	PAY_ACTION_FAIL,			/* close the call, orders to FAILURE */
	PAY_ACTION_RESEND,			/* same key, same bytes, after delay */
	PAY_ACTION_QUERY,			/* ask, after delay */
	PAY_ACTION_RENEW,			/* close the call; open one with a new key */
	PAY_ACTION_AWAIT_DEPOSIT,	/* as QUERY; the orders stay as they are */
	PAY_ACTION_ESCALATE,		/* stop: a person must decide */
	PAY_ACTION_REFUND,			/* close the call, the refund to SUCCESS */
	PAY_ACTION_REFUND_FAIL,		/* close the call, the refund to FAILURE */
	PAY_ACTION_LEARN,			/* close the call; what it shows is booked */
	PAY_ACTION_GIVE_UP			/* close the call; it shows nothing */
} PayAction;

typedef struct PayDecision
{
	PayAction	action;
	PayTime		delay;			/* microseconds until the next attempt */
	bool		orders_unknown; /* EXECUTING orders, or the refund, are
								 * UNKNOWN from now on */
	bool		outcome_unknown;	/* the state to keep with the call */
	bool		key_answered;
	PayCallPhase phase;
	int			failures;
	int			contradictions;
} PayDecision;

#define PAY_CONFIRM_WINDOW		(INT64_C(10) * 60 * 1000000)
#define PAY_CONFIRM_GRACE		(INT64_C(5) * 60 * 1000000)
#define PAY_KEY_LIFETIME		(INT64_C(14) * 24 * 3600 * 1000000)

extern void pay_resolve(const PayCallState *state, PayTossMeaning meaning,
						PayTime now, PayDecision *decision);

extern const char *pay_action_name(PayAction action);

/* Does the call end, for good? */
extern bool pay_action_closes(PayAction action);

/* resolution_refund.c, for resolution.c: the same for a cancel. */
extern void pay_resolve_refund(const PayCallState *state,
							   PayTossMeaning meaning, PayTime age,
							   PayDecision *decision);

/* resolution_look.c, for resolution.c: the same for a look. */
extern void pay_resolve_look(PayTossMeaning meaning, PayDecision *decision);

#endif							/* PAY_RESOLUTION_H */
