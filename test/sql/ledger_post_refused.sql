-- Promise: payments.post, reverse and balance refuse what is not meant, with
-- an error that names it, and change nothing.
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
CREATE FUNCTION pg_temp.try_entries(entries text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.try(format('SELECT payments.post(''pr:1'', ''test'', %L)', entries))
$$;
SELECT count(*) AS before FROM payments.ledger_transaction \gset
SELECT count(*) AS accounts_before FROM payments.ledger_account \gset
\pset tuples_only on
\pset format unaligned

-- Not balanced, also per currency
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": -4}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": -4},
	{"account": "asset:pr_a:USD", "amount": -1.25, "currency": "USD"}, {"account": "asset:pr_b:JPY", "amount": 1, "currency": "JPY"}]');

-- Null arguments
SELECT pg_temp.try('SELECT payments.post(NULL, ''test'', ''[]'')');
SELECT pg_temp.try('SELECT payments.post(''pr:1'', NULL, ''[]'')');
SELECT pg_temp.try('SELECT payments.post(''pr:1'', ''test'', NULL)');
SELECT pg_temp.try('SELECT payments.reverse(NULL, ''why'')');
SELECT pg_temp.try('SELECT payments.reverse(1, NULL)');
SELECT pg_temp.try('SELECT payments.balance(NULL)');

-- The shape of entries
SELECT pg_temp.try_entries('null');
SELECT pg_temp.try_entries('5');
SELECT pg_temp.try_entries('{"account": "asset:pr_a", "amount": 5}');
SELECT pg_temp.try_entries('[]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}]');
SELECT pg_temp.try_entries('[5, 6]');
SELECT pg_temp.try_entries('[[], []]');
SELECT pg_temp.try_entries('[null, null]');
SELECT pg_temp.try_entries('[{}, {}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b"}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": -5, "curency": "KRW"}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": null, "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": 7, "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": {"code": "asset:pr_b"}, "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": null}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": "-5"}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": true}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": [-5]}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5, "currency": null}, {"account": "asset:pr_b", "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5, "currency": 410}, {"account": "asset:pr_b", "amount": -5}]');

