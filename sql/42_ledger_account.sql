-- What happens to accounts: opened by hand, limited, frozen, closed, spread over
-- stripes.  Each is a row that never changes; an account's last one, or the
-- default of its code, is the truth, and ledger_balance repeats it.

CREATE SEQUENCE payments.ledger_account_event_id_seq;

CREATE TABLE payments.ledger_account_event (
	id bigint NOT NULL,
	account_id bigint NOT NULL,
	event text NOT NULL,
	state "char" NOT NULL,
	stripes smallint NOT NULL,
	floor numeric,
	ceiling numeric,
	reason text,
	actor text NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT ledger_account_event_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_account_event_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id),
	CONSTRAINT ledger_account_event_event_known CHECK (event IN ('opened', 'limited', 'frozen', 'unfrozen', 'closed', 'reopened', 'striped')),
	CONSTRAINT ledger_account_event_has_reason CHECK (reason IS NOT NULL OR event = 'opened'),
	CONSTRAINT ledger_account_event_state_known CHECK (state IN ('o', 'f', 'c')),
	CONSTRAINT ledger_account_event_stripes_in_range CHECK (stripes BETWEEN 1 AND 64),
	CONSTRAINT ledger_account_event_limits_are_exact CHECK (stripes = 1 OR (floor IS NULL AND ceiling IS NULL)),
	CONSTRAINT ledger_account_event_limits_in_order CHECK (floor <= ceiling)
);
CREATE INDEX ledger_account_event_account_id_idx ON payments.ledger_account_event (account_id, id);
COMMENT ON TABLE payments.ledger_account_event IS
'What operators did to accounts, who, when and why; each row says what holds after it';
COMMENT ON COLUMN payments.ledger_account_event.state IS
'After the event: o open, f frozen, c closed';
COMMENT ON COLUMN payments.ledger_account_event.actor IS
'The role that was logged in';

ALTER SEQUENCE payments.ledger_account_event_id_seq OWNED BY payments.ledger_account_event.id;

CREATE TRIGGER ledger_account_event_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_account_event
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_account_event_forbid_truncate BEFORE TRUNCATE ON payments.ledger_account_event
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.ledger_account_event ENABLE ALWAYS TRIGGER ledger_account_event_forbid_change;
ALTER TABLE payments.ledger_account_event ENABLE ALWAYS TRIGGER ledger_account_event_forbid_truncate;

CREATE FUNCTION payments.open_account(
	account text,
	kind text DEFAULT NULL,
	currency text DEFAULT NULL,
	floor numeric DEFAULT NULL,
	ceiling numeric DEFAULT NULL,
	stripes integer DEFAULT NULL,
	reason text DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_open_account';
COMMENT ON FUNCTION payments.open_account(text, text, text, numeric, numeric, integer, text) IS
'Opens an account of the ledger with a kind, a currency, limits and stripes, and returns its id; repeated with the same content it returns the id. Writes ledger_account, ledger_balance, ledger_account_event';

CREATE FUNCTION payments.set_account_limits(account text, floor numeric, ceiling numeric, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_account_limits';
COMMENT ON FUNCTION payments.set_account_limits(text, numeric, numeric, text) IS
'Sets floor and ceiling of an account on its normal side, NULL for none. Writes ledger_balance, ledger_account_event';

CREATE FUNCTION payments.set_account_stripes(account text, stripes integer, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_account_stripes';
COMMENT ON FUNCTION payments.set_account_stripes(text, integer, text) IS
'Spreads an account''s balance over 1 to 64 rows while posting goes on: 1 is exact, more let that many post at a time. Writes ledger_balance, ledger_account_event';

CREATE FUNCTION payments.freeze_account(account text, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_freeze_account';
COMMENT ON FUNCTION payments.freeze_account(text, text) IS
'Lets nothing be posted to an open account but what payments itself has to book. Writes ledger_balance, ledger_account_event';

CREATE FUNCTION payments.unfreeze_account(account text, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_unfreeze_account';
COMMENT ON FUNCTION payments.unfreeze_account(text, text) IS
'Opens a frozen account again. Writes ledger_balance, ledger_account_event';

CREATE FUNCTION payments.close_account(account text, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_close_account';
COMMENT ON FUNCTION payments.close_account(text, text) IS
'Closes an open account whose balance is 0 and that has no hold. Writes ledger_balance, ledger_account_event';

CREATE FUNCTION payments.reopen_account(account text, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_reopen_account';
COMMENT ON FUNCTION payments.reopen_account(text, text) IS
'Opens a closed account again. Writes ledger_balance, ledger_account_event';

CREATE FUNCTION payments.rebuild_balances(OUT account text, OUT was text, OUT became text)
	RETURNS SETOF record
	LANGUAGE c SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_rebuild_balances';
COMMENT ON FUNCTION payments.rebuild_balances() IS
'Builds balances, present states and open holds anew from entries, account events and holds, and returns what it changed; no posting meanwhile. Writes ledger_balance, ledger_hold_open';
