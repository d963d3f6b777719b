--
-- Rights: PUBLIC has none; each kind of role can do exactly what the view
-- payments.privilege says, and nothing else.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

--
-- PUBLIC: the whole catalogue
--
SELECT oid::regprocedure AS open_to_public FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND has_function_privilege('public', oid, 'execute');
SELECT oid::regclass AS open_to_public FROM pg_class
	WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'f')
		AND (has_table_privilege('public', oid, 'select, insert, update, delete, truncate, references, trigger')
			OR has_any_column_privilege('public', oid, 'select, insert, update, references'));
SELECT oid::regclass AS open_to_public FROM pg_class
	WHERE relnamespace = 'payments'::regnamespace
		AND CASE WHEN relkind = 'S' THEN has_sequence_privilege('public', oid, 'usage, select, update') END;
SELECT oid::regtype AS open_to_public FROM pg_type
	WHERE typnamespace = 'payments'::regnamespace AND typtype IN ('e', 'd', 'c') AND typrelid = 0
		AND has_type_privilege('public', oid, 'usage');
SELECT has_schema_privilege('public', 'payments', 'usage') AS usage, has_schema_privilege('public', 'payments', 'create') AS create;
-- nor has anybody else but the owner
SELECT oid::regclass, relacl FROM pg_class c
	WHERE relnamespace = 'payments'::regnamespace AND EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner);
SELECT oid::regprocedure, proacl FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee <> proowner);

--
-- The kinds
--
CREATE ROLE regress_application;
CREATE ROLE regress_bookkeeper;
CREATE ROLE regress_operator;
CREATE ROLE regress_auditor;
CREATE ROLE regress_monitor;
CREATE ROLE "regress odd ""role""";
CREATE ROLE regress_nobody;
SELECT payments.grant_to('regress_application', 'application');
SELECT payments.grant_to('regress_bookkeeper', 'bookkeeper');
SELECT payments.grant_to('regress_operator', 'operator');
SELECT payments.grant_to('regress_auditor', 'auditor');
SELECT payments.grant_to('regress_monitor', 'monitor');
SELECT payments.grant_to('"regress odd ""role"""', 'application');
-- repeated it is the same
SELECT payments.grant_to('regress_auditor', 'auditor');

-- what each can do, from the catalogue, against what the view says
CREATE TEMP TABLE kinds (kind text, role regrole);
INSERT INTO kinds VALUES ('application', 'regress_application'), ('operator', 'regress_operator'), ('bookkeeper', 'regress_bookkeeper'),
	('auditor', 'regress_auditor'), ('monitor', 'regress_monitor'), ('application', '"regress odd ""role"""'), ('none', 'regress_nobody');
CREATE TEMP VIEW told AS SELECT k.role, p.object_type,
		CASE object_type WHEN 'TABLE' THEN object::regclass::oid ELSE object::regprocedure::oid END AS object
	FROM kinds k JOIN payments.privilege p USING (kind);
CREATE TEMP VIEW held AS
	SELECT role, CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS object_type, p.oid AS object
	FROM kinds, pg_proc p WHERE pronamespace = 'payments'::regnamespace AND has_function_privilege(role, p.oid, 'execute')
	UNION ALL SELECT role, 'TABLE', c.oid FROM kinds, pg_class c WHERE relnamespace = 'payments'::regnamespace
		AND relkind IN ('r', 'v') AND has_table_privilege(role, c.oid, 'select');
SELECT count(*) > 50 AS many FROM told;
SELECT * FROM (TABLE told EXCEPT TABLE held) not_granted;
SELECT * FROM (TABLE held EXCEPT TABLE told) too_much;
-- nobody writes a table, or touches a sequence
SELECT role, c.oid::regclass FROM kinds, pg_class c WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'v')
	AND (has_table_privilege(role, c.oid, 'insert, update, delete, truncate, references, trigger')
		OR has_any_column_privilege(role, c.oid, 'insert, update, references'));
SELECT role, c.oid::regclass FROM kinds, pg_class c WHERE relnamespace = 'payments'::regnamespace
	AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(role, c.oid, 'usage, select, update') END;
SELECT role, has_schema_privilege(role, 'payments', 'usage') AS usage, has_schema_privilege(role, 'payments', 'create') AS create
	FROM kinds ORDER BY role::text COLLATE "C";
