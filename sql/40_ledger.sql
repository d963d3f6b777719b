-- The ledger.  Rows of a transaction add up to zero in every currency, arrive
-- whole, and never change.  Debits are positive, credits negative.

CREATE SEQUENCE payments.ledger_account_id_seq;
CREATE SEQUENCE payments.ledger_transaction_id_seq;

CREATE TABLE payments.ledger_account (
	id bigint NOT NULL,
	code text COLLATE "C" NOT NULL,
	kind text NOT NULL,
	currency text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT ledger_account_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_account_code_key UNIQUE (code),
	CONSTRAINT ledger_account_id_currency_key UNIQUE (id, currency),
	CONSTRAINT ledger_account_code_form CHECK (code ~ '^[a-z][a-z0-9_]*(:[A-Za-z0-9_.@-]+)+$' AND pg_catalog.length(code) <= 128),
	CONSTRAINT ledger_account_currency_is_iso_4217 CHECK (currency ~ '^[A-Z]{3}$'),
	CONSTRAINT ledger_account_kind_known CHECK (kind IN ('asset', 'liability', 'revenue', 'expense'))
);
COMMENT ON TABLE payments.ledger_account IS
'Accounts of the ledger, one currency each, opened explicitly or on first use; what may change about one stands in ledger_balance';
COMMENT ON COLUMN payments.ledger_account.code IS
'kind:name, for example psp:toss, buyer:7, seller:12, platform:commission, or a first part of the application''s own';
COMMENT ON COLUMN payments.ledger_account.currency IS
'KRW, or the one that the code ends in, as in seller:7:USD, or the one that payments.open_account was given; never changes';

CREATE TABLE payments.ledger_transaction (
	id bigint NOT NULL,
	transaction_key text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	order_id text COLLATE "C",
	description text,
	reverses_id bigint,
	effective_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL,
	metadata jsonb,
	CONSTRAINT ledger_transaction_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_transaction_transaction_key_key UNIQUE (transaction_key),
	CONSTRAINT ledger_transaction_reverses_id_fkey FOREIGN KEY (reverses_id) REFERENCES payments.ledger_transaction (id),
	CONSTRAINT ledger_transaction_transaction_key_length CHECK (pg_catalog.length(transaction_key) BETWEEN 1 AND 200),
	CONSTRAINT ledger_transaction_kind_form CHECK (pg_catalog.length(kind) >= 1 AND pg_catalog.length(kind) <= 63 AND kind ~ '^[a-z]' AND kind !~ '[^a-z0-9_.]')
);
CREATE UNIQUE INDEX ledger_transaction_reverses_id_key ON payments.ledger_transaction (reverses_id) WHERE reverses_id IS NOT NULL;
CREATE INDEX ledger_transaction_order_id_idx ON payments.ledger_transaction (order_id) WHERE order_id IS NOT NULL;
COMMENT ON TABLE payments.ledger_transaction IS
'Headers of ledger transactions; transaction_key makes a repeated post a no-op';
COMMENT ON COLUMN payments.ledger_transaction.effective_at IS 'When it happened';
COMMENT ON COLUMN payments.ledger_transaction.recorded_at IS 'When it was written here';

CREATE TABLE payments.ledger_entry (
	transaction_id bigint NOT NULL,
	account_id bigint NOT NULL,
	entry_no smallint NOT NULL,
	entry_count smallint NOT NULL,
	currency text COLLATE "C" NOT NULL,
	amount numeric NOT NULL,
	order_id text COLLATE "C",
	CONSTRAINT ledger_entry_pkey PRIMARY KEY (transaction_id, entry_no),
	CONSTRAINT ledger_entry_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES payments.ledger_transaction (id),
	CONSTRAINT ledger_entry_account_id_currency_fkey FOREIGN KEY (account_id, currency) REFERENCES payments.ledger_account (id, currency),
	CONSTRAINT ledger_entry_number_in_range CHECK (entry_count >= 2 AND entry_no BETWEEN 1 AND entry_count),
	CONSTRAINT ledger_entry_amount_in_range CHECK (amount <> 0 AND amount > -1e15 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3))
);
-- None on order_id: entries are found by their transactions, which have one.
CREATE INDEX ledger_entry_account_id_idx ON payments.ledger_entry (account_id, transaction_id);
COMMENT ON TABLE payments.ledger_entry IS
'Entries: debit positive, credit negative; numbered 1 to entry_count, so that none can be missing or come late';

