--
-- pay: confirm, COMMIT and wait_for in one round trip.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_pay;
SELECT payments.grant_to('regress_pay', 'application');
CREATE ROLE regress_pay_stranger;
SET ROLE regress_pay;
SELECT count(payments.checkout(501, '[{"seller_id": 1, "amount": 10}]', order_id => 'pay-order-' || n))
	FROM generate_series(1, 5) n;

CALL payments.pay('pay-order-1', 'pay_pay_1', 10, '0', NULL);
SELECT test.order_line('pay-order-1');
-- repeated it asks again, and queues nothing
CALL payments.pay('pay-order-1', 'pay_pay_1', 10, '50 ms', NULL);
CALL payments.pay('pay-order-1', 'pay_pay_1', 10.00, '0', 'FAILURE');
SELECT test.order_line('pay-order-1');
-- after a failure it says so at once
SELECT payments.fail('pay-order-2', 'CODE', 'message');
CALL payments.pay('pay-order-2', 'pay_pay_2', 10, '1 day', NULL);

-- what has to be claimed is written down with the confirmation
CALL payments.pay('pay-order-5', 'pay_pay_5', 10, '0', NULL, claim_within => '-1 s');
SELECT payments.status('pay-order-5');
CALL payments.pay('pay-order-5', 'pay_pay_5', 10, '0', NULL, claim_within => '5 min');
CALL payments.pay('pay-order-5', 'pay_pay_5', 10, '0', NULL, '5 min');
CALL payments.pay('pay-order-5', 'pay_pay_5', 10, '0', NULL, '6 min');
CALL payments.pay('pay-order-5', 'pay_pay_5', 10, '0', NULL);
CALL payments.pay('pay-order-1', 'pay_pay_1', 10, '0', NULL, '5 min');
RESET ROLE;
SELECT order_id, claim_status, claim_within FROM payments.payment_claim WHERE order_id LIKE 'pay-order-%';
SET ROLE regress_pay;

-- a mistake changes nothing and commits nothing
SELECT test.image() AS before \gset
CALL payments.pay('pay-order-3', 'pay_pay_3', 11, '0', NULL);
CALL payments.pay('pay-order-3', 'pay_pay_1', 10, '0', NULL);
CALL payments.pay('pay-order-0', 'pay_pay_3', 10, '0', NULL);
CALL payments.pay(NULL, 'pay_pay_3', 10, '0', NULL);
CALL payments.pay('pay-order-3', NULL, 10, '0', NULL);
CALL payments.pay('pay-order-3', 'pay_pay_3', NULL, '0', NULL);
CALL payments.pay('pay-order-3', 'pay_pay_3', 10, NULL, NULL);
CALL payments.pay('pay-order-3', 'pay_pay_3', 10, '-1 s', NULL);
CALL payments.pay('pay-order-3', 'pay_pay_3', 10, '2 days', NULL);
SELECT test.image() = :'before' AS nothing_was_written;

--
-- It commits, so it cannot be part of a transaction
--
BEGIN;
CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', NULL);
ROLLBACK;
CREATE FUNCTION pg_temp.pay() RETURNS void LANGUAGE plpgsql AS $$
DECLARE s payments.payment_order_status;
BEGIN
	CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', s);
END $$;
\set VERBOSITY terse
SELECT pg_temp.pay();
BEGIN;
DO $$
DECLARE s payments.payment_order_status;
BEGIN
	CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', s);
END $$;
ROLLBACK;
-- inside a block with an exception clause there is a savepoint
DO $$
DECLARE s payments.payment_order_status;
BEGIN
	CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', s);
EXCEPTION WHEN SQLSTATE '25001' OR invalid_transaction_termination THEN
	RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $$;
SELECT test.order_line('pay-order-4');
-- a DO block of its own is not a transaction block
DO $$
DECLARE s payments.payment_order_status;
BEGIN
	CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', s);
	RAISE NOTICE 'paid: %', s;
END $$;
SELECT test.order_line('pay-order-4');
-- in a pipeline or a multi-statement message there is an implicit transaction block
SELECT 1 AS one\; CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', NULL);

-- with REPEATABLE READ as the default it could never see the result: it does not even begin
SET default_transaction_isolation = 'repeatable read';
CALL payments.pay('pay-order-3', 'pay_pay_3', 10, '0', NULL);
SET default_transaction_isolation = 'serializable';
CALL payments.pay('pay-order-3', 'pay_pay_3', 10, '0', NULL);
RESET default_transaction_isolation;

-- a role without the right, and one with the procedure but not the functions
SET ROLE regress_pay_stranger;
CALL payments.pay('pay-order-4', 'pay_pay_4', 10, '0', NULL);
RESET ROLE;
GRANT USAGE ON SCHEMA payments TO regress_pay_stranger;
GRANT EXECUTE ON PROCEDURE payments.pay TO regress_pay_stranger;
SET ROLE regress_pay_stranger;
CALL payments.pay('pay-order-3', 'pay_pay_3', 10, '0', NULL);
RESET ROLE;
SELECT test.order_line('pay-order-3');

DROP OWNED BY regress_pay, regress_pay_stranger;
DROP ROLE regress_pay, regress_pay_stranger;
