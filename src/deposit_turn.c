/*
 * deposit_turn.c
 *		Virtual accounts: deposits that are taken back, or come again, or late.
 *
 * What an answer shows of an account whose order is final.  The order's state
 * stays; what the bank did is one more movement, booked as a fact: the mirror
 * image of the deposit that it takes back, or another deposit.  A wallet may owe
 * for it.  What comes in for an order that has failed belongs to the buyer, and
 * a person gives it back.
 *
 * Looks alone come here (psp_look.c), and an account that waits was asked about
 * twice by then (resolution_look.c).  A deposit is another one when Toss says
 * another time of it; so an answer that lags behind a reversal is none.
 *
 * All of it is under the event's lock, so the movements are what they are.  Dying
 * before the commit leaves the look in flight, and the next run asks again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "amount.h"
#include "db.h"
#include "deposit.h"
#include "event.h"
#include "fault.h"
#include "order_state.h"
#include "psp_answer.h"

static bool may_turn(const PayResult *result, bool counts);
static bool read_account(const PayResult *result, const PayOrder *order,
						 PayDepositTurn *turn);
static bool is_turn(const PayResult *result, PayDepositTurn *turn,
					TimestampTz now);
static bool is_all_back(const PayResult *result);
static void read_lines(PayDepositTurn *turn);
static void build_posting(PayLedgerPosting *posting,
						  const PayDepositTurn *turn);
static void insert_movement(const PayDepositTurn *turn, TimestampTz now);
static const char *kind_of(const PayDepositTurn *turn);

/* The turns that these results show; at most n. */
int
pay_deposit_turns(const PayResult *results, const PayOrder *orders,
				  const bool *counts, int n, TimestampTz now,
				  PayDepositTurn **turns)
{
	int			m = 0;

	*turns = palloc0(sizeof(PayDepositTurn) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PayDepositTurn *turn = &(*turns)[m];

		if (!may_turn(&results[i], counts[i]) ||
			!read_account(&results[i], &orders[i], turn) ||
			!is_turn(&results[i], turn, now))
			continue;
		read_lines(turn);
		m++;
	}
	return m;
}

static bool
may_turn(const PayResult *result, bool counts)
{
	return counts && result->claim->is_look &&
		result->decision.action == PAY_ACTION_LEARN &&
		result->body.virtual_account_bank != NULL;
}

