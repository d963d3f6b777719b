-- Promise: payments.post writes what it is given, once per key; the same key
-- with other content is an error that says what differs; bad input changes
-- nothing.  Run as an operator who has no right on any table.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_ledger_operator;
SELECT payments.grant_to('regress_ledger_operator', 'operator');
SET ROLE regress_ledger_operator;

-- What is written; amounts as they were given
SELECT payments.post('po:1', 'fee.monthly', '[
	{"account": "psp:po_toss", "amount": 15000},
	{"account": "buyer:900001", "amount": -14000},
	{"account": "platform:po_fee", "amount": -1000}]',
	order_id => 'po-order-1', effective_at => '2026-03-01 12:00+09',
	description => 'the first one', metadata => '{"b": 1.0, "a": [true]}') AS id \gset
RESET ROLE;
SELECT entry_no, transaction_key, kind, order_id, account, currency, debit, credit, description,
	effective_at = '2026-03-01 03:00+00' AS effective, recorded_at > effective_at AS recorded
FROM payments.ledger WHERE transaction_id = :id ORDER BY entry_no;
SELECT metadata FROM payments.ledger_transaction WHERE id = :id;
SELECT a.code, a.kind, a.currency, b.stripes FROM payments.ledger_account a JOIN payments.ledger_balance b ON b.account_id = a.id AND b.stripe = 0
	WHERE a.code LIKE '%:po\_%' OR a.code LIKE 'buyer:900001' ORDER BY a.code;
SET ROLE regress_ledger_operator;

-- Again: the same id.  Order of entries, spelling of numbers and of metadata,
-- and the time zone do not matter, and who does not say when means no time.
SELECT payments.post('po:1', 'fee.monthly', '[
	{"amount": -1000.00, "account": "platform:po_fee", "currency": "KRW"},
	{"account": "buyer:900001", "amount": -1.4e4},
	{"account": "psp:po_toss", "amount": 15000}]',
	order_id => 'po-order-1', description => 'the first one',
	metadata => '{"a": [true], "b": 1}') = :id AS same;
SELECT payments.post('po:1', 'fee.monthly', '[
	{"account": "psp:po_toss", "amount": 15000},
	{"account": "buyer:900001", "amount": -14000},
	{"account": "platform:po_fee", "amount": -1000}]',
	'po-order-1', '2026-03-01 03:00+00', 'the first one', '{"b": 1.0, "a": [true]}') = :id AS same;

-- Other content: each field by itself, then all of them
CREATE FUNCTION pg_temp.again(kind text DEFAULT 'fee.monthly',
	entries jsonb DEFAULT '[{"account": "psp:po_toss", "amount": 15000}, {"account": "buyer:900001", "amount": -14000}, {"account": "platform:po_fee", "amount": -1000}]',
	order_id text DEFAULT 'po-order-1', effective_at timestamptz DEFAULT NULL,
	description text DEFAULT 'the first one', metadata jsonb DEFAULT '{"b": 1.0, "a": [true]}')
RETURNS bigint LANGUAGE sql AS $$
	SELECT payments.post('po:1', kind, entries, order_id, effective_at, description, metadata)
