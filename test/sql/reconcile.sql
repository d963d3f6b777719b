--
-- Reconciling, as far as it needs no worker: arguments, rights, what stays as it
-- was written, what people see of a finding, and what ends one.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT n, t.code, t.message, t.detail IS NOT NULL AS detail, t.hint FROM unnest(ARRAY[
	'reconcile(NULL)', 'reconcile(''nobody'')', 'reconcile('''')', 'reconcile(since => ''infinity'')',
	'reconcile(since => ''-infinity'')', 'reconcile(until => ''infinity'')', 'reconcile(since => now() + interval ''1 s'')',
	'reconcile(until => now() + interval ''1 min'')', 'reconcile(since => now() - interval ''1 h'', until => now() - interval ''2 h'')',
	'reconcile(since => now() - interval ''1 h'', until => now() - interval ''1 h'')', 'reconcile(since => now() - interval ''367 days'')',
	'close_finding(NULL, ''x'')', 'close_finding(1, NULL)', 'close_finding(1, '' '')', 'close_finding(1, repeat(''x'', 1001))',
	'close_finding(1, ''no such'')', 'close_finding(-1, ''no such'')']) WITH ORDINALITY x (call, n),
	test.try('SELECT payments.' || call) t ORDER BY n;
BEGIN READ ONLY;
SELECT payments.reconcile();	-- fails
ROLLBACK;
SELECT count(*) FROM payments.reconciliation;

BEGIN;
SELECT payments.reconcile() > 0 AS run, payments.reconcile('default', now() - interval '1 h', now() - interval '1 min') > 0 AS other;
SELECT merchant, cause, actor = session_user AS mine, until - since AS period, state, attempt_no, due_at <= clock_timestamp() AS due
	FROM payments.reconciliation ORDER BY id;

-- what a worker would write
INSERT INTO payments.reconciliation_finding (id, reconciliation_id, merchant, transaction_key, kind, payment_key, order_id, status, currency, amount, transaction_at, detail, found_at)
	SELECT n, r.id, 'default', 'txrd_' || n, kind, 'pk_' || n, 'reconcile-' || n, 'DONE', 'KRW', 100 * n, '2026-11-01 12:00+09', NULL, '2026-11-02 12:00+09'
	FROM (SELECT min(id) AS id FROM payments.reconciliation) r,
		unnest(ARRAY['unknown payment', 'not confirmed here', 'other payment', 'other order', 'other amount', 'failed here',
			'canceled there', 'deposit reversed', 'unknown status', 'unreadable']) WITH ORDINALITY k (kind, n);
SELECT count(payments.checkout(1, '[{"seller_id": 1, "amount": 200}]', 'reconcile-2'));
SELECT finding_id, what, order_id, our_status, amount, what_to_do FROM payments.foreign_payments ORDER BY finding_id;
SELECT alert, severity, subject, detail FROM payments.alerts WHERE alert = 'foreign_payment' ORDER BY detail;

SELECT payments.close_finding(2, 'cancelled in the dashboard');
SELECT f.code, f.message FROM test.try($$SELECT payments.close_finding(2, 'again')$$) f;
SELECT count(*) AS open FROM payments.foreign_payments;
SELECT outcome, actor = session_user AS mine, note FROM payments.reconciliation_finding_end;
SELECT regexp_replace(story, 'reconciliation \d+', 'reconciliation N') AS story FROM payments.explain('reconcile-2') WHERE story LIKE '%found in%' OR story LIKE 'finding%';
SELECT line FROM regexp_split_to_table(payments.metrics(), E'\n') AS m (line) WHERE line ~ '^payments_foreign.*(unknown payment|not confirmed)';

-- nothing of it changes or goes
SET LOCAL client_min_messages = warning;
SELECT n, t.code, t.message FROM unnest(ARRAY[
	'DELETE FROM payments.reconciliation', 'TRUNCATE payments.reconciliation CASCADE',
	'UPDATE payments.reconciliation_finding SET amount = 1', 'DELETE FROM payments.reconciliation_finding',
	'TRUNCATE payments.reconciliation_finding CASCADE', 'UPDATE payments.reconciliation_finding_end SET note = ''x''',
	'DELETE FROM payments.reconciliation_finding_end', 'TRUNCATE payments.reconciliation_finding_end',
	'TRUNCATE payments.reconciliation_page']) WITH ORDINALITY x (statement, n), test.try(statement) t ORDER BY n;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
-- and what is not so is seen
UPDATE payments.reconciliation SET state = 'C', ended_at = now(), transactions = 3 WHERE id = (SELECT min(id) FROM payments.reconciliation);
SELECT invariant, regexp_replace(counterexample, '\d+', 'N') FROM payments.verify() WHERE NOT holds;
ROLLBACK;

-- who may
BEGIN;
CREATE ROLE test_reconciler;
SELECT payments.grant_to('test_reconciler', 'application');
SET LOCAL ROLE test_reconciler;
SELECT t.code FROM unnest(ARRAY['SELECT payments.reconcile()', 'SELECT payments.close_finding(1, ''x'')',
	'TABLE payments.foreign_payments', 'TABLE payments.reconciliation']) s, test.try(s) t;
RESET ROLE;
SELECT payments.grant_to('test_reconciler', 'auditor');
SET LOCAL ROLE test_reconciler;
SELECT t.code FROM unnest(ARRAY['SELECT payments.reconcile()', 'SELECT payments.close_finding(1, ''x'')',
	'TABLE payments.foreign_payments', 'TABLE payments.reconciliation_finding']) s, test.try(s) t;
RESET ROLE;
SELECT payments.grant_to('test_reconciler', 'operator');
SET LOCAL ROLE test_reconciler;
SELECT t.code FROM unnest(ARRAY['SELECT payments.reconcile()', 'SELECT payments.close_finding(1, ''x'')',
	'TABLE payments.foreign_payments', 'TABLE payments.reconciliation']) s, test.try(s) t;
ROLLBACK;
