--
-- set_node: ids of several nodes never meet, and no id is ever drawn twice.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT args, t.code, t.message, t.hint FROM unnest(ARRAY['NULL, 1', '0, NULL', '0, 0', '-1, 3', '3, 3', '0, 1025', '1, 1',
		'2147483647, 2147483647', '-2147483648, 1']) WITH ORDINALITY x (args, n),
	test.try(format('SELECT payments.set_node(%s)', args)) t ORDER BY n;
SELECT count(*) AS nodes FROM payments.node;

BEGIN;
CREATE VIEW pg_temp.verdict AS SELECT holds, counterexample FROM payments.verify()
	WHERE invariant = 'sequences draw this node''s numbers';
-- an order, its confirmation, its failure and an event draw from most sequences
CREATE FUNCTION pg_temp.order_ids(prefix text, OUT modulo_3 bigint[], OUT checked bigint, OUT fresh boolean)
LANGUAGE plpgsql AS $$
DECLARE
	highest bigint := coalesce((SELECT max(id) FROM payments.payment_order), 0);
BEGIN
	FOR n IN 1..5 LOOP
		PERFORM payments.checkout(1001, '[{"seller_id": 1, "amount": 1}, {"seller_id": 1, "amount": 2}]', order_id => prefix || n);
		IF n < 4 THEN
			PERFORM payments.confirm(prefix || n, 'pay_' || prefix || n, 3);
		ELSE
			PERFORM payments.fail(prefix || n, 'CODE', 'message');
		END IF;
	END LOOP;
	SELECT array_agg(DISTINCT id % 3), count(*) INTO modulo_3, checked FROM (
		SELECT id FROM payments.payment_event WHERE order_id LIKE prefix || '%'
		UNION ALL SELECT id FROM payments.payment_order WHERE order_id LIKE prefix || '%'
		UNION ALL SELECT id FROM payments.payment_order_history WHERE order_id LIKE prefix || '%'
		UNION ALL SELECT id FROM payments.psp_call WHERE order_id LIKE prefix || '%'
		UNION ALL SELECT id FROM payments.event WHERE order_id LIKE prefix || '%') ids;
	fresh := (SELECT min(id) FROM payments.payment_order WHERE order_id LIKE prefix || '%') > highest;
END $$;

SELECT payments.set_node(1, 3);
SELECT * FROM payments.node;
SELECT * FROM pg_temp.order_ids('node-a-');
SELECT * FROM pg_temp.verdict;
SELECT payments.set_node(0, 3);
SELECT * FROM pg_temp.order_ids('node-b-');
SELECT payments.set_node(2, 3);
SELECT * FROM payments.node;
SELECT * FROM pg_temp.order_ids('node-c-');
-- again and again, without an id drawn in between
SELECT payments.set_node(2, 3);
SELECT payments.set_node(1, 3);
SELECT payments.set_node(1, 3);
SELECT * FROM pg_temp.order_ids('node-d-');
SELECT * FROM pg_temp.verdict;

-- verify notices a sequence that somebody reset, and a step that somebody changed
SAVEPOINT s;
ALTER SEQUENCE payments.payment_order_id_seq INCREMENT BY 1;
SELECT holds, regexp_replace(counterexample, '[0-9]+', 'n', 'g') AS counterexample FROM pg_temp.verdict;
ROLLBACK TO s;
UPDATE payments.node SET node = 0;
SELECT holds, regexp_replace(counterexample, '[0-9]+', 'n', 'g') AS counterexample FROM pg_temp.verdict;
ROLLBACK TO s;
DELETE FROM payments.node;
SELECT holds, regexp_replace(counterexample, '[0-9]+', 'n', 'g') AS counterexample FROM pg_temp.verdict;
ROLLBACK TO s;
SELECT * FROM pg_temp.verdict;
SELECT setval('payments.payment_order_id_seq', 300000);
SELECT holds, regexp_replace(counterexample, '[0-9]+', 'n', 'g') AS counterexample FROM pg_temp.verdict;

-- one row, and the node's number travels with a dump
SELECT t.code, t.message FROM test.try('INSERT INTO payments.node VALUES (0, 3)') t;
SELECT 'payments.node'::regclass = ANY (extconfig) AS dumped FROM pg_extension WHERE extname = 'payments';
ROLLBACK;
SELECT * FROM payments.node;
SELECT holds FROM payments.verify() WHERE invariant = 'sequences draw this node''s numbers';
