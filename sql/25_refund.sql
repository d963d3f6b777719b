-- Refunds: what is to go back to the buyer, out of which lines, and how far it
-- has come.
--
-- That no more goes back than was paid is up to two counters of every payment
-- order and a constraint over them, not to whoever looks before he inserts: an
-- open refund stands in refunding_amount, one that is done in refunded_amount.

CREATE SEQUENCE payments.refund_id_seq;
CREATE SEQUENCE payments.refund_history_id_seq;

CREATE TYPE payments.refund_status AS ENUM ('REQUESTED', 'EXECUTING', 'SUCCESS', 'FAILURE', 'UNKNOWN');
COMMENT ON TYPE payments.refund_status IS
'REQUESTED: waits for its turn; EXECUTING: is being cancelled at the PSP; UNKNOWN: may have been, and is asked about; SUCCESS, FAILURE: final';

CREATE TABLE payments.refund (
	id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	payment_event_id bigint NOT NULL,
	refund_status payments.refund_status NOT NULL DEFAULT 'REQUESTED',
	amount numeric NOT NULL,
	currency text COLLATE "C" NOT NULL,
	reason text NOT NULL,
	idempotency_key text COLLATE "C",
	request jsonb NOT NULL,
	token text COLLATE "C",
	requested_by text NOT NULL,
	transaction_key text COLLATE "C",
	status_reason text,
	failure_code text,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	refunded_at timestamptz,
	origin text COLLATE "C" NOT NULL,
	proof_call_id bigint,
	proof_attempt_no integer,
	CONSTRAINT refund_pkey PRIMARY KEY (id),
	CONSTRAINT refund_idempotency_key_key UNIQUE (order_id, idempotency_key),
	CONSTRAINT refund_token_key UNIQUE (token),
	CONSTRAINT refund_transaction_key_key UNIQUE (order_id, transaction_key),
	CONSTRAINT refund_payment_event_id_fkey FOREIGN KEY (payment_event_id) REFERENCES payments.payment_event (id),
	CONSTRAINT refund_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3)),
	CONSTRAINT refund_reason_length CHECK (pg_catalog.length(reason) BETWEEN 1 AND 150),
	CONSTRAINT refund_idempotency_key_length CHECK (pg_catalog.length(idempotency_key) BETWEEN 1 AND 200),
	CONSTRAINT refund_token_form CHECK (pg_catalog.length(token) >= 16 AND pg_catalog.length(token) <= 40 AND token !~ '[^0-9a-f]'),
	CONSTRAINT refund_origin_known CHECK (origin IN ('application', 'claim', 'psp')),
	CONSTRAINT refund_psp_needs_no_token CHECK ((origin = 'psp') = (token IS NULL)
		AND (origin = 'psp') = (proof_call_id IS NOT NULL) AND (origin = 'psp') = (proof_attempt_no IS NOT NULL)),
	CONSTRAINT refund_success_is_proved CHECK ((refund_status = 'SUCCESS') = (transaction_key IS NOT NULL)
		AND (refund_status = 'SUCCESS') = (refunded_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX refund_payment_event_id_idx ON payments.refund (payment_event_id);
COMMENT ON TABLE payments.refund IS
'One row per refund of a payment, in full or in part; payments.refund writes it, and the worker what became of it';
COMMENT ON COLUMN payments.refund.reason IS 'Why, in the words of who asked for it; the PSP shows it to the buyer';
COMMENT ON COLUMN payments.refund.idempotency_key IS 'The caller''s: asked for again with it, a refund is the same refund';
COMMENT ON COLUMN payments.refund.request IS 'What was asked for, to tell whether it is the same';
COMMENT ON COLUMN payments.refund.token IS 'Ends the reason that the PSP gets, so that this refund is found among the payment''s cancels';
COMMENT ON COLUMN payments.refund.origin IS
'Who wanted it: application, by payments.refund; claim, since nobody claimed the order in time; psp, somebody at the PSP, and we learnt of it';
COMMENT ON COLUMN payments.refund.proof_call_id IS 'With proof_attempt_no, of one that somebody made at the PSP: the answer that showed it';
COMMENT ON COLUMN payments.refund.transaction_key IS 'The PSP''s name of the cancel that it is';

CREATE TABLE payments.refund_line (
	refund_id bigint NOT NULL,
	payment_order_id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	amount numeric NOT NULL,
	commission numeric NOT NULL,
	CONSTRAINT refund_line_pkey PRIMARY KEY (refund_id, payment_order_id),
	CONSTRAINT refund_line_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES payments.refund (id),
	CONSTRAINT refund_line_payment_order_id_fkey FOREIGN KEY (payment_order_id) REFERENCES payments.payment_order (id),
	CONSTRAINT refund_line_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3)),
	CONSTRAINT refund_line_commission_in_range CHECK (commission >= 0 AND commission <= amount AND commission = pg_catalog.trunc(commission, 3))
);
CREATE INDEX refund_line_payment_order_id_idx ON payments.refund_line (payment_order_id);
CREATE INDEX refund_line_order_id_idx ON payments.refund_line (order_id);
COMMENT ON TABLE payments.refund_line IS
'How much of each line a refund gives back; the lines add up to the refund';
COMMENT ON COLUMN payments.refund_line.commission IS 'Part of amount that the platform gives back, not the seller';

