-- A buyer buys: what a shop's server does from the cart to the answer.
BEGIN;
SELECT plan(21);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset

-- The shop has a table of its own, and keeps it in step in its own transaction.
CREATE TABLE my_orders (id text PRIMARY KEY, state payments.payment_order_status);
GRANT ALL ON my_orders TO shop;
SET ROLE shop;

SELECT results_eq(
	$$SELECT order_id, amount, currency, order_name FROM payments.checkout(7,
		'[{"seller_id": 1, "unit_price": 12000, "quantity": 2, "product_id": "A-1", "name": "머그컵"},
		  {"seller_id": 2, "amount": 3500, "name": "엽서"}]', order_id => 'story-0001')$$,
	$$VALUES ('story-0001', 27500::numeric, 'KRW', '머그컵 외 1건')$$,
	'checkout computes the total and names the order');
INSERT INTO my_orders VALUES ('story-0001', 'NOT_STARTED');

SELECT is(payments.status('story-0001')::text, 'NOT_STARTED', 'a new order has not started');
SELECT is(payments.widget('story-0001') -> 'amount', '{"currency": "KRW", "value": 27500}',
	'the widget is given our amount');
SELECT is(payments.widget('story-0001') ->> 'orderId', 'story-0001', 'and our order id');
SELECT is(payments.widget('story-0001') ->> 'clientKey', 'test_ck_story', 'and the public key of the merchant');
SELECT ok(payments.widget('story-0001') ->> 'customerKey' <> '7', 'but not our number for the buyer');

-- The buyer authenticates; Toss redirects to the success URL.
SELECT is(payments.confirm('story-0001', 'tgen_20240101abcd', 27500)::text, 'EXECUTING',
	'the success redirect is confirmed');
UPDATE my_orders SET state = payments.status(id);
SELECT is(state::text, 'EXECUTING', 'the shop''s own table is in the same transaction') FROM my_orders;
SELECT throws_ok($$SELECT payments.wait_for('story-0001')$$, 'PY009', NULL,
	'one cannot wait for a call that is not committed');
SELECT throws_ok($$CALL payments.pay('story-0001', 'tgen_20240101abcd', 27500, '1 s', NULL)$$, '25001', NULL,
	'nor pay in one go inside a transaction');
SELECT throws_ok($$SELECT payments.widget('story-0001')$$, 'PY007', NULL, 'the payment page is over');

-- What the shop's page shows
SELECT results_eq(
	$$SELECT status::text, payment_key, jsonb_array_length(lines), is_payment_done, is_expired
		FROM payments.payment WHERE order_id = 'story-0001'$$,
	$$VALUES ('EXECUTING', 'tgen_20240101abcd' COLLATE "C", 2, false, false)$$,
	'one row says everything about the order');
SELECT results_eq(
	$$SELECT l ->> 'name', (l ->> 'amount')::numeric, l ->> 'status' FROM payments.payment p, jsonb_array_elements(lines) l
		WHERE order_id = 'story-0001'$$,
	$$VALUES ('머그컵', 24000::numeric, 'EXECUTING'), ('엽서', 3500, 'EXECUTING')$$,
	'with its lines, in the order they were given');

-- Behind the scenes
RESET ROLE;
SELECT is(count(*), 1::bigint, 'one call is queued') FROM payments.psp_call_queue WHERE order_id = 'story-0001';
SELECT is(request_body, '{"paymentKey":"tgen_20240101abcd","orderId":"story-0001","amount":27500}',
	'with the very bytes to send') FROM payments.psp_call WHERE order_id = 'story-0001';
SELECT results_eq(
	$$SELECT from_status::text, to_status::text, reason FROM payments.payment_order_history WHERE order_id = 'story-0001'$$,
	$$VALUES ('NOT_STARTED', 'EXECUTING', 'confirm accepted'), ('NOT_STARTED', 'EXECUTING', 'confirm accepted')$$,
	'and the history has a row for each line');
SELECT is_empty($$SELECT * FROM payments.ledger_transaction WHERE order_id = 'story-0001'$$,
	'no money is booked before Toss has said so');
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');

-- A price in dollars
SET ROLE shop;
SELECT is((payments.checkout(8, '[{"seller_id": 1, "unit_price": 0.10, "quantity": 3}]', order_id => 'story-0002', currency => 'USD')).amount,
	0.30, 'thirty cents are thirty cents');
SELECT is(payments.confirm('story-0002', 'tgen_usd', 0.3)::text, 'EXECUTING', 'however they are written');
SELECT throws_ok($$SELECT payments.checkout(8, '[{"seller_id": 1, "amount": 0.105}]', currency => 'USD')$$, '22023',
	'line 1: amount has more decimal digits than its currency', 'half a cent is no money');

SELECT * FROM finish();
ROLLBACK;
