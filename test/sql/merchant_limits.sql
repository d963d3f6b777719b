--
-- set_merchant_limits: bad values are refused, good ones written down; NULL takes
-- a limit away.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT payments.set_merchant('limited', 'test_ck_limits');
\x
SELECT args, t.code, t.message, t.detail, t.hint FROM unnest(ARRAY[
	$$NULL$$, $$'nobody', 1$$, $$'limited', 0$$, $$'limited', -1$$, $$'limited', 10001$$, $$'limited', NULL, 0$$,
	$$'limited', NULL, 6000001$$, $$'limited', NULL, -2147483648$$, $$'limited', NULL, NULL, 5$$, $$'limited', NULL, 60, 0$$,
	$$'limited', NULL, 60, 1000001$$, $$'limited', 1, 1, 1, ''$$, $$'limited', 1, 1, 1, repeat('x', 1001)$$,
	$$'limited', 1.5::numeric$$]) WITH ORDINALITY x (args, n),
	test.try(format('SELECT payments.set_merchant_limits(%s)', args)) t ORDER BY n;
\x
SELECT count(*) AS recorded FROM payments.operator_action WHERE merchant = 'limited' AND action = 'set_merchant_limits';

SELECT payments.set_merchant_limits('limited', 10000, 6000000, 1000000, 'as much as there can be');
SELECT payments.set_merchant_limits('limited', calls_per_minute => 100);
SELECT payments.set_merchant_limits('limited', calls_per_minute => 100);
SELECT merchant, in_flight, max_in_flight, calls_per_minute, burst, breaker, throttled FROM payments.merchant_stats WHERE merchant = 'limited';
SELECT payments.set_merchant('limited', 'test_ck_limits2');
SELECT max_in_flight, calls_per_minute, burst FROM payments.merchant WHERE name = 'limited';
SELECT payments.set_merchant_limits('limited');
SELECT max_in_flight, calls_per_minute, burst FROM payments.merchant WHERE name = 'limited';
SELECT action, order_id, call_id, merchant, was, became, note, actor = session_user AS mine FROM payments.operator_action
	WHERE merchant = 'limited' ORDER BY id;

-- the table keeps the rules, too
SELECT t.code, t.message FROM unnest(ARRAY['max_in_flight = 0', 'calls_per_minute = 0', 'burst = 1', 'calls_per_minute = 1, burst = 0'])
	WITH ORDINALITY x (change, n), test.try(format('UPDATE payments.merchant SET %s WHERE name = %L', change, 'limited')) t ORDER BY n;
ROLLBACK;
