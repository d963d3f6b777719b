-- What applications call.  Entry points that write are SECURITY DEFINER, so a
-- role needs the functions and no table; the one procedure commits, and can
-- have neither that nor a SET clause.

CREATE FUNCTION payments.checkout(
	buyer_id bigint,
	lines jsonb,
	order_id text DEFAULT NULL,
	order_name text DEFAULT NULL,
	currency text DEFAULT 'KRW',
	merchant text DEFAULT 'default',
	expires_in interval DEFAULT '30 min',
	metadata jsonb DEFAULT NULL)
	RETURNS payments.checkout_result
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_checkout';
COMMENT ON FUNCTION payments.checkout(bigint, jsonb, text, text, text, text, interval, jsonb) IS
'Creates a payment event and one payment order per line, and computes the amount; repeated with the same order_id and content it returns the same row';

CREATE FUNCTION payments.widget(
	order_id text,
	success_url text DEFAULT NULL,
	fail_url text DEFAULT NULL)
	RETURNS jsonb
	LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_widget';
COMMENT ON FUNCTION payments.widget(text, text, text) IS
'Gives exactly what the Toss payment widget needs for an order, as JSON';

CREATE FUNCTION payments.confirm(
	order_id text,
	payment_key text,
	amount numeric,
	claim_within interval DEFAULT NULL)
	RETURNS payments.payment_order_status
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_confirm';
COMMENT ON FUNCTION payments.confirm(text, text, numeric, interval) IS
'Checks the amount of the success redirect against ours and queues the confirm call, once; returns the order''s status. With claim_within the payment goes back unless payments.claim comes in time';

CREATE FUNCTION payments.claim(order_id text)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_claim';
COMMENT ON FUNCTION payments.claim(text) IS
'Says, in the transaction that delivers it, that a paid order which was confirmed with claim_within is taken care of; an error when that comes too late';

CREATE FUNCTION payments.fail(order_id text, code text, message text)
	RETURNS payments.payment_order_status
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_fail';
COMMENT ON FUNCTION payments.fail(text, text, text) IS
'Records the fail redirect: an order that nobody confirmed ends as FAILURE; any other keeps its status, which is returned';

CREATE FUNCTION payments.retry_checkout(
	order_id text,
	new_order_id text DEFAULT NULL,
	expires_in interval DEFAULT '30 min')
	RETURNS payments.checkout_result
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_retry_checkout';
COMMENT ON FUNCTION payments.retry_checkout(text, text, interval) IS
'Makes a fresh order of the same lines after one that failed or expired, and returns it; while one of them is open it returns that one';

CREATE FUNCTION payments.status(order_id text)
	RETURNS payments.payment_order_status
	LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_status';
COMMENT ON FUNCTION payments.status(text) IS
'Returns the present status of an order, without waiting';

CREATE FUNCTION payments.wait_for(order_id text, timeout interval DEFAULT '10 s')
	RETURNS payments.payment_order_status
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_wait_for';
COMMENT ON FUNCTION payments.wait_for(text, interval) IS
'Waits until the order''s status is SUCCESS or FAILURE, or the time is up, and returns the status';

