-- The shop's page for webhooks, as far as this order is concerned: what came
-- before is passed on again, and known as such.
WITH webhook AS MATERIALIZED (
	SELECT line::jsonb AS w
	FROM regexp_split_to_table(:'webhooks', E'\n') line WHERE line <> ''
), passed_on AS MATERIALIZED (
	SELECT w, payments.receive_webhook(w->>'body', w->'headers') AS said
	FROM (SELECT w FROM webhook WHERE w->>'orderId' = :'order' ORDER BY (w->>'number')::int) o
)
SELECT format('  Shop ← Toss      %s: %s',
	concat_ws(' ', coalesce(body->>'eventType', 'DEPOSIT_CALLBACK'), coalesce(body#>>'{data,status}', body->>'status')), said)
FROM passed_on, LATERAL (SELECT (w->>'body')::jsonb) b (body)
WHERE said <> 'duplicate' ORDER BY (w->>'number')::int;
