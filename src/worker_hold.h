/*
 * worker_hold.h
 *		Shared memory: databases that no worker may be connected to for a while.
 *
 * DROP DATABASE, ALTER DATABASE RENAME and the like want a database without
 * sessions.  Who is about to run one takes a hold; the launcher stops the
 * workers of that database, all of them, tells the holder when the last one is
 * gone, and starts none while the hold lasts.  A hold ends with its transaction,
 * or its process, or after PAY_HOLD_LONGEST.
 */
#ifndef PAY_WORKER_HOLD_H
#define PAY_WORKER_HOLD_H

#include "postgres.h"

#include "storage/proc.h"

#include "compat.h"

#define PAY_HOLDS			16
#define PAY_HOLD_LONGEST	60000	/* ms */

/* What a worker that had to go says of the database. */
typedef enum PayHoldWord
{
	PAY_HOLD_UNTOLD,			/* there was no worker that could tell */
	PAY_HOLD_EMPTY,				/* nothing was ever written to the books */
	PAY_HOLD_SETTLED,			/* there are books, and no doubt */
	PAY_HOLD_OPEN				/* and payments whose outcome is unknown */
} PayHoldWord;

typedef struct PayHold
{
	pid_t		pid;			/* of the holder; 0: no hold */
	ProcNumber	procno;
	char		database[NAMEDATALEN];
	char		command[NAMEDATALEN];
	int64		until;			/* pay_clock_ms */
	bool		asks;			/* the holder wants a word */
	bool		ready;			/* no worker is left */
	PayHoldWord word;
} PayHold;

/* Ask for the memory; only while preloading. */
extern void pay_worker_hold_init(void);

/*
 * A backend: hold a database until this transaction ends, and wait until no
 * worker is connected to it.  An error when that takes too long.
 */
extern PayHoldWord pay_worker_hold(const char *database, const char *command,
								   bool asks);

/* The launcher: copies the i-th hold; false: there is none. */
extern bool pay_worker_hold_read(int i, PayHold *copy);
extern void pay_worker_hold_ready(int i, pid_t pid);
extern void pay_worker_hold_end(int i, pid_t pid);

/* Is this database held?  Copies one of its holds. */
extern bool pay_worker_hold_find(const char *database, PayHold *copy);

/* A worker that goes: does a holder want a word?  Here it is. */
extern bool pay_worker_hold_asks(const char *database);
extern void pay_worker_hold_tell(const char *database, PayHoldWord word);

#endif							/* PAY_WORKER_HOLD_H */
