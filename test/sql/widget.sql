--
-- widget: exactly what the payment widget takes, and only for an order that can
-- still be paid.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_widget;
SELECT payments.grant_to('regress_widget', 'application');
SET ROLE regress_widget;
SELECT amount FROM payments.checkout(301, '[{"seller_id": 1, "amount": 15000, "name": "머그컵"}, {"seller_id": 1, "amount": 1}]',
	order_id => 'widget-1');
SELECT amount FROM payments.checkout(301, '[{"seller_id": 1, "amount": 19.90}]', order_id => 'widget-usd',
	order_name => 'Cup "L" \ 한', currency => 'USD');
SELECT amount FROM payments.checkout(302, '[{"seller_id": 1, "amount": 7}]', order_id => 'widget-other');

SELECT jsonb_pretty(payments.widget('widget-1') - 'customerKey');
SELECT jsonb_pretty(payments.widget('widget-usd', 'https://shop.example/ok?a="b"&c=d', 'https://shop.example/실패') - 'customerKey');
-- a buyer is known to Toss by a random key, always the same, never the id
SELECT a ->> 'customerKey' ~ '^cus_[0-9a-f]{32}$' AS random, a -> 'customerKey' = b -> 'customerKey' AS same_buyer,
		a -> 'customerKey' = c -> 'customerKey' AS other_buyer
	FROM payments.widget('widget-1') a, payments.widget('widget-usd') b, payments.widget('widget-other') c;
-- the amount is a number, as the widget wants it
SELECT jsonb_typeof(payments.widget('widget-usd') #> '{amount,value}');

-- the merchant's public key, never another's
RESET ROLE;
SELECT payments.set_merchant('regress_widget', 'live_ck_widget', 'mid1');
SET ROLE regress_widget;
SELECT amount FROM payments.checkout(302, '[{"seller_id": 1, "amount": 7}]', order_id => 'widget-m',
	merchant => 'regress_widget');
SELECT payments.widget('widget-m') ->> 'clientKey' AS client_key;
RESET ROLE;
SELECT payments.set_merchant('regress_widget', 'live_ck_changed', 'mid1');
SET ROLE regress_widget;
SELECT payments.widget('widget-m') ->> 'clientKey' AS client_key;

-- not for an order that is under way, over, expired or not there
SELECT payments.confirm('widget-m', 'pay_widget', 7);
SELECT payments.fail('widget-other', 'PAY_PROCESS_CANCELED', 'no');
SELECT amount FROM payments.checkout(302, '[{"seller_id": 1, "amount": 7}]', order_id => 'widget-late', expires_in => '1 us');
SELECT o AS of, t.code, t.message, t.hint FROM unnest(ARRAY['''widget-m''', '''widget-other''', '''widget-late''',
		'''widget-0''', 'NULL']) WITH ORDINALITY x (o, n),
	test.try(format('SELECT payments.widget(%s)', o)) t ORDER BY n;

-- it writes nothing, so a read-only transaction can show the page
BEGIN READ ONLY;
SELECT payments.widget('widget-1') ->> 'orderId' AS order_id, payments.status('widget-1');
COMMIT;

RESET ROLE;
DROP OWNED BY regress_widget;
DROP ROLE regress_widget;
