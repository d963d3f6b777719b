/*
 * operator_action.h
 *		What people did about calls, merchants and sellers; operator_action.c
 *		alone writes the table.
 *
 * All functions need pay_db_connect.
 */
#ifndef PAY_OPERATOR_ACTION_H
#define PAY_OPERATOR_ACTION_H

#include "postgres.h"

#include "utils/timestamp.h"

typedef struct PayOperatorAction
{
	const char *order_id;		/* NULL: about a merchant, or a seller */
	int64		call_id;		/* 0: of a refund that has none */
	int64		refund_id;		/* 0: not about one */
	const char *action;			/* the function's name */
	const char *outcome;		/* "succeeded", "failed"; NULL: a retry */
	const char *payment_key;	/* these three when succeeded */
	const char *currency;
	int64		amount;			/* mills */
	TimestampTz approved_at;	/* 0: was not given */
	const char *transaction_key;	/* and of a refund's */
	const char *note;			/* or NULL */
	const char *merchant;		/* what was so, and is now, of one of these */
	int64		seller_id;
	const char *was;			/* NULL: it is new */
	const char *became;
	const char *actor;			/* results, of find */
	TimestampTz acted_at;
} PayOperatorAction;

/* Append it, with the session's role as its actor. */
extern void pay_operator_action_record(const PayOperatorAction *action,
									   TimestampTz now);

/* How this order was resolved; false when it was not. */
extern bool pay_operator_action_find(const char *order_id,
									 PayOperatorAction *action);

extern bool pay_operator_action_find_refund(const char *order_id,
											int64 refund_id,
											PayOperatorAction *action);

#endif							/* PAY_OPERATOR_ACTION_H */
