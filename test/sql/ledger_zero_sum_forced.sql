-- Promise: the zero-sum check holds although the owner of the tables alters
-- them in the same transaction: it does without one of its two triggers,
-- without the table's constraints, and without seeing the rows.
\set VERBOSITY terse
\set SHOW_CONTEXT never

INSERT INTO payments.ledger_account (id, code, kind, currency, created_at)
VALUES (960000001, 'asset:zf_a', 'asset', 'KRW', now());
CREATE FUNCTION pg_temp.unbalanced(id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
	VALUES (id, 'zf:' || id, 'test', now(), now());
	INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
	VALUES (id, 960000001, 1, 2, 'KRW', 1), (id, 960000001, 2, 2, 'KRW', 1);
$$;

--
-- The deferred trigger dropped or disabled after the insert, or before it
--
BEGIN;
SELECT pg_temp.unbalanced(960000001);
ALTER TABLE payments.ledger_entry DISABLE TRIGGER ledger_entry_zero_sum; -- fails
ROLLBACK;
BEGIN;
ALTER TABLE payments.ledger_entry DISABLE TRIGGER ledger_entry_zero_sum;
SELECT pg_temp.unbalanced(960000001);
COMMIT; -- fails
BEGIN;
ALTER TABLE payments.ledger_entry DISABLE TRIGGER ledger_entry_remember;
SELECT pg_temp.unbalanced(960000001);
COMMIT; -- fails
BEGIN;
CREATE OR REPLACE FUNCTION payments.ledger_entry_zero_sum() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT pg_temp.unbalanced(960000001);
COMMIT; -- fails

--
-- Without the table's own constraints
--
BEGIN;
ALTER TABLE payments.ledger_entry DROP CONSTRAINT ledger_entry_pkey,
	DROP CONSTRAINT ledger_entry_number_in_range, DROP CONSTRAINT ledger_entry_amount_in_range;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
VALUES (960000001, 'zf:960000001', 'test', now(), now());
SAVEPOINT s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 2, 'KRW', 1), (960000001, 960000001, 1, 2, 'KRW', -1);
COMMIT; -- fails
BEGIN;
ALTER TABLE payments.ledger_entry DROP CONSTRAINT ledger_entry_pkey,
	DROP CONSTRAINT ledger_entry_number_in_range, DROP CONSTRAINT ledger_entry_amount_in_range;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
VALUES (960000001, 'zf:960000001', 'test', now(), now());
SAVEPOINT s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 2, 'KRW', 1), (960000001, 960000001, 3, 2, 'KRW', -1);
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT; -- fails
BEGIN;
ALTER TABLE payments.ledger_entry DROP CONSTRAINT ledger_entry_number_in_range, DROP CONSTRAINT ledger_entry_amount_in_range;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
VALUES (960000001, 'zf:960000001', 'test', now(), now());
SAVEPOINT s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 1, 'KRW', 0);
SET CONSTRAINTS ALL IMMEDIATE; -- fails
ROLLBACK TO s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 1, 'KRW', 1);
SET CONSTRAINTS ALL IMMEDIATE; -- fails
ROLLBACK TO s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 2, 'KRW', 'NaN'); -- fails
ROLLBACK TO s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 2, 'KRW', 'Infinity'); -- fails
ROLLBACK TO s;
INSERT INTO payments.ledger_entry VALUES (960000001, 960000001, 1, 2, 'KRW', 0.0001); -- fails
ROLLBACK;

--
-- Row security: a policy hides every entry from its writer, who is not the
-- one whose check would have to see them.
--
CREATE ROLE regress_ledger_writer;
GRANT USAGE ON SCHEMA payments TO regress_ledger_writer;
GRANT INSERT, SELECT ON payments.ledger_transaction, payments.ledger_entry TO regress_ledger_writer;
GRANT SELECT ON payments.ledger_account TO regress_ledger_writer;
BEGIN;
ALTER TABLE payments.ledger_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.ledger_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY blind ON payments.ledger_entry FOR SELECT USING (false);
CREATE POLICY write ON payments.ledger_entry FOR INSERT WITH CHECK (true);
SET LOCAL ROLE regress_ledger_writer;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
VALUES (960000002, 'zf:960000002', 'test', now(), now());
INSERT INTO payments.ledger_entry VALUES (960000002, 960000001, 1, 2, 'KRW', 1), (960000002, 960000001, 2, 2, 'KRW', 1);
SELECT count(*) FROM payments.ledger_entry;
RESET ROLE;
COMMIT; -- fails
SELECT relrowsecurity FROM pg_class WHERE oid = 'payments.ledger_entry'::regclass;
DROP OWNED BY regress_ledger_writer;
DROP ROLE regress_ledger_writer;

SELECT count(*) FROM payments.ledger_entry WHERE transaction_id BETWEEN 960000000 AND 969999999;
