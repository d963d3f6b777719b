/*
 * args.h
 *		Arguments of SQL-callable functions.
 */
#ifndef PAY_ARGS_H
#define PAY_ARGS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

/* 22004 when argument n is NULL. */
extern void pay_args_require(FunctionCallInfo fcinfo, int n,
							 const char *name);

/*
 * A text from outside that is to be shown in a message: whole when it is as
 * short as any that can be right, else its beginning.  palloc'ed if need be.
 */
extern const char *pay_args_shown(const char *text);

/* Is it one line, of more than blanks? */
extern bool pay_args_is_line(const char *text);

/* An integer from 1 to most; 22004 when it is NULL, 22023 otherwise. */
extern int	pay_args_number(FunctionCallInfo fcinfo, int n,
							const char *name, int most);

/* A waiting time in milliseconds, 0 to one day; 22023 otherwise. */
extern long pay_args_milliseconds(const Interval *interval, const char *name);

/* A row of the function's own result type. */
extern Datum pay_args_record(FunctionCallInfo fcinfo, Datum *values,
							 bool *nulls);

#endif							/* PAY_ARGS_H */
