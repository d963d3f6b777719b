--
-- wait_for: ends when the time is up or the state is final, and refuses to wait
-- where the answer could never be seen.  (That it wakes up is in specs/wait_for.)
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_wait_for;
SELECT payments.grant_to('regress_wait_for', 'application');
SET ROLE regress_wait_for;
SELECT count(payments.checkout(401, '[{"seller_id": 1, "amount": 10}]', order_id => 'wait-for-' || n))
	FROM generate_series(1, 5) n;

-- the time is up: the status of that moment, and no sooner
SELECT payments.wait_for('wait-for-1', '0');
SELECT payments.confirm('wait-for-1', 'pay_wait_1', 10);
SELECT clock_timestamp() AS started \gset
SELECT payments.wait_for('wait-for-1', '250 ms');
SELECT clock_timestamp() - :'started' >= '249 ms' AS waited, clock_timestamp() - :'started' < '1 min' AS not_longer;

-- a final state ends it at once, whatever the timeout
SELECT payments.fail('wait-for-2', 'CODE', 'message');
SELECT payments.wait_for('wait-for-2', '1 day');
SELECT payments.wait_for('wait-for-2');

-- arguments
SELECT args, t.code, t.message, t.hint FROM unnest(ARRAY[$$NULL$$, $$'wait-for-1', NULL$$, $$'wait-for-1', '-1 ms'$$,
		$$'wait-for-1', '-1 day'$$, $$'wait-for-1', '25 hours'$$, $$'wait-for-1', '1 day 1 us'$$,
		$$'wait-for-1', '2 days'$$, $$'wait-for-1', '1 month'$$, $$'wait-for-1', '1 month -30 days'$$,
		$$'wait-for-1', '2 days -24 hours'$$, $$'wait-for-1', '100000000 years'$$, $$'wait-for-0', '1 s'$$])
		WITH ORDINALITY x (args, n),
	test.try(format('SELECT payments.wait_for(%s)', args)) t ORDER BY n;

-- a statement timeout and a cancel end it
SET statement_timeout = '100 ms';
SELECT payments.wait_for('wait-for-1', '1 hour');
RESET statement_timeout;
SELECT payments.wait_for('wait-for-1', '0');

--
-- Where it would wait for nothing
--
-- in the transaction that confirmed: the call is not committed
BEGIN;
SELECT payments.confirm('wait-for-3', 'pay_wait_3', 10);
SELECT t.* FROM test.try($$SELECT payments.wait_for('wait-for-3', '1 s')$$) t;
ROLLBACK;
SELECT payments.wait_for('wait-for-3', '0');
-- also when the confirm was inside a savepoint that was released, at any depth
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
SELECT payments.confirm('wait-for-3', 'pay_wait_3', 10);
RELEASE b;
RELEASE a;
SELECT t.code FROM test.try($$SELECT payments.wait_for('wait-for-3', '1 s')$$) t;
ROLLBACK;
-- but not when it was undone
BEGIN;
SAVEPOINT a;
SELECT payments.confirm('wait-for-3', 'pay_wait_3', 10);
ROLLBACK TO a;
SELECT payments.wait_for('wait-for-3', '0');
-- one undone, one kept
SELECT payments.confirm('wait-for-3', 'pay_wait_3', 10);
SAVEPOINT b;
SELECT payments.confirm('wait-for-4', 'pay_wait_4', 10);
ROLLBACK TO b;
SELECT t.code FROM test.try($$SELECT payments.wait_for('wait-for-3', '0')$$) t;
ROLLBACK;
-- a released savepoint inside one that is undone
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
SELECT payments.confirm('wait-for-3', 'pay_wait_3', 10);
RELEASE b;
ROLLBACK TO a;
SELECT payments.wait_for('wait-for-3', '0');
COMMIT;
-- the next transaction may wait again
BEGIN;
SELECT payments.confirm('wait-for-4', 'pay_wait_4', 10);
COMMIT;
SELECT payments.wait_for('wait-for-4', '0');
-- a confirm that only repeats an old one queues nothing to wait for
BEGIN;
SELECT payments.confirm('wait-for-4', 'pay_wait_4', 10);
SELECT payments.wait_for('wait-for-4', '0');
COMMIT;

-- with a snapshot that stands still
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT t.* FROM test.try($$SELECT payments.wait_for('wait-for-1', '1 s')$$) t;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT t.code FROM test.try($$SELECT payments.wait_for('wait-for-1', '1 s')$$) t;
COMMIT;
-- READ COMMITTED and read only is enough
BEGIN READ ONLY;
SELECT payments.wait_for('wait-for-1', '0');
COMMIT;

-- a virtual account's deposit may take days: nobody waits for it
RESET ROLE;
BEGIN;
UPDATE payments.payment_event SET psp_status = 'WAITING_FOR_DEPOSIT' WHERE order_id = 'wait-for-1';
SELECT payments.wait_for('wait-for-1', '1 hour');
ROLLBACK;

DROP OWNED BY regress_wait_for;
DROP ROLE regress_wait_for;
