/*
 * worker.h
 *		A worker of one database, and what its files share.
 *
 *		worker.c		the process: start, loop, reload, drain
 *		worker_start.c	connecting, settings, the extension, the epoch
 *		worker_turn.c	one turn: a short transaction of results and claims
 *		worker_queue.c	which calls to claim
 *		worker_queue_read.c	what of the table is read for that
 *		worker_flow.c	how much may be sent for a merchant
 *		worker_merchant.c	whose calls those are, and their keys
 *		worker_save.c	turns that fail
 *		worker_put_off.c	because an order is locked
 *		worker_sift.c	because of a call that cannot be claimed
 *		worker_guard.c	whether the schema allows to send at all
 *		worker_arming.c	for which merchants charges may be sent
 *		worker_send.c	claims to requests, answers to results
 *		worker_upkeep.c	snapshots, holds and seals of the ledger
 *		worker_reconcile.c	reading Toss's list of transactions
 *		worker_books.c	charges wait for that, after some starts
 *		worker_expire.c	calls that were never sent
 *		worker_lapse.c	orders that nobody confirmed
 *		worker_inbox.c	webhooks that came in
 *		worker_unclaimed.c	paid orders that nobody claims
 *		worker_status.c	what people see of it
 *		worker_count.c	what it counts
 *		worker_activity.c	what pg_stat_activity says of it
 *		worker_log.c	how often the log does
 *		worker_leave.c	its last words
 *
 * A claim is in exactly one place: in flight (worker_send.c), or in results,
 * answered or given up and not yet saved, or among the results that were put
 * off.  There are never more of them than PAY_MAX_IN_FLIGHT in all.
 */
#ifndef PAY_WORKER_H
#define PAY_WORKER_H

#include "postgres.h"

#include <signal.h>

#include "guc.h"
#include "psp_call.h"
#include "schedule.h"
#include "worker_slot.h"

#define PAY_NEVER	INT64_MAX	/* for times of pay_clock_ms */

/* Room for: payments worker for database "...", shard 7 of 8 */
#define PAY_WORKER_NAME	(NAMEDATALEN + 60)

/* How often to look while transactions are prepared, in milliseconds */
#define PAY_PREPARED_SWEEP	1000

typedef struct PayWorker
{
	int			slot_no;
	PayWorkerSlot *slot;
	PayShard	shard;			/* whose calls it looks after */
	char		name[PAY_WORKER_NAME];	/* for messages */
	Oid			extension;
	int64		epoch;
	MemoryContext context;		/* claims live below it */
	MemoryContext turn_context; /* emptied after each turn */

	PayResult  *results;		/* room for PAY_MAX_IN_FLIGHT */
	int			n_results;
	PayResult  *put_off;		/* whose rows somebody has locked */
	int			n_put_off;
	int			in_flight;

	/* When to do what (pay_clock_ms) */
	int64		held_until;		/* turns fail: do nothing before this */
	bool		holding;
	int64		put_off_until;	/* the first of them */

	char		withheld[PAY_REASON_SIZE];	/* why nothing is claimed, or "" */
	int64		look_again_at;	/* whether it is still so */
	bool		look;			/* somebody has asked for a turn */

	/* worker_arming.c */
	char		disarmed[PAY_REASON_SIZE];	/* why some send only queries, or
											 * "" */
	int64		arming_at;		/* when to look whether it is still so */
	char		asking[PAY_REASON_SIZE];	/* about doubts first, or "" */
	int64		asking_until;

	/* worker_books.c */
	char		comparing[PAY_REASON_SIZE]; /* before charges go out, or "" */

	/* worker_upkeep.c */
	int64		upkeep_at;		/* when to take the next step */
	int			upkeep_steps;	/* left in this round; 0: it is over */
	int64		upkeep_entries; /* that this round took in */
	bool		upkeep_failed;	/* and people were told */
	int64		seal_at;		/* when to seal what is new */
	bool		seal_untold;	/* there are seals that no log has heard of */

	char		gone[PAY_REASON_SIZE];	/* why to stop at once, or "" */
	char		problem[PAY_REASON_SIZE];	/* of sending, or "" */
	char		problem_merchant[NAMEDATALEN];	/* whose key it is about */
} PayWorker;

typedef enum PayTurnKind
{
	PAY_TURN_ORDINARY,
	PAY_TURN_QUARANTINE,		/* of the one result, because of failure */
	PAY_TURN_SIFT,				/* what cannot be claimed: worker_sift.c */
	PAY_TURN_FINAL,				/* the process ends after it */
	/* chores */
	PAY_TURN_UPKEEP,			/* nothing of the queue: worker_upkeep.c */
	PAY_TURN_RECONCILE,			/* nor here: worker_reconcile.c */
	PAY_TURN_EXPIRE,			/* what was never sent: worker_expire.c */
	PAY_TURN_LAPSE,				/* nor of this one: worker_lapse.c */
	PAY_TURN_INBOX,				/* nor of this one: worker_inbox.c */
	PAY_TURN_UNCLAIMED			/* nor here: worker_unclaimed.c */
} PayTurnKind;

