-- The ledger as its users see it: a shop's bookkeeper posts, asks, corrects,
-- and an auditor reads.
BEGIN;
SELECT plan(43);

CREATE ROLE tap_bookkeeper;
CREATE ROLE tap_auditor;
SELECT payments.grant_to('tap_bookkeeper', 'operator');
SELECT payments.grant_to('tap_auditor', 'auditor');
DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO tap_bookkeeper, tap_auditor',
	(SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pgtap')); END $$;
GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA pg_temp TO PUBLIC;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA pg_temp TO PUBLIC;

-- What there is
SELECT has_table('payments', 'ledger_account', 'accounts are a table');
SELECT has_table('payments', 'ledger_transaction', 'transactions are a table');
SELECT has_table('payments', 'ledger_entry', 'entries are a table');
SELECT has_view('payments', 'ledger', 'the journal is a view');
SELECT has_view('payments', 'account_balance', 'balances are a view');
SELECT has_view('payments', 'trial_balance', 'the trial balance is a view');
SELECT col_is_pk('payments', 'ledger_entry', ARRAY['transaction_id', 'entry_no'], 'an entry has its place in its transaction');
SELECT is_definer('payments', 'post', ARRAY['text', 'text', 'jsonb', 'text', 'timestamp with time zone', 'text', 'jsonb'], 'post runs with its owner''s rights');
SELECT volatility_is('payments', 'balance', ARRAY['text', 'timestamp with time zone', 'timestamp with time zone'], 'stable', 'balance changes nothing');
SELECT trigger_is('payments', 'ledger_entry', t, 'payments', f, t || ' guards entries') FROM (VALUES
	('ledger_entry_remember', 'ledger_entry_remember'), ('ledger_entry_zero_sum', 'ledger_entry_zero_sum'),
	('ledger_entry_forbid_change', 'forbid_change'), ('ledger_entry_forbid_truncate', 'forbid_change')) AS v (t, f);

-- A month's work
SET LOCAL ROLE tap_bookkeeper;
SELECT lives_ok($$ SELECT payments.post('rent:2026-03', 'rent', '[
	{"account": "expense:rent", "amount": 800000}, {"account": "asset:bank", "amount": -800000}]',
	effective_at => '2026-03-01 00:00+09', description => 'office, March') $$, 'rent is posted');
SELECT is(payments.post('rent:2026-03', 'rent', '[
	{"account": "expense:rent", "amount": 800000}, {"account": "asset:bank", "amount": -800000}]',
	description => 'office, March'),
	payments.post('rent:2026-03', 'rent', '[
	{"account": "expense:rent", "amount": 800000}, {"account": "asset:bank", "amount": -800000}]',
	description => 'office, March'), 'posted again it is the same transaction');
SELECT is(payments.balance('asset:bank'), -800000::numeric, 'and moved the bank account once');
SELECT throws_ok($$ SELECT payments.post('rent:2026-03', 'rent', '[
	{"account": "expense:rent", "amount": 810000}, {"account": "asset:bank", "amount": -810000}]', description => 'office, March') $$,
	'PY011', 'ledger transaction "rent:2026-03" was posted before with other content', 'another rent under the same key is refused');
SELECT throws_ok($$ SELECT payments.post('rent:2026-04', 'rent', '[
	{"account": "expense:rent", "amount": 800000}, {"account": "asset:bank", "amount": -799999}]') $$,
	'23514', 'ledger transaction "rent:2026-04" does not add up to zero', 'what does not balance is refused');
SELECT throws_ok($$ SELECT payments.balance('asset:cash') $$, 'PY012', 'account "asset:cash" does not exist', 'an account nobody posted to is unknown');
SELECT throws_ok($$ SELECT payments.post('x', 'x', '[{"account": "cash:till", "amount": 1}, {"account": "asset:bank", "amount": -1}]') $$,
	'PY012', 'cannot open account "cash:till"', 'an account of no known kind is not opened');
SELECT throws_ok($$ SELECT payments.post('x', 'x', '[{"account": "asset:bank", "amount": 1, "currency": "USD"}, {"account": "asset:bank:USD", "amount": -1, "currency": "USD"}]') $$,
	'PY013', 'cannot post USD to account "asset:bank"', 'dollars do not go into a won account');
SELECT throws_ok($$ SELECT payments.post('x', 'x', '[{"account": "asset:bank", "amount": 0.5}, {"account": "asset:safe", "amount": -0.5}]') $$,
	'22023', 'entry 1: amount has more decimal digits than its currency', 'half a won does not exist');
