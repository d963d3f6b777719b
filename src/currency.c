/*
 * currency.c
 *		How fine an amount of a currency may be.
 *
 * Rows of payments.currency are added and never change, so a session reads
 * each of them once.  It forgets them all when a transaction is rolled back,
 * which may have added one, and when the table may have been made anew.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/inval.h"

#include "currency.h"
#include "db.h"

#define MAX_KNOWN	16			/* more are read each time */
#define CODE_SIZE	4

static struct
{
	char		code[CODE_SIZE];
	int			minor_units;
}			known[MAX_KNOWN];
static int	n_known = 0;

static int	read_minor_units(const char *currency);
static void register_callbacks(void);
static void at_transaction(XactEvent event, void *arg);
static void at_subtransaction(SubXactEvent event, SubTransactionId my_id,
							  SubTransactionId parent_id, void *arg);
static void at_invalidation(Datum arg, Oid relation);

int
pay_currency_minor_units(const char *currency)
{
	int			minor_units = pay_currency_find(currency);

	if (minor_units < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("currency \"%s\" is unknown", currency),
				 errhint("The table payments.currency lists the known ones.")));
	return minor_units;
}

int
pay_currency_find(const char *currency)
{
	int			minor_units;

	for (int i = 0; i < n_known; i++)
		if (strcmp(known[i].code, currency) == 0)
			return known[i].minor_units;

	register_callbacks();
	minor_units = read_minor_units(currency);
	if (minor_units >= 0 && n_known < MAX_KNOWN)
	{
		strlcpy(known[n_known].code, currency, CODE_SIZE);
		known[n_known++].minor_units = minor_units;
	}
	return minor_units;
}

static int
read_minor_units(const char *currency)
{
	static PayStatement find = {
		"SELECT minor_units::pg_catalog.int4 FROM ONLY payments.currency"
		" WHERE code OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(currency)};

	if (pay_db_read(&find, values, NULL) == 0)
		return -1;
	return pay_db_int32(0, 1);
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
	CacheRegisterRelcacheCallback(at_invalidation, (Datum) 0);
	registered = true;
}

static void
at_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		n_known = 0;
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId my_id,
				  SubTransactionId parent_id, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		n_known = 0;
}

/* Rare enough to mean any table. */
static void
at_invalidation(Datum arg, Oid relation)
{
	n_known = 0;
}
