--
-- Promise: a posting by hand moves no account past its limits, what is held
-- counted, and none that is frozen or closed; what moves away from a limit is
-- welcome; and a refused posting leaves nothing.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_limits_operator;
SELECT payments.grant_to('regress_limits_operator', 'operator');
SET ROLE regress_limits_operator;
CREATE FUNCTION pg_temp.move(key text, debit text, credit text, amount numeric) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM payments.post('al:' || key, 'test', jsonb_build_array(jsonb_build_object('account', debit, 'amount', amount),
		jsonb_build_object('account', credit, 'amount', - amount)));
	RETURN 'posted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, NULLIF(detail, ''), NULLIF(hint, ''), '');
END $$;
SELECT payments.open_account('al_wallet:1', 'liability', floor => 0, ceiling => 1000) > 0,
	payments.open_account('al_till:1', 'asset', floor => -50, ceiling => 500) > 0;
\pset format unaligned
\pset tuples_only on

-- a liability: paid out by debits; an asset: by credits
SELECT pg_temp.move('1', 'asset:al_bank', 'al_wallet:1', 1000);
SELECT pg_temp.move('2', 'asset:al_bank', 'al_wallet:1', 1);
SELECT pg_temp.move('3', 'al_wallet:1', 'asset:al_bank', 1001);
SELECT pg_temp.move('4', 'al_wallet:1', 'asset:al_bank', 1000);
SELECT pg_temp.move('5', 'expense:al_rent', 'al_till:1', 51);
SELECT pg_temp.move('6', 'expense:al_rent', 'al_till:1', 50);
SELECT pg_temp.move('7', 'al_till:1', 'revenue:al_sales', 551);
SELECT pg_temp.move('8', 'al_till:1', 'revenue:al_sales', 550);
-- net of the whole transaction, whatever the order of its entries
SELECT payments.post('al:9', 'test', '[{"account": "al_till:1", "amount": 900}, {"account": "al_till:1", "amount": -1000}, {"account": "expense:al_rent", "amount": 100}]') > 0;
-- of a batch the net too, all or nothing
SELECT count(*) FROM payments.post_batch(ARRAY['al:10', 'al:11'], ARRAY['test', 'test'], ARRAY[2, 2],
	ARRAY['al_wallet:1', 'revenue:al_sales', 'asset:al_bank', 'al_wallet:1'], ARRAY[500, -500, 600, -600]);
SELECT code, message FROM test.try($$SELECT count(*) FROM payments.post_batch(ARRAY['al:12', 'al:13'], ARRAY['test', 'test'], ARRAY[2, 2],
	ARRAY['al_wallet:1', 'revenue:al_sales', 'asset:al_bank', 'al_wallet:1'], ARRAY[500, -500, 399, -399])$$);
SELECT normal_balance, available FROM payments.accounts WHERE account = 'al_wallet:1';

-- a reversal is a posting like any other
SELECT code, message FROM test.try((SELECT format('SELECT payments.reverse(%s, ''why'')', payments.post('al:14', 'test',
	'[{"account": "asset:al_bank", "amount": 50}, {"account": "al_wallet:1", "amount": -50}]')) FROM pg_temp.move('15', 'asset:al_bank', 'asset:al_other', 1)));
SELECT payments.post('al:16', 'test', '[{"account": "asset:al_bank", "amount": 30}, {"account": "al_wallet:1", "amount": -30}]') AS id \gset
SELECT pg_temp.move('17', 'al_wallet:1', 'revenue:al_sales', 120);
SELECT regexp_replace(message, '[0-9]+', 'N', 'g') FROM test.try(format('SELECT payments.reverse(%s, ''why'')', :id));
-- the key of what was refused is free, the key of what was posted is not
SELECT pg_temp.move('17', 'al_wallet:1', 'revenue:al_sales', 10);