-- nobody may hand it on
SELECT count(*) FROM pg_proc, aclexplode(proacl) WHERE pronamespace = 'payments'::regnamespace AND is_grantable AND grantee <> proowner;
-- nothing internal is on the list: no trigger function, and no grant_to itself
SELECT kind, object FROM payments.privilege p
	JOIN pg_proc f ON f.oid = CASE WHEN object_type <> 'TABLE' THEN object::regprocedure END
	WHERE prorettype = 'trigger'::regtype OR proname = 'grant_to';
-- the tables that hold keys of calls, and the secrets' neighbours, are for the books' readers only
SELECT kind, object FROM payments.privilege WHERE object ~ 'psp_|buyer|merchant$|node|queue|consumer|epoch' AND kind = 'application';

--
-- In deed: every statement, as every role
--
SELECT (payments.checkout(1201, '[{"seller_id": 1, "amount": 10}]', order_id => 'rights-1')).amount;
CREATE FUNCTION pg_temp.as_role(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	SELECT CASE t.code WHEN '00000' THEN 'yes' WHEN '42501' THEN '-' ELSE t.code END INTO result FROM test.try(statement) t;
	RESET ROLE;
	RETURN result;
END $$;
BEGIN;
SELECT statement, pg_temp.as_role('regress_application', statement) AS application, pg_temp.as_role('regress_operator', statement) AS operator,
		pg_temp.as_role('regress_auditor', statement) AS auditor, pg_temp.as_role('regress_monitor', statement) AS monitor,
		pg_temp.as_role('regress_nobody', statement) AS nobody
	FROM unnest(ARRAY[
		$$SELECT payments.checkout(1, '[{"seller_id": 1, "amount": 1}]')$$,
		$$SELECT payments.widget('rights-1')$$,
		$$SELECT payments.confirm('rights-1', 'pay_rights', 10)$$,
		$$SELECT payments.fail('rights-1', 'CODE', 'message')$$,
		$$SELECT payments.status('rights-1')$$,
		$$SELECT payments.balance('asset:no_such_account')$$,
		$$SELECT * FROM payments.fetch_events('rights')$$,
		$$SELECT * FROM payments.payment$$,
		$$SELECT payments.version()$$,
		$$SELECT * FROM payments.verify()$$,
		$$SELECT * FROM payments.worker_slots()$$,
		$$SELECT payments.set_seller(1201, 0.1)$$,
		$$SELECT payments.set_merchant('rights', 'test_ck_rights')$$,
		$$SELECT payments.set_node(0, 1)$$,
		$$SELECT payments.post('rights', 'test', '[{"account": "asset:r", "amount": 1}, {"account": "revenue:r", "amount": -1}]')$$,
		$$SELECT payments.grant_to('regress_nobody', 'application')$$,
		$$SELECT * FROM payments.payment_order$$,
		$$SELECT * FROM payments.payment_event$$,
		$$SELECT * FROM payments.payment_order_history$$,
		$$SELECT * FROM payments.psp_call$$,
		$$SELECT * FROM payments.psp_call_queue$$,
		$$SELECT * FROM payments.merchant$$,
		$$SELECT * FROM payments.seller$$,
		$$SELECT * FROM payments.buyer$$,
		$$SELECT * FROM payments.open_calls$$,
		$$SELECT * FROM payments.stuck_orders$$,
		$$SELECT * FROM payments.worker_status$$,
		$$SELECT * FROM payments.worker_stats$$,
		$$SELECT * FROM payments.worker_histogram$$,
		$$SELECT * FROM payments.alerts$$,
		$$SELECT * FROM payments.explain('rights-1')$$,
		$$SELECT payments.retry('rights-1')$$,
		$$SELECT payments.resolve('rights-1', 'failed', 'note')$$,
		$$SELECT * FROM payments.operator_action$$,
		$$SELECT * FROM payments.ledger$$,
		$$SELECT * FROM payments.trial_balance$$,
		$$SELECT * FROM payments.wallet$$,
		$$SELECT * FROM payments.event$$,
		$$SELECT * FROM payments.event_consumer$$,
		$$SELECT * FROM payments.node$$,
		$$SELECT * FROM payments.privilege$$,
		$$SELECT nextval('payments.payment_order_id_seq')$$,
		$$SELECT setval('payments.payment_order_id_seq', 1)$$,
		$$INSERT INTO payments.currency VALUES ('BTC', 3, 'no')$$,
		$$UPDATE payments.payment_order SET ledger_updated = true$$,
		$$UPDATE payments.psp_call_queue SET state = 'P'$$,
		$$UPDATE payments.seller SET commission_rate = 0$$,
		$$DELETE FROM payments.payment_event$$,
		$$LOCK TABLE payments.payment_order$$,
		$$CREATE TABLE payments.mine (a int)$$,
		$$CREATE FUNCTION payments.status(a text, b text) RETURNS text LANGUAGE sql AS 'SELECT 1'$$,
		$$ALTER TABLE payments.payment_order DISABLE TRIGGER ALL$$,
		$$ALTER SEQUENCE payments.payment_order_id_seq RESTART$$,
		$$SET session_replication_role = replica$$,
		$$ALTER EXTENSION payments ADD SCHEMA test$$,
		$$DROP EXTENSION payments$$,
		$$SET payments.toss_url = 'https://evil.example'$$,
		$$SET payments.secret_dir = '/tmp'$$,
		$$SHOW payments.secret_dir$$,
		$$SHOW payments.toss_ca_file$$]) WITH ORDINALITY x (statement, n) ORDER BY n;
ROLLBACK;

-- a bookkeeper keeps books, within limits that he does not set
SET ROLE regress_bookkeeper;
SELECT payments.post('priv:bookkeeper', 'test', '[{"account": "asset:priv", "amount": 1}, {"account": "liability:priv", "amount": -1}]') > 0 AS posted;
SELECT payments.set_account_limits('asset:priv', NULL, NULL, 'why'); -- fails
SELECT payments.unfreeze_account('asset:priv', 'why'); -- fails
SELECT payments.rebuild_balances(); -- fails
SELECT count(*) FROM payments.ledger_entry; -- fails
RESET ROLE;

-- pay, which commits, as each
SET ROLE regress_operator;
CALL payments.pay('rights-1', 'pay_rights', 10, '0', NULL);
SET ROLE regress_auditor;
CALL payments.pay('rights-1', 'pay_rights', 10, '0', NULL);
SET ROLE regress_nobody;
CALL payments.pay('rights-1', 'pay_rights', 10, '0', NULL);
SET ROLE regress_application;
CALL payments.pay('rights-1', 'pay_rights', 10, '0', NULL);
RESET ROLE;

-- what an application sees of an order says nothing of calls and their keys
SELECT column_name FROM information_schema.columns WHERE table_schema = 'payments' AND table_name = 'payment'
	AND column_name ~ 'idempotency|secret|response|body|customer';

-- the history says who, also behind SECURITY DEFINER
CREATE ROLE regress_login LOGIN IN ROLE regress_application;
SET SESSION AUTHORIZATION regress_login;
SELECT amount FROM payments.checkout(1201, '[{"seller_id": 1, "amount": 10}]', order_id => 'rights-2');
SELECT payments.fail('rights-2', 'CODE', 'message');
RESET SESSION AUTHORIZATION;
SELECT actor FROM payments.payment_order_history WHERE order_id = 'rights-2';

-- grant_to: arguments; and it gives what its caller may give, no more
SELECT args, t.code, t.message, t.hint FROM unnest(ARRAY['NULL, ''application''', '''regress_nobody'', NULL',
		'''regress_nobody'', ''admin''', '''regress_nobody'', ''''', '''regress_nobody'', ''Application''',
		'''regress_no_such_role'', ''auditor''']) WITH ORDINALITY x (args, n),
	test.try('SELECT payments.grant_to(' || args || ')') t ORDER BY n;
GRANT USAGE ON SCHEMA payments TO regress_nobody;
GRANT EXECUTE ON FUNCTION payments.grant_to TO regress_nobody;
SET ROLE regress_nobody;
SELECT t.code FROM test.try($$SELECT payments.grant_to('regress_nobody', 'application')$$) t;
RESET ROLE;
SELECT count(*) FROM held WHERE role = 'regress_nobody'::regrole;

DROP OWNED BY regress_application, regress_bookkeeper, regress_operator, regress_auditor, regress_monitor, "regress odd ""role""", regress_nobody;
DROP ROLE regress_login, regress_application, regress_bookkeeper, regress_operator, regress_auditor, regress_monitor, "regress odd ""role""", regress_nobody;
SELECT count(*) AS left_over FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'payments'::regnamespace AND grantee <> relowner;
