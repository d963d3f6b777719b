--
-- receive_webhook: whatever comes in is written down with a verdict, once, and
-- nothing else happens.  What the worker does about it is in 063_webhooks.pl.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_webhook;
SELECT payments.grant_to('regress_webhook', 'application');
CREATE FUNCTION test.payment_event(order_id text, payment_key text, status text, rest text DEFAULT '') RETURNS text LANGUAGE sql AS $$
	SELECT format('{"eventType":"PAYMENT_STATUS_CHANGED","createdAt":"2026-11-22T10:16:03.104882","data":{"mId":"m","paymentKey":"%s","orderId":"%s","status":"%s"%s}}',
		payment_key, order_id, status, rest) $$;
CREATE FUNCTION test.deposit_event(order_id text, secret text, status text, transaction_key text DEFAULT 't1') RETURNS text LANGUAGE sql AS $$
	SELECT format('{"createdAt":"2026-11-22T10:20:00.000000","secret":"%s","status":"%s","transactionKey":"%s","orderId":"%s"}',
		secret, status, transaction_key, order_id) $$;
SET ROLE regress_webhook;
SELECT count(payments.checkout(1700, '[{"seller_id": 1, "amount": 30}]', order_id => 'webhook-' || n)) FROM generate_series(1, 4) n;
SELECT payments.confirm('webhook-1', 'pay_webhook_1', 30), payments.confirm('webhook-2', 'pay_webhook_2', 30);
RESET ROLE;
INSERT INTO payments.payment_secret VALUES ('webhook-2', sha256('ps_other'), now()), ('webhook-2', sha256('ps_right'), now());
SELECT md5(string_agg(t::text, '|' ORDER BY id)) AS orders FROM payments.payment_event t \gset
SELECT md5(string_agg(t::text, '|' ORDER BY id)) AS lines FROM payments.payment_order t \gset
SELECT md5(string_agg(t::text, '|' ORDER BY call_id)) AS queue FROM payments.psp_call_queue t \gset
SELECT count(*) AS events FROM payments.event \gset
SET ROLE regress_webhook;