CREATE FUNCTION payments.refund(
	order_id text,
	reason text,
	amount numeric DEFAULT NULL,
	payment_order_id bigint DEFAULT NULL,
	refund_account jsonb DEFAULT NULL,
	idempotency_key text DEFAULT NULL,
	lines jsonb DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_refund';
COMMENT ON FUNCTION payments.refund(text, text, numeric, bigint, jsonb, text, jsonb) IS
'Gives a paid order back to the buyer: all that is left, an amount, one line, or so much of each line; a deposit to the refund_account that the buyer names; returns the refund''s id, the same for the same idempotency_key';

CREATE FUNCTION payments.wait_for_refund(order_id text, refund_id bigint, timeout interval DEFAULT '10 s')
	RETURNS payments.refund_status
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_wait_for_refund';
COMMENT ON FUNCTION payments.wait_for_refund(text, bigint, interval) IS
'Waits until the refund''s status is SUCCESS or FAILURE, or the time is up, and returns the status; with a timeout of 0 it just looks';

CREATE PROCEDURE payments.pay(
	order_id text,
	payment_key text,
	amount numeric,
	timeout interval,
	INOUT status payments.payment_order_status,
	claim_within interval DEFAULT NULL)
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'payments_pay';
COMMENT ON PROCEDURE payments.pay(text, text, numeric, interval, payments.payment_order_status, interval) IS
'confirm, COMMIT and wait_for in one round trip; must not be called inside a transaction block';

-- The three that post set search_path where they run a statement (src/search_path.c):
-- for every call it would be a tenth of what they do.
CREATE FUNCTION payments.post(
	transaction_key text,
	kind text,
	entries jsonb,
	order_id text DEFAULT NULL,
	effective_at timestamptz DEFAULT NULL,
	description text DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER
	AS 'MODULE_PATHNAME', 'payments_post';
COMMENT ON FUNCTION payments.post(text, text, jsonb, text, timestamptz, text, jsonb) IS
'Posts a ledger transaction whose entries add up to zero in every currency, and returns its id; repeated with the same key and content it returns the first id';

CREATE FUNCTION payments.post_entries(
	transaction_key text,
	kind text,
	accounts text[],
	amounts numeric[],
	currencies text[] DEFAULT NULL,
	order_id text DEFAULT NULL,
	effective_at timestamptz DEFAULT NULL,
	description text DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER
	AS 'MODULE_PATHNAME', 'payments_post_entries';
COMMENT ON FUNCTION payments.post_entries(text, text, text[], numeric[], text[], text, timestamptz, text, jsonb) IS
'Posts a ledger transaction like payments.post, with its entries as arrays instead of JSON';

CREATE FUNCTION payments.post_batch(
	transaction_keys text[],
	kinds text[],
	entry_counts integer[],
	accounts text[],
	amounts numeric[],
	currencies text[] DEFAULT NULL,
	order_ids text[] DEFAULT NULL,
	effective_ats timestamptz[] DEFAULT NULL,
	descriptions text[] DEFAULT NULL,
	metadatas jsonb[] DEFAULT NULL,
	OUT n integer, OUT transaction_key text, OUT id bigint, OUT was_there boolean)
	RETURNS SETOF record
	LANGUAGE c SECURITY DEFINER ROWS 100
	AS 'MODULE_PATHNAME', 'payments_post_batch';
COMMENT ON FUNCTION payments.post_batch(text[], text[], integer[], text[], numeric[], text[], text[], timestamptz[], text[], jsonb[]) IS
'Posts many ledger transactions, all or none, each with the next entry_counts of the entries, and says of each whether it was there already';

CREATE FUNCTION payments.reverse(ledger_transaction_id bigint, reason text, entries jsonb DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_reverse';
COMMENT ON FUNCTION payments.reverse(bigint, text, jsonb) IS
'Takes a ledger transaction back, once, and returns the id of the reversal: its mirror image, or these entries, which never take back more';

CREATE FUNCTION payments.fetch_events(
	consumer text,
	max_events integer DEFAULT 100,
	OUT id bigint, OUT kind text, OUT order_id text, OUT payload jsonb, OUT occurred_at timestamptz)
	RETURNS SETOF record
	LANGUAGE c SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_fetch_events';
COMMENT ON FUNCTION payments.fetch_events(text, integer) IS
'The next events of a consumer, in an order that never skips one; locks the consumer until the transaction ends';

CREATE FUNCTION payments.ack_events(consumer text, upto bigint)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_ack_events';
COMMENT ON FUNCTION payments.ack_events(text, bigint) IS
'Moves a consumer past the event with this id, in the caller''s transaction';

-- Operators

CREATE FUNCTION payments.expire_checkouts(max_orders integer DEFAULT 1000)
	RETURNS integer
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_expire_checkouts';
COMMENT ON FUNCTION payments.expire_checkouts(integer) IS
'Ends orders that nobody confirmed and whose time is over, as FAILURE with code EXPIRED; returns how many. The worker does it by itself';

CREATE FUNCTION payments.refund_unclaimed(max_orders integer DEFAULT 1000)
	RETURNS integer
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_refund_unclaimed';
COMMENT ON FUNCTION payments.refund_unclaimed(integer) IS
'Gives back paid orders that were to be claimed, and were not in time; returns how many no longer wait. The worker does it by itself';

CREATE FUNCTION payments.retry(order_id text, note text DEFAULT NULL)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_retry';
COMMENT ON FUNCTION payments.retry(text, text) IS
'Makes the open call of an order due now: the worker asks the PSP what became of it; recorded with the note';

CREATE FUNCTION payments.resolve(
	order_id text,
	outcome text,
	note text,
	amount numeric DEFAULT NULL,
	payment_key text DEFAULT NULL,
	approved_at timestamptz DEFAULT NULL)
	RETURNS payments.payment_order_status
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_resolve';
COMMENT ON FUNCTION payments.resolve(text, text, text, numeric, text, timestamptz) IS
'Closes an order that evidence could not decide, as succeeded (with the amount and payment key that the PSP shows) or failed; recorded with the note';

CREATE FUNCTION payments.resolve_refund(
	order_id text,
	refund_id bigint,
	outcome text,
	note text,
	amount numeric DEFAULT NULL,
	transaction_key text DEFAULT NULL,
	refunded_at timestamptz DEFAULT NULL)
	RETURNS payments.refund_status
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_resolve_refund';
COMMENT ON FUNCTION payments.resolve_refund(text, bigint, text, text, numeric, text, timestamptz) IS
'Closes a refund that evidence cannot decide as succeeded, with its amount and the cancel''s key at the PSP, or failed; and withdraws one that was never sent';

CREATE FUNCTION payments.set_node(node integer, nodes integer)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_node';
COMMENT ON FUNCTION payments.set_node(integer, integer) IS
'Makes this database node 0 to nodes - 1 of so many: every id it draws from now on is its number modulo nodes';

CREATE FUNCTION payments.set_merchant(name text, client_key text, mid text DEFAULT NULL)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_merchant';
COMMENT ON FUNCTION payments.set_merchant(text, text, text) IS
'Adds or changes a merchant: its name (and that of its secret file), its public client key, its MID';

CREATE FUNCTION payments.set_merchant_limits(
	merchant text,
	max_in_flight integer DEFAULT NULL,
	calls_per_minute integer DEFAULT NULL,
	burst integer DEFAULT NULL,
	note text DEFAULT NULL)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_merchant_limits';
COMMENT ON FUNCTION payments.set_merchant_limits(text, integer, integer, integer, text) IS
'Sets how many requests of a merchant may be on the wire, how many go out a minute, and how many of those at once; NULL: no limit of its own. Takes effect when it commits';

CREATE FUNCTION payments.resume_merchant(merchant text, note text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_resume_merchant';
COMMENT ON FUNCTION payments.resume_merchant(text, text) IS
'Ends the pause that the PSP asked for and closes the circuit breaker of a merchant, when it commits; true if there was one. What made it open may open it again';

CREATE FUNCTION payments.merchant_flow(
	OUT merchant_id bigint, OUT in_flight integer, OUT tokens bigint, OUT paused_until timestamptz,
	OUT starved_since timestamptz, OUT breaker text, OUT breaker_since timestamptz,
	OUT next_probe_at timestamptz, OUT throttled bigint, OUT opened bigint)
	RETURNS SETOF record
	LANGUAGE c ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_merchant_flow';
COMMENT ON FUNCTION payments.merchant_flow() IS
'What holds back the merchants of this database: bucket and breaker, from shared memory';

CREATE FUNCTION payments.set_refund_policy(merchant text, sellers_may_owe boolean, note text DEFAULT NULL)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_refund_policy';
COMMENT ON FUNCTION payments.set_refund_policy(text, boolean, text) IS
'Says whether refunds of a merchant may take more out of sellers'' wallets than is in them';

CREATE FUNCTION payments.set_seller(seller_id bigint, commission_rate numeric)
	RETURNS void
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_set_seller';
COMMENT ON FUNCTION payments.set_seller(bigint, numeric) IS
'Adds a seller or changes its commission rate, as a fraction below 1; orders already checked out keep theirs';

CREATE FUNCTION payments.version()
	RETURNS text
	LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_version';
COMMENT ON FUNCTION payments.version() IS
'Version of the loaded library';

CREATE FUNCTION payments.worker_slots(
	OUT database name, OUT shard integer, OUT shards integer, OUT state text, OUT reason text, OUT pid integer, OUT epoch bigint,
	OUT in_flight integer, OUT started_at timestamptz, OUT last_turn_at timestamptz,
	OUT turns bigint, OUT claimed bigint, OUT answered bigint, OUT unanswered bigint,
	OUT settled bigint, OUT quarantined bigint)
	RETURNS SETOF record
	LANGUAGE c ROWS 8 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_worker_slots';
COMMENT ON FUNCTION payments.worker_slots() IS
'State and counters of the workers, from shared memory; no row when the library is not preloaded';

CREATE FUNCTION payments.worker_counters(
	OUT database name, OUT shard integer, OUT counter text, OUT label text, OUT value bigint)
	RETURNS SETOF record
	LANGUAGE c ROWS 60 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_worker_counters';
COMMENT ON FUNCTION payments.worker_counters() IS
'What the workers have counted since the server''s start, from shared memory';

CREATE FUNCTION payments.worker_histograms(
	OUT database name, OUT shard integer, OUT histogram text, OUT le_us bigint, OUT count bigint, OUT sum_us bigint)
	RETURNS SETOF record
	LANGUAGE c ROWS 200 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_worker_histograms';
COMMENT ON FUNCTION payments.worker_histograms() IS
'How long things took since the server''s start, in buckets of microseconds, from shared memory';
