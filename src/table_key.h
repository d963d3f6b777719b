/*
 * table_key.h
 *		Who comes first with a key: taking it for a row that is written directly.
 */
#ifndef PAY_TABLE_KEY_H
#define PAY_TABLE_KEY_H

#include "table.h"

/*
 * Enter row i, which was written, into the unique index over one column of text,
 * whose value is key.  False when the key is somebody else's: no row is left
 * then.  Waits for whoever may yet have it.  Raises 40001 when it was taken after
 * this transaction's snapshot, at REPEATABLE READ and above; what, static text,
 * tells what has happened: "A ... was ...".
 */
extern bool pay_table_take_key(PayTable *table, int i, Relation index,
							   const char *key, const char *what);

#endif							/* PAY_TABLE_KEY_H */
