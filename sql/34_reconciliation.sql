-- Reconciling: Toss's list of transactions, read page by page and compared with
-- our books.  A run (reconciliation) knows how far it has come; what each of its
-- requests came to (reconciliation_page), and each movement that Toss has and
-- our books have not, or otherwise (reconciliation_finding), is only appended.
-- No money is moved by it: a finding ends because a later run finds that it
-- agrees, or because a person closes it (reconciliation_finding_end).

CREATE SEQUENCE payments.reconciliation_id_seq;
CREATE SEQUENCE payments.reconciliation_finding_id_seq;

CREATE TABLE payments.reconciliation (
	id bigint NOT NULL,
	merchant text COLLATE "C" NOT NULL,
	cause text NOT NULL,
	actor text NOT NULL,
	requested_at timestamptz NOT NULL,
	since timestamptz NOT NULL,
	until timestamptz,
	state "char" NOT NULL DEFAULT 'P',
	epoch bigint NOT NULL DEFAULT 0,
	attempt_no integer NOT NULL DEFAULT 0,
	failures integer NOT NULL DEFAULT 0,
	failing_since timestamptz,
	problem text,
	due_at timestamptz NOT NULL,
	slice_since timestamptz,
	last_key text COLLATE "C",
	slice_pages integer NOT NULL DEFAULT 0,
	transactions bigint NOT NULL DEFAULT 0,
	ended_at timestamptz,
	CONSTRAINT reconciliation_pkey PRIMARY KEY (id),
	CONSTRAINT reconciliation_cause_known CHECK (cause IN ('start', 'after start', 'schedule', 'operator')),
	CONSTRAINT reconciliation_period CHECK (since < until),
	CONSTRAINT reconciliation_state_known CHECK (state IN ('P', 'S', 'C', 'G')),
	CONSTRAINT reconciliation_ended CHECK ((state IN ('C', 'G')) = (ended_at IS NOT NULL))
);
CREATE INDEX reconciliation_due_at_idx ON payments.reconciliation (due_at) WHERE ended_at IS NULL;
CREATE INDEX reconciliation_merchant_idx ON payments.reconciliation (merchant, requested_at);
COMMENT ON TABLE payments.reconciliation IS
'Runs that compare Toss''s list of transactions with our books';
COMMENT ON COLUMN payments.reconciliation.cause IS 'Why it runs: a start after which books may lack something, the same once more, the schedule, an operator';
COMMENT ON COLUMN payments.reconciliation.until IS 'NULL until it begins, if it is to go up to then';
COMMENT ON COLUMN payments.reconciliation.state IS 'P pending, S a page is asked for under epoch, C complete, G given up';
COMMENT ON COLUMN payments.reconciliation.slice_since IS 'Where the day begins that is being read';
COMMENT ON COLUMN payments.reconciliation.last_key IS 'The transaction behind which the next page begins';
COMMENT ON COLUMN payments.reconciliation.transactions IS 'Rows that were read and lie in the period';

CREATE TABLE payments.reconciliation_page (
	reconciliation_id bigint NOT NULL,
	attempt_no integer NOT NULL,
	since timestamptz NOT NULL,
	until timestamptz NOT NULL,
	after_key text COLLATE "C",
	http_status integer,
	problem text,
	rows integer NOT NULL,
	transactions integer NOT NULL,
	unreadable integer NOT NULL,
	counted boolean NOT NULL,
	body_size integer NOT NULL,
	body_sha256 bytea,
	trace_id text,
	total_us bigint,
	received_at timestamptz NOT NULL,
	CONSTRAINT reconciliation_page_pkey PRIMARY KEY (reconciliation_id, attempt_no),
	CONSTRAINT reconciliation_page_reconciliation_id_fkey FOREIGN KEY (reconciliation_id) REFERENCES payments.reconciliation (id)
);
COMMENT ON TABLE payments.reconciliation_page IS
'What each request for a page of Toss''s list came to';
COMMENT ON COLUMN payments.reconciliation_page.counted IS 'False when another run of the worker had the reconciliation by then';

CREATE TABLE payments.reconciliation_finding (
	id bigint NOT NULL,
	reconciliation_id bigint NOT NULL,
	merchant text COLLATE "C" NOT NULL,
	transaction_key text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	payment_key text COLLATE "C",
	order_id text COLLATE "C",
	status text,
	currency text COLLATE "C",
	amount numeric,
	transaction_at timestamptz,
	detail text,
	found_at timestamptz NOT NULL,
	CONSTRAINT reconciliation_finding_pkey PRIMARY KEY (id),
	CONSTRAINT reconciliation_finding_once UNIQUE (merchant, transaction_key, kind),
	CONSTRAINT reconciliation_finding_reconciliation_id_fkey FOREIGN KEY (reconciliation_id) REFERENCES payments.reconciliation (id),
	CONSTRAINT reconciliation_finding_kind_known CHECK (kind IN ('unknown payment', 'not confirmed here', 'other payment', 'other order',
		'other amount', 'failed here', 'canceled there', 'deposit reversed', 'unknown status', 'unreadable'))
);
CREATE INDEX reconciliation_finding_reconciliation_id_idx ON payments.reconciliation_finding (reconciliation_id);
CREATE INDEX reconciliation_finding_order_id_idx ON payments.reconciliation_finding (order_id);
CREATE INDEX reconciliation_finding_payment_key_idx ON payments.reconciliation_finding (payment_key);
COMMENT ON TABLE payments.reconciliation_finding IS
'Movements that Toss has and our books have not, or otherwise: each is found once';
COMMENT ON COLUMN payments.reconciliation_finding.transaction_key IS 'Toss''s name of the movement; of a row without a usable one "sha256:" and a digest';
COMMENT ON COLUMN payments.reconciliation_finding.order_id IS 'As Toss has it: there need not be such an order here';

