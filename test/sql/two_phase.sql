--
-- Every function may stand in a transaction that is prepared: committed later,
-- or undone as if it had never been, by another session.
--
-- Each part prepares, shows what others see, ends the prepared transaction from
-- a new session, and shows what is there then.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE ROLE regress_two_phase;
SELECT payments.grant_to('regress_two_phase', 'application');
SELECT payments.grant_to('regress_two_phase', 'operator');
GRANT regress_two_phase TO CURRENT_USER;
SELECT count(payments.checkout(801, '[{"seller_id": 1, "amount": 10}]', order_id => 'two-phase-' || n))
	FROM generate_series(1, 9) n;
SELECT payments.confirm('two-phase-8', 'pay_two_8', 10);
SELECT payments.fail('two-phase-9', 'CODE', 'for the feed');
SELECT test.calm();

--
-- Rolled back: not one row is different
--
SELECT test.image() AS before \gset
SET ROLE regress_two_phase;
BEGIN;
SELECT amount FROM payments.checkout(802, '[{"seller_id": 801, "amount": 10}]', order_id => 'two-phase-new');
SELECT payments.widget('two-phase-new') ->> 'orderId' AS order_id;
SELECT payments.confirm('two-phase-1', 'pay_two_1', 10);
SELECT payments.confirm('two-phase-new', 'pay_two_new', 10);
SELECT payments.fail('two-phase-2', 'CODE', 'message');
SELECT payments.status('two-phase-1'), payments.version() IS NOT NULL AS version;
SELECT payments.retry('two-phase-8');
SELECT payments.set_seller(801, 0.5);
RESET ROLE;
SELECT payments.set_merchant('regress_two_phase', 'test_ck_two');
SET ROLE regress_two_phase;
SELECT payments.set_merchant_limits('regress_two_phase', 5);
-- nothing is to be ended; when there is, it is refused: test/t/057_flow.pl
SELECT payments.resume_merchant('regress_two_phase');
SELECT payments.post('two-phase-post', 'test', '[{"account": "asset:two_phase", "amount": 5}, {"account": "revenue:two_phase", "amount": -5}]') > 0 AS posted;
SELECT payments.balance('asset:two_phase');
SELECT payments.reverse(payments.post('two-phase-post', 'test',
	'[{"account": "asset:two_phase", "amount": 5}, {"account": "revenue:two_phase", "amount": -5}]'), 'mistake') > 0 AS reversed;
SELECT payments.post_entries('two-phase-entries', 'test', '{asset:two_phase,revenue:two_phase}', '{5,-5}') > 0 AS posted;
SELECT n, was_there FROM payments.post_batch('{two-phase-entries,two-phase-batch}', '{test,test}', '{2,2}',
	'{asset:two_phase,revenue:two_phase,asset:two_phase,revenue:two_phase}', '{5,-5,7,-7}');
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE order_id = 'two-phase-9') AS failed
	FROM payments.fetch_events('regress_two_phase', 10000);
SELECT payments.ack_events('regress_two_phase', max(id)) FROM payments.fetch_events('regress_two_phase', 1);
SELECT count(*) > 0 AS verified, count(*) FILTER (WHERE NOT holds) AS broken FROM payments.verify();
SELECT count(*) >= 0 AS workers FROM payments.worker_slots();
SELECT count(*) >= 0 AS merchants FROM payments.merchant_flow();
PREPARE TRANSACTION 'regress_two_phase_undone';
-- others see nothing of it yet
SELECT payments.status('two-phase-1'), payments.status('two-phase-2');
\c
ROLLBACK PREPARED 'regress_two_phase_undone';
SELECT test.image() = :'before' AS as_it_was;
-- and everything can be done anew
SET ROLE regress_two_phase;
SELECT payments.confirm('two-phase-1', 'pay_two_1', 10), payments.fail('two-phase-2', 'CODE', 'message');
SELECT payments.wait_for('two-phase-1', '0');

