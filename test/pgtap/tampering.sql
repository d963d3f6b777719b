-- Somebody plays with the redirect: amounts, keys and order ids of others.
BEGIN;
SELECT plan(24);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SET ROLE shop;
SELECT count(payments.checkout(7, '[{"seller_id": 1, "amount": 150000}]', order_id => 'victim-1')) AS made \gset
SELECT count(payments.checkout(8, '[{"seller_id": 1, "amount": 100}]', order_id => 'cheap-1')) AS made \gset
PREPARE victim AS SELECT to_jsonb(p) - 'is_expired' FROM payments.payment p WHERE order_id = 'victim-1';
CREATE TEMP TABLE before AS EXECUTE victim;

SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 100)$$, 'PY003',
	'amount of order "victim-1" does not match', 'a phone for 100 won is refused');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 149999)$$, 'PY003', NULL, 'one won less is refused');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 150001)$$, 'PY003', NULL, 'one won more is refused');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 150000.4)$$, '22023', NULL, 'what rounds to it is refused');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', -150000)$$, '22023', NULL, 'a negative amount is refused');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 0)$$, '22023', NULL, 'nothing is refused');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 'NaN')$$, '22023', NULL, 'NaN is not equal to anything');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', 'Infinity')$$, '22023', NULL, 'infinity neither');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_1', NULL)$$, '22004', NULL, 'a missing amount does not match');
SELECT results_eq('victim', 'SELECT * FROM before', 'after all that the order is exactly as it was');
SELECT is(payments.confirm('victim-1', 'key_1', 150000)::text, 'EXECUTING', 'and its buyer can still pay it');

-- A cheap payment's key for an expensive order, and the other way round
SELECT is(payments.confirm('cheap-1', 'key_cheap', 100)::text, 'EXECUTING', 'the attacker pays 100 won honestly');
SELECT count(payments.checkout(8, '[{"seller_id": 1, "amount": 90000}]', order_id => 'wanted-1')) AS made \gset
SELECT throws_ok($$SELECT payments.confirm('wanted-1', 'key_cheap', 90000)$$, 'PY005',
	'payment key given for order "wanted-1" belongs to another order', 'that payment does not pay another order');
SELECT throws_ok($$SELECT payments.confirm('victim-1', 'key_cheap', 150000)$$, 'PY005', NULL,
	'nor replace the payment of an order under way');
SELECT is(payments.status('wanted-1')::text, 'NOT_STARTED', 'the wanted order waits for its own payment');

-- Keys that would end up in a URL or a JSON body
SELECT throws_ok($$SELECT payments.confirm('wanted-1', '../payments/other', 90000)$$, '22023', NULL, 'a path is no key');
SELECT throws_ok($$SELECT payments.confirm('wanted-1', 'k","amount":1,"x":"', 90000)$$, '22023', NULL, 'a piece of JSON is no key');
SELECT throws_ok($$SELECT payments.confirm('wanted-1', E'k\r\nX-Evil: 1', 90000)$$, '22023', NULL, 'a header is no key');

-- A price that came from the browser
SELECT throws_ok($$SELECT payments.checkout(8, '[{"seller_id": 1, "amount": "90000"}]')$$, '22023', NULL, 'a price in quotes is refused');
SELECT throws_ok($$SELECT payments.checkout(8, '[{"seller_id": 1, "amount": 90000}, {"seller_id": 1, "amount": -89999}]')$$, '22023', NULL,
	'a negative line cannot make the total small');
SELECT throws_ok($$SELECT payments.checkout(8, '[{"seller_id": 1, "unit_price": 90000, "quantity": 0.001}]')$$, '22023', NULL,
	'nor a thousandth of a piece');
SELECT throws_ok($$SELECT payments.checkout(8, '[{"seller_id": 1, "amount": 100}]', order_id => 'wanted-1')$$, 'PY002', NULL,
	'nor a second checkout of the same order at another price');

-- A stranger's order cannot be killed
SELECT is(payments.fail('victim-1', 'PAY_PROCESS_CANCELED', 'ha')::text, 'EXECUTING', 'a forged fail redirect does not stop a payment');
RESET ROLE;
SELECT is((SELECT count(*) FROM payments.psp_call), 2::bigint, 'only the two honest payments are on their way');

SELECT * FROM finish();
ROLLBACK;
