-- Calls to the PSP.  What is to be sent never changes (psp_call), what is open
-- is hot and narrow (psp_call_queue) or waits for a deposit (psp_call_deposit),
-- what was sent and what came back is only ever appended (psp_attempt,
-- psp_answer).  A call that is in neither queue is closed, and the answer that
-- closed it says so.

CREATE SEQUENCE payments.psp_call_id_seq;

CREATE TABLE payments.psp_call (
	id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	payment_event_id bigint NOT NULL,
	merchant text COLLATE "C" NOT NULL,
	operation text NOT NULL,
	payment_key text COLLATE "C" NOT NULL,
	currency text COLLATE "C" NOT NULL,
	amount numeric NOT NULL,
	idempotency_key text COLLATE "C" NOT NULL,
	request_body text NOT NULL,
	renews_call_id bigint,
	created_at timestamptz NOT NULL,
	refund_id bigint,
	CONSTRAINT psp_call_pkey PRIMARY KEY (id),
	CONSTRAINT psp_call_idempotency_key_key UNIQUE (idempotency_key),
	CONSTRAINT psp_call_payment_event_id_fkey FOREIGN KEY (payment_event_id) REFERENCES payments.payment_event (id),
	CONSTRAINT psp_call_renews_call_id_fkey FOREIGN KEY (renews_call_id) REFERENCES payments.psp_call (id),
	CONSTRAINT psp_call_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES payments.refund (id),
	CONSTRAINT psp_call_operation_known CHECK (operation IN ('confirm', 'cancel', 'look')),
	CONSTRAINT psp_call_cancel_is_of_a_refund CHECK ((operation = 'cancel') = (refund_id IS NOT NULL)),
	CONSTRAINT psp_call_amount_in_range CHECK (amount > 0 AND amount < 1e15),
	CONSTRAINT psp_call_idempotency_key_length CHECK (pg_catalog.length(idempotency_key) BETWEEN 16 AND 300),
	CONSTRAINT psp_call_request_body_length CHECK (pg_catalog.octet_length(request_body) BETWEEN 2 AND 4096)
);
CREATE INDEX psp_call_payment_event_id_idx ON payments.psp_call (payment_event_id);
CREATE INDEX psp_call_order_id_idx ON payments.psp_call (order_id);
CREATE INDEX psp_call_look_idx ON payments.psp_call (created_at) WHERE operation = 'look';
CREATE INDEX psp_call_renews_call_id_idx ON payments.psp_call (renews_call_id) WHERE renews_call_id IS NOT NULL;
CREATE INDEX psp_call_refund_id_idx ON payments.psp_call (refund_id) WHERE refund_id IS NOT NULL;
COMMENT ON TABLE payments.psp_call IS
'A request to the PSP: its bytes and its idempotency key, for life';
COMMENT ON COLUMN payments.psp_call.operation IS
'confirm; cancel, of a refund; look: it only asks, about an order that nothing else is open of';
COMMENT ON COLUMN payments.psp_call.request_body IS 'The very bytes that every attempt sends';
COMMENT ON COLUMN payments.psp_call.amount IS 'What is to be paid, or to be given back';
COMMENT ON COLUMN payments.psp_call.renews_call_id IS
'The call before it, whose key was answered with an error that a query proved to be unprocessed';

-- No column that changes is indexed or stands in an index predicate, so that
-- claim and retry are HOT updates.  Claims go by call_id; the index by merchant
-- is for what the worker's memory has no room for (schedule.c).
CREATE TABLE payments.psp_call_queue (
	call_id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	state "char" NOT NULL DEFAULT 'P',
	next_operation "char" NOT NULL DEFAULT 'C',
	attempt_no integer NOT NULL DEFAULT 0,
	failures integer NOT NULL DEFAULT 0,
	epoch bigint NOT NULL DEFAULT 0,
	outcome_unknown boolean NOT NULL DEFAULT false,
	key_answered boolean NOT NULL DEFAULT false,
	phase "char" NOT NULL DEFAULT 'T',
	first_sent_at timestamptz,
	due_at timestamptz NOT NULL,
	sent_as text COLLATE "C",
	merchant_id bigint NOT NULL,
	contradictions integer NOT NULL DEFAULT 0,
	CONSTRAINT psp_call_queue_pkey PRIMARY KEY (call_id),
	CONSTRAINT psp_call_queue_order_id_key UNIQUE (order_id),
	CONSTRAINT psp_call_queue_call_id_fkey FOREIGN KEY (call_id) REFERENCES payments.psp_call (id),
	CONSTRAINT psp_call_queue_state_known CHECK (state IN ('P', 'S', 'D')),
	CONSTRAINT psp_call_queue_next_operation_known CHECK (next_operation IN ('C', 'Q', 'X')),
	CONSTRAINT psp_call_queue_phase_known CHECK (phase IN ('T', 'R', 'X', 'D', 'L', 'U', 'F'))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
	autovacuum_vacuum_cost_delay = 0);
