-- Reading the ledger: now, at any time on either clock, and against what
-- others say.
--
-- Snapshots are a summary tree over the entries of an account.  A row of level
-- 1 sums about 64 consecutive ones (a ledger transaction is never cut in two), a
-- row of the next level 64 rows of this one.  Each knows the range
-- of both clocks, so that a read at a time takes a row whole, skips it, or
-- looks below.  What is effective long before or after the rest of its row, a
-- stray, is left out of its amount and range, and stands in ledger_stray.  Rows
-- are written once.  All of it is a cache.  A dump leaves it out: a restored
-- database has neither snapshots nor marks, takes ids of any age, and builds
-- both anew.
CREATE TABLE payments.ledger_snapshot (
	account_id bigint NOT NULL,
	first_id bigint NOT NULL,
	last_id bigint NOT NULL,
	min_effective_at timestamptz NOT NULL,
	max_effective_at timestamptz NOT NULL,
	min_recorded_at timestamptz NOT NULL,
	max_recorded_at timestamptz NOT NULL,
	entries bigint NOT NULL,
	ordinal integer NOT NULL,
	strays integer NOT NULL,
	level smallint NOT NULL,
	amount numeric NOT NULL,
	CONSTRAINT ledger_snapshot_pkey PRIMARY KEY (account_id, level, ordinal),
	CONSTRAINT ledger_snapshot_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id),
	CONSTRAINT ledger_snapshot_place_in_range CHECK (level >= 1 AND ordinal >= 0 AND entries >= 1 AND strays >= 0),
	CONSTRAINT ledger_snapshot_ranges_in_order CHECK (first_id <= last_id AND min_recorded_at <= max_recorded_at
		AND (min_effective_at <= max_effective_at OR min_effective_at = 'infinity' AND max_effective_at = '-infinity'))
);
COMMENT ON TABLE payments.ledger_snapshot IS
'Sums over consecutive entries of an account, and over such sums: what makes reading at a time fast; a cache that can be built anew at any time';
COMMENT ON COLUMN payments.ledger_snapshot.ordinal IS
'Counts the account''s rows of this level from 0; the row above is ordinal / 64';
COMMENT ON COLUMN payments.ledger_snapshot.last_id IS
'The newest ledger transaction in it; the next row of the level begins after it';
COMMENT ON COLUMN payments.ledger_snapshot.entries IS
'All between first_id and last_id, strays too';
COMMENT ON COLUMN payments.ledger_snapshot.strays IS
'Ledger transactions that are effective long before or after the rest: not in amount and the range of effective times';
COMMENT ON COLUMN payments.ledger_snapshot.amount IS
'Sum of what is in order: all but strays';

-- The strays of a snapshot's row, of whatever level, in the order of effective
-- times with running sums, 32 to a page.  A row with more than 32768 of them has
-- no pages; they are in those of the rows below.
CREATE TABLE payments.ledger_stray (
	account_id bigint NOT NULL,
	min_effective_at timestamptz NOT NULL,
	ordinal integer NOT NULL,
	page integer NOT NULL,
	level smallint NOT NULL,
	effective_ats timestamptz[] NOT NULL,
	transaction_ids bigint[] NOT NULL,
	sums numeric[] NOT NULL,
	CONSTRAINT ledger_stray_pkey PRIMARY KEY (account_id, level, ordinal, min_effective_at, page),
	CONSTRAINT ledger_stray_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id)
);
COMMENT ON TABLE payments.ledger_stray IS
'Strays: ledger transactions that are effective long before or after their neighbours, for each row of ledger_snapshot; a cache like that';
COMMENT ON COLUMN payments.ledger_stray.ordinal IS
'That of the row of ledger_snapshot whose strays these are';
COMMENT ON COLUMN payments.ledger_stray.sums IS
'Of all of the row''s strays up to this one, those of earlier pages too';

