/*
 * flow_resume.c
 *		Merchants whose pause or circuit breaker this transaction ends.
 *
 * Shared memory knows no rollback, so nothing is done before the commit: then
 * the row that says who did it is there for good.  Behind the commit nothing may
 * fail, so the memory is of fixed size; and COMMIT PREPARED would run no
 * callback, so PREPARE is refused.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "clock.h"
#include "flow.h"
#include "flow_resume.h"

#define MAX_MERCHANTS	64		/* in a transaction */

typedef struct Resumed
{
	int64		merchant_id;
	int			level;			/* of the subtransaction it is of */
} Resumed;

static Resumed resumed[MAX_MERCHANTS];
static int	n_resumed = 0;

static void at_transaction_end(XactEvent event, void *arg);
static void at_subtransaction_end(SubXactEvent event,
								  SubTransactionId mySubid,
								  SubTransactionId parentSubid, void *arg);

/*
 * Callbacks run in the reverse order of their registration: the worker is to be
 * woken when the merchant goes on, not before.
 */
void
pay_flow_resume_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

void
pay_flow_resume_at_commit(int64 merchant_id)
{
	if (n_resumed == MAX_MERCHANTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot resume more than %d merchants in a transaction",
						MAX_MERCHANTS)));
	resumed[n_resumed++] = (Resumed) {merchant_id, GetCurrentTransactionNestLevel()};
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (n_resumed == 0)
		return;
	if (event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has resumed a merchant")));
	if (event == XACT_EVENT_COMMIT)
	{
		int64		now = pay_clock_ms();

		for (int i = 0; i < n_resumed; i++)
			pay_flow_resume(MyDatabaseId, resumed[i].merchant_id, now);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		n_resumed = 0;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	for (int i = n_resumed - 1; i >= 0 && resumed[i].level >= level; i--)
	{
		if (event == SUBXACT_EVENT_ABORT_SUB)
			n_resumed = i;
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			resumed[i].level = level - 1;
	}
}
