-- What needs a person, one row each.  A function, so that who may see alerts
-- needs a right to nothing that they are made of.

CREATE FUNCTION payments.find_alerts(
	OUT alert text, OUT severity text, OUT since timestamptz, OUT subject text, OUT detail text, OUT hint text)
	RETURNS SETOF record
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	WITH now AS MATERIALIZED (SELECT clock_timestamp() AS now),
	worker AS MATERIALIZED (
		SELECT w.*, concat(d.name, CASE WHEN w.shards > 1 THEN format(', shard %s of %s', w.shard, w.shards) END) AS subject
		FROM (SELECT current_database() AS name) d
			LEFT JOIN payments.worker_slots() w ON w.database = d.name)

	-- the worker
	SELECT CASE w.state WHEN 'running' THEN 'worker_hindered' WHEN 'holding' THEN 'worker_holding'
			WHEN 'disarmed' THEN 'worker_disarmed' ELSE 'worker_down' END,
		CASE WHEN w.state = 'running' THEN 'warning' ELSE 'critical' END,
		coalesce(w.last_turn_at, w.started_at), w.subject,
		coalesce(nullif(concat_ws(': ', w.state, w.reason), ''), 'no worker serves this database'),
		CASE WHEN w.state IS NULL THEN 'Preload the library, and put the database on payments.databases.'
			ELSE 'The reference says what to do about each state and reason of the worker.' END
	FROM worker w
	WHERE (w.state IS DISTINCT FROM 'running' OR w.reason IS NOT NULL)
		AND (w.state IS DISTINCT FROM 'holding'	-- with nothing to work for, it may
			OR EXISTS (SELECT FROM ONLY payments.merchant) OR EXISTS (SELECT FROM ONLY payments.ledger_account))

	UNION ALL
	SELECT 'worker_silent', 'critical', w.last_turn_at, w.subject,
		format('the last turn of the worker was %s s ago', round(extract(epoch FROM now.now - w.last_turn_at))),
		'It looks around every payments.sweep_interval. See what process it is in, and what it waits for, in pg_stat_activity.'
	FROM worker w, now
	WHERE w.state IN ('running', 'disarmed')
		AND w.last_turn_at < now.now - greatest(3 * coalesce(current_setting('payments.sweep_interval', true), '1min')::interval, '10 s')

	-- what holds back a merchant
	UNION ALL
	SELECT 'breaker_open', 'critical', m.breaker_since, m.merchant,
		format('nothing is sent for the merchant but a question now and then%s', '; the next at ' || to_char(m.next_probe_at, 'HH24:MI:SS')),
		'The PSP does not answer, answers with errors, or refuses the key: see payments.psp_answer. It ends by itself; payments.resume_merchant ends it at once.'
	FROM payments.merchant_stats m WHERE m.breaker <> 'closed'

	UNION ALL
	SELECT 'merchant_throttled', 'warning', m.starved_since, m.merchant,
		CASE WHEN m.paused_until IS NOT NULL THEN format('the PSP asked to wait until %s', to_char(m.paused_until, 'HH24:MI:SS'))
			ELSE format('more calls come than the limit lets go: %s a minute', m.calls_per_minute) END,
		'If the contract allows more: payments.set_merchant_limits; payments.resume_merchant ends a pause. Calls that wait for too long end as EXPIRED_UNSENT.'
	FROM payments.merchant_stats m, now WHERE m.starved_since < now.now - interval '1 min'

	-- calls, from the queue itself: there may be a million
	UNION ALL
	SELECT CASE coalesce(l.action, 'quarantine') WHEN 'quarantine' THEN 'call_quarantined' ELSE 'call_dead' END, 'critical',
		coalesce(l.received_at, q.due_at), q.order_id,
		format('the call waits for a person%s', '; last answer: ' || nullif(concat_ws(' ', l.meaning, l.code), '')),
		CASE coalesce(l.action, 'quarantine') WHEN 'quarantine' THEN 'The server''s log has the error; remove the cause, then payments.retry.'
			ELSE 'See payments.explain and the PSP''s dashboard; then payments.retry or payments.resolve.' END
	FROM ONLY payments.psp_call_queue q
		LEFT JOIN LATERAL (SELECT a.meaning, a.code, a.action, a.received_at FROM ONLY payments.psp_answer a
			WHERE a.order_id = q.order_id AND a.call_id = q.call_id ORDER BY a.attempt_no DESC LIMIT 1) l ON true
	WHERE q.state = 'D'

	UNION ALL
	SELECT 'calls_overdue', CASE WHEN c.since < now.now - interval '5 min' THEN 'critical' ELSE 'warning' END, c.since,
		(SELECT q.order_id FROM ONLY payments.psp_call_queue q WHERE q.state = 'P' AND q.due_at = c.since LIMIT 1),
		format('due and not sent: %s', c.n),
		'See the worker''s state in payments.worker_status, and payments.max_in_flight.'
	FROM now CROSS JOIN LATERAL (SELECT count(*) AS n, min(q.due_at) AS since FROM ONLY payments.psp_call_queue q
		WHERE q.state = 'P' AND q.due_at < now.now - interval '1 min') c
	WHERE c.n > 0

	UNION ALL
	SELECT 'calls_unknown', CASE WHEN c.since < now.now - interval '1 hour' THEN 'critical' ELSE 'warning' END, c.since,
		(SELECT q.order_id FROM ONLY payments.psp_call_queue q WHERE q.outcome_unknown AND q.state <> 'D' AND q.phase NOT IN ('D', 'L')
			AND q.first_sent_at = c.since LIMIT 1),
		format('may have been executed, and nobody knows after 15 minutes: %s', c.n),
		'The worker keeps asking. When the PSP cannot be asked: payments.resolve; see payments.stuck_orders.'
	FROM now CROSS JOIN LATERAL (SELECT count(*) AS n, min(q.first_sent_at) AS since FROM ONLY payments.psp_call_queue q
		WHERE q.outcome_unknown AND q.state <> 'D' AND q.phase NOT IN ('D', 'L') AND q.first_sent_at < now.now - interval '15 min') c
	WHERE c.n > 0

	UNION ALL
	SELECT 'deposit_overdue', 'warning', v.due_at, d.order_id,
		'the virtual account''s due date passed a day ago, and the PSP does not say that it is closed',
		'The worker keeps asking. Cancel the payment in the PSP''s dashboard, and the order ends.'
	FROM ONLY payments.psp_call_deposit d JOIN ONLY payments.virtual_account v ON v.order_id = d.order_id, now
	WHERE v.due_at < now.now - interval '1 day' AND v.expired_at IS NULL

	UNION ALL
	SELECT CASE WHEN o.status = 'SUCCESS' THEN 'deposit_reversed' ELSE 'deposit_to_return' END,
		CASE WHEN o.status = 'SUCCESS' THEN 'warning' ELSE 'critical' END, m.recorded_at, m.order_id,
		CASE WHEN o.status = 'SUCCESS' THEN 'the bank took the deposit back: the order is SUCCESS, and nobody has paid for it'
			ELSE 'a deposit came for an order that had failed: the money is the buyer''s' END,
		CASE WHEN o.status = 'SUCCESS' THEN 'Hold the delivery. It ends when the buyer pays into the account again; if he does not, settle it with him, and with the sellers.'
			ELSE 'Cancel the payment in the PSP''s dashboard, to an account of the buyer''s: the worker learns it.' END
	FROM ONLY payments.deposit_movement m
		CROSS JOIN LATERAL (SELECT min(l.payment_order_status)::text AS status
			FROM ONLY payments.payment_order l WHERE l.order_id = m.order_id) o
	WHERE m.ledger_key LIKE 'deposit:%' AND m.kind = CASE o.status WHEN 'SUCCESS' THEN 'reversal' ELSE 'deposit' END
		AND NOT EXISTS (SELECT FROM ONLY payments.deposit_movement x
			WHERE x.order_id = m.order_id AND x.movement_no > m.movement_no AND x.ledger_key LIKE 'deposit:%')
		-- cancelled while it waited: it is over
		AND NOT (m.kind = 'reversal' AND EXISTS (SELECT FROM ONLY payments.payment_event e
			WHERE e.order_id = m.order_id AND e.psp_status = 'CANCELED'))

	UNION ALL
	SELECT 'answer_suspect', 'warning', min(a.received_at), a.order_id,
		format('answers of success about another payment than ours: %s', count(*)),
		'See payments.explain. If it goes on, somebody else uses the idempotency keys, or stands between us and the PSP.'
	FROM ONLY payments.psp_call_queue q JOIN ONLY payments.psp_answer a ON a.order_id = q.order_id
	WHERE q.outcome_unknown AND a.suspect
	GROUP BY a.order_id

	-- what people said, and the PSP says otherwise; until a correction is booked
	UNION ALL
	SELECT 'resolution_contradicted', 'critical', a.received_at, r.order_id,
		format('resolved as %s by "%s", and then came an answer: %s', r.outcome, r.actor, concat_ws(' ', a.meaning, a.code)),
		'Settle it with the PSP, and post the correction with this order_id: the alert ends then.'
	FROM ONLY payments.operator_action r
		JOIN ONLY payments.psp_answer a ON a.order_id = r.order_id AND a.received_at > r.acted_at
		JOIN ONLY payments.psp_call c ON c.id = a.call_id AND c.operation = 'confirm'
	WHERE r.action = 'resolve'
		AND a.meaning = ANY (CASE r.outcome WHEN 'failed' THEN '{approved,waiting}'::text[] ELSE '{canceled,aborted,refused,open}'::text[] END)
		AND NOT EXISTS (SELECT FROM ONLY payments.ledger_transaction t
			WHERE t.order_id = r.order_id AND t.recorded_at > a.received_at)

	-- the worker ends them, but for those of which it cannot know
	UNION ALL
	SELECT 'checkouts_not_ended', 'warning', c.since,
		(SELECT e.order_id FROM ONLY payments.payment_event e
			WHERE e.payment_key IS NULL AND e.abandoned_at IS NULL AND e.expires_at = c.since LIMIT 1),
		format('nobody confirmed them in time, and they have not ended after 10 minutes: %s', c.n),
		'See the worker''s state. What is older than the last change of where charges are sent from is left for people: look for it at the PSP, then payments.fail.'
	FROM now CROSS JOIN LATERAL (SELECT count(*) AS n, min(e.expires_at) AS since FROM ONLY payments.payment_event e
		WHERE e.payment_key IS NULL AND e.abandoned_at IS NULL AND e.expires_at < now.now - interval '10 min') c
	WHERE c.n > 0

	-- looks of the last month at payments whose orders are final; what they show of cancels is booked,
	-- and that a bank took a deposit back, unless some of it had been refunded
	UNION ALL
	SELECT 'payment_contradicted', 'critical', l.received_at, l.order_id,
		format('the order is %s, and the PSP says of the payment: %s', s.status, concat_ws(' ', l.meaning, l.code)),
		'Settle it with the PSP, and post the correction with this order_id; then payments.retry: the alert ends with the answer, or with the correction.'
	FROM (SELECT DISTINCT ON (c.order_id) c.order_id, a.meaning, a.code, a.received_at
			FROM now CROSS JOIN ONLY payments.psp_call c
				JOIN ONLY payments.psp_answer a ON a.order_id = c.order_id AND a.call_id = c.id AND a.action = 'learn'
			WHERE c.operation = 'look' AND c.created_at > now.now - interval '30 days'
			ORDER BY c.order_id, c.id DESC) l
		CROSS JOIN LATERAL (SELECT payments.status(l.order_id) WHERE l.meaning IN ('aborted', 'approved', 'waiting', 'lapsed')) s (status)
	WHERE CASE s.status WHEN 'SUCCESS' THEN l.meaning <> 'approved'
				AND coalesce((SELECT max(m.movement_no) % 2 = 1 FROM ONLY payments.deposit_movement m WHERE m.order_id = l.order_id), true)
			WHEN 'FAILURE' THEN l.meaning = 'approved' END
		AND NOT EXISTS (SELECT FROM ONLY payments.ledger_transaction t
			WHERE t.order_id = l.order_id AND t.recorded_at > l.received_at)

	-- webhooks
	UNION ALL
	SELECT 'webhooks_waiting', 'warning', c.since, c.subject,
		format('webhooks came more than 10 minutes ago, and the worker has not looked at them: %s', c.n),
		'See the worker''s state. Those of an order whose call is in flight, or that somebody has locked, wait for that: payments.webhooks.'
	FROM now CROSS JOIN LATERAL (SELECT count(*) AS n, min(w.received_at) AS since, min(q.order_id) AS subject
		FROM ONLY payments.webhook_queue q JOIN ONLY payments.webhook w ON w.id = q.webhook_id
		WHERE w.received_at < now.now - interval '10 min') c
	WHERE c.n > 0

	UNION ALL
	SELECT 'security_key_missing', 'warning', min(o.decided_at), min(w.event_type),
		format('webhooks about payouts or sellers whose signature nobody could check: %s', count(*)),
		'Put the merchant''s security key into the file NAME.security beside its secret key. Without it anybody can have sent them.'
	FROM ONLY payments.webhook_outcome o
		JOIN ONLY payments.webhook w ON w.id = o.webhook_id, now
	WHERE o.outcome = 'no security key' AND o.decided_at > now.now - interval '1 day'
		AND NOT EXISTS (SELECT FROM ONLY payments.webhook_outcome l
			WHERE l.outcome IN ('signature valid', 'signature wrong') AND l.decided_at > o.decided_at)
	HAVING count(*) > 0

	-- charged, and neither delivered nor given back
	UNION ALL
	SELECT 'order_unclaimed', 'critical', c.due_at, c.order_id,
		format('nobody claimed the paid order in time, and it was not given back%s', ': ' || c.problem),
		'Remove the cause: it is tried again every minute. See the worker''s state, and payments.waits_for_person.'
	FROM ONLY payments.payment_claim c, now
	WHERE c.claim_status = 'waiting' AND (c.problem IS NOT NULL OR c.due_at < now.now - interval '10 min')
		AND EXISTS (SELECT FROM ONLY payments.payment_order o WHERE o.order_id = c.order_id AND o.payment_order_status = 'SUCCESS')
	UNION ALL
	SELECT 'order_unclaimed', 'critical', c.ended_at, c.order_id,
		concat_ws(': ', 'nobody claimed the paid order in time, and not all of it was given back', w.problem),
		'Refund what is left with payments.refund, or deliver it: see payments.waits_for_person.'
	FROM ONLY payments.payment_claim c
		JOIN payments.waits_for_person w ON w.order_id = c.order_id AND w.kind = 'unclaimed'
	WHERE c.claim_status = 'lapsed'

	-- the schema and the books
	UNION ALL
	SELECT 'schema_changed', 'critical', NULL::timestamptz, min(p.problem),
		format('objects that differ from what was recorded: %s', count(*)),
		'See payments.schema_problems() and the chapter on a schema that was changed. Nothing is sent meanwhile.'
	FROM payments.schema_problems() p HAVING count(*) > 0

	UNION ALL
	SELECT 'balance_differs', 'critical', b.as_of, b.account,
		format('%s says %s %s at %s, the ledger %s', b.source, b.amount, b.currency, to_char(b.as_of, 'YYYY-MM-DD HH24:MI:SSOF'), b.balance),
		'Find the difference in payments.statement; the next balance assertion of the account replaces this one.'
	FROM (SELECT x.*, a.code AS account, a.currency, payments.balance(a.code, x.as_of) AS balance
		FROM (SELECT DISTINCT ON (account_id) * FROM ONLY payments.balance_assertion ORDER BY account_id, as_of DESC, id DESC) x
			JOIN ONLY payments.ledger_account a ON a.id = x.account_id OFFSET 0) b
	WHERE b.amount <> b.balance

	UNION ALL
	SELECT 'clearing_old', 'warning', c.open_since, c.account,
		format('%s %s came in and did not go on for %s hours', c.balance, c.currency, round(extract(epoch FROM c.age) / 3600)),
		'See the account''s payments.statement: who should have cleared it?'
	FROM payments.open_clearing c WHERE c.age > '2 days'

	UNION ALL
	SELECT 'snapshots_behind', 'warning', NULL, 'payments.ledger_horizon',
		format('%s ledger transactions are in no snapshot', s.last_value - h.done_id),
		'Reads at a time get slow. A transaction that stays open or prepared holds it up, or no worker calls payments.write_snapshots.'
	FROM ONLY payments.ledger_horizon h, payments.ledger_transaction_id_seq s
	WHERE s.last_value - h.done_id > 1000000

	-- Toss's books and ours
	UNION ALL
	SELECT 'foreign_payment', CASE WHEN f.kind IN ('unreadable', 'unknown status') THEN 'warning' ELSE 'critical' END,
		min(f.found_at), coalesce((array_agg(f.order_id ORDER BY f.found_at, f.id))[1], f.merchant),
		format('movements in Toss''s list that differ from our books, "%s": %s', f.kind, count(*)),
		'See payments.foreign_payments, which says what to do about each.'
	FROM ONLY payments.reconciliation_finding f
	WHERE NOT EXISTS (SELECT FROM ONLY payments.reconciliation_finding_end x WHERE x.finding_id = f.id)
	GROUP BY f.merchant, f.kind

	UNION ALL
	SELECT 'reconciliation_failing', 'warning', min(r.failing_since), r.merchant,
		format('runs that cannot read Toss''s list: %s; last problem: %s', count(*), (array_agg(r.problem ORDER BY r.id DESC))[1]),
		'See payments.reconciliation and payments.reconciliation_page. The worker keeps trying for a day; then payments.reconcile for the period.'
	FROM ONLY payments.reconciliation r
	WHERE r.state <> 'C' AND r.failures >= 5
		AND NOT EXISTS (SELECT FROM ONLY payments.reconciliation c
			WHERE c.merchant = r.merchant AND c.state = 'C' AND c.since <= r.since AND c.ended_at > r.failing_since)
	GROUP BY r.merchant

	-- those who read events, and those who hold them back
	UNION ALL
	SELECT 'consumer_behind', 'warning', e.occurred_at, c.name, 'the consumer has not read this event for an hour',
		'Does it run? A transaction that stays open or prepared holds events back; a consumer that is not used any more can be deleted.'
	FROM ONLY payments.event_consumer c
		CROSS JOIN now
		CROSS JOIN LATERAL (SELECT e.occurred_at FROM ONLY payments.event e
			WHERE (e.generation, e.xid, e.id) > (c.generation, c.xid, c.event_id)
			ORDER BY e.generation, e.xid, e.id LIMIT 1) e
	WHERE e.occurred_at < now.now - interval '1 hour'

	UNION ALL
	SELECT 'prepared_old', 'warning', x.prepared, x.gid, 'the transaction is prepared and not ended',
		'It holds back events, snapshots and vacuum: COMMIT PREPARED or ROLLBACK PREPARED.'
	FROM pg_prepared_xacts x, now
	WHERE x.database = current_database() AND x.prepared < now.now - interval '10 min'
	$$;
COMMENT ON FUNCTION payments.find_alerts() IS
'The source of the view payments.alerts';

CREATE VIEW payments.alerts WITH (security_barrier) AS
	SELECT alert, severity, since, subject, detail, hint
	FROM payments.find_alerts();
COMMENT ON VIEW payments.alerts IS
'What needs a person, one row each: how urgent, since when, about what, and what to do; empty when all is well';