-- How far ids are final: nothing at or below final_id can come any more.  Ids
-- are drawn from a sequence and commit in any order, so "id > last" would lose
-- what commits late; src/ledger_horizon.c explains how final_id advances.
CREATE TABLE payments.ledger_horizon (
	only_row boolean NOT NULL DEFAULT true,
	final_id bigint NOT NULL,
	done_id bigint NOT NULL,
	candidate_id bigint NOT NULL,
	candidate_xid xid8 NOT NULL,
	wait_xid xid8,
	CONSTRAINT ledger_horizon_pkey PRIMARY KEY (only_row),
	CONSTRAINT ledger_horizon_only_row CHECK (only_row),
	CONSTRAINT ledger_horizon_marks_in_order CHECK (0 <= done_id AND done_id <= final_id AND final_id <= candidate_id)
);
INSERT INTO payments.ledger_horizon (final_id, done_id, candidate_id, candidate_xid)
	VALUES (0, 0, 0, '0');
COMMENT ON TABLE payments.ledger_horizon IS
'One row: up to which id ledger transactions are final, and up to which their entries went into snapshots';
COMMENT ON COLUMN payments.ledger_horizon.candidate_id IS
'To be final_id as soon as all transactions below wait_xid have ended';

-- Whoever brings an id of his own may not bring one that snapshots passed.
-- Entry 1 stands for all: the zero-sum check lets entries come together only.
CREATE FUNCTION payments.ledger_horizon_guard() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_ledger_horizon_guard';
COMMENT ON FUNCTION payments.ledger_horizon_guard() IS
'Trigger: refuses ledger transactions and entries whose id is final already';
CREATE TRIGGER ledger_transaction_horizon AFTER INSERT ON payments.ledger_transaction
	FOR EACH ROW EXECUTE FUNCTION payments.ledger_horizon_guard('id');
CREATE TRIGGER ledger_entry_horizon AFTER INSERT ON payments.ledger_entry
	FOR EACH ROW WHEN (NEW.entry_no = 1) EXECUTE FUNCTION payments.ledger_horizon_guard('transaction_id');
ALTER TABLE payments.ledger_transaction ENABLE ALWAYS TRIGGER ledger_transaction_horizon;
ALTER TABLE payments.ledger_entry ENABLE ALWAYS TRIGGER ledger_entry_horizon;

CREATE FUNCTION payments.write_snapshots(max_rows integer DEFAULT 10000)
	RETURNS integer
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_write_snapshots';
COMMENT ON FUNCTION payments.write_snapshots(integer) IS
'Takes snapshots a step further: looks how far ledger transactions are final, then takes in about max_rows entries; returns how many';

CREATE FUNCTION payments.rebuild_snapshots()
	RETURNS void
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	UPDATE payments.ledger_horizon SET done_id = 0;
	DELETE FROM payments.ledger_snapshot;
	DELETE FROM payments.ledger_stray;
	$$;
COMMENT ON FUNCTION payments.rebuild_snapshots() IS
'Throws all snapshots away, so that write_snapshots builds them anew; reads stay right meanwhile, but slow';

CREATE FUNCTION payments.balance(
	account text,
	as_of timestamptz DEFAULT NULL,
	known_at timestamptz DEFAULT NULL)
	RETURNS numeric
	LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_balance';
COMMENT ON FUNCTION payments.balance(text, timestamptz, timestamptz) IS
'Balance of an account, debits positive, in units of its currency: now, or of what was effective at as_of, as it was known at known_at';

CREATE FUNCTION payments.statement(
	account text,
	from_at timestamptz,
	to_at timestamptz,
	clock text DEFAULT 'effective',
	known_at timestamptz DEFAULT NULL,
	OUT line text, OUT at timestamptz, OUT transaction_id bigint, OUT entry_no smallint,
	OUT transaction_key text, OUT kind text, OUT order_id text, OUT description text,
	OUT effective_at timestamptz, OUT recorded_at timestamptz,
	OUT debit numeric, OUT credit numeric, OUT balance numeric)
	RETURNS SETOF record
	LANGUAGE c STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_statement';