-- what is held is gone for the floor, and does not count for the ceiling
SELECT pg_temp.move('18', 'asset:al_bank', 'al_wallet:1', 990);
SELECT payments.hold('al:h1', 'al_wallet:1', 800) > 0;
SELECT pg_temp.move('19', 'al_wallet:1', 'revenue:al_sales', 201);
SELECT pg_temp.move('20', 'al_wallet:1', 'revenue:al_sales', 200);
-- posting a hold takes what it holds, and the floor is kept by what it releases; not by more
SELECT code, message, detail FROM test.try((SELECT format($$SELECT payments.post_hold(%s, 'sale', '[{"account": "al_wallet:1", "amount": 700}, {"account": "al_till:1", "amount": 200},
	{"account": "revenue:al_sales", "amount": -900}]')$$, id) FROM payments.holds WHERE hold_key = 'al:h1'));
SELECT payments.post_hold(id, 'sale', '[{"account": "al_wallet:1", "amount": 800}, {"account": "revenue:al_sales", "amount": -800}]') > 0 FROM payments.holds WHERE hold_key = 'al:h1';
SELECT normal_balance, held, available FROM payments.accounts WHERE account = 'al_wallet:1';
-- a hold past its time is ended by the posting that needs its money; when that is refused all the same, it is not
SELECT pg_temp.move('21', 'asset:al_bank', 'al_wallet:1', 100);
SELECT payments.hold('al:h2', 'al_wallet:1', 60, expires_in => '1 ms') > 0, payments.hold('al:h3', 'al_wallet:1', 40, expires_in => '1 h') > 0;
SELECT pg_sleep(0.01) IS NULL;
SELECT pg_temp.move('22', 'al_wallet:1', 'revenue:al_sales', 61);
SELECT hold_key, status, ended_at IS NOT NULL FROM payments.holds WHERE hold_key ~ '^al:h[23]' ORDER BY 1;
SELECT pg_temp.move('23', 'al_wallet:1', 'revenue:al_sales', 60);
SELECT hold_key, status, ended_at IS NOT NULL FROM payments.holds WHERE hold_key ~ '^al:h[23]' ORDER BY 1;
SELECT normal_balance, held, available FROM payments.accounts WHERE account = 'al_wallet:1';

-- past the limit already, as payments may leave an account: towards it nothing, away from it everything
SELECT payments.set_account_limits('al_till:1', NULL, NULL, 'away');
SELECT pg_temp.move('24', 'expense:al_rent', 'al_till:1', 1000);
RESET ROLE;
UPDATE payments.ledger_balance SET floor = 0, ceiling = 10 WHERE account_id = (SELECT id FROM payments.ledger_account WHERE code = 'al_till:1');
SET ROLE regress_limits_operator;
SELECT split_part(pg_temp.move('25', 'expense:al_rent', 'al_till:1', 1), E'\n', 1);
SELECT pg_temp.move('26', 'al_till:1', 'revenue:al_sales', 1);
RESET ROLE;
UPDATE payments.ledger_balance SET floor = NULL, ceiling = NULL WHERE account_id = (SELECT id FROM payments.ledger_account WHERE code = 'al_till:1');
SET ROLE regress_limits_operator;

-- frozen: nothing in, nothing out, no hold posted, nothing reversed; a repetition finds what was posted
SELECT payments.hold('al:h4', 'al_till:1', 5) > 0;
SELECT payments.freeze_account('al_till:1', 'a theft');
SELECT pg_temp.move('27', 'al_till:1', 'revenue:al_sales', 1);
SELECT split_part(pg_temp.move('28', 'expense:al_rent', 'al_till:1', 1), E'\n', 1);
SELECT pg_temp.move('26', 'al_till:1', 'revenue:al_sales', 1);
SELECT code, message FROM test.try((SELECT format($$SELECT payments.post_hold(%s, 'sale', '[{"account": "al_till:1", "amount": -5}, {"account": "expense:al_rent", "amount": 5}]')$$, id)
	FROM payments.holds WHERE hold_key = 'al:h4'));
SELECT code, message FROM test.try($$SELECT payments.hold('al:h5', 'al_till:1', 5)$$);
RESET ROLE;
SELECT code, message FROM test.try((SELECT format('SELECT payments.reverse(%s, ''why'')', id) FROM payments.ledger_transaction WHERE transaction_key = 'al:26'));
SET ROLE regress_limits_operator;
SELECT code, message FROM test.try($$SELECT count(*) FROM payments.post_batch(ARRAY['al:29', 'al:30'], ARRAY['test', 'test'], ARRAY[2, 2],
	ARRAY['al_wallet:1', 'asset:al_bank', 'asset:al_bank', 'al_till:1'], ARRAY[-1, 1, 1, -1])$$);
-- but a hold can be released
SELECT payments.void_hold(id, 'never mind') FROM payments.holds WHERE hold_key = 'al:h4';
SELECT payments.unfreeze_account('al_till:1', 'found');
SELECT pg_temp.move('27', 'al_till:1', 'revenue:al_sales', 1);
-- striped ones: the state is in every row
SELECT payments.set_account_stripes('asset:al_bank', 64, 'why'), payments.freeze_account('asset:al_bank', 'why');
SELECT split_part(pg_temp.move('31', 'asset:al_bank', 'revenue:al_sales', 1), E'\n', 1);
SELECT payments.unfreeze_account('asset:al_bank', 'why'), payments.set_account_stripes('asset:al_bank', 1, 'why');
SELECT pg_temp.move('31', 'asset:al_bank', 'revenue:al_sales', 1);
-- closed
SELECT payments.open_account('al_gone:1', 'asset') > 0, payments.close_account('al_gone:1', 'why');
SELECT pg_temp.move('32', 'al_gone:1', 'revenue:al_sales', 1);
SELECT payments.reopen_account('al_gone:1', 'why');
SELECT pg_temp.move('32', 'al_gone:1', 'revenue:al_sales', 1);

-- in one transaction a state holds from its call on
BEGIN;
SELECT payments.freeze_account('al_gone:1', 'why');
SELECT split_part(pg_temp.move('33', 'al_gone:1', 'revenue:al_sales', 1), E'\n', 1);
SELECT payments.unfreeze_account('al_gone:1', 'why'), payments.set_account_limits('al_gone:1', NULL, 2, 'why'), payments.set_account_stripes('asset:al_bank', 8, 'why');
SELECT pg_temp.move('33', 'al_gone:1', 'asset:al_bank', 1);
SELECT split_part(pg_temp.move('34', 'al_gone:1', 'asset:al_bank', 1), E'\n', 1);
SELECT payments.set_account_stripes('asset:al_bank', 1, 'why');
SELECT pg_temp.move('34', 'revenue:al_sales', 'asset:al_bank', 1);
COMMIT;

-- A payment that was made is booked, whatever its accounts are: frozen, closed, full.
RESET ROLE;
SELECT payments.set_seller(1952, 0.1);
SELECT amount FROM payments.checkout(1951, '[{"seller_id": 1952, "amount": 700}, {"seller_id": 1953, "amount": 50}]', order_id => 'limits-1');
SELECT payments.confirm('limits-1', 'pay_limits_1', 750);
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = now() WHERE order_id = 'limits-1';
SET ROLE regress_limits_operator;
SELECT payments.open_account('psp:toss') > 0, payments.open_account('platform:commission') > 0,
	payments.open_account('buyer:1951', floor => 0, ceiling => 0) > 0, payments.open_account('seller:1952') > 0, payments.open_account('seller:1953', ceiling => 49) > 0;
SELECT payments.freeze_account(a, 'why') FROM unnest(ARRAY['psp:toss', 'platform:commission', 'buyer:1951', 'seller:1953']) a;
SELECT payments.close_account('seller:1952', 'why');
SELECT payments.resolve('limits-1', 'succeeded', 'it was paid', 750, 'pay_limits_1');
SELECT payments.unfreeze_account(a, 'why') FROM unnest(ARRAY['psp:toss', 'platform:commission']) a;

RESET ROLE;
\pset tuples_only off
\pset format aligned
SELECT account, debit, credit FROM payments.ledger WHERE order_id = 'limits-1' ORDER BY entry_no;
SELECT account, state, floor, ceiling, normal_balance, held, available FROM payments.accounts WHERE account ~ 'al_' ORDER BY account COLLATE "C";
SELECT count(*) AS transactions FROM payments.ledger_transaction WHERE transaction_key ~ '^al:';
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
DROP OWNED BY regress_limits_operator;
DROP ROLE regress_limits_operator;
