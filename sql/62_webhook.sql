-- The inbox: what Toss, or somebody who says so, tells by itself.  What came in
-- never changes (webhook); what is still to be looked at is a short queue
-- (webhook_queue); what came of it is appended (webhook_outcome).  The bytes
-- themselves may hold personal data: they stand apart (webhook_body), and go
-- after a month.

CREATE SEQUENCE payments.webhook_id_seq;

CREATE TABLE payments.webhook (
	id bigint NOT NULL,
	order_id text COLLATE "C",
	received_at timestamptz NOT NULL,
	kind text NOT NULL,
	verdict text NOT NULL,
	detail text,
	event_type text,
	payment_key text COLLATE "C",
	status text,
	transaction_key text COLLATE "C",
	event_id text,
	created_at timestamptz,
	transmission_id text,
	retried_count integer,
	body_size integer NOT NULL,
	body_sha256 bytea NOT NULL,
	CONSTRAINT webhook_pkey PRIMARY KEY (id),
	CONSTRAINT webhook_body_sha256_key UNIQUE (body_sha256),
	CONSTRAINT webhook_kind_known CHECK (kind IN ('payment', 'deposit', 'signed', 'other', 'garbage')),
	CONSTRAINT webhook_verdict_known CHECK (verdict IN ('hint', 'proved', 'forged', 'unknown order', 'other payment', 'too many',
		'unverified', 'no order', 'garbage'))
);
CREATE INDEX webhook_order_id_idx ON payments.webhook (order_id, id);
COMMENT ON TABLE payments.webhook IS
'What came in as webhooks, each body once, and how far it is believed; no row of it moves money';
COMMENT ON COLUMN payments.webhook.order_id IS 'What the sender says; there need not be such an order';
COMMENT ON COLUMN payments.webhook.verdict IS
'hint: nothing proves it, and Toss is asked; proved: it has the payment''s secret, and Toss is asked; unverified: its signature is to be checked; the others are left at that';
COMMENT ON COLUMN payments.webhook.created_at IS 'When the event happened, according to the sender';

CREATE TABLE payments.webhook_body (
	webhook_id bigint NOT NULL,
	order_id text COLLATE "C",
	received_at timestamptz NOT NULL,
	body bytea NOT NULL,
	signature text,
	signed_at text,
	CONSTRAINT webhook_body_pkey PRIMARY KEY (webhook_id),
	CONSTRAINT webhook_body_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES payments.webhook (id)
);
CREATE INDEX webhook_body_order_id_idx ON payments.webhook_body (order_id);
COMMENT ON COLUMN payments.webhook_body.signature IS 'With signed_at: the headers that the signature of a signed one is checked by';
COMMENT ON TABLE payments.webhook_body IS
'The bytes of webhooks, for a month; secrets in them are asterisks';

