--
-- open_calls, stuck_orders: each kind of call is told from the others, those
-- that are old or dead are stuck, each with what to do, and resolvable_at is
-- when resolve agrees.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT count(payments.checkout(1801, '[{"seller_id": 1, "amount": 10}]', order_id => 'open-' || n)) FROM unnest(ARRAY['unsent',
	'trying', 'flight', 'unknown', 'deposit', 'dead', 'dead_deposit', 'quarantined', 'new', 'none']) n;
SELECT count(payments.confirm(order_id, order_id, 10)) FROM payments.payment_event WHERE order_id LIKE 'open-%' AND order_id <> 'open-none';
-- an hour ago, but for one
SET LOCAL session_replication_role = replica;
ALTER TABLE payments.psp_call DISABLE TRIGGER psp_call_forbid_change;
UPDATE payments.psp_call SET created_at = created_at - interval '1 hour' WHERE order_id LIKE 'open-%' AND order_id <> 'open-new';
UPDATE payments.psp_call_queue SET attempt_no = 1, first_sent_at = CASE WHEN order_id <> 'open-unsent' THEN now() - interval '14 min' END
	WHERE order_id LIKE 'open-%' AND order_id NOT IN ('open-new');
UPDATE payments.psp_call_queue SET state = 'S', outcome_unknown = true WHERE order_id = 'open-flight';
UPDATE payments.psp_call_queue SET outcome_unknown = true WHERE order_id = 'open-unknown';
UPDATE payments.psp_call_queue SET phase = 'D' WHERE order_id IN ('open-deposit', 'open-dead_deposit');
UPDATE payments.psp_call_queue SET state = 'D' WHERE order_id ~ '^open-(dead|quarantined)';
INSERT INTO payments.psp_attempt SELECT call_id, n, order_id, 'confirm', 1, now() FROM payments.psp_call_queue, generate_series(1, 2) n
	WHERE order_id ~ '^open-(dead|quarantined)';
INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
	SELECT call_id, attempt_no, order_id, 'confirm', 'answered', 'uncertain', false,
		CASE WHEN (order_id = 'open-quarantined') = (attempt_no = 2) THEN 'quarantine' ELSE 'escalate' END, 0, now()
	FROM payments.psp_attempt WHERE order_id ~ '^open-(dead|quarantined)';

SELECT order_id, kind, state, resolvable_at = now() + interval '1 min' AS resolvable_in_a_minute FROM payments.open_calls WHERE order_id LIKE 'open-%' ORDER BY 1;
SELECT order_id, kind, what_to_do FROM payments.stuck_orders WHERE order_id LIKE 'open-%' ORDER BY 1;

-- resolvable_at is what resolve does
UPDATE payments.psp_call_queue SET first_sent_at = clock_timestamp() - interval '15 min' WHERE first_sent_at IS NOT NULL AND order_id LIKE 'open-%';
SELECT c.order_id, c.resolvable_at <= clock_timestamp() AS resolvable, t.code
	FROM payments.open_calls c, test.try(format('SELECT payments.resolve(%L, ''failed'', ''note'')', c.order_id)) t WHERE c.order_id LIKE 'open-%' ORDER BY 1;
ROLLBACK;
