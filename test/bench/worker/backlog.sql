-- :n confirmed payments that wait for the worker, as checkout and confirm leave
-- them, put there in bulk.  Foreign keys are looked after by hand.
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO payments.buyer (id, customer_key, created_at)
	SELECT b, 'cus_' || b, now() FROM generate_series(1, 100000) b ON CONFLICT DO NOTHING;
CREATE TEMP TABLE new ON COMMIT DROP AS
	SELECT nextval('payments.payment_event_id_seq') AS event_id, nextval('payments.payment_order_id_seq') AS id,
		nextval('payments.psp_call_id_seq') AS call_id, 'ord_' || md5(i::text) AS order_id,
		i % 100000 + 1 AS buyer_id, i % 1000 + 1 AS seller_id, 1000 + i % 499000 AS amount
	FROM generate_series(1, :n) i;
INSERT INTO payments.payment_event (id, order_id, payment_key, merchant, buyer_id, order_name, currency, amount,
		created_at, expires_at)
	SELECT event_id, order_id, 'auto_' || order_id, 'default', buyer_id, '우전 녹차 80g', 'KRW', amount,
		now(), now() + interval '30 min' FROM new;
INSERT INTO payments.payment_order (id, payment_event_id, payment_order_status, amount, buyer_id, seller_id, order_id,
		line_no, product_id, product_name, commission, status_reason, created_at, updated_at)
	SELECT id, event_id, 'EXECUTING', amount, buyer_id, seller_id, order_id, 1, 'P-1', '우전 녹차 80g',
		trunc(amount * 0.035), 'confirm accepted', now(), now() FROM new;
INSERT INTO payments.payment_order_history (id, order_id, payment_order_id, from_status, to_status, reason, actor,
		changed_at)
	SELECT nextval('payments.payment_order_history_id_seq'), order_id, id, 'NOT_STARTED', 'EXECUTING',
		'confirm accepted', 'bench', now() FROM new;
INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation, payment_key, currency, amount,
		idempotency_key, request_body, created_at)
	SELECT call_id, order_id, event_id, 'default', 'confirm', 'auto_' || order_id, 'KRW', amount,
		encode(sha256(convert_to(format(E'confirm\n%s\nauto_%s\n0', order_id, order_id), 'UTF8')), 'hex'),
		format('{"paymentKey":"auto_%s","orderId":"%s","amount":%s}', order_id, order_id, amount), now() FROM new;
INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at)
	SELECT n.call_id, n.order_id, m.id, now() FROM new n JOIN payments.merchant m ON m.name = 'default' ORDER BY n.call_id;
COMMIT;
VACUUM ANALYZE;