COMMENT ON FUNCTION payments.statement(text, timestamptz, timestamptz, text, timestamptz) IS
'Statement of an account from from_at until before to_at: opening balance, every entry with the balance after it, closing balance';

CREATE FUNCTION payments.trial_balance_at(
	as_of timestamptz,
	known_at timestamptz DEFAULT NULL,
	OUT currency text, OUT kind text, OUT account text,
	OUT debits numeric, OUT credits numeric, OUT debit_balance numeric, OUT credit_balance numeric)
	RETURNS SETOF record
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 1000 SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT a.currency, a.kind, a.code, coalesce(s.debits, 0), coalesce(s.credits, 0),
		greatest(coalesce(s.balance, 0), 0), greatest(coalesce(- s.balance, 0), 0)
	FROM ONLY payments.ledger_account a
		LEFT JOIN (SELECT e.account_id, sum(e.amount) AS balance,
				sum(e.amount) FILTER (WHERE e.amount > 0) AS debits,
				- sum(e.amount) FILTER (WHERE e.amount < 0) AS credits
			FROM ONLY payments.ledger_entry e
				JOIN ONLY payments.ledger_transaction t ON t.id = e.transaction_id
					AND t.effective_at <= coalesce(trial_balance_at.as_of, 'infinity')
					AND t.recorded_at <= coalesce(trial_balance_at.known_at, 'infinity')
			GROUP BY e.account_id) s ON s.account_id = a.id
	ORDER BY a.currency, a.kind, a.code
	$$;
COMMENT ON FUNCTION payments.trial_balance_at(timestamptz, timestamptz) IS
'The trial balance of what was effective at as_of, as it was known at known_at; reads every entry';

-- Accounts that money only passes through: at the end of the day they are
-- zero, or somebody knows why not.
CREATE SEQUENCE payments.ledger_clearing_id_seq;
CREATE TABLE payments.ledger_clearing (
	id bigint NOT NULL,
	account_id bigint NOT NULL,
	clearing boolean NOT NULL,
	reason text NOT NULL,
	actor text NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT ledger_clearing_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_clearing_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id)
);
CREATE INDEX ledger_clearing_account_id_idx ON payments.ledger_clearing (account_id, id);
ALTER SEQUENCE payments.ledger_clearing_id_seq OWNED BY payments.ledger_clearing.id;
COMMENT ON TABLE payments.ledger_clearing IS
'Which accounts are clearing accounts, that should come back to zero; the newest row of an account counts';

-- What others say about a balance: a bank's statement, a count of the cash.
CREATE SEQUENCE payments.balance_assertion_id_seq;
CREATE TABLE payments.balance_assertion (
	id bigint NOT NULL,
	account_id bigint NOT NULL,
	as_of timestamptz NOT NULL,
	amount numeric NOT NULL,
	source text NOT NULL,
	note text,
	actor text NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT balance_assertion_pkey PRIMARY KEY (id),
	CONSTRAINT balance_assertion_account_id_fkey FOREIGN KEY (account_id) REFERENCES payments.ledger_account (id),
	CONSTRAINT balance_assertion_amount_in_range CHECK (amount > -1e15 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3))
);
CREATE INDEX balance_assertion_account_id_idx ON payments.balance_assertion (account_id, as_of);
ALTER SEQUENCE payments.balance_assertion_id_seq OWNED BY payments.balance_assertion.id;
COMMENT ON TABLE payments.balance_assertion IS
'What others say an account held at a time; payments.balance_assertions compares it with the ledger';
COMMENT ON COLUMN payments.balance_assertion.amount IS
'Debit positive, like payments.balance';

CREATE TRIGGER ledger_clearing_forbid_change BEFORE UPDATE OR DELETE ON payments.ledger_clearing
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER ledger_clearing_forbid_truncate BEFORE TRUNCATE ON payments.ledger_clearing
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER balance_assertion_forbid_change BEFORE UPDATE OR DELETE ON payments.balance_assertion
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER balance_assertion_forbid_truncate BEFORE TRUNCATE ON payments.balance_assertion
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.ledger_clearing ENABLE ALWAYS TRIGGER ledger_clearing_forbid_change;
ALTER TABLE payments.ledger_clearing ENABLE ALWAYS TRIGGER ledger_clearing_forbid_truncate;
ALTER TABLE payments.balance_assertion ENABLE ALWAYS TRIGGER balance_assertion_forbid_change;
ALTER TABLE payments.balance_assertion ENABLE ALWAYS TRIGGER balance_assertion_forbid_truncate;

