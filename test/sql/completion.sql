--
-- is_payment_done: set by the trigger that sees the last order with both flags,
-- never earlier, and told once.  (Two at the same time: specs/order_completion.)
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT amount FROM payments.checkout(701, '[{"seller_id": 1, "amount": 10}, {"seller_id": 2, "amount": 20},
	{"seller_id": 1, "amount": 30}]', order_id => 'complete-1');
SELECT payments.confirm('complete-1', 'pay_complete_1', 60);
CREATE VIEW pg_temp.now AS SELECT e.is_payment_done,
		(SELECT string_agg(concat(o.payment_order_status, CASE WHEN ledger_updated THEN ' ledger' END,
			CASE WHEN wallet_updated THEN ' wallet' END), ', ' ORDER BY line_no)
			FROM payments.payment_order o WHERE o.order_id = e.order_id) AS orders,
		(SELECT count(*) FROM payments.event v WHERE v.order_id = e.order_id AND kind = 'payment.completed') AS told
	FROM payments.payment_event e WHERE order_id = 'complete-1';

UPDATE payments.payment_order SET payment_order_status = 'SUCCESS' WHERE order_id = 'complete-1';
SELECT * FROM pg_temp.now;
UPDATE payments.payment_order SET ledger_updated = true WHERE order_id = 'complete-1';
SELECT * FROM pg_temp.now;
UPDATE payments.payment_order SET wallet_updated = true WHERE order_id = 'complete-1' AND line_no <> 2;
SELECT * FROM pg_temp.now;
-- by hand it cannot be set early
SELECT t.* FROM test.try($$UPDATE payments.payment_event SET is_payment_done = true WHERE order_id = 'complete-1'$$) t;
UPDATE payments.payment_order SET wallet_updated = true WHERE order_id = 'complete-1';
SELECT * FROM pg_temp.now;
SELECT payload FROM payments.event WHERE order_id = 'complete-1' AND kind = 'payment.completed';
-- and never goes back
SELECT t.code, t.message FROM test.try($$UPDATE payments.payment_event SET is_payment_done = false WHERE order_id = 'complete-1'$$) t;
-- whatever is updated later, it is told once
UPDATE payments.payment_order SET updated_at = now(), wallet_updated = true WHERE order_id = 'complete-1';
SELECT * FROM pg_temp.now;
ROLLBACK;

-- all of it in one statement, and as a replication role
BEGIN;
SELECT amount FROM payments.checkout(701, '[{"seller_id": 1, "amount": 10}, {"seller_id": 2, "amount": 20}]', order_id => 'complete-2');
SELECT payments.confirm('complete-2', 'pay_complete_2', 30);
SET LOCAL session_replication_role = replica;
UPDATE payments.payment_order SET payment_order_status = 'SUCCESS', ledger_updated = true, wallet_updated = true
	WHERE order_id = 'complete-2';
SELECT is_payment_done FROM payments.payment WHERE order_id = 'complete-2';
SELECT test.order_line('complete-2');
ROLLBACK;

-- one failed line: never done
BEGIN;
SELECT amount FROM payments.checkout(701, '[{"seller_id": 1, "amount": 10}, {"seller_id": 2, "amount": 20}]', order_id => 'complete-3');
SELECT payments.confirm('complete-3', 'pay_complete_3', 30);
UPDATE payments.payment_order SET payment_order_status = 'FAILURE' WHERE order_id = 'complete-3' AND line_no = 1;
UPDATE payments.payment_order SET payment_order_status = 'SUCCESS', ledger_updated = true, wallet_updated = true
	WHERE order_id = 'complete-3' AND line_no = 2;
SELECT is_payment_done FROM payments.payment WHERE order_id = 'complete-3';
SELECT t.code, t.detail FROM test.try($$UPDATE payments.payment_event SET is_payment_done = true WHERE order_id = 'complete-3'$$) t;
ROLLBACK;

-- another order's flags are its own
BEGIN;
SELECT amount FROM payments.checkout(701, '[{"seller_id": 1, "amount": 10}]', order_id => 'complete-4');
SELECT amount FROM payments.checkout(701, '[{"seller_id": 1, "amount": 10}]', order_id => 'complete-5');
UPDATE payments.payment_order SET payment_order_status = 'EXECUTING' WHERE order_id IN ('complete-4', 'complete-5');
UPDATE payments.payment_order SET payment_order_status = 'SUCCESS', ledger_updated = true, wallet_updated = true
	WHERE order_id = 'complete-4';
SELECT order_id, is_payment_done FROM payments.payment WHERE order_id IN ('complete-4', 'complete-5') ORDER BY 1;
ROLLBACK;

-- settled as the worker does it: everything agrees
SELECT amount FROM payments.checkout(701, '[{"seller_id": 1, "amount": 10}, {"seller_id": 2, "amount": 20}]', order_id => 'complete-6');
SELECT payments.confirm('complete-6', 'pay_complete_6', 30);
SELECT test.settle('complete-6');
SELECT test.order_line('complete-6');
SELECT payments.confirm('complete-6', 'pay_complete_6', 30), payments.wait_for('complete-6', '1 day'),
	payments.fail('complete-6', 'CODE', 'a late fail redirect');
CALL payments.pay('complete-6', 'pay_complete_6', 30, '1 day', NULL);
SELECT test.order_line('complete-6');
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
