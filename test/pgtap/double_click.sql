-- The buyer is impatient: everything arrives twice, and happens once.
BEGIN;
SELECT plan(15);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SET ROLE shop;
PREPARE buy AS SELECT amount FROM payments.checkout(7, '[{"seller_id": 1, "amount": 15000, "name": "Tea"}]',
	order_id => 'twice-1', metadata => '{"cart": 1}');

SELECT results_eq('buy', ARRAY[15000::numeric], 'the button is pressed');
SELECT results_eq('buy', ARRAY[15000::numeric], 'and pressed again');
SELECT is(count(*), 1::bigint, 'there is one order') FROM payments.payment WHERE order_id = 'twice-1';
SELECT throws_ok($$SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 15000}]', order_id => 'twice-1', metadata => '{"cart": 1}')$$,
	'PY002', 'order "twice-1" exists with other content', 'another cart is another order');

SELECT is(payments.confirm('twice-1', 'key_1', 15000)::text, 'EXECUTING', 'the redirect arrives');
SELECT is(payments.confirm('twice-1', 'key_1', 15000)::text, 'EXECUTING', 'the page is reloaded');
SELECT is(payments.confirm('twice-1', 'key_1', 15000.00)::text, 'EXECUTING', 'by another server, which writes amounts with decimals');
SELECT results_eq('buy', ARRAY[15000::numeric], 'the cart is sent once more from an old tab');
SELECT throws_ok($$SELECT payments.confirm('twice-1', 'key_2', 15000)$$, 'PY005',
	'order "twice-1" was confirmed with another payment key', 'a second payment for the order is refused');
SELECT is(payments.fail('twice-1', 'PAY_PROCESS_CANCELED', 'closed')::text, 'EXECUTING', 'the other tab fails, which changes nothing');

RESET ROLE;
SELECT is(count(*), 1::bigint, 'one call is queued') FROM payments.psp_call WHERE order_id = 'twice-1';
SELECT is(count(*), 1::bigint, 'the history has one transition') FROM payments.payment_order_history WHERE order_id = 'twice-1';
SELECT is(count(*), 0::bigint, 'and nobody was told of a failure') FROM payments.event WHERE order_id = 'twice-1';
-- even by force there is no second open call
SELECT throws_ok($$INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at)
	SELECT id, order_id, 1, now() FROM payments.psp_call WHERE order_id = 'twice-1'$$, '23505', NULL, 'a second open call cannot be made by hand');
SELECT throws_ok($$UPDATE payments.payment_event SET payment_key = 'key_2' WHERE order_id = 'twice-1'$$, 'PY010', NULL,
	'nor can the payment key be exchanged');

SELECT * FROM finish();
ROLLBACK;
