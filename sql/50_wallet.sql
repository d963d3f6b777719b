-- Wallets: what the platform owes each seller, per currency.

CREATE SEQUENCE payments.wallet_transaction_id_seq;

CREATE TABLE payments.wallet (
	seller_id bigint NOT NULL,
	currency text COLLATE "C" NOT NULL,
	balance numeric NOT NULL DEFAULT 0,
	pending numeric NOT NULL DEFAULT 0,
	version bigint NOT NULL DEFAULT 0,
	updated_at timestamptz NOT NULL,
	may_owe boolean NOT NULL DEFAULT false,
	CONSTRAINT wallet_pkey PRIMARY KEY (seller_id, currency),
	CONSTRAINT wallet_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES payments.seller (id),
	CONSTRAINT wallet_balance_not_negative CHECK ((may_owe OR balance >= 0) AND balance > -1e18 AND balance < 1e18),
	CONSTRAINT wallet_pending_not_negative CHECK (pending >= 0 AND pending < 1e18),
	CONSTRAINT wallet_pending_is_there CHECK (may_owe OR pending <= balance)
) WITH (fillfactor = 50);
COMMENT ON TABLE payments.wallet IS
'What the platform owes each seller, in units of the currency; equals the sum of its journal and the credit of its ledger account';
COMMENT ON COLUMN payments.wallet.pending IS 'Part of the balance that is reserved, by refunds that are open';
COMMENT ON COLUMN payments.wallet.may_owe IS 'A merchant who allows it has refunded more than the wallet had: it may be negative';
COMMENT ON COLUMN payments.wallet.version IS 'Number of changes';

CREATE TABLE payments.wallet_transaction (
	id bigint NOT NULL,
	seller_id bigint NOT NULL,
	currency text COLLATE "C" NOT NULL,
	kind text NOT NULL,
	amount numeric NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	payment_order_id bigint,
	created_at timestamptz NOT NULL,
	refund_id bigint,
	refund_payment_order_id bigint,
	deposit_no integer,
	deposit_payment_order_id bigint,
	CONSTRAINT wallet_transaction_pkey PRIMARY KEY (seller_id, currency, id),
	CONSTRAINT wallet_transaction_once UNIQUE (order_id, payment_order_id, kind),
	CONSTRAINT wallet_transaction_wallet_fkey FOREIGN KEY (seller_id, currency) REFERENCES payments.wallet (seller_id, currency),
	CONSTRAINT wallet_transaction_payment_order_id_fkey FOREIGN KEY (payment_order_id) REFERENCES payments.payment_order (id),
	CONSTRAINT wallet_transaction_refund_line_fkey FOREIGN KEY (refund_id, refund_payment_order_id)
		REFERENCES payments.refund_line (refund_id, payment_order_id),
	CONSTRAINT wallet_transaction_kind_known CHECK (kind IN ('sale', 'commission', 'refund', 'commission_refund',
		'reversal', 'commission_reversal', 'deposit', 'commission_deposit')),
	CONSTRAINT wallet_transaction_deposit_payment_order_id_fkey FOREIGN KEY (deposit_payment_order_id) REFERENCES payments.payment_order (id),
	CONSTRAINT wallet_transaction_deposit_is_whole CHECK ((kind IN ('reversal', 'commission_reversal', 'deposit', 'commission_deposit')) = (deposit_no IS NOT NULL)
		AND (deposit_no IS NULL) = (deposit_payment_order_id IS NULL) AND (deposit_no IS NULL OR payment_order_id IS NULL AND refund_id IS NULL)),
	CONSTRAINT wallet_transaction_refund_is_whole CHECK ((kind IN ('refund', 'commission_refund')) = (refund_id IS NOT NULL)
		AND (refund_id IS NULL) = (refund_payment_order_id IS NULL) AND (refund_id IS NULL OR payment_order_id IS NULL)),
	CONSTRAINT wallet_transaction_amount_in_range CHECK (amount <> 0 AND amount > -1e15 AND amount < 1e15)
);
CREATE UNIQUE INDEX wallet_transaction_refund_once ON payments.wallet_transaction (refund_id, refund_payment_order_id, kind)
	WHERE refund_id IS NOT NULL;
CREATE UNIQUE INDEX wallet_transaction_deposit_once ON payments.wallet_transaction (deposit_payment_order_id, deposit_no, kind)
	WHERE deposit_no IS NOT NULL;
COMMENT ON TABLE payments.wallet_transaction IS
'The journal of the wallets: positive to the seller, negative from the seller';
COMMENT ON COLUMN payments.wallet_transaction.payment_order_id IS 'The line that was sold; NULL when it is a refund''s';
COMMENT ON COLUMN payments.wallet_transaction.refund_payment_order_id IS 'The line that gives back, with refund_id';
COMMENT ON COLUMN payments.wallet_transaction.deposit_no IS
'Movement of the order''s virtual account behind its first: a deposit was taken back, or came again; with deposit_payment_order_id, the line';

ALTER SEQUENCE payments.wallet_transaction_id_seq OWNED BY payments.wallet_transaction.id;

CREATE TRIGGER wallet_transaction_forbid_change BEFORE UPDATE OR DELETE ON payments.wallet_transaction
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER wallet_transaction_forbid_truncate BEFORE TRUNCATE ON payments.wallet_transaction
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.wallet_transaction ENABLE ALWAYS TRIGGER wallet_transaction_forbid_change;
ALTER TABLE payments.wallet_transaction ENABLE ALWAYS TRIGGER wallet_transaction_forbid_truncate;

CREATE VIEW payments.seller_debts WITH (security_barrier) AS
	SELECT w.seller_id, w.currency, w.balance, w.pending, w.pending - w.balance AS debt, w.updated_at
	FROM ONLY payments.wallet w
	WHERE w.balance < w.pending;
COMMENT ON VIEW payments.seller_debts IS
'Sellers who owe the platform, or will when their open refunds are done: refunds took more than their wallets had';
