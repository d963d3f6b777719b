--
-- refund_account: where refunds of deposits go.  What becomes of them at the PSP is
-- t/083_refund_deposits.pl's, against deposits race_deposit.spec's.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

BEGIN;
SELECT payments.set_seller(1701, 0.1);
SELECT payments.checkout(1701, '[{"seller_id": 1701, "amount": 10000}]', order_id => 'account-' || n) IS NOT NULL AS ok FROM generate_series(1, 8) n;
SELECT payments.confirm('account-' || n, 'pay_account_' || n, 10000, claim_within => CASE WHEN n >= 6 THEN interval '1 us' END) FROM generate_series(1, 8) n;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'account-%';
-- 1 to 3 and 6 to 8 were paid into accounts; 4 waits for its deposit; 5 is a card's
INSERT INTO payments.virtual_account (order_id, bank_code, account_number, issued_at)
	SELECT 'account-' || n, '20', 'X' || n, now() FROM unnest('{1, 2, 4, 6, 7, 8}'::int[]) n;
SELECT payments.resolve('account-' || n, 'succeeded', 'seen', 10000, 'pay_account_' || n) FROM unnest('{1, 2, 3, 5, 6, 7, 8}'::int[]) n;
-- of 3 that became known later
INSERT INTO payments.virtual_account (order_id, bank_code, account_number, issued_at) VALUES ('account-3', '20', 'X3', now());

CREATE FUNCTION pg_temp.refund(o text, account jsonb, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS
	$$ SELECT code, message, detail, hint FROM test.try(format('SELECT payments.refund(%L, ''x'', refund_account => %L)', o, account)) $$;
CREATE FUNCTION pg_temp.account(bank text DEFAULT '88', number text DEFAULT '0123', holder text DEFAULT 'Kim') RETURNS jsonb LANGUAGE sql AS
	$$ SELECT jsonb_build_object('bank', bank, 'account_number', number, 'holder_name', holder) $$;
CREATE VIEW pg_temp.refunds AS SELECT r.order_id, row_number() OVER (PARTITION BY r.order_id ORDER BY r.id) AS no, r.refund_status AS status, r.amount,
		r.request, a.bank, a.account_number, a.holder_name
	FROM payments.refund r LEFT JOIN payments.refund_account a ON a.refund_id = r.id AND a.order_id = r.order_id WHERE r.order_id LIKE 'account-%';

-- what is none; nothing of it is repeated in a message
\x
SELECT left(account::text, 60) AS account, r.* FROM unnest(ARRAY[NULL, 'null', '5', '"88"', '[]', '{}', '["bank"]', '{"bank": "88", "account_number": "1"}',
	'{"bank": null, "account_number": "1", "holder_name": "Kim"}', '{"bank": "88", "account_number": 1, "holder_name": "Kim"}',
	'{"bank": "88", "account_number": "1", "holder_name": ["Kim"]}', pg_temp.account() || '{"branch": "3"}', '{"bankCode": "88", "accountNumber": "1", "holderName": "Kim"}',
	pg_temp.account(bank => ''), pg_temp.account(bank => ' '), pg_temp.account(bank => 'kb'), pg_temp.account(bank => repeat('8', 21)), pg_temp.account(bank => '국민'),
	pg_temp.account(number => ''), pg_temp.account(number => ' - '), pg_temp.account(number => '12a'), pg_temp.account(number => '１２'), pg_temp.account(number => repeat('1', 21)),
	pg_temp.account(number => repeat('1-', 100000)), pg_temp.account(number => '-1.5e3'),
	pg_temp.account(holder => ''), pg_temp.account(holder => '   '), pg_temp.account(holder => E'Kim\nLee'), pg_temp.account(holder => E'Kim\x7f'),
	pg_temp.account(holder => repeat('김', 61)), pg_temp.account(holder => repeat('x', 1000000))]::jsonb[])
	WITH ORDINALITY x (account, n), pg_temp.refund('account-1', account) r ORDER BY n;

-- where it is not needed, or of no use yet
SELECT o, r.* FROM unnest('{account-0,account-4,account-5}'::text[]) o, pg_temp.refund(o, pg_temp.account()) r;
SELECT r.* FROM pg_temp.refund('account-4', NULL) r;
\x
SELECT count(*) FROM pg_temp.refunds;

-- what one looks like, and where it is kept; of each the same
SELECT payments.refund('account-1', 'x', 1000, refund_account => pg_temp.account(number => '012-345 6789'), idempotency_key => 'k') AS first \gset
SELECT payments.refund('account-1', 'x', 2000, refund_account => pg_temp.account('KOOKMIN', repeat('9', 20), repeat('김', 60))) > 0 AS ok;
SELECT payments.refund('account-3', 'x', refund_account => pg_temp.account(holder => ' O''Hara "\ ')) > 0 AS ok;
SELECT order_id, no, status, amount, request, bank, account_number, left(holder_name, 12) AS holder, length(holder_name) FROM pg_temp.refunds ORDER BY 1, 2;
SELECT count(*) AS elsewhere FROM (SELECT order_id, to_jsonb(x)::text FROM payments.refund x UNION ALL SELECT order_id, to_jsonb(x)::text FROM payments.refunds x
	UNION ALL SELECT order_id, to_jsonb(x)::text FROM payments.psp_call x UNION ALL SELECT order_id, to_jsonb(x)::text FROM payments.event x
	UNION ALL SELECT 'account-1', to_jsonb(x)::text FROM payments.explain('account-1') x) t (o, t) WHERE o LIKE 'account-%' AND t ~ '0123456789|KOOKMIN|9999999999|김김|Hara';

-- asked for again: the same, to the same account
SELECT payments.refund('account-1', 'x', 1000, refund_account => pg_temp.account(number => '0123456789'), idempotency_key => 'k') = :first AS same;
\x
SELECT code, regexp_replace(message, '\d+', '<id>') AS message, detail, hint FROM unnest(ARRAY[pg_temp.account(number => '0123456780'), pg_temp.account('89', '0123456789'),
	pg_temp.account('88', '0123456789', 'kim')]) a,
	test.try(format('SELECT payments.refund(%L, %L, 1000, refund_account => %L, idempotency_key => %L)', 'account-1', 'x', a, 'k'));
\x

-- rows stay as they are, until the refund has ended
SET LOCAL client_min_messages = warning;
SELECT x.* FROM unnest(ARRAY[$$UPDATE payments.refund_account SET bank = '89'$$, $$TRUNCATE payments.refund_account$$,
	$$INSERT INTO payments.refund_account VALUES (-1, 'account-2', '88', '1', 'Kim', now())$$]) WITH ORDINALITY s (statement, n),
	LATERAL (SELECT statement, code FROM test.try(statement || '; SET CONSTRAINTS ALL IMMEDIATE')) x ORDER BY n;
RESET client_min_messages;
SELECT payments.resolve_refund('account-1', :first, 'failed', 'withdrawn');
SELECT no, status, amount, account_number IS NOT NULL AS kept FROM pg_temp.refunds WHERE order_id = 'account-1' ORDER BY 1;
SELECT payments.refund('account-1', 'x', 1000, refund_account => pg_temp.account(number => '1'), idempotency_key => 'k') = :first AS same_as_it_was;

-- what the bank took back is not given back, until the buyer pays again
INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key, effective_at, recorded_at)
	SELECT 'account-' || n, 2, 'reversal', 10000, 'deposit:account-' || n || ':2', now(), now() FROM unnest('{2,7}'::int[]) n;
