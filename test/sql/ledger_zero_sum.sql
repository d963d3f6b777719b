-- Promise: a ledger transaction commits whole and balanced, or not at all,
-- whoever writes it and however.  All of it is written here without the
-- posting function, by a superuser.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- Two accounts in won and two in dollars, and short ways to write rows.
INSERT INTO payments.ledger_account (id, code, kind, currency, created_at) VALUES
	(990000001, 'asset:zs_a', 'asset', 'KRW', now()), (990000002, 'asset:zs_b', 'asset', 'KRW', now()),
	(990000003, 'asset:zs_a:USD', 'asset', 'USD', now()), (990000004, 'asset:zs_b:USD', 'asset', 'USD', now());

CREATE FUNCTION pg_temp.header(id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
	VALUES (id, 'zs:' || id, 'test', now(), now())
$$;
CREATE FUNCTION pg_temp.entry(id bigint, no int, count int, account text, amount numeric)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
	SELECT entry.id, a.id, no, count, a.currency, entry.amount
	FROM payments.ledger_account a WHERE a.code = entry.account
$$;
-- What became of a transaction
CREATE VIEW pg_temp.stored AS
	SELECT h.id, count(e.*) AS entries, sum(e.amount) AS sum
	FROM payments.ledger_transaction h LEFT JOIN payments.ledger_entry e ON e.transaction_id = h.id
	WHERE h.id > 990000000 GROUP BY h.id ORDER BY h.id;

-- Balanced
BEGIN;
SELECT pg_temp.header(990000001), pg_temp.entry(990000001, 1, 2, 'asset:zs_a', 700),
	pg_temp.entry(990000001, 2, 2, 'asset:zs_b', -700);
COMMIT;

-- Not balanced: fails at commit
BEGIN;
SELECT pg_temp.header(990000002), pg_temp.entry(990000002, 1, 2, 'asset:zs_a', 700),
	pg_temp.entry(990000002, 2, 2, 'asset:zs_b', -699.5);
COMMIT; -- fails
\echo :SQLSTATE

-- The error carries the constraint's name, as any violation of one does.
DO $$
DECLARE
	constraint_name text;
	table_name text;
	schema_name text;
BEGIN
	PERFORM pg_temp.header(990000003), pg_temp.entry(990000003, 1, 2, 'asset:zs_a', 5),
		pg_temp.entry(990000003, 2, 2, 'asset:zs_b', 5);
	SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME,
		table_name = TABLE_NAME, schema_name = SCHEMA_NAME;
	RAISE NOTICE '% on %.%', constraint_name, schema_name, table_name;
END $$;

-- Each currency for itself: 5 won do not make up for 5 dollars.
BEGIN;
SELECT pg_temp.header(990000004), pg_temp.entry(990000004, 1, 2, 'asset:zs_a', 5),
	pg_temp.entry(990000004, 2, 2, 'asset:zs_a:USD', -5);
COMMIT; -- fails
BEGIN;
SELECT pg_temp.header(990000004),
	pg_temp.entry(990000004, 1, 4, 'asset:zs_a', 5),
	pg_temp.entry(990000004, 2, 4, 'asset:zs_a:USD', -5),
	pg_temp.entry(990000004, 3, 4, 'asset:zs_b:USD', 5),
	pg_temp.entry(990000004, 4, 4, 'asset:zs_b', -5);
COMMIT;

-- Whole: the last entry is missing (its trigger never fires), or the first
BEGIN;
SELECT pg_temp.header(990000005), pg_temp.entry(990000005, 1, 3, 'asset:zs_a', 5),
	pg_temp.entry(990000005, 2, 3, 'asset:zs_b', -5);
COMMIT; -- fails
BEGIN;
SELECT pg_temp.header(990000005), pg_temp.entry(990000005, 2, 3, 'asset:zs_a', 5),
	pg_temp.entry(990000005, 3, 3, 'asset:zs_b', -5);
COMMIT; -- fails

-- Entries that disagree on how many they are
BEGIN;
SELECT pg_temp.header(990000005), pg_temp.entry(990000005, 1, 2, 'asset:zs_a', 5),
	pg_temp.entry(990000005, 2, 3, 'asset:zs_b', -5);
COMMIT; -- fails

-- One alone, and numbers out of range: refused by the table itself
SELECT pg_temp.entry(990000001, 1, 1, 'asset:zs_a', 5); -- fails
SELECT pg_temp.entry(990000001, 3, 2, 'asset:zs_a', 5); -- fails
SELECT pg_temp.entry(990000001, 0, 2, 'asset:zs_a', 5); -- fails

-- Late: the transaction was committed, nothing can be added, balanced or not.
SELECT pg_temp.entry(990000001, 2, 2, 'asset:zs_a', 5); -- fails
SELECT pg_temp.entry(990000001, 3, 3, 'asset:zs_a', 5); -- fails
BEGIN;
SELECT pg_temp.entry(990000001, 3, 4, 'asset:zs_a', 5), pg_temp.entry(990000001, 4, 4, 'asset:zs_b', -5);
COMMIT; -- fails

-- In whatever order and by however many statements, among others
BEGIN;
SELECT pg_temp.header(990000006), pg_temp.header(990000007);
SELECT pg_temp.entry(990000006, 3, 3, 'asset:zs_a', 5), pg_temp.entry(990000007, 2, 2, 'asset:zs_a', 1);
SELECT pg_temp.entry(990000006, 1, 3, 'asset:zs_b', -4);
SELECT pg_temp.entry(990000007, 1, 2, 'asset:zs_b', -1), pg_temp.entry(990000006, 2, 3, 'asset:zs_b', -1);
COMMIT;

-- One of many is wrong: none is stored.
BEGIN;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
SELECT 991000000 + i, 'zs:many:' || i, 'test', now(), now() FROM generate_series(1, 1000) i;
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 991000000 + i, a.id, n, 2, a.currency, CASE WHEN n = 1 THEN i WHEN i = 777 THEN -7 ELSE -i END
FROM generate_series(1, 1000) i, generate_series(1, 2) n, payments.ledger_account a
WHERE a.code = 'asset:zs_a' ORDER BY i, n;
COMMIT; -- fails
SELECT count(*) FROM payments.ledger_transaction WHERE id > 991000000;

-- Amounts: the table takes neither zero nor NaN nor what is too large or fine.
SELECT pg_temp.entry(990000001, 1, 2, 'asset:zs_a', 0); -- fails
SELECT pg_temp.entry(990000001, 1, 2, 'asset:zs_a', 'NaN'); -- fails
SELECT pg_temp.entry(990000001, 1, 2, 'asset:zs_a', 'Infinity'); -- fails
SELECT pg_temp.entry(990000001, 1, 2, 'asset:zs_a', 1e15); -- fails
SELECT pg_temp.entry(990000001, 1, 2, 'asset:zs_a', 0.0001); -- fails

-- Sums beyond 64 bits are exact: 20 of the largest amounts, and their last
-- thousandth is missing.
BEGIN;
SELECT pg_temp.header(990000008);
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 990000008, a.id, n, 40, a.currency, CASE WHEN n <= 20 THEN 999999999999999.999 ELSE -999999999999999.999 END
FROM generate_series(1, 40) n, payments.ledger_account a WHERE a.code = 'asset:zs_a' ORDER BY n;
COMMIT;
BEGIN;
SELECT pg_temp.header(990000009);
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 990000009, a.id, n, 40, a.currency, CASE WHEN n <= 20 THEN 999999999999999.999 WHEN n < 40 THEN -999999999999999.999 ELSE -999999999999999.998 END
FROM generate_series(1, 40) n, payments.ledger_account a WHERE a.code = 'asset:zs_a' ORDER BY n;
COMMIT; -- fails
BEGIN;
SELECT pg_temp.header(990000009);
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 990000009, a.id, n, 40, a.currency, 999999999999999.999
FROM generate_series(1, 40) n, payments.ledger_account a WHERE a.code = 'asset:zs_a' ORDER BY n;
COMMIT; -- fails

-- As many entries as can be numbered
BEGIN;
SELECT pg_temp.header(990000010);
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT 990000010, a.id, n, 32767, a.currency, CASE WHEN n % 2 = 0 THEN 1 WHEN n < 32767 THEN -1 ELSE 0.5 END
FROM generate_series(1, 32767) n, payments.ledger_account a WHERE a.code = 'asset:zs_a' ORDER BY n;
COMMIT; -- fails

SELECT * FROM pg_temp.stored;

-- Balances are a cache: bring it up to what was written past it.
INSERT INTO payments.ledger_balance AS b (account_id, stripe, stripes, state, held, balance)
SELECT a.id, 0, 1, 'o', 0, sum(e.amount) FROM payments.ledger_account a JOIN payments.ledger_entry e ON e.account_id = a.id
WHERE a.code LIKE 'asset:zs\_%' GROUP BY a.id
ON CONFLICT (account_id, stripe) DO UPDATE SET balance = EXCLUDED.balance;