/* Why a turn failed: without details, which may contain data. */
typedef struct PayTurnFailure
{
	int			sqlstate;
	char		message[PAY_REASON_SIZE];
} PayTurnFailure;

typedef struct PayTurn
{
	PayTurnKind kind;
	PayResult  *results;		/* to save */
	int			n;
	int			limit;			/* how many calls to claim */

	/* results */
	bool		done;
	bool		is_chore;
	PayTurnFailure failure;
	PayClaim  **claims;
	int			n_claims;
	int			n_saved;		/* these first results; the others are locked */
	int			settled;		/* orders that ended */
	int			entries;		/* that upkeep took in */
	bool		sealing;		/* upkeep has looked what to seal */
	int			sealed;			/* entries that it sealed */
	char		seal[160];		/* the newest one, for the log */
	int64		work_us;		/* how long it took, but for the commit */
	int64		commit_us;		/* and the commit */
} PayTurn;

extern PGDLLEXPORT void payments_worker_main(Datum main_arg);

/* worker_ready.c */
extern bool pay_worker_wait_until_ready(PayWorker *worker);

/* worker_start.c */
extern void pay_worker_connect(PayWorker *worker);
extern void pay_worker_pin_settings(const PayWorker *worker);
extern bool pay_worker_check_extension(PayWorker *worker);
extern void pay_worker_begin_epoch(PayWorker *worker);
extern int	pay_worker_adopt(PayWorker *worker, TimestampTz now,
							 int64 *settle_us);

/* worker_turn.c */
extern volatile sig_atomic_t pay_worker_may_cancel;
extern volatile sig_atomic_t pay_worker_is_committing;

extern void pay_worker_turn_init(void);
extern bool pay_worker_try_turn(PayWorker *worker, PayTurn *turn);

/* worker_queue.c */
extern void pay_worker_queue_start(PayWorker *worker);
extern void pay_worker_queue_listen(PayWorker *worker);
extern int64 pay_worker_queue_next_at(PayWorker *worker);
extern void pay_worker_queue_reload(PayWorker *worker);
extern void pay_worker_queue_sweep(PayWorker *worker);
extern void pay_worker_queue_forget(PayWorker *worker);
extern int	pay_worker_queue_picked(PayCallWanted **wanted);
extern int	pay_worker_queue_claim(PayWorker *worker, int limit,
								   TimestampTz now, PayClaim ***claims);
extern void pay_worker_queue_return(PayWorker *worker,
									const PayResult *result);
extern void pay_worker_queue_release(PayWorker *worker, int64 merchant_id);
extern int	pay_worker_queue_chargeable(PayWorker *worker,
										int64 **merchant_ids);

/* worker_queue_read.c */
extern void pay_worker_queue_read(PayWorker *worker, PaySchedule *schedule,
								  TimestampTz now);
extern int64 pay_worker_queue_clock(TimestampTz due_at, TimestampTz now);

/* worker_merchant.c */
extern void pay_worker_merchant_turn(void);
extern void pay_worker_merchant_unknown(void);
extern int	pay_worker_merchant_learn(PayWorker *worker, bool again,
									  const int64 **read_ids);
extern const PayMerchantKeys *pay_worker_merchant_keys(int64 merchant_id);
extern int	pay_worker_merchant_chargeable(int64 **merchant_ids);

/* worker_guard.c */
extern void pay_worker_guard_start(PayWorker *worker);
extern bool pay_worker_may_claim(PayWorker *worker);

/* worker_arming.c */
extern void pay_worker_arming_start(PayWorker *worker, TimestampTz asked_at);
extern void pay_worker_arming_turn(PayWorker *worker);
extern void pay_worker_arming_reload(PayWorker *worker);
extern void pay_worker_keys_of(const char *merchant, PayMerchantKeys *keys);
extern bool pay_worker_may_send(const char *merchant);
extern void pay_worker_was_asked(PayWorker *worker, int64 call_id);

/* worker_flow.c */
struct PayHttpResult;
extern void pay_worker_flow_start(PayWorker *worker);
extern bool pay_worker_flow_turn(PayWorker *worker);
extern int64 pay_worker_flow_admit(PayWorker *worker, int64 merchant_id,
								   int64 call_id, const char *fingerprint,
								   int64 now);
extern void pay_worker_flow_before_claim(PayWorker *worker);
extern void pay_worker_flow_claimed(PayWorker *worker,
									PayClaim *const *claims, int n);
extern void pay_worker_flow_rolled_back(PayWorker *worker);
extern bool pay_worker_flow_may_send(PayWorker *worker,
									 const PayClaim *claim);
extern void pay_worker_flow_result(PayWorker *worker, const PayResult *result,
								   const struct PayHttpResult *answer);

/* worker_save.c */
extern void pay_worker_turn(PayWorker *worker);
extern void pay_worker_final_turn(PayWorker *worker);
extern int	pay_worker_room(const PayWorker *worker);
extern bool pay_worker_is_of_a_row(int sqlstate);

