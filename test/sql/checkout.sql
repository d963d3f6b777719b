--
-- checkout: one order from one list of lines, its total computed here; repeated
-- it changes nothing; whatever is wrong with the input is named and nothing is
-- written.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- As an ordinary role: it may call the functions, and read one view.
CREATE ROLE regress_checkout;
SELECT payments.grant_to('regress_checkout', 'application');
SET ROLE regress_checkout;

-- what comes back, and what is there afterwards
SELECT order_id, amount, currency, order_name, expires_at > now() AS open
	FROM payments.checkout(101, '[
		{"seller_id": 1, "amount": 15000, "product_id": "sku-1", "name": "Green tea"},
		{"seller_id": 2, "unit_price": 2500, "quantity": 3, "name": "Cup"},
		{"seller_id": 1, "amount": 500}]', order_id => 'checkout-1', metadata => '{"cart": 7}');
SELECT status, amount, currency, order_name, buyer_id, merchant, payment_key, is_payment_done,
		metadata, expires_at - created_at AS open_for
	FROM payments.payment WHERE order_id = 'checkout-1';
SELECT l ->> 'seller_id' AS seller, l ->> 'product_id' AS product, l ->> 'name' AS name,
		l ->> 'quantity' AS quantity, l ->> 'amount' AS amount, l ->> 'commission' AS commission,
		l ->> 'status' AS status
	FROM payments.payment p, jsonb_array_elements(p.lines) WITH ORDINALITY AS x (l, n)
	WHERE order_id = 'checkout-1' ORDER BY n;

-- without an order id it makes one that nobody can guess
SELECT order_id ~ '^ord_[0-9a-f]{32}$' AS random, order_name = order_id AS named_so
	FROM payments.checkout(101, '[{"seller_id": 1, "amount": 1}]');
SELECT count(DISTINCT (payments.checkout(101, '[{"seller_id": 1, "amount": 1}]')).order_id) AS different
	FROM generate_series(1, 20);

--
-- Repeated: the same row, whatever the spelling; nothing is written
--
RESET ROLE;
SELECT test.image() AS before \gset
SET ROLE regress_checkout;
SELECT order_id, amount, order_name, expires_at - (SELECT created_at FROM payments.payment p
		WHERE p.order_id = c.order_id) AS open_for
	FROM payments.checkout(101, '[
		{"amount": 15000.00, "seller_id": 1, "name": "Green tea", "product_id": "sku-1"},
		{"unit_price": 2.5e3, "seller_id": 2, "quantity": 3, "name": "Cup"},
		{"seller_id": 1, "amount": 500, "name": null, "quantity": 1}]',
		order_id => 'checkout-1', metadata => '{"cart":7}', expires_in => '2 hours') c;
-- the price of the whole line is what counts, not how it was given
SELECT order_id, amount FROM payments.checkout(101, '[
		{"seller_id": 1, "amount": 15000, "product_id": "sku-1", "name": "Green tea"},
		{"seller_id": 2, "amount": 7500, "quantity": 3, "name": "Cup"},
		{"seller_id": 1, "amount": 500}]', order_id => 'checkout-1', metadata => '{"cart": 7}');
RESET ROLE;
SELECT test.image() = :'before' AS nothing_was_written;

-- other content: an error that names what differs, and the order stays
SET ROLE regress_checkout;
CREATE FUNCTION pg_temp.again(buyer bigint, line jsonb, VARIADIC more text[] DEFAULT '{}')
	RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', t.code, t.message, t.detail) FROM test.try(format(
		'SELECT payments.checkout(%s, %L, order_id => ''checkout-2''%s)', buyer, line,
		(SELECT string_agg(', ' || m, '') FROM unnest(more) m))) t
$$;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 9, "name": "Tea"}]',
	'order_name => ''Tea''', 'metadata => ''{}''', 'currency => ''USD''') AS made;
RESET ROLE;
SELECT payments.set_merchant('regress_other', 'test_ck_other');
SELECT test.image() AS before \gset
SET ROLE regress_checkout;
SELECT pg_temp.again(102, '[{"seller_id": 1, "amount": 9, "name": "Tea"}]',
	'metadata => ''{}''', 'currency => ''USD''') AS buyer;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 9.01, "name": "Tea"}]',
	'metadata => ''{}''', 'currency => ''USD''') AS amount;
