--
-- Arming, as far as it needs no worker: arguments, rights, what is recorded.
-- This cluster is labelled test, and its secret_dir is that of the simulator.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

SHOW payments.environment;
SELECT payments.arm('go live');	-- fails
SELECT count(*) FROM payments.arming;

\set VERBOSITY terse
SELECT payments.arm(NULL);	-- fails
SELECT payments.disarm(NULL);	-- fails
SELECT payments.disarm('');	-- fails
SELECT payments.disarm(E' \t ');	-- fails
SELECT payments.disarm(E'two\nlines');	-- fails
SELECT payments.disarm(repeat('x', 201));	-- fails
BEGIN READ ONLY;
SELECT payments.disarm('why');	-- fails
ROLLBACK;
SET payments.environment = 'live';	-- fails
SET payments.test_keys_need_arming = on;	-- fails
SET payments.arm_on_promotion = on;	-- fails
SELECT count(*) FROM payments.arming;

-- disarming is a row, whatever was before
BEGIN;
SELECT payments.disarm('a rehearsal');
ROLLBACK;
SELECT count(*) FROM payments.arming;
SELECT payments.disarm('a rehearsal');
SELECT action, reason, actor = session_user AS by_me, happened_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS just_now,
		system_identifier = (SELECT system_identifier FROM pg_control_system()) AS here,
		timeline = (SELECT timeline_id FROM pg_control_checkpoint()) AS on_this_timeline,
		database_oid = (SELECT oid FROM pg_database WHERE datname = current_database()) AS in_this_database,
		database_name = current_database() AS of_this_name,
		place ~ ('^' || current_setting('data_directory') || ', inode [0-9]+, born ([0-9.]+|unknown), machine ([0-9a-f]{16}|unknown)$') AS at_this_place,
		token_sha256 IS NULL AS without_token
	FROM payments.arming;

-- it survives being prepared
BEGIN;
SELECT payments.disarm('prepared');
PREPARE TRANSACTION 'regress_arming';
\c
COMMIT PREPARED 'regress_arming';
SELECT reason FROM payments.arming ORDER BY id DESC LIMIT 1;

-- the rows stay as they are
\set VERBOSITY terse
UPDATE payments.arming SET action = 'arm';	-- fails
DELETE FROM payments.arming;	-- fails
TRUNCATE payments.arming;	-- fails
INSERT INTO payments.arming SELECT id + 100, 'arm', reason, actor, happened_at, system_identifier, timeline,
	database_oid, database_name, place, token_sha256, xid FROM payments.arming LIMIT 1;	-- fails
INSERT INTO payments.arming SELECT id + 100, 'other', reason, actor, happened_at, system_identifier, timeline,
	database_oid, database_name, place, token_sha256, xid FROM payments.arming LIMIT 1;	-- fails

-- an operator may, an application and an auditor may not
CREATE ROLE regress_arming_application;
CREATE ROLE regress_arming_operator;
CREATE ROLE regress_arming_auditor;
SELECT payments.grant_to('regress_arming_application', 'application');
SELECT payments.grant_to('regress_arming_operator', 'operator');
SELECT payments.grant_to('regress_arming_auditor', 'auditor');
SET ROLE regress_arming_application;
SELECT payments.arm('why');	-- fails
SELECT payments.disarm('why');	-- fails
SELECT count(*) FROM payments.arming;	-- fails
SET ROLE regress_arming_auditor;
SELECT payments.arm('why');	-- fails
SELECT payments.disarm('why');	-- fails
SELECT count(*) FROM payments.arming;
SET ROLE regress_arming_operator;
SELECT payments.arm('why');	-- fails, since there is nothing to arm
SELECT payments.disarm('an operator''s');
SELECT reason FROM payments.arming ORDER BY id DESC LIMIT 1;
INSERT INTO payments.arming DEFAULT VALUES;	-- fails
RESET ROLE;
DROP OWNED BY regress_arming_application, regress_arming_operator, regress_arming_auditor;
DROP ROLE regress_arming_application, regress_arming_operator, regress_arming_auditor;