-- Garbage is no error
SELECT body, payments.receive_webhook(body) FROM unnest(ARRAY[NULL, '', ' ', '{', '[]', '1', '"x"', 'null', '{}', '<html>', 'a=b', E'\x01\x02', '결제',
	'{"a":"\u0000"}', repeat('[', 100), '{"eventType":"PAYMENT_STATUS_CHANGED","data":{}}', '''; DROP TABLE x; --', '%s%n']) body;
SELECT payments.receive_webhook(repeat('x', 1000000)), payments.receive_webhook(repeat(' ', 65537)), payments.receive_webhook(repeat('[', 65536));
-- nor are headers of any kind
SELECT h AS headers, payments.receive_webhook('garbage ' || n, h::jsonb) FROM unnest(ARRAY[NULL, 'null', '1', '"x"', '[]', '{}', '{"a":{"b":[1]}}',
	'{"tosspayments-webhook-transmission-id":null}', '{"tosspayments-webhook-transmission-id":{"a":"b"}}', '{"tosspayments-webhook-transmission-id":[]}',
	'{"tosspayments-webhook-transmission-id":""}', '{"tosspayments-webhook-transmission-id":"a b"}', '{"tosspayments-webhook-transmission-retried-count":"-1"}',
	'{"tosspayments-webhook-transmission-retried-count":"99999999999999999999"}', '{"tosspayments-webhook-transmission-retried-count":1.5}',
	'{"Tosspayments-Webhook-Transmission-Id":"whtrans_1","TossPayments-Webhook-Transmission-Retried-Count":3}',
	'{"tosspayments-webhook-transmission-id":["whtrans_2","x"],"tosspayments-webhook-transmission-retried-count":["07"]}',
	'{"a":["tosspayments-webhook-transmission-id","b"],"c":{"tosspayments-webhook-transmission-id":"deep"}}']) WITH ORDINALITY x (h, n);
RESET ROLE;
SELECT verdict, kind, count(*), count(DISTINCT body_sha256) AS bodies, count(transmission_id) AS ids, max(body_size) AS largest FROM payments.webhook GROUP BY 1, 2;
SELECT transmission_id, retried_count FROM payments.webhook WHERE transmission_id IS NOT NULL OR retried_count IS NOT NULL ORDER BY 1;
SELECT detail, count(*) FROM payments.webhook GROUP BY 1 ORDER BY 1;
-- what is not believed is cut
SELECT max(octet_length(body)) AS largest FROM payments.webhook_body;
SET ROLE regress_webhook;

-- The same bytes are a duplicate, garbage or not
SELECT payments.receive_webhook('garbage 1'), payments.receive_webhook(''), payments.receive_webhook(NULL);

-- Events about no order; those that have a signature wait for the worker, the others of their kind are none
SELECT payments.receive_webhook(b) FROM unnest(ARRAY['{"eventType":"BILLING_DELETED","data":{"billingKey":"b"}}',
	'{"eventType":"payout.changed","createdAt":"2026-11-22T10:16:03+09:00","version":"2022-11-16","eventId":"e0","entityType":"payout","entityBody":{"status":"COMPLETED"}}']) b;
SELECT payments.receive_webhook('{"eventType":"payout.changed","createdAt":"2026-11-22T10:16:03+09:00","version":"2022-11-16","eventId":"e1","entityType":"payout","entityBody":{"status":"COMPLETED"}}',
	'{"tosspayments-webhook-signature":"v1:x","tosspayments-webhook-transmission-time":"2026-11-22T10:16:03+09:00"}');

-- A hint: nothing proves it
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_1', 'DONE', ',"lastTransactionKey":"t1","secret":"ps_hidden"'),
	'{"tosspayments-webhook-transmission-id":"whtrans_3"}');
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_1', 'DONE', ',"lastTransactionKey":"t1","secret":"ps_hidden"'));
-- the same news in other bytes; other news; the first again, which is news now
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_1', 'DONE', ',"lastTransactionKey":"t1","more":1'));
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_1', 'PARTIAL_CANCELED', ',"lastTransactionKey":"t2"'));
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_1', 'PARTIAL_CANCELED', ',"lastTransactionKey":"t3"'));
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_1', 'DONE', ',"lastTransactionKey":"t1","more":2'));
-- of an order that is not ours, of another payment of one that is; before it was confirmed
SELECT payments.receive_webhook(test.payment_event('webhook-0', 'pay_webhook_1', 'DONE'));
SELECT payments.receive_webhook(test.payment_event('webhook-1', 'pay_webhook_x', 'DONE'));
SELECT payments.receive_webhook(test.payment_event('webhook-3', 'pay_webhook_3', 'EXPIRED'));

-- A deposit: proved by one of the secrets that we know, forged, or too early to say
SELECT payments.receive_webhook(test.deposit_event('webhook-2', s, 'DONE')) FROM unnest(ARRAY['ps_wrong', 'ps_righ', 'ps_right1', 'PS_RIGHT']) s;
SELECT payments.receive_webhook(test.deposit_event('webhook-2', 'ps_right', 'DONE'));
SELECT payments.receive_webhook(test.deposit_event('webhook-2', 'ps_other', 'WAITING_FOR_DEPOSIT'));
SELECT payments.receive_webhook(test.deposit_event('webhook-1', 'ps_any', 'DONE'));
SELECT payments.receive_webhook(test.deposit_event('webhook-0', 'ps_any', 'DONE'));

-- No more than so many of an order wait
SELECT answer, count(*) FROM generate_series(1, 30) n, payments.receive_webhook(test.payment_event('webhook-4', 'pay_webhook_4', 'DONE', format(',"lastTransactionKey":"t%s"', n))) answer
	GROUP BY 1 ORDER BY 1;

-- It belongs to the caller's transaction
BEGIN;
SELECT payments.receive_webhook('rolled back');
ROLLBACK;
SELECT payments.receive_webhook('rolled back');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT payments.receive_webhook('repeatable'), payments.receive_webhook('repeatable');
COMMIT;
BEGIN READ ONLY;
SELECT payments.receive_webhook('read only');  -- fails
ROLLBACK;
RESET ROLE;

SELECT order_id, kind, event_type, status, verdict, outcome, transmission_id FROM payments.webhooks
	WHERE order_id ~ '^webhook-[0-3]' OR kind IN ('other', 'signed') ORDER BY id;
SELECT verdict, count(*) FROM payments.webhooks WHERE order_id = 'webhook-4' GROUP BY 1 ORDER BY 1;
-- nothing moved, nothing is to be sent, nobody was told
SELECT md5(string_agg(t::text, '|' ORDER BY id)) = :'orders' AS same_orders FROM payments.payment_event t;
SELECT md5(string_agg(t::text, '|' ORDER BY id)) = :'lines' AS same_lines FROM payments.payment_order t;
SELECT md5(string_agg(t::text, '|' ORDER BY call_id)) = :'queue' AS same_queue FROM payments.psp_call_queue t;
SELECT count(*) = :events AS same_events FROM payments.event;
-- and no secret is anywhere
SELECT count(*) AS secrets FROM payments.webhook_body WHERE convert_from(body, 'SQL_ASCII') ~ 'ps_';
SELECT convert_from(body, 'UTF8') FROM payments.webhook_body b JOIN payments.webhook w ON w.id = webhook_id WHERE w.transmission_id = 'whtrans_3';
SELECT count(*) AS secrets FROM payments.webhook w WHERE w::text ~ 'ps_';
-- one that is escaped cannot be hidden in the bytes: they are not kept
SELECT payments.receive_webhook('{"s\u0065cret":"ps_right","status":"CANCELED","transactionKey":"t9","orderId":"webhook-2"}');
SELECT w.verdict, b.body FROM payments.webhook w LEFT JOIN payments.webhook_body b ON b.webhook_id = w.id WHERE w.transaction_key = 't9';
SELECT payments.receive_webhook('{"x":{"secret" : "ps_a"},"secret":7,"y":"secret","z":["secret","ps_b"], "secret":"ps_');
SELECT convert_from(body, 'UTF8') FROM payments.webhook_body ORDER BY webhook_id DESC LIMIT 1;

-- what came in does not change; bytes can go, and not change either
SELECT t.code, t.message FROM unnest(ARRAY['UPDATE payments.webhook SET verdict = ''proved''', 'DELETE FROM payments.webhook', 'UPDATE payments.webhook_body SET body = ''''',
	'TRUNCATE payments.webhook_body', 'DELETE FROM payments.payment_secret', 'UPDATE payments.webhook_outcome SET outcome = ''known''']) s, test.try(s) t;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
DELETE FROM payments.webhook_body;
DROP FUNCTION test.payment_event, test.deposit_event;
DROP OWNED BY regress_webhook;
DROP ROLE regress_webhook;