--
-- Committed by another session
--
BEGIN;
SELECT amount FROM payments.checkout(802, '[{"seller_id": 801, "amount": 10}]', order_id => 'two-phase-kept');
SELECT payments.confirm('two-phase-kept', 'pay_two_kept', 10);
SELECT payments.fail('two-phase-3', 'CODE', 'message');
SELECT payments.retry('two-phase-8');
SELECT payments.post('two-phase-kept', 'test', '[{"account": "asset:two_phase", "amount": 5}, {"account": "revenue:two_phase", "amount": -5}]') > 0 AS posted;
SELECT payments.fetch_events('regress_two_phase', 1) IS NOT NULL AS fetched;
SELECT payments.ack_events('regress_two_phase', id) FROM payments.fetch_events('regress_two_phase', 10000) WHERE order_id = 'two-phase-9';
PREPARE TRANSACTION 'regress_two_phase_kept';
\c
SELECT count(*) AS seen FROM payments.payment WHERE order_id = 'two-phase-kept';
COMMIT PREPARED 'regress_two_phase_kept';
SELECT test.calm();
SET ROLE regress_two_phase;
SELECT test.order_line('two-phase-kept');
SELECT test.order_line('two-phase-3');
SELECT payments.balance('asset:two_phase');
-- the offset moved with it: what was acknowledged does not come back, what was failed does
SELECT order_id, kind FROM payments.fetch_events('regress_two_phase', 10000) WHERE order_id ~ '^two-phase-[39]$' ORDER BY 1;
-- repeated it is known
SELECT payments.confirm('two-phase-kept', 'pay_two_kept', 10);
SELECT test.order_line('two-phase-kept');
SELECT payments.wait_for('two-phase-kept', '0');

--
-- A ledger transaction that does not add up cannot even be prepared
--
RESET ROLE;
SELECT test.image() AS before \gset
BEGIN;
INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
	VALUES (nextval('payments.ledger_transaction_id_seq'), 'two-phase-crooked', 'test', now(), now());
INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
	SELECT currval('payments.ledger_transaction_id_seq'), id, n, 2, 'KRW', n
	FROM payments.ledger_account, generate_series(1, 2) n WHERE code = 'asset:two_phase';
\set VERBOSITY sqlstate
PREPARE TRANSACTION 'regress_two_phase_crooked';
\set VERBOSITY terse
SELECT test.image() = :'before' AS as_it_was;

--
-- What waits, and what changes rights and node numbers
--
BEGIN;
SELECT payments.wait_for('two-phase-8', '0');
PREPARE TRANSACTION 'regress_two_phase_waited';
COMMIT PREPARED 'regress_two_phase_waited';

CREATE ROLE regress_two_phase_new;
BEGIN;
SELECT payments.grant_to('regress_two_phase_new', 'auditor');
PREPARE TRANSACTION 'regress_two_phase_grant';
\c
ROLLBACK PREPARED 'regress_two_phase_grant';
SELECT has_schema_privilege('regress_two_phase_new', 'payments', 'usage');
BEGIN;
SELECT payments.grant_to('regress_two_phase_new', 'auditor');
PREPARE TRANSACTION 'regress_two_phase_grant';
\c
COMMIT PREPARED 'regress_two_phase_grant';
SELECT has_schema_privilege('regress_two_phase_new', 'payments', 'usage');

BEGIN;
SELECT payments.set_node(1, 3);
SELECT amount FROM payments.checkout(801, '[{"seller_id": 1, "amount": 10}]', order_id => 'two-phase-node');
PREPARE TRANSACTION 'regress_two_phase_node';
\c
ROLLBACK PREPARED 'regress_two_phase_node';
SELECT count(*) AS nodes FROM payments.node;
SELECT holds FROM payments.verify() WHERE invariant = 'sequences draw this node''s numbers';

-- accounts and holds
CREATE FUNCTION test.two_phase_accounts() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT string_agg(account || ' ' || state || ' ' || stripes, ', ' ORDER BY account) FROM payments.accounts WHERE account ~ '^tp_'),
		(SELECT string_agg(hold_key || ' ' || status, ', ' ORDER BY hold_key) FROM payments.holds WHERE hold_key ~ '^tp:'),
		(SELECT source || ' ' || amount FROM payments.balance_assertions WHERE account ~ '^tp_'),
		(SELECT 'clearing ' || account FROM payments.open_clearing WHERE account ~ '^tp_'))
$$;
CREATE PROCEDURE test.two_phase_accounts_change() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM payments.open_account('tp_wallet:1', 'liability'), payments.open_account('tp_other:1', 'liability'), payments.open_account('tp_gone:1', 'asset');
	PERFORM payments.hold('tp:' || n, 'tp_wallet:1', n) FROM generate_series(1, 3) n;
	PERFORM payments.post_hold(id, 'test', '[{"account": "tp_wallet:1", "amount": 1}, {"account": "tp_other:1", "amount": -1}]')
		FROM payments.holds WHERE hold_key = 'tp:1';
	PERFORM payments.void_hold(id, 'why') FROM payments.holds WHERE hold_key = 'tp:2';
	PERFORM payments.hold('tp:4', 'tp_other:1', 1, expires_in => '1 us'), pg_sleep(0.001);
	PERFORM payments.expire_holds();
	PERFORM payments.set_account_limits('tp_wallet:1', -100, NULL, 'why');
	PERFORM payments.set_account_stripes('tp_other:1', 4, 'why');
	PERFORM payments.freeze_account('tp_wallet:1', 'why'), payments.unfreeze_account('tp_wallet:1', 'why'), payments.freeze_account('tp_other:1', 'why');
	PERFORM payments.close_account('tp_gone:1', 'why'), payments.reopen_account('tp_gone:1', 'why'), payments.close_account('tp_gone:1', 'why');
	PERFORM payments.rebuild_balances();
	PERFORM payments.set_clearing('tp_other:1', true, 'why'), payments.assert_balance('tp_other:1', now(), -1, 'two_phase');
	PERFORM payments.write_snapshots(), payments.seal_ledger(), payments.rebuild_snapshots();