CREATE INDEX psp_call_queue_merchant_id_idx ON payments.psp_call_queue (merchant_id, call_id);
COMMENT ON TABLE payments.psp_call_queue IS
'The open calls, at most one per order, so that cancels of a payment go out one after the other; of what was begun nothing leaves it by age';
COMMENT ON COLUMN payments.psp_call_queue.state IS 'P pending, S in flight under epoch, D waits for a person';
COMMENT ON COLUMN payments.psp_call_queue.next_operation IS 'What the next attempt does: C confirm, X cancel, Q query';
COMMENT ON COLUMN payments.psp_call_queue.epoch IS 'The run of a worker that owns the attempt in flight: its fencing token';
COMMENT ON COLUMN payments.psp_call_queue.outcome_unknown IS 'An attempt may have been executed without our knowing';
COMMENT ON COLUMN payments.psp_call_queue.key_answered IS 'The key got an error for an answer and can only repeat it';
COMMENT ON COLUMN payments.psp_call_queue.failures IS 'Fruitless attempts in a row: sets the delay';
COMMENT ON COLUMN payments.psp_call_queue.contradictions IS 'Answers in a row that cannot be, about another payment for example: the sixth goes to a person';
COMMENT ON COLUMN payments.psp_call_queue.phase IS 'T trying, R refused behind doubt, X found unprocessed after its window, D asked whether the deposit has come, L found closed before a deposit; of a cancel: R refused, U not among the payment''s cancels, F refused and not among them';
COMMENT ON COLUMN payments.psp_call_queue.sent_as IS
'Fingerprint of the secret key and the PSP''s address under which it was first sent; under another one it is never sent again, and "not found" proves nothing';
COMMENT ON COLUMN payments.psp_call_queue.first_sent_at IS 'When the first confirm of this order, or the first cancel with this key, was claimed for sending';

