-- The same numbers as OpenMetrics text, for this database.

-- From the queues alone, so that a million open calls can be counted often.
CREATE VIEW payments.open_call_counts WITH (security_barrier) AS
	SELECT k.kind, pg_catalog.count(q.kind) AS calls, pg_catalog.min(q.first_sent_at) AS first_sent_at,
		pg_catalog.min(q.due_at) FILTER (WHERE q.state = 'P') AS due_at
	FROM (VALUES ('trying'), ('unsent'), ('look'), ('unknown'), ('deposit'), ('dead'), ('quarantined')) k (kind)
		LEFT JOIN (SELECT q.state, q.first_sent_at, q.due_at,
				CASE
					WHEN q.state = 'D' AND 'quarantine' = COALESCE((SELECT a.action FROM ONLY payments.psp_answer a
						WHERE a.order_id = q.order_id AND a.call_id = q.call_id ORDER BY a.attempt_no DESC LIMIT 1), 'quarantine') THEN 'quarantined'
					WHEN q.state = 'D' THEN 'dead'
					WHEN q.phase = 'D' THEN 'deposit'
					WHEN q.first_sent_at IS NULL THEN CASE WHEN EXISTS (SELECT FROM ONLY payments.psp_call c
						WHERE c.id = q.call_id AND c.operation = 'look') THEN 'look' ELSE 'unsent' END
					WHEN q.outcome_unknown THEN 'unknown'
					ELSE 'trying'
				END AS kind
			FROM (SELECT call_id, order_id, state, phase, outcome_unknown, first_sent_at, due_at FROM ONLY payments.psp_call_queue
				UNION ALL
				SELECT call_id, order_id, 'P' AS state, 'D' AS phase, false AS outcome_unknown, first_sent_at, due_at FROM ONLY payments.psp_call_deposit) q) q
			ON q.kind = k.kind
	GROUP BY k.kind;
COMMENT ON VIEW payments.open_call_counts IS
'How many calls of each kind are open, since when the oldest of them, and when the next is due';

