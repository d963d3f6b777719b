/*
 * ledger_entries.c
 *		Entries of a ledger transaction as JSON.
 *
 * Owns nothing.  Strict: a field that is misspelt, of another type or null is
 * an error.  Messages name the entry by its number, from 1.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "ledger_account.h"
#include "ledger_argument.h"
#include "ledger_entries.h"

static void read_entry(JsonbValue *value, int number, PayLedgerEntry *entry,
					   const PayLedgerEntry *previous, int *minor_units);
static JsonbValue *entry_field(JsonbContainer *object, int number,
							   const char *name);
static char *entry_text(const JsonbValue *value, int number,
						const char *name);
static void check_type(const JsonbValue *value, enum jbvType type,
					   int number, const char *name);
static int	errhint_entries(void);

void
pay_ledger_entries_read(Jsonb *json, PayLedgerPosting *posting)
{
	int			n = JB_ROOT_COUNT(json);
	int			minor_units = 0;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entries is not a JSON array"),
				 errhint_entries()));
	if (n < 2 || n > PAY_LEDGER_MAX_ENTRIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entries has too %s entries", n < 2 ? "few" : "many"),
				 errdetail("It has %d.", n),
				 errhint_entries()));

	posting->n_entries = n;
	posting->entries = palloc(sizeof(PayLedgerEntry) * n);
	for (int i = 0; i < n; i++)
		read_entry(getIthJsonbValueFromContainer(&json->root, i), i + 1,
				   &posting->entries[i],
				   i > 0 ? &posting->entries[i - 1] : NULL, &minor_units);
}

/*
 * One entry.  minor_units are the previous entry's; the currency is looked up
 * only when it changes.
 */
static void
read_entry(JsonbValue *value, int number, PayLedgerEntry *entry,
		   const PayLedgerEntry *previous, int *minor_units)
{
	JsonbContainer *object;
	JsonbValue *currency;
	JsonbValue *amount;
	PayLedgerPlace place = {0, number};
	int			seen = 2;

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %d is not a JSON object", number),
				 errhint_entries()));
	object = value->val.binary.data;

	entry->account = entry_text(entry_field(object, number, "account"),
								number, "account");
	entry->currency = PAY_LEDGER_CURRENCY;
	currency = getKeyJsonValueFromContainer(object, "currency",
											strlen("currency"), NULL);
	if (currency != NULL)
	{
		entry->currency = entry_text(currency, number, "currency");
		seen++;
	}

	amount = entry_field(object, number, "amount");
	check_type(amount, jbvNumeric, number, "amount");
	pay_ledger_argument_entry(entry, previous,
							  NumericGetDatum(amount->val.numeric),
							  minor_units, place);

	/* a misspelt field must not be lost */
	if (JsonContainerSize(object) != seen)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %d has an unknown field", number),
				 errhint_entries()));
}

/* A field of an object, which must be there. */
static JsonbValue *
entry_field(JsonbContainer *object, int number, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, name,
													 strlen(name), NULL);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %d has no %s", number, name),
				 errhint_entries()));
	return value;
}

static char *
entry_text(const JsonbValue *value, int number, const char *name)
{
	check_type(value, jbvString, number, name);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
check_type(const JsonbValue *value, enum jbvType type, int number,
		   const char *name)
{
	if (value->type == jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("entry %d: %s is null", number, name),
				 errhint_entries()));
	if (value->type != type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %d: %s is not a JSON %s", number, name,
						type == jbvString ? "string" : "number"),
				 errhint_entries()));
}

/* For ereport: what entries are. */
static int
errhint_entries(void)
{
	return errhint("entries is a JSON array of 2 to %d objects with account (a text), amount (a number, debit positive and credit negative) and, unless it is %s, currency.",
				   PAY_LEDGER_MAX_ENTRIES, PAY_LEDGER_CURRENCY);
}
