--
-- alerts: nothing when all is well, and each trouble is told, with its subject;
-- it goes when the trouble does.  (Those of a living worker: test/t.)
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
-- put what the other tests left behind aside
UPDATE payments.psp_call_queue SET due_at = 'infinity', outcome_unknown = false, state = 'P' WHERE order_id NOT LIKE 'alert-%';
CREATE TEMP TABLE before AS SELECT * FROM payments.alerts;
SELECT alert, severity, subject = current_database() AS database, detail, hint FROM pg_temp.before WHERE alert ~ 'worker';
CREATE TEMP VIEW news AS SELECT a.alert, a.severity, a.since IS NOT NULL AS dated,
		replace(a.subject, current_database(), 'this database') AS subject,
		regexp_replace(a.detail, format('"%s"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[-+]\d\d', session_user), '<...>', 'g') AS detail
	FROM payments.alerts a WHERE (a.alert, a.subject) NOT IN (SELECT b.alert, b.subject FROM pg_temp.before b) AND a.alert <> 'consumer_behind';
SELECT * FROM pg_temp.news;

-- calls: overdue by a bit and by much, in doubt for long, dead, in quarantine
SELECT count(payments.checkout(1901, '[{"seller_id": 1, "amount": 10}]', order_id => 'alert-' || n)) FROM unnest(ARRAY['due', 'unknown', 'dead',
	'quarantined', 'suspect', 'failed', 'succeeded']) n;
SELECT count(payments.confirm(order_id, order_id, 10)) FROM payments.payment_event WHERE order_id LIKE 'alert-%';
UPDATE payments.psp_call_queue SET due_at = 'infinity' WHERE order_id LIKE 'alert-%';
SELECT * FROM pg_temp.news;
UPDATE payments.psp_call_queue SET due_at = clock_timestamp() - interval '61 s' WHERE order_id = 'alert-due';
SELECT * FROM pg_temp.news;
UPDATE payments.psp_call_queue SET due_at = clock_timestamp() - interval '301 s' WHERE order_id = 'alert-due';
SELECT * FROM pg_temp.news;
UPDATE payments.psp_call_queue SET state = 'S' WHERE order_id = 'alert-due';
SELECT * FROM pg_temp.news;

UPDATE payments.psp_call_queue SET attempt_no = 1, outcome_unknown = true, first_sent_at = clock_timestamp() - interval '14 min' WHERE order_id = 'alert-unknown';
SELECT * FROM pg_temp.news;
UPDATE payments.psp_call_queue SET first_sent_at = clock_timestamp() - interval '16 min' WHERE order_id = 'alert-unknown';
SELECT * FROM pg_temp.news;
UPDATE payments.psp_call_queue SET first_sent_at = clock_timestamp() - interval '61 min' WHERE order_id = 'alert-unknown';
SELECT * FROM pg_temp.news;
UPDATE payments.psp_call_queue SET phase = 'D' WHERE order_id = 'alert-unknown';
SELECT * FROM pg_temp.news;

CREATE FUNCTION pg_temp.answer(o text, m text, a text, s boolean, no int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.psp_attempt SELECT id, no, order_id, 'confirm', 1, clock_timestamp() FROM payments.psp_call WHERE order_id = o;
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, code, action, body_size, received_at)
		SELECT id, no, order_id, 'confirm', 'answered', m, s, 'A_CODE', a, 0, clock_timestamp() FROM payments.psp_call WHERE order_id = o $$;
UPDATE payments.psp_call_queue SET state = 'D', first_sent_at = now() WHERE order_id IN ('alert-dead', 'alert-quarantined');
UPDATE payments.psp_call_queue SET outcome_unknown = true, first_sent_at = now() WHERE order_id = 'alert-suspect';
SELECT pg_temp.answer('alert-dead', 'canceled', 'escalate', false, 1), pg_temp.answer('alert-quarantined', 'approved', 'quarantine', false, 1),
	pg_temp.answer('alert-suspect', 'uncertain', 'query', true, 1), pg_temp.answer('alert-suspect', 'uncertain', 'query', true, 2);