SELECT pg_temp.again(101, '[{"seller_id": 3, "amount": 9, "name": "Tea"}]',
	'metadata => ''{}''', 'currency => ''USD''') AS seller;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 9, "name": "Tea", "quantity": 2}]',
	'metadata => ''{}''', 'currency => ''USD''') AS quantity;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 9, "name": "Tea", "product_id": "x"}]',
	'metadata => ''{}''', 'currency => ''USD''') AS product;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 9}]',
	'metadata => ''{}''', 'currency => ''USD''') AS name;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 4, "name": "Tea"}, {"seller_id": 1, "amount": 5}]',
	'metadata => ''{}''', 'currency => ''USD''') AS lines;
SELECT pg_temp.again(101, '[{"seller_id": 1, "amount": 9, "name": "Tea"}]',
	'order_name => ''Coffee''', 'metadata => ''{"a": 1}''', 'currency => ''USD''') AS names;
SELECT pg_temp.again(105, '[{"seller_id": 5, "amount": 5}]', 'order_name => ''x''',
	'metadata => ''[]''::jsonb || ''{}''', 'merchant => ''regress_other''', 'currency => ''KRW''') AS bad_input_first;
SELECT pg_temp.again(105, '[{"seller_id": 5, "amount": 5}]', 'order_name => ''x''',
	'metadata => ''{"b": 2}''', 'merchant => ''regress_other''', 'currency => ''KRW''') AS everything;
RESET ROLE;
SELECT test.image() = :'before' AS nothing_was_written;
DELETE FROM payments.merchant WHERE name = 'regress_other';

-- it belongs to the caller's transaction
BEGIN;
SELECT amount FROM payments.checkout(101, '[{"seller_id": 1, "amount": 1}]', order_id => 'checkout-undone');
ROLLBACK;
SELECT count(*) FROM payments.payment WHERE order_id = 'checkout-undone';

--
-- Bad input: SQLSTATE and what is wrong; every line is one attempt
--
CREATE FUNCTION pg_temp.refused(attempts text[],
	OUT attempt text, OUT code text, OUT message text) RETURNS SETOF record
LANGUAGE sql AS $$
	SELECT a, t.code, t.message
	FROM unnest(attempts) WITH ORDINALITY x (a, n), test.try('SELECT payments.checkout(' || a || ')') t
	ORDER BY n
$$;
CREATE FUNCTION pg_temp.refused_lines(lines text[],
	OUT lines_given text, OUT code text, OUT message text) RETURNS SETOF record
LANGUAGE sql AS $$
	SELECT a, t.code, t.message
	FROM unnest(lines) WITH ORDINALITY x (a, n),
		test.try(format('SELECT payments.checkout(1, %L)', a)) t
	ORDER BY n
$$;
SELECT test.image() AS before \gset
SET ROLE regress_checkout;

SELECT * FROM pg_temp.refused(ARRAY[
	$$NULL, '[{"seller_id": 1, "amount": 1}]'$$,
	$$1, NULL$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', currency => NULL$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', merchant => NULL$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', expires_in => NULL$$,
	$$0, '[{"seller_id": 1, "amount": 1}]'$$,
	$$-1, '[{"seller_id": 1, "amount": 1}]'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', currency => 'krw'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', currency => 'XXX'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', currency => ''$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', merchant => 'nobody'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', expires_in => '0'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', expires_in => '-1 s'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', expires_in => '367 days'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', expires_in => '1000000 years'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', metadata => '[]'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', metadata => '"text"'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', metadata => '1'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', metadata => 'null'$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', order_name => ''$$,
	$$1, '[{"seller_id": 1, "amount": 1}]', order_name => repeat('x', 101)$$]);

-- order ids: 6 to 64 of A-Z a-z 0-9 _ -
SELECT id, t.code, t.message
	FROM unnest(ARRAY['', '12345', repeat('x', 65), 'with blank', 'slash/es', E'new\nline', 'dots.dots',
			'한글주문번호', 'ABCdef', repeat('x', 64), '_-_-_-', 'abcdef ']) WITH ORDINALITY x (id, n),
		test.try(format('SELECT payments.checkout(1, ''[{"seller_id": 1, "amount": 1}]'', order_id => %L)', id)) t
	WHERE length(id) NOT IN (6, 64) OR id !~ '^[A-Za-z_-]*$' ORDER BY n;

