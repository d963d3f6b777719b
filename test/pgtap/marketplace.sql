-- A marketplace: several sellers in one cart, each with its own commission.
BEGIN;
SELECT plan(14);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
CREATE ROLE operator;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('operator', 'operator') IS NULL AS ready \gset

SET ROLE operator;
SELECT lives_ok($$SELECT payments.set_seller(11, 0.035)$$, 'seller 11 pays 3.5 percent');
SELECT lives_ok($$SELECT payments.set_seller(12, 0.1)$$, 'seller 12 pays ten');
SELECT throws_ok($$SELECT payments.set_seller(13, 1)$$, '22023', NULL, 'nobody pays everything');
SELECT throws_ok($$SELECT payments.set_seller(13, 'NaN')$$, '22023', NULL, 'or NaN');

SET ROLE shop;
SELECT is((payments.checkout(7, '[{"seller_id": 11, "amount": 10000}, {"seller_id": 12, "amount": 3333},
	{"seller_id": 11, "amount": 28}, {"seller_id": 99, "amount": 500}]', order_id => 'market-1')).amount, 13861::numeric,
	'one cart, one total, one payment');
SELECT throws_ok($$SELECT payments.set_seller(11, 0)$$, '42501', NULL, 'the shop does not set commissions');
PREPARE commissions AS SELECT (l ->> 'seller_id')::int, (l ->> 'commission')::numeric
	FROM payments.payment p, jsonb_array_elements(lines) l WHERE order_id = 'market-1';
SELECT results_eq('commissions', $$VALUES (11, 350::numeric), (12, 333), (11, 0), (99, 0)$$,
	'each line has its seller''s commission, cut to whole won in favour of the seller');

-- The rate changes while the buyer is at the payment page
SET ROLE operator;
SELECT lives_ok($$SELECT payments.set_seller(11, 0.5)$$, 'seller 11 gets a new rate');
SET ROLE shop;
SELECT is(payments.confirm('market-1', 'key_market', 13861)::text, 'EXECUTING', 'the buyer pays');
SELECT results_eq('commissions', $$VALUES (11, 350::numeric), (12, 333), (11, 0), (99, 0)$$, 'at the commission of the checkout');
SELECT is((payments.checkout(7, '[{"seller_id": 11, "amount": 10000}]', order_id => 'market-2')).amount, 10000::numeric, 'a new cart');
SELECT is((lines -> 0 ->> 'commission')::numeric, 5000::numeric, 'has the new rate') FROM payments.payment WHERE order_id = 'market-2';

RESET ROLE;
SELECT throws_ok($$UPDATE payments.payment_order SET commission = 0 WHERE order_id = 'market-1'$$, 'PY010', NULL,
	'what was agreed cannot be changed, by nobody');
SELECT ok(bool_and(commission >= 0 AND commission < amount), 'no seller ever owes for a sale') FROM payments.payment_order;

SELECT * FROM finish();
ROLLBACK;