END $$;
BEGIN;
CALL test.two_phase_accounts_change();
PREPARE TRANSACTION 'regress_two_phase_accounts';
\c
ROLLBACK PREPARED 'regress_two_phase_accounts';
SELECT test.two_phase_accounts();
BEGIN;
CALL test.two_phase_accounts_change();
PREPARE TRANSACTION 'regress_two_phase_accounts';
\c
COMMIT PREPARED 'regress_two_phase_accounts';
SELECT test.two_phase_accounts();
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
DROP FUNCTION test.two_phase_accounts();
DROP PROCEDURE test.two_phase_accounts_change();

-- a resolution that is prepared, forgotten, and committed by another session
SELECT (payments.checkout(802, '[{"seller_id": 801, "amount": 10}]', order_id => 'two-phase-resolve')).amount;
SELECT payments.confirm('two-phase-resolve', 'pay_two_resolve', 10);
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = now() WHERE order_id = 'two-phase-resolve';
BEGIN;
SELECT payments.resolve('two-phase-resolve', 'succeeded', 'prepared', 10, 'pay_two_resolve');
PREPARE TRANSACTION 'regress_two_phase_resolve';
\c
ROLLBACK PREPARED 'regress_two_phase_resolve';
SELECT test.order_line('two-phase-resolve');
BEGIN;
SELECT payments.resolve('two-phase-resolve', 'succeeded', 'prepared', 10, 'pay_two_resolve');
PREPARE TRANSACTION 'regress_two_phase_resolve';
\c
COMMIT PREPARED 'regress_two_phase_resolve';
SELECT test.order_line('two-phase-resolve');
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;

-- reconciling
BEGIN;
SELECT payments.reconcile() > 0 AS run;
INSERT INTO payments.reconciliation_finding (id, reconciliation_id, merchant, transaction_key, kind, found_at)
	SELECT 1, max(id), 'default', 'two-phase', 'unreadable', now() FROM payments.reconciliation;
SELECT payments.close_finding(1, 'two-phase');
PREPARE TRANSACTION 'regress_two_phase_reconcile';
\c
ROLLBACK PREPARED 'regress_two_phase_reconcile';
SELECT count(*) AS runs FROM payments.reconciliation;

-- an order that expired, and the retry of one
SELECT count(payments.checkout(802, '[{"seller_id": 801, "amount": 10}]', order_id => 'two-phase-late-' || n, expires_in => '1 us')) FROM generate_series(1, 2) n;
BEGIN;
SELECT order_id FROM payments.retry_checkout('two-phase-late-1', 'two-phase-again');
SELECT payments.expire_checkouts() > 0 AS some;
PREPARE TRANSACTION 'regress_two_phase_late';
\c
SELECT payments.expire_checkouts() AS none;
ROLLBACK PREPARED 'regress_two_phase_late';
BEGIN;
SELECT order_id FROM payments.retry_checkout('two-phase-late-1', 'two-phase-again');
SELECT payments.expire_checkouts() > 0 AS some;
PREPARE TRANSACTION 'regress_two_phase_late';
\c
COMMIT PREPARED 'regress_two_phase_late';
SELECT order_id, status, failure_code FROM payments.payment WHERE order_id ~ '^two-phase-(late|again)' ORDER BY 1;

