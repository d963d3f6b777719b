--
-- Promise: limits, states and stripes of an account change by an operator's call
-- only, each recorded; what contradicts the account's present state is refused,
-- and then nothing has changed.  A call that is repeated changes and records
-- nothing.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_account_operator;
SELECT payments.grant_to('regress_account_operator', 'operator');
SET ROLE regress_account_operator;
CREATE VIEW pg_temp.now AS SELECT account, state, mode, stripes, floor, ceiling, normal_balance AS normal, held, available,
	state_reason, state_since IS NOT NULL AS dated
	FROM payments.accounts WHERE account ~ 'as_' ORDER BY account COLLATE "C";

SELECT payments.post('as:1', 'test', '[{"account": "asset:as_bank", "amount": 1000}, {"account": "liability:as_deposits", "amount": -1000}]') > 0 AS posted;

-- limits: on the normal side of either kind
SELECT payments.set_account_limits('liability:as_deposits', 1000, 1000, 'as it is');
SELECT payments.set_account_limits('asset:as_bank', -500, NULL, 'an overdraft');
SELECT * FROM pg_temp.now;
SELECT v.arguments, t.* FROM (VALUES
	($$'liability:as_deposits', 1001, NULL$$),
	($$'liability:as_deposits', NULL, 999$$),
	($$'asset:as_bank', 1001, NULL$$),
	($$'asset:as_bank', NULL, 999$$),
	($$'asset:as_bank', 5, 4$$),
	($$'asset:as_bank', 0.5, NULL$$),
	($$'asset:as_nothing', 5, NULL$$),
	($$NULL, 5, NULL$$)) AS v (arguments),
	test.try(format('SELECT payments.set_account_limits(%s, ''why'')', arguments)) t;
SELECT t.* FROM test.try('SELECT payments.set_account_limits(''asset:as_bank'', 0, NULL, NULL)') t;
SELECT t.* FROM test.try('SELECT payments.set_account_limits(''asset:as_bank'', 0, NULL, '''')') t;

-- stripes: not with limits; limits and holds not with stripes
SELECT t.* FROM test.try('SELECT payments.set_account_stripes(''asset:as_bank'', 4, ''why'')') t;
SELECT payments.set_account_stripes('asset:as_bank', 1, 'already so');
SELECT payments.set_account_limits('asset:as_bank', NULL, NULL, 'hot');
SELECT payments.set_account_stripes('asset:as_bank', 4, 'hot');
SELECT t.* FROM test.try('SELECT payments.set_account_limits(''asset:as_bank'', 0, NULL, ''why'')') t;
SELECT t.* FROM test.try('SELECT payments.hold(''as:1'', ''asset:as_bank'', 5)') t;
SELECT v.n, t.code, t.message, t.detail FROM unnest(ARRAY['0', '65', '-1', 'NULL']) WITH ORDINALITY v (n, i),
	test.try(format('SELECT payments.set_account_stripes(''asset:as_bank'', %s, ''why'')', n)) t ORDER BY i;
-- rows are there and gone, the balance stays
CREATE FUNCTION pg_temp.rows() RETURNS text LANGUAGE sql AS $$
	SELECT count(*) || ' rows of ' || string_agg(DISTINCT stripes::text, ' and ') || ', numbers ' || min(stripe) || ' to ' || max(stripe)
		|| ', sum ' || sum(b.balance) || ', state ' || string_agg(DISTINCT b.state, ' and ')
	FROM payments.ledger_balance b JOIN payments.ledger_account a ON a.id = b.account_id WHERE a.code = 'asset:as_bank'
$$;
RESET ROLE;
SELECT pg_temp.rows();
UPDATE payments.ledger_balance b SET balance = CASE stripe WHEN 0 THEN 1000 - 111 ELSE 37 END
	FROM payments.ledger_account a WHERE a.id = b.account_id AND a.code = 'asset:as_bank';
SET ROLE regress_account_operator;
SELECT payments.set_account_stripes('asset:as_bank', 3, 'less');
RESET ROLE;
SELECT pg_temp.rows();
SELECT stripe, balance FROM payments.ledger_balance b JOIN payments.ledger_account a ON a.id = b.account_id
	WHERE a.code = 'asset:as_bank' ORDER BY stripe;
SELECT payments.set_account_stripes('asset:as_bank', 64, 'more');
SELECT pg_temp.rows();
SET ROLE regress_account_operator;

-- states, of all rows
SELECT payments.freeze_account('asset:as_bank', 'a court order');
RESET ROLE;
SELECT pg_temp.rows();
SET ROLE regress_account_operator;
SELECT payments.set_account_stripes('asset:as_bank', 1, 'cold');
SELECT payments.set_account_limits('asset:as_bank', 0, NULL, 'also while it is frozen');
SELECT * FROM pg_temp.now;
SELECT t.code, t.message, replace(t.detail, session_user, 'ROLE') AS detail, t.hint FROM unnest(ARRAY['freeze_account(''asset:as_bank''', 'close_account(''asset:as_bank''', 'reopen_account(''asset:as_bank''',
	'unfreeze_account(''liability:as_deposits''', 'reopen_account(''liability:as_deposits''', 'close_account(''liability:as_deposits''',
	'freeze_account(''asset:as_nothing''', 'freeze_account(NULL']) f, test.try('SELECT payments.' || f || ', ''why'')') t;
