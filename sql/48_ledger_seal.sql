-- Seals: a chain of digests over ledger transactions and their entries, which
-- shows what was changed past all guards: in files, by another library, while
-- the guards were off.

CREATE TABLE payments.ledger_seal (
	no bigint NOT NULL,
	upto_id bigint NOT NULL,
	transactions bigint NOT NULL,
	entries bigint NOT NULL,
	digest text COLLATE "C" NOT NULL,
	sealed_at timestamptz NOT NULL,
	CONSTRAINT ledger_seal_pkey PRIMARY KEY (no),
	CONSTRAINT ledger_seal_counts_in_range CHECK (no >= 1 AND transactions >= 0 AND entries >= 0),
	CONSTRAINT ledger_seal_digest_form CHECK (digest ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE payments.ledger_seal IS
'Seals, a chain: each has a digest of the one before and of the ledger transactions behind that, up to upto_id';
COMMENT ON COLUMN payments.ledger_seal.digest IS
'SHA-256 in hexadecimal digits; whoever keeps the newest one elsewhere can prove all that was sealed until then';

CREATE TRIGGER ledger_seal_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_seal
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_seal_forbid_truncate BEFORE TRUNCATE ON payments.ledger_seal
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.ledger_seal ENABLE ALWAYS TRIGGER ledger_seal_forbid_change;
ALTER TABLE payments.ledger_seal ENABLE ALWAYS TRIGGER ledger_seal_forbid_truncate;

CREATE FUNCTION payments.seal_ledger(max_entries integer DEFAULT 20000)
	RETURNS integer
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_seal_ledger';
COMMENT ON FUNCTION payments.seal_ledger(integer) IS
'Writes a seal over what is final and not sealed yet, about max_entries entries, and returns how many; three calls bring in what was posted before the first. Writes ledger_seal, ledger_horizon';

CREATE FUNCTION payments.check_seals(OUT checked bigint, OUT problem text)
	LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_check_seals';
COMMENT ON FUNCTION payments.check_seals() IS
'Compares every seal with the rows that it covers: how many ledger transactions are sealed, and the first that is wrong';
