/*
 * wallet.c
 *		Sellers' wallets and their journal; the only writer of both.
 *
 * A wallet's balance is the sum of its journal and the credit of its seller's
 * ledger account: all three are written in one transaction, and
 * payments.verify() compares them.
 *
 * Rows are written directly (table.c).  What the tables' constraints would say
 * is said here: a balance stays within its bounds, in the version that is
 * replaced; when another one got in between, it is read again.  A journal row
 * points at a wallet that this transaction has changed, and at a payment order
 * or a line of a refund whose event it has locked; neither can go before it
 * ends.  That an order is credited once, and gives back once for each refund, is
 * up to the journal's unique indexes, as for every writer.
 * test/t/037_direct_settling.pl
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "table.h"
#include "table_scan.h"
#include "wallet.h"

enum
{
	WALLET_SELLER_ID,
	WALLET_CURRENCY,
	WALLET_BALANCE,
	WALLET_PENDING,
	WALLET_MAY_OWE,
	WALLET_VERSION,
	WALLET_UPDATED_AT
};

static PayTable wallets = {
	"wallet",
	{
		[WALLET_SELLER_ID] = "seller_id",
		[WALLET_CURRENCY] = "currency",
		[WALLET_BALANCE] = "balance",
		[WALLET_PENDING] = "pending",
		[WALLET_MAY_OWE] = "may_owe",
		[WALLET_VERSION] = "version",
		[WALLET_UPDATED_AT] = "updated_at",
	}
};

enum
{
	JOURNAL_ID,
	JOURNAL_SELLER_ID,
	JOURNAL_CURRENCY,
	JOURNAL_KIND,
	JOURNAL_AMOUNT,
	JOURNAL_ORDER_ID,
	JOURNAL_PAYMENT_ORDER_ID,
	JOURNAL_CREATED_AT,
	JOURNAL_REFUND_ID,
	JOURNAL_REFUND_PAYMENT_ORDER_ID,
	JOURNAL_DEPOSIT_NO,
	JOURNAL_DEPOSIT_PAYMENT_ORDER_ID
};

static PayTable journal = {
	"wallet_transaction",
	{
		[JOURNAL_ID] = "id",
		[JOURNAL_SELLER_ID] = "seller_id",
		[JOURNAL_CURRENCY] = "currency",
		[JOURNAL_KIND] = "kind",
		[JOURNAL_AMOUNT] = "amount",
		[JOURNAL_ORDER_ID] = "order_id",
		[JOURNAL_PAYMENT_ORDER_ID] = "payment_order_id",
		[JOURNAL_CREATED_AT] = "created_at",
		[JOURNAL_REFUND_ID] = "refund_id",
		[JOURNAL_REFUND_PAYMENT_ORDER_ID] = "refund_payment_order_id",
		[JOURNAL_DEPOSIT_NO] = "deposit_no",
		[JOURNAL_DEPOSIT_PAYMENT_ORDER_ID] = "deposit_payment_order_id",
	}
};

/* What a call does to one wallet. */
typedef struct Net
{
	int64		seller_id;
	const char *currency;
	int64		amount;
	int64		pending;
	bool		is_fact;
} Net;

static int	net_changes(const PayWalletChange *changes, int n, Net *nets);
static int	order_of_wallets(const void *a, const void *b);
static void change_balances(const Net *nets, int n, TimestampTz now);
static bool change_balance(const Net *net, TupleTableSlot *row,
						   TimestampTz now);
static void open_wallet(const Net *net, TimestampTz now);
static void write_journal(const PayWalletChange *changes, int n,
						  TimestampTz now);
static void fill_journal(int row, const PayWalletChange *change, int64 id,
						 TimestampTz now);

/* The journal points at the wallets, so these come first. */
void
pay_wallet_apply(const PayWalletChange *changes, int n, TimestampTz now)
{
	Net		   *nets;

	if (n == 0)
		return;
	nets = palloc(sizeof(Net) * n);
	change_balances(nets, net_changes(changes, n, nets), now);
	write_journal(changes, n, now);
	CommandCounterIncrement();
}

