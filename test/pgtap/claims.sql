-- A shop sells codes for games: it takes an order only in the transaction that
-- hands a code out.  Whatever stops it in between, the buyer gets the code, or the
-- money back.
BEGIN;
SELECT plan(18);
SELECT payments.set_merchant('default', 'test_ck_story') IS NULL AS ready \gset
CREATE ROLE shop;
CREATE ROLE operator;
SELECT payments.grant_to('shop', 'application') IS NULL AS ready \gset
SELECT payments.grant_to('operator', 'operator') IS NULL AS ready \gset
CREATE TABLE code (code text PRIMARY KEY, order_id text UNIQUE);
GRANT SELECT, UPDATE ON code TO shop;
INSERT INTO code VALUES ('AAAA-1111');

-- three buyers, one code
SET ROLE shop;
SELECT is((payments.checkout(n, '[{"seller_id": 21, "amount": 9900, "name": "code"}]', order_id => 'game-000' || n)).amount, 9900::numeric, 'a code')
	FROM generate_series(1, 3) n;
SELECT throws_ok($$SELECT payments.confirm('game-0001', 'key_game_1', 9900, claim_within => '0')$$, '22023', NULL, 'no time is no time');
SELECT is(payments.confirm('game-000' || n, 'key_game_' || n, 9900, claim_within => '1 us')::text, 'EXECUTING', 'paying')
	FROM generate_series(1, 3) n;
SELECT is(payments.confirm('game-0001', 'key_game_1', 9900, claim_within => '1 us')::text, 'EXECUTING', 'a double click is the same');
SELECT throws_ok($$SELECT payments.confirm('game-0001', 'key_game_1', 9900, claim_within => '1 hour')$$, 'PY002', NULL,
	'another time is not');
SELECT throws_ok($$SELECT payments.claim('game-0001')$$, 'PY031', 'order "game-0001" cannot be claimed', 'nothing is delivered before it is paid');

-- what the worker would have learnt
RESET ROLE;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'game-%';
SET ROLE operator;
SELECT is(payments.resolve('game-000' || n, 'succeeded', 'seen', 9900, 'key_game_' || n)::text, 'SUCCESS', 'paid') FROM generate_series(1, 2) n;
SELECT is(payments.resolve('game-0003', 'failed', 'not there')::text, 'FAILURE', 'and one that was declined');

-- the first one gets the code: the code and the claim are one transaction
SET ROLE shop;
UPDATE code SET order_id = 'game-0001' WHERE order_id IS NULL;
SELECT lives_ok($$SELECT payments.claim('game-0001')$$, 'claimed');
SELECT lives_ok($$SELECT payments.claim('game-0001')$$, 'once more is the same');
-- for the second one there is none, and the shop goes on to other things; time passes
SET ROLE operator;
SELECT is(payments.refund_unclaimed(), 2, 'the second is given back, and the third was not paid');
SET ROLE shop;
SELECT throws_ok($$SELECT payments.claim('game-0002')$$, 'PY037', 'order "game-0002" was not claimed in time', 'too late to deliver it');
SELECT results_eq($$SELECT order_id = 'game-0002', amount, status::text, origin = 'claim' FROM payments.refunds WHERE order_id LIKE 'game-%'$$,
	$$VALUES (true, 9900::numeric, 'EXECUTING', true)$$, 'the money is on its way back');

SELECT * FROM finish();
ROLLBACK;
