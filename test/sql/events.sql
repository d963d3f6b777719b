--
-- The feed: in order, each consumer at its own pace, and an offset that moves in
-- the consumer's own transaction.  (Late commits, two readers: specs/events_*.)
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_events;
SELECT payments.grant_to('regress_events', 'application');
SET ROLE regress_events;

-- a consumer begins with the oldest event: skip what earlier tests have left
CREATE FUNCTION pg_temp.skip_old(consumer text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE last bigint;
BEGIN
	PERFORM test.calm();
	LOOP
		SELECT id INTO last FROM payments.fetch_events(consumer, 10000) WITH ORDINALITY ORDER BY ordinality DESC LIMIT 1;
		EXIT WHEN last IS NULL;
		PERFORM payments.ack_events(consumer, last);
	END LOOP;
END $$;
SELECT pg_temp.skip_old('regress_a'), pg_temp.skip_old('regress_b');
SELECT count(*) FROM payments.fetch_events('regress_a');

SELECT count(payments.checkout(901, '[{"seller_id": 1, "amount": 10}]', order_id => 'events-' || n)) FROM generate_series(1, 5) n;
SELECT payments.fail('events-' || n, 'CODE_' || n, 'message') FROM generate_series(1, 4) n;
SELECT payments.fail('events-5', 'CODE_5', 'message');
SELECT test.calm();

-- in the order they were written, again and again until they are acknowledged
SELECT kind, order_id, payload, occurred_at <= now() AS past FROM payments.fetch_events('regress_a');
SELECT order_id FROM payments.fetch_events('regress_a', 2);
SELECT order_id FROM payments.fetch_events('regress_a', 1);
SELECT payments.ack_events('regress_a', id) FROM payments.fetch_events('regress_a') WHERE order_id = 'events-2';
SELECT order_id FROM payments.fetch_events('regress_a', 2);
-- the other consumer is where it was
SELECT count(*) FROM payments.fetch_events('regress_b');

-- the offset is part of the consumer's transaction
BEGIN;
SELECT payments.ack_events('regress_a', id) FROM payments.fetch_events('regress_a') WHERE order_id = 'events-4';
SELECT order_id FROM payments.fetch_events('regress_a');
ROLLBACK;
SELECT order_id FROM payments.fetch_events('regress_a');
BEGIN;
SAVEPOINT s;
SELECT payments.ack_events('regress_a', id) FROM payments.fetch_events('regress_a') WHERE order_id = 'events-4';
ROLLBACK TO s;
SELECT order_id FROM payments.fetch_events('regress_a');
COMMIT;

-- to acknowledge the same event twice is allowed, to go back is not
SELECT payments.ack_events('regress_a', id) FROM payments.fetch_events('regress_b') WHERE order_id = 'events-3';
SELECT payments.ack_events('regress_a', id) FROM payments.fetch_events('regress_b') WHERE order_id = 'events-3';
SELECT t.code, t.message ~ '^consumer "regress_a" is already past event [0-9]+$' AS says_so, t.hint
	FROM payments.fetch_events('regress_b') e, test.try(format('SELECT payments.ack_events(''regress_a'', %s)', e.id)) t
	WHERE order_id = 'events-2';
SELECT order_id FROM payments.fetch_events('regress_a');

-- ids that are none
SELECT x AS upto, t.code, t.message, t.hint FROM unnest(ARRAY['0', '-1', '9223372036854775807', 'NULL']) WITH ORDINALITY u (x, n),
	test.try(format('SELECT payments.ack_events(''regress_a'', %s)', x)) t ORDER BY n;
SELECT order_id FROM payments.fetch_events('regress_a');

-- limits and names
SELECT x AS arguments, t.code, t.message FROM unnest(ARRAY['''regress_a'', 0', '''regress_a'', -1', '''regress_a'', 10001',
		'''regress_a'', NULL', 'NULL', '''''', '''with blank''', '''semi;colon''', '''' || repeat('n', 64) || '''',
		'''' || repeat('n', 63) || '''', '''A-z_0.9''', '''소비자''']) WITH ORDINALITY u (x, n),
	test.try(format('SELECT payments.fetch_events(%s)', x)) t ORDER BY n;

-- what this transaction wrote itself comes later, once it has committed
SELECT payments.ack_events('regress_b', id) FROM payments.fetch_events('regress_b') WHERE order_id = 'events-5';
SELECT amount FROM payments.checkout(901, '[{"seller_id": 1, "amount": 10}]', order_id => 'events-6');
BEGIN;
SELECT payments.fail('events-6', 'CODE_6', 'message');
SELECT count(*) FROM payments.fetch_events('regress_b');
COMMIT;
SELECT test.calm();
SELECT order_id FROM payments.fetch_events('regress_b');

-- nothing is told of what was rolled back
SELECT amount FROM payments.checkout(901, '[{"seller_id": 1, "amount": 10}]', order_id => 'events-7');
BEGIN;
SELECT payments.fail('events-7', 'CODE_7', 'message');
ROLLBACK;
SELECT order_id FROM payments.fetch_events('regress_b');

-- events of another cluster come first, whatever their transaction ids
RESET ROLE;
BEGIN;
INSERT INTO payments.cluster SELECT max(generation) + 1, 7, now() FROM payments.cluster;
INSERT INTO payments.event SELECT nextval('payments.event_id_seq'), 'other.cluster', NULL, '{}', now(), max(generation),
	'9000000000000000000' FROM payments.cluster;
SELECT kind FROM payments.fetch_events('regress_b');
-- the next event of ours begins a generation, and comes after them
SELECT payments.fail('events-7', 'CODE_7', 'message');
SELECT count(*) AS generations, count(DISTINCT system_identifier) AS clusters, count(*) FILTER (WHERE system_identifier = 7) AS other
	FROM payments.cluster;
SELECT generation = (SELECT max(generation) FROM payments.cluster) AS newest FROM payments.event WHERE order_id = 'events-7';
ROLLBACK;

DELETE FROM payments.event_consumer WHERE name ~ '^(regress_|n{63}$|A-z)';
DROP OWNED BY regress_events;
DROP ROLE regress_events;
