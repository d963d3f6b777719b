/*
 * psp_reconcile.h
 *		Reconciling: runs over Toss's list of transactions, and what they find.
 *
 * psp_reconcile.c and psp_finding.c alone write these tables.  The functions of
 * the worker connect by themselves and run inside a transaction of the caller;
 * those for people need pay_db_connect.
 */
#ifndef PAY_PSP_RECONCILE_H
#define PAY_PSP_RECONCILE_H

#include "postgres.h"

#include "toss_list.h"
#include "utils/timestamp.h"

#define PAY_RECONCILE_ROWS	500 /* of a page that is asked for */

/* A page that is to be asked for; the struct and its texts are in context. */
typedef struct PayReconcilePage
{
	MemoryContext context;
	int64		id;				/* of the reconciliation */
	int			attempt_no;
	char	   *merchant;
	TimestampTz since;			/* of all of it */
	TimestampTz until;
	TimestampTz slice_since;	/* of the day that is read */
	TimestampTz slice_until;
	char	   *last_key;		/* or NULL */
	int			slice_pages;
	int			failures;
	TimestampTz failing_since;	/* 0: it is not failing */
} PayReconcilePage;

/* What came of it. */
typedef struct PayReconcileAnswer
{
	const char *problem;		/* a code of Toss's or ours; NULL: rows */
	const PayTossList *list;	/* when there is no problem */
	int			http_status;
	int			retry_after_s;	/* or less than 1 */
	int			body_size;
	uint8		body_sha256[32];	/* when body_size > 0 */
	const char *trace_id;		/* or NULL */
	int64		total_us;
	TimestampTz received_at;
} PayReconcileAnswer;

/*
 * Begin a run for a merchant that exists, due at due_at.  Without until it goes
 * up to when it begins.  Returns its id.
 */
extern int64 pay_reconcile_request(const char *merchant, const char *actor,
								   TimestampTz since, TimestampTz until,
								   TimestampTz now);

/*
 * The worker's own: one at first_at and one more some time later, because the
 * list may lag, unless such runs wait already; or the scheduled one, unless
 * there was any for interval_s.
 */
extern void pay_reconcile_after_start(const char *merchant, TimestampTz now,
									  TimestampTz first_at);
extern void pay_reconcile_scheduled(const char *merchant, TimestampTz now,
									int interval_s);

/*
 * The merchants that have a run of the cause "start" that has not ended; due_at
 * is when it may begin, in the past once it has begun.  palloc'ed.
 */
typedef struct PayReconcileOpen
{
	char	   *merchant;
	TimestampTz due_at;
} PayReconcileOpen;

extern int	pay_reconcile_open_starts(PayReconcileOpen **open);

/*
 * Claim a page of the run that is due first of those of these merchants, for
 * this epoch; what earlier epochs asked for is asked for again.  NULL with
 * *next_due (DT_NOEND: none) when nothing is due.
 */
extern PayReconcilePage *pay_reconcile_claim(char **merchants, int n,
											 int64 epoch, TimestampTz now,
											 MemoryContext parent,
											 TimestampTz *next_due);

/*
 * Save what came of a page: findings, calls that are to be asked about, how far
 * the run has come.  An answer that comes when the run belongs to another epoch
 * is written down, and counts for nothing.
 */
extern void pay_reconcile_save(const PayReconcilePage *page,
							   const PayReconcileAnswer *answer, int64 epoch,
							   TimestampTz now);

/*
 * psp_finding.c: compare rows of a page with our books, and write what is
 * found; returns how many of them lie in the period.  And look at what is open
 * once more.
 */
extern int	pay_finding_compare(const PayReconcilePage *page,
								const PayTossRow *rows, int n,
								int *unreadable, TimestampTz now);
extern void pay_finding_look_again(const PayReconcilePage *page,
								   TimestampTz now);

/* For people: false when it is not open. */
extern bool pay_finding_close(int64 finding_id, const char *note,
							  TimestampTz now);
extern bool pay_finding_exists(int64 finding_id);

#endif							/* PAY_PSP_RECONCILE_H */
