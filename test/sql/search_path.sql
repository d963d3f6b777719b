--
-- A hostile search_path changes nothing: tables, functions, operators, casts
-- and types of an attacker stand in front of ours and of the server's, and the
-- whole flow runs as if they were not there.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_path;
SELECT payments.grant_to('regress_path', 'application');
SELECT payments.grant_to('regress_path', 'operator');
SELECT payments.grant_to('regress_path', 'auditor');
CREATE SCHEMA regress_evil AUTHORIZATION regress_path;
SET ROLE regress_path;
SET search_path = regress_evil, pg_catalog;

-- Whatever is called here says so, and says as whom.  A trap that runs as the
-- extension's owner would be the end of the ledger.
CREATE TABLE regress_evil.trap (what text, as_whom name);
GRANT ALL ON regress_evil.trap TO PUBLIC;
CREATE FUNCTION regress_evil.caught(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO regress_evil.trap VALUES (what, current_user);
	RAISE WARNING 'caught by % as %', what, current_user;
	RETURN true;
END $$;
DO $$
DECLARE
	t text;
	f text;
BEGIN
	-- operators of the server, with our types: =, <>, <, <=, >, >=
	FOREACH t IN ARRAY ARRAY['text', 'bigint', 'integer', 'numeric', 'timestamptz', '"char"', 'boolean', 'name', 'xid8', 'oid'] LOOP
		FOREACH f IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>='] LOOP
			EXECUTE format('CREATE FUNCTION regress_evil.%I(%s, %s) RETURNS boolean LANGUAGE sql AS %L',
				'op' || f || t, t, t, format('SELECT regress_evil.caught(%L)', f || t));
			EXECUTE format('CREATE OPERATOR regress_evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_evil.%I)',
				f, t, t, 'op' || f || t);
		END LOOP;
	END LOOP;
	FOREACH f IN ARRAY ARRAY['+', '-', '*', '%'] LOOP
		FOREACH t IN ARRAY ARRAY['bigint', 'integer', 'numeric'] LOOP
			EXECUTE format('CREATE FUNCTION regress_evil.%I(%s, %s) RETURNS %s LANGUAGE sql AS %L',
				'op' || f || t, t, t, t, format('SELECT regress_evil.caught(%L)::int::%s', f || t, t));
			EXECUTE format('CREATE OPERATOR regress_evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_evil.%I)',
				f, t, t, 'op' || f || t);
		END LOOP;
	END LOOP;
	EXECUTE 'CREATE FUNCTION regress_evil.concat_op(text, text) RETURNS text LANGUAGE sql AS ''SELECT regress_evil.caught(''''||'''')::text''';
	EXECUTE 'CREATE OPERATOR regress_evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_evil.concat_op)';
END $$;
-- functions of the server, and ours without their schema
CREATE FUNCTION regress_evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT CASE WHEN regress_evil.caught('now') THEN '2001-01-01'::timestamptz END $$;
CREATE FUNCTION regress_evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT CASE WHEN regress_evil.caught('clock') THEN '2001-01-01'::timestamptz END $$;
CREATE FUNCTION regress_evil.nextval(text) RETURNS bigint LANGUAGE sql AS $$ SELECT regress_evil.caught('nextval')::int::bigint $$;
CREATE FUNCTION regress_evil.nextval(regclass) RETURNS bigint LANGUAGE sql AS $$ SELECT regress_evil.caught('nextval')::int::bigint $$;
CREATE FUNCTION regress_evil.setval(regclass, bigint, boolean) RETURNS bigint LANGUAGE sql AS $$ SELECT regress_evil.caught('setval')::int::bigint $$;
CREATE FUNCTION regress_evil.length(text) RETURNS int LANGUAGE sql AS $$ SELECT regress_evil.caught('length')::int $$;
CREATE FUNCTION regress_evil.count() RETURNS bigint LANGUAGE sql AS $$ SELECT regress_evil.caught('count')::int::bigint $$;
CREATE FUNCTION regress_evil.trunc(numeric, int) RETURNS numeric LANGUAGE sql AS $$ SELECT regress_evil.caught('trunc')::int::numeric $$;
CREATE FUNCTION regress_evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS $$ SELECT $1[1] WHERE regress_evil.caught('unnest') $$;
CREATE FUNCTION regress_evil.coalesce(numeric, numeric) RETURNS numeric LANGUAGE sql AS $$ SELECT regress_evil.caught('coalesce')::int::numeric $$;
CREATE FUNCTION regress_evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT regress_evil.caught('format')::text $$;
CREATE FUNCTION regress_evil.split_part(text, text, int) RETURNS text LANGUAGE sql AS $$ SELECT regress_evil.caught('split_part')::text $$;
CREATE FUNCTION regress_evil.generate_series(int, int) RETURNS SETOF int LANGUAGE sql AS $$ SELECT regress_evil.caught('generate_series')::int $$;
CREATE FUNCTION regress_evil.pg_current_snapshot() RETURNS pg_snapshot LANGUAGE sql AS $$ SELECT CASE WHEN regress_evil.caught('snapshot') THEN '1:1:'::pg_snapshot END $$;
CREATE FUNCTION regress_evil.confirm(text, text, numeric) RETURNS text LANGUAGE sql AS $$ SELECT 'SUCCESS'::text WHERE regress_evil.caught('confirm') $$;
CREATE FUNCTION regress_evil.wait_for(text, interval) RETURNS text LANGUAGE sql AS $$ SELECT 'SUCCESS'::text WHERE regress_evil.caught('wait_for') $$;
-- tables of ours, in front and as temporary ones, and types
DO $$
DECLARE t name;
BEGIN
	FOR t IN SELECT relname FROM pg_class WHERE relnamespace OPERATOR(pg_catalog.=) 'payments'::regnamespace AND relkind::text OPERATOR(pg_catalog.=) 'r' LOOP
		EXECUTE pg_catalog.format('CREATE TABLE regress_evil.%I (order_id text, amount numeric)', t);
		EXECUTE pg_catalog.format('CREATE TEMP TABLE %I (order_id text, amount numeric)', t);
	END LOOP;
END $$;
CREATE TEMP TABLE pg_class (relname name);
CREATE TEMP TABLE pg_sequences (schemaname name);
CREATE TYPE regress_evil.payment_order_status AS ENUM ('SUCCESS');
CREATE TYPE regress_evil.jsonb AS (a text);
CREATE DOMAIN regress_evil.text AS pg_catalog.text CHECK (regress_evil.caught('domain text'));
CREATE DOMAIN regress_evil.numeric AS pg_catalog.numeric CHECK (regress_evil.caught('domain numeric'));
CREATE DOMAIN regress_evil.int8 AS pg_catalog.int8 CHECK (regress_evil.caught('domain int8'));
-- the traps do catch: the operator, the functions, the table of an unwary statement
\set VERBOSITY terse
SELECT 1 = 1 AS equal, length('abc'), now() < '2010-01-01' AS past, confirm('a', 'b', 1);
SELECT pg_catalog.count(*) FROM payment_order;
SELECT DISTINCT as_whom FROM regress_evil.trap;
TRUNCATE regress_evil.trap;

--
-- The flow
--
SET search_path = pg_temp, regress_evil, pg_catalog;
SELECT order_id, amount FROM payments.checkout(1301, '[{"seller_id": 1301, "amount": 15000, "name": "Tea"}, {"seller_id": 1, "unit_price": 5, "quantity": 2}]',
	order_id => 'path-1');
SELECT order_id, amount FROM payments.checkout(1301, '[{"seller_id": 1301, "amount": 15000, "name": "Tea"}, {"seller_id": 1, "unit_price": 5, "quantity": 2}]',
	order_id => 'path-1');
SELECT payments.widget('path-1') OPERATOR(pg_catalog.->>) 'orderName' AS order_name;
SELECT payments.confirm('path-1', 'pay_path_1', 1);
SELECT payments.confirm('path-1', 'pay_path_1', 15010);
SELECT payments.status('path-1'), payments.wait_for('path-1', '0');
SELECT payments.retry('path-1');
SELECT order_id, amount FROM payments.checkout(1301, '[{"seller_id": 1301, "amount": 10}]', order_id => 'path-2');
CALL payments.pay('path-2', 'pay_path_2', 10, '0', NULL);
SELECT order_id, amount FROM payments.checkout(1301, '[{"seller_id": 1301, "amount": 10}]', order_id => 'path-3');
SELECT payments.fail('path-3', 'CODE', 'message');
BEGIN;
SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 AS some FROM payments.fetch_events('regress_path', 10000);
SELECT payments.ack_events('regress_path', (SELECT pg_catalog.max(e.id) FROM payments.fetch_events('regress_path', 1) e));
ROLLBACK;
SELECT payments.set_seller(1301, 0.035);
BEGIN;
SELECT payments.set_node(1, 2);
ROLLBACK;
SELECT payments.post('path-post', 'test', '[{"account": "asset:path", "amount": 5}, {"account": "revenue:path", "amount": -5}]') OPERATOR(pg_catalog.>) 0 AS posted;
SELECT payments.post_entries('path-post', 'test', '{asset:path,revenue:path}', '{5,-5}') OPERATOR(pg_catalog.>) 0 AS posted;
SELECT b.was_there FROM payments.post_batch('{path-post}', '{test}', '{2}', '{asset:path,revenue:path}', '{5,-5}', '{KRW,KRW}') b;
SELECT payments.balance('asset:path');
SELECT payments.reverse(payments.post('path-post', 'test', '[{"account": "asset:path", "amount": 5}, {"account": "revenue:path", "amount": -5}]'),
	'mistake') OPERATOR(pg_catalog.>) 0 AS reversed;
SELECT payments.balance('asset:path');
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
SELECT p.order_id, p.status, p.amount, p.is_expired FROM payments.payment p WHERE p.order_id OPERATOR(pg_catalog.~) '^path-' ORDER BY p.order_id;
SELECT o.order_id, o.state, o.next_operation FROM payments.open_calls o WHERE o.order_id OPERATOR(pg_catalog.~) '^path-' ORDER BY o.order_id;
SELECT a.account, a.balance, a.normal_balance FROM payments.account_balance a WHERE a.account OPERATOR(pg_catalog.~) ':path$' ORDER BY a.account;
SELECT pg_catalog.count(*) AS stuck FROM payments.stuck_orders s WHERE s.order_id OPERATOR(pg_catalog.~) '^path-';

-- the owner, with the same path: a trap would now have all rights
RESET ROLE;
SELECT payments.set_merchant('regress_path', 'test_ck_path');
SELECT payments.grant_to('regress_path', 'auditor');
BEGIN;
SELECT payments.set_node(1, 2);
ROLLBACK;
-- plain statements of the owner: checks and triggers of the tables hold
UPDATE payments.payment_order SET payment_order_status = 'SUCCESS', ledger_updated = true, wallet_updated = true
	WHERE order_id OPERATOR(pg_catalog.=) 'path-3';
INSERT INTO payments.currency VALUES ('bad', 9, 'bad');
INSERT INTO payments.payment_event (id, order_id, merchant, buyer_id, order_name, currency, amount, created_at, expires_at)
	VALUES (0, 'path-4', 'default', 1301, 'name', 'KRW', -1, 'now', 'now');

RESET search_path;
SELECT what, as_whom FROM regress_evil.trap;
SELECT test.order_line('path-1'), test.order_line('path-2'), test.order_line('path-3');

SET client_min_messages = warning;
DELETE FROM payments.event_consumer WHERE name = 'regress_path';
DROP OWNED BY regress_path CASCADE;
DROP ROLE regress_path;