/* One change per wallet, in the order of the key: no deadlock. */
static int
net_changes(const PayWalletChange *changes, int n, Net *nets)
{
	int			n_nets = 0;

	for (int i = 0; i < n; i++)
		nets[i] = (Net)
	{
		changes[i].seller_id, changes[i].currency,
			changes[i].amount, changes[i].pending, changes[i].is_fact
	};
	qsort(nets, n, sizeof(Net), order_of_wallets);
	for (int i = 0; i < n; i++)
	{
		Net		   *last = &nets[Max(n_nets - 1, 0)];

		if (n_nets == 0 || order_of_wallets(last, &nets[i]) != 0)
			nets[n_nets++] = nets[i];
		else if (pg_add_s64_overflow(last->amount, nets[i].amount,
									 &last->amount) ||
				 pg_add_s64_overflow(last->pending, nets[i].pending,
									 &last->pending))
			elog(ERROR, "wallet of seller " INT64_FORMAT " cannot change by so much at once",
				 last->seller_id);
		else
			last->is_fact |= nets[i].is_fact;
	}
	return n_nets;
}

static int
order_of_wallets(const void *a, const void *b)
{
	const Net  *left = a;
	const Net  *right = b;

	if (left->seller_id != right->seller_id)
		return left->seller_id < right->seller_id ? -1 : 1;
	return strcmp(left->currency, right->currency);
}

/*
 * Change the balances.  A row that was not there, or was replaced by somebody
 * else, is looked for again with a new snapshot.
 */
static void
change_balances(const Net *nets, int n, TimestampTz now)
{
	static const int key[] = {WALLET_SELLER_ID, WALLET_CURRENCY};
	int			done = 0;

	while (done < n)
	{
		PayTableScan scan;
		TupleTableSlot *row = NULL;

		pay_table_open(&wallets);
		pay_table_scan_begin(&scan, &wallets, key, lengthof(key),
							 lengthof(key));
		for (; done < n; done++)
		{
			Datum		values[] = {Int64GetDatum(nets[done].seller_id),
				CStringGetTextDatum(nets[done].currency)
			};

			row = pay_table_scan_first(&scan, values);
			if (row == NULL || !change_balance(&nets[done], row, now))
				break;
		}
		pay_table_scan_end(&scan);
		pay_table_close(&wallets);
		if (done == n)
			break;
		CHECK_FOR_INTERRUPTS();
		if (row == NULL)
			open_wallet(&nets[done], now);
		else if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update"),
					 errdetail("The wallet of seller " INT64_FORMAT " has changed since this transaction began.",
							   nets[done].seller_id),
					 errhint("Repeat the transaction.")));
	}
}

/* Put the next version in a wallet's place; false: it is not the newest. */
static bool
change_balance(const Net *net, TupleTableSlot *row, TimestampTz now)
{
	bool		is_null;
	Datum		before = pay_table_get(&wallets, row, WALLET_BALANCE, &is_null);
	Datum		reserved = pay_table_get(&wallets, row, WALLET_PENDING, &is_null);
	Datum		version = pay_table_get(&wallets, row, WALLET_VERSION, &is_null);
	bool		may_owe = DatumGetBool(pay_table_get(&wallets, row,
													 WALLET_MAY_OWE, &is_null));
	bool		owes;
	int64		balance;
	int64		pending;

	if (pg_add_s64_overflow(pay_amount_from_balance(before), net->amount,
							&balance) ||
		pg_add_s64_overflow(pay_amount_from_balance(reserved), net->pending,
							&pending))
		pending = -1;
	owes = pending >= 0 && !may_owe && (balance < 0 || balance < pending);
	if (pending < 0 || (owes && !net->is_fact))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("wallet of seller " INT64_FORMAT " in %s cannot change by %s",
						net->seller_id, net->currency,
						pay_amount_text(net->amount)),
				 errdetail("A balance is not negative, not less than what is reserved, and below 9.2 * 10^15."),
				 errtableconstraint(pay_table_relation(&wallets),
									"wallet_balance_not_negative")));
	pay_table_copy_row(&wallets, row);
	pay_table_set(&wallets, 0, WALLET_BALANCE, pay_amount_to_numeric(balance));
	if (net->pending != 0)
		pay_table_set(&wallets, 0, WALLET_PENDING,
					  pay_amount_to_numeric(pending));
	if (owes)
		pay_table_set(&wallets, 0, WALLET_MAY_OWE, BoolGetDatum(true));
	pay_table_set(&wallets, 0, WALLET_VERSION,
				  Int64GetDatum(DatumGetInt64(version) + 1));
	pay_table_set(&wallets, 0, WALLET_UPDATED_AT, TimestampTzGetDatum(now));
	return pay_table_replace_row(&wallets, row);
}