CREATE FUNCTION payments.set_clearing(account text, clearing boolean, reason text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_clearing';
COMMENT ON FUNCTION payments.set_clearing(text, boolean, text) IS
'Marks an account as one that should come back to zero, or takes the mark away; recorded with the reason';

CREATE FUNCTION payments.assert_balance(
	account text,
	as_of timestamptz,
	amount numeric,
	source text,
	note text DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_assert_balance';
COMMENT ON FUNCTION payments.assert_balance(text, timestamptz, numeric, text, text) IS
'Records what somebody else says that an account held at as_of, debits positive, and returns the id; never fails because the ledger differs';

-- What is left in a clearing account came last: the oldest entry that is not
-- explained is found from the newest backwards.  The planner thinks of accounts
-- as small and would read and sort all entries first.
CREATE FUNCTION payments.oldest_uncleared(account_id bigint, balance numeric)
	RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp SET enable_sort = off SET enable_bitmapscan = off SET jit = off
	AS $$
	SELECT w.transaction_id
	FROM (SELECT e.transaction_id, sum(abs(e.amount)) OVER (ORDER BY e.transaction_id DESC) AS total
		FROM ONLY payments.ledger_entry e
		WHERE oldest_uncleared.balance <> 0 AND e.account_id = oldest_uncleared.account_id
			AND sign(e.amount) = sign(oldest_uncleared.balance)) w
	WHERE w.total >= abs(oldest_uncleared.balance)
	ORDER BY w.transaction_id DESC LIMIT 1
	$$;
COMMENT ON FUNCTION payments.oldest_uncleared(bigint, numeric) IS
'The ledger transaction with which what an account holds began to come in, when what came in first went out first; for the view open_clearing';

CREATE VIEW payments.open_clearing WITH (security_barrier) AS
	SELECT a.code AS account, a.currency, b.balance, t.effective_at AS open_since,
		pg_catalog.clock_timestamp() - t.effective_at AS age, o.transaction_id
	FROM (SELECT DISTINCT ON (c.account_id) c.account_id, c.clearing
			FROM ONLY payments.ledger_clearing c ORDER BY c.account_id, c.id DESC) m
		JOIN ONLY payments.ledger_account a ON a.id = m.account_id
		CROSS JOIN LATERAL (SELECT pg_catalog.sum(s.balance) AS balance
			FROM ONLY payments.ledger_balance s WHERE s.account_id = m.account_id) b
		CROSS JOIN LATERAL (SELECT payments.oldest_uncleared(m.account_id, b.balance) AS transaction_id OFFSET 0) o
		LEFT JOIN ONLY payments.ledger_transaction t ON t.id = o.transaction_id
	WHERE m.clearing AND b.balance <> 0
	ORDER BY t.effective_at, a.code;
COMMENT ON VIEW payments.open_clearing IS
'Clearing accounts that are not zero, the oldest first: their balance, and the oldest entry that nothing has cleared';

CREATE VIEW payments.balance_assertions WITH (security_barrier) AS
	SELECT b.id, a.code AS account, a.currency, b.as_of, b.amount, l.ledger_balance,
		b.amount - l.ledger_balance AS difference, b.source, b.note, b.actor, b.created_at
	FROM ONLY payments.balance_assertion b
		JOIN ONLY payments.ledger_account a ON a.id = b.account_id
		CROSS JOIN LATERAL (SELECT payments.balance(a.code, b.as_of) AS ledger_balance OFFSET 0) l;
COMMENT ON VIEW payments.balance_assertions IS
'What others said an account held, what the ledger says now about that time, and the difference';