SELECT t.code, t.message FROM unnest(ARRAY['NULL', '''''', 'repeat(''x'', 1001)']) r, test.try(format('SELECT payments.freeze_account(''asset:as_bank'', %s)', r)) t;
SELECT payments.unfreeze_account('asset:as_bank', 'lifted');
-- closing needs an empty account: no balance, no hold
SELECT payments.open_account('asset:as_till', floor => -100) > 0 AS opened;
SELECT payments.hold('as:till', 'asset:as_till', 60) AS hold \gset
SELECT t.* FROM test.try('SELECT payments.close_account(''asset:as_till'', ''why'')') t;
SELECT t.code, t.detail FROM test.try('SELECT payments.set_account_limits(''asset:as_till'', -59, NULL, ''why'')') t;
SELECT payments.set_account_limits('asset:as_till', NULL, NULL, 'no limit');
SELECT t.* FROM test.try('SELECT payments.set_account_stripes(''asset:as_till'', 2, ''why'')') t;
SELECT payments.void_hold(:hold, 'not needed');
SELECT payments.close_account('asset:as_till', 'sold');
SELECT t.code, t.message FROM unnest(ARRAY['freeze_account(''asset:as_till'', ', 'unfreeze_account(''asset:as_till'', ', 'close_account(''asset:as_till'', ',
	'set_account_limits(''asset:as_till'', 0, NULL, ', 'set_account_stripes(''asset:as_till'', 1, ']) f, test.try('SELECT payments.' || f || '''why'')') t;
SELECT t.code, t.message, t.hint FROM test.try('SELECT payments.hold(''as:till2'', ''asset:as_till'', 60)') t;
SELECT * FROM pg_temp.now;
SELECT payments.reopen_account('asset:as_till', 'bought back');
-- a hold that is past its time does not stand in the way
SELECT payments.hold('as:till3', 'asset:as_till', 60, expires_in => '1 ms') > 0 AS held;
SELECT pg_sleep(0.01);
SELECT payments.close_account('asset:as_till', 'sold again');
SELECT status FROM payments.holds WHERE hold_key = 'as:till3';

-- repeated: each is recorded once
SELECT payments.close_account('asset:as_till', 'sold again');
SELECT t.code, t.message FROM test.try('SELECT payments.close_account(''asset:as_till'', ''sold'')') t;
SELECT payments.reopen_account('asset:as_till', 'bought again');
SELECT payments.reopen_account('asset:as_till', 'bought again');
SELECT t.code, t.message FROM test.try('SELECT payments.reopen_account(''asset:as_till'', ''bought back'')') t;
SELECT payments.set_account_limits('asset:as_till', -7, 70, 'small');
SELECT payments.set_account_limits('asset:as_till', -7.0, 70, 'as small');
SELECT t.code, t.message FROM test.try('SELECT payments.unfreeze_account(''asset:as_till'', ''bought again'')') t;
SELECT payments.reopen_account('asset:as_till', 'bought again');
SELECT payments.freeze_account('asset:as_till', 'for now');
SELECT payments.freeze_account('asset:as_till', 'for now');
SELECT payments.set_account_limits('asset:as_till', NULL, NULL, 'stripes');
SELECT payments.set_account_stripes('asset:as_till', 2, 'two');
SELECT payments.set_account_stripes('asset:as_till', 2, 'two');
SELECT payments.freeze_account('asset:as_till', 'for now');
SELECT payments.set_account_stripes('asset:as_till', 3, 'three');

-- all that happened
RESET ROLE;
SELECT a.code, e.event, e.state, e.stripes, e.floor, e.ceiling, e.reason
FROM payments.ledger_account_event e JOIN payments.ledger_account a ON a.id = e.account_id WHERE a.code ~ 'as_' ORDER BY e.id;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
-- it rolls back with its transaction
BEGIN;
SELECT payments.freeze_account('asset:as_bank', 'by mistake');
ROLLBACK;
SELECT state FROM payments.accounts WHERE account = 'asset:as_bank';
-- and goes through two phases
BEGIN;
SELECT payments.freeze_account('asset:as_bank', 'for good');
PREPARE TRANSACTION 'as:freeze';
COMMIT PREPARED 'as:freeze';
SELECT state FROM payments.accounts WHERE account = 'asset:as_bank';
BEGIN READ ONLY;
\set VERBOSITY sqlstate
SELECT payments.unfreeze_account('asset:as_bank', 'why'); -- fails
\set VERBOSITY default
ROLLBACK;
SELECT payments.unfreeze_account('asset:as_bank', 'done') IS NOT NULL AS done;

DROP OWNED BY regress_account_operator;
DROP ROLE regress_account_operator;
