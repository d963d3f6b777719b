-- What people look at.

CREATE VIEW payments.payment WITH (security_barrier) AS
	SELECT e.order_id, e.payment_key,
		o.status, e.amount, e.currency, e.order_name, e.buyer_id, e.merchant,
		e.method, e.psp_status, e.is_payment_done,
		o.lines, o.failure_code, o.status_reason,
		e.created_at, e.expires_at, e.approved_at,
		o.status = 'NOT_STARTED' AND e.expires_at <= pg_catalog.clock_timestamp() AS is_expired,
		e.metadata, o.refunded_amount, o.refunding_amount,
		o.refunded_amount = e.amount AS is_refunded,
		a.bank_code AS account_bank, a.account_number, a.due_at AS account_due_at,
		CASE
			WHEN a.order_id IS NULL THEN NULL
			WHEN o.status = 'FAILURE' AND d.movements > 0 THEN CASE d.movements % 2 WHEN 1 THEN 'late' ELSE 'returned' END
			WHEN d.movements % 2 = 1 THEN 'received'
			WHEN d.movements > 0 THEN 'reversed'
			WHEN a.expired_at IS NOT NULL THEN 'expired'
			WHEN o.status = 'FAILURE' THEN 'canceled'
			ELSE 'awaited'
		END AS deposit_status
	FROM ONLY payments.payment_event e
		LEFT JOIN ONLY payments.virtual_account a ON a.order_id = e.order_id
		LEFT JOIN LATERAL (SELECT COALESCE(pg_catalog.max(m.movement_no), 0) AS movements
			FROM ONLY payments.deposit_movement m WHERE m.order_id = a.order_id) d ON true
		CROSS JOIN LATERAL (
			SELECT CASE
					WHEN pg_catalog.min(l.payment_order_status) = pg_catalog.max(l.payment_order_status)
					THEN pg_catalog.min(l.payment_order_status)
					ELSE 'UNKNOWN'
				END AS status,
				pg_catalog.max(l.failure_code) AS failure_code,
				pg_catalog.max(l.status_reason) AS status_reason,
				pg_catalog.sum(l.refunded_amount) AS refunded_amount,
				pg_catalog.sum(l.refunding_amount) AS refunding_amount,
				pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
					'payment_order_id', l.id, 'status', l.payment_order_status, 'seller_id', l.seller_id,
					'product_id', l.product_id, 'name', l.product_name, 'quantity', l.quantity,
					'amount', l.amount, 'commission', l.commission,
					'ledger_updated', l.ledger_updated, 'wallet_updated', l.wallet_updated,
					'refunded_amount', l.refunded_amount, 'refunding_amount', l.refunding_amount)
					ORDER BY l.line_no) AS lines
			FROM ONLY payments.payment_order l
			WHERE l.order_id = e.order_id) o;
COMMENT ON VIEW payments.payment IS
'One row per order with everything';

CREATE VIEW payments.refunds WITH (security_barrier) AS
	SELECT r.id AS refund_id, r.order_id, r.refund_status AS status, r.amount, r.currency, r.reason, r.idempotency_key,
		l.lines, r.failure_code, r.status_reason, r.requested_by, r.created_at, r.refunded_at, r.transaction_key, r.origin
	FROM ONLY payments.refund r
		CROSS JOIN LATERAL (
			SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
					'payment_order_id', l.payment_order_id, 'seller_id', o.seller_id, 'amount', l.amount, 'commission', l.commission)
					ORDER BY o.line_no) AS lines
			FROM ONLY payments.refund_line l
				JOIN ONLY payments.payment_order o ON o.id = l.payment_order_id
			WHERE l.refund_id = r.id) l;
COMMENT ON VIEW payments.refunds IS
'One row per refund, with how much of it each line gives back';

