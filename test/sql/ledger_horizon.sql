--
-- Promise: what is final stays final: whoever brings an id of his own may not
-- bring one that snapshots have passed, be it a header or entries; new ids, and
-- the posting function, are not held up.  Three steps, each after the other's
-- commit, make an id final.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE PROCEDURE pg_temp.write_all() LANGUAGE plpgsql AS $$
DECLARE
	target bigint := (SELECT last_value FROM payments.ledger_transaction_id_seq);
BEGIN
	WHILE (SELECT done_id FROM payments.ledger_horizon) < target LOOP
		PERFORM payments.write_snapshots();
		COMMIT;
	END LOOP;
END $$;
CREATE VIEW pg_temp.mark AS SELECT candidate_id - s.last_value AS candidate, final_id = candidate_id AS final, wait_xid IS NOT NULL AS waits
	FROM payments.ledger_horizon, payments.ledger_transaction_id_seq s;
-- a raw writer, with the id that it is given
CREATE PROCEDURE pg_temp.raw(id bigint, header boolean DEFAULT true, entries boolean DEFAULT true) LANGUAGE plpgsql AS $$
BEGIN
	IF header THEN
		INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (raw.id, 'lh:raw' || raw.id, 'test', now(), now());
	END IF;
	IF entries THEN
		INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
			SELECT raw.id, (SELECT a.id FROM payments.ledger_account a WHERE a.code = 'asset:lh'), n, 2, 'KRW', CASE n WHEN 1 THEN 5 ELSE -5 END
			FROM generate_series(1, 2) n;
	END IF;
END $$;
CREATE FUNCTION pg_temp.try(call text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS $$
	SELECT t.code, regexp_replace(t.message, '[0-9]+', 'N', 'g'), regexp_replace(t.detail, '[0-9]+', 'N', 'g'), t.hint FROM test.try(call) t
$$;

SELECT payments.post('lh:1', 'test', '[{"account": "asset:lh", "amount": 1}, {"account": "liability:lh", "amount": -1}]') AS id \gset
-- drawn early, used late
SELECT nextval('payments.ledger_transaction_id_seq') AS early, nextval('payments.ledger_transaction_id_seq') AS earlier \gset

-- All steps in one transaction are no step: the second has to see the first committed.
CALL pg_temp.write_all();
SELECT payments.post('lh:2', 'test', '[{"account": "asset:lh", "amount": 1}, {"account": "liability:lh", "amount": -1}]') > 0 AS posted;
BEGIN;
SELECT payments.write_snapshots(), payments.write_snapshots(), payments.write_snapshots();
SELECT * FROM pg_temp.mark;
COMMIT;
-- a candidate alone keeps nobody out: who is here already will be waited for
SELECT nextval('payments.ledger_transaction_id_seq') AS open_id \gset
CALL pg_temp.raw(:open_id);
SELECT payments.write_snapshots();
SELECT final, waits FROM pg_temp.mark;
CALL pg_temp.write_all();
SELECT * FROM pg_temp.mark;

-- too late, with either row
SELECT t.* FROM pg_temp.try(format('CALL pg_temp.raw(%s)', :early)) t;
SELECT t.code FROM pg_temp.try(format('CALL pg_temp.raw(%s, entries => false)', :early)) t;
-- a header that came in time is no way in for entries that did not
SELECT nextval('payments.ledger_transaction_id_seq') AS half \gset
CALL pg_temp.raw(:half, entries => false);
CALL pg_temp.write_all();
SELECT t.code FROM pg_temp.try(format('CALL pg_temp.raw(%s, header => false)', :half)) t;
-- nor as a replica
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT t.code FROM pg_temp.try(format('CALL pg_temp.raw(%s)', :earlier)) t;
ROLLBACK;

-- between the candidate and the end: refused only to those who come after
SELECT nextval('payments.ledger_transaction_id_seq') AS between \gset
SELECT payments.write_snapshots();
SELECT payments.write_snapshots();
SELECT waits FROM pg_temp.mark;
SELECT t.code FROM pg_temp.try(format('CALL pg_temp.raw(%s)', :between)) t;

-- new ids are let in, and posts
SELECT nextval('payments.ledger_transaction_id_seq') AS fresh \gset
CALL pg_temp.raw(:fresh);
SELECT payments.post('lh:3', 'test', '[{"account": "asset:lh", "amount": 1}, {"account": "liability:lh", "amount": -1}]') > 0 AS posted;

-- A sequence that hands out numbers in advance cannot be trusted.
ALTER SEQUENCE payments.ledger_transaction_id_seq CACHE 10;
CALL pg_temp.write_all(); -- fails
ALTER SEQUENCE payments.ledger_transaction_id_seq CACHE 1;
CALL pg_temp.write_all();
SELECT * FROM pg_temp.mark;

-- the one header without entries goes, by force
BEGIN;
SET LOCAL session_replication_role = replica;
ALTER TABLE payments.ledger_transaction DISABLE TRIGGER ledger_transaction_forbid_change;
DELETE FROM payments.ledger_transaction WHERE id = :half;
ALTER TABLE payments.ledger_transaction ENABLE ALWAYS TRIGGER ledger_transaction_forbid_change;
COMMIT;
SELECT count(*) AS broken FROM payments.verify() WHERE NOT holds AND invariant ~ 'snapshot|entries';

-- A sequence that was set back draws ids that snapshots have passed: reported.
SELECT last_value AS last FROM payments.ledger_transaction_id_seq \gset
SELECT setval('payments.ledger_transaction_id_seq', 1);
SELECT counterexample ~ '^ids are drawn from 1 on, and up to \d+ they are final$' AS seen
	FROM payments.verify() WHERE invariant ~ '^snapshots lie behind';
SELECT setval('payments.ledger_transaction_id_seq', :last) = :last AS back;
SELECT holds FROM payments.verify() WHERE invariant ~ '^snapshots lie behind';
