-- Arming: charges are sent only from the database that was meant, where it was
-- meant.  Every row is an event; the newest counts.  A copy has these rows, too,
-- and differs from what they say.

CREATE SEQUENCE payments.arming_id_seq;

CREATE TABLE payments.arming (
	id bigint NOT NULL,
	action text NOT NULL,
	reason text NOT NULL,
	actor text NOT NULL,
	happened_at timestamptz NOT NULL,
	system_identifier bigint NOT NULL,
	timeline integer NOT NULL,
	database_oid bigint NOT NULL,
	database_name name NOT NULL,
	place text NOT NULL,
	token_sha256 text,
	xid xid8 NOT NULL,
	CONSTRAINT arming_pkey PRIMARY KEY (id),
	CONSTRAINT arming_action_known CHECK (action IN ('arm', 'disarm')),
	CONSTRAINT arming_token_sha256_form CHECK (CASE action WHEN 'arm'
		THEN token_sha256 IS NOT NULL AND token_sha256 ~ '^[0-9a-f]{64}$' ELSE token_sha256 IS NULL END)
);
ALTER SEQUENCE payments.arming_id_seq OWNED BY payments.arming.id;
COMMENT ON TABLE payments.arming IS
'Who armed and disarmed this database, and for which cluster; the newest row counts, as long as it says what is so';
COMMENT ON COLUMN payments.arming.place IS 'The data directory and the machine: a copy of the one or the other differs';
COMMENT ON COLUMN payments.arming.token_sha256 IS
'Digest of the token in payments.secret_dir; without that file the database is not armed';
COMMENT ON COLUMN payments.arming.xid IS
'Which transaction wrote the row; a row that a dump brought back was written by another';

CREATE TRIGGER arming_forbid_change BEFORE UPDATE OR DELETE ON payments.arming
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER arming_forbid_truncate BEFORE TRUNCATE ON payments.arming
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.arming ENABLE ALWAYS TRIGGER arming_forbid_change;
ALTER TABLE payments.arming ENABLE ALWAYS TRIGGER arming_forbid_truncate;

CREATE FUNCTION payments.arm(reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_arm';
COMMENT ON FUNCTION payments.arm(text) IS
'Lets this database, on this very server, send charges with live keys; a copy of it has to be armed itself';

CREATE FUNCTION payments.disarm(reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_disarm';
COMMENT ON FUNCTION payments.disarm(text) IS
'Lets the worker of this database only ask the PSP, and send no charges with live keys, until it is armed again';
