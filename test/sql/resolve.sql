--
-- resolve: a person closes what evidence could not decide.  The books get what
-- the worker would have given them, once; nothing that may still change at the
-- PSP is closed; and all of it is written down for ever.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT count(payments.checkout(1501, '[{"seller_id": 1501, "amount": 1000}, {"seller_id": 1502, "amount": 500}]', order_id => 'resolve-' || n))
	FROM generate_series(1, 9) n;
SELECT payments.set_seller(1503, 0.1);
SELECT payments.checkout(1501, '[{"seller_id": 1503, "amount": 200}]', order_id => 'resolve-fee') IS NOT NULL AS ok;
SELECT count(payments.confirm('resolve-' || n, 'pay_resolve_' || n, 1500)) FROM generate_series(1, 8) n;
SELECT payments.confirm('resolve-fee', 'pay_resolve_fee', 200);

-- what the worker and the PSP would have done to the call of an order
CREATE FUNCTION pg_temp.sent(o text, ago interval, s "char", ph "char" DEFAULT 'T') RETURNS void LANGUAGE sql AS $$
	UPDATE payments.psp_call_queue SET state = s, phase = ph, attempt_no = 1, outcome_unknown = true, epoch = 1,
		first_sent_at = clock_timestamp() - ago WHERE order_id = o;
	INSERT INTO payments.psp_attempt SELECT call_id, 1, order_id, 'confirm', 1, clock_timestamp() - ago
		FROM payments.psp_call_queue WHERE order_id = o $$;
