/*
 * worker_slot.h
 *		Shared memory: one slot per worker, which is a database and a shard.
 *
 * The launcher gives a slot to a database's shard; the worker fills it; backends
 * read it and knock at it (worker_knock.h).  Everything above the counters is
 * guarded by the slot's spinlock, under which nothing is called that could fail.
 * What is stored is true of the server, never private to a process: a process is
 * known by its number, so a stale one costs a needless wake-up and nothing else.
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
#include "jump.h"
#include "shard.h"

#define PAY_DATABASES		8
#define PAY_SHARDS			8	/* of a database */
#define PAY_WORKER_SLOTS	(PAY_DATABASES * PAY_SHARDS)
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
	PayShard	shard;			/* of how many changes between two workers */
	Oid			dboid;			/* valid while a worker is connected */
	ProcNumber	procno;
	pid_t		pid;			/* 0 when there is no worker */
	bool		pending;		/* there are hints that were not taken */
	bool		look;			/* a turn is asked for */
	bool		prepared;		/* a prepared transaction may queue some */
	bool		inherits;		/* who left may have left calls of this shard */
	bool		began_epoch;	/* since the server was started */
	Oid			began_database; /* where it was (worker_reconcile.c) */
	Oid			began_extension;
	bool		has_asked;		/* about all that was in doubt when it began */
	PayWorkerState state;
	char		reason[PAY_REASON_SIZE];	/* "" when there is none */
	int64		epoch;			/* 0: has not begun; the last one's stays */
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
	slock_t		jump_mutex;
	PayJump		jump;			/* of the server's clock (worker_clock.c) */
	PayWorkerSlot slots[PAY_WORKER_SLOTS];
	PayHintRing rings[PAY_WORKER_SLOTS];	/* guarded by the slots' locks */
	ConditionVariable waiters[PAY_WAITER_BUCKETS];	/* by order_id */
} PayWorkerShared;

/* NULL when the library was not preloaded. */
extern PayWorkerShared *pay_worker_shared;

/* Ask for the memory; only while preloading. */
extern void pay_worker_slot_init(void);

/*
 * The launcher: slots by name and number of the shard, -1 when there is none;
 * and into how many shards the next worker of one is to divide the calls.
 */
extern int	pay_worker_slot_find(const char *database, int shard);
extern int	pay_worker_slot_assign(const char *database, int shard);
extern void pay_worker_slot_divide(int n, int shards);
extern void pay_worker_slot_release(int n);
extern PayWorkerSlot *pay_worker_slot(int n);

/* A copy that does not change under the reader. */
extern void pay_worker_slot_read(int n, PayWorkerSlot *copy);

/*
 * The worker: take the slot (false: another process has it), with the shard that
 * it is for as long as the process lives; say what is going on, and leave it at
 * exit.
 */
extern bool pay_worker_slot_attach(int n, PayShard *shard);
extern void pay_worker_slot_connected(int n, Oid dboid);
extern void pay_worker_slot_began(int n, int64 epoch, Oid extension);
extern void pay_worker_slot_asked(int n);
extern void pay_worker_slot_report(int n, PayWorkerState state,
								   const char *reason);
extern void pay_worker_slot_leave(int n, const char *reason);

/*
 * Has a worker begun a run in this database and extension since the server was
 * started?  It may have ended since.
 */
extern bool pay_worker_slot_went_on(const char *database, Oid dboid,
									Oid extension);

/*
 * The epochs of a database's workers that live, at most PAY_SHARDS of them;
 * whether all workers that it is to have are there, and have asked about what
 * was in doubt.
 */
extern int	pay_worker_slot_epochs(Oid dboid, int64 *epochs);
extern bool pay_worker_slot_all_asked(const char *database);

extern const char *pay_worker_state_name(PayWorkerState state);

#endif							/* PAY_WORKER_SLOT_H */
