/*
 * schema.h
 *		What the schema is, and whether it is what it must be.
 */
#ifndef PAY_SCHEMA_H
#define PAY_SCHEMA_H

#include "postgres.h"

/*
 * For the worker, which does not trust functions of the catalogue.  All need an
 * active snapshot, and give text in the current memory context: how the schema
 * first differs from what was recorded, NULL when it does not; the digest of what
 * it is; and, much cheaper, what is the same as long as no statement has changed
 * our relations or functions.
 */
extern char *pay_schema_problem(void);
extern char *pay_schema_fingerprint(void);
extern char *pay_schema_versions(void);

#endif							/* PAY_SCHEMA_H */
