/*
 * refund.c
 *		Refunds: what is to go back, of which lines, and how far it has come.
 *
 * A refund is reserved before it is sent: in its lines, whose counters a
 * constraint keeps below what was paid, and in its sellers' wallets, so that
 * what Toss will have given back can be booked.  Whoever comes here holds the
 * event's lock, and the counters are changed relative to what they are then;
 * with an older snapshot the change fails (40001).
 * test/specs/race_refund.spec
 *
 * One call of an order is open at a time (psp_call_queue): the other refunds
 * wait as REQUESTED, and whoever closes a call lets the next one go.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "amount.h"
#include "db.h"
#include "errors.h"
#include "refund.h"
#include "refund_account.h"

#define TOKEN_BYTES		10

/* Of a wallet, what an insertion reserves in it. */
typedef struct Reserve
{
	int64		seller_id;
	int64		amount;
} Reserve;

static void insert_refund(const PayOrder *order, const PayRefund *refund,
						  const char *state, TimestampTz now);
static Datum text_or_null(const char *text, char *null);
static void insert_lines(const PayOrder *order, const PayRefund *refund);
static void count_lines(const PayOrder *order, const PayRefund *refund,
						TimestampTz now);
static void reserve_wallets(const PayOrder *order, const PayRefund *refund,
							TimestampTz now);
static int	order_of_sellers(const void *a, const void *b);
static void reserve_wallet(const PayOrder *order, const Reserve *reserve,
						   TimestampTz now);
static void start(int64 refund_id, const char *order_id, TimestampTz now);

/*
 * Insertion
 */

