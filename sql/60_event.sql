-- The outbox: what others must be told, written in the transaction that made
-- it true, and read by consumers whose offsets move in their transactions.

CREATE SEQUENCE payments.event_id_seq;

CREATE TABLE payments.event (
	id bigint NOT NULL,
	kind text COLLATE "C" NOT NULL,
	order_id text COLLATE "C",
	payload jsonb NOT NULL,
	occurred_at timestamptz NOT NULL,
	generation integer NOT NULL,
	xid xid8 NOT NULL,
	CONSTRAINT event_pkey PRIMARY KEY (id),
	CONSTRAINT event_generation_fkey FOREIGN KEY (generation) REFERENCES payments.cluster (generation),
	CONSTRAINT event_kind_form CHECK (kind ~ '^[a-z_]+\.[a-z_]+$')
);
CREATE UNIQUE INDEX event_position_idx ON payments.event (generation, xid, id);
CREATE INDEX event_order_id_idx ON payments.event (order_id);
COMMENT ON TABLE payments.event IS
'The outbox; its order is (generation, xid, id), which no transaction that commits late can step into unseen';

CREATE TABLE payments.event_consumer (
	name text COLLATE "C" NOT NULL,
	generation integer NOT NULL DEFAULT 0,
	xid xid8 NOT NULL DEFAULT '0',
	event_id bigint NOT NULL DEFAULT 0,
	updated_at timestamptz NOT NULL,
	CONSTRAINT event_consumer_pkey PRIMARY KEY (name),
	CONSTRAINT event_consumer_name_form CHECK (name ~ '^[A-Za-z0-9_.-]{1,63}$')
);
COMMENT ON TABLE payments.event_consumer IS
'How far each consumer has read; moved by payments.ack_events in the consumer''s own transaction';

ALTER SEQUENCE payments.event_id_seq OWNED BY payments.event.id;

CREATE TRIGGER event_forbid_change BEFORE UPDATE OR DELETE ON payments.event
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER event_forbid_truncate BEFORE TRUNCATE ON payments.event
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.event ENABLE ALWAYS TRIGGER event_forbid_change;
ALTER TABLE payments.event ENABLE ALWAYS TRIGGER event_forbid_truncate;
