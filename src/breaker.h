/*
 * breaker.h
 *		A circuit breaker: when the other side does not work, leave it alone, and
 *		look now and then whether it works again.
 *
 * A pure state machine.  Closed, it lets everything through and watches how it
 * ends.  Open, it lets nothing through until it is time for a probe; then one
 * may go, and while it is on its way nothing else.  If the probe ends well the
 * breaker closes, otherwise the next one comes later.  What else was under way
 * when it opened decides nothing.
 *
 * A probe asks, so that nobody's money is risked on a side that does not work.
 * But queries alone may be out of order, and then all would wait for ever: when
 * some in a row were answered, with errors, the next probe goes as its call is,
 * and so does every other one from then on.  What closes it that way says that
 * calls work, and from then on queries that fail do not open it, until a call
 * fails.  Without an answer, or with a key that is refused, nothing but queries
 * goes: a call would fare no better, and might end a buyer's order.
 *
 * Times are milliseconds of a clock that nobody can set, and are passed in; so
 * is chance, which spreads the probes of many.  test/unit/breaker_test.c
 */
#ifndef PAY_BREAKER_H
#define PAY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define PAY_BREAKER_IN_A_ROW	5	/* failures that open it */
#define PAY_BREAKER_WINDOW		20	/* or more than half of so many results */
#define PAY_BREAKER_QUERIES		5	/* that fail before a call is tried */

typedef enum PayBreakerState
{
	PAY_BREAKER_CLOSED,
	PAY_BREAKER_OPEN,
	PAY_BREAKER_PROBING
} PayBreakerState;

typedef enum PayBreakerAdmission
{
	PAY_BREAKER_PASS,
	PAY_BREAKER_PROBE,			/* one query, that must say it is the probe */
	PAY_BREAKER_PROBE_AS_IS,	/* one call or query, whatever it is */
	PAY_BREAKER_DENY
} PayBreakerAdmission;

typedef enum PayBreakerResult
{
	PAY_BREAKER_WORKS,
	PAY_BREAKER_FAILS,			/* no answer */
	PAY_BREAKER_ERRS,			/* an answer, which is an error of its own */
	PAY_BREAKER_FAILS_AT_ONCE,	/* the key is refused: one is enough */
	PAY_BREAKER_SAYS_NOTHING
} PayBreakerResult;

typedef struct PayBreaker
{
	PayBreakerState state;
	int			in_a_row;		/* failures */
	uint32_t	window;			/* results, the last one lowest: 1 failed */
	int			n_window;
	int			probes;			/* that failed since it opened */
	int			erring;			/* queries among them, in a row up to now,
								 * that were answered with errors */
	bool		calls_work;		/* the last that was no query did */
	int64_t		since;			/* when it opened, or closed */
	int64_t		probe_at;		/* when the next may go; of one under way,
								 * when it is given up for lost */
} PayBreaker;

extern void pay_breaker_init(PayBreaker *breaker, int64_t now);

/* May something go?  A probe that may, is under way from now on. */
extern PayBreakerAdmission pay_breaker_admit(PayBreaker *breaker, int64_t now);

/* When it might let something through: now or earlier means now. */
extern int64_t pay_breaker_ready_at(const PayBreaker *breaker, int64_t now);

/* The probe did not go after all: another may. */
extern void pay_breaker_return(PayBreaker *breaker, int64_t now);

/* How something ended.  Returns whether that opened or closed the breaker. */
extern bool pay_breaker_report(PayBreaker *breaker, bool is_probe,
							   bool is_query, PayBreakerResult result,
							   uint32_t chance, int64_t now);

extern const char *pay_breaker_state_name(PayBreakerState state);

#endif							/* PAY_BREAKER_H */