-- lines: the form
SELECT * FROM pg_temp.refused_lines(ARRAY[
	'null', '1', '"text"', '{}', '{"seller_id": 1, "amount": 1}', '[]', '[1]', '["a"]', '[null]', '[[]]',
	'[[{"seller_id": 1, "amount": 1}]]',
	'[{}]',
	'[{"amount": 1}]',
	'[{"seller_id": 1}]',
	'[{"seller_id": 1, "amount": 1}, {"seller_id": 1}]',
	'[{"seller_id": 1, "amount": 1, "prize": 1}]',
	'[{"seller_id": 1, "amount": 1, "Quantity": 2}]',
	'[{"seller_id": 1, "amount": 1, "": 2}]',
	'[{"seller_id": 1, "amount": 1, "unit_price": 1}]',
	'[{"seller_id": 1, "quantity": 2}]']);
SELECT t.code, t.message FROM test.try(format('SELECT payments.checkout(1, %L)',
	(SELECT jsonb_agg('{"seller_id": 1, "amount": 1}'::jsonb) FROM generate_series(1, 1001)))) t;

-- lines: the types.  Money that comes as text was handled by something that rounds.
SELECT * FROM pg_temp.refused_lines(ARRAY[
	'[{"seller_id": "1", "amount": 1}]',
	'[{"seller_id": 1, "amount": "1000"}]',
	'[{"seller_id": 1, "amount": true}]',
	'[{"seller_id": 1, "amount": null}]',
	'[{"seller_id": 1, "amount": [1]}]',
	'[{"seller_id": 1, "amount": {"KRW": 1}}]',
	'[{"seller_id": 1, "unit_price": "1", "quantity": 2}]',
	'[{"seller_id": 1, "amount": 1, "quantity": "2"}]',
	'[{"seller_id": 1, "amount": 1, "name": 5}]',
	'[{"seller_id": 1, "amount": 1, "product_id": 5}]',
	'[{"seller_id": 1, "amount": 1, "name": ""}]',
	'[{"seller_id": 1, "amount": 1, "product_id": ""}]']);
SELECT what, t.code, t.message, t.hint FROM (VALUES ('name'), ('product_id')) k (what),
	test.try(format('SELECT payments.checkout(1, %L)', format('[{"seller_id": 1, "amount": 1, "%s": "%s"}]',
		what, repeat('x', 201)))) t;

-- lines: whole numbers
SELECT * FROM pg_temp.refused_lines(ARRAY[
	'[{"seller_id": 0, "amount": 1}]',
	'[{"seller_id": -1, "amount": 1}]',
	'[{"seller_id": 1.5, "amount": 1}]',
	'[{"seller_id": 9223372036854775808, "amount": 1}]',
	'[{"seller_id": 1e400, "amount": 1}]',
	'[{"seller_id": 1, "amount": 1, "quantity": 0}]',
	'[{"seller_id": 1, "amount": 1, "quantity": -1}]',
	'[{"seller_id": 1, "amount": 1, "quantity": 0.5}]',
	'[{"seller_id": 1, "amount": 1, "quantity": 1000001}]',
	'[{"seller_id": 1, "amount": 1, "quantity": 4294967297}]']);

-- lines: amounts.  Won and yen have no fraction, a dollar has two digits.
SELECT * FROM pg_temp.refused_lines(ARRAY[
	'[{"seller_id": 1, "amount": 0}]',
	'[{"seller_id": 1, "amount": 0.000}]',
	'[{"seller_id": 1, "amount": -0}]',
	'[{"seller_id": 1, "amount": -1}]',
	'[{"seller_id": 1, "amount": -0.01}]',
	'[{"seller_id": 1, "amount": 0.5}]',
	'[{"seller_id": 1, "amount": 1000.1}]',
	'[{"seller_id": 1, "amount": 1e-400}]',
	'[{"seller_id": 1, "amount": 1e15}]',
	'[{"seller_id": 1, "amount": 1000000000000000}]',
	'[{"seller_id": 1, "amount": 999999999999999.5}]',
	'[{"seller_id": 1, "amount": 1e400}]',
	'[{"seller_id": 1, "amount": 9223372036854775807}]',
	'[{"seller_id": 1, "amount": 18446744073709551617}]',
	'[{"seller_id": 1, "unit_price": 0, "quantity": 5}]',
	'[{"seller_id": 1, "unit_price": 0.5, "quantity": 2}]',
	'[{"seller_id": 1, "unit_price": 999999999999999, "quantity": 2}]',
	'[{"seller_id": 1, "unit_price": 1000000000, "quantity": 1000000}]',
	'[{"seller_id": 1, "unit_price": 18446744073709, "quantity": 1000000}]',
	'[{"seller_id": 1, "amount": 999999999999999}, {"seller_id": 1, "amount": 1}]']);
