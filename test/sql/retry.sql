--
-- retry: makes an open call due now.  It never makes a call, and never makes a
-- second confirm of one that may have been sent.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT count(payments.checkout(1101, '[{"seller_id": 1, "amount": 10}]', order_id => 'retry-' || n)) FROM generate_series(1, 3) n;
SELECT payments.confirm('retry-1', 'pay_retry_1', 10);
SELECT payments.fail('retry-2', 'CODE', 'message');
CREATE VIEW pg_temp.call AS SELECT state, next_operation, attempt_no, failures, outcome_unknown, due_at <= clock_timestamp() AS due,
	(SELECT count(*) FROM payments.psp_call c WHERE c.order_id = q.order_id) AS calls
	FROM payments.psp_call_queue q WHERE order_id = 'retry-1';

SELECT o AS of_order, t.code, t.message, t.hint FROM unnest(ARRAY['NULL', '''retry-0''', '''retry-2''', '''retry-3''', 'repeat(''x'', 100000)']) WITH ORDINALITY x (o, n),
	test.try(format('SELECT payments.retry(%s)', o)) t ORDER BY n;

-- nothing was sent: it stays a confirm
UPDATE payments.psp_call_queue SET due_at = 'infinity', failures = 5 WHERE order_id = 'retry-1';
SELECT * FROM pg_temp.call;
SELECT payments.retry('retry-1');
SELECT * FROM pg_temp.call;
-- something was sent: the PSP is asked first
UPDATE payments.psp_call_queue SET due_at = 'infinity', attempt_no = 1, failures = 3, outcome_unknown = true WHERE order_id = 'retry-1';
SELECT payments.retry('retry-1');
SELECT * FROM pg_temp.call;
-- waiting for a person
UPDATE payments.psp_call_queue SET state = 'D', due_at = 'infinity', failures = 9 WHERE order_id = 'retry-1';
SELECT payments.retry('retry-1');
SELECT * FROM pg_temp.call;
-- in flight: hands off
UPDATE payments.psp_call_queue SET state = 'S', due_at = 'infinity' WHERE order_id = 'retry-1';
SELECT t.code, t.message FROM test.try($$SELECT payments.retry('retry-1')$$) t;
SELECT * FROM pg_temp.call;

-- who pushed, and why; the refused one left nothing
SELECT t.code, t.message, t.hint FROM test.try($$SELECT payments.retry('retry-1', note => ' ')$$) t;
UPDATE payments.psp_call_queue SET state = 'P' WHERE order_id = 'retry-1';
SELECT payments.retry('retry-1', note => 'the key was renewed');
SELECT action, outcome, note, actor = session_user AS by_us FROM payments.operator_action WHERE order_id = 'retry-1' ORDER BY id;

-- the queue itself: a second open call of an order is impossible, and truncating too
SELECT t.code, t.message FROM test.try($$WITH second AS (INSERT INTO payments.psp_call
		SELECT nextval('payments.psp_call_id_seq'), order_id, payment_event_id, merchant, operation, payment_key, currency, amount,
			'another idempotency key', request_body, id, created_at FROM payments.psp_call WHERE order_id = 'retry-1' RETURNING *)
	INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at) SELECT id, order_id, 1, now() FROM second$$) t;
SELECT t.code, t.message FROM test.try($$TRUNCATE payments.psp_call_queue$$) t;
SELECT t.code, t.message FROM test.try($$UPDATE payments.psp_call SET amount = 1 WHERE order_id = 'retry-1'$$) t;
SELECT t.code, t.message FROM test.try($$DELETE FROM payments.psp_call WHERE order_id = 'retry-1'$$) t;
-- open calls are seen, and those that need a person say what to do
UPDATE payments.psp_call_queue SET state = 'D' WHERE order_id = 'retry-1';
SELECT order_id, state, next_operation, attempts, failures, outcome_unknown FROM payments.open_calls WHERE order_id = 'retry-1';
SELECT order_id, status, state, next_operation, what_to_do FROM payments.stuck_orders WHERE order_id LIKE 'retry-%';
ROLLBACK;