/* False when there is none, or when it is not clear what it is. */
static bool
read_account(const PayResult *result, const PayOrder *order,
			 PayDepositTurn *turn)
{
	static PayStatement read = {
		"SELECT m.movement_no, d.effective_at, t.id, r.n"
		" FROM payments.virtual_account v"
		" LEFT JOIN LATERAL (SELECT x.movement_no, x.ledger_key FROM payments.deposit_movement x"
		" WHERE x.order_id OPERATOR(pg_catalog.=) v.order_id ORDER BY x.movement_no DESC LIMIT 1) m ON true"
		" LEFT JOIN LATERAL (SELECT x.effective_at FROM payments.deposit_movement x"
		" WHERE x.order_id OPERATOR(pg_catalog.=) v.order_id AND x.kind OPERATOR(pg_catalog.=) 'deposit'"
		" ORDER BY x.movement_no DESC LIMIT 1) d ON true"
		" LEFT JOIN payments.ledger_transaction t ON t.transaction_key OPERATOR(pg_catalog.=) m.ledger_key"
		" CROSS JOIN LATERAL (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM payments.payment_order o"
		" WHERE o.order_id OPERATOR(pg_catalog.=) v.order_id"
		" AND o.refunded_amount OPERATOR(pg_catalog.+) o.refunding_amount OPERATOR(pg_catalog.<>) 0) r (n)"
		" WHERE v.order_id OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(order->order_id)};
	PayOrderState state;

	memset(turn, 0, sizeof(PayDepositTurn));
	if (pay_db_run(&read, values, NULL) != 1)
		return false;
	turn->order = order;
	turn->result = result;
	if (!pay_db_is_null(0, 1))
	{
		turn->movement_no = pay_db_int32(0, 1);
		turn->last_deposit_at = pay_db_time(0, 2);
		turn->last_ledger_id = pay_db_is_null(0, 3) ? 0 : pay_db_int64(0, 3);
	}
	turn->has_refunds = pay_db_int32(0, 4) > 0;
	if (!pay_order_state(order->order_id, true, &state, NULL) ||
		!pay_order_state_is_final(state))
		return false;
	turn->is_late = state == PAY_ORDER_FAILURE;
	return true;
}

/* Does the answer say something else than the last movement? */
static bool
is_turn(const PayResult *result, PayDepositTurn *turn, TimestampTz now)
{
	bool		is_paid = turn->movement_no % 2 == 1;
	PayTossMeaning meaning = result->answer.meaning;

	turn->at = now;
	if (meaning == PAY_MEANS_APPROVED && !is_paid)
	{
		TimestampTz at = pay_psp_answer_time(result->body.approved_at);

		/* a success without a first movement is none of ours to explain */
		if (at == 0 || at <= turn->last_deposit_at ||
			(turn->movement_no == 0 && !turn->is_late))
			return false;
		turn->at = at;
	}
	else if (is_paid && (meaning == PAY_MEANS_WAITING ||
						 meaning == PAY_MEANS_LAPSED ||
						 pay_toss_is_withdrawn(&result->body) ||
						 (turn->is_late && meaning == PAY_MEANS_CANCELED &&
						  is_all_back(result))))
	{
		/* what refunds gave back was there: the list is to tell more */
		if (turn->has_refunds)
			return false;
		turn->is_reversal = true;
	}
	else
		return false;
	turn->movement_no++;
	turn->ledger_key = psprintf("deposit:%s:%d", turn->order->order_id,
								turn->movement_no);
	return true;
}

/* Has all of it been given back? */
static bool
is_all_back(const PayResult *result)
{
	const char *balance = result->body.balance_amount;
	int64		left;

	return balance != NULL &&
		pay_money_read(balance, strlen(balance), PAY_MAX_MINOR_UNITS,
					   &left) == PAY_MONEY_OK && left == 0;
}

/* What was sold; nothing was for a deposit that came too late. */
static void
read_lines(PayDepositTurn *turn)
{
	static PayStatement read = {
		"SELECT id, seller_id, amount, commission FROM payments.payment_order"
		" WHERE order_id OPERATOR(pg_catalog.=) $1 ORDER BY line_no",
		1, {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(turn->order->order_id)};

	if (turn->is_late)
		return;
	turn->n_lines = (int) pay_db_run(&read, values, NULL);
	turn->lines = palloc(sizeof(PayDepositLine) * Max(turn->n_lines, 1));
	for (int i = 0; i < turn->n_lines; i++)
		turn->lines[i] = (PayDepositLine)
	{
		pay_db_int64(i, 1), pay_db_int64(i, 2), pay_db_mills(i, 3),
			pay_db_mills(i, 4)
	};
}

/*
 * The books
 */

/* One for each. */
int
pay_deposit_postings(const PayDepositTurn *turns, int n,
					 PayLedgerPosting *postings)
{
	for (int i = 0; i < n; i++)
		build_posting(&postings[i], &turns[i]);
	return n;
}

/* As settle.c books a payment; the other way round when it is taken back. */
static void
build_posting(PayLedgerPosting *posting, const PayDepositTurn *turn)
{
	const PayOrder *order = turn->order;
	const char *currency = order->currency;
	int			sign = turn->is_reversal ? -1 : 1;
	char	   *psp = pay_ledger_house_account_code("psp:toss", currency);
	char	   *platform = pay_ledger_house_account_code("platform:commission",
														 currency);
	char	   *buyer = pay_ledger_account_code("buyer", order->buyer_id,
												currency);
	PayLedgerEntry *entry = palloc(sizeof(PayLedgerEntry) *
								   (2 + 4 * turn->n_lines));

	memset(posting, 0, sizeof(PayLedgerPosting));
	posting->transaction_key = turn->ledger_key;
	posting->kind = kind_of(turn);
	posting->fact = true;
	posting->order_id = order->order_id;
	posting->effective_at = turn->at;
	posting->reverses_id = turn->is_reversal ? turn->last_ledger_id : 0;
	posting->entries = entry;

	*entry++ = (PayLedgerEntry) {psp, currency, sign * order->amount};
	*entry++ = (PayLedgerEntry) {buyer, currency, -sign * order->amount};
	for (int i = 0; i < turn->n_lines; i++)
	{
		const PayDepositLine *line = &turn->lines[i];
		char	   *seller = pay_ledger_account_code("seller", line->seller_id,
													 currency);

		*entry++ = (PayLedgerEntry) {buyer, currency, sign * line->amount};
		*entry++ = (PayLedgerEntry) {seller, currency, -sign * line->amount};
		if (line->commission == 0)
			continue;
		*entry++ = (PayLedgerEntry) {seller, currency, sign * line->commission};
		*entry++ = (PayLedgerEntry) {platform, currency, -sign * line->commission};
	}
	posting->n_entries = (int) (entry - posting->entries);
}

/* Of the ledger transaction, and of the event */
static const char *
kind_of(const PayDepositTurn *turn)
{
	if (turn->is_late)
		return turn->is_reversal ? "deposit.returned" : "deposit.late";
	return turn->is_reversal ? "deposit.reversed" : "deposit.received";
}

/* At most two for each line. */
int
pay_deposit_wallet_changes(const PayDepositTurn *turns, int n,
						   PayWalletChange *changes)
{
	int			m = 0;

	for (int i = 0; i < n; i++)
	{
		const PayDepositTurn *turn = &turns[i];
		int			sign = turn->is_reversal ? -1 : 1;

		for (int l = 0; l < turn->n_lines; l++)
		{
			const PayDepositLine *line = &turn->lines[l];
			PayWalletChange change = {
				.seller_id = line->seller_id,.currency = turn->order->currency,
				.kind = turn->is_reversal ? "reversal" : "deposit",
				.amount = sign * line->amount,
				.order_id = turn->order->order_id,
				.payment_order_id = line->payment_order_id,
				.is_fact = true,.deposit_no = turn->movement_no
			};

			changes[m++] = change;
			if (line->commission == 0)
				continue;
			change.kind = turn->is_reversal ? "commission_reversal" :
				"commission_deposit";
			change.amount = -sign * line->commission;
			changes[m++] = change;
		}
	}
	return m;
}

/* The rest: the movements, and the events that tell of them. */
void
pay_deposit_apply(const PayDepositTurn *turns, int n, TimestampTz now)
{
	for (int i = 0; i < n; i++)
	{
		PayEvent	event = {kind_of(&turns[i]), turns[i].order->order_id};

		insert_movement(&turns[i], now);
		PAY_FAULT("movement-written");
		event.payload = pay_deposit_payload(turns[i].order,
											turns[i].movement_no, turns[i].at);
		pay_event_write(&event, 1, now);
	}
}

static void
insert_movement(const PayDepositTurn *turn, TimestampTz now)
{
	static PayStatement insert = {
		"INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key,"
		" transaction_key, call_id, attempt_no, effective_at, recorded_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		10, {TEXTOID, INT4OID, TEXTOID, NUMERICOID, TEXTOID, TEXTOID, INT8OID,
		INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	const PayResult *result = turn->result;
	char	   *key = pay_psp_answer_text(result->body.last_transaction_key,
										  1000);
	Datum		values[10] = {CStringGetTextDatum(turn->order->order_id),
		Int32GetDatum(turn->movement_no),
		CStringGetTextDatum(turn->is_reversal ? "reversal" : "deposit"),
		pay_amount_to_numeric(turn->order->amount),
		CStringGetTextDatum(turn->ledger_key),
		key != NULL ? CStringGetTextDatum(key) : (Datum) 0,
		Int64GetDatum(result->claim->call_id),
		Int32GetDatum(result->claim->attempt_no),
	TimestampTzGetDatum(turn->at), TimestampTzGetDatum(now)};

	pay_db_run(&insert, values, key != NULL ? NULL : "     n    ");
}
