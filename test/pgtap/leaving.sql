-- The buyer leaves: closes the window, is refused by the bank, comes too late.
BEGIN;
SELECT plan(23);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SET ROLE shop;
SELECT count(payments.checkout(7, '[{"seller_id": 1, "amount": 100}, {"seller_id": 2, "amount": 50}]', order_id => 'leave-' || n)) AS made
	FROM generate_series(1, 2) n \gset
SELECT count(payments.checkout(7, '[{"seller_id": 1, "amount": 100}]', order_id => 'leave-late', expires_in => '1 us')) AS made \gset

-- The fail redirect
SELECT is(payments.fail('leave-1', 'PAY_PROCESS_CANCELED', '사용자가 결제를 취소했습니다')::text, 'FAILURE', 'the buyer closed the window');
SELECT results_eq(
	$$SELECT status::text, failure_code, status_reason FROM payments.payment WHERE order_id = 'leave-1'$$,
	$$VALUES ('FAILURE', 'PAY_PROCESS_CANCELED', 'fail redirect: 사용자가 결제를 취소했습니다')$$, 'the shop can say why');
SELECT is(payments.fail('leave-1', 'OTHER', 'again')::text, 'FAILURE', 'the redirect may come twice');
SELECT is(failure_code, 'PAY_PROCESS_CANCELED', 'the first reason stays') FROM payments.payment WHERE order_id = 'leave-1';
SELECT is(payments.confirm('leave-1', 'key_1', 150)::text, 'FAILURE', 'a success redirect that comes after it pays nothing');
SELECT is(payments.wait_for('leave-1', '1 day')::text, 'FAILURE', 'nobody waits for what is over');
SELECT throws_ok($$SELECT payments.widget('leave-1')$$, 'PY007', NULL, 'its payment page is gone');
SELECT throws_ok($$SELECT payments.fail('leave-9', 'CODE', 'message')$$, 'PY001', NULL, 'a failure of an unknown order is an error');

-- Too late
SELECT ok(is_expired, 'the order expires') FROM payments.payment WHERE order_id = 'leave-late';
SELECT throws_ok($$SELECT payments.confirm('leave-late', 'key_2', 100)$$, 'PY006', 'order "leave-late" has expired', 'and cannot be paid any more');
SELECT throws_ok($$SELECT payments.widget('leave-late')$$, 'PY006', NULL, 'nor shown');
SELECT is(payments.status('leave-late')::text, 'NOT_STARTED', 'no money has moved');

SELECT is(payments.retry_checkout('leave-late', 'leave-late-2')::text ~ '^\(leave-late-2,100,KRW,', true, 'the buyer comes back: a fresh order of the same lines');
SELECT is((payments.retry_checkout('leave-late')).order_id, 'leave-late-2', 'and presses again: the same');
SELECT is(payments.confirm('leave-late-2', 'key_4', 100)::text, 'EXECUTING', 'he pays');
SELECT throws_ok($$SELECT payments.retry_checkout('leave-late')$$, 'PY030', NULL, 'and not again');
SELECT results_eq($$SELECT status::text, failure_code FROM payments.payment WHERE order_id = 'leave-late'$$,
	$$VALUES ('FAILURE', 'EXPIRED')$$, 'the first order has ended');

-- The shop rolls back
SAVEPOINT before;
SELECT is(payments.confirm('leave-2', 'key_3', 150)::text, 'EXECUTING', 'confirmed,');
ROLLBACK TO before;
SELECT is(payments.status('leave-2')::text, 'NOT_STARTED', 'and not confirmed: the shop''s own statement failed');

RESET ROLE;
SELECT is(payments.expire_checkouts(), 0, 'nothing else has expired');
SELECT results_eq($$SELECT order_id FROM payments.psp_call$$, $$VALUES ('leave-late-2' COLLATE "C")$$, 'one thing is sent to Toss');
SELECT results_eq($$SELECT kind, order_id, payload ->> 'code' FROM payments.event ORDER BY id$$,
	$$VALUES ('payment.failed' COLLATE "C", 'leave-1' COLLATE "C", 'PAY_PROCESS_CANCELED'), ('payment.failed', 'leave-late', 'EXPIRED')$$,
	'each failure was told once');
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');

SELECT * FROM finish();
ROLLBACK;