-- a refund: requested, forgotten, and committed by another session
BEGIN;
SELECT payments.refund('two-phase-resolve', 'prepared') > 0 AS requested, payments.set_refund_policy('default', true);
PREPARE TRANSACTION 'regress_two_phase_refund';
\c
ROLLBACK PREPARED 'regress_two_phase_refund';
SELECT count(*) AS refunds FROM payments.refunds WHERE order_id = 'two-phase-resolve';
BEGIN;
SELECT payments.refund('two-phase-resolve', 'prepared') > 0 AS requested;
PREPARE TRANSACTION 'regress_two_phase_refund';
\c
COMMIT PREPARED 'regress_two_phase_refund';
SELECT payments.wait_for_refund(order_id, refund_id, '0') FROM payments.refunds WHERE order_id = 'two-phase-resolve';
BEGIN;
SELECT payments.resolve_refund(order_id, refund_id, 'failed', 'prepared') FROM payments.refunds WHERE order_id = 'two-phase-resolve';
PREPARE TRANSACTION 'regress_two_phase_refund';
\c
ROLLBACK PREPARED 'regress_two_phase_refund';
SELECT payments.wait_for_refund(order_id, refund_id, '0') FROM payments.refunds WHERE order_id = 'two-phase-resolve';

-- an order that is claimed, and one that nobody claims
SELECT (payments.checkout(802, '[{"seller_id": 801, "amount": 10}]', order_id => 'two-phase-claim-' || n)).amount FROM generate_series(1, 2) n;
SELECT payments.confirm('two-phase-claim-' || n, 'pay_two_claim_' || n, 10, claim_within => '1 us') FROM generate_series(1, 2) n;
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = now() WHERE order_id LIKE 'two-phase-claim-%';
SELECT payments.resolve('two-phase-claim-' || n, 'succeeded', 'note', 10, 'pay_two_claim_' || n) FROM generate_series(1, 2) n;
BEGIN;
SELECT payments.claim('two-phase-claim-1'), payments.refund_unclaimed();
PREPARE TRANSACTION 'regress_two_phase_claim';
\c
ROLLBACK PREPARED 'regress_two_phase_claim';
SELECT order_id, claim_status FROM payments.payment_claim WHERE order_id LIKE 'two-phase-claim-%' ORDER BY 1;
BEGIN;
SELECT payments.claim('two-phase-claim-1'), payments.refund_unclaimed();
PREPARE TRANSACTION 'regress_two_phase_claim';
\c
COMMIT PREPARED 'regress_two_phase_claim';
SELECT order_id, claim_status, refund_id IS NOT NULL AS refund FROM payments.payment_claim WHERE order_id LIKE 'two-phase-claim-%' ORDER BY 1;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;

-- a webhook
BEGIN;
SELECT payments.receive_webhook('{"eventType":"PAYMENT_STATUS_CHANGED","data":{"paymentKey":"pay_two_kept","orderId":"two-phase-kept","status":"DONE"}}');
PREPARE TRANSACTION 'regress_two_phase_webhook';
\c
COMMIT PREPARED 'regress_two_phase_webhook';
SELECT payments.receive_webhook('{"eventType":"PAYMENT_STATUS_CHANGED","data":{"paymentKey":"pay_two_kept","orderId":"two-phase-kept","status":"DONE"}}');

-- every function is in this file, or has a reason not to be
SELECT p.oid::regprocedure FROM pg_proc p
	WHERE pronamespace = 'payments'::regnamespace AND prorettype <> 'trigger'::regtype AND prokind = 'f'
		AND proname NOT IN ('checkout', 'widget', 'confirm', 'fail', 'status', 'wait_for', 'post', 'post_entries', 'post_batch', 'reverse', 'balance',
			'fetch_events', 'ack_events', 'retry', 'resolve', 'reconcile', 'close_finding', 'refund', 'wait_for_refund', 'set_refund_policy', 'claim', 'refund_unclaimed', 'resolve_refund', 'set_node', 'set_merchant', 'set_merchant_limits', 'resume_merchant', 'merchant_flow', 'set_seller', 'version', 'worker_slots', 'arm', 'disarm',
			'worker_counters', 'worker_histograms', 'find_alerts', 'metrics', 'verify', 'explain', 'grant_to', 'open_account', 'set_account_limits', 'set_account_stripes', 'freeze_account', 'unfreeze_account',
			'close_account', 'reopen_account', 'rebuild_balances', 'hold', 'post_hold', 'void_hold', 'expire_holds', 'expire_checkouts', 'retry_checkout', 'receive_webhook',
			'set_clearing', 'assert_balance', 'write_snapshots', 'rebuild_snapshots', 'statement', 'trial_balance_at',
			'rearm', 'record_schema', 'schema_objects', 'schema_fingerprint', 'schema_problems',
			'seal_ledger', 'check_seals', 'oldest_uncleared')
	ORDER BY proname COLLATE "C";
SELECT count(*) AS left_over FROM pg_prepared_xacts WHERE database = current_database();

DROP OWNED BY regress_two_phase, regress_two_phase_new;
DROP ROLE regress_two_phase, regress_two_phase_new;