-- A family is a name (with its unit at the end), a type and a help text; its
-- samples are a suffix, labels and a value.
CREATE FUNCTION payments.metrics()
	RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	WITH family (n, name, type, unit, help) AS (VALUES
		(1, 'payments_build', 'info', NULL, 'Version of the loaded library.'),
		(2, 'payments_worker_up', 'gauge', NULL, 'Whether the worker of a shard runs and nothing keeps it from sending.'),
		(3, 'payments_worker_state', 'stateset', NULL, 'State of the worker; none when no worker serves the database.'),
		(4, 'payments_worker_in_flight', 'gauge', NULL, 'Requests on the wire.'),
		(5, 'payments_worker_last_turn_timestamp_seconds', 'gauge', 'seconds', 'When the worker ended its last transaction.'),
		(6, 'payments_worker_claimed', 'counter', NULL, 'Attempts begun.'),
		(7, 'payments_worker_settled', 'counter', NULL, 'Orders that became final.'),
		(8, 'payments_worker_quarantined', 'counter', NULL, 'Answers that could not be applied.'),
		(9, 'payments_results', 'counter', NULL, 'Attempts that ended, by what the answer means.'),
		(10, 'payments_actions', 'counter', NULL, 'Attempts that ended, by what was done.'),
		(11, 'payments_errors', 'counter', NULL, 'Answers that were errors, by code.'),
		(12, 'payments_suspect', 'counter', NULL, 'Answers of success about another payment than ours.'),
		(13, 'payments_connections', 'counter', NULL, 'Answers, by whether their connection was new or kept.'),
		(14, 'payments_turns', 'counter', NULL, 'Transactions of the worker, by whether they were done or failed.'),
		(15, 'payments_duration_seconds', 'histogram', 'seconds', 'How long things took, by stage.'),
		(16, 'payments_calls_open', 'gauge', NULL, 'Open calls, by kind.'),
		(17, 'payments_calls_oldest_seconds', 'gauge', 'seconds', 'How long ago the first confirm of the oldest open call of a kind was sent.'),
		(18, 'payments_calls_overdue_seconds', 'gauge', 'seconds', 'For how long the oldest pending call has been due.'),
		(19, 'payments_alerts_active', 'gauge', NULL, 'Rows of payments.alerts.'),
		(20, 'payments_foreign', 'gauge', NULL, 'Movements in Toss''s list that differ from the books, by what is wrong.'),
		(21, 'payments_reconciled_timestamp_seconds', 'gauge', 'seconds', 'Up to when the merchant''s books were compared with Toss''s list.'),
		(22, 'payments_merchant_in_flight', 'gauge', NULL, 'Requests on the wire, by merchant.'),
		(23, 'payments_merchant_bucket_tokens', 'gauge', NULL, 'Calls that the bucket of a merchant with a limit lets go at once.'),
		(24, 'payments_merchant_starved_seconds', 'gauge', 'seconds', 'For how long calls of a merchant have had to wait for its bucket.'),
		(25, 'payments_merchant_throttled', 'counter', NULL, 'Answers that asked us to wait, by merchant.'),
		(26, 'payments_breaker_open', 'gauge', NULL, 'Whether nothing but probes is sent for a merchant.'),
		(27, 'payments_breaker_opened', 'counter', NULL, 'Times that the breaker of a merchant opened.')),
	now AS MATERIALIZED (SELECT clock_timestamp() AS now),
	worker AS MATERIALIZED (SELECT * FROM payments.worker_slots() WHERE database = current_database()),
	counted AS MATERIALIZED (SELECT * FROM payments.worker_counters() WHERE database = current_database()),
	taken AS MATERIALIZED (SELECT * FROM payments.worker_histograms() WHERE database = current_database()),
	merchants AS MATERIALIZED (SELECT m.*, now.now FROM payments.merchant_stats m, now),
	calls AS MATERIALIZED (SELECT c.*, now.now FROM payments.open_call_counts c, now),
	-- labels are names and values in turn
	sample (family, suffix, labels, value, n) AS (
		SELECT 1, '_info', ARRAY['version', payments.version()], 1::numeric, 0
		UNION ALL SELECT 2, '', ARRAY['shard', w.shard::text], (w.state = 'running' AND w.reason IS NULL)::int, 0 FROM worker w
		UNION ALL SELECT 2, '', ARRAY['shard', '0'], 0, 0 WHERE NOT EXISTS (SELECT FROM worker)
		UNION ALL SELECT 3, '', ARRAY['shard', w.shard::text, 'payments_worker_state', s.state], (w.state = s.state)::int, s.n
			FROM worker w, (VALUES ('waiting', 1), ('starting', 2), ('running', 3), ('holding', 4), ('disarmed', 5), ('stopping', 6)) s (state, n)
		UNION ALL SELECT 4, '', ARRAY['shard', w.shard::text], w.in_flight, 0 FROM worker w
		UNION ALL SELECT 5, '', ARRAY['shard', w.shard::text], round(extract(epoch FROM w.last_turn_at), 3), 0 FROM worker w WHERE w.last_turn_at IS NOT NULL
		UNION ALL SELECT 6, '_total', ARRAY['shard', w.shard::text], w.claimed, 0 FROM worker w
		UNION ALL SELECT 7, '_total', ARRAY['shard', w.shard::text], w.settled, 0 FROM worker w
		UNION ALL SELECT 8, '_total', ARRAY['shard', w.shard::text], w.quarantined, 0 FROM worker w
		UNION ALL SELECT f.family, '_total', ARRAY['shard', c.shard::text] || CASE WHEN f.label IS NOT NULL THEN ARRAY[f.label, c.label] END, c.value, 0
			FROM counted c JOIN (VALUES ('results', 9, 'meaning'), ('actions', 10, 'action'), ('codes', 11, 'code'), ('suspect', 12, NULL),
				('connections', 13, 'kind'), ('turns', 14, 'outcome')) f (counter, family, label) ON f.counter = c.counter
		UNION ALL SELECT 15, '_bucket', ARRAY['shard', t.shard::text, 'stage', t.histogram, 'le', coalesce(trim_scale(t.le_us / 1000000.0)::text, '+Inf')],
			t.count, coalesce(t.le_us, 9223372036854775805) FROM taken t
		UNION ALL SELECT 15, '_sum', ARRAY['shard', t.shard::text, 'stage', t.histogram], trim_scale(t.sum_us / 1000000.0), 9223372036854775806 FROM taken t WHERE t.le_us IS NULL
		UNION ALL SELECT 15, '_count', ARRAY['shard', t.shard::text, 'stage', t.histogram], t.count, 9223372036854775807 FROM taken t WHERE t.le_us IS NULL
		UNION ALL SELECT 16, '', ARRAY['kind', c.kind], c.calls, 0 FROM calls c
		UNION ALL SELECT 17, '', ARRAY['kind', c.kind], coalesce(round(extract(epoch FROM c.now - c.first_sent_at), 3), 0), 0 FROM calls c
		UNION ALL SELECT 18, '', NULL, greatest(coalesce(round(extract(epoch FROM min(c.now) - min(c.due_at)), 3), 0), 0), 0 FROM calls c
		UNION ALL SELECT 19, '', ARRAY['alert', a.alert, 'severity', a.severity], count(*), 0 FROM payments.find_alerts() a GROUP BY a.alert, a.severity
		UNION ALL SELECT 20, '', ARRAY['what', f.what], f.movements, 0 FROM payments.foreign_payment_counts f
		UNION ALL SELECT 21, '', ARRAY['merchant', r.merchant], round(extract(epoch FROM r.until), 3), 0 FROM payments.reconciled r
		UNION ALL SELECT 22, '', ARRAY['merchant', m.merchant], m.in_flight, 0 FROM merchants m
		UNION ALL SELECT 23, '', ARRAY['merchant', m.merchant], m.tokens, 0 FROM merchants m WHERE m.tokens IS NOT NULL
		UNION ALL SELECT 24, '', ARRAY['merchant', m.merchant], coalesce(round(extract(epoch FROM m.now - m.starved_since), 3), 0), 0 FROM merchants m
		UNION ALL SELECT 25, '_total', ARRAY['merchant', m.merchant], m.throttled, 0 FROM merchants m
		UNION ALL SELECT 26, '', ARRAY['merchant', m.merchant], (m.breaker <> 'closed')::int, 0 FROM merchants m
		UNION ALL SELECT 27, '_total', ARRAY['merchant', m.merchant], m.opened, 0 FROM merchants m),
	line (family, n, labels, text) AS (
		SELECT s.family, s.n, concat_ws(' ', s.labels[2], s.labels[4]), format('%s%s{database="%s"%s} %s', f.name, s.suffix, d.name, l.labels, s.value)
		FROM sample s JOIN family f ON f.n = s.family
			CROSS JOIN LATERAL (SELECT string_agg(format(',%s="%s"', x.name,
					replace(replace(replace(x.value, '\', '\\'), '"', '\"'), E'\n', '\n')), '' ORDER BY x.n)
				FROM ROWS FROM (unnest((SELECT array_agg(v ORDER BY o) FROM unnest(s.labels) WITH ORDINALITY u (v, o) WHERE o % 2 = 1)),
					unnest((SELECT array_agg(v ORDER BY o) FROM unnest(s.labels) WITH ORDINALITY u (v, o) WHERE o % 2 = 0)))
					WITH ORDINALITY x (name, value, n)) l (labels)
			CROSS JOIN (SELECT replace(replace(replace(current_database()::text, '\', '\\'), '"', '\"'), E'\n', '\n')) d (name))
	SELECT string_agg(concat(format(E'# TYPE %s %s\n', f.name, f.type), format(E'# UNIT %s ', f.name) || f.unit || E'\n',
			format(E'# HELP %s %s\n', f.name, f.help),
			(SELECT string_agg(l.text || E'\n', '' ORDER BY l.labels COLLATE "C", l.n, l.text COLLATE "C") FROM line l WHERE l.family = f.n)),
			'' ORDER BY f.n) || E'# EOF\n'
	FROM family f
	$$;
COMMENT ON FUNCTION payments.metrics() IS
'What the worker counts and measures, the open calls and the alerts of this database as OpenMetrics text';