-- Narrow, and what changes stands last, so that the log of an update is short.
-- Nothing but the key is indexed: every update is HOT.
CREATE TABLE payments.ledger_balance (
	account_id bigint NOT NULL,
	stripe smallint NOT NULL,
	stripes smallint NOT NULL,
	state "char" NOT NULL,
	floor numeric,
	ceiling numeric,
	held numeric NOT NULL,
	balance numeric NOT NULL,
	CONSTRAINT ledger_balance_pkey PRIMARY KEY (account_id, stripe),
	CONSTRAINT ledger_balance_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id),
	CONSTRAINT ledger_balance_stripe_in_range CHECK (stripes >= 1 AND stripes <= 64 AND stripe >= 0 AND stripe <= stripes - 1),
	CONSTRAINT ledger_balance_state_known CHECK (state IN ('o', 'f', 'c')),
	CONSTRAINT ledger_balance_limits_are_exact CHECK (stripes = 1 OR (floor IS NULL AND ceiling IS NULL AND held = 0)),
	CONSTRAINT ledger_balance_limits_in_order CHECK (floor <= ceiling),
	CONSTRAINT ledger_balance_held_not_negative CHECK (held >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE payments.ledger_balance IS
'Balances and the present state of accounts: a cache over entries, holds and account events that can be rebuilt at any time; an account''s balance is the sum of its stripes';
COMMENT ON COLUMN payments.ledger_balance.stripes IS
'Over how many rows the account''s balance is spread, so that hot accounts do not queue; 1 is exact, and may have limits and holds';
COMMENT ON COLUMN payments.ledger_balance.state IS
'o open, f frozen (nothing may be posted by hand), c closed';
COMMENT ON COLUMN payments.ledger_balance.floor IS
'The balance less what is held may not fall below this, on the normal side of the account''s kind';
COMMENT ON COLUMN payments.ledger_balance.ceiling IS
'The balance may not rise above this, on the normal side of the account''s kind';
COMMENT ON COLUMN payments.ledger_balance.held IS
'Sum of the account''s open holds, positive';

ALTER SEQUENCE payments.ledger_account_id_seq OWNED BY payments.ledger_account.id;
ALTER SEQUENCE payments.ledger_transaction_id_seq OWNED BY payments.ledger_transaction.id;

-- Zero sum.  The first trigger remembers each entry in backend memory; the
-- second, deferred and on the last entry of a transaction, checks count and
-- sums from that memory, without a query, so that neither row security nor the
-- role at commit can blind it.  A callback before commit and prepare fails
-- whatever was remembered and did not pass.  Made immediate, the second one
-- checks when the last entry arrives, so entries have to come in order then.
CREATE FUNCTION payments.ledger_entry_remember() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_ledger_entry_remember';
COMMENT ON FUNCTION payments.ledger_entry_remember() IS
'Trigger: remembers an entry for the zero-sum check';
CREATE TRIGGER ledger_entry_remember AFTER INSERT ON payments.ledger_entry
	FOR EACH ROW EXECUTE FUNCTION payments.ledger_entry_remember();
ALTER TABLE payments.ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_remember;

CREATE FUNCTION payments.ledger_entry_zero_sum() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_ledger_entry_zero_sum';
COMMENT ON FUNCTION payments.ledger_entry_zero_sum() IS
'Trigger: checks that a ledger transaction is whole and adds up to zero in every currency';
CREATE CONSTRAINT TRIGGER ledger_entry_zero_sum AFTER INSERT ON payments.ledger_entry
	DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.entry_no = NEW.entry_count)
	EXECUTE FUNCTION payments.ledger_entry_zero_sum();
ALTER TABLE payments.ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_zero_sum;

