-- Orders: one payment event per checkout, one payment order per line, one
-- history row per transition.
--
-- Forms are checked by length and by forbidden characters: a regular expression
-- with a bounded repetition costs thirty times as much, three times a payment.

CREATE SEQUENCE payments.payment_event_id_seq;
CREATE SEQUENCE payments.payment_order_id_seq;
CREATE SEQUENCE payments.payment_order_history_id_seq;

CREATE TABLE payments.payment_event (
	id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	payment_key text COLLATE "C",
	is_payment_done boolean NOT NULL DEFAULT false,
	merchant text COLLATE "C" NOT NULL,
	buyer_id bigint NOT NULL,
	order_name text NOT NULL,
	currency text COLLATE "C" NOT NULL,
	amount numeric NOT NULL,
	method text,
	psp_status text,
	psp_response jsonb,
	created_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	approved_at timestamptz,
	metadata jsonb,
	abandoned_at timestamptz,
	retry_of text COLLATE "C",
	retried_as text COLLATE "C",
	CONSTRAINT payment_event_pkey PRIMARY KEY (id),
	CONSTRAINT payment_event_order_id_key UNIQUE (order_id),
	CONSTRAINT payment_event_payment_key_key UNIQUE (payment_key),
	CONSTRAINT payment_event_buyer_id_fkey FOREIGN KEY (buyer_id) REFERENCES payments.buyer (id),
	CONSTRAINT payment_event_order_id_form CHECK (pg_catalog.length(order_id) >= 6 AND pg_catalog.length(order_id) <= 64 AND order_id !~ '[^A-Za-z0-9_-]'),
	CONSTRAINT payment_event_payment_key_form CHECK (pg_catalog.length(payment_key) >= 1 AND pg_catalog.length(payment_key) <= 200 AND payment_key !~ '[^A-Za-z0-9_=.-]'),
	CONSTRAINT payment_event_order_name_length CHECK (pg_catalog.length(order_name) BETWEEN 1 AND 100),
	CONSTRAINT payment_event_currency_form CHECK (pg_catalog.length(currency) = 3 AND currency !~ '[^A-Z]'),
	CONSTRAINT payment_event_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3)),
	CONSTRAINT payment_event_abandoned_unpaid CHECK (abandoned_at IS NULL OR payment_key IS NULL),
	CONSTRAINT payment_event_retry_of_root CHECK (retry_of IS NULL OR retried_as IS NULL)
) WITH (fillfactor = 30);
CREATE INDEX payment_event_buyer_id_idx ON payments.payment_event (buyer_id);
-- What may expire.  confirm takes a row out of it, in an update that is not HOT
-- anyway, and nothing that comes later touches it.
CREATE INDEX payment_event_unconfirmed_idx ON payments.payment_event (expires_at, id)
	WHERE payment_key IS NULL AND abandoned_at IS NULL;
COMMENT ON TABLE payments.payment_event IS
'One row per checkout: what the buyer pays at once, and what the PSP said about it';
COMMENT ON COLUMN payments.payment_event.order_id IS 'What the PSP knows the order by; unique for ever';
COMMENT ON COLUMN payments.payment_event.payment_key IS 'The PSP''s name of the payment; NULL until confirm, then never changed';
COMMENT ON COLUMN payments.payment_event.is_payment_done IS 'True when the ledger and the wallets have every order';
COMMENT ON COLUMN payments.payment_event.amount IS 'The total, computed from the lines, in units of the currency';
COMMENT ON COLUMN payments.payment_event.psp_response IS 'The PSP''s last answer, reduced to fields without personal data';
COMMENT ON COLUMN payments.payment_event.abandoned_at IS
'When an order that nobody confirmed ended: by the fail redirect, or because its time was over';
COMMENT ON COLUMN payments.payment_event.retry_of IS 'The first order of the same lines, when this one is a retry of it';
COMMENT ON COLUMN payments.payment_event.retried_as IS 'The newest retry of this order, which is the first of its lines';

