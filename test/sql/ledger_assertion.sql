--
-- Promise: accounts that should be zero and are not are shown, the oldest first,
-- with the oldest entry that nothing has cleared; what others say about a balance
-- is kept, and compared with the ledger of that time as it is today.
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';

CREATE ROLE regress_assertion_operator;
SELECT payments.grant_to('regress_assertion_operator', 'operator');
SET ROLE regress_assertion_operator;
CREATE FUNCTION pg_temp.move(key text, account text, amount numeric, day int) RETURNS boolean LANGUAGE sql AS $$
	SELECT payments.post('la:' || key, 'test', jsonb_build_array(jsonb_build_object('account', account, 'amount', amount),
		jsonb_build_object('account', 'equity_la:1', 'amount', - amount)), effective_at => make_timestamptz(2020, 5, day, 0, 0, 0)) > 0
$$;
CREATE VIEW pg_temp.open AS SELECT c.account, c.balance, c.open_since, c.age > '1 min' AS has_age
	FROM payments.open_clearing c WHERE account ~ 'la_';

SELECT payments.open_account('equity_la:1', 'liability') > 0 AS opened;
SELECT pg_temp.move('1', 'asset:la_transit', 100, 1), pg_temp.move('2', 'asset:la_transit', 50, 2), pg_temp.move('3', 'asset:la_transit', -100, 3),
	pg_temp.move('4', 'liability:la_fees', -7, 4), pg_temp.move('5', 'asset:la_other', 1, 1);
-- nobody said that they should be zero
SELECT * FROM pg_temp.open;
SELECT payments.set_clearing('asset:la_transit', true, 'card money on its way'), payments.set_clearing('liability:la_fees', true, 'passed on each night');
-- the first 100 are explained by the 100 that went; 50 of the second day are not
SELECT * FROM pg_temp.open;
SELECT pg_temp.move('6', 'liability:la_fees', 7, 5), pg_temp.move('7', 'asset:la_transit', -20, 6);
SELECT * FROM pg_temp.open;
-- over to the other side
SELECT pg_temp.move('8', 'asset:la_transit', -35, 7);
SELECT * FROM pg_temp.open;
SELECT pg_temp.move('9', 'asset:la_transit', 5, 8);
SELECT * FROM pg_temp.open;

-- said again it is not written again; taken back it is
SELECT payments.set_clearing('asset:la_transit', true, 'again'), payments.set_clearing('asset:la_other', false, 'never was');
SELECT payments.set_clearing('liability:la_fees', false, 'now a debt like others');
SELECT pg_temp.move('10', 'liability:la_fees', -1, 9);
SELECT * FROM pg_temp.open;
RESET ROLE;
SELECT a.code, c.clearing, c.reason, c.actor = session_user AS actor FROM payments.ledger_clearing c JOIN payments.ledger_account a ON a.id = c.account_id ORDER BY c.id;
SET ROLE regress_assertion_operator;

-- the bank says
SELECT payments.assert_balance('asset:la_transit', '2020-05-02 23:59:59', 150, 'bank statement 17') > 0 AS said,
	payments.assert_balance('asset:la_transit', '2020-05-06 00:00', 25, 'bank statement 18', 'they round') > 0 AS said,
	payments.assert_balance('asset:la_transit', '2020-04-30 00:00', 0, 'bank statement 16') > 0 AS said,
	payments.assert_balance('liability:la_fees', '2020-05-04 00:00', -7, 'invoice') > 0 AS said;
CREATE VIEW pg_temp.said AS SELECT account, as_of, amount, ledger_balance, difference, source, note, actor = session_user AS actor
	FROM payments.balance_assertions WHERE account ~ 'la_' ORDER BY account COLLATE "C", as_of;
SELECT * FROM pg_temp.said;
-- the entry that was missing comes late, and explains it
SELECT pg_temp.move('11', 'asset:la_transit', -5, 5);
SELECT account, as_of, difference FROM pg_temp.said WHERE difference <> 0;

-- refused
SELECT t.* FROM unnest(ARRAY['''asset:la_none'', now(), 1, ''s''', '''asset:la_other'', ''infinity'', 1, ''s''', '''asset:la_other'', now(), 1.5, ''s''',
	'''asset:la_other'', now(), ''NaN'', ''s''', '''asset:la_other'', now(), 1, ''''', '''asset:la_other'', NULL, 1, ''s''', '''asset:la_other'', now(), NULL, ''s''',
	'''asset:la_other'', now(), 1, NULL', '''asset:la_other'', now(), 1e15, ''s''', '''asset:la_other'', now(), 1, repeat(''s'', 1001)',
	'''asset:la_other'', now(), 1, ''s'', repeat(''s'', 1001)']) a, test.try(format('SELECT payments.assert_balance(%s)', a)) t;
SELECT t.* FROM unnest(ARRAY['''asset:la_none'', true, ''s''', '''asset:la_other'', true, ''''', '''asset:la_other'', NULL, ''s''', '''asset:la_other'', true, NULL', '''asset:la_other'', true, repeat(''s'', 1001)']) a,
	test.try(format('SELECT payments.set_clearing(%s)', a)) t;
INSERT INTO payments.balance_assertion (id, account_id, as_of, amount, source, actor, created_at) VALUES (-1, 1, now(), 1, 's', 'a', now()); -- fails
RESET ROLE;
SELECT t.* FROM unnest(ARRAY['ledger_clearing', 'balance_assertion']) r, test.try(format('DELETE FROM payments.%I', r)) t;
SELECT t.code FROM unnest(ARRAY['ledger_clearing', 'balance_assertion']) r, unnest(ARRAY['TRUNCATE payments.%I', 'UPDATE payments.%I SET id = -1']) s, test.try(format(s, r)) t;
DROP OWNED BY regress_assertion_operator;
DROP ROLE regress_assertion_operator;
