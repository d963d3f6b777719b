-- Goods come back: the shop refunds part of an order, then a line, then the rest.
BEGIN;
SELECT plan(17);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
CREATE ROLE operator;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('operator', 'operator') IS NULL AS ready \gset

SET ROLE shop;
SELECT is((payments.checkout(7, '[{"seller_id": 11, "amount": 10000, "name": "tea"}, {"seller_id": 12, "amount": 5000, "name": "cup"}]',
	order_id => 'return-1')).amount, 15000::numeric, 'tea and a cup');
SELECT throws_ok($$SELECT payments.refund('return-1', 'changed my mind')$$, 'PY031', 'order "return-1" cannot be refunded',
	'what nobody paid is not refunded');
SELECT is(payments.confirm('return-1', 'key_return', 15000)::text, 'EXECUTING', 'the buyer pays');
SELECT throws_ok($$SELECT payments.refund('return-1', 'changed my mind')$$, 'PY031', 'order "return-1" cannot be refunded',
	'nor what may not be paid yet');

-- the PSP's answer got lost, and an operator saw in its dashboard that it was paid
RESET ROLE;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id = 'return-1';
SET ROLE operator;
SELECT is(payments.resolve('return-1', 'succeeded', 'seen', 15000, 'key_return')::text, 'SUCCESS', 'it is paid');

SET ROLE shop;
SELECT payments.refund('return-1', '차가 식었어요', 1500, idempotency_key => 'complaint-1') AS part \gset
SELECT results_eq(format('SELECT status::text, amount, reason FROM payments.refunds WHERE refund_id = %s', :part),
	$$VALUES ('EXECUTING', 1500::numeric, '차가 식었어요')$$, 'part of the price goes back');
SELECT results_eq(format($$SELECT (l ->> 'seller_id')::int, (l ->> 'amount')::numeric FROM payments.refunds, jsonb_array_elements(lines) l
	WHERE refund_id = %s$$, :part), $$VALUES (11, 1000::numeric), (12, 500)$$, 'each seller gives of what it got');
SELECT is(payments.refund('return-1', '차가 식었어요', 1500, idempotency_key => 'complaint-1'), :part::bigint,
	'the request that got lost on the way is repeated, and it is the same refund');
SELECT throws_ok($$SELECT payments.refund('return-1', '차가 식었어요', 2500, idempotency_key => 'complaint-1')$$, 'PY033', NULL,
	'another amount is another refund, and needs another key');
SELECT (l ->> 'payment_order_id') AS cup FROM payments.payment p, jsonb_array_elements(p.lines) l
	WHERE order_id = 'return-1' AND l ->> 'name' = 'cup' \gset
SELECT payments.refund('return-1', 'the cup is broken', payment_order_id => :cup) AS cup_refund \gset
SELECT is((SELECT amount FROM payments.refunds WHERE refund_id = :cup_refund), 4500::numeric, 'the rest of the cup');
SELECT is(payments.wait_for_refund('return-1', :cup_refund, '0 s')::text, 'REQUESTED', 'which waits for its turn');
SELECT throws_ok($$SELECT payments.refund('return-1', 'too much', 9001)$$, 'PY032', NULL, 'no more than is left');
SELECT isnt(payments.refund('return-1', 'all of it'), NULL, 'but all of that');
SELECT throws_ok($$SELECT payments.refund('return-1', 'again')$$, 'PY032', NULL, 'and then nothing');
SELECT results_eq($$SELECT status::text, refunded_amount, refunding_amount, is_refunded FROM payments.payment WHERE order_id = 'return-1'$$,
	$$VALUES ('SUCCESS', 0::numeric, 15000::numeric, false)$$, 'all of it is on its way back');
SELECT throws_ok($$UPDATE payments.refund SET amount = 1$$, '42501', NULL, 'the shop writes no tables');
SELECT throws_ok($$SELECT payments.set_refund_policy('default', true)$$, '42501', NULL, 'and does not decide who may owe');

SELECT * FROM finish();
ROLLBACK;
