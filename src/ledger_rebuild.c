/*
 * ledger_rebuild.c
 *		payments.rebuild_balances: the cache anew, from what never changes.
 *
 * Balances come from entries, states and limits from account events, what is
 * held from holds without an end.  Nothing may be posted meanwhile: the lock on
 * ledger_balance waits for whoever is posting, and keeps the others out until
 * the transaction ends.  Only what is wrong is written, the difference of a
 * balance to stripe 0.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "db.h"
#include "ledger_account.h"

/* An account whose rows are not what they should be; amounts as text */
typedef struct Repair
{
	int64		account_id;
	char	   *code;
	int			stripes;
	char		state;
	char	   *floor;			/* or NULL */
	char	   *ceiling;		/* or NULL */
	char	   *held;
	char	   *balance;
	char	   *was;
} Repair;

/* What the rows r of an account look like to people */
#define DESCRIPTION \
	"pg_catalog.concat_ws(', ', CASE r.state WHEN 'f' THEN 'frozen' WHEN 'c' THEN 'closed' ELSE 'open' END," \
	" 'balance ' OPERATOR(pg_catalog.||) pg_catalog.trim_scale(r.balance)::pg_catalog.text," \
	" 'held ' OPERATOR(pg_catalog.||) pg_catalog.trim_scale(r.held)::pg_catalog.text," \
	" 'floor ' OPERATOR(pg_catalog.||) pg_catalog.trim_scale(r.floor)::pg_catalog.text," \
	" 'ceiling ' OPERATOR(pg_catalog.||) pg_catalog.trim_scale(r.ceiling)::pg_catalog.text," \
	" pg_catalog.format('%s of %s rows', r.n, r.stripes)," \
	" CASE WHEN r.kinds OPERATOR(pg_catalog.>) 1 THEN 'which disagree' END)"

/* The rows of an account as one */
#define ROWS \
	"SELECT account_id, pg_catalog.count(*) AS n," \
	" pg_catalog.count(DISTINCT ROW(stripes, state, floor, ceiling)) AS kinds," \
	" pg_catalog.max(stripes) AS stripes, pg_catalog.max(state::pg_catalog.text)::\"char\" AS state," \
	" pg_catalog.max(floor) AS floor, pg_catalog.max(ceiling) AS ceiling," \
	" pg_catalog.sum(held) AS held, pg_catalog.sum(balance) AS balance" \
	" FROM ONLY payments.ledger_balance"

static void rebuild_open_holds(void);
static Repair *find_repairs(uint64 *n);
static void rewrite(const Repair *repair);
static char *describe(const Repair *repair);

PG_FUNCTION_INFO_V1(payments_rebuild_balances);

/*
 * payments.rebuild_balances: error 25001 above READ COMMITTED, where the
 * snapshot may be older than the lock.
 */
Datum
payments_rebuild_balances(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Repair	   *repairs;
	uint64		n;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot rebuild balances above READ COMMITTED"),
				 errhint("Call it in a transaction of its own, at READ COMMITTED.")));
	InitMaterializedSRF(fcinfo, 0);

	pay_db_connect();
	pay_db_utility("LOCK TABLE ONLY payments.ledger_balance IN SHARE ROW EXCLUSIVE MODE");
	rebuild_open_holds();
	repairs = find_repairs(&n);
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		rewrite(&repairs[i]);
		values[0] = CStringGetTextDatum(repairs[i].code);
		values[1] = CStringGetTextDatum(repairs[i].was);
		values[2] = CStringGetTextDatum(describe(&repairs[i]));
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	pay_db_finish();
	return (Datum) 0;
}

/*
 * Open holds are those without an end.  Rows that are right are not touched:
 * whoever is ending one waits for our lock.
 */
static void
rebuild_open_holds(void)
{
	static PayStatement drop = {
		"DELETE FROM payments.ledger_hold_open o WHERE NOT EXISTS (SELECT FROM ONLY payments.ledger_hold h"
		" WHERE h.id OPERATOR(pg_catalog.=) o.hold_id AND h.account_id OPERATOR(pg_catalog.=) o.account_id"
		" AND h.amount OPERATOR(pg_catalog.=) o.amount AND h.expires_at IS NOT DISTINCT FROM o.expires_at)"
		" OR EXISTS (SELECT FROM ONLY payments.ledger_hold_end e WHERE e.hold_id OPERATOR(pg_catalog.=) o.hold_id)",
		0
	};
	static PayStatement add = {
		"INSERT INTO payments.ledger_hold_open (hold_id, account_id, amount, expires_at)"
		" SELECT h.id, h.account_id, h.amount, h.expires_at FROM ONLY payments.ledger_hold h"
		" WHERE NOT EXISTS (SELECT FROM ONLY payments.ledger_hold_end e WHERE e.hold_id OPERATOR(pg_catalog.=) h.id)"
		" AND NOT EXISTS (SELECT FROM ONLY payments.ledger_hold_open o WHERE o.hold_id OPERATOR(pg_catalog.=) h.id)",
		0
	};

	pay_db_run(&drop, NULL, NULL);
	pay_db_run(&add, NULL, NULL);
}

/*
 * The accounts whose rows are not what they should be.  Without an event an
 * account is open, has no limits, and the stripes that its first row says, or,
 * without a row, its code.
 */
