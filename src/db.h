/*
 * db.h
 *		Running SQL from C.  db.c is the only file that calls SPI.
 *
 * A statement is static text with $n parameters, owned by the one file that
 * owns its table, prepared on first use and kept for the session.  Names and
 * operators in the text are schema-qualified where search_path could matter.
 */
#ifndef PAY_DB_H
#define PAY_DB_H

#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#define PAY_DB_MAX_ARGS 24

typedef struct PayStatement
{
	const char *text;
	int			nargs;
	Oid			argtypes[PAY_DB_MAX_ARGS];
	struct _SPI_plan *plan;		/* NULL until first use */
} PayStatement;

/*
 * Connect and finish.  Between them the current memory context is SPI's own
 * and goes away with pay_db_finish: results for the caller are copied into the
 * context that pay_db_connect returns, the one that was current before.  The
 * committing form is for procedures that end their transaction half-way.
 */
extern MemoryContext pay_db_connect(void);
extern MemoryContext pay_db_connect_committing(void);
extern void pay_db_commit(void);
extern void pay_db_finish(void);

/*
 * Run a statement; returns the number of rows processed or returned.  nulls is
 * NULL or one character per argument, 'n' for NULL.  pay_db_read sees the
 * caller's snapshot and may write nothing (for STABLE functions); pay_db_run
 * takes a new snapshot and sees what this transaction wrote.
 */
extern uint64 pay_db_run(PayStatement *statement, Datum *values,
						 const char *nulls);
extern uint64 pay_db_read(PayStatement *statement, Datum *values,
						  const char *nulls);

/*
 * Put the last result aside while other statements run, and make it the last
 * one again.  It lives until pay_db_finish.
 */
typedef struct SPITupleTable *PayDbResult;
extern PayDbResult pay_db_suspend(void);
extern void pay_db_resume(PayDbResult result);

/* Run text that cannot have parameters (GRANT, ALTER SEQUENCE). */
extern void pay_db_utility(const char *text);

/* Columns of the last result; column counts from 1, row from 0. */
extern bool pay_db_is_null(uint64 row, int column);
extern int64 pay_db_int64(uint64 row, int column);
extern int32 pay_db_int32(uint64 row, int column);
extern bool pay_db_bool(uint64 row, int column);
extern char pay_db_char(uint64 row, int column);
extern TimestampTz pay_db_time(uint64 row, int column);
extern char *pay_db_text(uint64 row, int column);	/* NULL when null */
extern int64 pay_db_mills(uint64 row, int column);	/* numeric to mills */
extern Datum pay_db_datum(uint64 row, int column, bool *is_null);

/* All columns of a row; arrays from 0. */
extern void pay_db_row(uint64 row, Datum *values, bool *nulls);

/* Arrays for unnest().  A NULL text and a time of 0 are NULL elements. */
extern Datum pay_db_int64_array(const int64 *values, int n);
extern Datum pay_db_int32_array(const int32 *values, int n);
extern Datum pay_db_bool_array(const bool *values, int n);
extern Datum pay_db_time_array(const TimestampTz *values, int n);
extern Datum pay_db_text_array(char *const *values, int n);
extern Datum pay_db_mills_array(const int64 *mills, int n); /* numeric[] */

/* Of values of any type, none of them null. */
extern Datum pay_db_array(Datum *values, int n, Oid type);

/* n ids from a sequence of schema payments, given by its bare name. */
extern int64 *pay_db_draw_ids(const char *sequence, int n);

#endif							/* PAY_DB_H */
