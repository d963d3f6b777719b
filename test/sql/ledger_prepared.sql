-- Promise: the ledger's rules hold at PREPARE TRANSACTION, and what passed
-- there survives to COMMIT PREPARED.  Needs max_prepared_transactions.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SHOW max_prepared_transactions \gset
SELECT :max_prepared_transactions >= 2 AS can_prepare;

SELECT payments.post('pt:open', 'test', '[{"account": "asset:pt_a", "amount": 1}, {"account": "asset:pt_b", "amount": -1}]') > 0 AS posted;

-- Balanced, through the posting function, in a transaction that does more
BEGIN;
SELECT payments.post('pt:1', 'test', '[{"account": "asset:pt_a", "amount": 10}, {"account": "asset:pt_new", "amount": -10}]') > 0 AS posted;
SAVEPOINT s;
SELECT payments.post('pt:2', 'test', '[{"account": "asset:pt_a", "amount": 5}, {"account": "asset:pt_b", "amount": -5}]') > 0 AS posted;
ROLLBACK TO s;
PREPARE TRANSACTION 'regress_ledger_1';
SELECT payments.balance('asset:pt_a');
COMMIT PREPARED 'regress_ledger_1';
SELECT payments.balance('asset:pt_a'), payments.balance('asset:pt_new');
-- Rolled back
BEGIN;
SELECT payments.post('pt:3', 'test', '[{"account": "asset:pt_a", "amount": 10}, {"account": "asset:pt_b", "amount": -10}]') > 0 AS posted;
PREPARE TRANSACTION 'regress_ledger_2';
-- The session goes on at once; what is prepared is no longer its own.
SELECT payments.post('pt:5', 'test', '[{"account": "asset:pt_c", "amount": 1}, {"account": "asset:pt_d", "amount": -1}]') > 0 AS posted;
ROLLBACK PREPARED 'regress_ledger_2';
SELECT payments.balance('asset:pt_a');

-- Not balanced, and not whole: refused at PREPARE
BEGIN;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
VALUES (975000001, 'pt:raw', 'test', now(), now());
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 975000001, id, n, 2, currency, n FROM payments.ledger_account, generate_series(1, 2) n WHERE code = 'asset:pt_a' ORDER BY n;
PREPARE TRANSACTION 'regress_ledger_3'; -- fails
BEGIN;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
VALUES (975000001, 'pt:raw', 'test', now(), now());
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 975000001, id, 1, 2, currency, 1 FROM payments.ledger_account WHERE code = 'asset:pt_a';
PREPARE TRANSACTION 'regress_ledger_3'; -- fails
-- The session is clean afterwards: nothing of it is checked again.
BEGIN;
SELECT payments.post('pt:4', 'test', '[{"account": "asset:pt_a", "amount": 1}, {"account": "asset:pt_b", "amount": -1}]') > 0 AS posted;
COMMIT;
SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'regress_ledger%';
SELECT payments.balance('asset:pt_a');