/* Once per seller and currency, by a statement: whoever comes second waits. */
static void
open_wallet(const Net *net, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.wallet (seller_id, currency, updated_at)"
		" VALUES ($1, $2, $3) ON CONFLICT ON CONSTRAINT wallet_pkey DO NOTHING",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[3] = {Int64GetDatum(net->seller_id),
	CStringGetTextDatum(net->currency), TimestampTzGetDatum(now)};

	pay_db_run(&insert, values, NULL);
}

/* Of what changes a balance. */
static void
write_journal(const PayWalletChange *changes, int n, TimestampTz now)
{
	int64	   *ids = pay_db_draw_ids("wallet_transaction_id_seq", n);
	int			rows = 0;

	pay_table_open(&journal);
	for (int i = 0; i < n; i++)
	{
		if (changes[i].amount != 0)
			fill_journal(rows++, &changes[i], ids[i], now);
		if (rows == PAY_TABLE_ROWS)
		{
			pay_table_insert_rows(&journal, rows);
			rows = 0;
		}
	}
	if (rows > 0)
		pay_table_insert_rows(&journal, rows);
	pay_table_close(&journal);
}

static void
fill_journal(int row, const PayWalletChange *change, int64 id,
			 TimestampTz now)
{
	if (!pay_money_in_range(change->amount))
		elog(ERROR, "amount of a change of wallet " INT64_FORMAT " is out of range",
			 change->seller_id);
	pay_table_begin_row(&journal, row);
	pay_table_set(&journal, row, JOURNAL_ID, Int64GetDatum(id));
	pay_table_set(&journal, row, JOURNAL_SELLER_ID,
				  Int64GetDatum(change->seller_id));
	pay_table_set(&journal, row, JOURNAL_CURRENCY,
				  CStringGetTextDatum(change->currency));
	pay_table_set(&journal, row, JOURNAL_KIND,
				  CStringGetTextDatum(change->kind));
	pay_table_set(&journal, row, JOURNAL_AMOUNT,
				  pay_amount_to_numeric(change->amount));
	pay_table_set(&journal, row, JOURNAL_ORDER_ID,
				  CStringGetTextDatum(change->order_id));
	if (change->deposit_no != 0)
	{
		pay_table_set(&journal, row, JOURNAL_DEPOSIT_NO,
					  Int32GetDatum(change->deposit_no));
		pay_table_set(&journal, row, JOURNAL_DEPOSIT_PAYMENT_ORDER_ID,
					  Int64GetDatum(change->payment_order_id));
	}
	else if (change->refund_id == 0)
		pay_table_set(&journal, row, JOURNAL_PAYMENT_ORDER_ID,
					  Int64GetDatum(change->payment_order_id));
	else
	{
		pay_table_set(&journal, row, JOURNAL_REFUND_ID,
					  Int64GetDatum(change->refund_id));
		pay_table_set(&journal, row, JOURNAL_REFUND_PAYMENT_ORDER_ID,
					  Int64GetDatum(change->payment_order_id));
	}
	pay_table_set(&journal, row, JOURNAL_CREATED_AT,
				  TimestampTzGetDatum(now));
}
