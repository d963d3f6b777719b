/*
 * worker_arming.c
 *		For which merchants this worker may send charges now.
 *
 * Three things withhold them.  A merchant with a live key is charged only while
 * the database is armed for this very cluster (arming.c).  And nobody is,
 * before the calls that an earlier run left in doubt have been asked about once:
 * what they came to is known before anything new is begun, or said not to be
 * when it takes too long; nor before the books were compared with Toss's list,
 * behind a start that may have cost them something (worker_books.c).
 *
 * The token is looked at in each turn that wants to claim a charge, and again
 * when that is committed and about to be sent: a fencing script takes the file
 * away, and from then on nothing leaves.  The table is read when the server
 * announces that it has changed.  A merchant is met when one of its calls is;
 * calls that are withheld then leave the worker's memory (worker_queue.c), and
 * are looked for again when somebody may charge who might not before.
 *
 * What was armed and is not this database is recorded once as disarmed, so that
 * nothing that happens later, a log that grows past the token's mark or a token
 * that comes back, arms it again: only people do.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "arming.h"
#include "clock.h"
#include "db.h"
#include "psp_epoch.h"
#include "secret.h"
#include "token.h"
#include "worker.h"

#define LOOK_AGAIN		1000	/* ms, while something is withheld */
#define ACTOR			"payments worker"

/* The newest row of the table */
static PayArming arming;
static MemoryContext arming_context;
static Oid	arming_table = InvalidOid;
static bool changed = true;

/* What is so in this turn; looked at when a merchant asks for it. */
static bool judged = false;
static bool seen_again = false;
static PayArmingState state = PAY_NEVER_ARMED;
static char why[PAY_ARMING_WHY];

static bool withheld = false;	/* were charges, of anybody, since then */

/* Calls that are to be asked about before anybody is charged, by id. */
static int64 *in_doubt = NULL;
static bool *asked = NULL;
static int	n_in_doubt = 0;
static int	n_asked = 0;

static PayWorker *the_worker;

static void read_table(PayWorker *worker);
static void judge(PayWorker *worker);
static void follow_promotion(PayWorker *worker);
static void look_at_merchants(PayWorker *worker);
static bool needs_arming(const PaySecretKeys *keys);
static void look_for_withheld(void);
static void stop_asking(PayWorker *worker);
static void say(PayWorker *worker, const char *reason);
static void table_changed(Datum arg, Oid relation);

/*
 * Before the first turn, in a transaction.  The calls that have to be asked
 * about are due at asked_at.
 */
void
pay_worker_arming_start(PayWorker *worker, TimestampTz asked_at)
{
	MemoryContext old;

	the_worker = worker;
	arming_context = AllocSetContextCreate(worker->context, "payments arming",
										   ALLOCSET_SMALL_SIZES);
	arming_table = pay_arming_table();
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);

	old = MemoryContextSwitchTo(worker->context);
	n_in_doubt = pay_psp_epoch_in_doubt(worker->shard, asked_at, &in_doubt);
	if (n_in_doubt > 0)
	{
		asked = palloc0(sizeof(bool) * n_in_doubt);
		worker->asking_until = pay_clock_ms() +
			(asked_at - GetCurrentTimestamp()) / 1000 +
			2 * (pay_guc_request_timeout + pay_guc_connect_timeout);
		snprintf(worker->asking, sizeof(worker->asking),
				 "charges wait until the PSP was asked about calls in doubt: %d",
				 n_in_doubt);
	}
	else
	{
		worker->asking_until = PAY_NEVER;
		pay_worker_slot_asked(worker->slot_no);
	}
	MemoryContextSwitchTo(old);
}

/*
 * A turn that claims begins, in a transaction: what is known is looked at anew.
 */
void
pay_worker_arming_turn(PayWorker *worker)
{
	int64		now = pay_clock_ms();

	if (changed)
		read_table(worker);
	judged = seen_again = false;
	if (worker->asking[0] != '\0' && now >= worker->asking_until)
		stop_asking(worker);
	if (pay_worker_books_turn(worker))
		look_for_withheld();
	if (now >= worker->arming_at)
	{
		worker->arming_at = now + pay_guc_sweep_interval * INT64_C(1000);
		look_at_merchants(worker);
		if (worker->disarmed[0] != '\0')
			worker->arming_at = Min(worker->arming_at, now + LOOK_AGAIN);
		worker->arming_at = Min(worker->arming_at, pay_worker_books_look_at());
	}
}

/* What a merchant's calls are sent with, and whether they may charge. */
void
pay_worker_keys_of(const char *merchant, PayMerchantKeys *keys)
{
	PaySecretKeys secret;

	pay_secret_look(merchant, &secret);
	keys->fingerprint = secret.fingerprint;
	keys->previous = secret.previous;
	keys->may_charge = the_worker->asking[0] == '\0' &&
		pay_worker_books_compared(merchant);
	if (keys->may_charge && needs_arming(&secret))
	{
		judge(the_worker);
		keys->may_charge = state == PAY_ARMED;
	}
	withheld |= !keys->may_charge;
}

/*
 * A confirm that was claimed is about to be sent: is that still right?  Behind
 * the commit, without a transaction.  Notes in the token how far the database
 * has come, once a turn.
 */
bool
pay_worker_may_send(const char *merchant)
{
	static bool may = false;
	PaySecretKeys keys;
	char	   *wrong;

	pay_secret_look(merchant, &keys);
	if (!needs_arming(&keys))
		return true;
	if (!seen_again)
	{
		seen_again = true;
		may = judged && state == PAY_ARMED;
		wrong = may ? pay_token_mark(arming.token_digest,
									 GetFlushRecPtr(NULL)) : NULL;
		if (wrong != NULL)
		{
			may = false;
			the_worker->arming_at = 0;
			pfree(wrong);
		}
	}
	return may;
}

