/*
 * arming.h
 *		Whether this database may charge: for this very cluster, and no copy.
 *
 * arming.c alone writes payments.arming.  All functions connect by themselves
 * and run inside a transaction of the caller, except pay_arming_judge, which
 * looks at no table.
 */
#ifndef PAY_ARMING_H
#define PAY_ARMING_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "token.h"

/* The newest row of payments.arming. */
typedef struct PayArming
{
	bool		exists;
	int64		id;
	bool		is_armed;		/* or somebody disarmed it */
	char	   *reason;
	char	   *actor;
	int64		system_identifier;
	int			timeline;
	int64		database_oid;
	char	   *database_name;
	char	   *place;
	char	   *token_digest;
	bool		was_restored;	/* a dump brought the row back */
} PayArming;

typedef enum PayArmingState
{
	PAY_ARMED,
	PAY_NEVER_ARMED,
	PAY_DISARMED,				/* by somebody */
	PAY_NO_TOKEN,				/* for as long as it is not there */
	PAY_PROMOTED,				/* what was armed was the old primary */
	PAY_ARMED_ELSEWHERE			/* what was armed was not this database */
} PayArmingState;

/* Read the newest row; its strings are in the current context. */
extern void pay_arming_read(PayArming *arming);

/*
 * Does that row mean this database, here and now?  why (PAY_ARMING_WHY bytes)
 * is set unless PAY_ARMED.  started_at is where the write-ahead log began in
 * this run of the server, or 0 when it is not known.
 */
#define PAY_ARMING_WHY	200
extern PayArmingState pay_arming_judge(const PayArming *arming,
									   XLogRecPtr started_at, char *why);

/*
 * Arm, with a new token unless the one that is there fits already; or disarm.
 * The event counts when the caller commits.
 */
extern void pay_arming_arm(const char *reason, const char *actor);
extern void pay_arming_disarm(const char *reason, const char *actor);

/*
 * The same, by the worker, who must not wait: false when somebody else is at
 * it, or the newest row is not the one that was judged any more.
 */
extern bool pay_arming_try(const PayArming *judged, bool arm,
						   const char *reason, const char *actor);

/* The table, to be told of its changes. */
extern Oid	pay_arming_table(void);

#endif							/* PAY_ARMING_H */
