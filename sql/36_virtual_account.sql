-- Virtual accounts: what a buyer is to pay into, and what came in.  The account
-- stands apart from the answers, which have no personal data in them.  Deposits
-- are movements, since a bank may take one back: each is appended, and nothing
-- is ever undone.

CREATE TABLE payments.virtual_account (
	order_id text COLLATE "C" NOT NULL,
	bank_code text,
	account_number text,
	due_at timestamptz,
	issued_at timestamptz NOT NULL,
	expired_at timestamptz,
	look_at timestamptz,
	CONSTRAINT virtual_account_pkey PRIMARY KEY (order_id),
	CONSTRAINT virtual_account_order_id_fkey FOREIGN KEY (order_id) REFERENCES payments.payment_event (order_id)
) WITH (fillfactor = 80);
CREATE INDEX virtual_account_look_at_idx ON payments.virtual_account (look_at) WHERE look_at IS NOT NULL;
COMMENT ON TABLE payments.virtual_account IS
'The account that the PSP issued for an order, for its buyer to pay into';
COMMENT ON COLUMN payments.virtual_account.bank_code IS 'The PSP''s two characters for the bank; the reference lists them';
COMMENT ON COLUMN payments.virtual_account.due_at IS 'Until when the buyer can pay; NULL: not said';
COMMENT ON COLUMN payments.virtual_account.issued_at IS 'When we learnt of it';
COMMENT ON COLUMN payments.virtual_account.look_at IS 'When the worker asks about an order that is final, since the bank may take its deposit back, or one may come late; NULL: not any more';
COMMENT ON COLUMN payments.virtual_account.expired_at IS 'When the PSP had said twice that nobody can pay into it any more';

CREATE TABLE payments.deposit_movement (
	order_id text COLLATE "C" NOT NULL,
	movement_no integer NOT NULL,
	kind text NOT NULL,
	amount numeric NOT NULL,
	ledger_key text COLLATE "C" NOT NULL,
	transaction_key text COLLATE "C",
	call_id bigint,
	attempt_no integer,
	effective_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL,
	CONSTRAINT deposit_movement_pkey PRIMARY KEY (order_id, movement_no),
	CONSTRAINT deposit_movement_order_id_fkey FOREIGN KEY (order_id) REFERENCES payments.virtual_account (order_id),
	CONSTRAINT deposit_movement_kind_alternates CHECK (kind = CASE WHEN movement_no % 2 = 1 THEN 'deposit' ELSE 'reversal' END),
	CONSTRAINT deposit_movement_no_positive CHECK (movement_no > 0),
	CONSTRAINT deposit_movement_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3))
);
-- what is not the payment of its order
CREATE INDEX deposit_movement_turn_idx ON payments.deposit_movement (order_id, movement_no) WHERE ledger_key LIKE 'deposit:%';
COMMENT ON TABLE payments.deposit_movement IS
'What came into an account, and what the bank took back: a deposit, its reversal, another deposit, and so on';
COMMENT ON COLUMN payments.deposit_movement.ledger_key IS 'The transaction_key under which it is booked';
COMMENT ON COLUMN payments.deposit_movement.transaction_key IS 'The PSP''s name of it, as far as it said one';
COMMENT ON COLUMN payments.deposit_movement.call_id IS 'With attempt_no: the answer that proves it; NULL when a person said so';

CREATE TABLE payments.refund_account (
	refund_id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	bank text COLLATE "C" NOT NULL,
	account_number text COLLATE "C" NOT NULL,
	holder_name text NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT refund_account_pkey PRIMARY KEY (refund_id),
	CONSTRAINT refund_account_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES payments.refund (id),
	CONSTRAINT refund_account_bank_form CHECK (pg_catalog.length(bank) >= 1 AND pg_catalog.length(bank) <= 20 AND bank !~ '[^A-Z0-9]'),
	CONSTRAINT refund_account_number_form CHECK (pg_catalog.length(account_number) >= 1 AND pg_catalog.length(account_number) <= 20 AND account_number !~ '[^0-9]'),
	CONSTRAINT refund_account_holder_length CHECK (pg_catalog.length(holder_name) BETWEEN 1 AND 60)
);
CREATE INDEX refund_account_order_id_idx ON payments.refund_account (order_id);
COMMENT ON TABLE payments.refund_account IS
'Where open refunds of deposits go: personal data, which the end of the refund deletes, and which nobody is granted';
COMMENT ON COLUMN payments.refund_account.bank IS 'The PSP''s code of the bank';
COMMENT ON COLUMN payments.refund_account.account_number IS 'Digits only';

CREATE TRIGGER refund_account_forbid_update BEFORE UPDATE ON payments.refund_account
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER refund_account_forbid_truncate BEFORE TRUNCATE ON payments.refund_account
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.refund_account ENABLE ALWAYS TRIGGER refund_account_forbid_update;
ALTER TABLE payments.refund_account ENABLE ALWAYS TRIGGER refund_account_forbid_truncate;

CREATE TRIGGER virtual_account_forbid_delete BEFORE DELETE ON payments.virtual_account
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER virtual_account_forbid_truncate BEFORE TRUNCATE ON payments.virtual_account
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER deposit_movement_forbid_change BEFORE UPDATE OR DELETE ON payments.deposit_movement
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER deposit_movement_forbid_truncate BEFORE TRUNCATE ON payments.deposit_movement
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.virtual_account ENABLE ALWAYS TRIGGER virtual_account_forbid_delete;
ALTER TABLE payments.virtual_account ENABLE ALWAYS TRIGGER virtual_account_forbid_truncate;
ALTER TABLE payments.deposit_movement ENABLE ALWAYS TRIGGER deposit_movement_forbid_change;
ALTER TABLE payments.deposit_movement ENABLE ALWAYS TRIGGER deposit_movement_forbid_truncate;
