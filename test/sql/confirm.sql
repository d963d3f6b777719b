--
-- confirm and fail: the redirects.  A wrong amount changes nothing, a payment
-- key belongs to one order, and however often an order is confirmed, one call
-- is queued.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_confirm;
SELECT payments.grant_to('regress_confirm', 'application');
SET ROLE regress_confirm;
SELECT amount FROM payments.checkout(201, '[{"seller_id": 1, "amount": 15000}, {"seller_id": 2, "amount": 500}]',
	order_id => 'confirm-1');
SELECT amount FROM payments.checkout(201, '[{"seller_id": 1, "amount": 19.90}]',
	order_id => 'confirm-usd', currency => 'USD');
SELECT amount FROM payments.checkout(202, '[{"seller_id": 1, "amount": 1}]', order_id => 'confirm-2');
SELECT test.order_line('confirm-1');
SELECT payments.status('confirm-1');

--
-- A wrong amount changes nothing
--
CREATE FUNCTION pg_temp.refused(amounts text[], OUT amount text, OUT code text, OUT message text)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT a, t.code, t.message FROM unnest(amounts) WITH ORDINALITY x (a, n),
		test.try(format('SELECT payments.confirm(''confirm-1'', ''pay_1'', %s)', a)) t
	ORDER BY n
$$;
SELECT test.image() AS before \gset
SELECT * FROM pg_temp.refused(ARRAY['15499', '15501', '15000', '500', '1', '1550', '155000', '15500.5', '15500.0000001',
	'0', '-15500', '999999999999999', '1e15', '1e400', '''NaN''', '''Infinity''', '''-Infinity''', 'NULL']);
SELECT t.* FROM test.try($$SELECT payments.confirm('confirm-1', 'pay_1', 1)$$) t;
SELECT a AS dollars, t.code, t.message FROM unnest(ARRAY['19.91', '19.9001', '20', '1990', '19']) WITH ORDINALITY x (a, n),
	test.try(format('SELECT payments.confirm(''confirm-usd'', ''pay_usd'', %s)', a)) t ORDER BY n;
SELECT test.image() = :'before' AS nothing_was_written;

-- nor does a key that cannot be one, or an order that is not there
SELECT left(k, 12) AS payment_key, t.code, t.message FROM unnest(ARRAY['', ' ', '.', '..', 'a/b', 'a b', 'a"b', 'a\b',
		E'a\nb', '결제', repeat('k', 201)]) WITH ORDINALITY x (k, n),
	test.try(format('SELECT payments.confirm(''confirm-1'', %L, 15500)', k)) t ORDER BY n;
SELECT args, t.code, t.message, t.hint FROM unnest(ARRAY[$$NULL, 'pay_1', 15500$$, $$'confirm-1', NULL, 15500$$,
		$$'confirm-1', 'pay_1', NULL$$, $$'confirm-0', 'pay_1', 15500$$, $$'', 'pay_1', 15500$$,
		$$'CONFIRM-1', 'pay_1', 15500$$]) WITH ORDINALITY x (args, n),
	test.try(format('SELECT payments.confirm(%s)', args)) t ORDER BY n;
SELECT test.image() = :'before' AS nothing_was_written;

--
-- The right amount: EXECUTING, one call
--
SELECT payments.confirm('confirm-1', 'pay_1', 15500);
SELECT payments.status('confirm-1');
SELECT test.order_line('confirm-1');
SELECT payment_key, is_payment_done, status_reason, failure_code FROM payments.payment WHERE order_id = 'confirm-1';
RESET ROLE;
-- the bytes that will be sent, and the key that Toss will know them by
SELECT c.merchant, c.operation, c.payment_key, c.currency, c.amount, c.request_body,
		c.idempotency_key = encode(sha256(convert_to(E'confirm\nconfirm-1\npay_1\n0', 'UTF8')), 'hex') AS key_of_payment,
		c.renews_call_id, c.payment_event_id = e.id AS of_event
	FROM payments.psp_call c JOIN payments.payment_event e USING (order_id) WHERE order_id = 'confirm-1';
