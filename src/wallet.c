/*
 * wallet.c
 *		Sellers' wallets and their journal; the only writer of both.
 *
 * A wallet's balance is the sum of its journal and the credit of its seller's
 * ledger account: all three are written in one transaction, and
 * payments.verify() compares them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "wallet.h"

static void change_balances(const PayWalletChange *changes, int n,
							TimestampTz now);
static void write_journal(const PayWalletChange *changes, int n,
						  TimestampTz now);

/* The journal points at the wallets, so these come first. */
void
pay_wallet_apply(const PayWalletChange *changes, int n, TimestampTz now)
{
	if (n == 0)
		return;
	change_balances(changes, n, now);
	write_journal(changes, n, now);
}

/* One update per wallet, in the order of the key: no deadlock. */
static void
change_balances(const PayWalletChange *changes, int n, TimestampTz now)
{
	static PayStatement upsert = {
		"INSERT INTO payments.wallet AS w (seller_id, currency, balance, version, updated_at)"
		" SELECT r.seller_id, r.currency, pg_catalog.sum(r.amount), 1, $4"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))"
		" AS r (seller_id, currency, amount)"
		" GROUP BY r.seller_id, r.currency ORDER BY r.seller_id, r.currency"
		" ON CONFLICT ON CONSTRAINT wallet_pkey DO UPDATE SET"
		" balance = w.balance OPERATOR(pg_catalog.+) EXCLUDED.balance,"
		" version = w.version OPERATOR(pg_catalog.+) 1, updated_at = EXCLUDED.updated_at",
		4, {INT8ARRAYOID, TEXTARRAYOID, NUMERICARRAYOID, TIMESTAMPTZOID}
	};
	int64	   *sellers = palloc(sizeof(int64) * n);
	char	  **currencies = palloc(sizeof(char *) * n);
	int64	   *amounts = palloc(sizeof(int64) * n);
	Datum		values[4];

	for (int i = 0; i < n; i++)
	{
		sellers[i] = changes[i].seller_id;
		currencies[i] = unconstify(char *, changes[i].currency);
		amounts[i] = changes[i].amount;
	}
	values[0] = pay_db_int64_array(sellers, n);
	values[1] = pay_db_text_array(currencies, n);
	values[2] = pay_db_mills_array(amounts, n);
	values[3] = TimestampTzGetDatum(now);
	pay_db_run(&upsert, values, NULL);
}

static void
write_journal(const PayWalletChange *changes, int n, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.wallet_transaction (id, seller_id, currency, kind,"
		" amount, order_id, payment_order_id, created_at)"
		" SELECT r.id, r.seller_id, r.currency, r.kind, r.amount, r.order_id, r.payment_order_id, $8"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
		" pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5),"
		" pg_catalog.unnest($6), pg_catalog.unnest($7))"
		" AS r (id, seller_id, currency, kind, amount, order_id, payment_order_id)",
		8, {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			NUMERICARRAYOID, TEXTARRAYOID, INT8ARRAYOID,
		TIMESTAMPTZOID}
	};
	int64	   *sellers = palloc(sizeof(int64) * n);
	char	  **currencies = palloc(sizeof(char *) * n);
	char	  **kinds = palloc(sizeof(char *) * n);
	int64	   *amounts = palloc(sizeof(int64) * n);
	char	  **order_ids = palloc(sizeof(char *) * n);
	int64	   *orders = palloc(sizeof(int64) * n);
	Datum		values[8];

	for (int i = 0; i < n; i++)
	{
		sellers[i] = changes[i].seller_id;
		currencies[i] = unconstify(char *, changes[i].currency);
		kinds[i] = unconstify(char *, changes[i].kind);
		amounts[i] = changes[i].amount;
		order_ids[i] = unconstify(char *, changes[i].order_id);
		orders[i] = changes[i].payment_order_id;
	}
	values[0] = pay_db_int64_array(pay_db_draw_ids("wallet_transaction_id_seq",
												   n), n);
	values[1] = pay_db_int64_array(sellers, n);
	values[2] = pay_db_text_array(currencies, n);
	values[3] = pay_db_text_array(kinds, n);
	values[4] = pay_db_mills_array(amounts, n);
	values[5] = pay_db_text_array(order_ids, n);
	values[6] = pay_db_int64_array(orders, n);
	values[7] = TimestampTzGetDatum(now);
	pay_db_run(&insert, values, NULL);
}
