/*
 * schema.h
 *		What the schema is, and whether it is what it must be.
 */
#ifndef PAY_SCHEMA_H
#define PAY_SCHEMA_H

#include "postgres.h"

/*
 * For the worker, which does not trust functions of the catalogue.  Both need an
 * active snapshot, and give text in the current memory context: how the schema
 * first differs from what was recorded, NULL when it does not; and the digest
 * of what it is.
 */
extern char *pay_schema_problem(void);
extern char *pay_schema_fingerprint(void);

#endif							/* PAY_SCHEMA_H */
