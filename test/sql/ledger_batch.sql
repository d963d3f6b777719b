-- Promise: payments.post_batch posts many ledger transactions at once, all or
-- none, and tells of each whether it was there; errors name the transaction
-- and the entry.  Run as an operator who has no right on any table.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, NULLIF(detail, ''), NULLIF(hint, ''), '');
END $$;
SELECT count(*) AS before FROM payments.ledger_transaction \gset

CREATE ROLE regress_ledger_operator;
SELECT payments.grant_to('regress_ledger_operator', 'operator');
SET ROLE regress_ledger_operator;

-- Keys in no order, entries of 2 and 3, two currencies, everything optional
CREATE TEMP TABLE first AS SELECT * FROM payments.post_batch(
	'{bt:3,bt:1,bt:2}', '{test,fee.monthly,test}', '{2,3,2}',
	'{asset:bt,liability:bt,  asset:bt,liability:bt,revenue:bt,  asset:bt:USD,liability:bt:USD}',
	'{100,-100,  1000,-900,-100,  0.05,-0.05}', '{KRW,KRW,KRW,KRW,KRW,USD,USD}',
	order_ids => '{NULL,bt-order,NULL}', effective_ats => '{NULL,2026-03-01 12:00+09,NULL}',
	descriptions => '{NULL,NULL,the third}', metadatas => '{NULL,"{\"a\": 1}",NULL}');
RESET ROLE;
SELECT f.n, f.transaction_key, t.id IS NOT NULL AS id, f.was_there FROM first f LEFT JOIN payments.ledger_transaction t USING (id, transaction_key) ORDER BY n;
SELECT transaction_key, entry_no, kind, order_id, account, currency, debit, credit, description,
	CASE WHEN effective_at < recorded_at THEN effective_at AT TIME ZONE 'UTC' END AS effective_at
FROM payments.ledger WHERE transaction_key ~ '^bt:' ORDER BY transaction_key, entry_no;
SELECT transaction_key, metadata FROM payments.ledger_transaction WHERE metadata IS NOT NULL AND transaction_key ~ '^bt:';
-- One moment for all
SELECT count(DISTINCT recorded_at) FROM payments.ledger_transaction WHERE transaction_key ~ '^bt:';
SET ROLE regress_ledger_operator;
SELECT payments.balance('asset:bt'), payments.balance('liability:bt'), payments.balance('revenue:bt'), payments.balance('asset:bt:USD');

-- Some were there, some are new, some occur twice; each is moved once.
SELECT n, transaction_key, was_there FROM payments.post_batch('{bt:4,bt:3,bt:4,bt:5}', '{test,test,test,test}', '{2,2,2,2}',
	'{asset:bt,liability:bt,asset:bt,liability:bt,liability:bt,asset:bt,liability:bt,asset:bt}', '{7,-7,100,-100,-7,7,50,-50}');
SELECT count(DISTINCT id) = 1 AS one FROM payments.post_batch('{bt:4,bt:4}', '{test,test}', '{2,2}', '{asset:bt,liability:bt,asset:bt,liability:bt}', '{7,-7,7,-7}');
SELECT payments.balance('asset:bt'), payments.balance('liability:bt');
-- All there: nothing is posted, and each has its id.
SELECT b.n, b.was_there, b.id = f.id AS same FROM payments.post_batch('{bt:2,bt:3}', '{test,test}', '{2,2}', '{asset:bt:USD,liability:bt:USD,asset:bt,liability:bt}',
	'{0.05,-0.05,100,-100}', '{USD,USD,KRW,KRW}', descriptions => '{the third,NULL}') b JOIN first f USING (transaction_key) ORDER BY b.n;
SELECT n, was_there FROM payments.post_batch('{bt:5,bt:4}', '{test,test}', '{2,2}', '{asset:bt,liability:bt,asset:bt,liability:bt}', '{-50,50,7,-7}');
SELECT payments.balance('asset:bt');

\pset tuples_only on
\pset format unaligned
-- All or none: the last one is wrong, and the others are not posted.
SELECT pg_temp.try(format('SELECT * FROM payments.post_batch(''{bt:6,bt:7}'', ''{test,test}'', ''{2,2}'', %L, %L)', accounts, amounts))
FROM (VALUES ('{asset:bt,liability:bt,asset:bt,liability:bt}', '{1,-1,1,-2}'), ('{asset:bt,liability:bt,asset:bt,liability:bt}', '{1,-2,1,-1}'),
	('{asset:bt,liability:bt,asset:bt,bank:bt}', '{1,-1,1,-1}'), ('{asset:bt,liability:bt,asset:bt,liability:bt:USD}', '{1,-1,1,-1}')) AS v (accounts, amounts);
-- A key with other content: as it was posted, or as it stands in the batch
SELECT pg_temp.try($$SELECT * FROM payments.post_batch('{bt:6,bt:5}', '{test,test}', '{2,2}', '{asset:bt,liability:bt,asset:bt,liability:bt}', '{1,-1,1,-1}')$$);
SELECT pg_temp.try($$SELECT * FROM payments.post_batch('{bt:6,bt:6}', '{test,other}', '{2,2}', '{asset:bt,liability:bt,asset:bt,liability:bt}', '{1,-1,2,-2}')$$);
SELECT payments.balance('asset:bt');

