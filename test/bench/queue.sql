-- Half a life: checkout and confirm, the payment waits for the worker.  The
-- simulator knows every payment key that begins with auto_.
\set buyer random(1, 100000)
\set seller random(1, 1000)
\set price random(1000, 500000)
SELECT order_id, amount FROM payments.checkout(:buyer, jsonb_build_array(jsonb_build_object(
	'seller_id', :seller::bigint, 'unit_price', :price::bigint, 'quantity', 1,
	'product_id', 'P-1', 'name', '우전 녹차 80g'))) \gset
SELECT payments.confirm(:order_id, 'auto_' || :order_id, :amount::numeric);
