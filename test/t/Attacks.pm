# Attacks: every way around the rules of the books that we know of, as data.
#
# Each is [ number, SQL ], or [ number, SQL, refusal ] where those who may write must
# meet this very refusal and no other that comes before it; the number is
# the row of the table in the notes from which it comes: 1 to 32 of the table of
# bypasses (reliability), and 41 to 58 of the table of vectors (ledger), as far as
# they are not the same (42 is 16 and 18; 43 to 46 are 1, 2, 5, 10; 48 and 49 are 7
# and 8; 50 to 57 are 9, 11, 13, 4, 23, 27, 14, 28); from 60 our own.  Not here:
# what takes more than a transaction.  21, subscriptions, 24, pg_surgery, and 27,
# DROP DATABASE, are in 030_attacks.pl; 22, pg_restore --disable-triggers, in
# 033_ledger_dump.pl; 26, files, and 31, rows changed without the library, in
# 038_ledger_seal.pl.
package Attacks;

use strict;
use warnings;

use Exporter qw(import);
our @EXPORT_OK = qw(@attacks @harmless $play);

# What the attacker brings along; made before the attacks.
our $play = q(
	CREATE SCHEMA play;
	CREATE FUNCTION play.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE FUNCTION play.times_ten() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.amount := new.amount * 10; RETURN new; END';
	CREATE TABLE play.entries (LIKE payments.ledger_entry INCLUDING ALL);
	CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
	CREATE ROLE play_friend;
	-- runs an attack, looks whether anything is reported, and undoes it
	CREATE FUNCTION play.attack(attack text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		problem text;
	BEGIN
		-- for who has no right to grant, GRANT is a warning that does nothing
		IF attack ~ '^GRANT' AND NOT pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'payments'), 'member') THEN
			RETURN 'no right';
		END IF;
		EXECUTE attack;
		SET CONSTRAINTS ALL IMMEDIATE;
		SELECT min(v.counterexample) INTO problem FROM payments.verify() v WHERE NOT v.holds;
		RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = coalesce('reported: ' || problem, 'UNSEEN');
	EXCEPTION
		WHEN SQLSTATE 'XX999' THEN RETURN replace(sqlerrm, chr(10), ' ');
		WHEN OTHERS THEN RETURN replace('refused: ' || sqlstate || ' ' || sqlerrm, chr(10), ' ');
	END $$;
);

my $unbalanced = qr/^23514 .*does not add up to zero|^42501 permission denied to set parameter/;

