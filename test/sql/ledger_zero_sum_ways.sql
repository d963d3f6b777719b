-- Promise: there is no way around the zero-sum check: not by COPY, replica
-- mode, SET CONSTRAINTS, savepoints or cursors; and nothing that was rolled
-- back is held against what was not.
\set VERBOSITY terse
\set SHOW_CONTEXT never

INSERT INTO payments.ledger_account (id, code, kind, currency, created_at)
VALUES (980000001, 'asset:zw_a', 'asset', 'KRW', now()), (980000002, 'asset:zw_b', 'asset', 'KRW', now());
INSERT INTO payments.ledger_balance (account_id, stripe, stripes, state, held, balance)
VALUES (980000001, 0, 1, 'o', 0, 0), (980000002, 0, 1, 'o', 0, 0);

CREATE FUNCTION pg_temp.header(id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
	VALUES (id, 'zw:' || id, 'test', now(), now())
$$;
CREATE FUNCTION pg_temp.entry(id bigint, no int, count int, amount numeric, account text DEFAULT 'asset:zw_a')
RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
	SELECT entry.id, a.id, no, count, a.currency, entry.amount
	FROM payments.ledger_account a WHERE a.code = entry.account
$$;
-- What came through
CREATE VIEW pg_temp.stored AS
	SELECT transaction_id - 980000000 AS id, entry_no, entry_count, amount
	FROM payments.ledger_entry WHERE transaction_id BETWEEN 980000000 AND 989999999
	ORDER BY transaction_id, entry_no;

--
-- COPY
--
BEGIN;
SELECT pg_temp.header(980000001);
COPY payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount) FROM STDIN;
980000001	980000001	1	2	KRW	10
980000001	980000002	2	2	KRW	-10
\.
COMMIT;
BEGIN;
SELECT pg_temp.header(980000002);
COPY payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount) FROM STDIN;
980000002	980000001	1	2	KRW	10
980000002	980000002	2	2	KRW	-11
\.
COMMIT; -- fails
-- A restore copies headers and entries in transactions of their own.
SELECT pg_temp.header(980000018), pg_temp.header(980000019);
COPY payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount) FROM STDIN;
980000018	980000001	1	2	KRW	10
980000019	980000001	2	2	KRW	20
980000018	980000002	2	2	KRW	-10
980000019	980000002	1	2	KRW	-20
\.

--
-- SET CONSTRAINTS
--
-- Before the insert: each transaction is checked as its last entry arrives.
BEGIN;
SET CONSTRAINTS payments.ledger_entry_zero_sum IMMEDIATE;
SELECT pg_temp.header(980000003), pg_temp.entry(980000003, 1, 2, 3);
SELECT pg_temp.entry(980000003, 2, 2, -3);
SELECT payments.post('zw:immediate', 'test', '[
	{"account": "asset:zw_a", "amount": 1}, {"account": "asset:zw_b", "amount": -1}]') > 0 AS posted;
COMMIT;
BEGIN;
SET CONSTRAINTS payments.ledger_entry_zero_sum IMMEDIATE;
SELECT pg_temp.header(980000004), pg_temp.entry(980000004, 1, 2, 3);
SELECT pg_temp.entry(980000004, 2, 2, -4); -- fails
ROLLBACK;
-- After it
BEGIN;
SELECT pg_temp.header(980000004), pg_temp.entry(980000004, 1, 2, 3), pg_temp.entry(980000004, 2, 2, -4);
SET CONSTRAINTS ALL IMMEDIATE; -- fails
COMMIT;
-- What passed early is checked again when more of it arrives.
BEGIN;
SELECT pg_temp.header(980000004), pg_temp.entry(980000004, 1, 2, 3), pg_temp.entry(980000004, 2, 2, -3);
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
SELECT pg_temp.entry(980000004, 3, 3, 5);
COMMIT; -- fails