CREATE FUNCTION pg_temp.answered(o text, m text, a text, at_no int DEFAULT 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.psp_attempt SELECT id, at_no, order_id, 'query', 1, clock_timestamp()
		FROM payments.psp_call WHERE order_id = o AND at_no > 1;
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
		SELECT id, at_no, order_id, 'confirm', 'answered', m, false, a, 0, clock_timestamp() FROM payments.psp_call WHERE order_id = o $$;
CREATE FUNCTION pg_temp.resolve(args text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS $$
	SELECT code, message, replace(regexp_replace(detail, '\d{4}-\d\d-\d\d [\d:.+-]+', '<time>'), format('by "%s"', session_user), 'by me'), hint FROM test.try('SELECT payments.resolve(' || args || ')') $$;
CREATE VIEW pg_temp.books AS SELECT t.transaction_key, a.code, e.amount FROM payments.ledger_transaction t
	JOIN payments.ledger_entry e ON e.transaction_id = t.id JOIN payments.ledger_account a ON a.id = e.account_id
	WHERE t.order_id LIKE 'resolve-%';

-- arguments
\x
SELECT args, r.* FROM unnest(ARRAY[
	$$NULL, 'failed', 'note'$$, $$'resolve-1', NULL, 'note'$$, $$'resolve-1', 'failed', NULL$$, $$'resolve-1', 'failed', E' \n'$$,
	$$'resolve-1', 'failed', repeat('x', 1001)$$, $$'resolve-1', 'SUCCESS', 'note'$$, $$'resolve-0', 'failed', 'note'$$,
	$$'resolve-1', 'failed', 'note', 1500$$, $$'resolve-1', 'failed', 'note', NULL, 'pay_resolve_1'$$,
	$$'resolve-1', 'succeeded', 'note'$$, $$'resolve-1', 'succeeded', 'note', 1500$$,
	$$'resolve-1', 'succeeded', 'note', 1499, 'pay_resolve_1'$$, $$'resolve-1', 'succeeded', 'note', 1500.5, 'pay_resolve_1'$$,
	$$'resolve-1', 'succeeded', 'note', 1500, 'pay_resolve_2'$$, $$'resolve-9', 'succeeded', 'note', 1500, 'pay_resolve_9'$$,
	$$'resolve-1', 'succeeded', 'note', 1500, 'pay_resolve_1', now() + interval '1 hour'$$,
	$$'resolve-1', 'succeeded', 'note', 1500, 'pay_resolve_1', now() - interval '1 hour'$$,
	$$'resolve-1', 'succeeded', 'note', 1500, 'pay_resolve_1', '-infinity'$$]) WITH ORDINALITY x (args, n), pg_temp.resolve(args) r ORDER BY n;

-- not yet, or not at all: nothing sent, in flight, young, waiting for a deposit, never confirmed
SELECT 'nothing sent', r.* FROM pg_temp.resolve($$'resolve-1', 'failed', 'note'$$) r;
SELECT 'never confirmed', r.* FROM pg_temp.resolve($$'resolve-9', 'failed', 'note'$$) r;
SELECT pg_temp.sent('resolve-1', '1 hour', 'S');
SELECT 'in flight', r.* FROM pg_temp.resolve($$'resolve-1', 'failed', 'note'$$) r;
SELECT pg_temp.sent('resolve-2', '14 min 50 s', 'P');
SELECT 'young', r.* FROM pg_temp.resolve($$'resolve-2', 'succeeded', 'note', 1500, 'pay_resolve_2'$$) r;
SELECT pg_temp.sent('resolve-3', '14 min 50 s', 'D');
SELECT 'young and dead', r.* FROM pg_temp.resolve($$'resolve-3', 'failed', 'note'$$) r;
SELECT pg_temp.sent('resolve-4', '1 hour', 'P', 'D');
SELECT 'waits for a deposit', r.* FROM pg_temp.resolve($$'resolve-4', 'failed', 'note'$$) r;
SELECT pg_temp.sent('resolve-5', '1 hour', 'D');
SELECT pg_temp.answered('resolve-5', 'approved', 'quarantine');
SELECT 'approved', r.* FROM pg_temp.resolve($$'resolve-5', 'failed', 'note'$$) r;
\x
SELECT count(*) AS recorded FROM payments.operator_action WHERE order_id LIKE 'resolve-%';
SELECT count(*) AS booked FROM pg_temp.books;

-- succeeded, of a dead call at any age: booked as the worker does it
SELECT clock_timestamp() AS approved_at \gset
SELECT payments.resolve('resolve-3', 'succeeded', 'dashboard 12:01: DONE', 1500, 'pay_resolve_3', approved_at => :'approved_at');
SELECT test.order_line('resolve-3');
SELECT * FROM pg_temp.books ORDER BY 1, 2, 3;
SELECT t.effective_at = :'approved_at' AS effective_when_approved, e.approved_at = :'approved_at' AS approved, e.psp_status
	FROM payments.ledger_transaction t JOIN payments.payment_event e USING (order_id) WHERE order_id = 'resolve-3';
SELECT from_status, to_status, reason, actor = session_user AS by_us FROM payments.payment_order_history WHERE order_id = 'resolve-3' ORDER BY id;
SELECT o.order_id, o.call_id = c.id AS its_call, action, outcome, o.payment_key, o.currency, o.amount, o.approved_at = :'approved_at' AS approved_then,
		note, actor = session_user AS by_us, acted_at >= now() AS acted_now
	FROM payments.operator_action o JOIN payments.psp_call c ON c.order_id = o.order_id WHERE o.order_id LIKE 'resolve-%';
-- one in quarantine, with a commission
SELECT pg_temp.sent('resolve-fee', '1 min', 'D');
SELECT payments.resolve('resolve-fee', 'succeeded', 'note', 200, 'pay_resolve_fee');
SELECT code, amount FROM pg_temp.books WHERE transaction_key = 'payment:resolve-fee' ORDER BY 1, 2;
SELECT kind, amount FROM payments.wallet_transaction WHERE order_id = 'resolve-fee' ORDER BY 1;

-- failed, of a call that nobody could decide for long enough
SELECT pg_temp.sent('resolve-6', '15 min 1 s', 'P');
UPDATE payments.payment_order SET payment_order_status = 'UNKNOWN' WHERE order_id = 'resolve-6';
SELECT payments.resolve('resolve-6', 'failed', 'not at the PSP');
SELECT test.order_line('resolve-6');
SELECT status, failure_code, status_reason FROM payments.payment WHERE order_id = 'resolve-6';
SELECT kind, payload ->> 'code' AS code FROM payments.event WHERE order_id = 'resolve-6';
-- approved once, cancelled since
SELECT pg_temp.answered('resolve-5', 'canceled', 'escalate', 2);
SELECT payments.resolve('resolve-5', 'failed', 'the buyer was paid back at the dashboard');

-- the same again is nothing; anything else is refused
SELECT test.image() AS before \gset
SELECT payments.resolve('resolve-3', 'succeeded', 'dashboard 12:01: DONE', 1500, 'pay_resolve_3', approved_at => :'approved_at');
SELECT payments.resolve('resolve-6', 'failed', 'not at the PSP');
\x
SELECT r.* FROM unnest(ARRAY[$$'resolve-3', 'succeeded', 'another note', 1500, 'pay_resolve_3', clock_timestamp()$$, $$'resolve-3', 'succeeded', 'dashboard 12:01: DONE', 1500, 'pay_resolve_3'$$,
	$$'resolve-3', 'failed', 'dashboard 12:01: DONE'$$, $$'resolve-6', 'succeeded', 'not at the PSP', 1500, 'pay_resolve_6'$$]) x (args), pg_temp.resolve(args) r;
\x
SELECT test.image() = :'before' AS nothing_written;
-- what the PSP's answer settled is not for a person
SELECT test.settle('resolve-7');
SELECT code, detail, hint FROM pg_temp.resolve($$'resolve-7', 'failed', 'note'$$) r;
-- of a resolved order the PSP can be asked again
SELECT code FROM test.try($$SELECT payments.retry('resolve-6')$$);

-- the table keeps it
SELECT t.code, t.message FROM unnest(ARRAY['UPDATE payments.operator_action SET note = ''other''', 'DELETE FROM payments.operator_action',
	'TRUNCATE payments.operator_action',
	$$INSERT INTO payments.operator_action SELECT 0, order_id, call_id, action, outcome, payment_key, currency, amount, approved_at, note, actor, acted_at
		FROM payments.operator_action WHERE order_id = 'resolve-3'$$,
	$$INSERT INTO payments.operator_action SELECT 0, 'resolve-8', call_id, action, outcome, NULL, currency, amount, approved_at, note, actor, acted_at
		FROM payments.operator_action WHERE order_id = 'resolve-3'$$,
	$$INSERT INTO payments.operator_action SELECT 0, 'resolve-8', call_id, action, outcome, payment_key, currency, amount, approved_at, NULL, actor, acted_at
		FROM payments.operator_action WHERE order_id = 'resolve-3'$$]) s, test.try(s) t;

-- all of it holds
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
ROLLBACK;