CREATE TABLE payments.refund_history (
	id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	refund_id bigint NOT NULL,
	from_status payments.refund_status NOT NULL,
	to_status payments.refund_status NOT NULL,
	reason text,
	actor text NOT NULL,
	changed_at timestamptz NOT NULL,
	CONSTRAINT refund_history_pkey PRIMARY KEY (id),
	CONSTRAINT refund_history_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES payments.refund (id),
	CONSTRAINT refund_history_is_a_change CHECK (from_status <> to_status)
);
CREATE INDEX refund_history_refund_id_idx ON payments.refund_history (refund_id, id);
CREATE INDEX refund_history_order_id_idx ON payments.refund_history (order_id);
COMMENT ON TABLE payments.refund_history IS
'Every transition of every refund, written by a trigger that no path can skip';

ALTER SEQUENCE payments.refund_id_seq OWNED BY payments.refund.id;
ALTER SEQUENCE payments.refund_history_id_seq OWNED BY payments.refund_history.id;

CREATE FUNCTION payments.refund_guard() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_refund_guard';
COMMENT ON FUNCTION payments.refund_guard() IS
'Trigger: lets a refund change only along its transitions, and never what was asked for';
CREATE TRIGGER refund_guard BEFORE UPDATE ON payments.refund
	FOR EACH ROW EXECUTE FUNCTION payments.refund_guard();
ALTER TABLE payments.refund ENABLE ALWAYS TRIGGER refund_guard;

CREATE FUNCTION payments.refund_record() RETURNS trigger
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_refund_record';
COMMENT ON FUNCTION payments.refund_record() IS
'Trigger: writes a transition of a refund to its history';
CREATE TRIGGER refund_record AFTER UPDATE ON payments.refund
	FOR EACH ROW WHEN (OLD.refund_status IS DISTINCT FROM NEW.refund_status)
	EXECUTE FUNCTION payments.refund_record();
ALTER TABLE payments.refund ENABLE ALWAYS TRIGGER refund_record;

CREATE TRIGGER refund_forbid_delete BEFORE DELETE ON payments.refund
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER refund_forbid_truncate BEFORE TRUNCATE ON payments.refund
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER refund_line_forbid_change BEFORE UPDATE OR DELETE ON payments.refund_line
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER refund_line_forbid_truncate BEFORE TRUNCATE ON payments.refund_line
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER refund_history_forbid_change BEFORE UPDATE OR DELETE ON payments.refund_history
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER refund_history_forbid_truncate BEFORE TRUNCATE ON payments.refund_history
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.refund ENABLE ALWAYS TRIGGER refund_forbid_delete;
ALTER TABLE payments.refund ENABLE ALWAYS TRIGGER refund_forbid_truncate;
ALTER TABLE payments.refund_line ENABLE ALWAYS TRIGGER refund_line_forbid_change;
ALTER TABLE payments.refund_line ENABLE ALWAYS TRIGGER refund_line_forbid_truncate;
ALTER TABLE payments.refund_history ENABLE ALWAYS TRIGGER refund_history_forbid_change;
ALTER TABLE payments.refund_history ENABLE ALWAYS TRIGGER refund_history_forbid_truncate;
