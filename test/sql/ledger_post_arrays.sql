-- Promise: payments.post_entries posts arrays exactly as payments.post posts
-- JSON, and refuses what is not meant with an error that names the entry.  Run
-- as an operator who has no right on any table.
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
SELECT count(*) AS accounts_before FROM payments.ledger_account \gset

CREATE ROLE regress_ledger_operator;
SELECT payments.grant_to('regress_ledger_operator', 'operator');
SET ROLE regress_ledger_operator;

-- Three currencies in one transaction, and all that can be said about it
SELECT payments.post_entries('pa:1', 'fx', ARRAY['asset:pa', 'liability:pa', 'asset:pa:USD', 'liability:pa:USD', 'asset:pa:JPY', 'liability:pa:JPY'],
	ARRAY[1300, -1300, 1.25, -1.25, 150.00, -1.5e2], ARRAY['KRW', 'KRW', 'USD', 'USD', 'JPY', 'JPY'],
	'pa-order', '2026-03-01 12:00+09', 'in three', '{"a": 1}') AS id \gset
RESET ROLE;
SELECT entry_no, kind, order_id, account, currency, debit, credit, description, effective_at = '2026-03-01 03:00+00' AS effective
FROM payments.ledger WHERE transaction_id = :id ORDER BY entry_no;
SELECT metadata FROM payments.ledger_transaction WHERE id = :id;
SET ROLE regress_ledger_operator;
-- Again, also as JSON, is the same; other content is told by its fields.
SELECT payments.post_entries('pa:1', 'fx', ARRAY['asset:pa', 'liability:pa', 'asset:pa:USD', 'liability:pa:USD', 'asset:pa:JPY', 'liability:pa:JPY'],
	ARRAY[1300, -1300, 1.25, -1.25, 150.00, -1.5e2], ARRAY['KRW', 'KRW', 'USD', 'USD', 'JPY', 'JPY'],
	'pa-order', NULL, 'in three', '{"a": 1.0}') = :id AS same;
SELECT payments.post('pa:1', 'fx', '[{"account": "asset:pa", "amount": 1300}, {"account": "liability:pa", "amount": -1300},
	{"account": "asset:pa:USD", "amount": 1.25, "currency": "USD"}, {"account": "liability:pa:USD", "amount": -1.25, "currency": "USD"},
	{"account": "asset:pa:JPY", "amount": 150, "currency": "JPY"}, {"account": "liability:pa:JPY", "amount": -150, "currency": "JPY"}]',
	'pa-order', NULL, 'in three', '{"a": 1}') = :id AS same;
SELECT pg_temp.try($$SELECT payments.post_entries('pa:1', 'other', '{asset:pa,liability:pa}', '{1,-1}', effective_at => '2026-03-02')$$);

-- Types are found for a driver that names none, beside those of payments.post.
PREPARE untyped AS SELECT payments.post_entries($1, $2, $3, $4);
EXECUTE untyped('pa:2', 'test', '{asset:pa,liability:pa}', '{10,-10}') \g /dev/null
PREPARE json AS SELECT payments.post($1, $2, $3, $4, $5, $6, $7);
EXECUTE json('pa:3', 'test', '[{"account": "asset:pa", "amount": 5}, {"account": "liability:pa", "amount": -5}]', NULL, NULL, NULL, NULL) \g /dev/null
SELECT payments.balance('asset:pa'), payments.balance('liability:pa:USD'), payments.balance('asset:pa:JPY');

-- Bounds do not matter; 10,000 entries are taken, in the order they came.
SELECT payments.post_entries('pa:4', 'test', '[5:6]={asset:pa,liability:pa}'::text[], '[-1:0]={10,-10}'::numeric[]) > 0 AS posted;
SELECT payments.post_entries('pa:5', 'test', array_agg('buyer:' || 970000 + i / 2 ORDER BY i), array_agg((i % 2) * 2 - 1 ORDER BY i)::numeric[]) AS id5
FROM generate_series(0, 9999) i \gset
RESET ROLE;
SELECT count(*), min(account), max(account), bool_and(account = 'buyer:' || 970000 + (entry_no - 1) / 2) AS in_order
FROM payments.ledger WHERE transaction_id = :id5;
SET ROLE regress_ledger_operator;
SELECT payments.balance('buyer:974999');

