-- What was asked of pg_net, and when: its xmin is the commit.  Unlogged as
-- pg_net's own tables are, so that a commit waits for no disk on this account.
CREATE EXTENSION pg_net;
CREATE UNLOGGED TABLE sent (request bigint, order_id text, key text, amount int);
CREATE TABLE target AS SELECT :'url' AS url, :'secret' AS secret;

-- A confirm as the worker sends it; nothing is to time out.
CREATE FUNCTION post(an_order text, an_amount int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO sent
		SELECT net.http_post(url || '/v1/payments/confirm',
				jsonb_build_object('paymentKey', 'auto_' || an_order, 'orderId', an_order, 'amount', an_amount),
				headers => jsonb_build_object('Content-Type', 'application/json', 'Idempotency-Key', a_key,
					'Authorization', 'Basic ' || encode(convert_to(secret || ':', 'UTF8'), 'base64')),
				timeout_milliseconds => 600000),
			an_order, a_key, an_amount
		FROM target, encode(sha256(convert_to(an_order, 'UTF8')), 'hex') a_key
$$;
GRANT SELECT ON target TO bench;
GRANT INSERT ON sent TO bench;
