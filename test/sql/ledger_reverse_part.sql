-- Promise: payments.reverse with entries takes a part of a ledger transaction
-- back, once, in the opposite direction, and on no account more than there
-- was; both ends of the link are shown.  Run as an operator who has no right
-- on any table.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE FUNCTION pg_temp.try(id bigint, entries text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM payments.reverse(id, 'in part', entries::jsonb);
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, NULLIF(detail, ''), NULLIF(hint, ''), ''), '(transaction |reversal:)[0-9]+', '\1N', 'g');
END $$;
CREATE ROLE regress_ledger_operator;
SELECT payments.grant_to('regress_ledger_operator', 'operator');
SELECT payments.grant_to('regress_ledger_operator', 'auditor');
SET ROLE regress_ledger_operator;

-- A sale of ten with a fee, in two currencies; the customer's account moves twice.
SELECT payments.post('rp:1', 'sale', '[
	{"account": "liability:rp_customer", "amount": 700}, {"account": "liability:rp_customer", "amount": 300},
	{"account": "revenue:rp_shop", "amount": -900}, {"account": "revenue:rp_fee", "amount": -100},
	{"account": "asset:rp_even", "amount": 5}, {"account": "asset:rp_even", "amount": -5},
	{"account": "asset:rp:USD", "amount": 1.25, "currency": "USD"}, {"account": "revenue:rp:USD", "amount": -1.25, "currency": "USD"}]',
	'rp-order', '2026-03-01 12:00+09', 'ten of them', '{"n": 10}') AS id \gset

\pset tuples_only on
\pset format unaligned
-- An account, or a currency of it, that the original does not have
SELECT pg_temp.try(:id, '[{"account": "asset:rp_other", "amount": -100}, {"account": "revenue:rp_shop", "amount": 100}]');
SELECT pg_temp.try(:id, '[{"account": "liability:rp_customer", "amount": -1, "currency": "USD"}, {"account": "revenue:rp:USD", "amount": 1, "currency": "USD"}]');
-- In the same direction, where it came out even, and nothing
SELECT pg_temp.try(:id, '[{"account": "liability:rp_customer", "amount": 100}, {"account": "revenue:rp_shop", "amount": -100}]');
SELECT pg_temp.try(:id, '[{"account": "asset:rp_even", "amount": -1}, {"account": "revenue:rp_shop", "amount": 1}]');
SELECT pg_temp.try(:id, '[{"account": "asset:rp_even", "amount": 1}, {"account": "liability:rp_customer", "amount": -1}]');
SELECT pg_temp.try(:id, '[{"account": "revenue:rp_shop", "amount": 0}, {"account": "liability:rp_customer", "amount": 0}]');
-- Too much: at once, one by one, back and forth, and in the smallest unit
SELECT pg_temp.try(:id, '[{"account": "liability:rp_customer", "amount": -901}, {"account": "revenue:rp_shop", "amount": 901}]');
SELECT pg_temp.try(:id, '[{"account": "revenue:rp_fee", "amount": 60}, {"account": "liability:rp_customer", "amount": -101}, {"account": "revenue:rp_fee", "amount": 41}]');
SELECT pg_temp.try(:id, '[{"account": "liability:rp_customer", "amount": -1000}, {"account": "liability:rp_customer", "amount": -1},
	{"account": "revenue:rp_shop", "amount": 900}, {"account": "revenue:rp_fee", "amount": 100}, {"account": "liability:rp_customer", "amount": 1}]');