CREATE TRIGGER ledger_account_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_account
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_account_forbid_truncate BEFORE TRUNCATE ON payments.ledger_account
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_transaction_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_transaction
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_transaction_forbid_truncate BEFORE TRUNCATE ON payments.ledger_transaction
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_entry_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_entry
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_entry_forbid_truncate BEFORE TRUNCATE ON payments.ledger_entry
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.ledger_account ENABLE ALWAYS TRIGGER ledger_account_forbid_change;
ALTER TABLE payments.ledger_account ENABLE ALWAYS TRIGGER ledger_account_forbid_truncate;
ALTER TABLE payments.ledger_transaction ENABLE ALWAYS TRIGGER ledger_transaction_forbid_change;
ALTER TABLE payments.ledger_transaction ENABLE ALWAYS TRIGGER ledger_transaction_forbid_truncate;
ALTER TABLE payments.ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_forbid_change;
ALTER TABLE payments.ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_forbid_truncate;

CREATE VIEW payments.ledger WITH (security_barrier) AS
	SELECT e.transaction_id, e.entry_no, t.transaction_key, t.kind, t.order_id, t.effective_at, t.recorded_at,
		a.code AS account, e.currency,
		CASE WHEN e.amount > 0 THEN e.amount END AS debit,
		CASE WHEN e.amount < 0 THEN - e.amount END AS credit,
		t.description, t.reverses_id,
		(SELECT r.id FROM ONLY payments.ledger_transaction r WHERE r.reverses_id = t.id) AS reversed_by_id
	FROM ONLY payments.ledger_entry e
		JOIN ONLY payments.ledger_transaction t ON t.id = e.transaction_id
		JOIN ONLY payments.ledger_account a ON a.id = e.account_id;
COMMENT ON VIEW payments.ledger IS
'The journal as accountants read it: account, debit, credit';

CREATE VIEW payments.ledger_transactions WITH (security_barrier) AS
	SELECT t.id, t.transaction_key, t.kind, t.order_id, t.description, t.metadata, t.effective_at, t.recorded_at,
		(SELECT e.entry_count FROM ONLY payments.ledger_entry e WHERE e.transaction_id = t.id AND e.entry_no = 1) AS entry_count,
		t.reverses_id,
		(SELECT r.id FROM ONLY payments.ledger_transaction r WHERE r.reverses_id = t.id) AS reversed_by_id
	FROM ONLY payments.ledger_transaction t;
COMMENT ON VIEW payments.ledger_transactions IS
'Ledger transactions, one row each: what they are, both clocks, and what they reverse or were reversed by';

CREATE VIEW payments.account_balance WITH (security_barrier) AS
	SELECT a.code AS account, a.kind, a.currency,
		COALESCE(b.balance, 0) AS balance,
		CASE WHEN a.kind IN ('asset', 'expense') THEN COALESCE(b.balance, 0) ELSE - COALESCE(b.balance, 0) END AS normal_balance
	FROM ONLY payments.ledger_account a
		LEFT JOIN (SELECT account_id, pg_catalog.trim_scale(pg_catalog.sum(balance)) AS balance
			FROM ONLY payments.ledger_balance GROUP BY account_id) b ON b.account_id = a.id;
COMMENT ON VIEW payments.account_balance IS
'Present balance of every account: balance with debits positive, normal_balance on the side that is normal for the kind';

CREATE VIEW payments.trial_balance WITH (security_barrier) AS
	SELECT a.currency, a.kind, a.code AS account, COALESCE(s.debits, 0) AS debits, COALESCE(s.credits, 0) AS credits,
		GREATEST(COALESCE(s.balance, 0), 0) AS debit_balance, GREATEST(- COALESCE(s.balance, 0), 0) AS credit_balance
	FROM ONLY payments.ledger_account a
		LEFT JOIN (SELECT e.account_id, pg_catalog.sum(e.amount) AS balance,
				pg_catalog.sum(e.amount) FILTER (WHERE e.amount > 0) AS debits,
				- pg_catalog.sum(e.amount) FILTER (WHERE e.amount < 0) AS credits
			FROM ONLY payments.ledger_entry e GROUP BY e.account_id) s ON s.account_id = a.id;
COMMENT ON VIEW payments.trial_balance IS
'Debits, credits and balance of every account, from the entries; in each currency debit and credit balances have equal sums';
