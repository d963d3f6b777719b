/*
 * refund_account.c
 *		Where the refund of a deposit goes: an account of the buyer's.
 *
 * The only writer of its table.  Messages say what is wrong with an account, and
 * never quote it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "db.h"
#include "psp_call.h"
#include "refund_account.h"

#define MAX_BANK	20
#define MAX_NUMBER	20
#define MAX_HOLDER	60

static char *member(Jsonb *json, const char *name);
static char *digits_of(const char *text);
static bool is_line(const char *text);
pg_noreturn static void account_error(const char *problem);

void
pay_refund_account_read(Jsonb *json, PayTossAccount *account)
{
	char	   *bank;
	char	   *number;
	char	   *holder;

	if (!JB_ROOT_IS_OBJECT(json))
		account_error("is not a JSON object");
	if (JB_ROOT_COUNT(json) != 3)
		account_error("has not exactly three keys");
	bank = member(json, "bank");
	number = digits_of(member(json, "account_number"));
	holder = member(json, "holder_name");
	if (bank[0] == '\0' || strlen(bank) > MAX_BANK ||
		strspn(bank, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(bank))
		account_error("has no usable bank");
	if (number == NULL || number[0] == '\0' || strlen(number) > MAX_NUMBER)
		account_error("has no usable account_number");
	if (!is_line(holder) || pg_mbstrlen(holder) > MAX_HOLDER)
		account_error("has no usable holder_name");
	account->bank = bank;
	account->number = number;
	account->holder = pg_server_to_any(holder, (int) strlen(holder), PG_UTF8);
}

static char *
member(Jsonb *json, const char *name)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&json->root, name, (int) strlen(name),
									 &value) == NULL ||
		value.type != jbvString)
		account_error(psprintf("has no %s that is a text", name));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* As banks write numbers: hyphens and blanks do not count.  NULL: it is none. */
static char *
digits_of(const char *text)
{
	char	   *digits = palloc(strlen(text) + 1);
	size_t		n = 0;

	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '-' || *p == ' ')
			continue;
		if (*p < '0' || *p > '9')
			return NULL;
		digits[n++] = *p;
	}
	digits[n] = '\0';
	return digits;
}

static bool
is_line(const char *text)
{
	if (text[strspn(text, " ")] == '\0')
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static void
account_error(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("refund_account %s", problem),
			 errhint("Give {\"bank\": ..., \"account_number\": ..., \"holder_name\": ...}: the PSP's code of the bank, up to %d digits, and the holder as the bank knows him.",
					 MAX_NUMBER)));
}

char *
pay_refund_account_digest(const PayTossAccount *account)
{
	char	   *text = psprintf("%s\n%s\n%s", account->bank, account->number,
								account->holder);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(2 * sizeof(digest) + 1);

	pay_psp_call_sha256(text, strlen(text), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

void
pay_refund_account_insert(const char *order_id, int64 refund_id,
						  const PayTossAccount *account, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.refund_account (refund_id, order_id, bank, account_number, holder_name, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	char	   *holder = pg_any_to_server(account->holder,
										  (int) strlen(account->holder),
										  PG_UTF8);
	Datum		values[6] = {Int64GetDatum(refund_id),
		CStringGetTextDatum(order_id), CStringGetTextDatum(account->bank),
		CStringGetTextDatum(account->number), CStringGetTextDatum(holder),
	TimestampTzGetDatum(now)};

	pay_db_run(&insert, values, NULL);
}

void
pay_refund_account_erase(char *const *order_ids, const int64 *ids, int n)
{
	static PayStatement erase = {
		"DELETE FROM payments.refund_account WHERE order_id OPERATOR(pg_catalog.=) ANY ($1)"
		" AND refund_id OPERATOR(pg_catalog.=) ANY ($2)",
		2, {TEXTARRAYOID, INT8ARRAYOID}
	};
	Datum		values[2];

	if (n == 0)
		return;
	values[0] = pay_db_text_array(order_ids, n);
	values[1] = pay_db_int64_array(ids, n);
	pay_db_run(&erase, values, NULL);
}
