-- What reconciling has found and nobody has dealt with.

CREATE VIEW payments.foreign_payments WITH (security_barrier) AS
	SELECT f.id AS finding_id, f.kind AS what, f.merchant, f.order_id, f.payment_key, f.transaction_key,
		f.status AS psp_status, f.amount, f.currency, f.transaction_at AS since, f.found_at,
		p.status AS our_status, f.detail,
		CASE f.kind
			WHEN 'unknown payment' THEN 'the PSP has taken money for an order that is not here: look it up in its dashboard; cancel it there, or check out again under this order_id and payments.confirm with this payment_key, which charges nobody twice'
			WHEN 'not confirmed here' THEN 'the PSP has taken money for an order that was never confirmed here: payments.confirm with this payment_key, which charges nobody twice, or cancel it in the PSP''s dashboard'
			WHEN 'other payment' THEN 'the order has another payment here: if that one is paid, cancel this one in the PSP''s dashboard'
			WHEN 'other order' THEN 'the payment belongs to another order here: who used this payment_key?'
			WHEN 'other amount' THEN 'the PSP and the order differ in amount or currency: see payments.explain and the PSP''s dashboard'
			WHEN 'failed here' THEN 'the PSP has taken money for an order that has failed: cancel it in the PSP''s dashboard, and see payments.explain for why it failed'
			WHEN 'canceled there' THEN pg_catalog.format('the PSP has given the money back: the worker asks about the payment and books it, see payments.refunds; payments.retry asks again, and by hand it is posted with transaction_key cancel:%s', f.transaction_key)
			WHEN 'deposit reversed' THEN 'the bank has taken the deposit back: settle it with the buyer and the PSP, and post the correction'
			WHEN 'unknown status' THEN 'the PSP has a status that is not known here: look it up in its dashboard'
			ELSE 'a row of the PSP''s list could not be read: see detail, and the PSP''s dashboard'
		END || '; then payments.close_finding if it stays' AS what_to_do
	FROM ONLY payments.reconciliation_finding f
		LEFT JOIN payments.payment p ON p.order_id = f.order_id
	WHERE NOT EXISTS (SELECT FROM ONLY payments.reconciliation_finding_end e WHERE e.finding_id = f.id);
COMMENT ON VIEW payments.foreign_payments IS
'Movements of money that Toss has and our books have not, or otherwise, and what to do about each; empty when both agree';

-- For those who watch, and may not see whose payments they are.
CREATE VIEW payments.foreign_payment_counts WITH (security_barrier) AS
	SELECT f.kind AS what, pg_catalog.count(*) AS movements
	FROM ONLY payments.reconciliation_finding f
	WHERE NOT EXISTS (SELECT FROM ONLY payments.reconciliation_finding_end e WHERE e.finding_id = f.id)
	GROUP BY f.kind;
COMMENT ON VIEW payments.foreign_payment_counts IS
'How many rows of each kind payments.foreign_payments has';

CREATE VIEW payments.reconciled WITH (security_barrier) AS
	SELECT r.merchant, pg_catalog.max(r.until) AS until
	FROM ONLY payments.reconciliation r
	WHERE r.state = 'C' AND r.cause <> 'operator'
	GROUP BY r.merchant;
COMMENT ON VIEW payments.reconciled IS
'Up to when each merchant''s books were compared with Toss''s list by the worker itself';