-- resolvable_at knows what resolve.c does: the test open_calls compares them.
CREATE VIEW payments.open_calls WITH (security_barrier) AS
	SELECT q.order_id, q.call_id, c.merchant, c.operation,
		CASE WHEN q.state = 'S' THEN 'in flight' WHEN q.state = 'D' THEN 'waits for a person'
			WHEN q.next_operation <> 'Q' AND q.first_sent_at IS NULL AND EXISTS (SELECT FROM payments.worker_slots() w
				WHERE w.database = pg_catalog.current_database() AND w.state = 'disarmed') THEN 'waits for arming'
			WHEN q.state = 'W' THEN 'waits for a deposit'
			ELSE 'pending' END AS state,
		CASE q.next_operation WHEN 'Q' THEN 'query' WHEN 'X' THEN 'cancel' ELSE 'confirm' END AS next_operation,
		q.attempt_no AS attempts, q.failures, q.outcome_unknown, q.due_at, q.first_sent_at,
		c.created_at, pg_catalog.clock_timestamp() - c.created_at AS age,
		l.meaning AS last_meaning, l.code AS last_code, l.received_at AS last_answer_at,
		CASE
			WHEN q.state = 'D' AND COALESCE(l.action, 'quarantine') = 'quarantine' THEN 'quarantined'
			WHEN q.state = 'D' THEN 'dead'
			WHEN c.operation = 'look' THEN 'look'
			WHEN q.phase IN ('D', 'L') THEN 'deposit'
			WHEN q.first_sent_at IS NULL THEN 'unsent'
			WHEN q.outcome_unknown THEN 'unknown'
			ELSE 'trying'
		END AS kind,
		CASE WHEN c.operation = 'cancel' THEN CASE q.state WHEN 'D' THEN q.first_sent_at WHEN 'P' THEN coalesce(q.first_sent_at + '15 min', c.created_at) END
			WHEN c.operation = 'confirm' AND (q.state = 'D' OR q.state = 'P' AND q.phase NOT IN ('D', 'L'))
			THEN q.first_sent_at + '15 min' END AS resolvable_at,
		l.detail AS last_detail
	FROM (SELECT order_id, call_id, state, next_operation, attempt_no, failures, outcome_unknown, phase, due_at, first_sent_at
			FROM ONLY payments.psp_call_queue
			UNION ALL
			SELECT order_id, call_id, 'W' AS state, 'Q' AS next_operation, attempt_no, 0 AS failures, false AS outcome_unknown,
				'D' AS phase, due_at, first_sent_at
			FROM ONLY payments.psp_call_deposit) q
		JOIN ONLY payments.psp_call c ON c.id = q.call_id
		LEFT JOIN LATERAL (
			SELECT a.meaning, a.code, a.received_at, a.action, a.detail
			FROM ONLY payments.psp_answer a
			WHERE a.call_id = q.call_id AND a.order_id = q.order_id
			ORDER BY a.attempt_no DESC LIMIT 1) l ON true;
COMMENT ON VIEW payments.open_calls IS
'Calls to the PSP that have not ended, with their last answer';

-- From the queue, not from the orders: an index on their state would cost every
-- change of state its HOT update.  An order under way without a call cannot be;
-- verify() looks for it.
CREATE VIEW payments.stuck_orders WITH (security_barrier) AS
	SELECT c.order_id, p.status, c.state, c.next_operation, c.attempts, c.last_meaning, c.last_code, c.age,
		CASE
			WHEN c.state = 'waits for arming' THEN 'nothing was sent: is this the server that is meant to charge? then payments.arm; see payments.worker_status'
			WHEN c.kind = 'quarantined' THEN 'it could not be claimed, or an answer not applied: the server''s log says why; remove the cause, then payments.retry'
			-- worker_send.c says so
			WHEN c.kind = 'dead' AND c.last_detail ~ '^asked .* than it was sent with$'
				THEN pg_catalog.format('it was %s, and not found there: put that back, then payments.retry', c.last_detail)
			WHEN c.kind = 'dead' AND c.operation = 'cancel' THEN 'the evidence does not decide whether the refund happened: look at payments.explain and the PSP''s dashboard, then payments.retry or payments.resolve_refund'
			WHEN c.kind = 'dead' THEN 'the evidence does not decide: look at payments.explain and the PSP''s dashboard, then payments.retry or payments.resolve'
			WHEN c.kind = 'deposit' AND p.account_due_at < pg_catalog.clock_timestamp() - interval '1 day'
				THEN 'the virtual account''s due date has passed, and the PSP does not say that it is closed: cancel the payment in the PSP''s dashboard, and the worker learns it'
			WHEN c.kind = 'deposit' THEN 'the buyer has not paid into the virtual account yet'
			WHEN c.kind = 'look' THEN 'the worker asks the PSP for news of the payment: see payments.explain'
			WHEN c.kind = 'unsent' THEN 'nothing was sent: is the worker running? see payments.worker_status'
			WHEN c.kind = 'unknown' AND c.operation = 'cancel' THEN 'the refund may have happened, and the worker keeps asking the PSP: see payments.explain; payments.resolve_refund if it never finds out'
			WHEN c.kind = 'unknown' THEN 'an attempt may have been executed, and the worker keeps asking the PSP: see payments.explain; payments.resolve if it never finds out'
			ELSE 'the worker keeps trying: see payments.explain'
		END AS what_to_do,
		c.kind, c.resolvable_at
	FROM payments.open_calls c
		JOIN payments.payment p ON p.order_id = c.order_id
	WHERE c.state = 'waits for a person' OR c.age > '5 min';
COMMENT ON VIEW payments.stuck_orders IS
'Orders that are neither final nor moving, and what to do about each';