SELECT * FROM pg_temp.news ORDER BY 1;
DELETE FROM payments.psp_call_queue WHERE order_id IN ('alert-dead', 'alert-quarantined', 'alert-suspect');
SELECT * FROM pg_temp.news;

-- a person said one thing, the PSP says another; until a correction is posted
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id IN ('alert-failed', 'alert-succeeded');
SELECT pg_temp.answer('alert-failed', 'open', 'query', false, 1);
SELECT payments.resolve('alert-failed', 'failed', 'note'), payments.resolve('alert-succeeded', 'succeeded', 'note', 10, 'alert-succeeded');
SELECT pg_temp.answer('alert-failed', 'refused', 'late', false, 2), pg_temp.answer('alert-succeeded', 'approved', 'late', false, 2);
SELECT * FROM pg_temp.news;
SELECT pg_temp.answer('alert-failed', 'approved', 'late', false, 3), pg_temp.answer('alert-succeeded', 'canceled', 'late', false, 3);
SELECT * FROM pg_temp.news ORDER BY subject;
SELECT payments.post('alert-correction-' || n, 'correction', '[{"account": "expense:alert", "amount": 10}, {"account": "asset:alert", "amount": -10}]', order_id => 'alert-' || n) > 0 AS posted
	FROM unnest(ARRAY['failed', 'succeeded']) n;
SELECT * FROM pg_temp.news;

-- the order is final, and a look at its payment says what cannot be
CREATE FUNCTION pg_temp.look(o text, m text) RETURNS void LANGUAGE sql AS $$
	WITH c AS (INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation, payment_key, currency, amount, idempotency_key, request_body, created_at)
		SELECT nextval('payments.psp_call_id_seq'), order_id, id, merchant, 'look', payment_key, currency, amount, concat('look of ', o, ' ', m, ' ', clock_timestamp()), '{}', clock_timestamp()
			FROM payments.payment_event WHERE order_id = o RETURNING *),
	s AS (INSERT INTO payments.psp_attempt SELECT id, 1, order_id, 'query', 1, created_at FROM c)
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
		SELECT id, 1, order_id, 'query', 'answered', m, false, 'learn', 0, clock_timestamp() FROM c $$;
SELECT pg_temp.look('alert-failed', 'canceled'), pg_temp.look('alert-succeeded', 'approved'), pg_temp.look('alert-succeeded', 'canceled');
SELECT * FROM pg_temp.news;
SELECT pg_temp.look('alert-failed', 'approved'), pg_temp.look('alert-succeeded', 'aborted');
SELECT * FROM pg_temp.news ORDER BY subject;
SELECT pg_temp.look('alert-failed', 'canceled');
SELECT * FROM pg_temp.news;
SELECT payments.post('alert-correction-3', 'correction', '[{"account": "expense:alert", "amount": 10}, {"account": "asset:alert_other", "amount": -10}]', order_id => 'alert-succeeded') > 0 AS posted;
SELECT * FROM pg_temp.news;
-- its account waits for a deposit that we have booked; then for one that was taken back; then it is cancelled
INSERT INTO payments.virtual_account (order_id, issued_at) VALUES ('alert-succeeded', now());
INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key, effective_at, recorded_at)
	VALUES ('alert-succeeded', 1, 'deposit', 10, 'payment:alert-succeeded', now(), now());
SELECT pg_temp.look('alert-succeeded', 'waiting');
SELECT * FROM pg_temp.news;
INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key, effective_at, recorded_at)
	VALUES ('alert-succeeded', 2, 'reversal', 10, 'deposit:alert-succeeded:2', now(), now());
SELECT alert, severity, subject, detail FROM pg_temp.news;
SELECT pg_temp.look('alert-succeeded', 'aborted');
UPDATE payments.payment_event SET psp_status = 'CANCELED' WHERE order_id = 'alert-succeeded';
SELECT * FROM pg_temp.news;

