/*
 * worker_books.c
 *		Charges wait until the books were compared with Toss's list.
 *
 * Behind a start that may have cost the books something there is a run of
 * reconciling with the cause "start" (worker_reconcile.c).  While it is open its
 * merchant is not charged: what Toss has and we have not is a finding by then,
 * and what is open here and done there is asked about.  Every worker of the
 * database reads the table for that, whoever of them reconciles, once a second
 * while somebody waits; so it holds over any crash of theirs.
 *
 * Nobody waits for ever: payments.reconcile_wait counts from when the run may
 * begin and the merchant has a key, and if the list cannot be read by then,
 * charges go on, and the log says so.  test/t/059_reconciles_first.pl
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "clock.h"
#include "psp_reconcile.h"
#include "secret.h"
#include "worker.h"

#define LOOK_AGAIN		1000	/* ms, while somebody waits */

typedef struct Waiting
{
	char		merchant[NAMEDATALEN];
	int64		from;			/* since when (pay_clock_ms), or PAY_NEVER */
	bool		over;			/* it took too long, and people were told */
} Waiting;

static Waiting *waiting = NULL;
static int	n_waiting = 0;
static int64 look_at = 0;

static void read_table(PayWorker *worker, int64 now);
static Waiting *find(Waiting *all, int n, const char *merchant);
static bool has_key(const char *merchant);
static void show(PayWorker *worker);

/* Before the first turn, in a transaction: is there anything to wait for? */
void
pay_worker_books_start(PayWorker *worker)
{
	read_table(worker, pay_clock_ms());
}

/*
 * A turn that claims begins, in a transaction.  Returns true when somebody may
 * charge who might not before.
 */
bool
pay_worker_books_turn(PayWorker *worker)
{
	int64		now = pay_clock_ms();
	int			before = n_waiting;
	bool		some = false;

	if (n_waiting == 0 || now < look_at)
		return false;
	read_table(worker, now);
	some = n_waiting < before;
	for (int i = 0; i < n_waiting; i++)
	{
		Waiting    *one = &waiting[i];

		if (one->over || one->from == PAY_NEVER ||
			now - one->from < pay_guc_reconcile_wait * INT64CONST(1000) ||
			pay_guc_reconcile_wait == 0)
			continue;
		one->over = some = true;
		ereport(WARNING,
				(errmsg("%s charges for merchant \"%s\" again, before its books were compared with the PSP's list",
						worker->name, one->merchant),
				 errhint("See payments.reconciliation."),
				 errhidestmt(true)));
	}
	show(worker);
	return some;
}

/* A run has come to its end: look in the next turn. */
void
pay_worker_books_look(PayWorker *worker)
{
	if (n_waiting == 0)
		return;
	look_at = 0;
	worker->arming_at = 0;
}

/* When to look (pay_clock_ms) */
int64
pay_worker_books_look_at(void)
{
	return n_waiting == 0 ? PAY_NEVER : look_at;
}

bool
pay_worker_books_compared(const char *merchant)
{
	Waiting    *one = n_waiting == 0 || pay_guc_reconcile_wait == 0 ? NULL :
	find(waiting, n_waiting, merchant);

	return one == NULL || one->over;
}

static void
read_table(PayWorker *worker, int64 now)
{
	PayReconcileOpen *open;
	TimestampTz wall = GetCurrentTimestamp();
	int			n = pay_reconcile_open_starts(&open);
	Waiting    *all = MemoryContextAllocZero(worker->context,
											 sizeof(Waiting) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		Waiting    *before = find(waiting, n_waiting, open[i].merchant);

		strlcpy(all[i].merchant, open[i].merchant, NAMEDATALEN);
		all[i].from = PAY_NEVER;
		if (before != NULL)
			all[i] = *before;
		if (all[i].from == PAY_NEVER && has_key(all[i].merchant))
			all[i].from = now + Max(open[i].due_at - wall, 0) / 1000;
	}
	if (waiting != NULL)
		pfree(waiting);
	waiting = all;
	n_waiting = n;
	look_at = now + LOOK_AGAIN;
	show(worker);
}

static Waiting *
find(Waiting *all, int n, const char *merchant)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(all[i].merchant, merchant) == 0)
			return &all[i];
	}
	return NULL;
}

static bool
has_key(const char *merchant)
{
	PaySecretKeys keys;

	pay_secret_look(merchant, &keys);
	return keys.fingerprint != NULL;
}

static void
show(PayWorker *worker)
{
	worker->comparing[0] = '\0';
	for (int i = 0; i < n_waiting && worker->comparing[0] == '\0'; i++)
	{
		if (waiting[i].from != PAY_NEVER &&
			!pay_worker_books_compared(waiting[i].merchant))
			snprintf(worker->comparing, sizeof(worker->comparing),
					 "charges wait until the books were compared with the PSP's list: merchant \"%s\"",
					 waiting[i].merchant);
	}
}
