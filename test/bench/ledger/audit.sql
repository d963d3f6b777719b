-- Balances of the account that was read, at times of both clocks, that are not
-- the sum of the entries of then
WITH t AS MATERIALIZED (
	SELECT now() - random() * interval '365 days' AS as_of,
		to_timestamp(:start::float8 + random() * :ms / 1000) AS known_at
	FROM generate_series(1, 10))
SELECT t.as_of, t.known_at, payments.balance('asset:till', t.as_of, t.known_at), s.balance
FROM t CROSS JOIN LATERAL (
	SELECT coalesce(sum(e.amount), 0) AS balance
	FROM payments.ledger_entry e JOIN payments.ledger_transaction h ON h.id = e.transaction_id
		JOIN payments.ledger_account a ON a.id = e.account_id
	WHERE a.code = 'asset:till' AND h.effective_at <= t.as_of AND h.recorded_at <= t.known_at) s
WHERE s.balance IS DISTINCT FROM payments.balance('asset:till', t.as_of, t.known_at);
