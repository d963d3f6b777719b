-- Privileges, on one page.  PUBLIC has none.  payments.grant_to gives a role
-- one of three kinds of rights; each row below is one of them.

CREATE VIEW payments.privilege WITH (security_barrier) AS
	SELECT kind, object_type, object FROM (VALUES
		('application', 'FUNCTION', 'payments.checkout(bigint, jsonb, text, text, text, text, interval, jsonb)'),
		('application', 'FUNCTION', 'payments.widget(text, text, text)'),
		('application', 'FUNCTION', 'payments.confirm(text, text, numeric)'),
		('application', 'FUNCTION', 'payments.fail(text, text, text)'),
		('application', 'FUNCTION', 'payments.status(text)'),
		('application', 'FUNCTION', 'payments.wait_for(text, interval)'),
		('application', 'PROCEDURE', 'payments.pay(text, text, numeric, interval, payments.payment_order_status)'),
		('application', 'FUNCTION', 'payments.fetch_events(text, integer)'),
		('application', 'FUNCTION', 'payments.ack_events(text, bigint)'),
		('application', 'FUNCTION', 'payments.balance(text, timestamptz, timestamptz)'),
		('application', 'FUNCTION', 'payments.version()'),
		('application', 'TABLE', 'payments.payment'),

		('operator', 'FUNCTION', 'payments.post(text, text, jsonb, text, timestamptz, text, jsonb)'),
		('operator', 'FUNCTION', 'payments.post_entries(text, text, text[], numeric[], text[], text, timestamptz, text, jsonb)'),
		('operator', 'FUNCTION', 'payments.post_batch(text[], text[], integer[], text[], numeric[], text[], text[], timestamptz[], text[], jsonb[])'),
		('operator', 'FUNCTION', 'payments.reverse(bigint, text, jsonb)'),
		('operator', 'FUNCTION', 'payments.balance(text, timestamptz, timestamptz)'),
		('operator', 'FUNCTION', 'payments.open_account(text, text, text, numeric, numeric, integer, text)'),
		('operator', 'FUNCTION', 'payments.set_account_limits(text, numeric, numeric, text)'),
		('operator', 'FUNCTION', 'payments.set_account_stripes(text, integer, text)'),
		('operator', 'FUNCTION', 'payments.freeze_account(text, text)'),
		('operator', 'FUNCTION', 'payments.unfreeze_account(text, text)'),
		('operator', 'FUNCTION', 'payments.close_account(text, text)'),
		('operator', 'FUNCTION', 'payments.reopen_account(text, text)'),
		('operator', 'FUNCTION', 'payments.rebuild_balances()'),
		('operator', 'FUNCTION', 'payments.hold(text, text, numeric, text, interval, text, text, jsonb)'),
		('operator', 'FUNCTION', 'payments.post_hold(bigint, text, jsonb, timestamptz, text, jsonb)'),
		('operator', 'FUNCTION', 'payments.void_hold(bigint, text)'),
		('operator', 'FUNCTION', 'payments.expire_holds(integer)'),
		('operator', 'FUNCTION', 'payments.statement(text, timestamptz, timestamptz, text, timestamptz)'),
		('operator', 'FUNCTION', 'payments.trial_balance_at(timestamptz, timestamptz)'),
		('operator', 'FUNCTION', 'payments.set_clearing(text, boolean, text)'),
		('operator', 'FUNCTION', 'payments.assert_balance(text, timestamptz, numeric, text, text)'),
		('operator', 'FUNCTION', 'payments.write_snapshots(integer)'),
		('operator', 'FUNCTION', 'payments.rebuild_snapshots()'),
		('operator', 'FUNCTION', 'payments.retry(text)'),
		('operator', 'FUNCTION', 'payments.set_node(integer, integer)'),
		('operator', 'FUNCTION', 'payments.set_seller(bigint, numeric)'),
		('operator', 'FUNCTION', 'payments.status(text)'),
		('operator', 'FUNCTION', 'payments.version()'),
		('operator', 'FUNCTION', 'payments.verify()'),
		('operator', 'FUNCTION', 'payments.worker_slots()'),
		('operator', 'TABLE', 'payments.accounts'),
		('operator', 'TABLE', 'payments.holds'),
		('operator', 'TABLE', 'payments.ledger_account_event'),
		('operator', 'TABLE', 'payments.open_clearing'),
		('operator', 'TABLE', 'payments.balance_assertions'),
		('operator', 'TABLE', 'payments.payment'),
		('operator', 'TABLE', 'payments.open_calls'),
		('operator', 'TABLE', 'payments.stuck_orders'),
		('operator', 'TABLE', 'payments.worker_status'),
		('operator', 'TABLE', 'payments.psp_call'),
		('operator', 'TABLE', 'payments.psp_attempt'),
		('operator', 'TABLE', 'payments.psp_answer'),
		('operator', 'TABLE', 'payments.payment_order_history'),
		('operator', 'TABLE', 'payments.merchant'),
		('operator', 'TABLE', 'payments.seller'),

		('auditor', 'FUNCTION', 'payments.verify()'),
		('auditor', 'FUNCTION', 'payments.balance(text, timestamptz, timestamptz)'),
		('auditor', 'FUNCTION', 'payments.statement(text, timestamptz, timestamptz, text, timestamptz)'),
		('auditor', 'FUNCTION', 'payments.trial_balance_at(timestamptz, timestamptz)'),
		('auditor', 'FUNCTION', 'payments.version()'),
		('auditor', 'TABLE', 'payments.ledger'),
		('auditor', 'TABLE', 'payments.ledger_transactions'),
		('auditor', 'TABLE', 'payments.account_balance'),
		('auditor', 'TABLE', 'payments.trial_balance'),
		('auditor', 'TABLE', 'payments.accounts'),
		('auditor', 'TABLE', 'payments.holds'),
		('auditor', 'TABLE', 'payments.open_clearing'),
		('auditor', 'TABLE', 'payments.balance_assertions'),
		('auditor', 'TABLE', 'payments.ledger_account'),
		('auditor', 'TABLE', 'payments.ledger_clearing'),
		('auditor', 'TABLE', 'payments.balance_assertion'),
		('auditor', 'TABLE', 'payments.ledger_snapshot'),
		('auditor', 'TABLE', 'payments.ledger_horizon'),
		('auditor', 'TABLE', 'payments.ledger_account_event'),
		('auditor', 'TABLE', 'payments.ledger_hold'),
		('auditor', 'TABLE', 'payments.ledger_hold_end'),
		('auditor', 'TABLE', 'payments.ledger_transaction'),
		('auditor', 'TABLE', 'payments.ledger_entry'),
		('auditor', 'TABLE', 'payments.ledger_balance'),
		('auditor', 'TABLE', 'payments.wallet'),
		('auditor', 'TABLE', 'payments.wallet_transaction'),
		('auditor', 'TABLE', 'payments.payment'),
		('auditor', 'TABLE', 'payments.payment_event'),
		('auditor', 'TABLE', 'payments.payment_order'),
		('auditor', 'TABLE', 'payments.payment_order_history'),
		('auditor', 'TABLE', 'payments.psp_call'),
		('auditor', 'TABLE', 'payments.psp_attempt'),
		('auditor', 'TABLE', 'payments.psp_answer'),
		('auditor', 'TABLE', 'payments.open_calls'),
		('auditor', 'TABLE', 'payments.stuck_orders'),
		('auditor', 'TABLE', 'payments.event')
	) AS p (kind, object_type, object);
COMMENT ON VIEW payments.privilege IS
'What each kind of role may use; payments.grant_to grants these rows';

CREATE FUNCTION payments.grant_to(role regrole, kind text)
	RETURNS void
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_grant_to';
COMMENT ON FUNCTION payments.grant_to(regrole, text) IS
'Gives a role the rights of an application, an operator or an auditor; runs as its caller, who must be allowed to grant';

REVOKE ALL ON SCHEMA payments FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA payments FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA payments FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA payments FROM PUBLIC;
REVOKE ALL ON TYPE payments.payment_order_status, payments.checkout_result FROM PUBLIC;
