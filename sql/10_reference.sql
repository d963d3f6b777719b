-- Small tables that others point at: who buys, who sells, which PSP contract,
-- which currency, and which node of which cluster this database is.
--
-- Hot tables name a currency or a merchant without a foreign key: its check
-- would lock the one row of KRW in every payment and make a multixact of it.
-- Their values come from C code that has looked them up, and verify() checks.

CREATE TABLE payments.currency (
	code text COLLATE "C" NOT NULL,
	minor_units smallint NOT NULL,
	name text NOT NULL,
	CONSTRAINT currency_pkey PRIMARY KEY (code),
	CONSTRAINT currency_code_is_iso_4217 CHECK (code ~ '^[A-Z]{3}$'),
	CONSTRAINT currency_minor_units_in_range CHECK (minor_units BETWEEN 0 AND 3)
);
COMMENT ON TABLE payments.currency IS
'Currencies and how many digits an amount may have after the point; rows are added, never changed';
CREATE TRIGGER currency_forbid_change BEFORE UPDATE OR DELETE ON payments.currency
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER currency_forbid_truncate BEFORE TRUNCATE ON payments.currency
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.currency ENABLE ALWAYS TRIGGER currency_forbid_change;
ALTER TABLE payments.currency ENABLE ALWAYS TRIGGER currency_forbid_truncate;
INSERT INTO payments.currency (code, minor_units, name) VALUES
	('KRW', 0, 'South Korean won'),
	('USD', 2, 'US dollar'),
	('JPY', 0, 'Japanese yen');

CREATE SEQUENCE payments.merchant_id_seq;

CREATE TABLE payments.merchant (
	name text COLLATE "C" NOT NULL,
	client_key text NOT NULL,
	mid text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	id bigint NOT NULL,
	max_in_flight integer,
	calls_per_minute integer,
	burst integer,
	sellers_may_owe boolean NOT NULL DEFAULT false,
	CONSTRAINT merchant_pkey PRIMARY KEY (name),
	CONSTRAINT merchant_id_key UNIQUE (id),
	CONSTRAINT merchant_id_positive CHECK (id > 0),
	CONSTRAINT merchant_name_is_a_file_name CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
	CONSTRAINT merchant_client_key_is_public CHECK (client_key ~ '^(test|live)_g?ck_[A-Za-z0-9_]+$'),
	CONSTRAINT merchant_mid_length CHECK (mid ~ '^[A-Za-z0-9]{1,14}$'),
	CONSTRAINT merchant_max_in_flight_in_range CHECK (max_in_flight BETWEEN 1 AND 10000),
	CONSTRAINT merchant_calls_per_minute_in_range CHECK (calls_per_minute BETWEEN 1 AND 6000000),
	CONSTRAINT merchant_burst_in_range CHECK (burst BETWEEN 1 AND 1000000),
	CONSTRAINT merchant_burst_of_a_rate CHECK (burst IS NULL OR calls_per_minute IS NOT NULL)
);
COMMENT ON TABLE payments.merchant IS
'Contracts with Toss Payments; the secret key is a file named after the merchant in payments.secret_dir, never a row';
COMMENT ON COLUMN payments.merchant.id IS 'What the queue of calls knows the merchant by';
COMMENT ON COLUMN payments.merchant.max_in_flight IS 'Requests of the merchant on the wire at once; NULL: no limit of its own';
COMMENT ON COLUMN payments.merchant.calls_per_minute IS 'Requests of the merchant a minute; NULL: no limit of its own';
COMMENT ON COLUMN payments.merchant.burst IS 'How many of them may come at once; NULL: what comes in a second';
COMMENT ON COLUMN payments.merchant.sellers_may_owe IS
'Whether a refund may take more out of a seller''s wallet than is in it; set by payments.set_refund_policy';
ALTER SEQUENCE payments.merchant_id_seq OWNED BY payments.merchant.id;

CREATE TABLE payments.buyer (
	id bigint NOT NULL,
	customer_key text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT buyer_pkey PRIMARY KEY (id),
	CONSTRAINT buyer_id_positive CHECK (id > 0),
	CONSTRAINT buyer_customer_key_form CHECK (pg_catalog.length(customer_key) >= 2 AND pg_catalog.length(customer_key) <= 50 AND customer_key !~ '[^A-Za-z0-9_=.@-]')
);
COMMENT ON TABLE payments.buyer IS
'One row per buyer, made at the first checkout; id is the application''s own';
COMMENT ON COLUMN payments.buyer.customer_key IS
'What Toss knows the buyer by: random, so that nobody can guess another''s';

CREATE TABLE payments.seller (
	id bigint NOT NULL,
	commission_rate numeric(7, 6) NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL,
	CONSTRAINT seller_pkey PRIMARY KEY (id),
	CONSTRAINT seller_id_positive CHECK (id > 0),
	CONSTRAINT seller_commission_rate_in_range CHECK (commission_rate >= 0 AND commission_rate < 1)
);
COMMENT ON TABLE payments.seller IS
'One row per seller, made at the first checkout; id is the application''s own';
COMMENT ON COLUMN payments.seller.commission_rate IS
'Share of a sale that the platform keeps, as a fraction (0.035 is 3.5 %); a checkout copies it into its orders';

CREATE TABLE payments.node (
	node integer NOT NULL,
	nodes integer NOT NULL,
	CONSTRAINT node_range CHECK (nodes >= 1 AND nodes <= 1024 AND node >= 0 AND node <= nodes - 1)
);
CREATE UNIQUE INDEX node_only_one ON payments.node ((true));
COMMENT ON TABLE payments.node IS
'Which node of how many this database is (no row: the only one); set by payments.set_node';

-- Transaction ids start anew when rows move to another cluster by dump and
-- restore.  The feed's order is therefore (generation, xid, id): a writer that
-- finds itself in a cluster other than the newest row's begins a generation.
CREATE TABLE payments.cluster (
	generation integer NOT NULL,
	system_identifier bigint NOT NULL,
	first_seen_at timestamptz NOT NULL,
	CONSTRAINT cluster_pkey PRIMARY KEY (generation),
	CONSTRAINT cluster_generation_positive CHECK (generation > 0)
);
COMMENT ON TABLE payments.cluster IS
'The clusters in which this database has lived, oldest first';
CREATE TRIGGER cluster_forbid_change BEFORE UPDATE OR DELETE ON payments.cluster
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER cluster_forbid_truncate BEFORE TRUNCATE ON payments.cluster
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.cluster ENABLE ALWAYS TRIGGER cluster_forbid_change;
ALTER TABLE payments.cluster ENABLE ALWAYS TRIGGER cluster_forbid_truncate;
