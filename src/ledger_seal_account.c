/*
 * ledger_seal_account.c
 *		Accounts that seals name, each read once.
 *
 * Owns nothing, and lives no longer than a call: what was changed past all
 * guards has to be seen.  A join would read all accounts of the ledger for each
 * seal.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "db.h"
#include "ledger_seal_account.h"

/* Accounts to keep: some 40 MB; then it begins anew */
#define MAX_ACCOUNTS	262144

static void make_empty(PaySealAccounts *accounts);
static int64 *add_unknown(PaySealAccounts *accounts, const int64 *ids,
						  int n, int *n_unknown);

PaySealAccounts *
pay_ledger_seal_accounts(void)
{
	PaySealAccounts *accounts = palloc0(sizeof(PaySealAccounts));

	accounts->context = AllocSetContextCreate(CurrentMemoryContext,
											  "payments sealed accounts",
											  ALLOCSET_DEFAULT_SIZES);
	make_empty(accounts);
	return accounts;
}

static void
make_empty(PaySealAccounts *accounts)
{
	HASHCTL		control = {
		.keysize = sizeof(int64),
		.entrysize = sizeof(PaySealAccount),
		.hcxt = accounts->context
	};

	MemoryContextReset(accounts->context);
	accounts->known = hash_create("payments sealed accounts", 1024, &control,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
pay_ledger_seal_accounts_read(PaySealAccounts *accounts,
							  const int64 *ids, int n, bool fresh)
{
	static PayStatement read = {
		"SELECT a.id, a.code, a.kind FROM ONLY payments.ledger_account a"
		" WHERE a.id OPERATOR(pg_catalog.=) ANY ($1)",
		1, {INT8ARRAYOID}
	};
	PayDbResult last = pay_db_suspend();
	MemoryContext old;
	Datum		values[1];
	uint64		rows;
	int			unknown;

	if (hash_get_num_entries(accounts->known) >= MAX_ACCOUNTS)
		make_empty(accounts);
	ids = add_unknown(accounts, ids, n, &unknown);
	if (unknown == 0)
	{
		pay_db_resume(last);
		return;
	}

	values[0] = pay_db_int64_array(ids, unknown);
	rows = fresh ? pay_db_run(&read, values, NULL) :
		pay_db_read(&read, values, NULL);
	old = MemoryContextSwitchTo(accounts->context);
	for (uint64 row = 0; row < rows; row++)
	{
		int64		id = pay_db_int64(row, 1);
		PaySealAccount *account = hash_search(accounts->known, &id,
											  HASH_FIND, NULL);

		account->rows++;
		account->code = pay_db_text(row, 2);
		account->kind = pay_db_text(row, 3);
	}
	MemoryContextSwitchTo(old);
	pay_db_resume(last);
}

/* Make room for those that are not known yet, and return their ids. */
static int64 *
add_unknown(PaySealAccounts *accounts, const int64 *ids, int n,
			int *n_unknown)
{
	int64	   *unknown = palloc(sizeof(int64) * Max(n, 1));

	*n_unknown = 0;
	for (int i = 0; i < n; i++)
	{
		bool		found;
		PaySealAccount *account = hash_search(accounts->known, &ids[i],
											  HASH_ENTER, &found);

		if (found)
			continue;
		account->rows = 0;
		unknown[(*n_unknown)++] = ids[i];
	}
	return unknown;
}

const PaySealAccount *
pay_ledger_seal_account(const PaySealAccounts *accounts, int64 id)
{
	return hash_search(accounts->known, &id, HASH_FIND, NULL);
}