our @attacks = (
	[ 41, q(UPDATE payments.ledger_entry SET amount = - amount) ],
	[ 41, q(DELETE FROM payments.ledger_entry) ],
	[ 41, q(UPDATE payments.ledger_transaction SET effective_at = effective_at) ],
	[ 41, q(DELETE FROM payments.ledger_seal) ],
	[ 1, q(SET LOCAL session_replication_role = replica; UPDATE payments.ledger_entry SET amount = 6) ],
	[ 1, q(SET LOCAL session_replication_role = replica; DELETE FROM payments.ledger_entry) ],
	[ 1, q(SET LOCAL session_replication_role = replica; TRUNCATE payments.ledger_entry) ],
	[ 1, q(SET LOCAL session_replication_role = replica;
		INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (99, 'x99', 'x', now(), now());
		INSERT INTO payments.ledger_entry (transaction_id, entry_no, entry_count, account_id, currency, amount)
			SELECT 99, n, 2, account_id, currency, 5 FROM (SELECT * FROM payments.ledger_entry LIMIT 1) e, generate_series(1, 2) n), $unbalanced ],
	[ 2, q(ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL) ],
	[ 2, q(ALTER TABLE payments.ledger_entry DISABLE TRIGGER USER) ],
	[ 2, q(ALTER TABLE payments.ledger_entry DISABLE TRIGGER ledger_entry_forbid_change; UPDATE payments.ledger_entry SET amount = amount * 2) ],
	[ 2, q(ALTER TABLE payments.ledger_entry ENABLE TRIGGER ledger_entry_forbid_change) ],
	[ 2, q(ALTER TABLE payments.ledger_entry ENABLE REPLICA TRIGGER ledger_entry_forbid_change) ],
	[ 2, q(ALTER TABLE payments.ledger_entry ENABLE TRIGGER ALL) ],
	[ 2, q(DO $do$ BEGIN EXECUTE 'ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL'; END $do$) ],
	[ 3, q(DROP TRIGGER ledger_entry_forbid_change ON payments.ledger_entry) ],
	[ 3, q(ALTER TRIGGER ledger_entry_forbid_change ON payments.ledger_entry RENAME TO x) ],
	[ 3, q(CREATE OR REPLACE TRIGGER ledger_entry_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_entry
		FOR EACH ROW WHEN (false) EXECUTE FUNCTION payments.forbid_change()) ],
	[ 4, q(CREATE OR REPLACE FUNCTION payments.forbid_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END') ],
	[ 4, q(CREATE OR REPLACE FUNCTION payments.ledger_entry_zero_sum() RETURNS trigger LANGUAGE c
		SET search_path = pg_catalog, pg_temp AS 'payments', 'payments_forbid_change') ],
	[ 4, q(SELECT payments.post('late', 'x', '[{"account": "asset:a", "amount": 1}, {"account": "asset:b", "amount": -1}]');
		CREATE OR REPLACE FUNCTION payments.ledger_entry_zero_sum() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END') ],
	[ 4, q(ALTER FUNCTION payments.verify() OWNER TO play_friend) ],
	[ 4, q(ALTER FUNCTION payments.verify() RENAME TO x) ],
	[ 4, q(ALTER FUNCTION payments.verify() SET SCHEMA play) ],
	[ 4, q(ALTER FUNCTION payments.verify() SECURITY INVOKER) ],
	[ 4, q(ALTER FUNCTION payments.post(text, text, jsonb, text, timestamptz, text, jsonb) SET search_path = play) ],
	[ 5, q(TRUNCATE payments.ledger_entry) ],
	[ 5, q(TRUNCATE payments.ledger_transaction CASCADE) ],
	[ 5, q(TRUNCATE payments.wallet) ],
	[ 7, q(CREATE TABLE play.parent (LIKE payments.ledger_entry) PARTITION BY RANGE (transaction_id);
		ALTER TABLE play.parent ATTACH PARTITION payments.ledger_entry FOR VALUES FROM (0) TO (1000000)) ],
	[ 6, q(CREATE TABLE play.part PARTITION OF payments.ledger_entry FOR VALUES FROM (0) TO (1); TRUNCATE play.part) ],
	[ 7, q(ALTER TABLE payments.ledger_entry DETACH PARTITION play.entries) ],
	[ 8, q(ALTER TABLE payments.ledger_entry ATTACH PARTITION play.entries FOR VALUES FROM (0) TO (1000000)) ],
	[ 9, q(CREATE TABLE play.child () INHERITS (payments.ledger_entry)) ],
	[ 9, q(ALTER TABLE play.entries INHERIT payments.ledger_entry) ],
	[ 9, q(CREATE TABLE play.parent2 (transaction_id bigint); ALTER TABLE payments.ledger_entry INHERIT play.parent2) ],
	[ 10, q(ALTER TABLE payments.ledger_entry ALTER amount TYPE numeric USING amount * 2) ],
	[ 10, q(ALTER TABLE payments.ledger_entry DROP COLUMN amount) ],
	[ 10, q(ALTER TABLE payments.ledger_entry ADD COLUMN forged numeric DEFAULT 5) ],
	[ 10, q(ALTER TABLE payments.ledger_entry ALTER amount SET DEFAULT 5) ],
	[ 10, q(ALTER TABLE payments.ledger_entry ALTER amount DROP NOT NULL) ],
	[ 11, q(CREATE RULE lose AS ON INSERT TO payments.ledger_entry DO INSTEAD NOTHING) ],
	[ 11, q(CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO payments.trial_balance DO INSTEAD
		SELECT 'KRW'::text COLLATE "C" AS currency, 'asset'::text AS kind, 'a'::text COLLATE "C" AS account,
			0::numeric AS debits, 0::numeric AS credits, 0::numeric AS debit_balance, 0::numeric AS credit_balance) ],
	[ 11, q(DO $do$ BEGIN EXECUTE replace('CREATE OR REPLACE VIEW payments.trial_balance WITH (security_barrier) AS '
		|| pg_get_viewdef('payments.trial_balance'::regclass), 'ONLY ', ''); END $do$) ],
	[ 12, q(ALTER TABLE payments.ledger_entry RENAME TO entries_old;
		CREATE TABLE payments.ledger_entry AS SELECT * FROM payments.entries_old) ],
	[ 12, q(ALTER TABLE payments.ledger_entry RENAME amount TO old_amount) ],
	[ 12, q(ALTER TABLE payments.ledger_entry SET SCHEMA play) ],
	[ 12, q(ALTER SCHEMA payments RENAME TO old) ],
	[ 12, q(ALTER SCHEMA payments OWNER TO play_friend) ],
	[ 12, q(CREATE TABLE payments.more AS SELECT * FROM payments.ledger_entry) ],
	[ 13, q(CREATE TRIGGER swallow BEFORE INSERT ON payments.ledger_entry FOR EACH ROW EXECUTE FUNCTION play.swallow()) ],
	[ 13, q(CREATE TRIGGER times_ten BEFORE INSERT ON payments.ledger_entry FOR EACH ROW EXECUTE FUNCTION play.times_ten()) ],
	[ 13, q(CREATE CONSTRAINT TRIGGER late AFTER INSERT ON payments.ledger_entry DEFERRABLE FOR EACH ROW EXECUTE FUNCTION play.swallow()) ],
	[ 13, q(GRANT TRIGGER ON payments.ledger_entry TO play_friend) ],
	[ 14, q(ALTER TABLE payments.ledger_entry ENABLE ROW LEVEL SECURITY) ],
	[ 14, q(ALTER TABLE payments.ledger_entry FORCE ROW LEVEL SECURITY) ],
	[ 14, q(CREATE POLICY blind ON payments.ledger_entry USING (false)) ],
	[ 15, q(INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (99, 'x99', 'x', now(), now());
		INSERT INTO payments.ledger_entry (transaction_id, entry_no, entry_count, account_id, currency, amount)
			SELECT 99, n, 2, account_id, currency, 5 FROM (SELECT * FROM payments.ledger_entry LIMIT 1) e, generate_series(1, 2) n;
		SET LOCAL ROLE play_friend), $unbalanced ],
	[ 16, q(INSERT INTO payments.ledger_entry SELECT * FROM payments.ledger_entry
		ON CONFLICT ON CONSTRAINT ledger_entry_pkey DO UPDATE SET amount = 9) ],
	[ 16, q(MERGE INTO payments.ledger_entry e USING payments.ledger_entry x ON e.transaction_id = x.transaction_id AND e.entry_no = x.entry_no
		WHEN MATCHED THEN UPDATE SET amount = 9) ],
	[ 16, q(CREATE VIEW play.through AS SELECT * FROM payments.ledger_entry; UPDATE play.through SET amount = 9) ],
	[ 17, q(COPY payments.ledger_entry (transaction_id, entry_no, entry_count, account_id, currency, amount)
		FROM PROGRAM 'echo "1,3,3,1,KRW,5"' (FORMAT csv)) ],
	[ 18, q(DELETE FROM payments.ledger_transaction) ],
	[ 18, q(UPDATE payments.ledger_account SET id = id + 100) ],
	[ 18, q(DELETE FROM payments.ledger_account) ],
	[ 19, q(SET LOCAL session_replication_role = replica; DELETE FROM payments.ledger_account) ],
	[ 19, q(SET LOCAL session_replication_role = replica; DELETE FROM payments.buyer) ],
	[ 20, q(SET CONSTRAINTS ALL DEFERRED;
		INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (99, 'x99', 'x', now(), now());
		DO $do$ BEGIN INSERT INTO payments.ledger_entry (transaction_id, entry_no, entry_count, account_id, currency, amount)
			SELECT 99, n, 2, account_id, currency, 5 FROM (SELECT * FROM payments.ledger_entry LIMIT 1) e, generate_series(1, 2) n;
			EXCEPTION WHEN OTHERS THEN NULL; END $do$), $unbalanced ],
	[ 22, q(ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL; ALTER TABLE payments.ledger_entry ENABLE TRIGGER ALL) ],
	[ 23, q(UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'ledger_entry_forbid_change') ],
	[ 23, q(UPDATE pg_trigger SET tgenabled = 'D' WHERE tgisinternal AND tgrelid = 'payments.ledger_transaction'::regclass) ],
	[ 23, q(UPDATE pg_class SET relhastriggers = false WHERE oid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(UPDATE pg_class SET relchecks = 0 WHERE oid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(UPDATE pg_class SET relhasindex = false WHERE oid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(UPDATE pg_class SET relam = (SELECT oid FROM pg_am WHERE amname = 'heap2') WHERE oid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(UPDATE pg_class SET relpersistence = 'u' WHERE oid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(UPDATE pg_class SET relrowsecurity = true WHERE oid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(DELETE FROM pg_trigger WHERE tgname = 'ledger_entry_zero_sum') ],
	[ 23, q(UPDATE pg_proc SET prosrc = 'payments_version' WHERE oid = 'payments.forbid_change()'::regprocedure) ],
	[ 23, q(UPDATE pg_proc SET probin = '/tmp/evil' WHERE oid = 'payments.forbid_change()'::regprocedure) ],
	[ 23, q(UPDATE pg_attribute SET attmissingval = '{5}', atthasmissing = true WHERE attrelid = 'payments.ledger_entry'::regclass AND attname = 'amount') ],
	[ 23, q(DELETE FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND objid = 'payments.ledger_entry'::regclass) ],
	[ 23, q(INSERT INTO pg_inherits VALUES ('play.entries'::regclass, 'payments.ledger_entry'::regclass, 1)) ],
	[ 23, q(UPDATE pg_constraint SET condeferrable = true, condeferred = true WHERE conname = 'ledger_entry_pkey') ],
	[ 23, q(WITH w AS (UPDATE pg_rewrite SET ev_enabled = 'D' WHERE ev_class = 'payments.ledger'::regclass RETURNING 1) SELECT FROM w) ],
	[ 25, q(ALTER TABLE payments.ledger_entry SET UNLOGGED) ],
	[ 47, q(ALTER TABLE payments.ledger_entry SET ACCESS METHOD heap2) ],
	[ 27, q(DROP TABLE payments.ledger_entry CASCADE) ],
	[ 27, q(DROP SCHEMA payments CASCADE) ],
	[ 27, q(DROP EXTENSION payments CASCADE) ],
	[ 27, q(DROP FUNCTION payments.verify()) ],
	[ 27, q(DROP VIEW payments.ledger) ],
	[ 27, q(ALTER EXTENSION payments DROP TABLE payments.ledger_entry; DROP TABLE payments.ledger_entry CASCADE) ],
	[ 27, q(ALTER EXTENSION payments ADD TABLE play.entries) ],
	[ 27, q(DO $do$ BEGIN EXECUTE format('REASSIGN OWNED BY %s TO play_friend', (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'payments')); END $do$) ],
	[ 27, q(DO $do$ BEGIN EXECUTE format('DROP OWNED BY %s CASCADE', (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'payments')); END $do$) ],
	[ 27, q(ALTER TABLE payments.ledger_entry OWNER TO play_friend) ],
	[ 28, q(CREATE FUNCTION play.quiet() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER quiet ON ddl_command_start EXECUTE FUNCTION play.quiet();
		ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL) ],
	[ 29, q(SET LOCAL plpgsql.check_asserts = off;
		INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (99, 'x99', 'x', now(), now());
		INSERT INTO payments.ledger_entry (transaction_id, entry_no, entry_count, account_id, currency, amount)
			SELECT 99, n, 2, account_id, currency, 5 FROM (SELECT * FROM payments.ledger_entry LIMIT 1) e, generate_series(1, 2) n), $unbalanced ],
	[ 30, q(GRANT INSERT, UPDATE ON payments.ledger_entry TO play_friend) ],
	[ 30, q(GRANT UPDATE (amount) ON payments.ledger_entry TO play_friend) ],
	[ 30, q(GRANT SELECT ON payments.ledger_entry TO PUBLIC) ],
	[ 30, q(GRANT EXECUTE ON FUNCTION payments.verify() TO PUBLIC) ],
	[ 30, q(GRANT CREATE ON SCHEMA payments TO play_friend) ],
	[ 32, q(ALTER TABLE payments.ledger_entry DROP CONSTRAINT ledger_entry_amount_in_range) ],
	[ 32, q(ALTER TABLE payments.ledger_entry ADD CONSTRAINT low CHECK (amount < 10) NOT VALID) ],
	[ 32, q(ALTER TABLE payments.ledger_entry ALTER CONSTRAINT ledger_entry_account_id_fkey DEFERRABLE INITIALLY DEFERRED) ],
	[ 32, q(ALTER TABLE payments.ledger_entry RENAME CONSTRAINT ledger_entry_pkey TO x) ],
	[ 32, q(UPDATE pg_index SET indisunique = false WHERE indexrelid = 'payments.ledger_entry_pkey'::regclass) ],
	[ 32, q(UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'payments.ledger_entry_pkey'::regclass) ],
	[ 32, q(UPDATE pg_constraint SET convalidated = false WHERE conname = 'ledger_entry_amount_in_range') ],
	[ 32, q(DROP INDEX payments.ledger_entry_pkey) ],
	[ 32, q(CREATE UNIQUE INDEX one_each ON payments.ledger_entry (account_id, transaction_id, entry_no)) ],
	[ 58, q(ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL; UPDATE payments.ledger_entry SET amount = amount * 2;
		UPDATE payments.ledger_balance SET balance = balance * 2; SELECT payments.rearm()) ],
	[ 60, q(ALTER TYPE payments.payment_order_status ADD VALUE 'REFUNDED') ],
	[ 60, q(ALTER TYPE payments.payment_order_status RENAME VALUE 'FAILURE' TO 'LOST') ],
	[ 60, q(ALTER VIEW payments.ledger SET (security_barrier = false)) ],
	[ 60, q(ALTER SEQUENCE payments.ledger_transaction_id_seq CYCLE MAXVALUE 1000) ],
	[ 60, q(CREATE FUNCTION payments.pay(text) RETURNS void LANGUAGE sql AS 'SELECT') ],
	[ 60, q(SELECT payments.record_schema('mine')) ],
	[ 60, q(INSERT INTO payments.schema_record SELECT id + 100, reason, extension_version, server_version, fingerprint, objects, actor, recorded_at
		FROM payments.schema_record) ],
	[ 60, q(UPDATE payments.schema_record SET objects = '{}') ],
	[ 60, q(DELETE FROM payments.maintenance_log) ],
	[ 60, q(SET LOCAL allow_system_table_mods = on; ALTER TABLE payments.ledger_entry DISABLE TRIGGER ALL) ],
	[ 60, q(UPDATE payments.ledger_balance SET balance = balance + 1) ],
	[ 60, q(DELETE FROM payments.ledger_balance) ],
	[ 60, q(UPDATE payments.payment_event SET amount = 1) ],
	[ 60, q(UPDATE payments.payment_order SET payment_order_status = 'SUCCESS') ],
	[ 60, q(DELETE FROM payments.payment_order) ],
	[ 60, q(UPDATE payments.psp_call SET request_body = 'x') ],
);

# What people do all day, and nobody should hear of.
our @harmless = (
	q(CREATE INDEX mine ON payments.ledger_entry (amount)),
	q(REINDEX TABLE payments.ledger_entry),
	q(CLUSTER payments.ledger_entry USING ledger_entry_pkey),
	q(ANALYZE payments.ledger_entry),
	q(DROP INDEX payments.mine),
	q(COMMENT ON TABLE payments.ledger_entry IS 'the books'),
	q(ALTER TABLE payments.ledger_entry SET (autovacuum_vacuum_scale_factor = 0.1)),
	q(ALTER TABLE payments.ledger_entry ALTER amount SET STATISTICS 500),
	q(ALTER TABLE payments.ledger_entry REPLICA IDENTITY FULL),
	q(ALTER TABLE payments.ledger_entry SET TABLESPACE pg_default),
	q(CREATE PUBLICATION books FOR TABLE payments.ledger_entry),
	q(CREATE VIEW play.mine AS SELECT * FROM payments.ledger),
	q(CREATE MATERIALIZED VIEW play.stored AS SELECT * FROM payments.ledger),
	q(REFRESH MATERIALIZED VIEW play.stored),
	q(CREATE STATISTICS play.together ON account_id, currency FROM payments.ledger_entry),
	q(CREATE TABLE play.noted (id bigint PRIMARY KEY, account_id bigint REFERENCES payments.ledger_account,
		transaction_id bigint REFERENCES payments.ledger_transaction ON DELETE CASCADE)),
	q(INSERT INTO play.noted SELECT 1, min(id) FROM payments.ledger_account),
	q(ALTER TABLE play.noted DROP CONSTRAINT noted_account_id_fkey),
	q(DROP TABLE play.noted),
	q(SELECT payments.grant_to('play_friend', 'auditor')),
	q(GRANT SELECT ON payments.ledger_entry TO play_friend),
	q(SELECT payments.set_node(1, 3)),
	q(ALTER DATABASE shop SET work_mem = '8MB'),
	q(CREATE TEMP TABLE mine (i int PRIMARY KEY)),
	q(CREATE TABLE play.parts (i int) PARTITION BY RANGE (i); CREATE TABLE play.part PARTITION OF play.parts FOR VALUES FROM (1) TO (2);
		ALTER TABLE play.parts DETACH PARTITION play.part; DROP TABLE play.parts, play.part),
	q(VACUUM payments.ledger_entry),
	q(VACUUM FULL payments.ledger_entry),
	q(REINDEX TABLE CONCURRENTLY payments.ledger_entry),
	q(CREATE INDEX CONCURRENTLY mine ON payments.ledger_entry (amount)),
	q(DROP INDEX CONCURRENTLY payments.mine),
	q(VACUUM (FULL, ANALYZE)),
	q(CHECKPOINT),
);

1;
