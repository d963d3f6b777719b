--
-- resolve_refund: what a person decides about a refund that evidence could not
-- decide, and what he withdraws.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT payments.set_seller(1701, 0.1);
SELECT payments.checkout(1701, '[{"seller_id": 1701, "amount": 10000}]', order_id => 'undecided-' || n) IS NOT NULL AS ok FROM generate_series(1, 4) n;
SELECT payments.confirm('undecided-' || n, 'pay_undecided_' || n, 10000) FROM generate_series(1, 4) n;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'undecided-%';
SELECT payments.resolve('undecided-' || n, 'succeeded', 'seen', 10000, 'pay_undecided_' || n) FROM generate_series(1, 4) n;

-- two refunds of each: one has the call, the other waits for its turn
SELECT count(payments.refund('undecided-' || n, 'x', a)) FROM generate_series(1, 4) n, unnest(ARRAY[3000, 1000]) a;
CREATE FUNCTION pg_temp.id(o text, a numeric) RETURNS bigint LANGUAGE sql AS
	$$ SELECT id FROM payments.refund WHERE order_id = o AND amount = a $$;
CREATE FUNCTION pg_temp.resolve(o text, a numeric, args text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS
	$$ SELECT code, regexp_replace(message, 'refund \d+', 'refund <id>'), replace(detail, session_user, 'me'), hint
		FROM test.try(format('SELECT payments.resolve_refund(%L, %s, %s)', o, pg_temp.id(o, a), args)) $$;
CREATE VIEW pg_temp.state AS SELECT r.order_id, r.refund_status AS status, r.amount, r.failure_code AS code, r.status_reason, r.transaction_key AS key,
		(SELECT string_agg(format('%s/%s', p.refunded_amount, p.refunding_amount), ' ') FROM payments.payment_order p WHERE p.order_id = r.order_id) AS counters,
		(SELECT count(*) FROM payments.psp_call_queue q JOIN payments.psp_call c ON c.id = q.call_id WHERE c.refund_id = r.id) AS open
	FROM payments.refund r WHERE r.order_id LIKE 'undecided-%';

-- sent, and nobody knows; sent a minute ago; in flight; sent never
INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)
	SELECT call_id, 1, order_id, 'cancel', 1, now() FROM payments.psp_call_queue WHERE order_id ~ '^undecided-[123]';
UPDATE payments.psp_call_queue SET attempt_no = 1, first_sent_at = clock_timestamp() - interval '1 hour', outcome_unknown = true, epoch = 1,
	state = CASE order_id WHEN 'undecided-1' THEN 'D' WHEN 'undecided-3' THEN 'S' ELSE 'P' END::"char" WHERE order_id ~ '^undecided-[123]';
UPDATE payments.psp_call_queue SET first_sent_at = clock_timestamp() - interval '1 min' WHERE order_id = 'undecided-2';
UPDATE payments.refund SET refund_status = 'UNKNOWN' WHERE refund_status = 'EXECUTING' AND order_id ~ '^undecided-[123]';
SELECT kind, order_id, refund_id IS NOT NULL AS refund, problem, what_to_do FROM payments.waits_for_person WHERE order_id LIKE 'undecided-%';
SELECT order_id, state, resolvable_at - first_sent_at AS resolvable FROM payments.open_calls WHERE order_id LIKE 'undecided-%' ORDER BY 1;

-- what is refused
\x
SELECT o, a, args, r.* FROM (VALUES
	('undecided-1', 3000, $$'succeeded', NULL$$), ('undecided-1', 3000, $$'maybe', 'note'$$), ('undecided-1', 3000, $$'failed', ' '$$),
	('undecided-1', 3000, $$'succeeded', 'note'$$), ('undecided-1', 3000, $$'succeeded', 'note', 3000$$),
	('undecided-1', 3000, $$'succeeded', 'note', 2999, 'tx_1'$$), ('undecided-1', 3000, $$'succeeded', 'note', 3000, 'tx 1'$$),
	('undecided-1', 3000, $$'succeeded', 'note', 3000, 'tx_1', now() + interval '1 day'$$),
	('undecided-1', 3000, $$'failed', 'note', 3000$$), ('undecided-1', 3000, $$'failed', 'note', transaction_key => 'tx_1'$$),
	('undecided-1', 1000, $$'succeeded', 'note', 1000, 'tx_1'$$),
	('undecided-2', 3000, $$'failed', 'note'$$), ('undecided-2', 3000, $$'succeeded', 'note', 3000, 'tx_1'$$),
	('undecided-3', 3000, $$'failed', 'note'$$), ('undecided-4', 3000, $$'succeeded', 'note', 3000, 'tx_1'$$)) v (o, a, args),
	pg_temp.resolve(o, a, args) r;
