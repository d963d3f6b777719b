-- Buyers without a card: each is given an account, and pays into it at his bank,
-- or does not.  Beside the worker, and a Toss that is played by the simulator.
SELECT plan(35);
SELECT payments.set_merchant('default', 'test_ck_simulator0only') IS NULL AS ready \gset
SELECT payments.set_seller(711, 0.1) IS NULL AS ready \gset
CREATE ROLE bank_shop;
SELECT payments.grant_to('bank_shop', 'application') IS NULL AS ready \gset

-- wait for what the worker does (an event is given out when nothing older runs any
-- more); and the same as if half a minute had gone by, so
-- that it asks once more (it notices that by its sweeps)
ALTER SYSTEM SET payments.sweep_interval = 1;
SELECT pg_reload_conf() AS reloaded \gset
CREATE PROCEDURE pg_temp.until(question text, time_passes boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
	it_is boolean;
BEGIN
	FOR i IN 1 .. 3000 LOOP
		EXECUTE question INTO it_is;
		EXIT WHEN it_is;
		IF time_passes THEN
			UPDATE payments.psp_call_deposit SET due_at = now() WHERE due_at > now();
			UPDATE payments.psp_call_queue SET due_at = now() WHERE due_at > now() AND state = 'P';
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;
-- the shop's page for webhooks: passes on what Toss has sent, however often
CREATE FUNCTION pg_temp.pass_on(webhooks text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FILTER (WHERE payments.receive_webhook(w::jsonb ->> 'body', w::jsonb -> 'headers') = 'accepted')
		FROM string_to_table(webhooks, E'\n') w WHERE w <> '' $$;
CREATE FUNCTION pg_temp.payment(id text, OUT status text, OUT deposit text, OUT at_toss text, OUT done boolean) LANGUAGE sql AS $$
	SELECT status, deposit_status, psp_status, is_payment_done FROM payments.payment WHERE order_id = id $$;
CREATE FUNCTION pg_temp.told(id text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(kind, ' ' ORDER BY n) FROM payments.fetch_events('story_' || replace(id, '-', '_'), 10000) WITH ORDINALITY e (id, kind, order_id, payload, at, n)
		WHERE order_id = told.id $$;

SET ROLE bank_shop;
SELECT is((payments.checkout(71, '[{"seller_id": 711, "amount": 30000, "name": "이불"}]', order_id => 'bank-' || n)).amount, 30000::numeric, 'a blanket')
	FROM generate_series(1, 3) n;
\! curl -sS "$TOSS_CONTROL_URL/settings" -d '{"webhookKeep": true}' >/dev/null
\! pay() { curl -sS "$TOSS_CONTROL_URL/pay" -d '{"orderId": "bank-'$1'", "amount": 30000, "method": "VIRTUAL_ACCOUNT", "paymentKey": "key_bank_'$1'"}'; }; seconds() { curl -sS "$TOSS_CONTROL_URL/settings" -d '{"accountSeconds": '$1'}'; }; (pay 1; pay 2; seconds 1; pay 3; seconds 604800) >/dev/null

-- (the third one's account is open for a second)

-- An account is issued: the buyer is shown where to pay, and the order waits
CALL payments.pay('bank-1', 'key_bank_1', 30000, '1 min', NULL) \gset
SELECT is(:'status'::text, 'EXECUTING', 'pay comes back at once: nobody waits a week for a deposit');
SELECT row_eq($$SELECT * FROM pg_temp.payment('bank-1')$$, ROW('EXECUTING'::text, 'awaited'::text, 'WAITING_FOR_DEPOSIT'::text, false), 'the order waits');
SELECT results_eq($$SELECT account_bank ~ '^\w{2}$', account_number ~ '^X?\d+$', account_due_at > now() + interval '6 days', method FROM payments.payment WHERE order_id = 'bank-1'$$,
	$$VALUES (true, true, true, '가상계좌')$$, 'bank, number, and until when');
CALL payments.pay('bank-1', 'key_bank_1', 30000, '0', NULL) \gset
SELECT is(:'status'::text, 'EXECUTING', 'the buyer reloads the page');
SELECT is(payments.wait_for('bank-1', '1 day')::text, 'EXECUTING', 'who waits for it does not wait either');
SELECT throws_ok($$SELECT payments.retry_checkout('bank-1')$$, 'PY030', NULL, 'there is no second order meanwhile');
CALL pg_temp.until($$SELECT pg_temp.told('bank-1') = 'deposit.awaited'$$);
SELECT is(pg_temp.told('bank-1'), 'deposit.awaited', 'the shop is told, to send him a mail');
SELECT is(payload ? 'account_number' OR payload ? 'number', false, 'in which the number is not, since that is personal')
	FROM payments.fetch_events('reader') WHERE order_id = 'bank-1' AND kind = 'deposit.awaited';
SELECT is(payload ->> 'bank_code' || ' ' || (payload ->> 'due_at')::timestamptz, account_bank || ' ' || account_due_at, 'but bank and due date are')
	FROM payments.fetch_events('reader') JOIN payments.payment USING (order_id) WHERE order_id = 'bank-1' AND kind = 'deposit.awaited';
CALL payments.pay('bank-2', 'key_bank_2', 30000, '1 min', NULL) \gset
CALL payments.pay('bank-3', 'key_bank_3', 30000, '1 min', NULL) \gset
SELECT is(payments.status('bank-3')::text, 'EXECUTING', 'a third one has an account as well');
RESET ROLE;
SELECT is_empty($$SELECT * FROM payments.ledger WHERE order_id LIKE 'bank-%'$$, 'nothing is booked before there is money');
SET ROLE bank_shop;

-- Two of them pay.  Toss tells it, and is asked.
\! for n in 1 2; do curl -sS "$TOSS_CONTROL_URL/deposit" -d '{"paymentKey": "key_bank_'$n'"}' >/dev/null; done
\set webhooks `curl -sS "$TOSS_CONTROL_URL/webhooks"`
SELECT ok(pg_temp.pass_on(:'webhooks') >= 4, 'what Toss sends is taken in');
CALL pg_temp.until($$SELECT count(*) = 2 FROM payments.payment WHERE order_id IN ('bank-1', 'bank-2') AND status = 'SUCCESS'$$);
SELECT row_eq(format('SELECT * FROM pg_temp.payment(%L)', 'bank-' || n), ROW('SUCCESS'::text, 'received'::text, 'DONE'::text, true), 'the deposit pays')
	FROM generate_series(1, 2) n;
CALL pg_temp.until($$SELECT pg_temp.told('bank-1') = 'deposit.awaited payment.confirmed payment.completed'$$);
SELECT is(pg_temp.told('bank-1'), 'deposit.awaited payment.confirmed payment.completed', 'and the shop delivers');
\set webhooks `curl -sS "$TOSS_CONTROL_URL/webhooks"`
SELECT is(pg_temp.pass_on(:'webhooks'), 0::bigint, 'Toss may say it as often as it likes');
SELECT is(payments.receive_webhook('{"createdAt": "2026-11-22T10:20:00.000000", "secret": "ps_guess", "status": "DONE", "transactionKey": "t", "orderId": "bank-3"}'),
	'ignored', 'somebody who does not know the secret');
SELECT is(payments.status('bank-3')::text, 'EXECUTING', 'pays for nothing');

-- The bank takes one of the deposits back: nothing is rolled back
\! curl -sS "$TOSS_CONTROL_URL/deposit-error" -d '{"paymentKey": "key_bank_2"}' >/dev/null
\set webhooks `curl -sS "$TOSS_CONTROL_URL/webhooks"`
SELECT is(pg_temp.pass_on(:'webhooks'), 1::bigint, 'the bank was wrong');
RESET ROLE;
CALL pg_temp.until($$SELECT deposit_status = 'reversed' FROM payments.payment WHERE order_id = 'bank-2'$$, time_passes => true);
SET ROLE bank_shop;
SELECT row_eq($$SELECT * FROM pg_temp.payment('bank-2')$$, ROW('SUCCESS'::text, 'reversed'::text, 'WAITING_FOR_DEPOSIT'::text, true), 'the order stays, and says so');
CALL pg_temp.until($$SELECT pg_temp.told('bank-2') = 'deposit.awaited payment.confirmed payment.completed deposit.reversed'$$);
SELECT is(pg_temp.told('bank-2'), 'deposit.awaited payment.confirmed payment.completed deposit.reversed', 'the shop holds the parcel back');
RESET ROLE;
SELECT is(balance, 27000::numeric, 'the seller has what one blanket is worth') FROM payments.wallet WHERE seller_id = 711;
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');

-- and its buyer pays again
\! curl -sS "$TOSS_CONTROL_URL/deposit" -d '{"paymentKey": "key_bank_2"}' >/dev/null
\set webhooks `curl -sS "$TOSS_CONTROL_URL/webhooks"`
SELECT ok(pg_temp.pass_on(:'webhooks') >= 1, 'the account is as good as before');
CALL pg_temp.until($$SELECT deposit_status = 'received' FROM payments.payment WHERE order_id = 'bank-2'$$, time_passes => true);
SELECT row_eq($$SELECT * FROM pg_temp.payment('bank-2')$$, ROW('SUCCESS'::text, 'received'::text, 'DONE'::text, true), 'now it is paid');
CALL pg_temp.until($$SELECT pg_temp.told('bank-2') = 'deposit.awaited payment.confirmed payment.completed deposit.reversed deposit.received'$$);
SELECT is(pg_temp.told('bank-2'), 'deposit.awaited payment.confirmed payment.completed deposit.reversed deposit.received', 'the parcel goes');
SELECT is(balance, 54000::numeric, 'and the seller has what two are worth') FROM payments.wallet WHERE seller_id = 711;

-- The third pays nothing.  Toss says nothing of that, and is asked.
CALL pg_temp.until($$SELECT status = 'FAILURE' FROM payments.payment WHERE order_id = 'bank-3'$$, time_passes => true);
SELECT is(concat_ws(' ', status, failure_code, deposit_status), 'FAILURE DEPOSIT_EXPIRED expired', 'his time is over')
	FROM payments.payment WHERE order_id = 'bank-3';
SET ROLE bank_shop;
CALL pg_temp.until($$SELECT pg_temp.told('bank-3') = 'deposit.awaited payment.failed'$$);
SELECT is(pg_temp.told('bank-3'), 'deposit.awaited payment.failed', 'the shop puts the blanket back');
SELECT is((payments.retry_checkout('bank-3', 'bank-3-again')).amount, 30000::numeric, 'he may try once more');

-- What Toss has, and what we have
RESET ROLE;
\set journal `curl -sS "$TOSS_CONTROL_URL/journal"`
SELECT is((SELECT sum(coalesce(debit, - credit)) FROM payments.ledger WHERE order_id LIKE 'bank-%' AND account = 'psp:toss'),
	(SELECT sum(CASE j ->> 'kind' WHEN 'deposit' THEN 1 WHEN 'deposit-error' THEN -1 ELSE 0 END * (j ->> 'amount')::numeric)
		FROM string_to_table(:'journal', E'\n') line, LATERAL (SELECT line::jsonb) l (j) WHERE line <> '' AND j ->> 'orderId' LIKE 'bank-%'),
	'Toss has as much for us as we think');
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');
SELECT * FROM finish();
ALTER SYSTEM RESET payments.sweep_interval;
DROP OWNED BY bank_shop;
DROP ROLE bank_shop;
