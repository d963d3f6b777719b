-- A shop whose buyers pay by bank deposit: it shows them where to pay, and gives
-- money back to accounts that it asks for and does not keep.
BEGIN;
SELECT plan(16);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
CREATE ROLE operator;
CREATE ROLE auditor;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('operator', 'operator') IS NULL AS ready \gset
SELECT payments.grant_to('auditor', 'auditor') IS NULL AS ready \gset

-- two buyers; the PSP issues an account for each
SET ROLE shop;
SELECT is((payments.checkout(n, '[{"seller_id": 31, "amount": 45000, "name": "chair"}]', order_id => 'chair-000' || n)).amount, 45000::numeric, 'a chair')
	FROM generate_series(1, 2) n;
SELECT is(payments.confirm('chair-000' || n, 'key_chair_' || n, 45000)::text, 'EXECUTING', 'confirmed') FROM generate_series(1, 2) n;
RESET ROLE;
INSERT INTO payments.virtual_account (order_id, bank_code, account_number, due_at, issued_at)
	SELECT 'chair-000' || n, '20', 'X000' || n, now() + interval '7 days', now() FROM generate_series(1, 2) n;
SET ROLE shop;
SELECT results_eq($$SELECT account_bank, account_number, account_due_at > now(), deposit_status FROM payments.payment WHERE order_id = 'chair-0001'$$,
	$$VALUES ('20', 'X0001', true, 'awaited')$$, 'the first is shown where to pay');
SELECT throws_ok($$SELECT payments.refund('chair-0001', 'changed my mind')$$, 'PY031', 'order "chair-0001" cannot be refunded', 'nothing was paid yet');

-- what the worker would have learnt: both have paid
RESET ROLE;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'chair-%';
SET ROLE operator;
SELECT is(payments.resolve('chair-000' || n, 'succeeded', 'seen', 45000, 'key_chair_' || n)::text, 'SUCCESS', 'paid') FROM generate_series(1, 2) n;

-- the first one wants a part of it back: to which account?
SET ROLE shop;
SELECT is(deposit_status, 'received', 'the deposit is there') FROM payments.payment WHERE order_id = 'chair-0001';
SELECT throws_ok($$SELECT payments.refund('chair-0001', 'a scratch', 5000)$$, '22023', 'refund_account of order "chair-0001" is missing',
	'a deposit does not go back the way it came');
SELECT throws_ok($$SELECT payments.refund('chair-0001', 'a scratch', 5000, refund_account => '{"bank": "88", "account_number": "110-x", "holder_name": "Kim"}')$$,
	'22023', 'refund_account has no usable account_number', 'a slip of the pen is told');
PREPARE refund(text, numeric, jsonb) AS SELECT payments.refund($1, 'a scratch', $2, refund_account => $3, idempotency_key => 'scratch') > 0;
SELECT lives_ok($$EXECUTE refund('chair-0001', 5000, '{"bank": "88", "account_number": "110-123", "holder_name": "Kim"}')$$, 'to this one');
SELECT lives_ok($$EXECUTE refund('chair-0001', 5000, '{"bank": "88", "account_number": "110123", "holder_name": "Kim"}')$$, 'asked for twice it is one refund');

-- whoever looks at refunds does not see where they go
SELECT is((SELECT count(*) FROM payments.refunds r WHERE order_id = 'chair-0001' AND r::text ~ '110'), 0::bigint, 'the shop sees the refund, and not the account');
SET ROLE operator;
SELECT throws_ok('SELECT * FROM payments.refund_account', '42501', NULL, 'the operator does not see accounts');
SET ROLE auditor;
SELECT throws_ok('SELECT * FROM payments.refund_account', '42501', NULL, 'nor does the auditor');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