SELECT state, next_operation, attempt_no, failures, epoch, outcome_unknown, key_answered, first_sent_at, due_at <= now() AS due
	FROM payments.psp_call_queue WHERE order_id = 'confirm-1';
SELECT from_status, to_status, reason, actor = session_user AS by_us
	FROM payments.payment_order_history WHERE order_id = 'confirm-1';
SELECT state, next_operation, attempts FROM payments.open_calls WHERE order_id = 'confirm-1';

-- repeated, any number of times, with any spelling of the amount
SELECT test.image() AS before \gset
SET ROLE regress_confirm;
SELECT payments.confirm('confirm-1', 'pay_1', 15500.00), count(*) FROM generate_series(1, 50) GROUP BY 1;
SELECT test.image() = :'before' AS nothing_was_written;
-- with a wrong amount it is still an error, and with another key
SELECT * FROM pg_temp.refused(ARRAY['15499', '''NaN''', 'NULL']);
SELECT t.* FROM test.try($$SELECT payments.confirm('confirm-1', 'pay_2', 15500)$$) t;
SELECT t.* FROM test.try($$SELECT payments.confirm('confirm-1', 'PAY_1', 15500)$$) t;
-- the key of one order does not pay another
SELECT t.* FROM test.try($$SELECT payments.confirm('confirm-2', 'pay_1', 1)$$) t;
-- what was confirmed cannot be failed from outside
SELECT payments.fail('confirm-1', 'PAY_PROCESS_CANCELED', 'the buyer closed the window');
SELECT test.image() = :'before' AS nothing_was_written;

-- dollars
SELECT payments.confirm('confirm-usd', 'pay_usd', 19.900);
RESET ROLE;
SELECT request_body, amount, currency FROM payments.psp_call WHERE order_id = 'confirm-usd';
SET ROLE regress_confirm;

-- the longest key and order id, and the largest amount
SELECT amount FROM payments.checkout(201, '[{"seller_id": 1, "amount": 999999999999999}]', order_id => repeat('o', 64));
SELECT payments.confirm(repeat('o', 64), repeat('k', 200), 999999999999999);
RESET ROLE;
SELECT octet_length(request_body) AS bytes, request_body::jsonb ->> 'amount' AS amount
	FROM payments.psp_call WHERE order_id = repeat('o', 64);
SET ROLE regress_confirm;

--
-- It belongs to the caller's transaction
--
BEGIN;
SELECT payments.confirm('confirm-2', 'pay_2', 1);
ROLLBACK;
SELECT test.order_line('confirm-2');
BEGIN;
SAVEPOINT s;
SELECT payments.confirm('confirm-2', 'pay_2', 1);
ROLLBACK TO s;
COMMIT;
SELECT test.order_line('confirm-2');
-- after the rollback another key is as good as the first
SELECT payments.confirm('confirm-2', 'pay_2b', 1);
SELECT test.order_line('confirm-2');

--
-- Expired: nobody can pay it any more, and nothing happens to it
--
SELECT amount FROM payments.checkout(201, '[{"seller_id": 1, "amount": 70}]', order_id => 'confirm-late',
	expires_in => '1 us');
SELECT test.image() AS before \gset
SELECT t.code, t.message, t.detail ~ '^It expired at .*\.$' AS says_when, t.hint
	FROM test.try($$SELECT payments.confirm('confirm-late', 'pay_late', 70)$$) t;
