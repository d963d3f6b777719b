/*
 * worker_log.c
 *		How often the worker may say something in the server's log.
 *
 * The same text of a class comes once a minute, and so many different ones of
 * it in a minute; how many were left out is told when the minute is over.  What
 * is said has ids in it, and numbers, and no data.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "clock.h"
#include "worker.h"

#define MINUTE		60000		/* ms */
#define PER_MINUTE	10

typedef struct LogClass
{
	int64		began_at;		/* the minute that is being counted; 0: none */
	int			said;
	int			left_out;
	uint32		last;			/* a digest of what was said last */
	int64		last_at;
} LogClass;

static const char *const names[] = {
	[PAY_LOG_QUARANTINE] = "answers that could not be applied",
	[PAY_LOG_SENDING] = "requests to the PSP",
	[PAY_LOG_HOLDING] = "turns that fail",
	[PAY_LOG_SCHEMA] = "the schema",
	[PAY_LOG_UPKEEP] = "the ledger",
	[PAY_LOG_RECONCILE] = "the PSP's list",
	[PAY_LOG_BREAKER] = "merchants that nothing is sent for",
	[PAY_LOG_SEAL] = "seals of the ledger",
	[PAY_LOG_SETTINGS] = "settings",
	[PAY_LOG_LAPSE] = "orders that expire",
	[PAY_LOG_INBOX] = "webhooks",
	[PAY_LOG_UNCLAIMED] = "orders that nobody claims",
	[PAY_LOG_CLOCK] = "the clock",
};

static LogClass classes[PAY_LOG_CLASSES];

/* May this text, or one about the same, be said now? */
bool
pay_worker_may_log(const PayWorker *worker, PayLogClass which,
				   const char *text)
{
	LogClass   *class = &classes[which];
	uint32		digest = hash_bytes((const unsigned char *) text,
									strlen(text));
	int64		now = pay_clock_ms();

	if (class->last_at != 0 && class->last == digest &&
		now - class->last_at < MINUTE)
		return false;
	pay_worker_log_left_out(worker, false);
	if (class->began_at == 0)
	{
		class->began_at = now;
		class->said = 0;
	}
	if (class->said >= PER_MINUTE)
	{
		class->left_out++;
		return false;
	}
	class->said++;
	class->last = digest;
	class->last_at = now;
	return true;
}

/* Tell what was left out in minutes that are over; at the end, at once. */
void
pay_worker_log_left_out(const PayWorker *worker, bool at_once)
{
	int64		now = pay_clock_ms();

	for (int i = 0; i < PAY_LOG_CLASSES; i++)
	{
		LogClass   *class = &classes[i];

		if (class->began_at == 0 ||
			(!at_once && now - class->began_at < MINUTE))
			continue;
		if (class->left_out > 0)
			ereport(LOG,
					(errmsg("%s: %d more messages about %s were left out",
							worker->name, class->left_out, names[i]),
					 errhidestmt(true)));
		class->left_out = 0;
		class->began_at = 0;
	}
}
