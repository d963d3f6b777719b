/*
 * refund_account.c
 *		Where the refund of a deposit goes: an account of the buyer's.
 *
 * The only writer of its table.  Messages say what is wrong with an account, and
 * never quote it.
 *
 * The stored bytes of a cancel are without it; it is put into them when they are
 * claimed.  Rows never change, so these are the same bytes every time (G2).  When
 * the refund has ended nothing is sent any more, and the row goes.
 * test/t/083_refund_deposits.pl
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "args.h"
#include "compat.h"
#include "db.h"
#include "deposit.h"
#include "errors.h"
#include "refund_account.h"

#define MAX_BANK	20
#define MAX_NUMBER	20			/* digits */
#define MAX_HOLDER	60			/* characters */

#define ACCOUNT_HINT \
	"Give {\"bank\": ..., \"account_number\": ..., \"holder_name\": ...}: the PSP's code, up to %d digits, up to %d characters."

static char *member(Jsonb *json, const char *name);
static char *digits_of(const char *text);
pg_noreturn static void account_error(const char *problem);
static char *body_to(const char *body, const PayTossAccount *account);

/*
 * Arguments
 */

void
pay_refund_account_read(Jsonb *json, PayTossAccount *account)
{
	if (!JB_ROOT_IS_OBJECT(json))
		account_error("is not a JSON object");
	account->bank = member(json, "bank");
	account->number = digits_of(member(json, "account_number"));
	account->holder = member(json, "holder_name");
	if (JB_ROOT_COUNT(json) != 3)
		account_error("has a key that is not known");
	if (account->bank[0] == '\0' || strlen(account->bank) > MAX_BANK ||
		strspn(account->bank, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") !=
		strlen(account->bank))
		account_error("has no usable bank");
	if (account->number == NULL || account->number[0] == '\0' ||
		strlen(account->number) > MAX_NUMBER)
		account_error("has no usable account_number");
	if (!pay_args_is_line(account->holder) ||
		pg_mbstrlen(account->holder) > MAX_HOLDER)
		account_error("has no usable holder_name");
}

/* A number would have lost its zeros. */
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

static void
account_error(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("refund_account %s", problem),
			 errhint(ACCOUNT_HINT, MAX_NUMBER, MAX_HOLDER)));
}

/*
 * What came in as a deposit goes to an account that the caller names, as long as
 * the bank has not taken it back; anything else goes back the way it came.  A
 * payment that a person resolved before its account was known has no movement.
 */
void
pay_refund_account_check(const PayOrder *order, const PayTossAccount *account)
{
	int			n = pay_deposit_movements(order->order_id);

	if (n < 0 && account != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("order \"%s\" was not paid into a virtual account",
						order->order_id),
				 errhint("Leave refund_account NULL: its refund goes back the way the money came.")));
	if (n >= 0 && account == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("refund_account of order \"%s\" is missing",
						order->order_id),
				 errdetail("It was paid into a virtual account."),
				 errhint(ACCOUNT_HINT, MAX_NUMBER, MAX_HOLDER)));
	if (n > 0 && n % 2 == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_NOT_REFUNDABLE),
				 errmsg("order \"%s\" cannot be refunded", order->order_id),
				 errdetail("The bank has taken the buyer's deposit back."),
				 errhint("There is nothing to give back until he pays again; see deposit_status of payments.payment.")));
}

/*
 * The table
 */

void
pay_refund_account_insert(const char *order_id, int64 refund_id,
						  const PayTossAccount *account, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.refund_account (refund_id, order_id, bank, account_number, holder_name, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[6] = {Int64GetDatum(refund_id),
		CStringGetTextDatum(order_id), CStringGetTextDatum(account->bank),
		CStringGetTextDatum(account->number),
		CStringGetTextDatum(account->holder),
	TimestampTzGetDatum(now)};

	pay_db_run(&insert, values, NULL);
}

bool
pay_refund_account_same(const char *order_id, int64 refund_id,
						const PayTossAccount *account)
{
	static PayStatement read = {
		"SELECT bank OPERATOR(pg_catalog.=) $3 AND account_number OPERATOR(pg_catalog.=) $4"
		" AND holder_name OPERATOR(pg_catalog.=) $5 FROM payments.refund_account"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 AND refund_id OPERATOR(pg_catalog.=) $2",
		5, {TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[5] = {CStringGetTextDatum(order_id),
		Int64GetDatum(refund_id), CStringGetTextDatum(account->bank),
		CStringGetTextDatum(account->number),
	CStringGetTextDatum(account->holder)};

	return pay_db_run(&read, values, NULL) == 0 || pay_db_bool(0, 1);
}

/* Most calls are none of refunds: then nothing is read. */
void
pay_refund_account_send(PayClaim **claims, int n)
{
	static PayStatement read = {
		"SELECT refund_id, bank, account_number, holder_name FROM payments.refund_account"
		" WHERE order_id OPERATOR(pg_catalog.=) ANY ($1)"
		" AND refund_id OPERATOR(pg_catalog.=) ANY ($2)",
		2, {TEXTARRAYOID, INT8ARRAYOID}
	};
	char	  **order_ids = palloc(sizeof(char *) * Max(n, 1));
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	int			m = 0;
	int			rows;
	Datum		values[2];

	for (int i = 0; i < n; i++)
	{
		if (claims[i]->refund_id == 0)
			continue;
		order_ids[m] = claims[i]->order_id;
		ids[m++] = claims[i]->refund_id;
	}
	if (m == 0)
		return;
	values[0] = pay_db_text_array(order_ids, m);
	values[1] = pay_db_int64_array(ids, m);
	rows = (int) pay_db_run(&read, values, NULL);
	for (int row = 0; row < rows; row++)
	{
		PayTossAccount account = {
			pay_db_text(row, 2), pay_db_text(row, 3), pay_db_text(row, 4)
		};

		for (int i = 0; i < n; i++)
		{
			MemoryContext caller;

			if (claims[i]->refund_id != pay_db_int64(row, 1))
				continue;
			caller = MemoryContextSwitchTo(claims[i]->context);
			claims[i]->request_body = body_to(claims[i]->request_body,
											  &account);
			MemoryContextSwitchTo(caller);
		}
	}
}

/* In the current context; bodies are UTF-8. */
static char *
body_to(const char *body, const PayTossAccount *account)
{
	PayTossAccount sent = *account;
	size_t		size = strlen(body) + 1024;
	char	   *text = palloc(size);

	sent.holder = pg_server_to_any(account->holder,
								   (int) strlen(account->holder), PG_UTF8);
	if (pay_toss_body_to_account(body, &sent, text, size) < 0)
		elog(ERROR, "could not write a cancel with its account");
	return text;
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