SELECT * FROM pg_temp.refused(ARRAY[
	$$1, '[{"seller_id": 1, "amount": 0.5}]', currency => 'JPY'$$,
	$$1, '[{"seller_id": 1, "amount": 0.001}]', currency => 'USD'$$,
	$$1, '[{"seller_id": 1, "amount": 19.999}]', currency => 'USD'$$,
	$$1, '[{"seller_id": 1, "unit_price": 0.005, "quantity": 2}]', currency => 'USD'$$]);
-- detail and hint of one of them; a monstrous value is shown by its beginning
SELECT t.detail, t.hint FROM test.try($$SELECT payments.checkout(1, '[{"seller_id": 1, "amount": 0.5}]')$$) t;
SELECT t.detail FROM test.try($$SELECT payments.checkout(1, '[{"seller_id": 1, "amount": 1e400}]')$$) t;

RESET ROLE;
SELECT test.image() = :'before' AS nothing_was_written;

--
-- Limits that are allowed
--
SET ROLE regress_checkout;
SELECT amount FROM payments.checkout(9223372036854775807,
	'[{"seller_id": 9223372036854775807, "amount": 999999999999999}]');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "unit_price": 999999999, "quantity": 1000000}]');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 1}]', expires_in => '366 days');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 0.01}]', currency => 'USD');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 19.90}, {"seller_id": 1, "amount": 0.1}]',
	currency => 'USD');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "unit_price": 0.01, "quantity": 3}]', currency => 'USD');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 1000.000}]', currency => 'JPY');
SELECT amount FROM payments.checkout(1,
	(SELECT jsonb_agg(jsonb_build_object('seller_id', 1, 'amount', n)) FROM generate_series(1, 1000) n));
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7}]', order_id => repeat('x', 64));
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7}]', order_id => '_-_-_-');
SELECT amount FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7}]', metadata => '{}');

--
-- Order names: the first line's, and how many more; at most 100 characters
--
SELECT order_name FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7, "name": "제주 감귤 5kg"}]');
SELECT order_name FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7, "name": "제주 감귤 5kg"},
	{"seller_id": 1, "amount": 7, "name": "한라봉"}, {"seller_id": 1, "amount": 7}]');
SELECT order_name = order_id AS nameless FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7},
	{"seller_id": 1, "amount": 7, "name": "한라봉"}]');
SELECT order_name FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7, "name": "Cup"}]',
	order_name => '직접 지은 이름');
SELECT length(order_name) FROM payments.checkout(1, '[{"seller_id": 1, "amount": 7}]', order_name => repeat('귤', 100));
-- the name of a line has at most 200 bytes, so 66 Korean characters fit, and 200 Latin ones are cut
SELECT length(order_name), right(order_name, 6) FROM payments.checkout(1,
	format('[{"seller_id": 1, "amount": 7, "name": "%s"}, {"seller_id": 1, "amount": 7}]', repeat('귤', 66))::jsonb);
SELECT length(order_name), right(order_name, 6) FROM payments.checkout(1,
	format('[{"seller_id": 1, "amount": 7, "name": "%s"}, {"seller_id": 1, "amount": 7}]', repeat('x', 200))::jsonb);
SELECT length(order_name), right(order_name, 8) FROM payments.checkout(1, (SELECT jsonb_agg(jsonb_build_object(
	'seller_id', 1, 'amount', 7, 'name', repeat('y', 100))) FROM generate_series(1, 1000)));
