/*
 * worker_slot.h
 *		Shared memory: one slot per database that is served.
 *
 * The launcher gives a slot to a database; the worker fills it; backends read
 * it and knock at it.  Everything above the counters is guarded by the slot's
 * spinlock, under which nothing is called that could fail.  What is stored is
 * true of the server, never private to a process: a process is known by its
 * number, so a stale one costs a needless wake-up and nothing else.
 */
#ifndef PAY_WORKER_SLOT_H
#define PAY_WORKER_SLOT_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "hint.h"

#define PAY_WORKER_SLOTS	8
#define PAY_WAITER_BUCKETS	64
#define PAY_REASON_SIZE		256
#define PAY_REASON_ERROR	"ended with an error: see the server's log"

typedef enum PayWorkerState
{
	PAY_WORKER_WAITING,			/* no process; the launcher tries again */
	PAY_WORKER_STARTING,
	PAY_WORKER_RUNNING,
	PAY_WORKER_HOLDING,			/* runs, but claims nothing; see reason */
	PAY_WORKER_DISARMED,		/* runs, but some merchants only ask */
	PAY_WORKER_STOPPING
} PayWorkerState;

typedef enum PayWorkerCounter
{
	PAY_COUNT_TURNS,
	PAY_COUNT_CLAIMED,
	PAY_COUNT_ANSWERED,
	PAY_COUNT_UNANSWERED,
	PAY_COUNT_SETTLED,
	PAY_COUNT_QUARANTINED,
	PAY_COUNTERS
} PayWorkerCounter;

typedef struct PayWorkerSlot
{
	slock_t		mutex;
	char		database[NAMEDATALEN];	/* "" when the slot is free */
	Oid			dboid;			/* valid while a worker is connected */
	ProcNumber	procno;
	pid_t		pid;			/* 0 when there is no worker */
	bool		pending;		/* there are hints that were not taken */
	bool		look;			/* a turn is asked for */
	bool		prepared;		/* a prepared transaction may queue some */
	bool		began_epoch;	/* since the server was started */
	Oid			books_database; /* whose it was (worker_reconcile.c) */
	Oid			books_extension;
	PayWorkerState state;
	char		reason[PAY_REASON_SIZE];	/* "" when there is none */
	int64		epoch;
	int			in_flight;
	TimestampTz started_at;
	TimestampTz last_turn_at;

	pg_atomic_uint64 counters[PAY_COUNTERS];	/* since the server's start */
} PayWorkerSlot;

typedef struct PayWorkerShared
{
	slock_t		mutex;			/* guards what the launcher writes */
	ProcNumber	launcher_procno;
	bool		retry;			/* the launcher is asked to try again now */
	bool		was_standby;	/* the server started as a copy of another */
	bool		was_following;	/* and meant to follow it */
	XLogRecPtr	started_at;		/* where its log began, or 0: not known yet */
	PayWorkerSlot slots[PAY_WORKER_SLOTS];
	PayHintRing rings[PAY_WORKER_SLOTS];	/* guarded by the slots' locks */
	ConditionVariable waiters[PAY_WAITER_BUCKETS];	/* by order_id */
} PayWorkerShared;

/* NULL when the library was not preloaded. */
extern PayWorkerShared *pay_worker_shared;

/* Ask for the memory; only while preloading. */
extern void pay_worker_slot_init(void);

/* Slots by name and by number; -1 when there is none. */
extern int	pay_worker_slot_find(const char *database);
extern int	pay_worker_slot_assign(const char *database);
extern void pay_worker_slot_release(int n);
extern PayWorkerSlot *pay_worker_slot(int n);

/* A copy that does not change under the reader. */
extern void pay_worker_slot_read(int n, PayWorkerSlot *copy);

/*
 * The worker: take the slot (false: another process has it), say what is going
 * on, and leave it at exit.
 */
extern bool pay_worker_slot_attach(int n);
extern void pay_worker_slot_connected(int n, Oid dboid);
extern void pay_worker_slot_report(int n, PayWorkerState state,
								   const char *reason);
extern void pay_worker_slot_leave(int n, const char *reason);

/*
 * Knock at the worker of a database, or at the launcher if it has none: with
 * hints, perhaps asking for a turn, or because a transaction was prepared.
 */
extern void pay_worker_slot_knock(Oid dboid, const PayHint *hints, int n,
								  PayHintLoss loss, bool look);
extern void pay_worker_slot_knock_prepared(Oid dboid);
extern void pay_worker_slot_knock_launcher(void);

/* Let the launcher look at everything again, but hurry nothing. */
extern void pay_worker_slot_wake_launcher(void);

/* The worker: take hints; fewer than max are all. */
extern int	pay_worker_slot_take_hints(int n, PayHint *hints, int max,
									   PayHintLoss *loss);

extern const char *pay_worker_state_name(PayWorkerState state);

#endif							/* PAY_WORKER_SLOT_H */