SELECT t.code, t.message FROM test.try($$SELECT payments.confirm('confirm-late', 'pay_late', 71)$$) t;
SELECT test.image() = :'before' AS nothing_was_written;
SELECT status, is_expired FROM payments.payment WHERE order_id = 'confirm-late';
-- to repeat a confirm that was in time is right at any time
SELECT amount FROM payments.checkout(201, '[{"seller_id": 1, "amount": 70}]', order_id => 'confirm-in-time');
SELECT payments.confirm('confirm-in-time', 'pay_in_time', 70);
RESET ROLE;
UPDATE payments.payment_event SET expires_at = created_at WHERE order_id = 'confirm-in-time';
SET ROLE regress_confirm;
SELECT payments.confirm('confirm-in-time', 'pay_in_time', 70);
SELECT is_expired FROM payments.payment WHERE order_id = 'confirm-in-time';

--
-- fail: only what nobody confirmed
--
SELECT amount FROM payments.checkout(203, '[{"seller_id": 1, "amount": 30}, {"seller_id": 2, "amount": 40}]',
	order_id => 'confirm-fail');
SELECT args, t.code, t.message FROM unnest(ARRAY[$$NULL, 'CODE', 'message'$$, $$'confirm-fail', NULL, 'message'$$,
		$$'confirm-fail', 'CODE', NULL$$, $$'confirm-fail', '', 'message'$$, $$'confirm-fail', 'CODE', ''$$,
		$$'confirm-0', 'CODE', 'message'$$]) WITH ORDINALITY x (args, n),
	test.try(format('SELECT payments.fail(%s)', args)) t ORDER BY n;
SELECT test.order_line('confirm-fail');
SELECT payments.fail('confirm-fail', 'PAY_PROCESS_CANCELED', '사용자에 의해 결제가 취소되었습니다.');
SELECT status, failure_code, status_reason, payment_key FROM payments.payment WHERE order_id = 'confirm-fail';
SELECT test.order_line('confirm-fail');
RESET ROLE;
SELECT kind, payload FROM payments.event WHERE order_id = 'confirm-fail';
SELECT from_status, to_status, reason FROM payments.payment_order_history WHERE order_id = 'confirm-fail';
SET ROLE regress_confirm;
-- repeated it changes nothing, not even the reason; and money cannot move any more
SELECT test.image() AS before \gset
SELECT payments.fail('confirm-fail', 'REJECT_CARD_COMPANY', 'another reason');
SELECT payments.confirm('confirm-fail', 'pay_fail', 70);
SELECT t.code FROM test.try($$SELECT payments.confirm('confirm-fail', 'pay_fail', 71)$$) t;
SELECT t.code, t.message, t.detail FROM test.try($$SELECT payments.widget('confirm-fail')$$) t;
SELECT test.image() = :'before' AS nothing_was_written;
-- an expired order can still be failed
SELECT payments.fail('confirm-late', 'PAY_PROCESS_ABORTED', 'too late');
-- long texts of the browser are cut at a character's border
SELECT amount FROM payments.checkout(203, '[{"seller_id": 1, "amount": 30}]', order_id => 'confirm-long');
SELECT payments.fail('confirm-long', repeat('X', 1000), repeat('가', 1000));
SELECT length(failure_code) AS code, length(status_reason) AS reason, right(status_reason, 1)
	FROM payments.payment WHERE order_id = 'confirm-long';
-- what looks like SQL or a pattern is text
SELECT amount FROM payments.checkout(203, '[{"seller_id": 1, "amount": 30}]', order_id => 'confirm-quote');
SELECT payments.fail('confirm-quote', '''; DROP TABLE x; --', '%s %n $1 "quoted" \');
SELECT failure_code, status_reason FROM payments.payment WHERE order_id = 'confirm-quote';
SELECT t.code, t.message FROM test.try($$SELECT payments.status('''; DROP TABLE x; --')$$) t;

--
-- status
--
SELECT payments.status('confirm-fail');
SELECT t.code, t.message, t.hint FROM test.try($$SELECT payments.status(NULL)$$) t;
SELECT t.code, t.message, t.hint FROM test.try($$SELECT payments.status('confirm-0')$$) t;

RESET ROLE;
DROP OWNED BY regress_confirm;
DROP ROLE regress_confirm;