-- What must be there
SELECT pg_temp.try(format('SELECT * FROM payments.post_batch(%L, %L, %L, %L, %L)', keys, kinds, counts, accounts, amounts))
FROM (VALUES (NULL, '{test}', '{2}', '{asset:bt,asset:bt_b}', '{1,-1}'), ('{bt:x}', NULL, '{2}', '{asset:bt,asset:bt_b}', '{1,-1}'),
	('{bt:x}', '{test}', NULL, '{asset:bt,asset:bt_b}', '{1,-1}'), ('{bt:x}', '{test}', '{2}', NULL, '{1,-1}'), ('{bt:x}', '{test}', '{2}', '{asset:bt,asset:bt_b}', NULL),
	('{}', '{}', '{}', '{}', '{}'),
	('{{bt:x}}', '{test}', '{2}', '{asset:bt,asset:bt_b}', '{1,-1}'), ('{bt:x}', '{test}', '{{2}}', '{asset:bt,asset:bt_b}', '{1,-1}'),
	('{bt:x,NULL}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,NULL}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{2,NULL}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,NULL}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,NULL,-1}'),
	-- lengths
	('{bt:x,bt:y}', '{test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{4}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1}'),
	-- counts
	('{bt:x,bt:y}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b}', '{1,-1}'), ('{bt:x,bt:y}', '{test,test}', '{2,3}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b,asset:bt}', '{1,-1,1,-1,0}'),
	('{bt:x,bt:y}', '{test,test}', '{2,2147483647}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{4,0}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{5,-1}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{3,1}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	-- transactions and entries by their numbers
	('{bt:x,bt:y}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,0}'),
	('{bt:x,bt:y}', '{test,test}', '{3,2}', '{asset:bt,asset:bt_b,asset:bt_b,asset:bt,asset:bt_b}', '{1.5,-1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,test}', '{3,2}', '{asset:bt,asset:bt_b,asset:bt_b,seller:1,asset:bt_b}', '{2,-1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,Test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,bt:y}', '{test,payment.captured}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,""}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}'),
	('{bt:x,hold:7}', '{test,test}', '{2,2}', '{asset:bt,asset:bt_b,asset:bt,asset:bt_b}', '{1,-1,1,-1}')) AS v (keys, kinds, counts, accounts, amounts);
SELECT pg_temp.try(format('SELECT * FROM payments.post_batch(''{bt:x}'', ''{test}'', ''{2}'', ''{asset:bt,asset:bt_b}'', ''{1,-1}'', %s)', more))
FROM (VALUES ('''{KRW}'''), ('''{KRW,NULL}'''), ('''{KRW,EUR}'''), ('order_ids => ''{a,b}'''), ('order_ids => ''{""}'''), ('order_ids => E''{"o\n"}'''),
	('effective_ats => ''{}'''), ('effective_ats => ''{infinity}'''), ('effective_ats => ''{-infinity}'''),
	('descriptions => ''{{a}}'''), ('metadatas => ''{NULL,NULL}''')) AS v (more);

-- The most that is taken at once, and one more
SELECT pg_temp.try($$SELECT * FROM payments.post_batch((SELECT array_agg('bt:m' || i) FROM generate_series(1, 10001) i), array_fill('test'::text, '{10001}'),
	array_fill(2, '{10001}'), '{}', '{}')$$);
SELECT pg_temp.try($$SELECT * FROM payments.post_batch((SELECT array_agg('bt:m' || i) FROM generate_series(1, 11) i), array_fill('test'::text, '{11}'),
	array_fill(9092, '{11}'), array_fill('asset:bt'::text, '{100012}'), array_fill(1::numeric, '{100012}'))$$);
SELECT count(*), count(*) FILTER (WHERE was_there), bool_and(transaction_key = 'bt:m' || n) FROM payments.post_batch(
	(SELECT array_agg('bt:m' || i ORDER BY i) FROM generate_series(1, 5000) i), array_fill('test'::text, '{5000}'), array_fill(2, '{5000}'),
	(SELECT array_agg(CASE i % 2 WHEN 0 THEN 'asset:bt_many' ELSE 'liability:bt_' || i % 7 END ORDER BY i) FROM generate_series(1, 10000) i),
	(SELECT array_agg((i % 2) * 2 - 1 ORDER BY i) FROM generate_series(1, 10000) i)::numeric[]);
SELECT payments.balance('asset:bt_many');

-- Nothing came of the others: 5 and 5,000 were posted.
RESET ROLE;
SELECT count(*) - :before FROM payments.ledger_transaction;

-- In a transaction of the caller's, and rolled back with it
SET ROLE regress_ledger_operator;
BEGIN;
SELECT was_there FROM payments.post_batch('{bt:8}', '{test}', '{2}', '{asset:bt,liability:bt}', '{1,-1}');
SAVEPOINT s;
SELECT was_there FROM payments.post_batch('{bt:8,bt:9}', '{test,test}', '{2,2}', '{asset:bt,liability:bt,asset:bt,liability:bt}', '{1,-1,2,-2}');
ROLLBACK TO s;
SELECT payments.balance('asset:bt');
COMMIT;
SELECT was_there FROM payments.post_batch('{bt:8,bt:9}', '{test,test}', '{2,2}', '{asset:bt,liability:bt,asset:bt,liability:bt}', '{1,-1,2,-2}') ORDER BY n;
SELECT payments.balance('asset:bt');

RESET ROLE;
DROP OWNED BY regress_ledger_operator;
DROP ROLE regress_ledger_operator;
