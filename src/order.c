/*
 * order.c
 *		Orders: buyers, sellers, payment events and payment orders.
 *
 * The only writer of these tables.  What a state change must obey and leave
 * behind (transitions, history, completion) is the triggers' business, see
 * order_trigger.c: this file may be wrong without the tables becoming so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "amount.h"
#include "args.h"
#include "db.h"
#include "errors.h"
#include "order.h"
#include "toss.h"

static void insert_parties(const PayOrder *order,
						   const char *new_customer_key);
static void insert_lines(const PayOrder *order);
static void set_commissions(PayOrder *order);

#define READ_EVENT \
	"SELECT " PAY_ORDER_COLUMNS " FROM payments.payment_event e" \
	" JOIN payments.currency c ON c.code OPERATOR(pg_catalog.=) e.currency" \
	" WHERE e.order_id OPERATOR(pg_catalog.=) $1"

void
pay_order_check_id(const char *order_id)
{
	size_t		len = strlen(order_id);

	if (len >= 6 && len <= 64 &&
		strspn(order_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789_-") == len)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("order_id is not valid"),
			 errdetail("It has %zu bytes.", len),
			 errhint("An order id has 6 to 64 characters of A-Z, a-z, 0-9, \"_\" and \"-\".")));
}

void
pay_order_unknown(const char *order_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_PAY_UNKNOWN_ORDER),
			 errmsg("order \"%s\" does not exist", pay_args_shown(order_id)),
			 errhint("payments.checkout creates orders and returns their order_id.")));
}

/*
 * Insertion
 */

