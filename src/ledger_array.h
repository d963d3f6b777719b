/*
 * ledger_array.h
 *		Arguments that are arrays.
 */
#ifndef PAY_LEDGER_ARRAY_H
#define PAY_LEDGER_ARRAY_H

#include "postgres.h"

#include "fmgr.h"

/* An argument that is an array.  When it was left out, values is NULL. */
typedef struct PayLedgerArray
{
	const char *name;
	int			n;
	Datum	   *values;
	bool	   *nulls;
	char	  **texts;			/* of text[]; NULL for null elements */
} PayLedgerArray;

/* What an element that is null means */
typedef enum PayArrayNulls
{
	PAY_ARRAY_REQUIRED,
	PAY_ARRAY_OPTIONAL
} PayArrayNulls;

/*
 * Take an array apart: of text, numeric, jsonb, integer or timestamptz.  Raises
 * 22023 for one with more than one dimension, and 22004 for a null element that
 * is required.
 */
extern void pay_ledger_array_read(FunctionCallInfo fcinfo, int argument,
								  const char *name, Oid type,
								  PayArrayNulls nulls,
								  PayLedgerArray *column);

/* As many elements as the other has, unless it was left out?  Raises 22023. */
extern void pay_ledger_array_check_length(const PayLedgerArray *column,
										  const PayLedgerArray *other);

/* Was element i given? */
extern bool pay_ledger_array_has(const PayLedgerArray *column, int i);

#endif							/* PAY_LEDGER_ARRAY_H */
