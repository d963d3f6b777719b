/*
 * worker_activity.c
 *		What pg_stat_activity says of the worker: what it does, and what it
 *		waits for.
 *
 * Texts have numbers in them, and no data.  While the worker waits, the text is
 * written when it waits for something else than before, and at most once a
 * second for the number: the loop is too short to do it each time.
 */
#include "postgres.h"

#include "pgstat.h"
#include "postmaster/interrupt.h"

#include "clock.h"
#include "worker.h"

#define SHOW_EVERY		1000	/* ms */

typedef enum Wait
{
	WAIT_IDLE,
	WAIT_ANSWERS,
	WAIT_HOLDING,
	WAIT_DRAINING,
	WAITS,
	WAIT_NONE = WAITS			/* it works */
} Wait;

static const struct
{
	const char *event;
	const char *text;			/* with the number of requests on the wire */
}			waits[] =

{
	[WAIT_IDLE] = {"PaymentsIdle", "payments: idle"},
	[WAIT_ANSWERS] = {"PaymentsAnswers", "payments: wait for answers: %d"},
	[WAIT_HOLDING] = {"PaymentsHold", "payments: hold, see worker_status; wait for answers: %d"},
	[WAIT_DRAINING] = {"PaymentsDrain", "payments: drain, then stop; wait for answers: %d"},
};

static Wait shown = WAIT_NONE;
static int	shown_number;
static int64 shown_at;
static uint32 wait_events[WAITS];

static Wait wait_of(const PayWorker *worker);

/* Say what is waited for now; returns the event to wait with. */
uint32
pay_worker_show_wait(const PayWorker *worker)
{
	Wait		wait = wait_of(worker);

	if (wait != shown || (worker->in_flight != shown_number &&
						  pay_clock_ms() - shown_at >= SHOW_EVERY))
	{
		char		text[100];

		snprintf(text, sizeof(text), waits[wait].text, worker->in_flight);
		pgstat_report_activity(STATE_IDLE, text);
		shown = wait;
		shown_number = worker->in_flight;
		shown_at = pay_clock_ms();
	}
	if (wait_events[wait] == 0)
		wait_events[wait] = pay_wait_event(waits[wait].event);
	return wait_events[wait];
}

static Wait
wait_of(const PayWorker *worker)
{
	if (ShutdownRequestPending)
		return WAIT_DRAINING;
	if (worker->holding || worker->withheld[0] != '\0')
		return WAIT_HOLDING;
	return worker->in_flight > 0 ? WAIT_ANSWERS : WAIT_IDLE;
}

/* Say what this turn does. */
void
pay_worker_show_turn(const PayTurn *turn)
{
	char		text[100];

	switch (turn->kind)
	{
		case PAY_TURN_UPKEEP:
			snprintf(text, sizeof(text), "payments: look after the ledger");
			break;
		case PAY_TURN_RECONCILE:
			snprintf(text, sizeof(text), "payments: reconcile with the PSP's list");
			break;
		case PAY_TURN_EXPIRE:
			snprintf(text, sizeof(text), "payments: end calls that were never sent");
			break;
		case PAY_TURN_LAPSE:
			snprintf(text, sizeof(text), "payments: end what nobody confirmed in time");
			break;
		case PAY_TURN_INBOX:
			snprintf(text, sizeof(text), "payments: look at webhooks");
			break;
		case PAY_TURN_UNCLAIMED:
			snprintf(text, sizeof(text), "payments: give back what nobody claimed");
			break;
		case PAY_TURN_QUARANTINE:
			snprintf(text, sizeof(text), "payments: put an answer into quarantine");
			break;
		case PAY_TURN_SIFT:
			snprintf(text, sizeof(text), "payments: find the call that cannot be claimed");
			break;
		case PAY_TURN_FINAL:
			snprintf(text, sizeof(text), "payments: save the last results: %d",
					 turn->n);
			break;
		default:
			snprintf(text, sizeof(text),
					 "payments: save results: %d, claim calls: %d at most",
					 turn->n, turn->limit);
	}
	pgstat_report_activity(STATE_RUNNING, text);
	shown = WAIT_NONE;
}
