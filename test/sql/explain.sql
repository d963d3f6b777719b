--
-- explain: everything that was written down about an order, in the order of
-- time, with what happens next; no payment key in full, and nothing of others.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
CREATE FUNCTION pg_temp.story(o text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT replace(regexp_replace(story, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d', '<time>', 'g'), format('"%s"', session_user), '"me"') FROM payments.explain(o) $$;
SELECT payments.set_seller(1702, 0.1);
SELECT payments.checkout(1701, '[{"seller_id": 1701, "unit_price": 500, "quantity": 2, "name": "tea"}, {"seller_id": 1702, "amount": 300}]',
	order_id => 'explain-' || n) IS NOT NULL AS ok FROM generate_series(1, 4) n;
-- nobody confirmed it
SELECT * FROM pg_temp.story('explain-1');
SELECT payments.fail('explain-1', 'PAY_PROCESS_CANCELED', 'closed');
SELECT * FROM pg_temp.story('explain-1');

-- queued, due, in flight, put off, waiting for a deposit, for a person
SELECT payments.confirm('explain-2', 'tgen_explain_0123456789', 1300, '10 min');
SELECT * FROM pg_temp.story('explain-2');
CREATE FUNCTION pg_temp.now_line(change text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'UPDATE payments.psp_call_queue SET ' || change || ' WHERE order_id = ''explain-2''';
	RETURN (SELECT string_agg(s, ' / ' ORDER BY n) FROM pg_temp.story('explain-2') WITH ORDINALITY x (s, n) WHERE s ~ '^(now|next)');
END $$;
SELECT pg_temp.now_line(c) FROM unnest(ARRAY['state = ''S'', attempt_no = 2', 'state = ''P'', next_operation = ''Q'', failures = 3, due_at = clock_timestamp() + interval ''1 min''',
	'phase = ''D''', 'phase = ''T'', first_sent_at = now()', 'outcome_unknown = true', 'state = ''D''']) c;
UPDATE payments.psp_call_queue SET state = 'P', phase = 'T', attempt_no = 0, due_at = now(), first_sent_at = NULL, outcome_unknown = false WHERE order_id = 'explain-2';

-- sent, no answer, asked, an error, a new key, approved: as the worker writes it
CREATE FUNCTION pg_temp.attempt(nth_call int, no int, op text, trans text, m text, c text, d text, a text, took bigint DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.psp_attempt SELECT id, no, order_id, op, 7, clock_timestamp() FROM payments.psp_call WHERE order_id = 'explain-2' ORDER BY id OFFSET nth_call - 1 LIMIT 1;
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, http_status, meaning, suspect, code, detail, action, amount, currency,
			body_size, connect_us, first_byte_us, total_us, received_at)
		SELECT id, no, order_id, op, trans, CASE WHEN trans = 'answered' THEN 200 END, m, m = 'uncertain', c, d, a, CASE WHEN m = 'approved' THEN 1300 END,
			CASE WHEN m = 'approved' THEN 'KRW' END, 0, CASE no WHEN 1 THEN 1500 ELSE 0 END, took - 100, took, clock_timestamp()
		FROM payments.psp_call WHERE order_id = 'explain-2' ORDER BY id OFFSET nth_call - 1 LIMIT 1 $$;
SELECT pg_temp.attempt(1, 1, 'confirm', 'not sent', 'not sent', 'NOT_SENT', 'no usable secret key', 'resend');
SELECT pg_temp.attempt(1, 2, 'confirm', 'no answer', 'no answer', 'NO_ANSWER', 'connection reset', 'resend');
UPDATE payments.payment_order SET payment_order_status = 'UNKNOWN', status_reason = 'confirm: no answer NO_ANSWER' WHERE order_id = 'explain-2';
SELECT pg_temp.attempt(1, 3, 'confirm', 'answered', 'uncertain', 'WRONG_AMOUNT', 'another amount', 'query', 12345);
SELECT payments.retry('explain-2', 'look again');
INSERT INTO payments.psp_call SELECT nextval('payments.psp_call_id_seq'), order_id, payment_event_id, merchant, operation, payment_key, currency, amount,
	'explain-2 a second key', request_body, id, clock_timestamp() FROM payments.psp_call WHERE order_id = 'explain-2';
SELECT pg_temp.attempt(2, 1, 'confirm', 'answered', 'approved', 'DONE', NULL, 'quarantine', 312000);
UPDATE payments.psp_call_queue SET state = 'D', first_sent_at = now() WHERE order_id = 'explain-2';
SELECT s FROM pg_temp.story('explain-2') s WHERE s ~ '^(now|next)';
SELECT payments.resolve('explain-2', 'succeeded', 'DONE at the dashboard', 1300, 'tgen_explain_0123456789');
SELECT * FROM pg_temp.story('explain-2');
SELECT count(*) = 0 AS no_key_in_full FROM payments.explain('explain-2') WHERE story ~ 'tgen_explain_0123456789';
-- a short key is not told but for its beginning
SELECT payments.confirm('explain-3', 'short_key', 1300);
SELECT s FROM pg_temp.story('explain-3') s WHERE s ~ '^call';

-- claimed, and one that nobody could give back
SELECT payments.confirm('explain-4', 'short_key4', 1300, '10 min');
UPDATE payments.payment_order SET payment_order_status = 'SUCCESS' WHERE order_id = 'explain-4';
DELETE FROM payments.psp_call_queue WHERE order_id = 'explain-4';
UPDATE payments.payment_claim SET problem = 'the PSP refused' WHERE order_id = 'explain-4';
SELECT s FROM pg_temp.story('explain-4') s WHERE s ~ '^(now|next)';
SELECT payments.claim('explain-2');
SELECT s FROM pg_temp.story('explain-2') s WHERE s ~ '^(now|next|claimed|to be claimed)';

-- the columns: time does not go back, the first is at zero, the last is now
SELECT bool_and(at >= previous) AS in_order, min(after) = '0' AS from_zero, bool_and(after = at - first) AS after_the_first
	FROM (SELECT *, lag(at) OVER w AS previous, first_value(at) OVER w AS first FROM payments.explain('explain-2') WITH ORDINALITY x (at, after, story, n)
		WINDOW w AS (ORDER BY n)) s;
-- every row that was written about it is told
SELECT count(*) AS told, count(DISTINCT story) AS different FROM payments.explain('explain-2');
SELECT t.code, t.message FROM unnest(ARRAY['NULL', '''explain-0''']) o, test.try('SELECT * FROM payments.explain(' || o || ')') t;
ROLLBACK;