/* A call was asked about, whatever came of it. */
void
pay_worker_was_asked(PayWorker *worker, int64 call_id)
{
	int			low = 0;
	int			high = n_in_doubt;

	if (worker->asking[0] == '\0')
		return;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (in_doubt[middle] < call_id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n_in_doubt || in_doubt[low] != call_id || asked[low])
		return;
	asked[low] = true;
	if (++n_asked == n_in_doubt)
		stop_asking(worker);
	else
		snprintf(worker->asking, sizeof(worker->asking),
				 "charges wait until the PSP was asked about calls in doubt: %d",
				 n_in_doubt - n_asked);
}

/* Settings, or secrets, were changed. */
void
pay_worker_arming_reload(PayWorker *worker)
{
	look_for_withheld();
	worker->arming_at = 0;
}

static void
read_table(PayWorker *worker)
{
	MemoryContext old = MemoryContextSwitchTo(arming_context);

	changed = false;			/* what changes from here on is read anew */
	MemoryContextReset(arming_context);
	memset(&arming, 0, sizeof(arming));
	PG_TRY();
	{
		pay_arming_read(&arming);
	}
	PG_CATCH();
	{
		changed = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	worker->arming_at = 0;
}

/* Is the database armed?  In a transaction. */
static void
judge(PayWorker *worker)
{
	PayArmingState before = state;

	if (judged)
		return;
	state = pay_arming_judge(&arming, pay_worker_shared->started_at, why);
	judged = true;
	if (state == PAY_PROMOTED && pay_guc_arm_on_promotion &&
		pay_worker_shared->was_following)
		follow_promotion(worker);
	else if ((state == PAY_ARMED_ELSEWHERE || state == PAY_PROMOTED) &&
			 pay_arming_try(&arming, false, why, ACTOR))
		changed = true;
	if (state == PAY_ARMED && before != PAY_ARMED)
		look_for_withheld();
}

/*
 * The primary that this standby followed was armed, and this one is allowed to
 * take its place.  It first asks about what was open.  Where it finds the old
 * primary's token, the two share a folder and nobody has fenced the other: then
 * it waits for that.
 */
static void
follow_promotion(PayWorker *worker)
{
	PayToken	token;
	char	   *wrong = pay_token_read(&token);

	if (wrong == NULL && strcmp(token.digest, arming.token_digest) == 0)
		strlcpy(why, "was promoted, and the old primary's token is still there",
				sizeof(why));
	else if (!pay_worker_slot_all_asked(worker->slot->database))
		strlcpy(why, "was promoted, and asks about what was open first",
				sizeof(why));
	else if (pay_arming_try(&arming, true, "was promoted", ACTOR))
	{
		ereport(LOG,
				(errmsg("%s arms it after a promotion", worker->name),
				 errhidestmt(true)));
		changed = true;
		worker->arming_at = 0;
	}
	if (wrong != NULL)
		pfree(wrong);
}

/*
 * Tell people whether somebody's charges wait for an arming, before one of them
 * turns up.
 */
static void
look_at_merchants(PayWorker *worker)
{
	static PayStatement read = {
		"SELECT name FROM payments.merchant ORDER BY name",
		0
	};
	char		reason[PAY_REASON_SIZE] = "";
	uint64		n;

	pay_db_connect();
	n = pay_db_run(&read, NULL, NULL);
	for (uint64 i = 0; i < n && reason[0] == '\0'; i++)
	{
		PaySecretKeys keys;

		pay_secret_look(pay_db_text(i, 1), &keys);
		if (!needs_arming(&keys))
			continue;
		judge(worker);
		if (state == PAY_ARMED)
			break;
		snprintf(reason, sizeof(reason),
				 "not armed, charges wait: %s", why);
	}
	pay_db_finish();
	if (reason[0] == '\0')
		look_for_withheld();
	say(worker, reason);
}

static bool
needs_arming(const PaySecretKeys *keys)
{
	return keys->has_live || (keys->has_test && pay_guc_test_keys_need_arming);
}

/* Somebody may charge who might not before: his calls are to be found. */
static void
look_for_withheld(void)
{
	if (withheld)
		pay_worker_queue_sweep(the_worker);
	withheld = false;
}

/* All that was in doubt was asked about, or it has taken too long. */
static void
stop_asking(PayWorker *worker)
{
	if (n_asked == n_in_doubt)
		ereport(LOG,
				(errmsg("%s has asked about all calls in doubt: %d",
						worker->name, n_in_doubt),
				 errhidestmt(true)));
	else
		ereport(WARNING,
				(errmsg("%s charges again, with calls in doubt that could not be asked about: %d of %d",
						worker->name, n_in_doubt - n_asked, n_in_doubt),
				 errhint("See payments.open_calls."),
				 errhidestmt(true)));
	worker->asking[0] = '\0';
	worker->asking_until = PAY_NEVER;
	pay_worker_slot_asked(worker->slot_no);
	look_for_withheld();
}

/* The log hears of it when it begins, when it changes and when it is over. */
static void
say(PayWorker *worker, const char *reason)
{
	if (strcmp(worker->disarmed, reason) == 0)
		return;
	strlcpy(worker->disarmed, reason, sizeof(worker->disarmed));
	if (reason[0] != '\0')
		ereport(LOG,
				(errmsg("%s sends only queries: %s", worker->name, reason),
				 errhint("If this is the server that is meant to charge, call payments.arm."),
				 errhidestmt(true)));
	else
		ereport(LOG,
				(errmsg("%s sends charges again", worker->name),
				 errhidestmt(true)));
}

/* Callback of the cache; no oid means "anything". */
static void
table_changed(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == arming_table)
		changed = true;
}
