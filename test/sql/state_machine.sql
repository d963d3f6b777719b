--
-- The state machine binds every writer: all 25 pairs by plain UPDATE of a
-- superuser, also as a replication role; each transition leaves one row of
-- history; identity, amounts and what was once reached never change.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;	-- not what TRUNCATE would cascade to

BEGIN;
SELECT amount FROM payments.checkout(601, '[{"seller_id": 1, "amount": 10, "name": "Tea", "product_id": "t"}]',
	order_id => 'machine-1', metadata => '{}');

-- bring the one order into a state along allowed transitions, then try each
CREATE FUNCTION pg_temp.transitions(OUT from_status payments.payment_order_status,
	OUT to_status payments.payment_order_status, OUT code text, OUT message text, OUT in_history text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
	way payments.payment_order_status[];
	step payments.payment_order_status;
BEGIN
	FOR from_status, to_status IN
		SELECT f, t FROM unnest(enum_range(NULL::payments.payment_order_status)) f,
			unnest(enum_range(NULL::payments.payment_order_status)) t ORDER BY f, t
	LOOP
		way := CASE from_status WHEN 'NOT_STARTED' THEN '{}' WHEN 'EXECUTING' THEN '{EXECUTING}'
			WHEN 'FAILURE' THEN '{FAILURE}' ELSE ARRAY['EXECUTING', from_status] END;
		BEGIN
			FOREACH step IN ARRAY way LOOP
				UPDATE payments.payment_order SET payment_order_status = step WHERE order_id = 'machine-1';
			END LOOP;
			SELECT t.code, t.message INTO code, message FROM test.try(format(
				'UPDATE payments.payment_order SET payment_order_status = %L, status_reason = ''tried'''
				' WHERE order_id = ''machine-1''', to_status)) t;
			SELECT string_agg(h.from_status || '->' || h.to_status, ' ' ORDER BY h.id)
				FILTER (WHERE h.reason = 'tried') INTO in_history
				FROM payments.payment_order_history h WHERE h.order_id = 'machine-1';
			IF (SELECT count(*) FROM payments.payment_order_history h WHERE h.order_id = 'machine-1')
				<> cardinality(way) + (in_history IS NOT NULL)::int THEN
				in_history := in_history || ' and more';
			END IF;
			RAISE EXCEPTION 'back' USING ERRCODE = 'XX999';
		EXCEPTION WHEN SQLSTATE 'XX999' THEN NULL;
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE TABLE pg_temp.allowed (f payments.payment_order_status, t payments.payment_order_status);
INSERT INTO pg_temp.allowed VALUES ('NOT_STARTED', 'EXECUTING'), ('NOT_STARTED', 'FAILURE'),
	('EXECUTING', 'SUCCESS'), ('EXECUTING', 'FAILURE'), ('EXECUTING', 'UNKNOWN'),
	('UNKNOWN', 'SUCCESS'), ('UNKNOWN', 'FAILURE');
SELECT * FROM pg_temp.transitions();
-- the same in words: done exactly when the design says so, else PY004, and
-- history exactly for what was done
SELECT count(*), bool_and((code = '00000') = (a.f IS NOT NULL OR from_status = to_status)) AS as_designed,
		bool_and(code IN ('00000', 'PY004')) AS by_the_guard,
		bool_and(coalesce(in_history, '') = CASE WHEN a.f IS NULL THEN '' ELSE f || '->' || t END) AS recorded
	FROM pg_temp.transitions() LEFT JOIN pg_temp.allowed a ON a.f = from_status AND a.t = to_status;
SELECT t.* FROM test.try($$UPDATE payments.payment_order SET payment_order_status = 'SUCCESS' WHERE order_id = 'machine-1'$$) t;

-- replication and "disable all triggers" do not get around it
CREATE TABLE pg_temp.as_origin AS SELECT * FROM pg_temp.transitions();
SET LOCAL session_replication_role = replica;
SELECT count(*) AS differences FROM (TABLE pg_temp.as_origin EXCEPT SELECT * FROM pg_temp.transitions()) d;
SET LOCAL session_replication_role = local;
SELECT count(*) AS differences FROM (TABLE pg_temp.as_origin EXCEPT SELECT * FROM pg_temp.transitions()) d;
SET LOCAL session_replication_role = origin;

-- several orders at once, one row of history each; NULL is no state
SELECT amount FROM payments.checkout(601, (SELECT jsonb_agg(jsonb_build_object('seller_id', n, 'amount', n))
	FROM generate_series(1, 20) n), order_id => 'machine-20');
UPDATE payments.payment_order SET payment_order_status = 'EXECUTING', status_reason = 'all' WHERE order_id = 'machine-20';
SELECT count(*), count(DISTINCT payment_order_id), min(from_status), max(to_status), min(reason), bool_and(actor = session_user) AS by_us
	FROM payments.payment_order_history WHERE order_id = 'machine-20';
SELECT t.code, t.message FROM test.try($$UPDATE payments.payment_order SET payment_order_status = NULL WHERE order_id = 'machine-20'$$) t;
-- what does not change the state leaves no history
UPDATE payments.payment_order SET payment_order_status = 'EXECUTING', status_reason = 'again', updated_at = now()
	WHERE order_id = 'machine-20';
SELECT count(*) FROM payments.payment_order_history WHERE order_id = 'machine-20';
-- lines that disagree: nobody can tell
UPDATE payments.payment_order SET payment_order_status = 'SUCCESS' WHERE order_id = 'machine-20' AND line_no < 20;
SELECT payments.status('machine-20'), status FROM payments.payment WHERE order_id = 'machine-20';
UPDATE payments.payment_order SET payment_order_status = 'FAILURE' WHERE order_id = 'machine-20' AND line_no = 20;
SELECT payments.status('machine-20'), status FROM payments.payment WHERE order_id = 'machine-20';

--
-- What stays: every column but those of progress
--
CREATE FUNCTION pg_temp.try_columns(of_table text, set_list text[],
	OUT changed text, OUT code text, OUT message text) RETURNS SETOF record
LANGUAGE sql AS $$
	SELECT s, t.code, t.message FROM unnest(set_list) WITH ORDINALITY x (s, n),
		test.try(format('UPDATE payments.%I SET %s WHERE order_id = ''machine-1''', of_table, s)) t ORDER BY n
$$;
SELECT * FROM pg_temp.try_columns('payment_order', ARRAY['id = id + 1000000', 'payment_event_id = payment_event_id + 1',
	'amount = amount + 1', 'amount = amount / 10', 'amount = NULL', 'buyer_id = 602', 'seller_id = 2', 'order_id = ''machine-2''',
	'line_no = 2', 'product_id = ''u''', 'product_id = NULL', 'product_name = ''Gold''', 'quantity = 2', 'commission = 1',
	'created_at = created_at - interval ''1 day''',
	'ledger_updated = true', 'wallet_updated = true', 'refunded_amount = 11', 'refunded_amount = -1']);
SELECT * FROM pg_temp.try_columns('payment_event', ARRAY['id = id + 1000000', 'order_id = ''machine-2''', 'merchant = ''other''',
	'buyer_id = 602', 'order_name = ''Gold''', 'currency = ''USD''', 'amount = amount + 1', 'amount = 0',
	'created_at = created_at - interval ''1 day''', 'metadata = NULL', 'metadata = ''{"a": 1}''',
	'is_payment_done = true', 'payment_key = ''a key''', 'payment_key = ''''']);
-- every column is either refused above or one of these, which are progress
SAVEPOINT s;
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE c.oid IN ('payments.payment_order'::regclass, 'payments.payment_event'::regclass) AND attnum > 0
		AND NOT attisdropped AND (test.try(format('UPDATE payments.%I SET %I = %s WHERE order_id = ''machine-1''',
			c.relname, a.attname, CASE format_type(atttypid, NULL)
				WHEN 'boolean' THEN format('NOT %I', a.attname) WHEN 'text' THEN '''x''' WHEN 'jsonb' THEN '''[9]'''
				WHEN 'timestamp with time zone' THEN '''2001-01-01''' WHEN 'payments.payment_order_status' THEN '''EXECUTING'''
				ELSE format('%I + 1', a.attname) END))).code = '00000'
	ORDER BY c.relname COLLATE "C", a.attnum;