CREATE VIEW payments.waits_for_person WITH (security_barrier) AS
	SELECT CASE c.operation WHEN 'cancel' THEN 'refund' ELSE 'payment' END AS kind, c.order_id, x.refund_id, o.age AS waits,
		CASE c.kind WHEN 'quarantined' THEN 'it could not be claimed, or an answer not applied' ELSE 'the evidence does not decide' END AS problem,
		o.what_to_do
	FROM payments.stuck_orders o
		JOIN payments.open_calls c ON c.order_id = o.order_id
		JOIN ONLY payments.psp_call x ON x.id = c.call_id
	WHERE c.state = 'waits for a person'
	UNION ALL
	SELECT 'unclaimed', c.order_id, NULL, pg_catalog.clock_timestamp() - c.created_at, c.problem,
		'nobody claimed the paid order in time, and it cannot be given back yet: remove the cause, or payments.claim if it was delivered'
	FROM ONLY payments.payment_claim c
	WHERE c.claim_status = 'waiting' AND c.problem IS NOT NULL
	UNION ALL
	SELECT 'unclaimed', c.order_id, r.id, pg_catalog.clock_timestamp() - c.ended_at,
		CASE WHEN r.id IS NULL AND v.order_id IS NOT NULL THEN 'it was paid by a deposit, and nobody has said to which account that goes back'
			ELSE pg_catalog.concat_ws(': ', 'a refund failed', r.failure_code) END,
		CASE WHEN v.order_id IS NULL
			THEN 'nobody claimed the paid order in time, and not all of it could be given back: payments.refund again, or deliver it'
			ELSE 'nobody claimed the paid order in time: ask the buyer for an account, then payments.refund with refund_account; or deliver it' END
	FROM ONLY payments.payment_claim c
		LEFT JOIN ONLY payments.virtual_account v ON v.order_id = c.order_id
		LEFT JOIN LATERAL (SELECT f.id, f.failure_code FROM ONLY payments.refund f
			WHERE f.order_id = c.order_id AND f.refund_status = 'FAILURE' ORDER BY f.id DESC LIMIT 1) r ON true
	WHERE c.claim_status = 'lapsed' AND EXISTS (SELECT FROM ONLY payments.payment_order p
			WHERE p.order_id = c.order_id AND p.refunded_amount + p.refunding_amount < p.amount)
		-- what the bank took back nobody has to give back
		AND NOT EXISTS (SELECT FROM ONLY payments.deposit_movement m WHERE m.order_id = c.order_id
			HAVING pg_catalog.max(m.movement_no) % 2 = 0);
COMMENT ON VIEW payments.waits_for_person IS
'Payments, refunds and orders that nothing decides but a person, with what to do';

CREATE VIEW payments.worker_status WITH (security_barrier) AS
	SELECT database, shard, shards, state, reason, pid, epoch, in_flight, started_at, last_turn_at,
		turns, claimed, answered, unanswered, settled, quarantined
	FROM payments.worker_slots();
COMMENT ON VIEW payments.worker_status IS
'One row per worker, which is a database and a shard of its calls; empty when the library is not preloaded';

CREATE VIEW payments.merchant_stats WITH (security_barrier) AS
	SELECT m.name AS merchant, COALESCE(f.in_flight, 0) AS in_flight, m.max_in_flight,
		m.calls_per_minute, m.burst, f.tokens, f.paused_until, f.starved_since,
		COALESCE(f.breaker, 'closed') AS breaker, f.breaker_since, f.next_probe_at,
		COALESCE(f.throttled, 0) AS throttled, COALESCE(f.opened, 0) AS opened
	FROM payments.merchant m LEFT JOIN payments.merchant_flow() f ON f.merchant_id = m.id;
COMMENT ON VIEW payments.merchant_stats IS
'One row per merchant: its requests on the wire, its limits, what is in its bucket, and its circuit breaker';

CREATE VIEW payments.worker_stats WITH (security_barrier) AS
	SELECT database, shard, counter, label, value
	FROM payments.worker_counters();
COMMENT ON VIEW payments.worker_stats IS
'What the workers have counted since the server''s start: results by meaning, by action and by code, connections, turns, hints of new calls';

CREATE VIEW payments.worker_histogram WITH (security_barrier) AS
	SELECT database, shard, histogram, COALESCE(pg_catalog.trim_scale(le_us / 1000000.0), 'Infinity') AS le, count,
		pg_catalog.trim_scale(sum_us / 1000000.0) AS sum
	FROM payments.worker_histograms();
COMMENT ON VIEW payments.worker_histogram IS
'How many things took le seconds or less since the server''s start, by histogram; sum is that of all of them, in seconds';
