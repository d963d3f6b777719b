-- Promise: a balance is the sum of the account's entries, now or as of a time;
-- in a statement it is that of the statement's snapshot.
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT payments.post('ba:' || m, 'test', jsonb_build_array(
		jsonb_build_object('account', 'psp:ba_toss', 'amount', 100 * m),
		jsonb_build_object('account', 'liability:930001', 'amount', -100 * m)),
	effective_at => make_timestamptz(2026, m, 1, 0, 0, 0, 'UTC')) > 0 AS posted
FROM generate_series(1, 4) m;

SELECT payments.balance('psp:ba_toss'), payments.balance('liability:930001');
SELECT at, payments.balance('psp:ba_toss', at), payments.balance('liability:930001', at)
FROM (VALUES ('-infinity'::timestamptz), ('2025-12-31 23:59:59.999999+00'), ('2026-01-01 00:00+00'),
	('2026-03-01 08:59:59.999999+09'), ('2026-03-01 09:00+09'), ('infinity')) AS v (at);

-- Posted later, effective earlier: the past shows it, as an accountant wants.
SELECT payments.post('ba:late', 'test', '[{"account": "psp:ba_toss", "amount": 7}, {"account": "liability:930001", "amount": -7}]',
	effective_at => '2026-01-15 00:00+00') > 0 AS posted;
SELECT payments.balance('psp:ba_toss', '2026-02-01 00:00+00'), payments.balance('psp:ba_toss');

-- A hot account's balance is spread over rows, and read as one.
SELECT a.code, max(b.stripes) AS stripes, count(*) = max(b.stripes) AS all_rows, sum(b.balance)
FROM payments.ledger_account a JOIN payments.ledger_balance b ON b.account_id = a.id
WHERE a.code IN ('psp:ba_toss', 'liability:930001') GROUP BY a.id ORDER BY a.code;

-- STABLE: it does not see what the same statement posts.
SELECT payments.balance('psp:ba_toss') AS before,
	payments.post('ba:same', 'test', '[{"account": "psp:ba_toss", "amount": 1}, {"account": "liability:930001", "amount": -1}]') > 0 AS posted,
	payments.balance('psp:ba_toss') AS same_statement;
SELECT payments.balance('psp:ba_toss') AS next_statement;

-- Every balance of the ledger agrees with its entries, and the views with it.
SELECT count(*) AS wrong FROM payments.ledger_account a
WHERE payments.balance(a.code) IS DISTINCT FROM
	(SELECT COALESCE(sum(e.amount), 0) FROM payments.ledger_entry e WHERE e.account_id = a.id)
	AND a.code ~ '(ba_|93000|po_|pr_)';
SELECT count(*) AS wrong FROM payments.account_balance v
WHERE v.balance IS DISTINCT FROM payments.balance(v.account);
SELECT account, kind, balance, normal_balance FROM payments.account_balance
WHERE account IN ('psp:ba_toss', 'liability:930001') ORDER BY account;
SELECT account, debits, credits, debit_balance, credit_balance FROM payments.trial_balance
WHERE account IN ('psp:ba_toss', 'liability:930001') ORDER BY account;
SELECT currency, sum(debit_balance) = sum(credit_balance) AS balanced
FROM payments.trial_balance WHERE currency = 'KRW' GROUP BY currency;

-- A balance may be larger than any amount, and has a limit all the same.
SELECT count(payments.post('bl:' || n, 'test', '[{"account": "asset:ba_large", "amount": 999999999999999}, {"account": "liability:ba_large", "amount": -999999999999999}]'))
FROM generate_series(1, 9) n;
SELECT payments.balance('asset:ba_large'), payments.balance('liability:ba_large');
SELECT payments.post('bl:10', 'test', '[{"account": "asset:ba_large", "amount": 999999999999999}, {"account": "liability:ba_large", "amount": -999999999999999}]'); -- fails
SELECT payments.post('bl:small', 'test', '[{"account": "asset:ba_large", "amount": -1}, {"account": "liability:ba_large", "amount": 1}]') > 0 AS posted;
SELECT payments.balance('asset:ba_large'), payments.balance('liability:ba_large');
