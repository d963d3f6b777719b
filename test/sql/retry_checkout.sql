--
-- retry_checkout: a fresh order of the same lines, of which one at most can be
-- paid.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_retry_checkout;
SELECT payments.grant_to('regress_retry_checkout', 'application');
SELECT payments.set_seller(1601, 0.1);
SET ROLE regress_retry_checkout;
SELECT amount FROM payments.checkout(1600, '[{"seller_id": 1601, "unit_price": 1000, "quantity": 3, "product_id": "p-1", "name": "사과"},
	{"seller_id": 1602, "amount": 0.50}]', order_id => 'retried-1', order_name => '사과와 배', currency => 'USD', metadata => '{"cart": 17}');
SELECT amount FROM payments.checkout(1600, '[{"seller_id": 1601, "amount": 7}]', order_id => 'retried-late', expires_in => '1 us');

-- arguments
SELECT args, t.code, t.message FROM unnest(ARRAY['NULL', $$'retried-0'$$, $$'retried-1', 'short'$$, $$'retried-1', expires_in => NULL$$,
		$$'retried-late', expires_in => '-1 s'$$, $$'retried-late', expires_in => '367 days'$$]) WITH ORDINALITY x (args, n),
	test.try(format('SELECT payments.retry_checkout(%s)', args)) t ORDER BY n;

-- open: it is the order to pay
SELECT order_id, amount FROM payments.retry_checkout('retried-1');
SELECT order_id, amount FROM payments.retry_checkout('retried-1', 'retried-1');
SELECT t.code, t.message, t.detail, t.hint FROM test.try($$SELECT payments.retry_checkout('retried-1', 'retried-1b')$$) t;

-- failed: a new one of the same lines, with the commission of today
SELECT payments.fail('retried-1', 'PAY_PROCESS_CANCELED', 'left');
RESET ROLE;
SELECT payments.set_seller(1601, 0.2);
SET ROLE regress_retry_checkout;
SELECT order_id, amount, currency, order_name, expires_at - now() > interval '59 min' AS in_an_hour
	FROM payments.retry_checkout('retried-1', 'retried-1b', '1 hour');
SELECT order_id, amount FROM payments.retry_checkout('retried-1');
SELECT order_id, amount FROM payments.retry_checkout('retried-1b');
SELECT order_id, status, buyer_id, merchant, currency, metadata, failure_code,
	(SELECT jsonb_agg(l - 'payment_order_id') FROM jsonb_array_elements(lines) l) AS lines
	FROM payments.payment WHERE order_id ~ '^retried-1' ORDER BY 1;
SELECT payments.widget('retried-1b') ->> 'orderId' AS widget;

-- again, from any of them; ids are drawn when none is given
SELECT payments.fail('retried-1b', 'CODE', 'message');
SELECT order_id AS third, order_id ~ '^ord_[0-9a-f]{32}$' AS drawn FROM payments.retry_checkout('retried-1') \gset
SELECT :'drawn' AS drawn, bool_and(r.order_id = :'third') AS the_same
	FROM unnest(ARRAY['retried-1', 'retried-1b', :'third']) o, payments.retry_checkout(o) r;
-- an id that is taken
SELECT payments.fail(:'third', 'CODE', 'message');
SELECT t.code, t.message, t.detail, t.hint FROM test.try($$SELECT payments.retry_checkout('retried-1', 'retried-late')$$) t;
SELECT t.code, t.message FROM test.try($$SELECT payments.retry_checkout('retried-1', 'retried-1b')$$) t;

-- once one of them is confirmed, there are no more
SELECT order_id FROM payments.retry_checkout('retried-1', 'retried-1d');
SELECT payments.confirm('retried-1d', 'pay_retried_1d', 3000.50);
SELECT t.code, t.message, t.detail, t.hint FROM test.try($$SELECT payments.retry_checkout('retried-1')$$) t;
SELECT t.code, t.detail FROM test.try($$SELECT payments.retry_checkout('retried-1d', 'retried-1e')$$) t;
RESET ROLE;
SELECT test.settle('retried-1d');
SET ROLE regress_retry_checkout;
SELECT t.code, t.detail FROM test.try($$SELECT payments.retry_checkout('retried-1b')$$) t;

-- expired, and not ended yet: it is ended here
SELECT status FROM payments.payment WHERE order_id = 'retried-late';
SELECT order_id, amount FROM payments.retry_checkout('retried-late', 'retried-late-2');
SELECT order_id, status, failure_code FROM payments.payment WHERE order_id ~ '^retried-late' ORDER BY 1;
-- it belongs to the caller's transaction
BEGIN;
SELECT payments.fail('retried-late-2', 'CODE', 'message');
SELECT order_id FROM payments.retry_checkout('retried-late', 'retried-late-3');
ROLLBACK;
SELECT order_id FROM payments.retry_checkout('retried-late');

RESET ROLE;
SELECT order_id, retry_of, retried_as = CASE order_id WHEN 'retried-1' THEN 'retried-1d' ELSE 'retried-late-2' END AS right
	FROM payments.payment_event WHERE order_id ~ '^retried-' ORDER BY 1;
SELECT t.code, t.message FROM test.try($$UPDATE payments.payment_event SET retry_of = NULL WHERE order_id = 'retried-1d'$$) t;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
DROP OWNED BY regress_retry_checkout;
DROP ROLE regress_retry_checkout;