CREATE TABLE payments.payment_order (
	id bigint NOT NULL,
	payment_event_id bigint NOT NULL,
	payment_order_status payments.payment_order_status NOT NULL DEFAULT 'NOT_STARTED',
	amount numeric NOT NULL,
	ledger_updated boolean NOT NULL DEFAULT false,
	wallet_updated boolean NOT NULL DEFAULT false,
	buyer_id bigint NOT NULL,
	seller_id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	line_no integer NOT NULL,
	product_id text,
	product_name text,
	quantity integer NOT NULL DEFAULT 1,
	commission numeric NOT NULL DEFAULT 0,
	refunded_amount numeric NOT NULL DEFAULT 0,
	refunding_amount numeric NOT NULL DEFAULT 0,
	status_reason text,
	failure_code text,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	CONSTRAINT payment_order_pkey PRIMARY KEY (id),
	CONSTRAINT payment_order_order_id_line_no_key UNIQUE (order_id, line_no),
	CONSTRAINT payment_order_payment_event_id_fkey FOREIGN KEY (payment_event_id) REFERENCES payments.payment_event (id),
	CONSTRAINT payment_order_buyer_id_fkey FOREIGN KEY (buyer_id) REFERENCES payments.buyer (id),
	CONSTRAINT payment_order_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES payments.seller (id),
	CONSTRAINT payment_order_amount_in_range CHECK (amount > 0 AND amount < 1e15 AND amount = pg_catalog.trunc(amount, 3)),
	CONSTRAINT payment_order_commission_in_range CHECK (commission >= 0 AND commission <= amount AND commission = pg_catalog.trunc(commission, 3)),
	CONSTRAINT payment_order_refunds_in_range CHECK (refunded_amount >= 0 AND refunding_amount >= 0 AND refunded_amount + refunding_amount <= amount),
	CONSTRAINT payment_order_refunds_need_success CHECK (payment_order_status = 'SUCCESS' OR refunded_amount + refunding_amount = 0),
	CONSTRAINT payment_order_quantity_positive CHECK (quantity > 0),
	CONSTRAINT payment_order_line_no_positive CHECK (line_no > 0),
	CONSTRAINT payment_order_flags_need_success CHECK (payment_order_status = 'SUCCESS' OR NOT (ledger_updated OR wallet_updated))
) WITH (fillfactor = 70);
CREATE INDEX payment_order_payment_event_id_idx ON payments.payment_order (payment_event_id);
CREATE INDEX payment_order_buyer_id_idx ON payments.payment_order (buyer_id);
CREATE INDEX payment_order_seller_id_idx ON payments.payment_order (seller_id);
COMMENT ON TABLE payments.payment_order IS
'One row per line bought: its state, and whether ledger and wallet have it';
COMMENT ON COLUMN payments.payment_order.amount IS 'Price of the whole line, in units of the event''s currency';
COMMENT ON COLUMN payments.payment_order.commission IS 'Part of amount that the platform keeps, fixed at checkout';
COMMENT ON COLUMN payments.payment_order.refunded_amount IS 'What refunds that are done have given back of amount';
COMMENT ON COLUMN payments.payment_order.refunding_amount IS 'What refunds that are open will give back of it';
COMMENT ON COLUMN payments.payment_order.status_reason IS 'Why the order is in its present state, for people; copied to the history';
COMMENT ON COLUMN payments.payment_order.failure_code IS 'Toss''s code, or ours, when the state is FAILURE or UNKNOWN';

CREATE TABLE payments.payment_order_history (
	id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	payment_order_id bigint NOT NULL,
	from_status payments.payment_order_status NOT NULL,
	to_status payments.payment_order_status NOT NULL,
	reason text,
	actor text NOT NULL,
	changed_at timestamptz NOT NULL,
	CONSTRAINT payment_order_history_pkey PRIMARY KEY (order_id, payment_order_id, id),
	CONSTRAINT payment_order_history_payment_order_id_fkey FOREIGN KEY (payment_order_id) REFERENCES payments.payment_order (id),
	CONSTRAINT payment_order_history_is_a_change CHECK (from_status <> to_status)
);
COMMENT ON TABLE payments.payment_order_history IS
'Every transition of every payment order, written by a trigger that no path can skip';
COMMENT ON COLUMN payments.payment_order_history.actor IS 'The session''s role, or the worker';