bool
pay_order_insert(PayOrder *order, const char *new_customer_key)
{
	static PayStatement insert = {
		"INSERT INTO payments.payment_event (id, order_id, merchant, buyer_id,"
		" order_name, currency, amount, created_at, expires_at, metadata, retry_of)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.jsonb, $11)"
		" ON CONFLICT ON CONSTRAINT payment_event_order_id_key DO NOTHING",
		11, {INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, NUMERICOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	};
	char		nulls[] = "           ";
	Datum		values[11];

	insert_parties(order, new_customer_key);

	order->id = pay_db_draw_ids("payment_event_id_seq", 1)[0];
	values[0] = Int64GetDatum(order->id);
	values[1] = CStringGetTextDatum(order->order_id);
	values[2] = CStringGetTextDatum(order->merchant);
	values[3] = Int64GetDatum(order->buyer_id);
	values[4] = CStringGetTextDatum(order->order_name);
	values[5] = CStringGetTextDatum(order->currency);
	values[6] = pay_amount_to_numeric(order->amount);
	values[7] = TimestampTzGetDatum(order->created_at);
	values[8] = TimestampTzGetDatum(order->expires_at);
	if (order->metadata != NULL)
		values[9] = CStringGetTextDatum(order->metadata);
	else
		nulls[9] = 'n';
	if (order->retry_of != NULL)
		values[10] = CStringGetTextDatum(order->retry_of);
	else
		nulls[10] = 'n';
	if (pay_db_run(&insert, values, nulls) == 0)
		return false;

	set_commissions(order);
	insert_lines(order);
	return true;
}

/* Rows for the buyer and the sellers that are new. */
static void
insert_parties(const PayOrder *order, const char *new_customer_key)
{
	static PayStatement insert_buyer = {
		"INSERT INTO payments.buyer (id, customer_key, created_at)"
		" VALUES ($1, $2, $3) ON CONFLICT ON CONSTRAINT buyer_pkey DO NOTHING",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	static PayStatement insert_sellers = {
		"INSERT INTO payments.seller (id, created_at)"
		" SELECT DISTINCT s.id, $2 FROM pg_catalog.unnest($1) s (id) ORDER BY s.id"
		" ON CONFLICT ON CONSTRAINT seller_pkey DO NOTHING",
		2, {INT8ARRAYOID, TIMESTAMPTZOID}
	};
	int64	   *sellers = palloc(sizeof(int64) * order->n_lines);
	Datum		values[3];

	values[0] = Int64GetDatum(order->buyer_id);
	values[1] = CStringGetTextDatum(new_customer_key);
	values[2] = TimestampTzGetDatum(order->created_at);
	pay_db_run(&insert_buyer, values, NULL);

	for (int i = 0; i < order->n_lines; i++)
		sellers[i] = order->lines[i].seller_id;
	values[0] = pay_db_int64_array(sellers, order->n_lines);
	values[1] = TimestampTzGetDatum(order->created_at);
	pay_db_run(&insert_sellers, values, NULL);
}

/* What the platform keeps of each line, by the sellers' present rates. */
static void
set_commissions(PayOrder *order)
{
	static PayStatement read_rates = {
		"SELECT (s.commission_rate OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int4"
		" FROM pg_catalog.unnest($1) WITH ORDINALITY l (seller_id, n)"
		" JOIN payments.seller s ON s.id OPERATOR(pg_catalog.=) l.seller_id"
		" ORDER BY l.n",
		1, {INT8ARRAYOID}
	};
	int64	   *sellers = palloc(sizeof(int64) * order->n_lines);
	Datum		values[1];

	for (int i = 0; i < order->n_lines; i++)
		sellers[i] = order->lines[i].seller_id;
	values[0] = pay_db_int64_array(sellers, order->n_lines);
	if (pay_db_run(&read_rates, values, NULL) != (uint64) order->n_lines)
		elog(ERROR, "a seller of order \"%s\" has no row", order->order_id);
	for (int i = 0; i < order->n_lines; i++)
		order->lines[i].commission = pay_money_share(order->lines[i].amount,
													 pay_db_int32(i, 1),
													 order->minor_units);
}

static void
insert_lines(const PayOrder *order)
{
	static PayStatement insert = {
		"INSERT INTO payments.payment_order (id, payment_event_id, amount,"
		" buyer_id, seller_id, order_id, line_no, product_id, product_name,"
		" quantity, commission, created_at, updated_at)"
		" SELECT l.id, $1, l.amount, $2, l.seller_id, $3, l.line_no::pg_catalog.int4,"
		" l.product_id, l.product_name, l.quantity, l.commission, $4, $4"
		" FROM ROWS FROM (pg_catalog.unnest($5), pg_catalog.unnest($6),"
		" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9),"
		" pg_catalog.unnest($10), pg_catalog.unnest($11)) WITH ORDINALITY"
		" AS l (id, seller_id, amount, commission, quantity, product_id, product_name, line_no)",
		11, {INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8ARRAYOID,
			INT8ARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID, INT4ARRAYOID,
		TEXTARRAYOID, TEXTARRAYOID}
	};
	int			n = order->n_lines;
	int64	   *sellers = palloc(sizeof(int64) * n);
	int64	   *amounts = palloc(sizeof(int64) * n);
	int64	   *commissions = palloc(sizeof(int64) * n);
	int32	   *quantities = palloc(sizeof(int32) * n);
	char	  **product_ids = palloc(sizeof(char *) * n);
	char	  **product_names = palloc(sizeof(char *) * n);
	Datum		values[11];

	for (int i = 0; i < n; i++)
	{
		sellers[i] = order->lines[i].seller_id;
		amounts[i] = order->lines[i].amount;
		commissions[i] = order->lines[i].commission;
		quantities[i] = order->lines[i].quantity;
		product_ids[i] = order->lines[i].product_id;
		product_names[i] = order->lines[i].product_name;
	}
	values[0] = Int64GetDatum(order->id);
	values[1] = Int64GetDatum(order->buyer_id);
	values[2] = CStringGetTextDatum(order->order_id);
	values[3] = TimestampTzGetDatum(order->created_at);
	values[4] = pay_db_int64_array(pay_db_draw_ids("payment_order_id_seq", n),
								   n);
	values[5] = pay_db_int64_array(sellers, n);
	values[6] = pay_db_mills_array(amounts, n);
	values[7] = pay_db_mills_array(commissions, n);
	values[8] = pay_db_int32_array(quantities, n);
	values[9] = pay_db_text_array(product_ids, n);
	values[10] = pay_db_text_array(product_names, n);
	pay_db_run(&insert, values, NULL);
}

/*
 * Reading
 */

bool
pay_order_read(const char *order_id, PayOrder *order)
{
	static PayStatement read = {READ_EVENT, 1, {TEXTOID}};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	if (pay_db_read(&read, values, NULL) == 0)
		return false;
	pay_order_fill(0, order);
	return true;
}

bool
pay_order_lock(const char *order_id, PayOrder *order)
{
	static PayStatement lock = {
		READ_EVENT " FOR NO KEY UPDATE OF e", 1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};

	if (pay_db_run(&lock, values, NULL) == 0)
		return false;
	pay_order_fill(0, order);
	return true;
}

void
pay_order_fill(uint64 row, PayOrder *order)
{
	memset(order, 0, sizeof(PayOrder));
	order->id = pay_db_int64(row, 1);
	order->order_id = pay_db_text(row, 2);
	order->payment_key = pay_db_text(row, 3);
	order->merchant = pay_db_text(row, 4);
	order->buyer_id = pay_db_int64(row, 5);
	order->order_name = pay_db_text(row, 6);
	order->currency = pay_db_text(row, 7);
	order->minor_units = pay_db_int32(row, 8);
	order->amount = pay_db_mills(row, 9);
	order->psp_status = pay_db_text(row, 10);
	order->metadata = pay_db_text(row, 11);
	order->created_at = pay_db_time(row, 12);
	order->expires_at = pay_db_time(row, 13);
}

void
pay_order_read_lines(PayOrder *order)
{
	static PayStatement read = {
		"SELECT seller_id, amount, commission, quantity, product_id, product_name"
		" FROM payments.payment_order WHERE order_id OPERATOR(pg_catalog.=) $1"
		" ORDER BY line_no",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order->order_id)};

	order->n_lines = (int) pay_db_run(&read, values, NULL);
	order->lines = palloc0(sizeof(PayOrderLine) * Max(order->n_lines, 1));
	for (int i = 0; i < order->n_lines; i++)
	{
		PayOrderLine *line = &order->lines[i];

		line->seller_id = pay_db_int64(i, 1);
		line->amount = pay_db_mills(i, 2);
		line->commission = pay_db_mills(i, 3);
		line->quantity = pay_db_int32(i, 4);
		line->product_id = pay_db_text(i, 5);
		line->product_name = pay_db_text(i, 6);
	}
}

bool
pay_order_state(const char *order_id, bool fresh_snapshot,
				PayOrderState *state, bool *worth_waiting)
{
	static PayStatement read = {
		"SELECT o.first, o.last, e.psp_status FROM payments.payment_event e"
		" CROSS JOIN LATERAL (SELECT pg_catalog.min(l.payment_order_status)::pg_catalog.text,"
		" pg_catalog.max(l.payment_order_status)::pg_catalog.text"
		" FROM payments.payment_order l WHERE l.order_id OPERATOR(pg_catalog.=) e.order_id) o (first, last)"
		" WHERE e.order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};
	uint64		rows;
	char	   *first;
	char	   *last;
	char	   *psp_status;

	rows = fresh_snapshot ? pay_db_run(&read, values, NULL) :
		pay_db_read(&read, values, NULL);
	if (rows == 0)
		return false;

	first = pay_db_text(0, 1);
	last = pay_db_text(0, 2);
	psp_status = pay_db_text(0, 3);
	if (first == NULL || strcmp(first, last) != 0)
		*state = PAY_ORDER_UNKNOWN;
	else if (!pay_order_state_from_name(first, state))
		elog(ERROR, "unexpected state \"%s\" of order \"%s\"", first, order_id);

	if (worth_waiting)
		*worth_waiting = !pay_order_state_is_final(*state) &&
			!(psp_status && strcmp(psp_status, "WAITING_FOR_DEPOSIT") == 0);
	return true;
}

bool
pay_order_key_taken(const char *payment_key, const char *order_id)
{
	static PayStatement find = {
		"SELECT 1 FROM payments.payment_event"
		" WHERE payment_key OPERATOR(pg_catalog.=) $1"
		" AND order_id OPERATOR(pg_catalog.<>) $2",
		2, {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(payment_key),
	CStringGetTextDatum(order_id)};

	return pay_db_run(&find, values, NULL) > 0;
}

char *
pay_order_customer_key(int64 buyer_id)
{
	static PayStatement read = {
		"SELECT customer_key FROM payments.buyer WHERE id OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(buyer_id)};

	if (pay_db_read(&read, values, NULL) == 0)
		elog(ERROR, "buyer " INT64_FORMAT " has no row", buyer_id);
	return pay_db_text(0, 1);
}

char *
pay_order_client_key(const char *merchant)
{
	static PayStatement read = {
		"SELECT client_key FROM payments.merchant WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(merchant)};

	if (pay_db_read(&read, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_UNKNOWN_MERCHANT),
				 errmsg("merchant \"%s\" does not exist",
						pay_args_shown(merchant)),
				 errhint("An operator adds it with payments.set_merchant(name, client_key).")));
	return pay_db_text(0, 1);
}

/*
 * Changes of state by the application
 */

void
pay_order_start(const char *order_id, const char *payment_key,
				TimestampTz now)
{
	static PayStatement set_key = {
		"UPDATE payments.payment_event SET payment_key = $2"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, TEXTOID}
	};
	static PayStatement set_state = {
		"UPDATE payments.payment_order SET payment_order_status = 'EXECUTING',"
		" status_reason = 'confirm accepted', updated_at = $2"
		" WHERE order_id OPERATOR(pg_catalog.=) $1",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[2];

	values[0] = CStringGetTextDatum(order_id);
	values[1] = CStringGetTextDatum(payment_key);
	pay_db_run(&set_key, values, NULL);
	values[1] = TimestampTzGetDatum(now);
	pay_db_run(&set_state, values, NULL);
}
