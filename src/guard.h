/*
 * guard.h
 *		The guard of the schema: refuses, to everybody, what would get around the
 *		rules of the books; see guard.c.
 */
#ifndef PAY_GUARD_H
#define PAY_GUARD_H

#include "postgres.h"

#include "nodes/nodes.h"

/* Why the guard is off, as payments.maintenance has it; NULL while it is on. */
extern const char *pay_guard_maintenance(void);

/* Install the hooks; only while preloading. */
extern void pay_guard_install(void);

/*
 * guard.c, for guard_utility.c and guard_access.c
 *
 * The schema of the extension in this database, or InvalidOid.
 */
extern Oid	pay_guard_schema(void);

/* Is this a relation of our schema?  False for InvalidOid. */
extern bool pay_guard_owns_relation(Oid relation);

/* Are a script of the extension's own, or rearm(), at work? */
extern bool pay_guard_in_own_script(void);
extern bool pay_guard_suspended;

/*
 * A statement is about to change, or has just changed, something guarded:
 * refuse it (PY024), or in maintenance mode take a note of it.
 */
extern void pay_guard_statement(const char *object);
extern void pay_guard_object(Oid class_id, Oid object_id, int32 sub_id);
extern void pay_guard_database(const char *name);
extern void pay_guard_truncate(Oid relation);	/* PY010, as the triggers */

/* What the top-level command is called, for messages. */
extern const char *pay_guard_statement_name;

/*
 * guard_database.c: a command on a whole database is about to run.  Sends its
 * workers away, or refuses.
 */
extern void pay_guard_check_database(const Node *statement, bool is_top_level);

/* guard_access.c: was nothing ever written to the books of this database? */
extern bool pay_guard_books_are_empty(void);

/* guard_utility.c, guard_access.c: the hooks */
extern void pay_guard_utility_install(void);
extern void pay_guard_access_install(void);

/* guard_log.c: notes of maintenance mode; written when flushed */
extern void pay_guard_log_register(void);
extern void pay_guard_log_note(const char *statement, const char *object);
extern void pay_guard_log_flush(void);

#endif							/* PAY_GUARD_H */
