-- Somebody at the shop gives money back by hand, in Toss's own dashboard.  Nobody
-- tells the shop's program but Toss.  Beside the worker, with the simulator as Toss.
SELECT plan(20);
SELECT payments.set_merchant('default', 'test_ck_simulator0only') IS NULL AS ready \gset
SELECT payments.set_seller(721, 0.1) IS NULL AS ready \gset
CREATE ROLE dash_shop;
CREATE ROLE dash_operator;
SELECT payments.grant_to('dash_shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('dash_operator', 'operator') IS NULL AS ready \gset

CREATE PROCEDURE pg_temp.until(question text) LANGUAGE plpgsql AS $$
DECLARE
	it_is boolean;
BEGIN
	FOR i IN 1 .. 3000 LOOP
		EXECUTE question INTO it_is;
		EXIT WHEN it_is;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;
CREATE FUNCTION pg_temp.pass_on(webhooks text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FILTER (WHERE payments.receive_webhook(w::jsonb ->> 'body', w::jsonb -> 'headers') = 'accepted')
		FROM string_to_table(webhooks, E'\n') w WHERE w <> '' $$;

SET ROLE dash_shop;
SELECT is((payments.checkout(72, '[{"seller_id": 721, "amount": 10000, "name": "tea"}, {"seller_id": 722, "amount": 5000, "name": "cup"}]',
	order_id => 'dash-' || n)).amount, 15000::numeric, 'tea and a cup') FROM generate_series(1, 2) n;
\! curl -sS "$TOSS_CONTROL_URL/settings" -d '{"webhookKeep": true, "cancelIntervalMs": 0}' >/dev/null
\! for n in 1 2; do curl -sS "$TOSS_CONTROL_URL/pay" -d '{"orderId": "dash-'$n'", "amount": 15000, "paymentKey": "key_dash_'$n'"}' >/dev/null; done
CALL payments.pay('dash-1', 'key_dash_1', 15000, '1 min', NULL) \gset
SELECT is(:'status'::text, 'SUCCESS', 'paid');
CALL payments.pay('dash-2', 'key_dash_2', 15000, '1 min', NULL) \gset
SELECT is(:'status'::text, 'SUCCESS', 'and another one');

-- A part of it, and Toss's webhook
\! curl -sS "$TOSS_CONTROL_URL/cancel" -d '{"paymentKey": "key_dash_1", "amount": 1500}' >/dev/null
SELECT is(refunded_amount, 0::numeric, 'we do not know it yet') FROM payments.payment WHERE order_id = 'dash-1';
\set webhooks `curl -sS "$TOSS_CONTROL_URL/webhooks"`
SELECT ok(pg_temp.pass_on(:'webhooks') >= 1, 'Toss tells us');
CALL pg_temp.until($$SELECT refunded_amount > 0 FROM payments.payment WHERE order_id = 'dash-1'$$);
SELECT results_eq($$SELECT status::text, psp_status, refunded_amount, refunding_amount, is_refunded FROM payments.payment WHERE order_id = 'dash-1'$$,
	$$VALUES ('SUCCESS', 'PARTIAL_CANCELED', 1500::numeric, 0::numeric, false)$$, 'the order has it');
SELECT is(concat_ws(', ', origin, status, amount, reason, requested_by), 'psp, SUCCESS, 1500, 대시보드 취소, PSP', 'as a refund that is not ours')
	FROM payments.refunds WHERE order_id = 'dash-1';
SELECT results_eq($$SELECT (l ->> 'seller_id')::int, (l ->> 'amount')::numeric FROM payments.refunds, jsonb_array_elements(lines) l WHERE order_id = 'dash-1'$$,
	$$VALUES (721, 1000::numeric), (722, 500)$$, 'each seller gives of what he got');
CALL pg_temp.until($$SELECT count(*) > 0 FROM payments.fetch_events('dash_mailer') WHERE order_id = 'dash-1' AND kind LIKE 'refund.%'$$);
SELECT is(string_agg(concat_ws(', ', kind, payload ->> 'amount', payload ->> 'reason'), '; '), 'refund.recorded, 1500, 대시보드 취소', 'and the shop is told')
	FROM payments.fetch_events('dash_mailer') WHERE order_id = 'dash-1' AND kind LIKE 'refund.%';
\set webhooks `curl -sS "$TOSS_CONTROL_URL/webhooks"`
SELECT is(pg_temp.pass_on(:'webhooks'), 0::bigint, 'Toss says it again');

-- The shop's own refund knows of it
SELECT throws_ok($$SELECT payments.refund('dash-1', 'too much', 13501)$$, 'PY032', NULL, 'there is less left than was paid');
SELECT payments.refund('dash-1', 'the rest') AS rest \gset
SELECT is(payments.wait_for_refund('dash-1', :rest, '1 min')::text, 'SUCCESS', 'the rest goes back');
SELECT results_eq($$SELECT refunded_amount, is_refunded FROM payments.payment WHERE order_id = 'dash-1'$$, $$VALUES (15000::numeric, true)$$, 'to the last won');

-- All of another one, and no webhook: an operator has Toss asked
\! curl -sS "$TOSS_CONTROL_URL/settings" -d '{"webhookLosePercent": 100}' >/dev/null
\! curl -sS "$TOSS_CONTROL_URL/cancel" -d '{"paymentKey": "key_dash_2"}' >/dev/null
\! curl -sS "$TOSS_CONTROL_URL/settings" -d '{"webhookLosePercent": 0, "cancelIntervalMs": 1000}' >/dev/null
SET ROLE dash_operator;
SELECT lives_ok($$SELECT payments.retry('dash-2', 'the buyer says that he has his money back')$$, 'the operator looks');
SET ROLE dash_shop;
CALL pg_temp.until($$SELECT is_refunded FROM payments.payment WHERE order_id = 'dash-2'$$);
SELECT results_eq($$SELECT status::text, psp_status, refunded_amount, is_refunded FROM payments.payment WHERE order_id = 'dash-2'$$,
	$$VALUES ('SUCCESS', 'CANCELED', 15000::numeric, true)$$, 'and so he has');

-- What Toss has, and what we have
RESET ROLE;
\set journal `curl -sS "$TOSS_CONTROL_URL/journal"`
SELECT is(string_agg(DISTINCT concat_ws(' ', account, left_over), ', '), 'psp:toss 0, seller:721 0, seller:722 0', 'nothing is left with Toss, nor with the sellers')
	FROM (SELECT order_id, account, sum(coalesce(debit, - credit)) AS left_over FROM payments.ledger WHERE order_id LIKE 'dash-%'
		AND account IN ('psp:toss', 'seller:721', 'seller:722') GROUP BY 1, 2) l;
SELECT is(sum(balance), 0::numeric, 'whose wallets are empty') FROM payments.wallet WHERE seller_id IN (721, 722);
SELECT is((SELECT sum((j ->> 'amount')::numeric * CASE j ->> 'kind' WHEN 'charge' THEN 1 ELSE -1 END) FROM string_to_table(:'journal', E'\n') line,
	LATERAL (SELECT line::jsonb) l (j) WHERE line <> '' AND j ->> 'orderId' LIKE 'dash-%'), 0::numeric, 'Toss says so, too');
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');
SELECT * FROM finish();
DROP OWNED BY dash_shop, dash_operator;
DROP ROLE dash_shop, dash_operator;
