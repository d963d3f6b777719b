-- What people did about calls: a retry, or an outcome that evidence could not
-- decide; and about merchants and sellers: keys, limits, whether sellers may owe,
-- commissions, each with what was so before.  Only ever appended.

CREATE SEQUENCE payments.operator_action_id_seq;

CREATE TABLE payments.operator_action (
	id bigint NOT NULL,
	order_id text COLLATE "C",
	call_id bigint,
	action text NOT NULL,
	outcome text,
	payment_key text COLLATE "C",
	currency text COLLATE "C",
	amount numeric,
	approved_at timestamptz,
	note text,
	actor text NOT NULL,
	acted_at timestamptz NOT NULL,
	merchant text COLLATE "C",
	became text,
	refund_id bigint,
	transaction_key text COLLATE "C",
	was text,
	seller_id bigint,
	CONSTRAINT operator_action_pkey PRIMARY KEY (id),
	CONSTRAINT operator_action_call_id_fkey FOREIGN KEY (call_id) REFERENCES payments.psp_call (id),
	CONSTRAINT operator_action_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES payments.refund (id),
	CONSTRAINT operator_action_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES payments.seller (id),
	CONSTRAINT operator_action_known CHECK (action IN ('retry', 'resolve', 'resolve_refund', 'set_merchant', 'set_merchant_limits',
		'set_refund_policy', 'resume_merchant', 'set_seller')),
	CONSTRAINT operator_action_about_a_call CHECK ((action IN ('retry', 'resolve', 'resolve_refund')) = (order_id IS NOT NULL)
		AND (action = 'resolve_refund' OR (order_id IS NULL) = (call_id IS NULL))),
	CONSTRAINT operator_action_or_a_merchant CHECK ((action IN ('set_merchant', 'set_merchant_limits', 'set_refund_policy', 'resume_merchant')) = (merchant IS NOT NULL)),
	CONSTRAINT operator_action_or_a_seller CHECK ((action = 'set_seller') = (seller_id IS NOT NULL)),
	CONSTRAINT operator_action_says_what_became CHECK ((order_id IS NULL) = (became IS NOT NULL) AND (was IS NULL OR became IS NOT NULL)),
	CONSTRAINT operator_action_outcome_known CHECK (outcome IN ('succeeded', 'failed')),
	CONSTRAINT operator_action_outcome_of_a_resolution CHECK ((action IN ('resolve', 'resolve_refund')) = (outcome IS NOT NULL)),
	CONSTRAINT operator_action_resolution_has_a_note CHECK (action NOT IN ('resolve', 'resolve_refund') OR note IS NOT NULL),
	CONSTRAINT operator_action_success_has_proof CHECK (outcome IS DISTINCT FROM 'succeeded'
		OR payment_key IS NOT NULL AND currency IS NOT NULL AND amount IS NOT NULL),
	CONSTRAINT operator_action_refund_has_proof CHECK ((action = 'resolve_refund') = (refund_id IS NOT NULL)
		AND (transaction_key IS NOT NULL) = (refund_id IS NOT NULL AND outcome = 'succeeded')),
	CONSTRAINT operator_action_note_length CHECK (pg_catalog.length(note) BETWEEN 1 AND 1000)
);
CREATE INDEX operator_action_order_id_idx ON payments.operator_action (order_id);
CREATE INDEX operator_action_call_id_idx ON payments.operator_action (call_id);
CREATE INDEX operator_action_seller_id_idx ON payments.operator_action (seller_id) WHERE seller_id IS NOT NULL;
CREATE UNIQUE INDEX operator_action_one_resolution ON payments.operator_action (order_id) WHERE action = 'resolve';
CREATE UNIQUE INDEX operator_action_one_refund ON payments.operator_action (refund_id) WHERE refund_id IS NOT NULL;
COMMENT ON TABLE payments.operator_action IS
'What people did about calls to the PSP: retries, and outcomes that evidence could not decide; and the keys, limits and refund policies that they gave merchants, the commissions that they gave sellers';
COMMENT ON COLUMN payments.operator_action.outcome IS 'What the order was resolved to: succeeded or failed; NULL for a retry';
COMMENT ON COLUMN payments.operator_action.payment_key IS 'With amount and approved_at: what the operator read at the PSP; NULL unless succeeded';
COMMENT ON COLUMN payments.operator_action.became IS
'What the merchant or the seller was given, in words; of a client key its beginning and its end; NULL for what is about a call';
COMMENT ON COLUMN payments.operator_action.was IS 'What was so before, in the same words; NULL when the merchant or the seller was new';
COMMENT ON COLUMN payments.operator_action.actor IS 'The session''s role';
COMMENT ON COLUMN payments.operator_action.transaction_key IS 'Of a refund that succeeded: the PSP''s name of the cancel, as the operator read it';
COMMENT ON INDEX payments.operator_action_one_refund IS 'A refund is resolved once';
COMMENT ON INDEX payments.operator_action_one_resolution IS 'An order is resolved once';

ALTER SEQUENCE payments.operator_action_id_seq OWNED BY payments.operator_action.id;

CREATE TRIGGER operator_action_forbid_change BEFORE UPDATE OR DELETE ON payments.operator_action
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER operator_action_forbid_truncate BEFORE TRUNCATE ON payments.operator_action
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.operator_action ENABLE ALWAYS TRIGGER operator_action_forbid_change;
ALTER TABLE payments.operator_action ENABLE ALWAYS TRIGGER operator_action_forbid_truncate;