-- hostile names are text like any other
SELECT order_name FROM payments.checkout(1,
	'[{"seller_id": 1, "amount": 7, "name": "''); DROP TABLE payments.payment_order; -- \"\\"}]',
	order_id => 'checkout-quote');
SELECT payments.widget('checkout-quote') ->> 'orderName' AS order_name;

--
-- Commission: the seller's rate, cut to what the currency knows, fixed at checkout
--
RESET ROLE;
SELECT payments.set_seller(901, 0.035);
SELECT payments.set_seller(902, 0.333333);
SELECT payments.set_seller(903, 0.999999);
SET ROLE regress_checkout;
CREATE FUNCTION pg_temp.commissions(for_order text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat(l ->> 'amount', '->', l ->> 'commission'), ', ' ORDER BY n)
	FROM payments.payment p, jsonb_array_elements(p.lines) WITH ORDINALITY x (l, n)
	WHERE p.order_id = for_order
$$;
SELECT amount FROM payments.checkout(1, '[{"seller_id": 901, "amount": 10000},
	{"seller_id": 901, "amount": 999}, {"seller_id": 901, "amount": 28}, {"seller_id": 901, "amount": 29},
	{"seller_id": 902, "amount": 3}, {"seller_id": 902, "amount": 1000000}, {"seller_id": 903, "amount": 1},
	{"seller_id": 903, "amount": 999000000000001}, {"seller_id": 904, "amount": 5000}]',
	order_id => 'checkout-commission');
SELECT pg_temp.commissions('checkout-commission') AS won;
SELECT amount FROM payments.checkout(1,
	'[{"seller_id": 901, "amount": 0.28}, {"seller_id": 901, "amount": 0.29}, {"seller_id": 902, "amount": 10}]',
	order_id => 'checkout-dollars', currency => 'USD');
SELECT pg_temp.commissions('checkout-dollars') AS dollars;
RESET ROLE;
-- a new rate is for new orders; and for a repeated checkout the order is the old one
SELECT payments.set_seller(901, 0.5);
SELECT pg_temp.commissions('checkout-dollars') AS dollars;
SELECT amount FROM payments.checkout(1,
	'[{"seller_id": 901, "amount": 0.28}, {"seller_id": 901, "amount": 0.29}, {"seller_id": 902, "amount": 10}]',
	order_id => 'checkout-dollars', currency => 'USD');
SELECT pg_temp.commissions('checkout-dollars') AS dollars;
-- rates that are none
\x
SELECT args, t.code, t.message, t.detail, t.hint FROM unnest(ARRAY['905, -0.1', '905, 1', '905, 1.5', '905, ''NaN''', '905, ''-Infinity''', '905, 0.1234567',
		'905, 1e100', '905, 0.' || repeat('1', 100), '905, NULL', 'NULL, 0.1', '0, 0.1', '-9223372036854775808, 0.1']) WITH ORDINALITY x (args, n),
	test.try('SELECT payments.set_seller(' || args || ')') t ORDER BY n;
\x
SELECT payments.set_seller(905, 0.1230000), payments.set_seller(905, 0);
SELECT id, commission_rate FROM payments.seller WHERE id = 905;

--
-- Merchants: the name is that of a file, the client key is the public one
--
SELECT args, t.code, t.message FROM unnest(ARRAY[
		$$'../etc/passwd', 'test_ck_x'$$, $$'', 'test_ck_x'$$, $$'.hidden', 'test_ck_x'$$, $$'UPPER', 'test_ck_x'$$,
		$$'shop', 'test_sk_secret'$$, $$'shop', 'live_gsk_secret'$$, $$'shop', ''$$, $$'shop', NULL$$,
		$$NULL, 'test_ck_x'$$, $$'shop', 'test_ck_x', 'much too long a mid'$$, $$'shop', 'test_ck_x', ''$$,
		$$repeat('x', 64), 'test_ck_x'$$, $$'shop', 'test_ck_' || repeat('x', 193)$$, $$'live_gsk_Secret', 'shop'$$]) WITH ORDINALITY x (args, n),
	test.try('SELECT payments.set_merchant(' || args || ')') t ORDER BY n;
SELECT count(*) FROM payments.merchant WHERE name = 'shop';

DROP OWNED BY regress_checkout;
DROP ROLE regress_checkout;
