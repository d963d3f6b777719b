--
-- Promise: whatever is done to the cache of balances, states and open holds,
-- payments.rebuild_balances() builds it anew from what never changes, says what
-- it changed, and leaves alone what is right.  (It looks many times, so it comes
-- before the tests that fill the books; over all that they do: rebuild_all.)
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT payments.open_account('rb_wallet:1', 'liability', floor => 0, ceiling => 5000) > 0,
	payments.open_account('rb_hot:1', 'asset', stripes => 4) > 0, payments.open_account('rb_idle:1', 'asset') > 0;
SELECT payments.post('rb:1', 'test', '[{"account": "rb_hot:1", "amount": 1000}, {"account": "rb_wallet:1", "amount": -900},
	{"account": "psp:rb_implicit", "amount": -100}]') > 0 AS posted;
SELECT payments.hold('rb:1', 'rb_wallet:1', 300) > 0, payments.hold('rb:2', 'rb_wallet:1', 200) > 0;
SELECT payments.void_hold(id, 'why') FROM payments.holds WHERE hold_key = 'rb:2';
SELECT payments.freeze_account('rb_idle:1', 'why');
-- not on the stripe of whatever process this is
UPDATE payments.ledger_balance SET balance = CASE stripe WHEN 0 THEN 1000 ELSE 0 END
	WHERE account_id = (SELECT id FROM payments.ledger_account WHERE code = 'rb_hot:1');

CREATE FUNCTION pg_temp.image() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', a.code, count(*), string_agg(DISTINCT b.stripes::text, '/'), string_agg(DISTINCT b.state, '/'), max(b.floor), max(b.ceiling),
		sum(b.held), sum(b.balance))
	FROM payments.ledger_account a LEFT JOIN payments.ledger_balance b ON b.account_id = a.id WHERE a.code ~ 'rb_' GROUP BY a.code
	UNION ALL SELECT concat_ws(' ', h.hold_key, o.amount, a.code, o.expires_at)
	FROM payments.ledger_hold_open o JOIN payments.ledger_hold h ON h.id = o.hold_id JOIN payments.ledger_account a ON a.id = o.account_id WHERE a.code ~ 'rb_'
$$;
-- plans for as many rows as other tests have left
ANALYZE payments.ledger_account, payments.ledger_transaction, payments.ledger_entry, payments.ledger_balance;
-- what other tests have inserted by hand, and then nothing more
SELECT count(*) >= 0 AS done FROM payments.rebuild_balances();
SELECT count(*) FROM payments.rebuild_balances();
CREATE TEMP TABLE before AS SELECT i FROM pg_temp.image() i;

-- break it in every way, one after the other and all at once
CREATE TEMP TABLE way (n int, statement text);
INSERT INTO way VALUES
	(1, 'UPDATE payments.ledger_balance b SET balance = balance + 1 FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_wallet:1'''),
	(2, 'UPDATE payments.ledger_balance b SET held = 7 FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_wallet:1'''),
	(3, 'UPDATE payments.ledger_balance b SET floor = NULL FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_wallet:1'''),
	(4, 'UPDATE payments.ledger_balance b SET ceiling = 5001 FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_wallet:1'''),
	(5, 'UPDATE payments.ledger_balance b SET state = ''o'' FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_idle:1'''),
	(6, 'UPDATE payments.ledger_balance b SET state = ''c'' FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_hot:1'' AND stripe = 2'),
	(7, 'DELETE FROM payments.ledger_balance b USING payments.ledger_account a WHERE a.id = account_id AND code = ''rb_hot:1'' AND stripe IN (0, 3)'),
	(8, 'DELETE FROM payments.ledger_balance b USING payments.ledger_account a WHERE a.id = account_id AND code = ''rb_hot:1'''),
	(9, 'DELETE FROM payments.ledger_balance b USING payments.ledger_account a WHERE a.id = account_id AND code = ''psp:rb_implicit'''),
	(10, 'UPDATE payments.ledger_balance b SET stripes = 2 FROM payments.ledger_account a WHERE a.id = account_id AND code = ''rb_idle:1'''),
	(11, 'INSERT INTO payments.ledger_balance SELECT id, 1, 2, ''o'', NULL, NULL, 0, 5 FROM payments.ledger_account WHERE code = ''rb_idle:1'''),
	(12, 'DELETE FROM payments.ledger_hold_open'),
	(13, 'INSERT INTO payments.ledger_hold_open SELECT id, account_id, amount, expires_at FROM payments.ledger_hold WHERE hold_key = ''rb:2'''),
	(14, 'UPDATE payments.ledger_hold_open o SET amount = 5 FROM payments.ledger_hold h WHERE h.id = hold_id AND hold_key = ''rb:1''');