static Repair *
find_repairs(uint64 *n)
{
	static PayStatement find = {
		"SELECT d.* FROM (SELECT a.id, a.code, COALESCE(e.stripes, b.stripes)::pg_catalog.int4 AS stripes,"
		" COALESCE(e.state, 'o') AS state, e.floor::pg_catalog.text, e.ceiling::pg_catalog.text,"
		" COALESCE(h.held, 0)::pg_catalog.text AS held, COALESCE(s.balance, 0)::pg_catalog.text AS balance,"
		" COALESCE(b.description, 'no rows') AS was, b.n OPERATOR(pg_catalog.=) b.stripes AND b.kinds OPERATOR(pg_catalog.=) 1"
		" AND b.stripes OPERATOR(pg_catalog.=) COALESCE(e.stripes, b.stripes)"
		" AND b.state OPERATOR(pg_catalog.=) COALESCE(e.state, 'o')"
		" AND b.floor IS NOT DISTINCT FROM e.floor AND b.ceiling IS NOT DISTINCT FROM e.ceiling"
		" AND b.held OPERATOR(pg_catalog.=) COALESCE(h.held, 0)"
		" AND b.balance OPERATOR(pg_catalog.=) COALESCE(s.balance, 0) AS is_right"
		" FROM ONLY payments.ledger_account a"
		" LEFT JOIN (SELECT DISTINCT ON (account_id) * FROM ONLY payments.ledger_account_event"
		" ORDER BY account_id, id DESC) e ON e.account_id OPERATOR(pg_catalog.=) a.id"
		" LEFT JOIN (SELECT account_id, pg_catalog.sum(amount) AS balance FROM ONLY payments.ledger_entry"
		" GROUP BY account_id) s ON s.account_id OPERATOR(pg_catalog.=) a.id"
		" LEFT JOIN (SELECT account_id, pg_catalog.sum(amount) AS held FROM ONLY payments.ledger_hold_open"
		" GROUP BY account_id) h ON h.account_id OPERATOR(pg_catalog.=) a.id"
		" LEFT JOIN (SELECT r.*, " DESCRIPTION " AS description FROM (" ROWS " GROUP BY account_id) r) b"
		" ON b.account_id OPERATOR(pg_catalog.=) a.id) d"
		" WHERE d.is_right IS NOT TRUE ORDER BY d.id",
		0
	};
	Repair	   *repairs;
	const char *kind;

	*n = pay_db_run(&find, NULL, NULL);
	repairs = palloc(sizeof(Repair) * Max(*n, 1));
	for (uint64 row = 0; row < *n; row++)
	{
		Repair	   *repair = &repairs[row];

		repair->account_id = pay_db_int64(row, 1);
		repair->code = pay_db_text(row, 2);
		if (!pay_db_is_null(row, 3))
			repair->stripes = pay_db_int32(row, 3);
		else if (!pay_ledger_account_default(repair->code, &kind,
											 &repair->stripes))
			repair->stripes = 1;
		repair->state = pay_db_char(row, 4);
		repair->floor = pay_db_text(row, 5);
		repair->ceiling = pay_db_text(row, 6);
		repair->held = pay_db_text(row, 7);
		repair->balance = pay_db_text(row, 8);
		repair->was = pay_db_text(row, 9);
	}
	return repairs;
}

/* Make the rows of an account what they should be. */
static void
rewrite(const Repair *repair)
{
	static PayStatement drop = {
		"DELETE FROM payments.ledger_balance"
		" WHERE account_id OPERATOR(pg_catalog.=) $1 AND stripe OPERATOR(pg_catalog.>=) $2",
		2, {INT8OID, INT4OID}
	};
	static PayStatement add = {
		"INSERT INTO payments.ledger_balance (account_id, stripe, stripes, state, held, balance)"
		" SELECT $1, s.stripe, $2, 'o', 0, 0"
		" FROM pg_catalog.generate_series(0, $2 OPERATOR(pg_catalog.-) 1) AS s (stripe)"
		" ON CONFLICT (account_id, stripe) DO NOTHING",
		2, {INT8OID, INT4OID}
	};
	static PayStatement set = {
		"UPDATE payments.ledger_balance SET stripes = $2, state = $3,"
		" floor = $4::pg_catalog.numeric, ceiling = $5::pg_catalog.numeric,"
		" held = CASE WHEN stripe OPERATOR(pg_catalog.=) 0 THEN $6::pg_catalog.numeric ELSE 0 END,"
		" balance = balance OPERATOR(pg_catalog.+) CASE WHEN stripe OPERATOR(pg_catalog.=) 0"
		" THEN $7::pg_catalog.numeric OPERATOR(pg_catalog.-) (SELECT pg_catalog.sum(b.balance)"
		" FROM ONLY payments.ledger_balance b WHERE b.account_id OPERATOR(pg_catalog.=) $1) ELSE 0 END"
		" WHERE account_id OPERATOR(pg_catalog.=) $1",
		7, {INT8OID, INT4OID, CHAROID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[7] = {0};
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};
	const char *texts[4] = {repair->floor, repair->ceiling, repair->held,
	repair->balance};

	values[0] = Int64GetDatum(repair->account_id);
	values[1] = Int32GetDatum(repair->stripes);
	values[2] = CharGetDatum(repair->state);
	for (int i = 0; i < lengthof(texts); i++)
	{
		if (texts[i] == NULL)
			nulls[3 + i] = 'n';
		else
			values[3 + i] = CStringGetTextDatum(texts[i]);
	}
	pay_db_run(&drop, values, NULL);
	pay_db_run(&add, values, NULL);
	if (pay_db_run(&set, values, nulls) != repair->stripes)
		elog(ERROR, "not every balance was written");
}

static char *
describe(const Repair *repair)
{
	static PayStatement read = {
		"SELECT " DESCRIPTION " FROM (" ROWS
		" WHERE account_id OPERATOR(pg_catalog.=) $1 GROUP BY account_id) r",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(repair->account_id)};

	pay_db_run(&read, values, NULL);
	return pay_db_text(0, 1);
}
