-- Promise: payments.reverse posts the mirror image of a ledger transaction,
-- once.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_ledger_operator;
SELECT payments.grant_to('regress_ledger_operator', 'operator');
SET ROLE regress_ledger_operator;

SELECT payments.post('re:1', 'test', '[
	{"account": "psp:re_toss", "amount": 300}, {"account": "buyer:940001", "amount": -300},
	{"account": "psp:re_toss:USD", "amount": 1.25, "currency": "USD"},
	{"account": "buyer:940001:USD", "amount": -1.25, "currency": "USD"}]',
	order_id => 're-order-1') AS id \gset
SELECT payments.reverse(:id, 'wrong buyer') AS reversal \gset
SELECT payments.balance('psp:re_toss'), payments.balance('buyer:940001'),
	payments.balance('psp:re_toss:USD'), payments.balance('buyer:940001:USD');
RESET ROLE;
SELECT transaction_id = :id AS original, entry_no, transaction_key = 'reversal:' || :id AS key,
	kind, order_id, account, debit, credit, description
FROM payments.ledger WHERE transaction_id IN (:id, :reversal) ORDER BY transaction_id, entry_no;
SELECT reverses_id = :id AS linked FROM payments.ledger_transaction WHERE id = :reversal;

-- Once: repeated it is the one that is there, whatever has become of it
SET ROLE regress_ledger_operator;
CREATE FUNCTION pg_temp.try(statement text, id bigint, reversal bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN replace(replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint),
		'transaction ' || reversal || ' ', 'transaction REVERSAL '), 'transaction ' || id || ' ', 'transaction ID ');
END $$;
SELECT payments.reverse(:id, 'wrong buyer') = :reversal AS the_same;
SELECT payments.reverse(:id, 'wrong buyer', '[
	{"account": "buyer:940001", "amount": 300.0}, {"account": "psp:re_toss", "amount": -300},
	{"account": "buyer:940001:USD", "amount": 1.25, "currency": "USD"},
	{"account": "psp:re_toss:USD", "amount": -1.25, "currency": "USD"}]') = :reversal AS in_other_words;
\pset format unaligned
SELECT pg_temp.try(format('SELECT payments.reverse(%s, ''another reason'')', :id), :id, :reversal);
SELECT pg_temp.try(format('SELECT payments.reverse(%s, ''wrong buyer'', %L)', :id,
	'[{"account": "buyer:940001", "amount": 300}, {"account": "psp:re_toss", "amount": -300}]'), :id, :reversal);
SELECT pg_temp.try(format('SELECT payments.reverse(%s, ''another reason'', %L)', :id,
	'[{"account": "buyer:940001", "amount": 301}, {"account": "psp:re_toss", "amount": -301}]'), :id, :reversal);
\pset format aligned
SELECT payments.balance('psp:re_toss');

-- A reversal is a transaction like any other.
SELECT payments.reverse(:reversal, 'it was the right buyer') AS again \gset
SELECT payments.balance('psp:re_toss'), payments.balance('buyer:940001:USD');
SELECT pg_temp.try(format('SELECT payments.reverse(%s, ''why'')', :id), :id, :reversal) LIKE 'PY015%' AS still_once,
	payments.reverse(:id, 'wrong buyer') = :reversal AS the_same;
SELECT payments.reverse(:again, 'no, wrong') > 0 AS reversed;
SELECT payments.balance('psp:re_toss'), payments.balance('buyer:940001:USD');

-- The raw rows obey too: two reversals of one are refused by the table.
RESET ROLE;
\set VERBOSITY sqlstate
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, reverses_id, effective_at, recorded_at)
SELECT 970000001, 're:raw', 'reversal', id, now(), now()
FROM payments.ledger_transaction WHERE transaction_key = 're:1'; -- fails
\set VERBOSITY default

DROP OWNED BY regress_ledger_operator;
DROP ROLE regress_ledger_operator;
