--
-- refund: what may go back, out of which lines, and what is reserved for it.
-- What becomes of refunds at the PSP is t/070_refund.pl's and t/071's.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT payments.set_seller(1601, 0.1), payments.set_seller(1602, 0.035);
SELECT payments.checkout(1601, '[{"seller_id": 1601, "amount": 10000}, {"seller_id": 1602, "amount": 3333},
	{"seller_id": 1601, "amount": 1}]', order_id => 'refund-' || n) IS NOT NULL AS ok FROM generate_series(1, 6) n;
SELECT payments.confirm('refund-' || n, 'pay_refund_' || n, 13334) FROM generate_series(1, 5) n;

-- a person says that they were paid
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'refund-%';
SELECT payments.resolve('refund-' || n, 'succeeded', 'seen', 13334, 'pay_refund_' || n) FROM generate_series(1, 4) n;

CREATE FUNCTION pg_temp.refund(args text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS
	$$ SELECT code, message, detail, hint FROM test.try('SELECT payments.refund(' || args || ')') $$;
CREATE FUNCTION pg_temp.line(o text, n int) RETURNS bigint LANGUAGE sql AS
	$$ SELECT id FROM payments.payment_order WHERE order_id = o AND line_no = n $$;
CREATE VIEW pg_temp.lines AS SELECT r.order_id, rank() OVER (PARTITION BY r.order_id ORDER BY r.id) AS no, r.refund_status AS status, r.amount,
		string_agg(format('%s: %s (%s)', o.line_no, l.amount, l.commission), ', ' ORDER BY o.line_no) AS lines
	FROM payments.refund r JOIN payments.refund_line l ON l.refund_id = r.id JOIN payments.payment_order o ON o.id = l.payment_order_id
	WHERE r.order_id LIKE 'refund-%' GROUP BY r.id;
CREATE VIEW pg_temp.counters AS SELECT order_id, line_no, amount, refunded_amount AS refunded, refunding_amount AS refunding
	FROM payments.payment_order WHERE order_id LIKE 'refund-%' AND refunding_amount + refunded_amount > 0;
CREATE VIEW pg_temp.wallets AS SELECT seller_id, balance, pending, may_owe FROM payments.wallet WHERE seller_id IN (1601, 1602);

-- arguments
\x
SELECT args, code, regexp_replace(message, 'payment order \d+', 'payment order <id>') AS message, detail, hint FROM unnest(ARRAY[
	$$NULL, 'x'$$, $$'refund-1', NULL$$, $$'refund-1', ''$$, $$'refund-1', '  '$$, $$'refund-1', E'a\nb'$$, $$'refund-1', repeat('x', 151)$$,
	$$'refund-0', 'x'$$, $$'refund-6', 'x'$$, $$'refund-5', 'x'$$,
	$$'refund-1', 'x', 0$$, $$'refund-1', 'x', -1$$, $$'refund-1', 'x', 0.5$$, $$'refund-1', 'x', 'NaN'$$, $$'refund-1', 'x', 'Infinity'$$,
	$$'refund-1', 'x', 1e16$$, $$'refund-1', 'x', 13335$$,
	$$'refund-1', 'x', payment_order_id => -1$$, $$'refund-1', 'x', 3334, pg_temp.line('refund-1', 2)$$,
	$$'refund-1', 'x', 1, pg_temp.line('refund-2', 1)$$,
	$$'refund-1', 'x', refund_account => '{}'$$, $$'refund-1', 'x', idempotency_key => ''$$, $$'refund-1', 'x', idempotency_key => repeat('x', 201)$$,
	$$'refund-1', 'x', 1, lines => '[]'$$, $$'refund-1', 'x', lines => '[]'$$, $$'refund-1', 'x', lines => '{}'$$, $$'refund-1', 'x', lines => '1'$$,
	$$'refund-1', 'x', lines => '[1]'$$, $$'refund-1', 'x', lines => '[{}]'$$, $$'refund-1', 'x', lines => '[{"payment_order_id": "1"}]'$$,
	$$'refund-1', 'x', lines => '[{"payment_order_id": 1, "amout": 1}]'$$, $$'refund-1', 'x', lines => '[{"payment_order_id": 1e30}]'$$,
	$$'refund-1', 'x', lines => format('[{"payment_order_id": %s, "amount": 1}, {"payment_order_id": %1$s}]', pg_temp.line('refund-1', 1))::jsonb$$])
	WITH ORDINALITY x (args, n), pg_temp.refund(args) r ORDER BY n;
\x
-- nothing of that changed anything
SELECT * FROM pg_temp.lines;
SELECT * FROM pg_temp.counters ORDER BY order_id, line_no;
SELECT * FROM pg_temp.wallets ORDER BY 1;

-- an amount is split by what is left of the lines, the commission by what it was
SELECT payments.refund('refund-1', 'a part', 1000) > 0 AS ok;
SELECT payments.refund('refund-1', 'a line', payment_order_id => pg_temp.line('refund-1', 2)) > 0 AS ok;
SELECT payments.refund('refund-1', 'part of a line', 500, pg_temp.line('refund-1', 1)) > 0 AS ok;
SELECT payments.refund('refund-1', 'lines', lines => format('[{"payment_order_id": %s}, {"payment_order_id": %s, "amount": 7}]',
	pg_temp.line('refund-1', 3), pg_temp.line('refund-1', 1))::jsonb) > 0 AS ok;
SELECT payments.refund('refund-1', 'the rest') > 0 AS ok;
SELECT * FROM pg_temp.lines ORDER BY order_id, no;
SELECT * FROM pg_temp.counters ORDER BY order_id, line_no;
SELECT * FROM pg_temp.wallets ORDER BY 1;
\x
SELECT * FROM pg_temp.refund($$'refund-1', 'more'$$);
SELECT * FROM pg_temp.refund($$'refund-1', 'more', 1$$);
SELECT * FROM pg_temp.refund($$'refund-1', 'more', 1, pg_temp.line('refund-1', 1)$$);
\x
-- one call at a time, with our token and the balance
SELECT c.operation, c.amount, q.next_operation, q.state, regexp_replace(c.request_body, '\[rf:[0-9a-f]{20}\]', '<token>') AS body,
		c.request_body LIKE '%[rf:' || r.token || ']%' AS own_token
	FROM payments.psp_call_queue q JOIN payments.psp_call c ON c.id = q.call_id JOIN payments.refund r ON r.id = c.refund_id
	WHERE q.order_id = 'refund-1';
SELECT state, next_operation, kind, resolvable_at IS NOT NULL AS resolvable FROM payments.open_calls WHERE order_id = 'refund-1';
SELECT replace(regexp_replace(regexp_replace(story, 'refund \d+', 'refund <id>'), 'since \S+ [^;]+', 'since <time>'), session_user, 'me') COLLATE "C" AS story
	FROM payments.explain('refund-1') WHERE story ~ 'refund' ORDER BY 1;
\x
SELECT code, message, replace(detail, session_user, 'me') AS detail, hint FROM test.try($$SELECT payments.resolve('refund-1', 'failed', 'note')$$);
\x

-- a key of the caller's: the same refund, or an error
SELECT payments.refund('refund-2', 'x', 100, idempotency_key => 'k1') AS first \gset
SELECT payments.refund('refund-2', 'x', 100.0, idempotency_key => 'k1') = :first AS same;
SELECT payments.refund('refund-3', 'x', 100, idempotency_key => 'k1') <> :first AS other_order;
\x
SELECT regexp_replace(message, '\d+', '<id>') AS message, hint FROM pg_temp.refund($$'refund-2', 'x', 101, idempotency_key => 'k1'$$);
SELECT regexp_replace(message, '\d+', '<id>') AS message, hint FROM pg_temp.refund($$'refund-2', 'y', 100, idempotency_key => 'k1'$$);
\x
SELECT token = substr(encode(sha256(convert_to(E'refund\nrefund-2\npay_refund_2\nk1', 'UTF8')), 'hex'), 1, 20) AS token_of_the_key
	FROM payments.refund WHERE id = :first;

-- told, once
SELECT kind, payload - 'refund_id' - 'lines' AS payload, jsonb_array_length(payload -> 'lines') AS lines FROM payments.event
	WHERE order_id = 'refund-2' AND kind LIKE 'refund.%';

-- what the wallet does not have is not promised, unless the merchant says so
UPDATE payments.wallet SET pending = balance WHERE seller_id = 1601;
\x
SELECT * FROM pg_temp.refund($$'refund-4', 'x', 9000, pg_temp.line('refund-4', 1)$$);
SELECT * FROM test.try($$SELECT payments.set_refund_policy('nobody', true)$$);
\x
SELECT * FROM test.try($$SELECT payments.set_refund_policy('default', true, '')$$);
SELECT payments.set_refund_policy('default', true, 'payouts come first');
SELECT payments.refund('refund-4', 'x', 9000, pg_temp.line('refund-4', 1)) > 0 AS ok;
SELECT seller_id, debt FROM payments.seller_debts WHERE seller_id = 1601;
UPDATE payments.wallet w SET pending = (SELECT sum(l.amount - l.commission) FROM payments.refund_line l
	JOIN payments.payment_order o ON o.id = l.payment_order_id WHERE o.seller_id = w.seller_id) WHERE seller_id = 1601;
SELECT payments.set_refund_policy('default', false);
SELECT merchant, was, became, note, actor = session_user AS mine FROM payments.operator_action WHERE action = 'set_refund_policy' ORDER BY id;

-- the constraint binds every writer, and so do the guards
SET LOCAL client_min_messages = warning;
SELECT x.* FROM unnest(ARRAY[
	$$UPDATE payments.payment_order SET refunding_amount = amount + 1 WHERE order_id = 'refund-1' AND line_no = 1$$,
	$$UPDATE payments.payment_order SET refunded_amount = 1 WHERE order_id = 'refund-1' AND line_no = 1$$,
	$$UPDATE payments.payment_order SET refunding_amount = 1 WHERE order_id = 'refund-6' AND line_no = 1$$,
	$$UPDATE payments.payment_order SET refunded_amount = -1 WHERE order_id = 'refund-4' AND line_no = 3$$,
	$$UPDATE payments.refund SET refund_status = 'SUCCESS' WHERE order_id = 'refund-1'$$,
	$$UPDATE payments.refund SET refund_status = 'SUCCESS' WHERE order_id = 'refund-2'$$,
	$$UPDATE payments.refund SET refund_status = 'REQUESTED' WHERE order_id = 'refund-2'$$,
	$$UPDATE payments.refund SET amount = 1 WHERE order_id = 'refund-2'$$,
	$$UPDATE payments.refund SET token = md5('x') WHERE order_id = 'refund-2'$$,
	$$DELETE FROM payments.refund$$, $$TRUNCATE payments.refund CASCADE$$, $$DELETE FROM payments.refund_line$$,
	$$UPDATE payments.refund_line SET amount = 1$$, $$UPDATE payments.refund_history SET reason = 'x'$$,
	$$DELETE FROM payments.refund_history$$]) WITH ORDINALITY s (statement, n),
	LATERAL (SELECT statement, code, regexp_replace(message, 'refund \d+', 'refund <id>') AS message FROM test.try(statement)) x ORDER BY n;
RESET client_min_messages;

-- transitions: each leaves a row of history
UPDATE payments.refund SET refund_status = 'UNKNOWN', status_reason = 'by hand' WHERE order_id = 'refund-3';
UPDATE payments.refund SET refund_status = 'FAILURE' WHERE order_id = 'refund-3';
SELECT from_status, to_status, reason, actor = session_user AS actor FROM payments.refund_history WHERE order_id = 'refund-3' ORDER BY id;
SELECT code FROM test.try($$UPDATE payments.refund SET refund_status = 'UNKNOWN' WHERE order_id = 'refund-3'$$);
ROLLBACK;
