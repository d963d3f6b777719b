--
-- Promise: a statement opens with the balance before it, lists every entry of
-- its period once and in a stable order, and closes with the balance that the
-- next statement opens with; on either clock, and as it was known at a time.
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';

CREATE ROLE regress_statement_auditor;
SELECT payments.grant_to('regress_statement_auditor', 'auditor');

SELECT count(payments.post('ls:' || m, 'test', jsonb_build_array(
		jsonb_build_object('account', 'asset:ls', 'amount', m), jsonb_build_object('account', 'liability:ls', 'amount', - m)),
	order_id => 'ls-order-' || m, effective_at => make_timestamptz(2026, 3, 1 + m / 2, 0, 0, 0), description => 'number ' || m))
FROM generate_series(1, 6) m;
-- one account three times in one ledger transaction, at the same time as others
SELECT payments.post('ls:thrice', 'fee', '[{"account": "asset:ls", "amount": -10}, {"account": "liability:ls", "amount": 9}, {"account": "asset:ls", "amount": 4},
	{"account": "asset:ls", "amount": -3}]', effective_at => '2026-03-02') > 0 AS posted;

SET ROLE regress_statement_auditor;
CREATE VIEW pg_temp.march AS SELECT line, at, entry_no AS n, transaction_key AS key, kind, order_id, description, debit, credit, balance
	FROM payments.statement('asset:ls', '2026-03-02', '2026-03-04');
SELECT * FROM pg_temp.march;
SELECT line, at, transaction_key AS key, debit, credit, balance FROM payments.statement('asset:ls', NULL, '2026-03-02');
SELECT line, at, transaction_key AS key, debit, credit, balance FROM payments.statement('asset:ls', '2026-03-04', NULL);
-- an empty one; before everything; at one moment; of all times
SELECT line, at, debit, credit, balance FROM payments.statement('asset:ls', '2026-03-05', '2026-03-06');
SELECT line, at, debit, credit, balance FROM payments.statement('asset:ls', '2026-01-01', '2026-02-01');
SELECT line, at, debit, credit, balance FROM payments.statement('asset:ls', '2026-03-02', '2026-03-02');
SELECT count(*), max(balance) FILTER (WHERE line = 'closing') = payments.balance('asset:ls') AS closes_with_now
	FROM payments.statement('asset:ls', '-infinity', 'infinity');
SELECT line, balance FROM payments.statement('asset:ls', 'infinity', 'infinity');
SELECT line, balance FROM payments.statement('asset:ls', '-infinity', '-infinity');

-- what was known before the last one
SELECT t.recorded_at - interval '1 microsecond' AS before FROM payments.ledger_transaction t WHERE t.transaction_key = 'ls:thrice' \gset
SELECT line, entry_no AS n, transaction_key AS key, debit, credit, balance
	FROM payments.statement('asset:ls', '2026-03-02', '2026-03-04', known_at => :'before');
-- by the other clock it comes last
SELECT transaction_key AS key, entry_no AS n, debit, credit, balance, at = recorded_at AS clock
	FROM payments.statement('asset:ls', NULL, NULL, 'recorded') WHERE line = 'entry';
SELECT line, transaction_key AS key, balance FROM payments.statement('asset:ls', :'before', NULL, 'recorded');
SELECT line, transaction_key AS key, balance FROM payments.statement('asset:ls', :'before', NULL, 'recorded', :'before');

-- each closes with what the next one opens with, over many entries and snapshots
RESET ROLE;
SELECT count(payments.post('ls:many:' || m, 'test', jsonb_build_array(
		jsonb_build_object('account', 'psp:ls', 'amount', m), jsonb_build_object('account', 'revenue:ls', 'amount', - m)),
	effective_at => '2026-04-01'::timestamptz + (m * 37 % 1000) * interval '1 hour')) FROM generate_series(1, 1000) m;
DO $$
BEGIN
	WHILE (SELECT done_id < s.last_value FROM payments.ledger_horizon, payments.ledger_transaction_id_seq s) LOOP
		PERFORM payments.write_snapshots();
		COMMIT;
	END LOOP;
END $$;
WITH s AS (SELECT n, s.* FROM generate_series(0, 42) n,
	payments.statement('psp:ls', '2026-04-01'::timestamptz + n * interval '1 day', '2026-04-02'::timestamptz + n * interval '1 day') s)
SELECT count(*) FILTER (WHERE o.line = 'opening') AS statements, count(*) FILTER (WHERE o.line = 'entry') AS entries,
	bool_and(c.balance = o.balance) FILTER (WHERE o.line = 'opening' AND o.n > 0) AS continuous,
	bool_and(o.balance = payments.balance('psp:ls', '2026-04-02'::timestamptz + o.n * interval '1 day' - interval '1 microsecond'))
		FILTER (WHERE o.line = 'closing') AS balances
FROM s o LEFT JOIN s c ON o.line = 'opening' AND c.line = 'closing' AND c.n = o.n - 1;
SELECT bool_and(balance = expected) AS running FROM (SELECT balance, sum(coalesce(debit, - credit)) OVER (ORDER BY at, transaction_id, entry_no) AS expected
	FROM payments.statement('psp:ls', NULL, NULL) WHERE line = 'entry') s;

-- the trial balance of a time
SELECT account, debits, credits, debit_balance, credit_balance FROM payments.trial_balance_at('2026-03-02 12:00+00') WHERE account ~ ':ls$';
SELECT account, debits, credits FROM payments.trial_balance_at('2026-03-02 12:00+00', :'before') WHERE account ~ 'asset:ls$';
SELECT count(*) AS differ FROM (SELECT * FROM payments.trial_balance_at(NULL) EXCEPT SELECT currency, kind, account, debits, credits, debit_balance, credit_balance
	FROM payments.trial_balance) d;
SELECT count(*) FILTER (WHERE debit_balance - credit_balance <> payments.balance(account, '2026-04-10', :'before')) AS wrong,
	sum(debit_balance) = sum(credit_balance) AS balanced FROM payments.trial_balance_at('2026-04-10', :'before') WHERE account ~ ':ls$';

-- refused
SET ROLE regress_statement_auditor;
SELECT t.* FROM unnest(ARRAY['''asset:ls_none'', NULL, NULL', '''asset:ls'', NULL, NULL, ''sun''', '''asset:ls'', ''2026-02-01'', ''2026-01-01''',
	'NULL, NULL, NULL', '''asset:ls'', NULL, NULL, NULL']) a, test.try(format('SELECT payments.statement(%s)', a)) t;
RESET ROLE;
CREATE ROLE regress_statement_nobody;
SET ROLE regress_statement_nobody;
SELECT payments.statement('asset:ls', NULL, NULL); -- fails
RESET ROLE;
DROP ROLE regress_statement_nobody;
DROP OWNED BY regress_statement_auditor;
DROP ROLE regress_statement_auditor;
