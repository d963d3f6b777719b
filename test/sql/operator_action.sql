--
-- What operators say about merchants and sellers is written down: who, when, what
-- was so before and what is now; of a client key its ends, and nothing of what was
-- refused.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
CREATE VIEW pg_temp.done AS SELECT action, coalesce(merchant, seller_id::text) AS about, was, became, note,
	actor = session_user AS mine, acted_at >= now() AS now, order_id IS NULL AND call_id IS NULL AS of_no_order
	FROM payments.operator_action WHERE merchant LIKE 'acted%' OR seller_id IN (1901, 1902) ORDER BY id;

-- a merchant: new, with another key and a MID, the same once more, without a MID
SELECT payments.set_merchant('acted', 'test_gck_0123456789abcdefWXYZ');
SELECT payments.set_merchant('acted', 'live_gck_9876543210fedcbaKLMN', 'tossmid1');
SELECT payments.set_merchant('acted', 'live_gck_9876543210fedcbaKLMN', 'tossmid1');
SELECT payments.set_merchant('acted', 'live_ck_fifteen_letters');
-- of a short key nothing but its kind
SELECT payments.set_merchant('acted-2', 'test_ck_0123456789abcde');
SELECT payments.set_merchant_limits('acted', 5, 60, 2, 'the contract');
SELECT payments.set_merchant_limits('acted');
SELECT payments.set_refund_policy('acted', true);
SELECT payments.set_refund_policy('acted', false, 'no more');
SELECT * FROM pg_temp.done;
SELECT name, client_key, mid FROM payments.merchant WHERE name LIKE 'acted%' ORDER BY name;
SELECT count(*) AS whole_keys FROM payments.operator_action o, payments.merchant m
	WHERE concat(o.was, o.became) ~ substr(m.client_key, strpos(m.client_key, 'ck_') + 3);

-- a seller: new, changed, and one that a checkout has brought
SELECT payments.set_seller(1901, 0.0350);
SELECT payments.set_seller(1901, 0.5);
SELECT payments.checkout(1901, '[{"seller_id": 1902, "amount": 100}]', order_id => 'acted-1') IS NOT NULL AS ok;
SELECT payments.set_seller(1902, 0.000001);
SELECT payments.set_seller(1902, 0);
SELECT * FROM pg_temp.done WHERE action = 'set_seller';

-- nothing holds them back (test/t/057_flow.pl has the others): nothing is written down
SELECT payments.resume_merchant('acted', 'why'), payments.resume_merchant('acted');
SELECT count(*) AS resumed FROM pg_temp.done WHERE action = 'resume_merchant';

-- what is refused leaves nothing, and nor does what is rolled back
SELECT count(*) AS recorded FROM payments.operator_action \gset before_
SELECT t.code, t.message FROM unnest(ARRAY[$$set_merchant('acted-3', 'test_sk_0123456789abcdefWXYZ')$$, $$set_merchant('test_sk_0123456789abcdefWXYZ', 'test_ck_1')$$,
	$$set_merchant('acted', 'test_ck_1', 'test_sk_0123456789')$$, $$set_seller(1901, 1)$$, $$set_seller(0, 0.1)$$, $$set_merchant_limits('acted', 0)$$,
	$$set_refund_policy('acted-3', true)$$, $$resume_merchant('acted-3')$$, $$resume_merchant(NULL)$$, $$resume_merchant('acted', ' ')$$]) WITH ORDINALITY x (call, n), test.try('SELECT payments.' || call) t ORDER BY n;
SAVEPOINT changed;
SELECT payments.set_merchant('acted', 'test_ck_undone');
SELECT payments.set_seller(1901, 0.9);
ROLLBACK TO changed;
SELECT count(*) - :before_recorded AS recorded FROM payments.operator_action;

-- the table keeps the rules, too
SELECT t.code, t.message FROM unnest(ARRAY['''set_seller'', ''acted'', NULL::bigint, ''x'', NULL', '''set_seller'', NULL, 1901, NULL, NULL',
	'''set_merchant'', ''acted'', 1901, ''x'', NULL', '''set_merchant'', NULL, NULL::bigint, ''x'', NULL', '''set_merchant'', ''acted'', NULL::bigint, NULL, ''x''',
	'''set_seller'', NULL, 0, ''x'', NULL', '''set_other'', ''acted'', NULL::bigint, ''x'', NULL']) WITH ORDINALITY x (row, n),
	test.try('INSERT INTO payments.operator_action (id, action, merchant, seller_id, became, was, actor, acted_at) SELECT -1, v.*, ''me'', now() FROM (VALUES ('
		|| row || ')) v') t ORDER BY n;
ROLLBACK;
