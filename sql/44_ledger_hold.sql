-- Holds: money of an account that is spoken for.  A hold is a row, its end is
-- a row, and neither changes; what is open stands once more in ledger_hold_open,
-- so that nobody has to search the past for it, and as a sum in
-- ledger_balance.held, where every posting meets it.

CREATE SEQUENCE payments.ledger_hold_id_seq;

CREATE TABLE payments.ledger_hold (
	id bigint NOT NULL,
	hold_key text COLLATE "C" NOT NULL,
	account_id bigint NOT NULL,
	currency text COLLATE "C" NOT NULL,
	amount numeric NOT NULL,
	order_id text COLLATE "C",
	description text,
	metadata jsonb,
	expires_at timestamptz,
	actor text NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT ledger_hold_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_hold_hold_key_key UNIQUE (hold_key),
	CONSTRAINT ledger_hold_account_id_currency_fkey FOREIGN KEY (account_id, currency) REFERENCES payments.ledger_account (id, currency),
	CONSTRAINT ledger_hold_hold_key_length CHECK (pg_catalog.length(hold_key) BETWEEN 1 AND 200),
	CONSTRAINT ledger_hold_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3)),
	CONSTRAINT ledger_hold_expires_later CHECK (expires_at > created_at)
);
CREATE INDEX ledger_hold_account_id_currency_idx ON payments.ledger_hold (account_id, currency);
CREATE INDEX ledger_hold_order_id_idx ON payments.ledger_hold (order_id) WHERE order_id IS NOT NULL;
COMMENT ON TABLE payments.ledger_hold IS
'Holds: amounts reserved on accounts; hold_key makes a repeated hold a no-op';
COMMENT ON COLUMN payments.ledger_hold.amount IS
'Positive, on the side on which the account pays out';
COMMENT ON COLUMN payments.ledger_hold.expires_at IS
'From then on the hold counts as released; NULL: it stays until it is posted or voided';

CREATE TABLE payments.ledger_hold_end (
	hold_id bigint NOT NULL,
	outcome text NOT NULL,
	amount numeric,
	transaction_id bigint,
	reason text,
	actor text NOT NULL,
	ended_at timestamptz NOT NULL,
	CONSTRAINT ledger_hold_end_pkey PRIMARY KEY (hold_id),
	CONSTRAINT ledger_hold_end_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES payments.ledger_hold (id),
	CONSTRAINT ledger_hold_end_transaction_id_key UNIQUE (transaction_id),
	CONSTRAINT ledger_hold_end_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES payments.ledger_transaction (id),
	CONSTRAINT ledger_hold_end_outcome_known CHECK (outcome IN ('posted', 'voided', 'expired')),
	CONSTRAINT ledger_hold_end_posted_has_transaction CHECK ((outcome = 'posted') = (transaction_id IS NOT NULL)
		AND (outcome = 'posted') = (amount IS NOT NULL)),
	CONSTRAINT ledger_hold_end_voided_has_reason CHECK ((outcome = 'voided') = (reason IS NOT NULL)),
	CONSTRAINT ledger_hold_end_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3))
);
COMMENT ON TABLE payments.ledger_hold_end IS
'Ends of holds, one each: posted in full or in part, voided, or expired';
COMMENT ON COLUMN payments.ledger_hold_end.amount IS
'What was posted of the held amount; the rest was released';

