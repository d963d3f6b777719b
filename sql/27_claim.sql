-- Claim or refund: an order that was confirmed with claim_within is given back
-- unless the application says in time, in a transaction of its own, that it has
-- it.  So "charged, but no order" does not last.

CREATE TABLE payments.payment_claim (
	order_id text COLLATE "C" NOT NULL,
	payment_event_id bigint NOT NULL,
	claim_status text COLLATE "C" NOT NULL DEFAULT 'waiting',
	claim_within interval NOT NULL,
	due_at timestamptz NOT NULL,
	created_at timestamptz NOT NULL,
	ended_at timestamptz,
	claimed_by text,
	refund_id bigint,
	problem text,
	CONSTRAINT payment_claim_pkey PRIMARY KEY (order_id),
	CONSTRAINT payment_claim_payment_event_id_key UNIQUE (payment_event_id),
	CONSTRAINT payment_claim_payment_event_id_fkey FOREIGN KEY (payment_event_id) REFERENCES payments.payment_event (id),
	CONSTRAINT payment_claim_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES payments.refund (id),
	CONSTRAINT payment_claim_status_known CHECK (claim_status IN ('waiting', 'claimed', 'lapsed', 'void')),
	CONSTRAINT payment_claim_within_positive CHECK (claim_within > interval '0'),
	CONSTRAINT payment_claim_ended CHECK ((claim_status = 'waiting') = (ended_at IS NULL)),
	CONSTRAINT payment_claim_claimed_by_somebody CHECK ((claim_status = 'claimed') = (claimed_by IS NOT NULL)),
	CONSTRAINT payment_claim_refund_of_a_lapse CHECK (refund_id IS NULL OR claim_status = 'lapsed')
);
CREATE INDEX payment_claim_due_idx ON payments.payment_claim (due_at, order_id) WHERE claim_status = 'waiting';
CREATE INDEX payment_claim_refund_id_idx ON payments.payment_claim (refund_id) WHERE refund_id IS NOT NULL;
COMMENT ON TABLE payments.payment_claim IS
'Orders that are refunded unless the application claims them in time; payments.confirm writes it, payments.claim, and the worker';
COMMENT ON COLUMN payments.payment_claim.claim_status IS
'waiting; claimed: the application has it; lapsed: it is being given back, or was already; void: it was not paid';
COMMENT ON COLUMN payments.payment_claim.claim_within IS 'How long after the payment has become SUCCESS';
COMMENT ON COLUMN payments.payment_claim.due_at IS 'When the worker looks at it next: never after its time is over';
COMMENT ON COLUMN payments.payment_claim.refund_id IS 'The refund of a lapsed one; NULL when nothing was left to be given back, or when a person has to, to an account of the buyer''s';
COMMENT ON COLUMN payments.payment_claim.problem IS 'Why it could not be given back yet, though its time is over';

-- What has ended stays as it is.
CREATE TRIGGER payment_claim_forbid_change BEFORE UPDATE ON payments.payment_claim
	FOR EACH ROW WHEN (OLD.claim_status <> 'waiting' OR OLD.order_id <> NEW.order_id OR OLD.payment_event_id <> NEW.payment_event_id
		OR OLD.claim_within <> NEW.claim_within OR OLD.created_at <> NEW.created_at)
	EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_claim_forbid_delete BEFORE DELETE ON payments.payment_claim
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_claim_forbid_truncate BEFORE TRUNCATE ON payments.payment_claim
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.payment_claim ENABLE ALWAYS TRIGGER payment_claim_forbid_change;
ALTER TABLE payments.payment_claim ENABLE ALWAYS TRIGGER payment_claim_forbid_delete;
ALTER TABLE payments.payment_claim ENABLE ALWAYS TRIGGER payment_claim_forbid_truncate;
