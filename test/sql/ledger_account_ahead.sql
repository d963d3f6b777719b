-- Promise: a session that misses many accounts reads others ahead of need, and
-- what it then knows is true: accounts that it opened itself and were rolled
-- back are opened anew, those of several balances are found, and a balance that
-- has moved since is found where it is.
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.post(run text, prefix text, n integer) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM payments.post_batch(
		(SELECT array_agg(run || i ORDER BY i) FROM generate_series(1, n) i),
		array_fill('test'::text, ARRAY[n]), array_fill(2, ARRAY[n]),
		(SELECT array_agg(a ORDER BY i, a) FROM generate_series(1, n) i, LATERAL (VALUES (prefix || i), ('asset:ahead')) v (a)),
		(SELECT array_agg(amount ORDER BY i, amount DESC) FROM generate_series(1, n) i, LATERAL (VALUES (10), (-10)) v (amount))) $$;

-- Rows in several blocks, opened by a session that knows them
SELECT pg_temp.post('ahead-1:', 'liability:ahead', 400);
SELECT payments.post_entries('ahead-hot', 'test', '{platform:ahead,asset:ahead}', '{-5,5}') IS NOT NULL AS posted;

-- Another reads them ahead, and with them those that it has just opened: these
-- go with a savepoint, and with a transaction.
\c -
CREATE FUNCTION pg_temp.post(run text, prefix text, n integer) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM payments.post_batch(
		(SELECT array_agg(run || i ORDER BY i) FROM generate_series(1, n) i),
		array_fill('test'::text, ARRAY[n]), array_fill(2, ARRAY[n]),
		(SELECT array_agg(a ORDER BY i, a) FROM generate_series(1, n) i, LATERAL (VALUES (prefix || i), ('asset:ahead')) v (a)),
		(SELECT array_agg(amount ORDER BY i, amount DESC) FROM generate_series(1, n) i, LATERAL (VALUES (10), (-10)) v (amount))) $$;
BEGIN;
SELECT pg_temp.post('ahead-2:', 'liability:gone', 3);
SAVEPOINT s;
SELECT pg_temp.post('ahead-3:', 'liability:lost', 3);
SELECT pg_temp.post('ahead-4:', 'liability:ahead', 100);
ROLLBACK TO s;
SELECT pg_temp.post('ahead-5:', 'liability:lost', 3);
SELECT pg_temp.post('ahead-6:', 'liability:ahead', 40);
ROLLBACK;
SELECT pg_temp.post('ahead-7:', 'liability:gone', 3);
SELECT pg_temp.post('ahead-8:', 'liability:lost', 3);
SELECT payments.post_entries('ahead-hot-2', 'test', '{platform:ahead,asset:ahead}', '{-5,5}') IS NOT NULL AS posted;

-- What was read ahead moves when its page is full.
SELECT count(pg_temp.post('ahead-9:' || i || ':', 'liability:ahead', 300)) FROM generate_series(1, 12) i;
\c -
SELECT payments.post_entries('ahead-10', 'test', '{liability:ahead7,platform:ahead,asset:ahead}', '{-1,-1,2}') IS NOT NULL AS posted;

SELECT account, payments.balance(account)
	FROM unnest('{liability:ahead7,liability:gone1,liability:lost3,platform:ahead}'::text[]) account;
SELECT count(*) AS opened FROM payments.ledger_account WHERE code ~ ':(ahead|gone|lost)';
SELECT invariant FROM payments.verify() WHERE holds IS NOT TRUE;
