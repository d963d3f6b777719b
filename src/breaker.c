/*
 * breaker.c
 *		A circuit breaker: when the other side does not work, leave it alone, and
 *		look now and then whether it works again.
 */
#include "breaker.h"

#include <stddef.h>

#define FIRST_DELAY		1000	/* ms until the first probe */
#define LAST_DELAY		60000
#define JITTER			4		/* a probe comes up to a fourth later */
#define PROBE_LOST		180000	/* ms; longer than any request may take */

static const char *const state_names[] = {
	[PAY_BREAKER_CLOSED] = "closed",
	[PAY_BREAKER_OPEN] = "open",
	[PAY_BREAKER_PROBING] = "probing",
};

static void count_erring(PayBreaker *breaker, bool is_query,
						 PayBreakerResult result);
static bool must_open(const PayBreaker *breaker, PayBreakerResult result);
static void open_until_probe(PayBreaker *breaker, int probes, uint32_t chance,
							 int64_t now);

void
pay_breaker_init(PayBreaker *breaker, int64_t now)
{
	breaker->state = PAY_BREAKER_CLOSED;
	breaker->in_a_row = 0;
	breaker->window = 0;
	breaker->n_window = 0;
	breaker->probes = 0;
	breaker->erring = 0;
	breaker->calls_work = false;
	breaker->since = now;
	breaker->probe_at = 0;
}

PayBreakerAdmission
pay_breaker_admit(PayBreaker *breaker, int64_t now)
{
	if (breaker->state == PAY_BREAKER_CLOSED)
		return PAY_BREAKER_PASS;
	if (now < breaker->probe_at)
		return PAY_BREAKER_DENY;
	breaker->state = PAY_BREAKER_PROBING;
	breaker->probe_at = now + PROBE_LOST;
	return breaker->erring >= PAY_BREAKER_QUERIES ?
		PAY_BREAKER_PROBE_AS_IS : PAY_BREAKER_PROBE;
}

int64_t
pay_breaker_ready_at(const PayBreaker *breaker, int64_t now)
{
	return breaker->state == PAY_BREAKER_CLOSED ? now : breaker->probe_at;
}

void
pay_breaker_return(PayBreaker *breaker, int64_t now)
{
	if (breaker->state != PAY_BREAKER_PROBING)
		return;
	breaker->state = PAY_BREAKER_OPEN;
	breaker->probe_at = now + FIRST_DELAY / JITTER;
}

bool
pay_breaker_report(PayBreaker *breaker, bool is_probe, bool is_query,
				   PayBreakerResult result, uint32_t chance, int64_t now)
{
	bool		failed = result == PAY_BREAKER_FAILS ||
	result == PAY_BREAKER_ERRS || result == PAY_BREAKER_FAILS_AT_ONCE;

	if (breaker->state != PAY_BREAKER_CLOSED)
	{
		if (!is_probe || breaker->state != PAY_BREAKER_PROBING)
			return false;
		if (result == PAY_BREAKER_WORKS)
		{
			pay_breaker_init(breaker, now);
			breaker->calls_work = !is_query;
			return true;
		}

		/*
		 * A call was to be tried, and the one whose turn it was had to be
		 * asked about first.  The next one's turn is soon, or many in doubt
		 * would keep those behind them from being tried for hours.
		 */
		if (is_query && result == PAY_BREAKER_ERRS &&
			breaker->erring >= PAY_BREAKER_QUERIES)
		{
			open_until_probe(breaker, 0, chance, now);
			return false;
		}
		if (failed)
			breaker->probes++;
		count_erring(breaker, is_query, result);
		open_until_probe(breaker, breaker->probes, chance, now);
		return false;
	}

	if (result == PAY_BREAKER_SAYS_NOTHING)
		return false;
	if (!is_query)
		breaker->calls_work = result == PAY_BREAKER_WORKS;
	else if (breaker->calls_work && failed &&
			 result != PAY_BREAKER_FAILS_AT_ONCE)
		return false;
	breaker->in_a_row = failed ? breaker->in_a_row + 1 : 0;
	breaker->window = (breaker->window << 1 | failed) &
		((UINT32_C(1) << PAY_BREAKER_WINDOW) - 1);
	if (breaker->n_window < PAY_BREAKER_WINDOW)
		breaker->n_window++;
	if (!must_open(breaker, result))
		return false;

	breaker->since = now;
	breaker->probes = 0;
	breaker->erring = 0;
	open_until_probe(breaker, breaker->probes, chance, now);
	return true;
}

/*
 * How many queries in a row were answered with errors.  A call that was tried
 * and did not work takes the turn of one of them.
 */
static void
count_erring(PayBreaker *breaker, bool is_query, PayBreakerResult result)
{
	if (result == PAY_BREAKER_SAYS_NOTHING)
		return;
	if (result != PAY_BREAKER_ERRS)
		breaker->erring = 0;
	else if (!is_query)
		breaker->erring = PAY_BREAKER_QUERIES - 1;
	else if (breaker->erring < PAY_BREAKER_QUERIES)
		breaker->erring++;
}

static bool
must_open(const PayBreaker *breaker, PayBreakerResult result)
{
	int			failed = 0;

	if (result == PAY_BREAKER_WORKS)
		return false;
	if (result == PAY_BREAKER_FAILS_AT_ONCE ||
		breaker->in_a_row >= PAY_BREAKER_IN_A_ROW)
		return true;
	for (uint32_t bits = breaker->window; bits != 0; bits >>= 1)
		failed += bits & 1;
	return breaker->n_window == PAY_BREAKER_WINDOW &&
		failed > PAY_BREAKER_WINDOW / 2;
}

/* 1, 2, 4 ... seconds, and something by chance */
static void
open_until_probe(PayBreaker *breaker, int probes, uint32_t chance,
				 int64_t now)
{
	int64_t		delay = FIRST_DELAY;

	for (int i = 0; i < probes && delay < LAST_DELAY; i++)
		delay *= 2;
	if (delay > LAST_DELAY)
		delay = LAST_DELAY;
	breaker->state = PAY_BREAKER_OPEN;
	breaker->probe_at = now + delay + chance % (delay / JITTER + 1);
}

const char *
pay_breaker_state_name(PayBreakerState state)
{
	if ((unsigned int) state >= sizeof(state_names) / sizeof(state_names[0]))
		return "unknown";
	return state_names[state];
}