CREATE TABLE payments.ledger_hold_open (
	hold_id bigint NOT NULL,
	account_id bigint NOT NULL,
	amount numeric NOT NULL,
	expires_at timestamptz,
	CONSTRAINT ledger_hold_open_pkey PRIMARY KEY (hold_id),
	CONSTRAINT ledger_hold_open_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES payments.ledger_hold (id),
	CONSTRAINT ledger_hold_open_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id)
);
CREATE INDEX ledger_hold_open_account_id_idx ON payments.ledger_hold_open (account_id, expires_at);
CREATE INDEX ledger_hold_open_expires_at_idx ON payments.ledger_hold_open (expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON TABLE payments.ledger_hold_open IS
'Holds that have no end yet: a cache over the two other tables; whoever ends a hold takes its row first';

ALTER SEQUENCE payments.ledger_hold_id_seq OWNED BY payments.ledger_hold.id;

CREATE TRIGGER ledger_hold_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_hold
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_hold_forbid_truncate BEFORE TRUNCATE ON payments.ledger_hold
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_hold_end_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_hold_end
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_hold_end_forbid_truncate BEFORE TRUNCATE ON payments.ledger_hold_end
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.ledger_hold ENABLE ALWAYS TRIGGER ledger_hold_forbid_change;
ALTER TABLE payments.ledger_hold ENABLE ALWAYS TRIGGER ledger_hold_forbid_truncate;
ALTER TABLE payments.ledger_hold_end ENABLE ALWAYS TRIGGER ledger_hold_end_forbid_change;
ALTER TABLE payments.ledger_hold_end ENABLE ALWAYS TRIGGER ledger_hold_end_forbid_truncate;

CREATE FUNCTION payments.hold(
	hold_key text,
	account text,
	amount numeric,
	currency text DEFAULT NULL,
	expires_in interval DEFAULT NULL,
	order_id text DEFAULT NULL,
	description text DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_hold';
COMMENT ON FUNCTION payments.hold(text, text, numeric, text, interval, text, text, jsonb) IS
'Reserves part of what is available on an account and returns the hold''s id; repeated with the same key and content it returns the first id. Writes ledger_hold, ledger_hold_open, ledger_balance';

CREATE FUNCTION payments.post_hold(
	hold_id bigint,
	kind text,
	entries jsonb,
	effective_at timestamptz DEFAULT NULL,
	description text DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_post_hold';
COMMENT ON FUNCTION payments.post_hold(bigint, text, jsonb, timestamptz, text, jsonb) IS
'Posts a ledger transaction that takes what is held, or a part of it, releases the rest, and returns its id; repeated with the same content it returns the first id. Writes the ledger, ledger_hold_end, ledger_hold_open';

CREATE FUNCTION payments.void_hold(hold_id bigint, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_void_hold';
COMMENT ON FUNCTION payments.void_hold(bigint, text) IS
'Releases a hold. Writes ledger_hold_end, ledger_hold_open, ledger_balance';

CREATE FUNCTION payments.expire_holds(max_holds integer DEFAULT 1000)
	RETURNS integer
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_expire_holds';
COMMENT ON FUNCTION payments.expire_holds(integer) IS
'Ends holds that are past their time, the oldest first, and returns how many. Writes ledger_hold_end, ledger_hold_open, ledger_balance';

CREATE VIEW payments.holds WITH (security_barrier) AS
	SELECT h.id, h.hold_key, a.code AS account, h.currency, h.amount,
		CASE WHEN e.outcome IS NOT NULL THEN e.outcome
			WHEN h.expires_at <= pg_catalog.clock_timestamp() THEN 'expired'
			ELSE 'open' END AS status,
		e.amount AS posted_amount, e.transaction_id, e.reason, e.ended_at,
		h.order_id, h.description, h.metadata, h.created_at, h.expires_at
	FROM ONLY payments.ledger_hold h
		JOIN ONLY payments.ledger_account a ON a.id = h.account_id
		LEFT JOIN ONLY payments.ledger_hold_end e ON e.hold_id = h.id;
COMMENT ON VIEW payments.holds IS
'Holds and what became of them; one past its time counts as expired, whether that was written already or not';

CREATE VIEW payments.accounts WITH (security_barrier) AS
	SELECT a.code AS account, a.kind, a.currency,
		CASE b.state WHEN 'f' THEN 'frozen' WHEN 'c' THEN 'closed' ELSE 'open' END AS state,
		CASE WHEN b.stripes > 1 THEN 'striped' ELSE 'exact' END AS mode,
		b.stripes, b.floor, b.ceiling,
		COALESCE(b.balance, 0) AS balance,
		COALESCE(n.balance, 0) AS normal_balance,
		COALESCE(h.held, 0) AS held,
		COALESCE(n.balance, 0) - COALESCE(h.held, 0) - COALESCE(b.floor, 0) AS available,
		c.created_at AS state_since, c.reason AS state_reason, a.created_at
	FROM ONLY payments.ledger_account a
		CROSS JOIN LATERAL (SELECT pg_catalog.max(s.state::text) AS state, pg_catalog.max(s.stripes) AS stripes,
				pg_catalog.max(s.floor) AS floor, pg_catalog.max(s.ceiling) AS ceiling,
				pg_catalog.sum(s.balance) AS balance
			FROM ONLY payments.ledger_balance s WHERE s.account_id = a.id) b
		CROSS JOIN LATERAL (SELECT CASE WHEN a.kind IN ('asset', 'expense') THEN b.balance ELSE - b.balance END AS balance) n
		CROSS JOIN LATERAL (SELECT pg_catalog.sum(o.amount) AS held FROM ONLY payments.ledger_hold_open o
			WHERE o.account_id = a.id
				AND (o.expires_at IS NULL OR o.expires_at > pg_catalog.clock_timestamp())) h
		LEFT JOIN LATERAL (SELECT e.created_at, e.reason FROM ONLY payments.ledger_account_event e
			WHERE e.account_id = a.id AND e.event IN ('frozen', 'unfrozen', 'closed', 'reopened')
			ORDER BY e.id DESC LIMIT 1) c ON true;
COMMENT ON VIEW payments.accounts IS
'Accounts with state, limits, balance, what is held and what is available down to the floor';
