/*
 * deposit.h
 *		Virtual accounts: what a buyer is to pay into, and what came in.
 *
 * deposit.c, deposit_turn.c and deposit_look.c are the only writers of their tables.
 * All functions need pay_db_connect and the locks of the orders' events.
 */
#ifndef PAY_DEPOSIT_H
#define PAY_DEPOSIT_H

#include "postgres.h"

#include "ledger.h"
#include "order.h"
#include "psp_call.h"
#include "wallet.h"
#include "utils/timestamp.h"

/*
 * For settle.c: what these results say of accounts.  Those that are new are
 * written down, and told; one whose deposit made its order SUCCESS has that as
 * its first movement, one that is closed says so.  counts[i] tells whether
 * results[i] counts, outcomes[i] what it did to its order.
 */
extern void pay_deposit_settle(const PayResult *results,
							   const PayOrderOutcome *outcomes,
							   const bool *counts, int n, TimestampTz now);

/* A line of what was sold. */
typedef struct PayDepositLine
{
	int64		payment_order_id;
	int64		seller_id;
	int64		amount;			/* mills */
	int64		commission;
} PayDepositLine;

/* A movement of an account behind the one that paid for its order. */
typedef struct PayDepositTurn
{
	const PayOrder *order;
	const PayResult *result;
	int32		movement_no;
	bool		is_reversal;
	bool		is_late;		/* the order has failed */
	bool		has_refunds;
	TimestampTz last_deposit_at;	/* 0: none */
	int64		last_ledger_id; /* of the movement before; 0: none */
	TimestampTz at;				/* when it happened */
	char	   *ledger_key;
	int			n_lines;
	PayDepositLine *lines;
} PayDepositTurn;

/*
 * deposit_turn.c, for settle.c: what looks show of accounts whose orders are
 * final.  First what the books are to say, added to the arrays (one posting for
 * each, two changes for each line), then the rest.
 */
extern int	pay_deposit_turns(const PayResult *results, const PayOrder *orders,
							  const bool *counts, int n, TimestampTz now,
							  PayDepositTurn **turns);
extern int	pay_deposit_postings(const PayDepositTurn *turns, int n,
								 PayLedgerPosting *postings);
extern int	pay_deposit_wallet_changes(const PayDepositTurn *turns, int n,
									   PayWalletChange *changes);
extern void pay_deposit_apply(const PayDepositTurn *turns, int n,
							  TimestampTz now);
extern char *pay_deposit_payload(const PayOrder *order, int movement_no,
								 TimestampTz at);

/*
 * The worker: open looks at up to max accounts of a shard that it is time for,
 * and say when the next is to be looked at (DT_NOEND: none).  Connects.
 */
extern void pay_deposit_look(PayShard shard, int max, TimestampTz now);
extern TimestampTz pay_deposit_look_next(PayShard shard);

/* For deposit.c: when to look at the accounts of these orders. */
extern void pay_deposit_look_at(char *const *order_ids, int n,
								TimestampTz at);

/*
 * For deposit.c: look at once at those of which a refund came to nothing because
 * the bank has taken the deposit back.
 */
extern void pay_deposit_look_after_refunds(const PayResult *results,
										   const bool *counts, int n,
										   TimestampTz now);

/* How many movements an order's account has had; -1: it has none. */
extern int	pay_deposit_movements(const char *order_id);

/* A person said that the order was paid; nothing when it has no account. */
extern void pay_deposit_resolved(const PayOrder *order, TimestampTz at,
								 TimestampTz now);

#endif							/* PAY_DEPOSIT_H */
