-- The shop's page for Toss's webhooks: it passes on what comes, answers 200, and
-- looks at its orders as before.
BEGIN;
SELECT plan(22);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SET ROLE shop;
SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 30000}]', order_id => 'hook-0001') IS NOT NULL AS made \gset
SELECT payments.checkout(7, '[{"seller_id": 1, "amount": 500}]', order_id => 'hook-0002') IS NOT NULL AS made \gset

-- What Toss's envelopes look like
CREATE FUNCTION pg_temp.payment(order_id text, payment_key text, status text) RETURNS text LANGUAGE sql AS $$
	SELECT format('{"eventType":"PAYMENT_STATUS_CHANGED","createdAt":"2026-11-22T10:16:03.104882","data":{"mId":"tvivarepublica","version":"2022-11-16","paymentKey":"%s","orderId":"%s","status":"%s","lastTransactionKey":"tx1","totalAmount":30000}}',
		payment_key, order_id, status) $$;
CREATE FUNCTION pg_temp.deposit(order_id text, secret text) RETURNS text LANGUAGE sql AS $$
	SELECT format('{"createdAt":"2026-11-22T10:20:00.000000","secret":"%s","status":"DONE","transactionKey":"tx2","orderId":"%s"}', secret, order_id) $$;
\set headers '{"Tosspayments-Webhook-Transmission-Id":"whtrans_a01","tosspayments-webhook-transmission-retried-count":"0"}'

-- Whatever comes, nothing is thrown at the shop
SELECT is(payments.receive_webhook(b), 'ignored', format('%L is no error', left(b, 20))) FROM unnest(ARRAY['', 'hello', '[1]', '{"eventType":"METHOD_UPDATED","data":{}}']) b;
SELECT is(payments.receive_webhook(NULL, NULL), 'duplicate', 'nor is nothing, which came before');
SELECT is(payments.receive_webhook(pg_temp.payment('hook-9999', 'key_x', 'DONE')), 'ignored', 'nor an order of another shop');

-- Before the buyer's redirect has reached the shop
SELECT is(payments.receive_webhook(pg_temp.payment('hook-0001', 'key_hook_1', 'DONE'), :'headers'), 'accepted', 'Toss is sometimes faster than the browser');
SELECT is(payments.status('hook-0001')::text, 'NOT_STARTED', 'that pays nothing');
SELECT is(payments.receive_webhook(pg_temp.payment('hook-0001', 'key_hook_1', 'DONE'), :'headers'), 'duplicate', 'Toss sends it again');
SELECT is(payments.confirm('hook-0001', 'key_hook_1', 30000)::text, 'EXECUTING', 'the redirect comes');

-- While the payment is under way
SELECT is(payments.receive_webhook(pg_temp.payment('hook-0001', 'key_hook_1', 'ABORTED')), 'accepted', 'somebody says that it failed');
SELECT is(payments.status('hook-0001')::text, 'EXECUTING', 'but only Toss''s answer fails an order');
SELECT is(payments.receive_webhook(pg_temp.payment('hook-0001', 'another_key', 'DONE')), 'ignored', 'somebody speaks of another payment');
SELECT is(payments.receive_webhook(pg_temp.deposit('hook-0001', 'ps_guess')), 'accepted', 'a deposit may be told before Toss''s answer is here');

-- In the shop's own transaction, and its pages
SAVEPOINT before;
SELECT is(payments.receive_webhook(pg_temp.payment('hook-0002', 'key_hook_2', 'EXPIRED')), 'accepted', 'a webhook,');
ROLLBACK TO before;
SELECT is(payments.receive_webhook(pg_temp.payment('hook-0002', 'key_hook_2', 'EXPIRED')), 'accepted', 'and the shop''s own statement failed: Toss sends it again');
SELECT throws_ok('SELECT count(*) FROM payments.webhook_body', '42501', NULL, 'its bytes are not the shop''s to read');

-- What operators see
RESET ROLE;
SELECT results_eq($$SELECT order_id, status, verdict, outcome FROM payments.webhooks WHERE order_id ~ '^hook-0' ORDER BY id$$,
	$$VALUES ('hook-0001' COLLATE "C", 'DONE', 'hint', 'waits for the worker'), ('hook-0001', 'ABORTED', 'hint', 'waits for the worker'),
		('hook-0001', 'DONE', 'other payment', NULL), ('hook-0001', 'DONE', 'hint', 'waits for the worker'),
		('hook-0002', 'EXPIRED', 'hint', 'waits for the worker')$$, 'what was said, and how far it is believed');
SELECT is(count(*), 0::bigint, 'no secret is kept') FROM payments.webhook_body WHERE convert_from(body, 'UTF8') ~ 'ps_guess';
SELECT is_empty('SELECT * FROM payments.ledger_entry', 'no money moved');
SELECT is_empty('SELECT * FROM payments.event', 'and nobody was told anything');
SELECT is_empty($$SELECT invariant FROM payments.verify() WHERE NOT holds$$, 'the books hold');

SELECT * FROM finish();
ROLLBACK;