CREATE TABLE payments.reconciliation_finding_end (
	finding_id bigint NOT NULL,
	outcome text NOT NULL,
	reconciliation_id bigint,
	note text,
	actor text NOT NULL,
	ended_at timestamptz NOT NULL,
	CONSTRAINT reconciliation_finding_end_pkey PRIMARY KEY (finding_id),
	CONSTRAINT reconciliation_finding_end_finding_id_fkey FOREIGN KEY (finding_id) REFERENCES payments.reconciliation_finding (id),
	CONSTRAINT reconciliation_finding_end_reconciliation_id_fkey FOREIGN KEY (reconciliation_id) REFERENCES payments.reconciliation (id),
	CONSTRAINT reconciliation_finding_end_outcome_known CHECK (outcome IN ('agrees', 'replaced', 'canceled', 'closed')),
	CONSTRAINT reconciliation_finding_end_by_a_run_or_a_person CHECK (CASE outcome WHEN 'closed'
		THEN reconciliation_id IS NULL AND note IS NOT NULL ELSE reconciliation_id IS NOT NULL END),
	CONSTRAINT reconciliation_finding_end_note_length CHECK (pg_catalog.length(note) BETWEEN 1 AND 1000)
);
CREATE INDEX reconciliation_finding_end_reconciliation_id_idx ON payments.reconciliation_finding_end (reconciliation_id);
COMMENT ON TABLE payments.reconciliation_finding_end IS
'Why a finding is none any more: our books agree now or differ in another way, Toss has cancelled the payment, or a person closed it';

ALTER SEQUENCE payments.reconciliation_id_seq OWNED BY payments.reconciliation.id;
ALTER SEQUENCE payments.reconciliation_finding_id_seq OWNED BY payments.reconciliation_finding.id;

CREATE TRIGGER reconciliation_forbid_delete BEFORE DELETE ON payments.reconciliation
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_forbid_truncate BEFORE TRUNCATE ON payments.reconciliation
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_page_forbid_change BEFORE UPDATE OR DELETE ON payments.reconciliation_page
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_page_forbid_truncate BEFORE TRUNCATE ON payments.reconciliation_page
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_finding_forbid_change BEFORE UPDATE OR DELETE ON payments.reconciliation_finding
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_finding_forbid_truncate BEFORE TRUNCATE ON payments.reconciliation_finding
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_finding_end_forbid_change BEFORE UPDATE OR DELETE ON payments.reconciliation_finding_end
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER reconciliation_finding_end_forbid_truncate BEFORE TRUNCATE ON payments.reconciliation_finding_end
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.reconciliation ENABLE ALWAYS TRIGGER reconciliation_forbid_delete;
ALTER TABLE payments.reconciliation ENABLE ALWAYS TRIGGER reconciliation_forbid_truncate;
ALTER TABLE payments.reconciliation_page ENABLE ALWAYS TRIGGER reconciliation_page_forbid_change;
ALTER TABLE payments.reconciliation_page ENABLE ALWAYS TRIGGER reconciliation_page_forbid_truncate;
ALTER TABLE payments.reconciliation_finding ENABLE ALWAYS TRIGGER reconciliation_finding_forbid_change;
ALTER TABLE payments.reconciliation_finding ENABLE ALWAYS TRIGGER reconciliation_finding_forbid_truncate;
ALTER TABLE payments.reconciliation_finding_end ENABLE ALWAYS TRIGGER reconciliation_finding_end_forbid_change;
ALTER TABLE payments.reconciliation_finding_end ENABLE ALWAYS TRIGGER reconciliation_finding_end_forbid_truncate;

CREATE FUNCTION payments.reconcile(merchant text DEFAULT 'default', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_reconcile';
COMMENT ON FUNCTION payments.reconcile(text, timestamptz, timestamptz) IS
'Lets the worker compare Toss''s list of transactions of a period (the last two days up to when it begins, unless told) with our books; returns the id of the run';

CREATE FUNCTION payments.close_finding(finding_id bigint, note text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_close_finding';
COMMENT ON FUNCTION payments.close_finding(bigint, text) IS
'Closes what a reconciliation found, with a note of what was seen and done; it moves no money, and the same is never found again';