CREATE TABLE payments.webhook_queue (
	webhook_id bigint NOT NULL,
	order_id text COLLATE "C",
	due_at timestamptz NOT NULL,
	CONSTRAINT webhook_queue_pkey PRIMARY KEY (webhook_id),
	CONSTRAINT webhook_queue_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES payments.webhook (id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
	autovacuum_vacuum_cost_delay = 0);
CREATE INDEX webhook_queue_order_id_idx ON payments.webhook_queue (order_id);
COMMENT ON TABLE payments.webhook_queue IS
'The webhooks that the worker has yet to look at: about orders, or signed';

CREATE TABLE payments.webhook_outcome (
	webhook_id bigint NOT NULL,
	order_id text COLLATE "C",
	outcome text NOT NULL,
	call_id bigint,
	decided_at timestamptz NOT NULL,
	CONSTRAINT webhook_outcome_pkey PRIMARY KEY (webhook_id),
	CONSTRAINT webhook_outcome_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES payments.webhook (id),
	CONSTRAINT webhook_outcome_call_id_fkey FOREIGN KEY (call_id) REFERENCES payments.psp_call (id),
	CONSTRAINT webhook_outcome_known CHECK (outcome IN ('asked', 'known', 'late', 'not sent', 'not confirmed', 'waits for a person',
		'asked too often', 'signature valid', 'signature wrong', 'no security key'))
);
CREATE INDEX webhook_outcome_order_id_idx ON payments.webhook_outcome (order_id, decided_at);
CREATE INDEX webhook_outcome_signed_idx ON payments.webhook_outcome (decided_at) WHERE outcome IN ('signature valid', 'signature wrong', 'no security key');
CREATE INDEX webhook_outcome_call_id_idx ON payments.webhook_outcome (call_id) WHERE call_id IS NOT NULL;
COMMENT ON TABLE payments.webhook_outcome IS
'What the worker did because of a webhook: made a query due, or opened a look, or nothing, and why';
COMMENT ON COLUMN payments.webhook_outcome.call_id IS 'The call that asks because of it';

CREATE TABLE payments.payment_secret (
	order_id text COLLATE "C" NOT NULL,
	secret_sha256 bytea NOT NULL,
	learnt_at timestamptz NOT NULL,
	CONSTRAINT payment_secret_pkey PRIMARY KEY (order_id, secret_sha256),
	CONSTRAINT payment_secret_length CHECK (pg_catalog.octet_length(secret_sha256) = 32)
);
COMMENT ON TABLE payments.payment_secret IS
'Digests of the secrets that Toss gave with payments, by which a deposit''s webhook proves itself';

ALTER SEQUENCE payments.webhook_id_seq OWNED BY payments.webhook.id;

CREATE TRIGGER webhook_forbid_change BEFORE UPDATE OR DELETE ON payments.webhook
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER webhook_forbid_truncate BEFORE TRUNCATE ON payments.webhook
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER webhook_body_forbid_update BEFORE UPDATE ON payments.webhook_body
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER webhook_body_forbid_truncate BEFORE TRUNCATE ON payments.webhook_body
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER webhook_queue_forbid_truncate BEFORE TRUNCATE ON payments.webhook_queue
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER webhook_outcome_forbid_change BEFORE UPDATE OR DELETE ON payments.webhook_outcome
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER webhook_outcome_forbid_truncate BEFORE TRUNCATE ON payments.webhook_outcome
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_secret_forbid_change BEFORE UPDATE OR DELETE ON payments.payment_secret
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_secret_forbid_truncate BEFORE TRUNCATE ON payments.payment_secret
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.webhook ENABLE ALWAYS TRIGGER webhook_forbid_change;
ALTER TABLE payments.webhook ENABLE ALWAYS TRIGGER webhook_forbid_truncate;
ALTER TABLE payments.webhook_body ENABLE ALWAYS TRIGGER webhook_body_forbid_update;
ALTER TABLE payments.webhook_body ENABLE ALWAYS TRIGGER webhook_body_forbid_truncate;
ALTER TABLE payments.webhook_queue ENABLE ALWAYS TRIGGER webhook_queue_forbid_truncate;
ALTER TABLE payments.webhook_outcome ENABLE ALWAYS TRIGGER webhook_outcome_forbid_change;
ALTER TABLE payments.webhook_outcome ENABLE ALWAYS TRIGGER webhook_outcome_forbid_truncate;
ALTER TABLE payments.payment_secret ENABLE ALWAYS TRIGGER payment_secret_forbid_change;
ALTER TABLE payments.payment_secret ENABLE ALWAYS TRIGGER payment_secret_forbid_truncate;

CREATE FUNCTION payments.receive_webhook(body text, headers jsonb DEFAULT '{}')
	RETURNS text
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_receive_webhook';
COMMENT ON FUNCTION payments.receive_webhook(text, jsonb) IS
'Takes in a webhook of Toss''s, whatever it is, and returns accepted, duplicate or ignored; it moves no money, and what it says is asked for at Toss';

CREATE VIEW payments.webhooks WITH (security_barrier) AS
	SELECT w.id, w.received_at, w.order_id, w.kind, w.event_type, w.status, w.verdict, w.detail,
		CASE WHEN o.webhook_id IS NOT NULL THEN o.outcome WHEN q.webhook_id IS NOT NULL THEN 'waits for the worker' END AS outcome,
		o.decided_at, o.call_id, w.payment_key, w.transaction_key, w.event_id, w.created_at, w.transmission_id, w.retried_count,
		w.body_size
	FROM ONLY payments.webhook w
		LEFT JOIN ONLY payments.webhook_outcome o ON o.webhook_id = w.id
		LEFT JOIN ONLY payments.webhook_queue q ON q.webhook_id = w.id;
COMMENT ON VIEW payments.webhooks IS
'What came in as webhooks, how far each is believed, and what was done because of it';
