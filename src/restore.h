/*
 * restore.h
 *		Is a dump being restored into this database?
 */
#ifndef PAY_RESTORE_H
#define PAY_RESTORE_H

/*
 * Is there no row yet that a worker would work for?  One may be restored any
 * time.  With a snapshot.
 */
extern bool pay_restore_is_to_come(void);

/*
 * Connects by itself (db.h), in a transaction with a snapshot.  When true, why
 * says what is missing.
 */
extern bool pay_restore_is_unfinished(char *why, Size size);

#endif							/* PAY_RESTORE_H */
