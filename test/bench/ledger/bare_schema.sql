-- The yardstick: our tables with their columns and indexes, and nothing that
-- checks; with the same rows in them.
CREATE SCHEMA bare;
CREATE TABLE bare.ledger_transaction (LIKE payments.ledger_transaction INCLUDING STORAGE INCLUDING INDEXES);
CREATE TABLE bare.ledger_entry (LIKE payments.ledger_entry INCLUDING STORAGE INCLUDING INDEXES);
CREATE SEQUENCE bare.ledger_transaction_id_seq;
INSERT INTO bare.ledger_transaction SELECT * FROM payments.ledger_transaction ORDER BY id;
INSERT INTO bare.ledger_entry SELECT * FROM payments.ledger_entry ORDER BY transaction_id, entry_no;
SELECT setval('bare.ledger_transaction_id_seq', max(id)) FROM bare.ledger_transaction;
GRANT USAGE ON SCHEMA bare TO bench;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA bare TO bench;
GRANT USAGE ON SEQUENCE bare.ledger_transaction_id_seq TO bench;