-- Days may pass: these would only be in the way of the hot queue.  What is not
-- here is the same for all of them (psp_deposit.c).
CREATE TABLE payments.psp_call_deposit (
	call_id bigint NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	merchant_id bigint NOT NULL,
	attempt_no integer NOT NULL,
	first_sent_at timestamptz,
	sent_as text COLLATE "C",
	due_at timestamptz NOT NULL,
	CONSTRAINT psp_call_deposit_pkey PRIMARY KEY (call_id),
	CONSTRAINT psp_call_deposit_order_id_key UNIQUE (order_id),
	CONSTRAINT psp_call_deposit_call_id_fkey FOREIGN KEY (call_id) REFERENCES payments.psp_call (id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX psp_call_deposit_due_at_idx ON payments.psp_call_deposit (due_at);
COMMENT ON TABLE payments.psp_call_deposit IS
'The open calls whose buyer has yet to pay into an account; they return to the queue to be asked about';

CREATE TABLE payments.psp_attempt (
	call_id bigint NOT NULL,
	attempt_no integer NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	operation text NOT NULL,
	epoch bigint NOT NULL,
	claimed_at timestamptz NOT NULL,
	CONSTRAINT psp_attempt_pkey PRIMARY KEY (call_id, attempt_no),
	CONSTRAINT psp_attempt_call_id_fkey FOREIGN KEY (call_id) REFERENCES payments.psp_call (id),
	CONSTRAINT psp_attempt_operation_known CHECK (operation IN ('confirm', 'cancel', 'query'))
);
COMMENT ON TABLE payments.psp_attempt IS
'What was sent: committed before the first byte leaves; an order''s are found by its calls';

CREATE TABLE payments.psp_answer (
	call_id bigint NOT NULL,
	attempt_no integer NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	operation text NOT NULL,
	transport text NOT NULL,
	http_status integer,
	meaning text NOT NULL,
	suspect boolean NOT NULL,
	code text,
	detail text,
	action text NOT NULL,
	payment_key text,
	psp_order_id text,
	currency text,
	amount numeric,
	psp_status text,
	transaction_key text,
	response jsonb,
	trace_id text,
	body_size integer NOT NULL,
	body_sha256 bytea,
	connect_us bigint,
	first_byte_us bigint,
	total_us bigint,
	received_at timestamptz NOT NULL,
	CONSTRAINT psp_answer_pkey PRIMARY KEY (order_id, call_id, attempt_no),
	CONSTRAINT psp_answer_attempt_fkey FOREIGN KEY (call_id, attempt_no) REFERENCES payments.psp_attempt (call_id, attempt_no),
	CONSTRAINT psp_answer_transport_known CHECK (transport IN ('answered', 'not sent', 'no answer'))
);
CREATE UNIQUE INDEX psp_answer_one_approval ON payments.psp_answer (order_id) WHERE action = 'succeed';
COMMENT ON TABLE payments.psp_answer IS
'What came back, what it means, and what was done because of it';
COMMENT ON COLUMN payments.psp_answer.action IS
'succeed, fail, refund, fail refund, learn, give up and renew closed the call; late: another run owned the call by then, and the answer is kept as evidence';
COMMENT ON COLUMN payments.psp_answer.response IS 'The fields of an allow-list; personal data is dropped before it gets here';
COMMENT ON INDEX payments.psp_answer_one_approval IS 'At most one approval can ever settle an order';

ALTER SEQUENCE payments.psp_call_id_seq OWNED BY payments.psp_call.id;

CREATE TABLE payments.worker_epoch (
	epoch bigint NOT NULL,
	started_at timestamptz NOT NULL,
	system_identifier bigint NOT NULL,
	shard integer NOT NULL,
	shards integer NOT NULL,
	timeline integer NOT NULL,
	CONSTRAINT worker_epoch_pkey PRIMARY KEY (epoch),
	CONSTRAINT worker_epoch_shard_in_range CHECK (shard >= 0 AND shard < shards)
);
COMMENT ON TABLE payments.worker_epoch IS
'The runs of the workers; an attempt in flight belongs to the run whose epoch it has';
COMMENT ON COLUMN payments.worker_epoch.shard IS
'Which of the shards the run looks after, numbered from 0: the orders with (hashtext(order_id) & 2147483647) % shards = shard';

CREATE TRIGGER psp_call_forbid_change BEFORE UPDATE OR DELETE ON payments.psp_call
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_call_forbid_truncate BEFORE TRUNCATE ON payments.psp_call
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_call_queue_forbid_truncate BEFORE TRUNCATE ON payments.psp_call_queue
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_call_deposit_forbid_truncate BEFORE TRUNCATE ON payments.psp_call_deposit
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_attempt_forbid_change BEFORE UPDATE OR DELETE ON payments.psp_attempt
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_attempt_forbid_truncate BEFORE TRUNCATE ON payments.psp_attempt
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_answer_forbid_change BEFORE UPDATE OR DELETE ON payments.psp_answer
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER psp_answer_forbid_truncate BEFORE TRUNCATE ON payments.psp_answer
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER worker_epoch_forbid_change BEFORE UPDATE OR DELETE ON payments.worker_epoch
	FOR EACH ROW EXECUTE FUNCTION payments.forbid_change();
CREATE TRIGGER worker_epoch_forbid_truncate BEFORE TRUNCATE ON payments.worker_epoch
	FOR EACH STATEMENT EXECUTE FUNCTION payments.forbid_change();
ALTER TABLE payments.psp_call ENABLE ALWAYS TRIGGER psp_call_forbid_change;
ALTER TABLE payments.psp_call ENABLE ALWAYS TRIGGER psp_call_forbid_truncate;
ALTER TABLE payments.psp_call_queue ENABLE ALWAYS TRIGGER psp_call_queue_forbid_truncate;
ALTER TABLE payments.psp_call_deposit ENABLE ALWAYS TRIGGER psp_call_deposit_forbid_truncate;
ALTER TABLE payments.psp_attempt ENABLE ALWAYS TRIGGER psp_attempt_forbid_change;
ALTER TABLE payments.psp_attempt ENABLE ALWAYS TRIGGER psp_attempt_forbid_truncate;
ALTER TABLE payments.psp_answer ENABLE ALWAYS TRIGGER psp_answer_forbid_change;
ALTER TABLE payments.psp_answer ENABLE ALWAYS TRIGGER psp_answer_forbid_truncate;
ALTER TABLE payments.worker_epoch ENABLE ALWAYS TRIGGER worker_epoch_forbid_change;
ALTER TABLE payments.worker_epoch ENABLE ALWAYS TRIGGER worker_epoch_forbid_truncate;
