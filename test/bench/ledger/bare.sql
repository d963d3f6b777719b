-- The yardstick: a header and two entries, just written down.
\set x random(1, :accounts)
\set y (:x + random(1, :accounts - 1)) % :accounts + 1
\set amount random(1, 100000)
\set n :n + 1
\set key :base * 1000000000 + :n * 100 + :client_id
WITH h AS (
	INSERT INTO bare.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
	VALUES (nextval('bare.ledger_transaction_id_seq'), :key, 'transfer', now(), now()) RETURNING id)
INSERT INTO bare.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
SELECT h.id, e.account_id, e.entry_no, 2, 'KRW', e.amount
FROM h, (VALUES (:x::bigint, 1::smallint, :amount::numeric), (:y, 2, - :amount::numeric)) e (account_id, entry_no, amount);
