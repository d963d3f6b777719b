/*
 * ledger_argument.c
 *		What callers may give a ledger transaction.
 *
 * Owns nothing.  JSON and arrays are checked alike, and strictly: what is
 * accepted today has to be accepted for ever.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "amount.h"
#include "args.h"
#include "currency.h"
#include "ledger_argument.h"

#define MAX_KEY_LENGTH		200
#define MAX_KIND_LENGTH		63
#define MAX_ORDER_ID_LENGTH	64
#define MAX_TEXT_LENGTH		1000	/* what errors and people repeat */

/* Whoever took a key of ours would block what it is for. */
static const char *const reserved_keys[] = {
	"payment:", "refund:", "hold:", PAY_LEDGER_REVERSAL ":"
};

static void check_length(const char *value, int max_length, const char *name,
						 PayLedgerPlace place);
static void check_line(const char *value, const char *name,
					   PayLedgerPlace place);
static void check_kind(const char *kind, PayLedgerPlace place);
static void check_key(const char *key, PayLedgerPlace place);
static int	find_currency(const char *currency, PayLedgerPlace place);
static bool begins_with(const char *text, const char *beginning);

const char *
pay_ledger_place_text(PayLedgerPlace place)
{
	if (place.transaction == 0 && place.entry == 0)
		return "";
	if (place.transaction == 0)
		return psprintf("entry %d: ", place.entry);
	if (place.entry == 0)
		return psprintf("transaction %d: ", place.transaction);
	return psprintf("transaction %d, entry %d: ", place.transaction,
					place.entry);
}

char *
pay_ledger_argument_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	PayLedgerPlace place = {0, 0};
	char	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	check_length(value, MAX_TEXT_LENGTH, name, place);
	return value;
}

char *
pay_ledger_argument_key(FunctionCallInfo fcinfo, int n, const char *name,
						int max_length)
{
	PayLedgerPlace place = {0, 0};
	char	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	check_length(value, max_length, name, place);
	check_line(value, name, place);
	return value;
}

void
pay_ledger_argument_header(FunctionCallInfo fcinfo, int n,
						   PayLedgerPosting *posting)
{
	PayLedgerPlace place = {0, 0};

	posting->transaction_key = text_to_cstring(PG_GETARG_TEXT_PP(0));
	posting->kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(n))
		posting->order_id = text_to_cstring(PG_GETARG_TEXT_PP(n));
	posting->effective_at = PG_ARGISNULL(n + 1) ? PAY_LEDGER_NOW :
		pay_ledger_argument_time(PG_GETARG_TIMESTAMPTZ(n + 1), place);
	if (!PG_ARGISNULL(n + 2))
		posting->description = text_to_cstring(PG_GETARG_TEXT_PP(n + 2));
	if (!PG_ARGISNULL(n + 3))
		posting->metadata = pay_ledger_argument_metadata(PG_GETARG_DATUM(n + 3));
	pay_ledger_argument_check(posting, place);
}

char *
pay_ledger_argument_metadata(Datum jsonb)
{
	Jsonb	   *metadata = DatumGetJsonbP(jsonb);

	return JsonbToCString(NULL, &metadata->root, 0);
}

TimestampTz
pay_ledger_argument_time(TimestampTz effective_at, PayLedgerPlace place)
{
	if (TIMESTAMP_NOT_FINITE(effective_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%seffective_at is infinite",
						pay_ledger_place_text(place)),
				 errhint("Give the time when it happened, or leave it out for now.")));
	return effective_at;
}

void
pay_ledger_argument_check(const PayLedgerPosting *posting,
						  PayLedgerPlace place)
{
	check_length(posting->transaction_key, MAX_KEY_LENGTH, "transaction_key",
				 place);
	check_length(posting->kind, MAX_KIND_LENGTH, "kind", place);
	if (posting->order_id != NULL)
		check_length(posting->order_id, MAX_ORDER_ID_LENGTH, "order_id",
					 place);
	check_line(posting->transaction_key, "transaction_key", place);
	if (posting->order_id != NULL)
		check_line(posting->order_id, "order_id", place);
	check_kind(posting->kind, place);
	check_key(posting->transaction_key, place);
}

/* Not empty, and no more characters than there may be. */
static void
check_length(const char *value, int max_length, const char *name,
			 PayLedgerPlace place)
{
	size_t		bytes = strlen(value);
	int			length;

	/* no more bytes, no more characters */
	if (bytes > 0 && bytes <= max_length)
		return;

	length = pg_mbstrlen(value);
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s%s is empty", pay_ledger_place_text(place),
						name),
				 errhint("Give a text of 1 to %d characters.", max_length)));
	if (length > max_length)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s%s is too long", pay_ledger_place_text(place),
						name),
				 errdetail("It has %d characters.", length),
				 errhint("It may have %d characters.", max_length)));
}

/* Messages, statements of account and files of the bank show it in a line. */
static void
check_line(const char *value, const char *name, PayLedgerPlace place)
{
	if (!pay_args_is_line(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s%s is blank, or has control characters",
						pay_ledger_place_text(place), name),
				 errhint("Give one line of visible text.")));
}

/* The form of a kind, as the table's constraint has it. */
static void
check_kind(const char *kind, PayLedgerPlace place)
{
	if (kind[0] < 'a' || kind[0] > 'z' ||
		kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_.")] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%skind \"%s\" is not valid",
						pay_ledger_place_text(place), kind),
				 errhint("A kind begins with a-z and has a-z, 0-9, \"_\" and \".\", for example \"fee\" or \"payout.weekly\".")));

	if (begins_with(kind, "payment."))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%skind \"%s\" is reserved",
						pay_ledger_place_text(place), kind),
				 errdetail("Kinds that begin with \"payment.\" are posted together with the sellers' wallets."),
				 errhint("Begin kinds of your own with something else.")));
}

static void
check_key(const char *key, PayLedgerPlace place)
{
	for (int i = 0; i < lengthof(reserved_keys); i++)
	{
		if (begins_with(key, reserved_keys[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%stransaction_key \"%s\" is reserved",
							pay_ledger_place_text(place), key),
					 errdetail("Keys that begin with \"%s\" are given by payments itself.",
							   reserved_keys[i]),
					 errhint("Begin keys of your own with something else.")));
	}
}

void
pay_ledger_argument_entry(PayLedgerEntry *entry,
						  const PayLedgerEntry *previous, Datum amount,
						  int *minor_units, PayLedgerPlace place)
{
	if (begins_with(entry->account, "seller:"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%saccount \"%s\" is reserved",
						pay_ledger_place_text(place), entry->account),
				 errdetail("A seller's account and wallet change together, by payments only."),
				 errhint("Use an account of your own, for example \"liability:deposits\".")));

	if (previous == NULL || strcmp(previous->currency, entry->currency) != 0)
		*minor_units = find_currency(entry->currency, place);
	if (!pay_amount_signed_read(amount, *minor_units, &entry->amount))
		entry->amount =
			pay_amount_signed_from_caller(amount, *minor_units,
										  entry->currency,
										  psprintf("%samount",
												   pay_ledger_place_text(place)));
}

/* A currency's minor units.  Raises 22023 when it is not one of ours. */
static int
find_currency(const char *currency, PayLedgerPlace place)
{
	int			minor_units = pay_currency_find(currency);

	if (minor_units < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%scurrency \"%s\" is unknown",
						pay_ledger_place_text(place), currency),
				 errhint("The table payments.currency lists the known ones.")));
	return minor_units;
}

static bool
begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}