-- webhooks that nobody looks at, or can check
INSERT INTO payments.webhook (id, order_id, received_at, event_type, kind, verdict, body_size, body_sha256)
	SELECT -n, CASE n WHEN 1 THEN 'alert-failed' END, now() - make_interval(mins => 11 * n), 'payout.changed', CASE n WHEN 1 THEN 'payment' ELSE 'signed' END, CASE n WHEN 1 THEN 'hint' ELSE 'unverified' END, 0, sha256(n::text::bytea)
	FROM generate_series(1, 3) n;
INSERT INTO payments.webhook_queue VALUES (-1, 'alert-failed', now());
INSERT INTO payments.webhook_outcome VALUES (-2, NULL, 'no security key', NULL, now() - interval '2 min');
SELECT * FROM pg_temp.news ORDER BY alert;
INSERT INTO payments.webhook_outcome VALUES (-3, NULL, 'signature wrong', NULL, now() - interval '1 min');
SELECT * FROM pg_temp.news;
DELETE FROM payments.webhook_queue;

-- books: the newest assertion counts; clearing
SELECT payments.assert_balance('asset:alert', now() + interval '1 hour', -21, 'the bank') > 0 AS asserted;
SELECT * FROM pg_temp.news;
SELECT payments.assert_balance('asset:alert', now() + interval '2 hours', -20, 'the bank') > 0 AS asserted;
SELECT * FROM pg_temp.news;
SELECT payments.post('alert-clearing', 'test', '[{"account": "asset:alert_clearing", "amount": -5}, {"account": "revenue:alert", "amount": 5}]', effective_at => now() - interval '50 hours') > 0 AS posted;
SELECT * FROM pg_temp.news;
SELECT payments.set_clearing('asset:alert_clearing', true, 'why');
SELECT * FROM pg_temp.news;
SELECT payments.set_clearing('asset:alert_clearing', false, 'why');

-- the schema
GRANT INSERT ON payments.wallet TO PUBLIC;
SELECT * FROM pg_temp.news WHERE alert = 'schema_changed';
REVOKE INSERT ON payments.wallet FROM PUBLIC;
SELECT * FROM pg_temp.news WHERE alert = 'schema_changed';

-- snapshots that do not follow
SELECT last_value AS was FROM payments.ledger_transaction_id_seq \gset
SELECT setval('payments.ledger_transaction_id_seq', (SELECT done_id + 1000001 FROM payments.ledger_horizon)) > 0 AS moved;
SELECT alert, severity, detail FROM pg_temp.news WHERE alert = 'snapshots_behind';
ROLLBACK;
SELECT setval('payments.ledger_transaction_id_seq', :was) = :was AS set_back;

-- consumers
SELECT (payments.checkout(1901, '[{"seller_id": 1, "amount": 10}]', order_id => 'alert-event')).amount;
SELECT payments.fail('alert-event', 'CODE', 'message');
SELECT test.calm();
BEGIN;
SELECT count(*) > 0 AS some FROM payments.fetch_events('alert-consumer');
ALTER TABLE payments.event DISABLE TRIGGER event_forbid_change;
UPDATE payments.event SET occurred_at = occurred_at - interval '1 day';
SELECT alert, severity, subject FROM payments.alerts WHERE subject = 'alert-consumer';
SELECT payments.ack_events('alert-consumer', (SELECT id FROM payments.event ORDER BY generation DESC, xid DESC, id DESC LIMIT 1));
SELECT alert, severity, subject FROM payments.alerts WHERE subject = 'alert-consumer';
ROLLBACK;

-- a prepared transaction is told after a while
BEGIN;
PREPARE TRANSACTION 'regress_alerts';
SELECT count(*) FROM payments.alerts WHERE alert = 'prepared_old';
ROLLBACK PREPARED 'regress_alerts';