SELECT pg_temp.try(:id, '[{"account": "asset:rp:USD", "amount": -1.26, "currency": "USD"}, {"account": "revenue:rp:USD", "amount": 1.26, "currency": "USD"}]');
-- Not balanced, not entries, a seller's
SELECT pg_temp.try(:id, '[{"account": "liability:rp_customer", "amount": -100}, {"account": "revenue:rp_shop", "amount": 90}]');
SELECT pg_temp.try(:id, '[]');
SELECT pg_temp.try(:id, '{}');
SELECT pg_temp.try(:id, '[{"account": "seller:7", "amount": -100}, {"account": "revenue:rp_shop", "amount": 100}]');
SELECT pg_temp.try(-1, '[{"account": "liability:rp_customer", "amount": -100}, {"account": "revenue:rp_shop", "amount": 100}]');
\pset tuples_only off
\pset format aligned
SELECT payments.balance('liability:rp_customer'), payments.balance('asset:rp:USD');

-- Up to all of it on an account, more entries than the original has there, both currencies
\set broken '[{"account": "revenue:rp_fee", "amount": 40}, {"account": "revenue:rp_fee", "amount": 60}, {"account": "revenue:rp_shop", "amount": 100}, {"account": "liability:rp_customer", "amount": -199}, {"account": "liability:rp_customer", "amount": -1}, {"account": "asset:rp:USD", "amount": -0.01, "currency": "USD"}, {"account": "revenue:rp:USD", "amount": 0.01, "currency": "USD"}]'
SELECT payments.reverse(:id, 'two were broken', :'broken') AS part \gset
SELECT payments.reverse(:id, 'two were broken', :'broken') = :part AS the_same;
SELECT payments.balance('liability:rp_customer'), payments.balance('revenue:rp_shop'), payments.balance('revenue:rp_fee'),
	payments.balance('asset:rp:USD'), payments.balance('revenue:rp:USD');
-- Once: what is left cannot be taken back any more.
\pset tuples_only on
\pset format unaligned
SELECT pg_temp.try(:id, '[{"account": "liability:rp_customer", "amount": -1}, {"account": "revenue:rp_shop", "amount": 1}]');
SELECT pg_temp.try(:id, NULL);
\pset tuples_only off
\pset format aligned

-- The reversal reversed in part, and that in full
SELECT payments.reverse(:part, 'one was not', '[{"account": "revenue:rp_shop", "amount": -100}, {"account": "liability:rp_customer", "amount": 100}]') AS again \gset
SELECT payments.reverse(:again, 'it was') AS third \gset
SELECT payments.balance('liability:rp_customer'), payments.balance('revenue:rp_shop'), payments.balance('revenue:rp_fee');

-- The links, both ways
SELECT transaction_key = ANY (ARRAY['rp:1', 'reversal:' || :id, 'reversal:' || :part, 'reversal:' || :again]) AS key, kind, order_id, description, metadata,
	effective_at = '2026-03-01 12:00+09' AS effective, recorded_at > '2026-03-01 12:00+09' AS recorded, entry_count,
	CASE reverses_id WHEN :id THEN 'first' WHEN :part THEN 'part' WHEN :again THEN 'again' END AS reverses,
	CASE reversed_by_id WHEN :part THEN 'part' WHEN :again THEN 'again' WHEN :third THEN 'third' END AS reversed_by
FROM payments.ledger_transactions WHERE id IN (:id, :part, :again, :third) ORDER BY id;
SELECT DISTINCT transaction_id = :part AS part, reverses_id = :id AS reverses, reversed_by_id = :again AS reversed_by
FROM payments.ledger WHERE transaction_id IN (:id, :part) ORDER BY 1;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;

-- What books a payment is not reversed by hand, in part neither.
RESET ROLE;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at) VALUES (970000101, 'rp:raw', 'payment.other', now(), now());
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
	SELECT 970000101, a.id, n, 2, 'KRW', amount FROM (VALUES (1, 'liability:rp_customer', 5), (2, 'revenue:rp_shop', -5)) v (n, code, amount)
		JOIN payments.ledger_account a USING (code);
\pset tuples_only on
\pset format unaligned
SELECT pg_temp.try(970000101, '[{"account": "liability:rp_customer", "amount": -1}, {"account": "revenue:rp_shop", "amount": 1}]');
ROLLBACK;

DROP OWNED BY regress_ledger_operator;
DROP ROLE regress_ledger_operator;