\pset tuples_only on
\pset format unaligned
-- What must be there
SELECT pg_temp.try(format('SELECT payments.post_entries(%L, %L, %L, %L)', key, kind, accounts, amounts))
FROM (VALUES (NULL, 'test', '{asset:pa,asset:pb}', '{1,-1}'), ('pa:x', NULL, '{asset:pa,asset:pb}', '{1,-1}'),
	('pa:x', 'test', NULL, '{1,-1}'), ('pa:x', 'test', '{asset:pa,asset:pb}', NULL)) AS v (key, kind, accounts, amounts);
-- Shapes, lengths, nulls, numbers
SELECT pg_temp.try(format('SELECT payments.post_entries(''pa:x'', ''test'', %L, %L, %L)', accounts, amounts, currencies))
FROM (VALUES ('{}', '{}', NULL), ('{asset:pa}', '{1}', NULL), ('{asset:pa,asset:pb}', '{1}', NULL), ('{asset:pa,asset:pb}', '{1,-1,0}', NULL),
	('{asset:pa,asset:pb}', '{1,-1}', '{KRW}'), ('{asset:pa,asset:pb}', '{1,-1}', '{}'),
	('{{asset:pa,asset:pb}}', '{1,-1}', NULL), ('{asset:pa,asset:pb}', '{{1,-1}}', NULL), ('{asset:pa,asset:pb}', '{1,-1}', '{{KRW,KRW}}'),
	('{asset:pa,NULL}', '{1,-1}', NULL), ('{asset:pa,asset:pb}', '{NULL,-1}', NULL), ('{asset:pa,asset:pb}', '{1,-1}', '{KRW,NULL}'),
	('{asset:pa,asset:pb}', '{1,0}', NULL), ('{asset:pa,asset:pb}', '{1,-1.5}', NULL), ('{asset:pa,asset:pb}', '{1e15,-1}', NULL),
	('{asset:pa,asset:pb}', '{1,NaN}', NULL), ('{asset:pa,asset:pb}', '{Infinity,-Infinity}', NULL),
	('{asset:pa:USD,asset:pb:USD}', '{1.25,-1.255}', '{USD,USD}'), ('{asset:pa,asset:pb}', '{1,-2}', NULL),
	('{asset:pa,asset:pb}', '{1,-1}', '{KRW,EUR}'), ('{asset:pa,asset:pb}', '{1,-1}', '{KRW,""}'), ('{asset:pa,asset:pb:USD}', '{1,-1}', NULL),
	('{asset:pa,seller:7}', '{1,-1}', NULL), ('{asset:pa,bank:pa}', '{1,-1}', NULL), ('{asset:pa,""}', '{1,-1}', NULL)) AS v (accounts, amounts, currencies);
SELECT pg_temp.try($$SELECT payments.post_entries('pa:x', 'test', array_agg('asset:pa'::text), array_agg((i % 2) * 2 - 1)::numeric[]) FROM generate_series(1, 32768) i$$);
-- Keys, kinds, orders, times
SELECT pg_temp.try(format('SELECT payments.post_entries(%L, %L, ''{asset:pa,asset:pb}'', ''{1,-1}'', NULL, %L, %L)', key, kind, order_id, effective_at))
FROM (VALUES ('', 'test', NULL, NULL), (repeat('가', 201), 'test', NULL, NULL), ('hold:1', 'test', NULL, NULL), ('payment:1', 'test', NULL, NULL),
	('pa:x', 'payment.captured', NULL, NULL), ('pa:x', 'Test', NULL, NULL), ('pa:x', 'test', '', NULL), ('pa:x', 'test', NULL, '-infinity')) AS v (key, kind, order_id, effective_at);
-- 200 characters are enough, however many bytes they have.
SELECT payments.post_entries(repeat('가', 200), 'test', '{asset:pa,liability:pa}', '{1,-1}') > 0 AS posted;

-- Nothing came of it but the six that passed.
RESET ROLE;
SELECT count(*) - :before FROM payments.ledger_transaction;
SELECT count(*) - :accounts_before FROM payments.ledger_account WHERE code !~ '^buyer:97[0-4]';
DROP OWNED BY regress_ledger_operator;
DROP ROLE regress_ledger_operator;