$$;
SELECT pg_temp.again() = :id AS same;
SELECT pg_temp.again(kind => 'fee'); -- fails
\echo :SQLSTATE
\set VERBOSITY terse
CREATE FUNCTION pg_temp.differs(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN SQLSTATE 'PY011' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT left(change, 40), pg_temp.differs(format('SELECT pg_temp.again(%s)', change)) FROM (VALUES
	('order_id => ''po-order-2'''), ('order_id => NULL'), ('effective_at => ''2026-03-01 12:00+08'''),
	('description => NULL'), ('description => ''the second one'''),
	('metadata => NULL'), ('metadata => ''{"b": 1.0}'''),
	-- an amount, an account, a currency, one more pair, the same at the end, one entry split
	('entries => ''[{"account": "psp:po_toss", "amount": 15001}, {"account": "buyer:900001", "amount": -14001}, {"account": "platform:po_fee", "amount": -1000}]'''),
	('entries => ''[{"account": "psp:po_toss", "amount": 15000}, {"account": "buyer:900002", "amount": -14000}, {"account": "platform:po_fee", "amount": -1000}]'''),
	('entries => ''[{"account": "psp:po_toss:USD", "currency": "USD", "amount": 15000}, {"account": "buyer:900001:USD", "currency": "USD", "amount": -15000}]'''),
	('entries => ''[{"account": "psp:po_toss", "amount": 15000}, {"account": "buyer:900001", "amount": -14000}, {"account": "platform:po_fee", "amount": -1000}, {"account": "buyer:900001", "amount": 1}, {"account": "buyer:900001", "amount": -1}]'''),
	('entries => ''[{"account": "psp:po_toss", "amount": 15000}, {"account": "buyer:900001", "amount": -14000}, {"account": "platform:po_fee", "amount": -1000}, {"account": "liability:900001", "amount": 1}, {"account": "liability:900001", "amount": -1}]'''),
	('entries => ''[{"account": "psp:po_toss", "amount": 15000}, {"account": "buyer:900001", "amount": -14000}, {"account": "platform:po_fee", "amount": -500}, {"account": "platform:po_fee", "amount": -500}]'''),
	('entries => ''[{"account": "psp:po_toss", "amount": -15000}, {"account": "buyer:900001", "amount": 14000}, {"account": "platform:po_fee", "amount": 1000}]'''),
	('''other'', ''[{"account": "psp:po_toss", "amount": 1}, {"account": "buyer:900001", "amount": -1}]'', ''other'', now(), ''other'', ''1''')
	) AS v (change);
\pset tuples_only off
\pset format aligned
-- None of this opened an account or moved a balance.
SELECT payments.balance('psp:po_toss'), payments.balance('buyer:900001'), payments.balance('platform:po_fee');
SELECT payments.balance('buyer:900002'); -- fails

-- Within one transaction of the caller's, and rolled back with it
BEGIN;
SELECT payments.post('po:2', 'test', '[{"account": "psp:po_toss", "amount": 1}, {"account": "buyer:900001", "amount": -1}]') AS id2 \gset
SELECT payments.post('po:2', 'test', '[{"account": "psp:po_toss", "amount": 1}, {"account": "buyer:900001", "amount": -1}]') = :id2 AS same;
SELECT payments.balance('psp:po_toss');
ROLLBACK;
SELECT payments.balance('psp:po_toss');
SELECT payments.post('po:2', 'test', '[{"account": "psp:po_toss", "amount": 2}, {"account": "buyer:900001", "amount": -2}]') > 0 AS posted;
SELECT payments.balance('psp:po_toss');

-- One account may occur many times, and may come out even.
SELECT payments.post('po:3', 'test', '[{"account": "psp:po_toss", "amount": 5}, {"account": "psp:po_toss", "amount": -5},
	{"account": "buyer:900003", "amount": 7}, {"account": "buyer:900003", "amount": -7}]') > 0 AS posted;
SELECT payments.balance('psp:po_toss'), payments.balance('buyer:900003');

-- The most entries that are taken, and more
BEGIN;
SELECT payments.post('po:4', 'test', jsonb_agg(jsonb_build_object('account', 'buyer:' || 910000 + i / 2, 'amount', (i % 2) * 2 - 1))) > 0 AS posted
FROM generate_series(0, 32765) i;
ROLLBACK;
SELECT payments.post('po:5', 'test', jsonb_agg(jsonb_build_object('account', 'buyer:' || 910000 + i / 2, 'amount', (i % 2) * 2 - 1)))
FROM generate_series(0, 32767) i; -- fails

-- Any number of currencies; each adds up by itself, and a message names some.
BEGIN;
RESET ROLE;
INSERT INTO payments.currency (code, minor_units, name)
SELECT 'X' || chr(65 + i / 26) || chr(65 + i % 26), 2, 'test' FROM generate_series(0, 199) i;
SET ROLE regress_ledger_operator;
CREATE FUNCTION pg_temp.in_many(spare integer) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_agg(jsonb_build_object('account', 'asset:po_' || side || ':' || code, 'currency', code,
		'amount', CASE side WHEN 1 THEN 1.25 ELSE -1.25 - spare END) ORDER BY side, code)
	FROM (SELECT 'X' || chr(65 + i / 26) || chr(65 + i % 26) AS code FROM generate_series(0, 199) i) c, generate_series(1, 2) side $$;
SELECT payments.post('po:8', 'test', pg_temp.in_many(0)) > 0 AS posted;
SELECT payments.balance('asset:po_1:XAA'), payments.balance('asset:po_2:XHR');
\set VERBOSITY default
SELECT payments.post('po:9', 'test', pg_temp.in_many(1)); -- fails
\set VERBOSITY terse
ROLLBACK;

-- The largest and the smallest amounts; 2000-01-01 is a time like any other.
SELECT payments.post('po:6', 'test', '[{"account": "asset:po_large", "amount": 999999999999999}, {"account": "asset:po_small", "amount": -999999999999999}]') > 0 AS posted;
SELECT payments.post('po:7', 'test', '[{"account": "asset:po_large", "amount": 999999999999999}, {"account": "asset:po_small", "amount": -999999999999999}]',
	effective_at => '2000-01-01 00:00+00') > 0 AS posted;
SELECT payments.post('po:7', 'test', '[{"account": "asset:po_large", "amount": 999999999999999}, {"account": "asset:po_small", "amount": -999999999999999}]',
	effective_at => '2000-01-01 00:00+00') > 0 AS posted;
SELECT payments.balance('asset:po_large'), payments.balance('asset:po_large', '2000-01-01 00:00+00'), payments.balance('asset:po_large', '1999-12-31');
SELECT payments.post('po:8', 'test', '[{"account": "asset:po:USD", "amount": 0.01, "currency": "USD"}, {"account": "asset:po_b:USD", "amount": -0.01, "currency": "USD"}]') > 0 AS posted;
SELECT payments.balance('asset:po:USD');

RESET ROLE;
DROP OWNED BY regress_ledger_operator;
DROP ROLE regress_ledger_operator;
