-- Promise: what happened stays as it was written, for everybody; corrections
-- are new rows.
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT payments.post('im:1', 'test', '[
	{"account": "asset:im_a", "amount": 12}, {"account": "asset:im_b", "amount": -12}]') AS id \gset
SELECT id AS account FROM payments.ledger_account WHERE code = 'asset:im_a' \gset

-- The message names the table and says what to do instead.
\set VERBOSITY default
UPDATE payments.ledger_entry SET amount = 13 WHERE transaction_id = :id; -- fails
\echo :SQLSTATE
\set VERBOSITY terse

-- A superuser, statement by statement
DELETE FROM payments.ledger_entry WHERE transaction_id = :id; -- fails
TRUNCATE payments.ledger_entry; -- fails
UPDATE payments.ledger_transaction SET kind = 'other' WHERE id = :id; -- fails
DELETE FROM payments.ledger_transaction WHERE id = :id; -- fails
TRUNCATE payments.ledger_transaction CASCADE; -- fails
UPDATE payments.ledger_account SET kind = 'expense' WHERE id = :account; -- fails
DELETE FROM payments.ledger_account WHERE id = :account; -- fails
TRUNCATE payments.ledger_account CASCADE; -- fails
MERGE INTO payments.ledger_entry e USING (SELECT 1) one ON e.transaction_id = :id
	WHEN MATCHED THEN UPDATE SET amount = 1; -- fails
MERGE INTO payments.ledger_entry e USING (SELECT 1) one ON e.transaction_id = :id
	WHEN MATCHED THEN DELETE; -- fails
INSERT INTO payments.ledger_entry SELECT * FROM payments.ledger_entry WHERE transaction_id = :id
	ON CONFLICT ON CONSTRAINT ledger_entry_pkey DO UPDATE SET amount = 1; -- fails
WITH changed AS (UPDATE payments.ledger_entry SET order_id = 'x' WHERE transaction_id = :id RETURNING 1)
	SELECT count(*) FROM changed; -- fails

-- A change that changes nothing is none of our business to judge.
UPDATE payments.ledger_entry SET amount = amount WHERE transaction_id = :id; -- fails

-- Nor does it matter that the row was written by this very transaction.
BEGIN;
SELECT payments.post('im:2', 'test', '[
	{"account": "asset:im_a", "amount": 1}, {"account": "asset:im_b", "amount": -1}]') AS id2 \gset
DELETE FROM payments.ledger_entry WHERE transaction_id = :id2; -- fails
ROLLBACK;

-- Replica mode, in which ordinary triggers and foreign keys sleep
SET session_replication_role = replica;
UPDATE payments.ledger_entry SET amount = 13 WHERE transaction_id = :id; -- fails
DELETE FROM payments.ledger_entry WHERE transaction_id = :id; -- fails
TRUNCATE payments.ledger_entry; -- fails
DELETE FROM payments.ledger_transaction WHERE id = :id; -- fails
TRUNCATE payments.ledger_transaction CASCADE; -- fails
DELETE FROM payments.ledger_account WHERE id = :account; -- fails
TRUNCATE payments.ledger_account CASCADE; -- fails
RESET session_replication_role;

-- An ordinary role with every right on the table
CREATE ROLE regress_ledger_writer;
GRANT USAGE ON SCHEMA payments TO regress_ledger_writer;
GRANT ALL ON payments.ledger_entry TO regress_ledger_writer;
SET ROLE regress_ledger_writer;
UPDATE payments.ledger_entry SET amount = 13 WHERE transaction_id = :id; -- fails
DELETE FROM payments.ledger_entry WHERE transaction_id = :id; -- fails
TRUNCATE payments.ledger_entry; -- fails
RESET ROLE;
DROP OWNED BY regress_ledger_writer;
DROP ROLE regress_ledger_writer;

-- Untouched
SELECT account, debit, credit FROM payments.ledger WHERE transaction_id = :id ORDER BY entry_no;

-- The function serves no other purpose.
CREATE TABLE public.im_other (a int);
CREATE TRIGGER t AFTER UPDATE ON public.im_other FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
INSERT INTO public.im_other VALUES (1);
UPDATE public.im_other SET a = 2; -- fails
DROP TABLE public.im_other;
SELECT payments.forbid_change(); -- fails

-- Every table that records what happened has both triggers, always enabled.
SELECT c.relname,
	bool_or(t.tgtype & 31 = 1 | 2 | 8 | 16) AS update_delete,
	bool_or(t.tgtype & 35 = 2 | 32) AS truncate,
	bool_and(t.tgenabled = 'A') AS always
FROM pg_class c LEFT JOIN pg_trigger t ON t.tgrelid = c.oid
	AND t.tgfoid = 'payments.forbid_change'::regproc
WHERE c.relnamespace = 'payments'::regnamespace
	AND c.relname IN ('ledger_account', 'ledger_transaction', 'ledger_entry')
GROUP BY c.relname ORDER BY c.relname;
