-- The PSP does not answer, for hours: nobody but a person can say what happened to
-- the money.  He sees what waits for him, looks in the PSP's dashboard, and says it.
BEGIN;
SELECT plan(32);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
CREATE ROLE operator;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('operator', 'operator') IS NULL AS ready \gset

SET ROLE shop;
SELECT is((payments.checkout(7, '[{"seller_id": 31, "amount": 8000, "name": "lamp"}]', order_id => 'quiet-' || n)).amount, 8000::numeric, 'a lamp')
	FROM generate_series(1, 3) n;
SELECT is(payments.confirm('quiet-' || n, 'key_quiet_' || n, 8000)::text, 'EXECUTING', 'is being paid') FROM generate_series(1, 2) n;
SET ROLE operator;
SELECT is_empty($$SELECT * FROM payments.waits_for_person$$, 'nobody has to do anything');
SELECT throws_ok($$SELECT payments.resolve('quiet-1', 'failed', 'I am sure')$$, 'PY025', NULL, 'nor may he: it is not decided at the PSP yet');

-- what the worker does when the PSP has not answered for an hour
RESET ROLE;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'quiet-%';
INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)
	SELECT id, 1, order_id, 'confirm', 1, clock_timestamp() - interval '1 hour' FROM payments.psp_call;
INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
	SELECT id, 1, order_id, 'confirm', 'no answer', 'no answer', false, 'give up', 0, clock_timestamp() - interval '59 min' FROM payments.psp_call;

-- what he sees
SET ROLE operator;
SELECT is(string_agg(concat_ws(' ', kind, order_id, what_to_do <> ''), ', ' ORDER BY order_id), 'payment quiet-1 t, payment quiet-2 t', 'two wait for a person, who is told what to do')
	FROM payments.waits_for_person;
SELECT is(string_agg(DISTINCT what_to_do, ' | ') ~ 'payments\.resolve', true, 'and by which function') FROM payments.waits_for_person;
SELECT is(count(*), 2::bigint, 'the list of calls that are open has them') FROM payments.open_calls WHERE order_id LIKE 'quiet-%';
SELECT ok(bool_or(story ~ 'waits for a person|payments\.resolve'), 'so has the story of the order') FROM payments.explain('quiet-1');
SET ROLE shop;
SELECT throws_ok($$SELECT payments.resolve('quiet-1', 'succeeded', 'please', 8000, 'key_quiet_1')$$, '42501', NULL, 'the shop does not decide it');
SELECT throws_ok($$SELECT payments.retry_checkout('quiet-1')$$, 'PY030', NULL, 'and sells nothing twice meanwhile');

-- what he says, and what he cannot say
SET ROLE operator;
SELECT throws_ok($$SELECT payments.resolve('quiet-1', 'succeeded', 'kim: DONE in the dashboard', 9000, 'key_quiet_1')$$, 'PY003', NULL, 'he has read another amount');
SELECT throws_ok($$SELECT payments.resolve('quiet-1', 'succeeded', 'kim: DONE in the dashboard', 8000, 'key_quiet_2')$$, 'PY005', NULL, 'or another payment');
SELECT throws_ok($$SELECT payments.resolve('quiet-1', 'succeeded', '', 8000, 'key_quiet_1')$$, '22023', NULL, 'or gives no reason');
SELECT throws_ok($$SELECT payments.resolve('quiet-3', 'failed', 'never mind')$$, 'PY025', NULL, 'or speaks of one that nobody paid for');
SELECT is(payments.resolve('quiet-1', 'succeeded', 'kim: DONE in the dashboard', 8000, 'key_quiet_1')::text, 'SUCCESS', 'it was paid');
SELECT is(payments.resolve('quiet-1', 'succeeded', 'kim: DONE in the dashboard', 8000, 'key_quiet_1')::text, 'SUCCESS', 'said twice it is the same');
SELECT throws_ok($$SELECT payments.resolve('quiet-1', 'failed', 'lee: it was not')$$, 'PY025', NULL, 'the other thing cannot be said any more');
SELECT is(payments.resolve('quiet-2', 'failed', 'kim: not in the dashboard')::text, 'FAILURE', 'the other was not paid');
SELECT is_empty($$SELECT * FROM payments.waits_for_person$$, 'nothing waits any more');

-- what the shop sees, and what stays
RESET ROLE;
SELECT is(string_agg(concat_ws(' ', kind, order_id, payload ->> 'code'), ', ' ORDER BY id),
	'payment.confirmed quiet-1, payment.completed quiet-1, payment.failed quiet-2 RESOLVED_BY_OPERATOR', 'the shop is told as if the PSP had')
	FROM payments.event WHERE order_id LIKE 'quiet-%';
SET ROLE shop;
SELECT is((payments.retry_checkout('quiet-2', 'quiet-2-again')).amount, 8000::numeric, 'what was not paid may be paid again');
RESET ROLE;
SELECT is(string_agg(concat_ws(' ', order_id, outcome, note, amount), ', ' ORDER BY order_id),
	'quiet-1 succeeded kim: DONE in the dashboard 8000, quiet-2 failed kim: not in the dashboard', 'who said what, and why') FROM payments.operator_action WHERE order_id LIKE 'quiet-%';
SELECT is(string_agg(concat_ws(' ', order_id, to_status, actor = session_user), ', ' ORDER BY id), 'quiet-1 SUCCESS t, quiet-2 FAILURE t', 'and the history has him')
	FROM payments.payment_order_history WHERE order_id LIKE 'quiet-%' AND to_status <> 'EXECUTING';
SELECT is(balance, 8000::numeric, 'the seller has his money') FROM payments.wallet WHERE seller_id = 31;

-- A refund that nobody answers
SET ROLE shop;
SELECT payments.refund('quiet-1', 'scratched', 3000) AS refund \gset
SET ROLE operator;
SELECT throws_ok(format('SELECT payments.resolve_refund(%L, %s, %L, %L, 3000, %L)', 'quiet-1', :refund, 'succeeded', 'not looked', 'tx'), 'PY025', NULL, 'it is under way');
RESET ROLE;
INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)
	SELECT call_id, 1, order_id, 'cancel', 1, now() - interval '1 hour' FROM payments.psp_call_queue WHERE order_id = 'quiet-1';
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, epoch = 1, first_sent_at = now() - interval '1 hour' WHERE order_id = 'quiet-1';
SET ROLE operator;
SELECT is(string_agg(concat_ws(' ', kind, order_id, refund_id = :refund), ', '), 'refund quiet-1 t', 'a refund waits for a person') FROM payments.waits_for_person;
SELECT is(payments.resolve_refund('quiet-1', :refund, 'succeeded', 'kim: in the dashboard', 3000, 'tx_quiet')::text, 'SUCCESS', 'it went back');
SET ROLE shop;
SELECT is(concat_ws(' ', refunded_amount, refunding_amount), '3000 0', 'and the shop sees it') FROM payments.payment WHERE order_id = 'quiet-1';
RESET ROLE;
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');

SELECT * FROM finish();
ROLLBACK;
