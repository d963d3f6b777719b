/*
 * ledger_seal.c
 *		Seals: a chain of digests over the ledger, so that what was changed past
 *		all guards is seen.
 *
 * Owns payments.ledger_seal.  Triggers and hooks guard rows as long as they
 * are there.  A file that was edited while the server was down, a server that
 * ran without the library, a library that is not ours: whoever comes by such a
 * way can change both sides of a ledger transaction, the balances with it, and
 * put everything else back.  What he would have to find as well is a row with
 * the same SHA-256 digest.
 *
 * A seal covers the ledger transactions behind the one before, up to an id
 * behind the mark of ledger_horizon.c, where nothing can come any more.  Its
 * digest is over that of the one before and all that these rows say, accounts
 * included.  So whoever knows the newest digest, from the server's log or from
 * a note of his own, knows the whole of the past.
 *
 * test/t/038_ledger_seal.pl
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "db.h"
#include "fault.h"
#include "ledger_seal.h"
#include "ledger_snapshot.h"

/* Of one seal: what it covers is read at once. */
#define MAX_ENTRIES		100000

static int64 seal_ledger(int max_entries);
static void read_newest(PayLedgerSeal *seal);
static int64 end_of_seal(const PayLedgerSeal *seal, int64 final_id, int max_entries);
static int	read_seals(PayLedgerSeal **seals);
static char *check_seals(const PayLedgerSeal *seals, int n, int64 *checked);
static char *check_seal(const PayLedgerSeal *seal, const PayLedgerSeal *before,
						PaySealAccounts *accounts);

PG_FUNCTION_INFO_V1(payments_seal_ledger);
PG_FUNCTION_INFO_V1(payments_check_seals);

/*
 * payments.seal_ledger: see 48_ledger_seal.sql.  Errors: 22004, 22023, 55000
 * (ledger_horizon.c).
 */
Datum
payments_seal_ledger(PG_FUNCTION_ARGS)
{
	int64		entries;
	int			max_entries;

	max_entries = pay_args_number(fcinfo, 0, "max_entries", MAX_ENTRIES);

	pay_db_connect();
	entries = seal_ledger(max_entries);
	pay_db_finish();
	PG_RETURN_INT32((int32) entries);
}

/*
 * Returns how many entries were sealed.  The lock on the mark keeps two
 * sessions from writing the same seal.
 */
static int64
seal_ledger(int max_entries)
{
	static PayStatement insert = {
		"INSERT INTO payments.ledger_seal (no, upto_id, transactions, entries, digest, sealed_at)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		6, {INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	PayLedgerSeal newest;
	PayLedgerSeal seal;
	int64		done_id;
	int64		final_id;
	Datum		values[6];

	if (!pay_ledger_horizon_advance(&done_id, &final_id))
		return 0;
	read_newest(&newest);
	if (final_id <= newest.upto_id)
		return 0;

	seal.no = newest.no + 1;
	seal.after_id = newest.upto_id;
	seal.upto_id = end_of_seal(&seal, final_id, max_entries);
	seal.sealed_at = GetCurrentTimestamp();
	pay_ledger_seal_compute(&seal, newest.digest, pay_ledger_seal_accounts(),
							true);
	if (seal.transactions == 0 && seal.entries == 0)
		return 0;				/* ids that were drawn for nothing */
	PAY_FAULT("seal-computed");

	values[0] = Int64GetDatum(seal.no);
	values[1] = Int64GetDatum(seal.upto_id);
	values[2] = Int64GetDatum(seal.transactions);
	values[3] = Int64GetDatum(seal.entries);
	values[4] = CStringGetTextDatum(seal.digest);
	values[5] = TimestampTzGetDatum(seal.sealed_at);
	pay_db_run(&insert, values, NULL);
	PAY_FAULT("seal-written");
	return seal.entries;
}

/* The newest seal; number 0, which covers nothing, when there is none. */
static void
read_newest(PayLedgerSeal *seal)
{
	static PayStatement read = {
		"SELECT s.no, s.upto_id, s.digest FROM ONLY payments.ledger_seal s ORDER BY s.no DESC LIMIT 1",
		0
	};
	bool		found = pay_db_run(&read, NULL, NULL) > 0;

	seal->no = found ? pay_db_int64(0, 1) : 0;
	seal->upto_id = found ? pay_db_int64(0, 2) : PG_INT64_MIN;
	seal->digest = found ? pay_db_text(0, 3) : NULL;
}

/*
 * The id with which a seal of about max_entries ends: final_id when there are
 * fewer.  A ledger transaction is not cut.
 */
static int64
end_of_seal(const PayLedgerSeal *seal, int64 final_id, int max_entries)
{
	static PayStatement find = {
		"SELECT COALESCE(pg_catalog.max(e.transaction_id), $2), pg_catalog.count(*)"
		" FROM (SELECT e.transaction_id FROM ONLY payments.ledger_entry e"
		" WHERE e.transaction_id OPERATOR(pg_catalog.>) $1 AND e.transaction_id OPERATOR(pg_catalog.<=) $2"
		" ORDER BY e.transaction_id LIMIT $3) e",
		3, {INT8OID, INT8OID, INT4OID}
	};
	Datum		values[3] = {Int64GetDatum(seal->after_id),
	Int64GetDatum(final_id), Int32GetDatum(max_entries)};

	pay_db_run(&find, values, NULL);
	return pay_db_int64(0, 2) < max_entries ? final_id : pay_db_int64(0, 1);
}

/*
 * The check
 */

/*
 * payments.check_seals: see 48_ledger_seal.sql.
 */
Datum
payments_check_seals(PG_FUNCTION_ARGS)
{
	MemoryContext caller = pay_db_connect();
	MemoryContext old;
	PayLedgerSeal *seals;
	int			n = read_seals(&seals);
	int64		checked;
	char	   *problem = check_seals(seals, n, &checked);
	TupleDesc	desc;
	bool		nulls[2] = {false, problem == NULL};
	Datum		values[2] = {Int64GetDatum(checked), (Datum) 0};
	Datum		result;

	old = MemoryContextSwitchTo(caller);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (problem != NULL)
		values[1] = CStringGetTextDatum(problem);
	result = HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											   nulls));
	MemoryContextSwitchTo(old);
	pay_db_finish();
	PG_RETURN_DATUM(result);
}

