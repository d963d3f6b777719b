-- Who may do what: the shop, the operator, the auditor, and everybody else.
BEGIN;
SELECT plan(29);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
CREATE ROLE operator;
CREATE ROLE auditor;
CREATE ROLE passer_by;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('operator', 'operator') IS NULL AS ready \gset
SELECT payments.grant_to('auditor', 'auditor') IS NULL AS ready \gset

SET ROLE shop;
SELECT lives_ok($$SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 10}]', order_id => 'roles-1')$$, 'the shop sells');
SELECT lives_ok($$SELECT payments.confirm('roles-1', 'key_1', 10)$$, 'and confirms');
SELECT lives_ok($$SELECT * FROM payments.payment$$, 'and reads its orders');
SELECT lives_ok($$SELECT * FROM payments.fetch_events('shop')$$, 'and the feed');
SELECT throws_ok($$SELECT * FROM payments.payment_order$$, '42501', NULL, 'but no table');
SELECT throws_ok($$UPDATE payments.payment_order SET ledger_updated = true$$, '42501', NULL, 'still less writes one');
SELECT throws_ok($$SELECT payments.post('x', 'test', '[]')$$, '42501', NULL, 'and does not touch the ledger');
SELECT throws_ok($$SELECT payments.retry('roles-1')$$, '42501', NULL, 'or the calls');
SELECT throws_ok($$SELECT * FROM payments.psp_call$$, '42501', NULL, 'whose idempotency keys it never sees');
SELECT throws_ok($$SELECT payments.grant_to('passer_by', 'application')$$, '42501', NULL, 'and hands nothing on');

SET ROLE operator;
SELECT lives_ok($$SELECT payments.retry('roles-1')$$, 'the operator pushes a call');
SELECT lives_ok($$SELECT * FROM payments.open_calls$$, 'and sees what is open');
SELECT lives_ok($$SELECT * FROM payments.stuck_orders$$, 'and what is stuck');
SELECT lives_ok($$SELECT payments.set_seller(1, 0.03)$$, 'and sets a seller''s rate');
SELECT throws_ok($$SELECT payments.set_merchant('default', 'test_ck_mine')$$, '42501', NULL, 'but cannot move a merchant''s keys');
SELECT throws_ok($$SELECT payments.confirm('roles-1', 'key_1', 10)$$, '42501', NULL, 'the operator does not buy');
SELECT throws_ok($$UPDATE payments.psp_call_queue SET state = 'P'$$, '42501', NULL, 'and writes no table either');
SELECT throws_ok($$DELETE FROM payments.payment_order_history$$, '42501', NULL, 'least of all the history');

SET ROLE auditor;
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the auditor proves the books');
SELECT lives_ok($$SELECT * FROM payments.ledger$$, 'and reads them');
SELECT lives_ok($$SELECT * FROM payments.trial_balance$$, 'balanced');
SELECT lives_ok($$SELECT * FROM payments.payment_order_history$$, 'with all their history');
SELECT throws_ok($$SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 10}]')$$, '42501', NULL, 'but buys nothing');
SELECT throws_ok($$SELECT payments.retry('roles-1')$$, '42501', NULL, 'and pushes nothing');
SELECT throws_ok($$SELECT payments.reverse(1, 'no')$$, '42501', NULL, 'and corrects nothing');

SET ROLE passer_by;
SELECT throws_ok($$SELECT payments.status('roles-1')$$, '42501', NULL, 'everybody else asks nothing');
SELECT throws_ok($$SELECT * FROM payments.payment$$, '42501', NULL, 'and sees nothing');
SELECT throws_ok($$SELECT payments.version()$$, '42501', NULL, 'not even the version');

RESET ROLE;
SELECT is((SELECT count(*) FROM pg_proc WHERE pronamespace = 'payments'::regnamespace AND has_function_privilege('passer_by', oid, 'execute')),
	0::bigint, 'since PUBLIC may call no function at all');

SELECT * FROM finish();
ROLLBACK;
