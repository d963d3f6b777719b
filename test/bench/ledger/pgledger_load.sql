-- Load :size transfers in one call.
WITH t AS MATERIALIZED (
	SELECT x, (x + 1 + floor(random() * (:accounts - 1))::integer) % :accounts AS y,
		(1 + floor(random() * 100000))::numeric AS amount
	FROM generate_series(1, :size) n, CAST(floor(random() * :accounts + n * 0) AS integer) x)
SELECT count(*) FROM pgledger_create_transfers((SELECT array_agg(
	ROW('pgla_01JTVST7XAES5BXHWZN4' || 100000 + x, 'pgla_01JTVST7XAES5BXHWZN4' || 100000 + y, amount)::transfer_request)
	FROM t));