/* All seals, in their order. */
static int
read_seals(PayLedgerSeal **seals)
{
	static PayStatement read = {
		"SELECT s.no, s.upto_id, s.transactions, s.entries, s.digest, s.sealed_at"
		" FROM ONLY payments.ledger_seal s ORDER BY s.no",
		0
	};
	int			n = (int) pay_db_read(&read, NULL, NULL);

	*seals = palloc(sizeof(PayLedgerSeal) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayLedgerSeal *seal = &(*seals)[i];

		seal->no = pay_db_int64(i, 1);
		seal->after_id = i == 0 ? PG_INT64_MIN : seal[-1].upto_id;
		seal->upto_id = pay_db_int64(i, 2);
		seal->transactions = pay_db_int64(i, 3);
		seal->entries = pay_db_int64(i, 4);
		seal->digest = pay_db_text(i, 5);
		seal->sealed_at = pay_db_time(i, 6);
	}
	return n;
}

/*
 * The first problem and how many more there are, or NULL; and how many ledger
 * transactions are sealed.  Seals that are right behind one that is not are
 * found right: a digest is over the one before as it was written down.
 */
static char *
check_seals(const PayLedgerSeal *seals, int n, int64 *checked)
{
	PaySealAccounts *accounts = pay_ledger_seal_accounts();
	char	   *first = NULL;
	int64		no = 1;			/* of the next one */
	int			more = 0;

	*checked = 0;
	for (int i = 0; i < n; i++)
	{
		char	   *problem;

		if (seals[i].no != no)
			problem = psprintf("seal " INT64_FORMAT " is missing", no);
		else
			problem = check_seal(&seals[i], i == 0 ? NULL : &seals[i - 1],
								 accounts);
		no = seals[i].no + 1;
		*checked += seals[i].transactions;

		if (problem != NULL && first == NULL)
			first = problem;
		else if (problem != NULL)
			more++;
	}
	return more == 0 ? first : psprintf("%s (and %d more)", first, more);
}

/* In a connection of its own, so that what it read is given back. */
static char *
check_seal(const PayLedgerSeal *seal, const PayLedgerSeal *before,
		   PaySealAccounts *accounts)
{
	PayLedgerSeal now = *seal;
	MemoryContext caller = pay_db_connect();
	MemoryContext old;
	char	   *problem = NULL;

	pay_ledger_seal_compute(&now, before == NULL ? NULL : before->digest,
							accounts, false);
	old = MemoryContextSwitchTo(caller);
	if (now.transactions != seal->transactions || now.entries != seal->entries)
		problem = psprintf("seal " INT64_FORMAT ", up to ledger transaction " INT64_FORMAT
						   ": " INT64_FORMAT " with " INT64_FORMAT " entries were sealed, "
						   INT64_FORMAT " with " INT64_FORMAT " are there",
						   seal->no, seal->upto_id, seal->transactions,
						   seal->entries, now.transactions, now.entries);
	else if (strcmp(now.digest, seal->digest) != 0)
		problem = psprintf("seal " INT64_FORMAT ", up to ledger transaction " INT64_FORMAT
						   ": its digest is %s, that of what is there is %s",
						   seal->no, seal->upto_id, seal->digest, now.digest);
	MemoryContextSwitchTo(old);
	pay_db_finish();
	return problem;
}