\x
SELECT r.* FROM pg_temp.refund('account-2', pg_temp.account()) r;
\x
INSERT INTO payments.deposit_movement (order_id, movement_no, kind, amount, ledger_key, effective_at, recorded_at)
	VALUES ('account-2', 3, 'deposit', 10000, 'deposit:account-2:3', now(), now());
SELECT payments.refund('account-2', 'x', refund_account => pg_temp.account()) > 0 AS ok;

-- nobody claims them: a person gives back what was paid by a deposit, unless the bank took it back
SELECT payments.refund_unclaimed();
SELECT order_id, claim_status, refund_id FROM payments.payment_claim WHERE order_id LIKE 'account-%' ORDER BY 1;
SELECT payload ->> 'order_id' AS order_id, kind FROM payments.event WHERE order_id IN ('account-6', 'account-7', 'account-8')
	AND kind IN ('payment.unclaimed', 'refund.requested') ORDER BY 1, 2;
SELECT kind, order_id, refund_id, problem, what_to_do FROM payments.waits_for_person WHERE order_id LIKE 'account-%' ORDER BY order_id;
SELECT severity, subject, detail, hint FROM payments.alerts WHERE alert = 'order_unclaimed' AND subject LIKE 'account-%' ORDER BY subject;
\x
SELECT code, message, detail, hint FROM test.try($$SELECT payments.claim('account-6')$$);
\x
SELECT payments.refund('account-6', 'x', refund_account => pg_temp.account()) AS id \gset
SELECT payments.refund('account-8', 'x', 9999, refund_account => pg_temp.account()) > 0 AS ok;
SELECT order_id, problem FROM payments.waits_for_person WHERE order_id LIKE 'account-%' ORDER BY order_id;
SELECT payments.resolve_refund('account-6', :id, 'failed', 'withdrawn');
SELECT order_id, refund_id = :id AS its_refund, problem FROM payments.waits_for_person WHERE order_id = 'account-6';
SELECT payments.refund('account-6', 'x', refund_account => pg_temp.account()) > 0 AS ok;
SELECT order_id FROM payments.waits_for_person WHERE order_id = 'account-6';
ROLLBACK;
