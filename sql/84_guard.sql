-- The guard of the schema: what it is, what it was, and who was allowed to
-- change it.  The hooks that refuse changes are in the library.

CREATE SEQUENCE payments.schema_record_id_seq;
CREATE TABLE payments.schema_record (
	id bigint NOT NULL,
	reason text NOT NULL,
	extension_version text NOT NULL,
	server_version text NOT NULL,
	fingerprint text NOT NULL,
	objects jsonb NOT NULL,
	actor text NOT NULL,
	recorded_at timestamptz NOT NULL,
	CONSTRAINT schema_record_pkey PRIMARY KEY (id)
);
ALTER SEQUENCE payments.schema_record_id_seq OWNED BY payments.schema_record.id;
COMMENT ON TABLE payments.schema_record IS
'What the schema must look like: the newest row counts. Written by payments.record_schema alone; a copy makes its own';
COMMENT ON COLUMN payments.schema_record.objects IS 'Every object with its definition, as payments.schema_objects returned them';
COMMENT ON COLUMN payments.schema_record.fingerprint IS 'SHA-256 of objects, as payments.schema_fingerprint returned it';

CREATE SEQUENCE payments.maintenance_log_id_seq;
CREATE TABLE payments.maintenance_log (
	id bigint NOT NULL,
	reason text NOT NULL,
	role text NOT NULL,
	statement text NOT NULL,
	object text NOT NULL,
	happened_at timestamptz NOT NULL,
	CONSTRAINT maintenance_log_pkey PRIMARY KEY (id)
);
ALTER SEQUENCE payments.maintenance_log_id_seq OWNED BY payments.maintenance_log.id;
COMMENT ON TABLE payments.maintenance_log IS
'What was done in maintenance mode: the first guarded statement of each transaction';
COMMENT ON COLUMN payments.maintenance_log.reason IS 'The setting payments.maintenance, with which the server was started';

CREATE FUNCTION payments.schema_record_guard() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_schema_record_guard';
COMMENT ON FUNCTION payments.schema_record_guard() IS
'Trigger: refuses rows that payments.record_schema did not write';
CREATE TRIGGER schema_record_guard AFTER INSERT ON payments.schema_record
	FOR EACH ROW EXECUTE FUNCTION payments.schema_record_guard();
CREATE TRIGGER schema_record_forbid_change BEFORE UPDATE OR DELETE ON payments.schema_record
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER schema_record_forbid_truncate BEFORE TRUNCATE ON payments.schema_record
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER maintenance_log_forbid_change BEFORE UPDATE OR DELETE ON payments.maintenance_log
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER maintenance_log_forbid_truncate BEFORE TRUNCATE ON payments.maintenance_log
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.schema_record ENABLE ALWAYS TRIGGER schema_record_guard;
ALTER TABLE payments.schema_record ENABLE ALWAYS TRIGGER schema_record_forbid_change;
ALTER TABLE payments.schema_record ENABLE ALWAYS TRIGGER schema_record_forbid_truncate;
ALTER TABLE payments.maintenance_log ENABLE ALWAYS TRIGGER maintenance_log_forbid_change;
ALTER TABLE payments.maintenance_log ENABLE ALWAYS TRIGGER maintenance_log_forbid_truncate;

CREATE FUNCTION payments.schema_objects(OUT object text, OUT definition text)
	RETURNS SETOF record
	LANGUAGE c STABLE SECURITY DEFINER ROWS 500 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_schema_objects';
COMMENT ON FUNCTION payments.schema_objects() IS
'Every object of the schema with the definition that guards it, as it is now';

CREATE FUNCTION payments.schema_fingerprint() RETURNS text
	LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_schema_fingerprint';
COMMENT ON FUNCTION payments.schema_fingerprint() IS
'SHA-256 over payments.schema_objects, in hexadecimal digits; equal as long as nothing was changed';

CREATE FUNCTION payments.schema_problems(OUT problem text)
	RETURNS SETOF text
	LANGUAGE c STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_schema_problems';
COMMENT ON FUNCTION payments.schema_problems() IS
'What is missing, extra or changed since the schema was recorded: one row each, none when all is well';

CREATE FUNCTION payments.record_schema(reason text) RETURNS text
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_record_schema';
COMMENT ON FUNCTION payments.record_schema(text) IS
'Records the schema as it is now as the one that must be; only in the extension''s own scripts and in maintenance mode';

CREATE FUNCTION payments.rearm(OUT trigger_table text, OUT trigger_name text, OUT was text, OUT is_now text)
	RETURNS SETOF record
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_rearm';
COMMENT ON FUNCTION payments.rearm() IS
'Gives every trigger of the schema the state that it must have, and returns those that had another; for the owner, after a restore without triggers';