char *
pay_refund_token(const char *text)
{
	uint8		bytes[PG_SHA256_DIGEST_LENGTH];
	char	   *token = palloc(2 * TOKEN_BYTES + 1);

	if (text != NULL)
		pay_psp_call_sha256(text, strlen(text), bytes);
	else if (!pg_strong_random(bytes, TOKEN_BYTES))
		elog(ERROR, "could not draw a random token");
	for (int i = 0; i < TOKEN_BYTES; i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	return token;
}

void
pay_refund_insert(const PayOrder *order, PayRefund *refund, TimestampTz now)
{
	PayEvent	event = {"refund.requested", order->order_id};

	refund->id = pay_db_draw_ids("refund_id_seq", 1)[0];
	insert_refund(order, refund, "REQUESTED", now);
	insert_lines(order, refund);
	if (refund->account != NULL)
		pay_refund_account_insert(order->order_id, refund->id,
								  refund->account, now);
	count_lines(order, refund, now);
	pay_refund_next(order->order_id, now);
	reserve_wallets(order, refund, now);

	event.payload = pay_refund_payload(order, refund->id, refund->amount,
									   refund->lines, refund->n_lines,
									   refund->reason, NULL);
	pay_event_write(&event, 1, now);
}

/* It goes on from where a refund is that was sent. */
void
pay_refund_insert_fact(const PayOrder *order, PayRefund *refund,
					   TimestampTz now)
{
	refund->id = pay_db_draw_ids("refund_id_seq", 1)[0];
	insert_refund(order, refund, "EXECUTING", now);
	insert_lines(order, refund);
}

void
pay_refund_choose(const PayOrder *order, const PayRefundable *lines, int n,
				  const int64 *parts, PayRefund *refund)
{
	refund->lines = palloc(sizeof(PayRefundLine) * n);
	refund->n_lines = 0;
	refund->amount = 0;
	for (int i = 0; i < n; i++)
	{
		PayRefundLine *line = &refund->lines[refund->n_lines];

		if (parts[i] == 0)
			continue;
		line->payment_order_id = lines[i].payment_order_id;
		line->seller_id = lines[i].seller_id;
		line->amount = parts[i];
		line->commission =
			pay_money_commission_back(lines[i].amount, lines[i].commission,
									  lines[i].returned,
									  lines[i].commission_returned, parts[i],
									  order->minor_units);
		refund->amount += parts[i];
		refund->n_lines++;
	}
}

static void
insert_refund(const PayOrder *order, const PayRefund *refund,
			  const char *state, TimestampTz now)
{
	static const char *const origins[] = {
		[PAY_REFUND_BY_APPLICATION] = "application",
		[PAY_REFUND_BY_CLAIM] = "claim",
		[PAY_REFUND_BY_PSP] = "psp",
	};
	static PayStatement insert = {
		"INSERT INTO payments.refund (id, order_id, payment_event_id, amount, currency,"
		" reason, idempotency_key, request, token, requested_by, created_at, updated_at,"
		" refund_status, origin, proof_call_id, proof_attempt_no)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8::pg_catalog.jsonb, $9, $10, $11, $11,"
		" $12::payments.refund_status, $13, $14, $15)",
		15, {INT8OID, TEXTOID, INT8OID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8OID, INT4OID}
	};
	Datum		values[15];
	char		nulls[] = "               ";

	values[0] = Int64GetDatum(refund->id);
	values[1] = CStringGetTextDatum(order->order_id);
	values[2] = Int64GetDatum(order->id);
	values[3] = pay_amount_to_numeric(refund->amount);
	values[4] = CStringGetTextDatum(order->currency);
	values[5] = CStringGetTextDatum(refund->reason);
	values[6] = text_or_null(refund->idempotency_key, &nulls[6]);
	values[7] = CStringGetTextDatum(refund->request);
	values[8] = text_or_null(refund->token, &nulls[8]);
	values[9] = CStringGetTextDatum(refund->requested_by);
	values[10] = TimestampTzGetDatum(now);
	values[11] = CStringGetTextDatum(state);
	values[12] = CStringGetTextDatum(origins[refund->origin]);
	values[13] = Int64GetDatum(refund->proof_call_id);
	values[14] = Int32GetDatum(refund->proof_attempt_no);
	if (refund->origin != PAY_REFUND_BY_PSP)
		nulls[13] = nulls[14] = 'n';
	pay_db_run(&insert, values, nulls);
}

static Datum
text_or_null(const char *text, char *null)
{
	if (text != NULL)
		return CStringGetTextDatum(text);
	*null = 'n';
	return (Datum) 0;
}

static void
insert_lines(const PayOrder *order, const PayRefund *refund)
{
	static PayStatement insert = {
		"INSERT INTO payments.refund_line (refund_id, order_id, payment_order_id, amount, commission)"
		" SELECT $1, $2, l.id, l.amount, l.commission"
		" FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))"
		" AS l (id, amount, commission)",
		5, {INT8OID, TEXTOID, INT8ARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID}
	};
	int			n = refund->n_lines;
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *amounts = palloc(sizeof(int64) * n);
	int64	   *commissions = palloc(sizeof(int64) * n);
	Datum		values[5];

	for (int i = 0; i < n; i++)
	{
		ids[i] = refund->lines[i].payment_order_id;
		amounts[i] = refund->lines[i].amount;
		commissions[i] = refund->lines[i].commission;
	}
	values[0] = Int64GetDatum(refund->id);
	values[1] = CStringGetTextDatum(order->order_id);
	values[2] = pay_db_int64_array(ids, n);
	values[3] = pay_db_mills_array(amounts, n);
	values[4] = pay_db_mills_array(commissions, n);
	pay_db_run(&insert, values, NULL);
}

/* Relative to what the counters are now; the constraint says whether it may be. */
static void
count_lines(const PayOrder *order, const PayRefund *refund, TimestampTz now)
{
	static PayStatement count = {
		"UPDATE payments.payment_order o"
		" SET refunding_amount = o.refunding_amount OPERATOR(pg_catalog.+) l.amount, updated_at = $3"
		" FROM payments.refund_line l WHERE o.order_id OPERATOR(pg_catalog.=) $1"
		" AND l.refund_id OPERATOR(pg_catalog.=) $2 AND l.order_id OPERATOR(pg_catalog.=) $1"
		" AND l.payment_order_id OPERATOR(pg_catalog.=) o.id",
		3, {TEXTOID, INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[3] = {CStringGetTextDatum(order->order_id),
	Int64GetDatum(refund->id), TimestampTzGetDatum(now)};

	if (pay_db_run(&count, values, NULL) != (uint64) refund->n_lines)
		elog(ERROR, "a line of refund " INT64_FORMAT " is not of order \"%s\"",
			 refund->id, order->order_id);
}

/* What the sellers give, in the order in which wallets are locked. */
static void
reserve_wallets(const PayOrder *order, const PayRefund *refund,
				TimestampTz now)
{
	Reserve    *reserves = palloc(sizeof(Reserve) * refund->n_lines);
	int			n = 0;

	for (int i = 0; i < refund->n_lines; i++)
	{
		const PayRefundLine *line = &refund->lines[i];

		reserves[i] = (Reserve) {line->seller_id, line->amount - line->commission};
	}
	qsort(reserves, refund->n_lines, sizeof(Reserve), order_of_sellers);
	for (int i = 0; i < refund->n_lines; i++)
	{
		if (n > 0 && reserves[n - 1].seller_id == reserves[i].seller_id)
			reserves[n - 1].amount += reserves[i].amount;
		else
			reserves[n++] = reserves[i];
	}
	for (int i = 0; i < n; i++)
		if (reserves[i].amount > 0)
			reserve_wallet(order, &reserves[i], now);
}

static int
order_of_sellers(const void *a, const void *b)
{
	int64		left = ((const Reserve *) a)->seller_id;
	int64		right = ((const Reserve *) b)->seller_id;

	return left < right ? -1 : left > right;
}

/*
 * What is there is judged under the wallet's lock: the statement looks at the
 * newest version of the row, or fails (40001).
 */
static void
reserve_wallet(const PayOrder *order, const Reserve *reserve, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.wallet w SET pending = w.pending OPERATOR(pg_catalog.+) $4,"
		" may_owe = w.may_owe OR w.balance OPERATOR(pg_catalog.-) w.pending OPERATOR(pg_catalog.<) $4,"
		" version = w.version OPERATOR(pg_catalog.+) 1, updated_at = $5 FROM payments.merchant m"
		" WHERE w.seller_id OPERATOR(pg_catalog.=) $1 AND w.currency OPERATOR(pg_catalog.=) $2"
		" AND m.name OPERATOR(pg_catalog.=) $3 AND (m.sellers_may_owe"
		" OR w.balance OPERATOR(pg_catalog.-) w.pending OPERATOR(pg_catalog.>=) $4)",
		5, {INT8OID, TEXTOID, TEXTOID, NUMERICOID, TIMESTAMPTZOID}
	};
	Datum		values[5] = {Int64GetDatum(reserve->seller_id),
		CStringGetTextDatum(order->currency),
		CStringGetTextDatum(order->merchant),
		pay_amount_to_numeric(reserve->amount),
	TimestampTzGetDatum(now)};

	if (pay_db_run(&update, values, NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_PAY_WALLET_TOO_LOW),
				 errmsg("wallet of seller " INT64_FORMAT " has too little for a refund of order \"%s\"",
						reserve->seller_id, order->order_id),
				 errdetail("The seller would have to give back %s %s.",
						   pay_amount_text(reserve->amount), order->currency),
				 errhint("Payouts or other refunds have taken it; payments.set_refund_policy lets sellers of a merchant owe.")));
}

/*
 * The next one
 */

void
pay_refund_next(const char *order_id, TimestampTz now)
{
	static PayStatement find = {
		"SELECT r.id, r.token, r.reason, r.amount, e.id, e.payment_key, e.merchant, e.currency,"
		" c.minor_units::pg_catalog.int4, e.amount,"
		" e.amount OPERATOR(pg_catalog.-) COALESCE((SELECT pg_catalog.sum(d.amount) FROM payments.refund d"
		" WHERE d.order_id OPERATOR(pg_catalog.=) $1 AND d.refund_status OPERATOR(pg_catalog.=) 'SUCCESS'), 0),"
		" (SELECT pg_catalog.max(a.received_at) FROM payments.psp_answer a"
		" WHERE a.order_id OPERATOR(pg_catalog.=) $1 AND a.operation OPERATOR(pg_catalog.=) 'cancel')"
		" FROM payments.refund r JOIN payments.payment_event e ON e.id OPERATOR(pg_catalog.=) r.payment_event_id"
		" JOIN payments.currency c ON c.code OPERATOR(pg_catalog.=) e.currency"
		" WHERE r.order_id OPERATOR(pg_catalog.=) $1 AND r.refund_status OPERATOR(pg_catalog.=) 'REQUESTED'"
		" AND NOT EXISTS (SELECT FROM payments.psp_call_queue q WHERE q.order_id OPERATOR(pg_catalog.=) $1)"
		" ORDER BY r.id LIMIT 1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order_id)};
	PayTossRefund refund;
	PayCallRequest request = {.order_id = order_id,.refund = &refund};
	char	   *reason;

	if (pay_db_run(&find, values, NULL) == 0)
		return;
	request.refund_id = pay_db_int64(0, 1);
	refund.token = pay_db_text(0, 2);
	reason = pay_db_text(0, 3);
	refund.reason = pg_server_to_any(reason, (int) strlen(reason), PG_UTF8);
	refund.amount = pay_db_mills(0, 4);
	request.payment_event_id = pay_db_int64(0, 5);
	request.payment_key = pay_db_text(0, 6);
	request.merchant = pay_db_text(0, 7);
	request.currency = pay_db_text(0, 8);
	request.minor_units = pay_db_int32(0, 9);
	request.amount = pay_db_mills(0, 10);
	refund.balance = pay_db_mills(0, 11);
	request.due_at = now;
	if (!pay_db_is_null(0, 12))
		request.due_at = Max(now, pay_db_time(0, 12) + PAY_REFUND_DISTANCE);

	start(request.refund_id, order_id, now);
	pay_psp_call_enqueue(&request, now);
}

static void
start(int64 refund_id, const char *order_id, TimestampTz now)
{
	static PayStatement update = {
		"UPDATE payments.refund SET refund_status = 'EXECUTING', updated_at = $3"
		" WHERE id OPERATOR(pg_catalog.=) $1 AND order_id OPERATOR(pg_catalog.=) $2",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[3] = {Int64GetDatum(refund_id),
	CStringGetTextDatum(order_id), TimestampTzGetDatum(now)};

	pay_db_run(&update, values, NULL);
}

/*
 * Events
 */

char *
pay_refund_payload(const PayOrder *order, int64 refund_id, int64 amount,
				   const PayRefundLine *lines, int n_lines,
				   const char *reason, const char *code)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"refund_id\": " INT64_FORMAT ", \"order_id\": ",
					 refund_id);
	escape_json(&json, order->order_id);
	appendStringInfo(&json, ", \"buyer_id\": " INT64_FORMAT ", \"amount\": %s, \"currency\": ",
					 order->buyer_id, pay_amount_text(amount));
	escape_json(&json, order->currency);
	appendStringInfoString(&json, ", \"merchant\": ");
	escape_json(&json, order->merchant);
	if (reason != NULL)
	{
		appendStringInfoString(&json, ", \"reason\": ");
		escape_json(&json, reason);
	}
	if (code != NULL)
	{
		appendStringInfoString(&json, ", \"code\": ");
		escape_json(&json, code);
	}
	appendStringInfoString(&json, ", \"lines\": [");
	for (int i = 0; i < n_lines; i++)
		appendStringInfo(&json, "%s{\"payment_order_id\": " INT64_FORMAT
						 ", \"seller_id\": " INT64_FORMAT ", \"amount\": %s}",
						 i > 0 ? ", " : "", lines[i].payment_order_id,
						 lines[i].seller_id, pay_amount_text(lines[i].amount));
	appendStringInfoString(&json, "]}");
	return json.data;
}
