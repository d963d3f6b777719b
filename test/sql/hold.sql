--
-- Promise: a hold reserves part of what is available above the floor; it is made
-- once per key, and ends once: posted in full or in part, voided, or expired.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_hold_operator;
SELECT payments.grant_to('regress_hold_operator', 'operator');
SET ROLE regress_hold_operator;
CREATE VIEW pg_temp.now AS SELECT account, floor, normal_balance AS normal, held, available
	FROM payments.accounts WHERE account ~ '^(ho_|asset:ho_|revenue:ho_)' ORDER BY account COLLATE "C";
-- ids are whatever they are
CREATE FUNCTION pg_temp.try(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS $$
	SELECT t.code, regexp_replace(t.message, '(hold:?) ?[0-9]+', '\1 N'), regexp_replace(t.detail, 'Hold [0-9]+', 'Hold N'), t.hint FROM test.try(statement) t
$$;

SELECT payments.open_account('ho_wallet:7', 'liability', floor => 0) > 0 AS opened;
SELECT payments.post('ho:1', 'test', '[{"account": "asset:ho_bank", "amount": 1000}, {"account": "ho_wallet:7", "amount": -1000}]') > 0 AS posted;

-- reserve
SELECT payments.hold('ho:a', 'ho_wallet:7', 600, order_id => 'ho-order', description => 'a bicycle', metadata => '{"n": 1}') AS a \gset
SELECT payments.hold('ho:b', 'ho_wallet:7', 400, 'KRW', expires_in => '1 month 1 day') AS b \gset
SELECT * FROM pg_temp.now;
-- not one won more
SELECT t.* FROM pg_temp.try('SELECT payments.hold(''ho:c'', ''ho_wallet:7'', 1)') t;
-- an account without a floor lends
SELECT payments.hold('ho:bank', 'asset:ho_bank', 5000) AS bank \gset
SELECT * FROM pg_temp.now;

-- but not without end: a sum that nobody can read would stop all postings
BEGIN;
SELECT count(payments.hold('ho:max:' || n, 'asset:ho_bank', 999999999999999)) FROM generate_series(1, 8) n;
SELECT t.* FROM pg_temp.try('SELECT payments.hold(''ho:max'', ''asset:ho_bank'', 999999999999999)') t;
SELECT payments.post('ho:max', 'test', '[{"account": "asset:ho_bank", "amount": 1}, {"account": "ho_wallet:7", "amount": -1}]') > 0 AS posted;
ROLLBACK;

-- repeated
SELECT payments.hold('ho:a', 'ho_wallet:7', 600, 'KRW', NULL, 'ho-order', 'a bicycle', '{"n":1}') = :a AS same;
SELECT payments.hold('ho:b', 'ho_wallet:7', 400, expires_in => '1 month 1 day') = :b AS same;
SELECT t.* FROM pg_temp.try($$SELECT payments.hold('ho:a', 'asset:ho_bank', 601, 'KRW', '1 h', 'ho-other', 'a car', '{"n": 2}')$$) t;
SELECT t.code, t.detail FROM pg_temp.try($$SELECT payments.hold('ho:b', 'ho_wallet:7', 400)$$) t;
SELECT t.code, t.detail FROM pg_temp.try($$SELECT payments.hold('ho:b', 'ho_wallet:7', 400, expires_in => '1 month 2 days')$$) t;

-- what is not meant
SELECT v.arguments, t.code, t.message, t.detail FROM (VALUES
	($$NULL, 'ho_wallet:7', 1$$),
	($$'ho:x', NULL, 1$$),
	($$'ho:x', 'ho_wallet:7', NULL$$),
	($$'', 'ho_wallet:7', 1$$),
	($$repeat('x', 201), 'ho_wallet:7', 1$$),
	($$'ho:x', 'ho_wallet:8', 1$$),
	($$'ho:x', 'seller:920001', 1$$),
	($$'ho:x', 'ho_wallet:7', 0$$),
	($$'ho:x', 'ho_wallet:7', -1$$),
	($$'ho:x', 'ho_wallet:7', 0.5$$),
	($$'ho:x', 'ho_wallet:7', 1e15$$),
	($$'ho:x', 'ho_wallet:7', 'NaN'$$),
	($$'ho:x', 'ho_wallet:7', 1, 'USD'$$),
	($$'ho:x', 'ho_wallet:7', 1, expires_in => '0'$$),
	($$'ho:x', 'ho_wallet:7', 1, expires_in => '-1 s'$$),
	($$'ho:x', 'ho_wallet:7', 1, expires_in => '1 month -1 day'$$),
	($$'ho:x', 'ho_wallet:7', 1, expires_in => '121 months'$$),
	($$E'ho:\r', 'ho_wallet:7', 1$$),
	($$'ho:x', 'ho_wallet:7', 1, order_id => E'o\x7f'$$),
	($$'ho:x', 'ho_wallet:7', 1, order_id => ''$$),
	($$'ho:x', 'ho_wallet:7', 1, order_id => repeat('o', 65)$$)) AS v (arguments),
	test.try(format('SELECT payments.hold(%s)', arguments)) t;

-- post a part: the rest is free again
SELECT payments.post_hold(:a, 'sale', '[{"account": "ho_wallet:7", "amount": 550}, {"account": "revenue:ho_sales", "amount": -550}]',
	'2026-01-02 03:04:05+00', 'a bicycle, used', '{"n": 3}') AS tx \gset
SELECT * FROM pg_temp.now;
RESET ROLE;
SELECT transaction_key = 'hold:' || :a AS key, kind, order_id, effective_at AT TIME ZONE 'UTC' AS effective_at, account, debit, credit, description
FROM payments.ledger WHERE transaction_id = :tx ORDER BY entry_no;
SET ROLE regress_hold_operator;
-- repeated, also without saying when
SELECT payments.post_hold(:a, 'sale', '[{"account": "ho_wallet:7", "amount": 550}, {"account": "revenue:ho_sales", "amount": -550}]',
	NULL, 'a bicycle, used', '{"n": 3}') = :tx AS same;
SELECT t.* FROM pg_temp.try(format($$SELECT payments.post_hold(%s, 'sold', '[{"account": "ho_wallet:7", "amount": 551}, {"account": "revenue:ho_sales", "amount": -551}]')$$, :a)) t;
SELECT * FROM pg_temp.now;
-- the key is nobody else's
SELECT t.code, t.message FROM pg_temp.try($$SELECT payments.post('hold:1', 'test', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "asset:ho_bank", "amount": -1}]')$$) t;
-- ended is ended
SELECT t.* FROM pg_temp.try(format('SELECT payments.void_hold(%s, ''why'')', :a)) t;

-- what posting refuses: the hold stays as it was
SELECT v.arguments, t.code, t.message, t.detail, t.hint FROM (VALUES
	($$NULL, 'sale', '[]'$$),
	($$:b, NULL, '[]'$$),
	($$:b, 'sale', NULL$$),
	($$-1, 'sale', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]'$$),
	($$:b, 'payment.captured', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]'$$),
	($$:b, 'Sale', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]'$$),
	($$:b, 'sale', '{}'$$),
	($$:b, 'sale', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -2}]'$$),
	($$:b, 'sale', '[{"account": "asset:ho_bank", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]'$$),
	($$:b, 'sale', '[{"account": "asset:ho_bank", "amount": 1}, {"account": "ho_wallet:7", "amount": -1}]'$$),
	($$:b, 'sale', '[{"account": "ho_wallet:7", "amount": 401}, {"account": "revenue:ho_sales", "amount": -401}]'$$),
	($$:b, 'sale', '[{"account": "ho_wallet:7", "amount": 400}, {"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -401}]'$$),
	($$:b, 'sale', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]', 'infinity'$$)) AS v (arguments),
	pg_temp.try(format('SELECT payments.post_hold(%s)', replace(arguments, ':b', :b::text))) t;
SELECT status, posted_amount FROM payments.holds WHERE id = :b;
-- net of what it takes and gives
SELECT payments.post_hold(:b, 'sale', '[{"account": "ho_wallet:7", "amount": 500}, {"account": "ho_wallet:7", "amount": -100}, {"account": "revenue:ho_sales", "amount": -400}]') > 0 AS posted;
SELECT * FROM pg_temp.now;
-- an account that is normally in debit is taken from by a credit
SELECT t.code, t.message, t.hint FROM pg_temp.try(format($$SELECT payments.post_hold(%s, 'payout', '[{"account": "asset:ho_bank", "amount": 100}, {"account": "ho_wallet:7", "amount": -100}]')$$, :bank)) t;
SELECT payments.post_hold(:bank, 'payout', '[{"account": "asset:ho_bank", "amount": -300}, {"account": "expense:ho_rent", "amount": 300}]') > 0 AS posted;
SELECT * FROM pg_temp.now;

-- void, once for one reason
SELECT payments.hold('ho:v', 'ho_wallet:7', 50) AS v \gset
SELECT payments.void_hold(:v, 'sold out');
SELECT payments.void_hold(:v, 'sold out');
SELECT t.* FROM pg_temp.try(format('SELECT payments.void_hold(%s, ''another reason'')', :v)) t;
SELECT t.code, t.message FROM pg_temp.try(format($$SELECT payments.post_hold(%s, 'sale', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]')$$, :v)) t;
SELECT payments.hold('ho:v', 'ho_wallet:7', 50) = :v AS same_and_still_voided;
SELECT t.code, t.message FROM unnest(ARRAY['NULL, ''why''', ':v, NULL', ':v, ''''', ':v, repeat(''x'', 1001)', '-1, ''why''']) a,
	pg_temp.try(format('SELECT payments.void_hold(%s)', replace(a, ':v', :v::text))) t;
SELECT * FROM pg_temp.now;

-- expire: what is past its time counts no more, whether that was written or not
SELECT payments.hold('ho:e1', 'ho_wallet:7', 30, expires_in => '1 ms') AS e1,
	payments.hold('ho:e2', 'asset:ho_bank', 20, expires_in => '1 ms') AS e2, payments.hold('ho:e3', 'ho_wallet:7', 20, expires_in => '1 h') AS e3 \gset
SELECT pg_sleep(0.01);
SELECT hold_key, status, ended_at IS NOT NULL AS written FROM payments.holds WHERE id IN (:e1, :e2, :e3) ORDER BY id;
SELECT * FROM pg_temp.now;
SELECT t.code, t.message, t.hint FROM pg_temp.try(format($$SELECT payments.post_hold(%s, 'sale', '[{"account": "ho_wallet:7", "amount": 1}, {"account": "revenue:ho_sales", "amount": -1}]')$$, :e1)) t;
-- a hold that needs its money ends it
SELECT payments.hold('ho:f', 'ho_wallet:7', 30) AS f \gset
SELECT hold_key, status, ended_at IS NOT NULL AS written FROM payments.holds WHERE id IN (:e1, :e2, :e3) ORDER BY id;
SELECT payments.expire_holds(0); -- fails
SELECT payments.expire_holds(NULL); -- fails
SELECT payments.expire_holds();
SELECT payments.expire_holds();
SELECT t.code, t.message FROM pg_temp.try(format('SELECT payments.void_hold(%s, ''why'')', :e1)) t;
SELECT hold_key, account, currency, amount, status, posted_amount, transaction_id IS NOT NULL AS has_transaction, reason, order_id, description, metadata
FROM payments.holds WHERE hold_key ~ '^ho:' ORDER BY id;
SELECT * FROM pg_temp.now;
-- the oldest first, not all at once
SELECT payments.void_hold(:f, 'make room') FROM payments.void_hold(:e3, 'make room');
SELECT count(payments.hold('ho:many' || n, 'ho_wallet:7', n, expires_in => n * interval '1 ms')) FROM generate_series(1, 5) n;
SELECT pg_sleep(0.02);
SELECT payments.expire_holds(2), payments.expire_holds(2), payments.expire_holds(2), payments.expire_holds(2);

-- all or nothing with the caller's transaction
BEGIN;
SELECT payments.hold('ho:r', 'ho_wallet:7', 50) > 0 AS held;
SAVEPOINT s;
SELECT payments.void_hold(id, 'why') FROM payments.holds WHERE hold_key = 'ho:r';
ROLLBACK TO s;
SELECT status FROM payments.holds WHERE hold_key = 'ho:r';
ROLLBACK;
SELECT count(*) FROM payments.holds WHERE hold_key = 'ho:r';
SELECT held FROM payments.accounts WHERE account = 'ho_wallet:7';
-- and in two phases
BEGIN;
SELECT payments.hold('ho:p', 'ho_wallet:7', 50) > 0 AS held;
PREPARE TRANSACTION 'ho:p';
COMMIT PREPARED 'ho:p';
SELECT status FROM payments.holds WHERE hold_key = 'ho:p';

-- rows never change
RESET ROLE;
\set VERBOSITY sqlstate
UPDATE payments.ledger_hold SET amount = 1; -- fails
DELETE FROM payments.ledger_hold; -- fails
TRUNCATE payments.ledger_hold CASCADE; -- fails
UPDATE payments.ledger_hold_end SET outcome = 'voided'; -- fails
DELETE FROM payments.ledger_hold_end; -- fails
TRUNCATE payments.ledger_hold_end; -- fails
-- and the tables know what an end is
INSERT INTO payments.ledger_hold_end VALUES (:e1, 'voided', NULL, NULL, 'twice', 'me', now()); -- fails
INSERT INTO payments.ledger_hold_end SELECT id, 'posted', 5, NULL, NULL, 'me', now() FROM payments.ledger_hold WHERE hold_key = 'ho:p'; -- fails
INSERT INTO payments.ledger_hold_end SELECT id, 'voided', NULL, NULL, NULL, 'me', now() FROM payments.ledger_hold WHERE hold_key = 'ho:p'; -- fails
\set VERBOSITY default
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;

DROP OWNED BY regress_hold_operator;
DROP ROLE regress_hold_operator;
