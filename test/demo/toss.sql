-- What the simulator's records say of one order: every request, and the money
-- that moved.  Its record of a request has no order; the idempotency key leads
-- from a confirm to ours, the payment key stands in the path of a query.

WITH request AS (
	SELECT line::jsonb AS r
	FROM regexp_split_to_table(:'requests', E'\n') line WHERE line <> ''
), charge AS (
	SELECT line::jsonb AS r
	FROM regexp_split_to_table(:'journal', E'\n') line WHERE line <> ''
), ours AS (
	SELECT (r->>'number')::bigint AS number, r->>'method' AS method,
		r->>'done' AS done, r->>'status' AS status,
		CASE WHEN r->>'path' LIKE '%/confirm' THEN 'confirm' WHEN r->>'path' LIKE '%/cancel' THEN 'cancel'
			ELSE 'query' END AS operation
	FROM request
	WHERE EXISTS (SELECT FROM payments.psp_call c
		WHERE c.order_id = :'order' AND (c.idempotency_key = r->>'idempotencyKey'
			OR r->>'path' LIKE '%/payments/' || c.payment_key))
), line (no, text) AS (
	SELECT number, format('%-7s → %s', operation,
		CASE
			WHEN done LIKE 'executed, reset%' THEN 'executed; the connection breaks before the answer'
			WHEN done LIKE 'executed%' THEN status || ', executed'
			WHEN done LIKE 'replayed%' THEN status || ', the first answer again: same idempotency key'
			WHEN done LIKE '%refuse%' THEN status || ', refused'
			ELSE status || ', ' || done
		END)
	FROM ours
	UNION ALL
	SELECT 0, 'was not asked' WHERE NOT EXISTS (SELECT FROM ours)
	UNION ALL
	SELECT 1e9, CASE count(*) WHEN 0 THEN 'charged nothing'
		ELSE format('charged %s won, %s', to_char(sum((r->>'amount')::numeric), 'FM999,999,999,999'),
			CASE count(*) WHEN 1 THEN 'once' ELSE count(*) || ' TIMES' END)
		END
	FROM charge WHERE r->>'orderId' = :'order' AND r->>'kind' IN ('charge', 'deposit')
)
SELECT '  Toss             ' || text FROM line ORDER BY no;