CREATE FUNCTION pg_temp.repair(statements text, OUT noticed bigint, OUT account text, OUT was text, OUT became text, OUT as_before boolean, OUT broken bigint) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statements;
	SELECT count(*) INTO noticed FROM payments.verify() v WHERE NOT v.holds;
	FOR account, was, became IN SELECT r.* FROM payments.rebuild_balances() r WHERE r.account ~ 'rb_' LOOP
		as_before := NOT EXISTS (TABLE before EXCEPT SELECT i FROM pg_temp.image() i) AND NOT EXISTS (SELECT i FROM pg_temp.image() i EXCEPT TABLE before);
		SELECT count(*) INTO broken FROM payments.verify() v WHERE NOT v.holds;
		RETURN NEXT;
	END LOOP;
	IF account IS NULL THEN
		as_before := NOT EXISTS (TABLE before EXCEPT SELECT i FROM pg_temp.image() i) AND NOT EXISTS (SELECT i FROM pg_temp.image() i EXCEPT TABLE before);
		SELECT count(*) INTO broken FROM payments.verify() v WHERE NOT v.holds;
		RETURN NEXT;
	END IF;
END $$;
SELECT w.n, r.* FROM way w, pg_temp.repair(w.statement) r ORDER BY w.n, r.account COLLATE "C";
SELECT r.account, r.became, r.as_before, r.broken FROM pg_temp.repair((SELECT string_agg(statement, '; ' ORDER BY n) FROM way WHERE n NOT IN (10, 11))) r
	ORDER BY r.account COLLATE "C";
SELECT count(*) FROM payments.rebuild_balances();

-- not from a snapshot that may be older than the lock
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM payments.rebuild_balances(); -- fails
ROLLBACK;
-- an operator may
CREATE ROLE regress_rebuild_operator;
SELECT payments.grant_to('regress_rebuild_operator', 'operator');
SET ROLE regress_rebuild_operator;
SELECT count(*) FROM payments.rebuild_balances();
-- and is told what to do when rows are missing
RESET ROLE;
BEGIN;
DELETE FROM payments.ledger_balance b USING payments.ledger_account a WHERE a.id = account_id AND code = 'rb_idle:1';
\set VERBOSITY default
SELECT payments.unfreeze_account('rb_idle:1', 'why'); -- fails
ROLLBACK;
-- so is who posts, when the first row promises one that is not there
BEGIN;
DELETE FROM payments.ledger_balance b USING payments.ledger_account a WHERE a.id = account_id AND code = 'rb_hot:1' AND stripe > 0;
UPDATE payments.ledger_balance SET stripes = (SELECT min(s) FROM generate_series(2, 64) s WHERE pg_backend_pid() % s <> 0)
	WHERE account_id = (SELECT id FROM payments.ledger_account WHERE code = 'rb_hot:1');
SELECT payments.post('rb:2', 'test', '[{"account": "rb_hot:1", "amount": 1}, {"account": "rb_wallet:1", "amount": -1}]'); -- fails
ROLLBACK;
-- or when there is none that says whether the account is frozen
BEGIN;
DELETE FROM payments.ledger_balance b USING payments.ledger_account a WHERE a.id = account_id AND code = 'rb_idle:1';
SELECT payments.post('rb:2', 'test', '[{"account": "rb_idle:1", "amount": 1}, {"account": "rb_wallet:1", "amount": -1}]'); -- fails
ROLLBACK;
SELECT payments.void_hold(id, 'why') FROM payments.holds WHERE hold_key = 'rb:1';
DROP OWNED BY regress_rebuild_operator;
DROP ROLE regress_rebuild_operator;