-- Amounts
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 0}, {"account": "asset:pr_b", "amount": -0}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 0.5}, {"account": "asset:pr_b", "amount": -0.5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b:USD", "amount": -0.001, "currency": "USD"}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 1e15}, {"account": "asset:pr_b", "amount": -1e15}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 1e300}, {"account": "asset:pr_b", "amount": -1e300}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 1e-300}, {"account": "asset:pr_b", "amount": -1e-300}]');

-- Currencies
SELECT pg_temp.try_entries('[{"account": "asset:pr_a:EUR", "amount": 5, "currency": "EUR"}, {"account": "asset:pr_b:EUR", "amount": -5, "currency": "EUR"}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5, "currency": "krw"}, {"account": "asset:pr_b", "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "asset:pr_a", "amount": 5, "currency": ""}, {"account": "asset:pr_b", "amount": -5}]');
-- An account has the currency that its code says, whoever opens it.
SELECT pg_temp.try_entries('[{"account": "liability:920001", "amount": 5, "currency": "USD"}, {"account": "buyer:920001:USD", "amount": -5, "currency": "USD"}]');
SELECT pg_temp.try_entries('[{"account": "liability:920001:USD", "amount": 5}, {"account": "buyer:920001", "amount": -5}]');
SELECT payments.post('pr:open', 'test', '[{"account": "liability:920001", "amount": 5}, {"account": "buyer:920001", "amount": -5}]') > 0;
SELECT pg_temp.try_entries('[{"account": "liability:920001", "amount": 5, "currency": "USD"}, {"account": "buyer:920001", "amount": -5, "currency": "USD"}]');

-- Accounts
SELECT pg_temp.try_entries('[{"account": "bank:pr", "amount": 5}, {"account": "asset:pr_b", "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "assets:pr", "amount": 5}, {"account": "asset:pr_b", "amount": -5}]');
SELECT pg_temp.try_entries('[{"account": "as:pr", "amount": 5}, {"account": "asset:pr_b", "amount": -5}]');
SELECT pg_temp.try_entries(format('[{"account": %s, "amount": 5}, {"account": "asset:pr_b", "amount": -5}]', to_json(code)))
FROM (VALUES (''), ('asset'), ('asset:'), (':pr'), ('asset::pr'), ('asset:pr:'), ('Asset:pr'), ('asset:p r'),
	('1asset:pr'), ('asset:가'), ('asset:' || repeat('x', 123)), ('asset:a''b')) AS v (code);
-- As long as it may be
SELECT payments.post('pr:long', 'test', format('[{"account": "asset:%s", "amount": 5}, {"account": "liability:920001", "amount": -5}]', repeat('x', 122))::jsonb) > 0;

-- Keys, kinds, orders, times
SELECT pg_temp.try(format('SELECT payments.post(%L, %L, ''[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": -5}]'', %L, %L)',
	key, kind, order_id, effective_at))
FROM (VALUES ('', 'test', NULL, NULL), (repeat('k', 201), 'test', NULL, NULL),
	('payment:x', 'test', NULL, NULL), ('refund:x', 'test', NULL, NULL), ('reversal:1', 'test', NULL, NULL), ('hold:1', 'test', NULL, NULL),
	('pr:1', '', NULL, NULL), ('pr:1', 'Test', NULL, NULL), ('pr:1', '9test', NULL, NULL), ('pr:1', 'te st', NULL, NULL), ('pr:1', repeat('k', 64), NULL, NULL),
	('pr:1', 'test', '', NULL), ('pr:1', 'test', repeat('o', 65), NULL),
	(E'pr\n1', 'test', NULL, NULL), (' ', 'test', NULL, NULL), ('pr:1', 'test', E'o\t1', NULL),
	('pr:1', 'test', NULL, 'infinity'), ('pr:1', 'test', NULL, '-infinity')) AS v (key, kind, order_id, effective_at);

-- Unknown ones
SELECT pg_temp.try('SELECT payments.balance(''asset:pr_a'')');
SELECT pg_temp.try('SELECT payments.balance(''asset:pr_a'', now())');
SELECT pg_temp.try('SELECT payments.reverse(-1, ''why'')');
SELECT pg_temp.try('SELECT payments.reverse(1, '''')');
SELECT pg_temp.try('SELECT payments.reverse(1, repeat(''x'', 1001))');

-- Nothing came of it but the two that passed.
SELECT count(*) - :before FROM payments.ledger_transaction;
SELECT count(*) - :accounts_before FROM payments.ledger_account;

-- A role without the right
\pset tuples_only off
\pset format aligned
CREATE ROLE regress_ledger_nobody;
SET ROLE regress_ledger_nobody;
SELECT payments.post('pr:1', 'test', '[]'); -- fails
SELECT payments.balance('psp:toss'); -- fails
RESET ROLE;
GRANT USAGE ON SCHEMA payments TO regress_ledger_nobody;
SET ROLE regress_ledger_nobody;
SELECT payments.post('pr:1', 'test', '[]'); -- fails
SELECT payments.reverse(1, 'why'); -- fails
SELECT payments.balance('psp:toss'); -- fails
SELECT count(*) FROM payments.ledger_entry; -- fails
RESET ROLE;
DROP OWNED BY regress_ledger_nobody;
DROP ROLE regress_ledger_nobody;

-- A transaction that may not write
BEGIN READ ONLY;
SELECT payments.post('pr:1', 'test', '[{"account": "asset:pr_a", "amount": 5}, {"account": "asset:pr_b", "amount": -5}]'); -- fails
ROLLBACK;
BEGIN READ ONLY;
SELECT payments.balance('liability:920001');
COMMIT;