ROLLBACK TO s;

-- the payment key is given once
SELECT * FROM pg_temp.try_columns('payment_event', ARRAY['payment_key = ''machine-key''', 'payment_key = ''machine-key''',
	'payment_key = ''other-key''', 'payment_key = NULL']);

-- flags need SUCCESS and stay set
SELECT * FROM pg_temp.try_columns('payment_order', ARRAY[
	'payment_order_status = ''EXECUTING''',
	'payment_order_status = ''EXECUTING'', ledger_updated = true',
	'payment_order_status = ''FAILURE'', wallet_updated = true',
	'payment_order_status = ''SUCCESS'', ledger_updated = true',
	'ledger_updated = false',
	'wallet_updated = true',
	'wallet_updated = false',
	'ledger_updated = NULL']);
SELECT * FROM pg_temp.try_columns('payment_event', ARRAY['is_payment_done = false', 'is_payment_done = NULL']);

--
-- Rows never go, not even for a superuser or a replication role
--
CREATE FUNCTION pg_temp.try_removal(OUT attempt text, OUT code text, OUT message text) RETURNS SETOF record
LANGUAGE sql AS $$
	SELECT a, t.code, t.message FROM (VALUES (1, 'DELETE FROM payments.payment_event'),
		(2, 'DELETE FROM payments.payment_order WHERE order_id = ''machine-1'''),
		(3, 'DELETE FROM payments.payment_order_history'), (4, 'UPDATE payments.payment_order_history SET reason = NULL'),
		(5, 'TRUNCATE payments.payment_event CASCADE'), (6, 'TRUNCATE payments.payment_order CASCADE'),
		(7, 'TRUNCATE payments.payment_order_history'), (8, 'TRUNCATE payments.buyer CASCADE'),
		(9, 'UPDATE payments.payment_order SET payment_order_status = ''NOT_STARTED'' WHERE order_id = ''machine-1'''),
		(10, 'INSERT INTO payments.payment_event SELECT * FROM payments.payment_event WHERE order_id = ''machine-1'''
			' ON CONFLICT (order_id) DO UPDATE SET amount = 1'),
		(11, 'MERGE INTO payments.payment_order o USING (SELECT 1) s ON o.order_id = ''machine-1'' WHEN MATCHED THEN DELETE'),
		(12, 'DELETE FROM ONLY payments.payment_order_history'))
		x (n, a), test.try(a) t ORDER BY n
$$;
SELECT * FROM pg_temp.try_removal();
SET LOCAL session_replication_role = replica;
SELECT count(*) FILTER (WHERE code = '00000') AS done, count(*) FROM pg_temp.try_removal();
ROLLBACK;