--
-- Savepoints
--
-- Rolled back entries do not count...
BEGIN;
SELECT pg_temp.header(980000005), pg_temp.entry(980000005, 1, 2, 7);
SAVEPOINT s;
SELECT pg_temp.entry(980000005, 2, 2, -8);
ROLLBACK TO s;
SELECT pg_temp.entry(980000005, 2, 2, -7);
COMMIT;
-- ... and do not help: after this the transaction is not whole,
BEGIN;
SELECT pg_temp.header(980000006), pg_temp.entry(980000006, 1, 2, 7);
SAVEPOINT s;
SELECT pg_temp.entry(980000006, 2, 2, -7);
ROLLBACK TO s;
COMMIT; -- fails
-- not even if it had passed before.
BEGIN;
SELECT pg_temp.header(980000006), pg_temp.entry(980000006, 1, 2, 7);
SAVEPOINT s;
SELECT pg_temp.entry(980000006, 2, 2, -7);
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO s;
COMMIT; -- fails
-- Released, then rolled back with the outer one; entries before both stay.
BEGIN;
SELECT pg_temp.header(980000007), pg_temp.entry(980000007, 1, 3, 1);
SAVEPOINT outer_one;
SELECT pg_temp.entry(980000007, 2, 3, 100);
SAVEPOINT inner_one;
SELECT pg_temp.header(980000008), pg_temp.entry(980000008, 1, 2, 100), pg_temp.entry(980000008, 2, 2, -1);
RELEASE inner_one;
ROLLBACK TO outer_one;
SELECT pg_temp.entry(980000007, 2, 3, 2);
SAVEPOINT another;
SELECT pg_temp.entry(980000007, 3, 3, -3);
RELEASE another;
COMMIT;
-- A transaction that is gone altogether leaves nothing to be checked, and can
-- be written anew.
BEGIN;
SAVEPOINT s;
SELECT pg_temp.header(980000009), pg_temp.entry(980000009, 1, 2, 7);
ROLLBACK TO s;
SELECT pg_temp.header(980000009), pg_temp.entry(980000009, 1, 2, 4), pg_temp.entry(980000009, 2, 2, -4);
COMMIT;
BEGIN;
SAVEPOINT s;
SELECT pg_temp.header(980000010), pg_temp.entry(980000010, 1, 2, 7);
ROLLBACK TO s;
COMMIT;
-- Exception blocks are savepoints. Many of them, rolled back and not, nested.
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		PERFORM pg_temp.header(980001000 + i), pg_temp.entry(980001000 + i, 1, 2, i);
		BEGIN
			PERFORM pg_temp.entry(980001000 + i, 2, 2, -i);
			BEGIN
				PERFORM pg_temp.header(980002000 + i), pg_temp.entry(980002000 + i, 1, 2, i);
				IF i % 2 = 0 THEN
					RAISE EXCEPTION 'inner';
				END IF;
				PERFORM pg_temp.entry(980002000 + i, 2, 2, -i);
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
			IF i % 3 = 0 THEN
				RAISE EXCEPTION 'outer';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			PERFORM pg_temp.entry(980001000 + i, 2, 2, -i);
		END;
	END LOOP;
END $$;
SELECT transaction_id / 1000 AS thousand, count(*), sum(amount) FROM payments.ledger_entry
WHERE transaction_id BETWEEN 980001000 AND 980002999 GROUP BY 1 ORDER BY 1;
-- One block whose end is missing
DO $$
BEGIN
	PERFORM pg_temp.header(980000011), pg_temp.entry(980000011, 1, 2, 1);
	BEGIN
		PERFORM pg_temp.entry(980000011, 2, 2, -1);
		RAISE EXCEPTION 'rolled back';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
END $$; -- fails

--
-- Replica mode: ordinary triggers sleep, these do not.
--
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT pg_temp.header(980000012), pg_temp.entry(980000012, 1, 2, 1), pg_temp.entry(980000012, 2, 2, 1);
COMMIT; -- fails

--
-- A copy of the table cannot make up for what is missing in the ledger.
--
CREATE TABLE public.ledger_entry (LIKE payments.ledger_entry INCLUDING ALL);
CREATE TRIGGER copy AFTER INSERT ON public.ledger_entry
	FOR EACH ROW EXECUTE FUNCTION payments.ledger_entry_remember();
BEGIN;
SELECT pg_temp.header(980000013), pg_temp.entry(980000013, 1, 2, 1);
INSERT INTO public.ledger_entry VALUES (980000013, 980000001, 2, 2, 'KRW', -1); -- fails
ROLLBACK;
DROP TRIGGER copy ON public.ledger_entry;
BEGIN;
CREATE TABLE payments.zw_copy (LIKE payments.ledger_entry INCLUDING ALL);
CREATE TRIGGER copy AFTER INSERT ON payments.zw_copy
	FOR EACH ROW EXECUTE FUNCTION payments.ledger_entry_remember();
SELECT pg_temp.header(980000013), pg_temp.entry(980000013, 1, 2, 1);
INSERT INTO payments.zw_copy VALUES (980000013, 980000001, 2, 2, 'KRW', -1); -- fails
ROLLBACK;
-- Nor do the functions work as any other kind of trigger.
CREATE TRIGGER copy BEFORE INSERT ON public.ledger_entry
	FOR EACH ROW EXECUTE FUNCTION payments.ledger_entry_remember();
INSERT INTO public.ledger_entry VALUES (980000013, 980000001, 2, 2, 'KRW', -1); -- fails
DROP TABLE public.ledger_entry;

--
-- Cursors and procedures that commit
--
BEGIN;
SELECT pg_temp.header(980000015), pg_temp.entry(980000015, 1, 2, 1);
-- Runs at commit, when the cursor is made to outlive the transaction
CREATE FUNCTION pg_temp.late_entry(no int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.entry(980000015, no, 2, -2);
	RETURN no;
END $$;
DECLARE held CURSOR WITH HOLD FOR SELECT pg_temp.late_entry(2);
COMMIT; -- fails

CREATE PROCEDURE pg_temp.in_turns() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.header(980000016), pg_temp.entry(980000016, 1, 2, 1), pg_temp.entry(980000016, 2, 2, -1);
	COMMIT;
	PERFORM pg_temp.header(980000017), pg_temp.entry(980000017, 1, 2, 1);
	COMMIT;
END $$;
CALL pg_temp.in_turns(); -- fails

SELECT * FROM pg_temp.stored WHERE id < 1000;

-- Balances are a cache: bring it up to what was written past it.
INSERT INTO payments.ledger_balance AS b (account_id, stripe, stripes, state, held, balance)
SELECT a.id, 0, 1, 'o', 0, sum(e.amount) FROM payments.ledger_account a JOIN payments.ledger_entry e ON e.account_id = a.id
WHERE a.code LIKE 'asset:zw\_%' GROUP BY a.id
ON CONFLICT (account_id, stripe) DO UPDATE SET balance = EXCLUDED.balance;