/* worker_put_off.c */
extern void pay_worker_put_off(PayWorker *worker, const PayResult *result);
extern void pay_worker_put_off_end(PayWorker *worker);

/* worker_clock.c */
extern void pay_worker_clock(PayWorker *worker, PayTimes *times);
extern void pay_worker_clock_start(PayWorker *worker);

/* worker_sift.c */
extern bool pay_worker_sift(PayWorker *worker);
extern void pay_worker_sift_work(PayWorker *worker, TimestampTz now);

/* worker_send.c */
extern void pay_worker_send_open(PayWorker *worker);
extern bool pay_worker_send_reload(PayWorker *worker);
extern void pay_worker_send(PayWorker *worker, PayClaim *claim);
extern bool pay_worker_receive(PayWorker *worker);
extern void pay_worker_give_up(PayWorker *worker);
extern int	pay_worker_send_capacity(const PayWorker *worker);
extern long pay_worker_send_timeout_ms(void);
extern int	pay_worker_send_fds(int fds[2]);

/* worker_leave.c */
extern void pay_worker_tell_holder(PayWorker *worker);
extern void pay_worker_abandon(PayWorker *worker);

/* worker_count.c */
extern void pay_worker_count_result(PayWorker *worker,
									const PayResult *result);
extern void pay_worker_count_claim(PayWorker *worker, const PayClaim *claim,
								   TimestampTz now);
extern void pay_worker_count_hints(PayWorker *worker, int taken, int64 lost);
extern void pay_worker_count_turn(PayWorker *worker, int64 commit_us);

/* worker_activity.c */
extern uint32 pay_worker_show_wait(const PayWorker *worker);
extern void pay_worker_show_turn(const PayTurn *turn);

/* worker_log.c */
typedef enum PayLogClass
{
	PAY_LOG_QUARANTINE,
	PAY_LOG_SENDING,
	PAY_LOG_HOLDING,
	PAY_LOG_SCHEMA,
	PAY_LOG_UPKEEP,
	PAY_LOG_RECONCILE,
	PAY_LOG_SEAL,
	PAY_LOG_SETTINGS,
	PAY_LOG_BREAKER,
	PAY_LOG_LAPSE,
	PAY_LOG_INBOX,
	PAY_LOG_UNCLAIMED,
	PAY_LOG_CLOCK,
	PAY_LOG_CLASSES
} PayLogClass;

extern bool pay_worker_may_log(const PayWorker *worker, PayLogClass which,
							   const char *text);
extern void pay_worker_log_left_out(const PayWorker *worker, bool at_once);

/* worker_chores.c */
extern int64 pay_worker_chores_at(const PayWorker *worker);
extern void pay_worker_chores(PayWorker *worker);

/* worker_upkeep.c */
extern int64 pay_worker_upkeep_at(const PayWorker *worker);
extern void pay_worker_upkeep_reload(PayWorker *worker);
extern void pay_worker_upkeep(PayWorker *worker);
extern void pay_worker_upkeep_work(const PayWorker *worker, PayTurn *turn);

/* worker_reconcile.c */
extern void pay_worker_reconcile_start(PayWorker *worker,
									   TimestampTz asked_at);
extern void pay_worker_reconcile_look(PayWorker *worker);
extern int64 pay_worker_reconcile_at(const PayWorker *worker);
extern bool pay_worker_reconcile(PayWorker *worker);
extern void pay_worker_reconcile_work(PayWorker *worker);
extern bool pay_worker_reconcile_close(PayWorker *worker);
extern int	pay_worker_reconcile_fd(void);
extern long pay_worker_reconcile_timeout_ms(void);

/* worker_books.c */
extern void pay_worker_books_start(PayWorker *worker);
extern bool pay_worker_books_turn(PayWorker *worker);
extern void pay_worker_books_look(PayWorker *worker);
extern int64 pay_worker_books_look_at(void);
extern bool pay_worker_books_compared(const char *merchant);

/* worker_expire.c */
extern int64 pay_worker_expire_at(const PayWorker *worker);
extern void pay_worker_expire(PayWorker *worker);
extern int	pay_worker_expire_work(PayWorker *worker, TimestampTz now);

/* worker_lapse.c */
extern int64 pay_worker_lapse_at(const PayWorker *worker);
extern void pay_worker_lapse(PayWorker *worker);
extern int	pay_worker_lapse_work(PayWorker *worker, TimestampTz now);

/* worker_inbox.c */
extern void pay_worker_inbox_look(void);
extern int64 pay_worker_inbox_at(const PayWorker *worker);
extern void pay_worker_inbox(PayWorker *worker);
extern void pay_worker_inbox_work(PayWorker *worker, TimestampTz now);

/* worker_unclaimed.c */
extern void pay_worker_unclaimed_look(void);
extern int64 pay_worker_unclaimed_at(const PayWorker *worker);
extern void pay_worker_unclaimed(PayWorker *worker);
extern void pay_worker_unclaimed_work(PayWorker *worker, TimestampTz now);

#endif							/* PAY_WORKER_H */
