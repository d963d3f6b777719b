--
-- expire_checkouts: what nobody confirmed in time ends as FAILURE, EXPIRED, and
-- says so once; nothing else does.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- the other tests leave some behind
SELECT count(*) > 0 AS some FROM (SELECT payments.expire_checkouts(100000)) x;
CREATE ROLE regress_expiry;
SELECT payments.grant_to('regress_expiry', 'operator'), payments.grant_to('regress_expiry', 'application');
SET ROLE regress_expiry;
SELECT count(payments.checkout(1500, '[{"seller_id": 1, "amount": 10}, {"seller_id": 2, "amount": 5}]', order_id => 'expiry-' || n,
	expires_in => CASE WHEN n <= 4 THEN interval '1 us' ELSE '1 day' END)) FROM generate_series(1, 6) n;
SELECT payments.confirm('expiry-5', 'pay_expiry_5', 15);
SELECT payments.fail('expiry-4', 'PAY_PROCESS_CANCELED', 'left');
RESET ROLE;
-- confirmed in time, and its time is over since
UPDATE payments.payment_event SET expires_at = created_at WHERE order_id = 'expiry-5';
SET ROLE regress_expiry;
SELECT is_expired, count(*) FROM payments.payment WHERE order_id ~ '^expiry-' GROUP BY 1 ORDER BY 1;

SELECT payments.expire_checkouts(0);  -- fails
SELECT payments.expire_checkouts(NULL);  -- fails
SELECT payments.expire_checkouts(2), payments.expire_checkouts(2), payments.expire_checkouts(2);
SELECT order_id, status, failure_code, status_reason ~ '^nobody confirmed it before 20' AS says_when, is_expired
	FROM payments.payment WHERE order_id ~ '^expiry-' ORDER BY 1;
RESET ROLE;
SELECT order_id, kind, payload FROM payments.event WHERE order_id ~ '^expiry-' ORDER BY 1, 2;
SELECT order_id, from_status, to_status, count(*) FROM payments.payment_order_history WHERE order_id = 'expiry-1' GROUP BY 1, 2, 3;
SELECT order_id, abandoned_at IS NOT NULL AS abandoned FROM payments.payment_event WHERE order_id ~ '^expiry-' ORDER BY 1;
SELECT regexp_replace(story, 'before .*', 'before ...') AS story FROM payments.explain('expiry-1') WHERE story !~ '^ +line';

-- it is final
SET ROLE regress_expiry;
SELECT payments.confirm('expiry-1', 'pay_expiry_1', 15);
SELECT payments.fail('expiry-1', 'CODE', 'message');
SELECT payments.wait_for('expiry-1', '1 day');
SELECT t.code, t.message FROM test.try($$SELECT payments.widget('expiry-1')$$) t;
RESET ROLE;
SELECT t.code, t.message FROM test.try($$UPDATE payments.payment_event SET abandoned_at = NULL WHERE order_id = 'expiry-1'$$) t;
SELECT t.code, t.message FROM test.try($$UPDATE payments.payment_event SET payment_key = 'k' WHERE order_id = 'expiry-1'$$) t;
SELECT t.code, t.message FROM test.try($$UPDATE payments.payment_event SET abandoned_at = now() WHERE order_id = 'expiry-5'$$) t;

-- What is older than the last change of where charges are sent from stays: a
-- confirm of it may be in a history that is lost.
SELECT count(payments.checkout(1500, '[{"seller_id": 1, "amount": 10}]', order_id => 'expiry-old-' || n, expires_in => '1 us'))
	FROM generate_series(1, 2) n;
BEGIN;
INSERT INTO payments.worker_epoch (epoch, started_at, system_identifier, shard, shards, timeline) VALUES (1000001, now(), (SELECT system_identifier FROM pg_control_system()), 0, 1, 1000);
SELECT payments.expire_checkouts() AS all_runs_were_elsewhere;
INSERT INTO payments.worker_epoch (epoch, started_at, system_identifier, shard, shards, timeline) VALUES (1000002, clock_timestamp(), (SELECT system_identifier FROM pg_control_system()), 0, 1,
	(SELECT timeline_id FROM pg_control_checkpoint()));
SELECT payments.expire_checkouts() AS checked_out_before_this_run;
SELECT amount FROM payments.checkout(1500, '[{"seller_id": 1, "amount": 10}]', order_id => 'expiry-young', expires_in => '1 us');
INSERT INTO payments.worker_epoch (epoch, started_at, system_identifier, shard, shards, timeline) VALUES (1000003, clock_timestamp(), (SELECT system_identifier FROM pg_control_system()), 0, 1,
	(SELECT timeline_id FROM pg_control_checkpoint()));
SELECT payments.expire_checkouts() AS checked_out_since;
SELECT order_id, status, is_expired FROM payments.payment WHERE order_id ~ '^expiry-(old|young)' ORDER BY 1;
INSERT INTO payments.worker_epoch (epoch, started_at, system_identifier, shard, shards, timeline) VALUES (1000004, now(), 1, 0, 1, (SELECT timeline_id FROM pg_control_checkpoint()));
SELECT payments.fail('expiry-old-1', 'EXPIRED', 'looked for at Toss: not there');
ROLLBACK;
SELECT payments.expire_checkouts();

SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
DROP OWNED BY regress_expiry;
DROP ROLE regress_expiry;
