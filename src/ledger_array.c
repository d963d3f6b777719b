/*
 * ledger_array.c
 *		Arguments that are arrays.
 *
 * Owns nothing.  An array is taken apart once; its texts are copied once, all of
 * them together.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "ledger_array.h"

/* How elements of an array lie in it */
typedef struct ElementType
{
	Oid			oid;
	int16		length;
	bool		by_value;
	char		align;
} ElementType;

static const ElementType element_types[] = {
	{TEXTOID, -1, false, TYPALIGN_INT},
	{NUMERICOID, -1, false, TYPALIGN_INT},
	{JSONBOID, -1, false, TYPALIGN_INT},
	{INT4OID, sizeof(int32), true, TYPALIGN_INT},
	{TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
};

static void copy_texts(PayLedgerArray *column);

void
pay_ledger_array_read(FunctionCallInfo fcinfo, int argument, const char *name, Oid type,
					  PayArrayNulls nulls, PayLedgerArray *column)
{
	const ElementType *element = element_types;
	ArrayType  *array;

	column->name = name;
	column->n = 0;
	column->values = NULL;
	column->texts = NULL;
	if (PG_ARGISNULL(argument))
		return;

	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has more than one dimension", name),
				 errhint("Give a plain list of values.")));

	while (element->oid != type)
		element++;
	deconstruct_array(array, type, element->length, element->by_value,
					  element->align, &column->values, &column->nulls,
					  &column->n);
	for (int i = 0; nulls == PAY_ARRAY_REQUIRED && i < column->n; i++)
	{
		if (column->nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("element %d of %s is null", i + 1, name),
					 errhint("Give a value for each element.")));
	}
	if (type == TEXTOID)
		copy_texts(column);
}

/* The texts of an array as C strings, in one piece of memory. */
static void
copy_texts(PayLedgerArray *column)
{
	Size		size = 1;
	char	   *next;

	for (int i = 0; i < column->n; i++)
		if (!column->nulls[i])
			size += VARSIZE_ANY_EXHDR(DatumGetPointer(column->values[i])) + 1;
	next = palloc(size);

	column->texts = palloc0(sizeof(char *) * Max(column->n, 1));
	for (int i = 0; i < column->n; i++)
	{
		if (!column->nulls[i])
		{
			void	   *value = DatumGetPointer(column->values[i]);
			Size		length = VARSIZE_ANY_EXHDR(value);

			column->texts[i] = next;
			memcpy(next, VARDATA_ANY(value), length);
			next[length] = '\0';
			next += length + 1;
		}
	}
}

void
pay_ledger_array_check_length(const PayLedgerArray *column, const PayLedgerArray *other)
{
	if (column->values != NULL && column->n != other->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s and %s differ in length", other->name,
						column->name),
				 errdetail("%s has %d elements, %s has %d.", other->name,
						   other->n, column->name, column->n),
				 errhint("Give one element for each.")));
}

bool
pay_ledger_array_has(const PayLedgerArray *column, int i)
{
	return column->values != NULL && !column->nulls[i];
}
