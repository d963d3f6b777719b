/*
 * ledger_post.c
 *		payments.post and payments.reverse.
 *
 * Arguments are checked here, strictly: what is accepted today has to be
 * accepted for ever.  Messages name the entry by its number, from 1.
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "ledger.h"
#include "ledger_account.h"

#define MAX_ENTRIES			10000
#define MAX_KEY_LENGTH		200
#define MAX_KIND_LENGTH		63
#define MAX_ORDER_ID_LENGTH	64

static const char *const reserved_keys[] = {
	"payment:", "refund:", PAY_LEDGER_REVERSAL ":"
};

static char *text_argument(FunctionCallInfo fcinfo, int n, const char *name,
						   int max_length);
static void check_names(const PayLedgerPosting *posting);
static TimestampTz effective_argument(FunctionCallInfo fcinfo, int n);
static void read_entries(Jsonb *json, PayLedgerPosting *posting);
static void read_entry(JsonbValue *value, int number, PayLedgerEntry *entry,
					   const PayLedgerEntry *previous, int *minor_units);
static JsonbValue *entry_field(JsonbContainer *object, int number,
							   const char *name);
static char *entry_text(const JsonbValue *value, int number,
						const char *name);
static void check_type(const JsonbValue *value, enum jbvType type,
					   int number, const char *name);
static int	errhint_entries(void);

PG_FUNCTION_INFO_V1(payments_post);
PG_FUNCTION_INFO_V1(payments_reverse);

/*
 * payments.post: see 70_functions.sql.  Errors: 22004, 22023 and 22003 for
 * arguments, and those of pay_ledger_post.
 */
Datum
payments_post(PG_FUNCTION_ARGS)
{
	PayLedgerPosting posting = {0};

	pay_args_require(fcinfo, 0, "transaction_key");
	pay_args_require(fcinfo, 1, "kind");
	pay_args_require(fcinfo, 2, "entries");

	pay_db_connect();
	posting.transaction_key = text_argument(fcinfo, 0, "transaction_key",
											MAX_KEY_LENGTH);
	posting.kind = text_argument(fcinfo, 1, "kind", MAX_KIND_LENGTH);
	posting.order_id = text_argument(fcinfo, 3, "order_id",
									 MAX_ORDER_ID_LENGTH);
	posting.effective_at = effective_argument(fcinfo, 4);
	if (!PG_ARGISNULL(5))
		posting.description = text_to_cstring(PG_GETARG_TEXT_PP(5));
	if (!PG_ARGISNULL(6))
	{
		Jsonb	   *metadata = PG_GETARG_JSONB_P(6);

		posting.metadata = JsonbToCString(NULL, &metadata->root, 0);
	}
	check_names(&posting);
	read_entries(PG_GETARG_JSONB_P(2), &posting);

	pay_ledger_post(&posting, 1, GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_INT64(posting.id);
}

/*
 * payments.reverse: see 70_functions.sql.  Errors: 22004 and 22023 for
 * arguments, PY014, PY015.
 */
Datum
payments_reverse(PG_FUNCTION_ARGS)
{
	char	   *reason;
	int64		id;

	pay_args_require(fcinfo, 0, "ledger_transaction_id");
	pay_args_require(fcinfo, 1, "reason");
	reason = text_argument(fcinfo, 1, "reason", INT_MAX);

	pay_db_connect();
	id = pay_ledger_reverse(PG_GETARG_INT64(0), reason,
							GetCurrentTimestamp());
	pay_db_finish();
	PG_RETURN_INT64(id);
}

/* A text argument, not empty and of limited length; NULL when it is null. */
static char *
text_argument(FunctionCallInfo fcinfo, int n, const char *name,
			  int max_length)
{
	char	   *value;
	int			length;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	length = pg_mbstrlen(value);
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is empty", name)));
	if (length > max_length)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", name),
				 errdetail("It has %d characters.", length),
				 errhint("It may have %d characters.", max_length)));
	return value;
}

/*
 * The form of a kind, as the table's constraint has it; and keys that belong
 * to us, since whoever took one would block the payment it is for.
 */
static void
check_names(const PayLedgerPosting *posting)
{
	if (posting->kind[0] < 'a' || posting->kind[0] > 'z' ||
		posting->kind[strspn(posting->kind,
							 "abcdefghijklmnopqrstuvwxyz0123456789_.")] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind \"%s\" is not valid", posting->kind),
				 errhint("A kind begins with a-z and has a-z, 0-9, \"_\" and \".\", for example \"fee\" or \"payout.weekly\".")));

	if (strncmp(posting->kind, "payment.", strlen("payment.")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind \"%s\" is reserved", posting->kind),
				 errdetail("Kinds that begin with \"payment.\" are posted together with the sellers' wallets."),
				 errhint("Begin kinds of your own with something else.")));

	for (int i = 0; i < lengthof(reserved_keys); i++)
	{
		if (strncmp(posting->transaction_key, reserved_keys[i],
					strlen(reserved_keys[i])) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("transaction_key \"%s\" is reserved",
							posting->transaction_key),
					 errdetail("Keys that begin with \"%s\" are given by payments itself.",
							   reserved_keys[i]),
					 errhint("Begin keys of your own with something else.")));
	}
}

/* When it happened: a point in time, or not given. */
static TimestampTz
effective_argument(FunctionCallInfo fcinfo, int n)
{
	TimestampTz effective_at;

	if (PG_ARGISNULL(n))
		return PAY_LEDGER_NOW;
	effective_at = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(effective_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("effective_at is infinite"),
				 errhint("Give the time when it happened, or leave it out for now.")));
	return effective_at;
}

/*
 * Entries
 */

/* Read the JSON array of entries.  Raises 22023 or 22004. */
static void
read_entries(Jsonb *json, PayLedgerPosting *posting)
{
	int			n = JB_ROOT_COUNT(json);
	int			minor_units = 0;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entries is not a JSON array"),
				 errhint_entries()));
	if (n < 2 || n > MAX_ENTRIES)
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
	if (strncmp(entry->account, "seller:", strlen("seller:")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %d: account \"%s\" is reserved", number,
						entry->account),
				 errdetail("A seller's account and wallet change together, by payments only."),
				 errhint("Use an account of your own, for example \"liability:deposits\".")));
	entry->currency = PAY_LEDGER_CURRENCY;
	currency = getKeyJsonValueFromContainer(object, "currency",
											strlen("currency"), NULL);
	if (currency != NULL)
	{
		entry->currency = entry_text(currency, number, "currency");
		seen++;
	}
	if (previous == NULL || strcmp(previous->currency, entry->currency) != 0)
		*minor_units = pay_currency_minor_units(entry->currency);

	amount = entry_field(object, number, "amount");
	check_type(amount, jbvNumeric, number, "amount");
	entry->amount =
		pay_amount_signed_from_caller(NumericGetDatum(amount->val.numeric),
									  *minor_units, entry->currency,
									  psprintf("entry %d: amount", number));

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
				   MAX_ENTRIES, PAY_LEDGER_CURRENCY);
}