SELECT throws_ok($$ SELECT payments.post(NULL, 'x', '[]') $$, '22004', 'transaction_key is null', 'a key is needed');
SELECT throws_ok($$ SELECT payments.post('payment:1', 'x', '[]') $$, '22023', 'transaction_key "payment:1" is reserved', 'and not one of ours');
SELECT lives_ok($$ SELECT payments.post('fx:1', 'exchange', '[
	{"account": "asset:bank:USD", "amount": 100.25, "currency": "USD"}, {"account": "liability:fx:USD", "amount": -100.25, "currency": "USD"},
	{"account": "asset:bank", "amount": -137000}, {"account": "liability:fx", "amount": 137000}]') $$,
	'an exchange balances in both currencies');
SELECT is(payments.balance('asset:bank:USD'), 100.25, 'dollars have cents');
SELECT is(payments.balance('asset:bank'), -937000::numeric, 'both postings count');
SELECT is(payments.balance('asset:bank', '2026-02-28 23:59+09'), 0::numeric, 'before the rent there was nothing');
SELECT is(payments.balance('asset:bank', '2026-03-01 00:00+09'), -800000::numeric, 'at its time there is the rent');

-- A mistake
SELECT lives_ok($$ SELECT payments.reverse(payments.post('rent:2026-03', 'rent', '[
	{"account": "expense:rent", "amount": 800000}, {"account": "asset:bank", "amount": -800000}]', description => 'office, March'), 'paid by the landlord') $$,
	'the rent is taken back');
SELECT is(payments.balance('expense:rent'), 0::numeric, 'nothing is left of it');
SELECT throws_ok($$ SELECT payments.reverse(payments.post('rent:2026-03', 'rent', '[
	{"account": "expense:rent", "amount": 800000}, {"account": "asset:bank", "amount": -800000}]', description => 'office, March'), 'again') $$,
	'PY015', NULL, 'which is done once');
SELECT throws_ok($$ SELECT payments.reverse(-7, 'no such thing') $$, 'PY014', 'ledger transaction -7 does not exist', 'and not to a transaction that is not there');

-- Hands off.  (A table with checks still to come cannot be emptied anyway.)
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
SELECT throws_ok($$ INSERT INTO payments.ledger_entry VALUES (1, 1, 1, 2, 'KRW', 1) $$, '42501', NULL, 'a bookkeeper writes through the functions alone');
RESET ROLE;
SELECT throws_ok($$ UPDATE payments.ledger_entry SET amount = amount + 1 $$, 'PY010', 'cannot update rows of "payments.ledger_entry"', 'not even a superuser changes an entry');
SELECT throws_ok($$ DELETE FROM payments.ledger_transaction $$, 'PY010', NULL, 'or deletes a transaction');
SELECT throws_ok($$ TRUNCATE payments.ledger_entry $$, 'PY010', NULL, 'or empties the table');
SELECT throws_ok($$ UPDATE payments.ledger_account SET currency = 'USD' $$, 'PY010', NULL, 'or turns an account into another');

-- The auditor
SET LOCAL ROLE tap_auditor;
SELECT results_eq($$ SELECT account COLLATE "default", debit, credit FROM payments.ledger WHERE transaction_key = 'rent:2026-03' ORDER BY entry_no $$,
	$$ VALUES ('expense:rent', 800000::numeric, NULL::numeric), ('asset:bank', NULL, 800000) $$, 'reads the journal in columns');
SELECT results_eq($$ SELECT currency COLLATE "default", sum(debit_balance) - sum(credit_balance) FROM payments.trial_balance GROUP BY currency ORDER BY currency $$,
	$$ VALUES ('KRW', 0::numeric), ('USD', 0.00) $$, 'finds the books balanced');
SELECT is_empty($$ SELECT b.account FROM payments.account_balance b JOIN payments.trial_balance t USING (account)
	WHERE b.balance <> t.debit_balance - t.credit_balance $$, 'and every balance right');
SELECT throws_ok($$ SELECT payments.post('x', 'x', '[]') $$, '42501', NULL, 'and posts nothing');
RESET ROLE;

-- The rule itself, written past the functions
SELECT throws_ok($$
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at) VALUES (-1, 'raw', 'raw', now(), now());
	INSERT INTO payments.ledger_entry SELECT -1, id, n, 2, currency, n FROM payments.ledger_account, generate_series(1, 2) n WHERE code = 'asset:bank';
	SET CONSTRAINTS ALL IMMEDIATE $$,
	'23514', 'ledger transaction -1 does not add up to zero', 'an unbalanced transaction does not pass its constraint');
SELECT finish();
ROLLBACK;