SELECT * FROM test.try($$SELECT payments.resolve_refund('undecided-1', 0, 'failed', 'note')$$);
SELECT * FROM test.try($$SELECT payments.resolve_refund('undecided-0', 0, 'failed', 'note')$$);
\x
SELECT DISTINCT status, code, counters FROM pg_temp.state ORDER BY 1;

-- it happened: booked under the cancel's name, and the next one has its turn
SELECT payments.resolve_refund('undecided-1', pg_temp.id('undecided-1', 3000), 'succeeded', 'seen in the dashboard', 3000, 'tx_1');
SELECT payments.resolve_refund('undecided-1', pg_temp.id('undecided-1', 3000), 'succeeded', 'seen in the dashboard', 3000, 'tx_1') AS again;
\x
SELECT * FROM pg_temp.resolve('undecided-1', 3000, $$'failed', 'no'$$);
SELECT * FROM pg_temp.resolve('undecided-1', 1000, $$'failed', 'sent by nobody'$$);
\x
-- it did not: what was reserved is free
UPDATE payments.psp_call_queue SET first_sent_at = clock_timestamp() - interval '16 min' WHERE order_id = 'undecided-2';
SELECT payments.resolve_refund('undecided-2', pg_temp.id('undecided-2', 3000), 'failed', 'not in the dashboard');
-- withdrawn: the one that waits, and the one that was never sent
SELECT payments.resolve_refund('undecided-4', pg_temp.id('undecided-4', 1000), 'failed', 'the buyer keeps it');
SELECT payments.resolve_refund('undecided-4', pg_temp.id('undecided-4', 3000), 'failed', 'the buyer keeps it');
SELECT * FROM pg_temp.state ORDER BY order_id, amount;
SELECT order_id, from_status, to_status, reason, actor = session_user AS by_us FROM payments.refund_history WHERE order_id ~ '^undecided-[124]' ORDER BY order_id, id;
SELECT order_id, action, outcome, amount, transaction_key, note, actor = session_user AS by_us, call_id IS NULL AS no_call FROM payments.operator_action
	WHERE order_id LIKE 'undecided-%' AND action = 'resolve_refund' ORDER BY id;
SELECT kind, entry_no, account, debit, credit FROM payments.ledger WHERE transaction_key = 'cancel:tx_1' ORDER BY entry_no;
SELECT balance, pending FROM payments.wallet WHERE seller_id = 1701;
SELECT replace(regexp_replace(story, 'refund \d+', 'refund <id>'), session_user, 'me') AS story FROM payments.explain('undecided-2') WHERE story ~ 'not in the dashboard';
-- all of it holds, but for what was sent here by hand
SELECT invariant, regexp_replace(counterexample, '\d+', '<id>') AS counterexample FROM payments.verify() WHERE NOT holds AND invariant !~ 'answer belongs to an attempt';
-- the same cancel is not booked for two refunds
UPDATE payments.psp_call_queue SET state = 'D', first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id = 'undecided-3';
SELECT payments.resolve_refund('undecided-3', pg_temp.id('undecided-3', 3000), 'succeeded', 'seen', 3000, 'tx_3');
INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)
	SELECT call_id, 1, order_id, 'cancel', 1, now() FROM payments.psp_call_queue WHERE order_id = 'undecided-3';
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, epoch = 1, first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id = 'undecided-3';
SELECT code FROM pg_temp.resolve('undecided-3', 1000, $$'succeeded', 'seen', 1000, 'tx_3'$$);
ROLLBACK;