ALTER SEQUENCE payments.payment_event_id_seq OWNED BY payments.payment_event.id;
ALTER SEQUENCE payments.payment_order_id_seq OWNED BY payments.payment_order.id;
ALTER SEQUENCE payments.payment_order_history_id_seq OWNED BY payments.payment_order_history.id;

-- Guards.  They bind every writer, superuser and replication role included, but
-- for the one that settles: it writes rows without firing triggers, and sees to
-- the same itself (src/order_outcome.c).
-- On INSERT nothing is derived: a restore inserts finished orders.

CREATE FUNCTION payments.payment_order_guard() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_payment_order_guard';
COMMENT ON FUNCTION payments.payment_order_guard() IS
'Trigger: lets an order change only along the transitions of the state machine, and never its identity or amount';
CREATE TRIGGER payment_order_guard BEFORE UPDATE ON payments.payment_order
	FOR EACH ROW EXECUTE FUNCTION payments.payment_order_guard();
ALTER TABLE payments.payment_order ENABLE ALWAYS TRIGGER payment_order_guard;

CREATE FUNCTION payments.payment_order_record() RETURNS trigger
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_payment_order_record';
COMMENT ON FUNCTION payments.payment_order_record() IS
'Trigger: writes a transition to the history';
CREATE TRIGGER payment_order_record AFTER UPDATE ON payments.payment_order
	FOR EACH ROW WHEN (OLD.payment_order_status IS DISTINCT FROM NEW.payment_order_status)
	EXECUTE FUNCTION payments.payment_order_record();
ALTER TABLE payments.payment_order ENABLE ALWAYS TRIGGER payment_order_record;

CREATE FUNCTION payments.payment_order_complete() RETURNS trigger
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_payment_order_complete';
COMMENT ON FUNCTION payments.payment_order_complete() IS
'Trigger: marks payment events as done, under their locks, when their last orders got both flags';
-- Once per statement: the worker completes a few hundred orders in one.
CREATE TRIGGER payment_order_complete AFTER UPDATE ON payments.payment_order
	REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION payments.payment_order_complete();
ALTER TABLE payments.payment_order ENABLE ALWAYS TRIGGER payment_order_complete;

CREATE FUNCTION payments.payment_event_guard() RETURNS trigger
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_payment_event_guard';
COMMENT ON FUNCTION payments.payment_event_guard() IS
'Trigger: keeps a payment event''s identity, amount and payment key, and lets it be done only when every order has both flags';
CREATE TRIGGER payment_event_guard BEFORE UPDATE ON payments.payment_event
	FOR EACH ROW EXECUTE FUNCTION payments.payment_event_guard();
ALTER TABLE payments.payment_event ENABLE ALWAYS TRIGGER payment_event_guard;

CREATE TRIGGER payment_event_forbid_delete BEFORE DELETE ON payments.payment_event
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_event_forbid_truncate BEFORE TRUNCATE ON payments.payment_event
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_order_forbid_delete BEFORE DELETE ON payments.payment_order
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_order_forbid_truncate BEFORE TRUNCATE ON payments.payment_order
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_order_history_forbid_change BEFORE UPDATE OR DELETE ON payments.payment_order_history
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER payment_order_history_forbid_truncate BEFORE TRUNCATE ON payments.payment_order_history
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.payment_event ENABLE ALWAYS TRIGGER payment_event_forbid_delete;
ALTER TABLE payments.payment_event ENABLE ALWAYS TRIGGER payment_event_forbid_truncate;
ALTER TABLE payments.payment_order ENABLE ALWAYS TRIGGER payment_order_forbid_delete;
ALTER TABLE payments.payment_order ENABLE ALWAYS TRIGGER payment_order_forbid_truncate;
ALTER TABLE payments.payment_order_history ENABLE ALWAYS TRIGGER payment_order_history_forbid_change;
ALTER TABLE payments.payment_order_history ENABLE ALWAYS TRIGGER payment_order_history_forbid_truncate;
