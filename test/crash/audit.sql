-- What must be true once things are quiet, whatever happened before.  Reads the
-- simulator's journal of charges and its log of requests, which "audit" puts
-- before this as the tables charge_line and request_line, and the tables of the
-- schema; no view and no function of the extension.  Each row that comes out is
-- an offence: the rule, and what breaks it.

-- Of a virtual account the first deposit; what the bank did afterwards is below.
-- One that came for an order that had failed is no charge of the order.
CREATE TEMP TABLE charge AS
	SELECT DISTINCT ON (CASE line ->> 'kind' WHEN 'deposit' THEN line ->> 'orderId' ELSE n::text END)
		line ->> 'kind' AS kind, line ->> 'orderId' AS order_id, line ->> 'paymentKey' AS payment_key,
		(line ->> 'amount')::numeric AS amount, line ->> 'currency' AS currency,
		line ->> 'idempotencyKey' AS idempotency_key
	FROM (SELECT line::json, row_number() OVER () AS n FROM charge_line) l
	WHERE line ->> 'kind' IN ('charge', 'deposit')
		AND NOT EXISTS (SELECT FROM payments.ledger_transaction t JOIN payments.payment_order o ON o.order_id = t.order_id
			WHERE t.order_id = line ->> 'orderId' AND t.kind = 'deposit.late' AND o.payment_order_status = 'FAILURE');

-- Accounts: what came in, what the bank took back, and what people gave back.
CREATE TEMP TABLE bank AS
	SELECT order_id, count(*) FILTER (WHERE kind = 'issue') AS issued, min(key) FILTER (WHERE kind = 'issue') AS idempotency_key,
		count(*) FILTER (WHERE kind = 'deposit') AS deposits, count(*) FILTER (WHERE kind = 'deposit-error') AS reversals,
		sum(CASE kind WHEN 'deposit' THEN amount WHEN 'deposit-error' THEN -amount ELSE 0 END) AS amount,
		coalesce(sum(amount) FILTER (WHERE kind IN ('cancel', 'dashboard')), 0) AS given_back
	FROM (SELECT line ->> 'orderId' AS order_id, line ->> 'kind' AS kind, (line ->> 'amount')::numeric AS amount,
			line ->> 'idempotencyKey' AS key
		FROM (SELECT line::json FROM charge_line) l) j
	GROUP BY order_id HAVING count(*) FILTER (WHERE kind IN ('issue', 'deposit')) > 0;

-- What was taken back: by request, or in the dashboard.
CREATE TEMP TABLE cancel AS
	SELECT line ->> 'orderId' AS order_id, line ->> 'paymentKey' AS payment_key, (line ->> 'amount')::numeric AS amount,
		line ->> 'currency' AS currency, line ->> 'idempotencyKey' AS idempotency_key, line ->> 'transactionKey' AS transaction_key,
		substring(line ->> 'cancelReason' FROM '\[rf:([0-9a-f]+)\]$') AS token
	FROM (SELECT line::json FROM charge_line) l
	WHERE line ->> 'kind' = 'cancel';
CREATE TEMP TABLE elsewhere AS
	SELECT line ->> 'orderId' AS order_id, (line ->> 'amount')::numeric AS amount, line ->> 'currency' AS currency,
		line ->> 'transactionKey' AS transaction_key
	FROM (SELECT line::json FROM charge_line) l
	WHERE line ->> 'kind' = 'dashboard';

CREATE TEMP TABLE arrival AS
	SELECT CASE WHEN line ->> 'method' <> 'POST' THEN 'query' WHEN line ->> 'path' LIKE '%/cancel' THEN 'cancel'
			ELSE 'confirm' END AS operation, line ->> 'path' AS path,
		CASE line ->> 'method' WHEN 'POST' THEN line ->> 'idempotencyKey'
			ELSE substring(line ->> 'path' FROM '[^/]+$') END AS id,
		(line ->> 'timeUs')::bigint AS at_us, line ->> 'bodySha256' AS sha256
	FROM (SELECT line::json FROM request_line) l
	WHERE line ->> 'path' NOT LIKE '/v1/transactions%';

-- Attempts, by what their requests can be known by.  Not those of which the
-- answer says that nothing was sent: no request may belong to them.
CREATE TEMP TABLE attempt AS
	SELECT t.operation, CASE t.operation WHEN 'query' THEN c.payment_key ELSE c.idempotency_key END AS id,
		(extract(epoch FROM pg_xact_commit_timestamp(t.xmin)) * 1000000)::bigint AS committed_us
	FROM payments.psp_attempt t
		JOIN payments.psp_call c ON c.id = t.call_id
		LEFT JOIN payments.psp_answer w USING (call_id, attempt_no)
	WHERE w.transport IS DISTINCT FROM 'not sent';

CREATE TEMP TABLE sale AS
	SELECT e.order_id, e.payment_key, e.amount, e.currency, e.is_payment_done,
		count(*) AS lines, count(*) FILTER (WHERE o.payment_order_status = 'SUCCESS') AS paid,
		count(*) FILTER (WHERE o.payment_order_status IN ('EXECUTING', 'UNKNOWN')) AS under_way,
		count(*) FILTER (WHERE o.payment_order_status = 'FAILURE') AS failed,
		count(*) FILTER (WHERE o.ledger_updated AND o.wallet_updated) AS booked, sum(o.amount) AS total
	FROM payments.payment_event e JOIN payments.payment_order o ON o.payment_event_id = e.id
	GROUP BY e.id;

CREATE TEMP TABLE capture AS
	SELECT t.order_id, count(DISTINCT t.id) AS transactions,
		sum(e.amount) FILTER (WHERE a.code ~ '^psp:toss(:|$)') AS received
	FROM payments.ledger_transaction t
		JOIN payments.ledger_entry e ON e.transaction_id = t.id
		JOIN payments.ledger_account a ON a.id = e.account_id
	WHERE t.kind = 'payment.captured'
	GROUP BY t.order_id;
-- And what our books say of accounts.
CREATE TEMP TABLE account AS
	SELECT t.order_id, sum(e.amount) FILTER (WHERE a.code ~ '^psp:toss(:|$)') AS amount,
		coalesce(-sum(e.amount) FILTER (WHERE a.code ~ '^(seller|platform):'), 0) AS sold,
		count(DISTINCT t.id) FILTER (WHERE t.kind = 'deposit.reversed') AS reversals,
		count(DISTINCT t.id) FILTER (WHERE t.kind IN ('payment.captured', 'deposit.received', 'deposit.late')) AS deposits
	FROM payments.ledger_transaction t
		JOIN payments.ledger_entry e ON e.transaction_id = t.id
		JOIN payments.ledger_account a ON a.id = e.account_id
	WHERE t.order_id IN (SELECT order_id FROM bank) AND (t.kind = 'payment.captured' OR t.kind LIKE 'deposit.%')
	GROUP BY t.order_id;
ANALYZE charge, bank, cancel, elsewhere, arrival, attempt, sale, capture, account;

SELECT 'I1 charged more than once', order_id
	FROM charge GROUP BY order_id HAVING count(*) > 1
UNION ALL
SELECT 'I1 an account was issued more than once', order_id
	FROM bank WHERE issued > 1

UNION ALL
SELECT 'I2 charged, and not a success of ours', concat_ws(' ', c.order_id, c.payment_key, c.amount, c.currency)
	FROM charge c
	WHERE NOT EXISTS (SELECT FROM sale s WHERE s.order_id = c.order_id AND s.payment_key = c.payment_key
		AND s.amount = c.amount AND s.currency = c.currency AND s.paid = s.lines)
UNION ALL
SELECT 'I2 a success of ours, and not charged', s.order_id
	FROM sale s
	WHERE s.paid > 0 AND NOT EXISTS (SELECT FROM charge c WHERE c.order_id = s.order_id)
UNION ALL
SELECT 'I2 believed what is about another payment', concat_ws(' ', w.order_id, w.psp_order_id, w.payment_key, w.amount, w.currency)
	FROM payments.psp_answer w JOIN sale s USING (order_id)
	WHERE w.action = 'succeed' AND (w.psp_order_id, w.payment_key, w.amount, w.currency)
		IS DISTINCT FROM (s.order_id, s.payment_key, s.amount, s.currency)
UNION ALL
SELECT 'I2 calls that are open', format('%s instead of %s', count(*), :open)
	FROM (SELECT FROM payments.psp_call_queue UNION ALL SELECT FROM payments.psp_call_deposit) o
	HAVING count(*) <> :open
UNION ALL
SELECT 'I2 under way without a call that is open', s.order_id
	FROM sale s
	WHERE s.under_way > 0 AND NOT EXISTS (SELECT FROM payments.psp_call_queue q WHERE q.order_id = s.order_id)
		AND NOT EXISTS (SELECT FROM payments.psp_call_deposit d WHERE d.order_id = s.order_id)
UNION ALL
SELECT 'I2 an order''s lines differ', order_id
	FROM sale WHERE paid NOT IN (0, lines) OR failed NOT IN (0, lines) OR total <> amount

UNION ALL
SELECT 'I3 a request without an attempt', concat_ws(' ', r.operation, r.id)
	FROM (SELECT *, row_number() OVER (PARTITION BY operation, id ORDER BY at_us) AS n FROM arrival) r
		LEFT JOIN (SELECT *, row_number() OVER (PARTITION BY operation, id ORDER BY committed_us) AS n FROM attempt) a
			USING (operation, id, n)
	WHERE a.n IS NULL
UNION ALL
SELECT 'I3 a request before its attempt was committed', concat_ws(' ', r.operation, r.id, a.committed_us - r.at_us, 'us')
	FROM (SELECT *, row_number() OVER (PARTITION BY operation, id ORDER BY at_us) AS n FROM arrival) r
		JOIN (SELECT *, row_number() OVER (PARTITION BY operation, id ORDER BY committed_us) AS n FROM attempt) a
			USING (operation, id, n)
	WHERE a.committed_us IS NULL OR a.committed_us > r.at_us

UNION ALL
SELECT 'I4 other bytes than were written down', coalesce(r.id, 'a confirm without a key')
	FROM arrival r LEFT JOIN payments.psp_call c ON c.idempotency_key = r.id
	WHERE r.operation <> 'query'
		AND r.sha256 IS DISTINCT FROM encode(sha256(convert_to(c.request_body, 'UTF8')), 'hex')
		-- the buyer's account is kept apart from it
		AND NOT (c.operation = 'cancel' AND EXISTS (SELECT FROM payments.virtual_account v WHERE v.order_id = c.order_id))
UNION ALL
SELECT 'I4 one key, and not always the same bytes', r.id
	FROM arrival r WHERE r.operation <> 'query' GROUP BY r.id HAVING count(DISTINCT r.sha256) > 1
UNION ALL
SELECT 'an account is kept behind the end of its refund', r.id::text
	FROM payments.refund r JOIN payments.refund_account a ON a.refund_id = r.id WHERE r.refund_status IN ('SUCCESS', 'FAILURE')
UNION ALL
SELECT 'I4 a body that is not of its order', c.order_id
	FROM payments.psp_call c JOIN sale s USING (order_id)
	WHERE c.operation = 'confirm'
		AND c.request_body::jsonb <> jsonb_build_object('paymentKey', s.payment_key, 'orderId', s.order_id, 'amount', s.amount)
UNION ALL
SELECT 'I4 a body that is not of its refund', format('%s refund %s', c.order_id, c.refund_id)
	FROM payments.psp_call c LEFT JOIN payments.refund r ON r.id = c.refund_id AND r.order_id = c.order_id
	WHERE c.operation = 'cancel' AND ((c.request_body::jsonb ->> 'cancelAmount')::numeric IS DISTINCT FROM r.amount
		OR c.request_body::jsonb ->> 'cancelReason' IS DISTINCT FROM format('%s [rf:%s]', r.reason, r.token)
		OR c.request_body::jsonb ->> 'refundableAmount' IS NULL)
UNION ALL
SELECT 'I4 charged under a key that is not the order''s', c.order_id
	FROM charge c
	WHERE c.kind = 'charge' AND NOT EXISTS (SELECT FROM payments.psp_call p
		WHERE p.order_id = c.order_id AND p.idempotency_key = c.idempotency_key)
UNION ALL
SELECT 'I4 an account was issued under a key that is not the order''s', b.order_id
	FROM bank b
	WHERE b.issued > 0 AND NOT EXISTS (SELECT FROM payments.psp_call p
		WHERE p.order_id = b.order_id AND p.idempotency_key = b.idempotency_key)
UNION ALL
SELECT 'I4 a new key without need', c.order_id
	-- it needs an answer to the old one, no success and not "in process", and
	-- one of a query that renewed it
	FROM payments.psp_call c
	WHERE c.renews_call_id IS NULL AND c.operation <> 'look' AND EXISTS (SELECT FROM payments.psp_call o
			WHERE o.order_id = c.order_id AND o.id < c.id AND o.operation = c.operation AND o.refund_id IS NOT DISTINCT FROM c.refund_id)
		OR c.renews_call_id IS NOT NULL AND NOT EXISTS (SELECT
			FROM payments.psp_answer a JOIN payments.psp_answer w USING (order_id, call_id)
			WHERE a.order_id = c.order_id AND a.call_id = c.renews_call_id AND w.action = 'renew'
				AND w.operation = 'query' AND w.meaning = 'open' AND a.operation = c.operation
				AND a.transport = 'answered' AND a.meaning <> 'busy')

UNION ALL
SELECT 'I4 a look that did more than ask', c.order_id
	FROM payments.psp_call c JOIN payments.psp_attempt a ON a.call_id = c.id
	WHERE c.operation = 'look' AND a.operation <> 'query'

UNION ALL
SELECT 'I6 in flight under a run that is over', q.order_id
	FROM payments.psp_call_queue q
	WHERE q.state = 'S' AND EXISTS (SELECT
		FROM payments.worker_epoch o JOIN payments.worker_epoch n USING (shard, shards)
		WHERE o.epoch = q.epoch AND n.epoch > o.epoch)

UNION ALL
SELECT 'I8 charged before the books were compared', c.order_id
	FROM payments.reconciliation r
		JOIN payments.psp_call c ON c.merchant = r.merchant
		JOIN payments.psp_attempt t ON t.call_id = c.id
	WHERE r.cause = 'start' AND t.operation = 'confirm' AND t.claimed_at > r.requested_at
		AND (r.ended_at IS NULL OR pg_xact_commit_timestamp(t.xmin) < pg_xact_commit_timestamp(r.xmin))
UNION ALL
SELECT 'I3 the list was asked for more often than was written down', format('%s instead of %s', l.n, r.n)
	FROM (SELECT count(*) AS n FROM request_line WHERE line::json ->> 'path' LIKE '/v1/transactions%') l,
		(SELECT coalesce(sum(attempt_no), 0) AS n FROM payments.reconciliation) r
	WHERE l.n > r.n

-- The books, order by order
UNION ALL
SELECT 'books: charged, and not so in the ledger', concat_ws(' ', c.order_id, c.amount, l.transactions, l.received)
	FROM charge c LEFT JOIN capture l USING (order_id)
	WHERE l.transactions IS DISTINCT FROM 1 OR l.received IS DISTINCT FROM c.amount
UNION ALL
SELECT 'books: in the ledger, and not charged', l.order_id
	FROM capture l WHERE NOT EXISTS (SELECT FROM charge c WHERE c.order_id = l.order_id)
UNION ALL
SELECT 'books: a ledger transaction is not whole, or does not add up', t.id::text
	FROM payments.ledger_transaction t
		LEFT JOIN (SELECT transaction_id, currency, sum(amount) AS sum FROM payments.ledger_entry GROUP BY 1, 2) s
			ON s.transaction_id = t.id
		LEFT JOIN (SELECT transaction_id, count(*) AS n, min(entry_count) AS low, max(entry_count) AS high
			FROM payments.ledger_entry GROUP BY 1) c ON c.transaction_id = t.id
	WHERE s.sum IS DISTINCT FROM 0 OR c.n <> c.low OR c.n <> c.high
UNION ALL
SELECT 'books: a seal is missing, or covers other rows than it says', s.no::text
	FROM (SELECT *, row_number() OVER (ORDER BY no) AS n, lag(upto_id, 1, '-9223372036854775808') OVER (ORDER BY no) AS after_id
			FROM payments.ledger_seal) s
	WHERE s.no <> s.n OR s.upto_id <= s.after_id
		OR s.transactions <> (SELECT count(*) FROM payments.ledger_transaction t WHERE t.id > s.after_id AND t.id <= s.upto_id)
		OR s.entries <> (SELECT count(*) FROM payments.ledger_entry e WHERE e.transaction_id > s.after_id AND e.transaction_id <= s.upto_id)
UNION ALL
SELECT 'books: a balance is not the sum of its entries', a.code
	FROM payments.ledger_account a
		LEFT JOIN (SELECT account_id, sum(balance) AS sum FROM payments.ledger_balance GROUP BY 1) b ON b.account_id = a.id
		LEFT JOIN (SELECT account_id, sum(amount) AS sum FROM payments.ledger_entry GROUP BY 1) e ON e.account_id = a.id
	WHERE coalesce(b.sum, 0) <> coalesce(e.sum, 0)
UNION ALL
SELECT 'books: an order''s lines are not what the seller''s account got', s.order_id || ' seller ' || s.seller
	FROM (SELECT order_id, seller_id::text AS seller, sum(amount - commission) AS owed
			FROM payments.payment_order WHERE payment_order_status = 'SUCCESS' GROUP BY 1, 2) s
		FULL JOIN (SELECT t.order_id, split_part(a.code, ':', 2) AS seller, -sum(e.amount) AS owed
			FROM payments.ledger_transaction t
				JOIN payments.ledger_entry e ON e.transaction_id = t.id
				JOIN payments.ledger_account a ON a.id = e.account_id
			WHERE t.kind = 'payment.captured' AND a.code LIKE 'seller:%' GROUP BY 1, 2) l USING (order_id, seller)
	WHERE s.owed IS DISTINCT FROM l.owed
UNION ALL
SELECT 'books: a line that was paid is not so in the wallet', o.order_id
	FROM payments.payment_order o
		LEFT JOIN (SELECT payment_order_id, sum(amount) AS sum, count(*) FILTER (WHERE kind = 'sale') AS sales
			FROM payments.wallet_transaction GROUP BY 1) j ON j.payment_order_id = o.id
	WHERE o.payment_order_status = 'SUCCESS' AND (j.sales IS DISTINCT FROM 1 OR j.sum <> o.amount - o.commission)
		OR o.payment_order_status <> 'SUCCESS' AND j.sum IS NOT NULL
UNION ALL
SELECT 'books: a wallet is not its journal, or not the seller''s account', coalesce(w.seller_id::text, l.seller)
	FROM payments.wallet w
		FULL JOIN (SELECT split_part(a.code, ':', 2) AS seller, a.currency, -sum(e.amount) AS sum
			FROM payments.ledger_account a JOIN payments.ledger_entry e ON e.account_id = a.id
			WHERE a.code LIKE 'seller:%' GROUP BY 1, 2) l ON l.seller = w.seller_id::text AND l.currency = w.currency
		LEFT JOIN (SELECT seller_id, currency, sum(amount) AS sum
			FROM payments.wallet_transaction GROUP BY 1, 2) j ON j.seller_id = w.seller_id AND j.currency = w.currency
	WHERE coalesce(w.balance, 0) <> coalesce(j.sum, 0) OR coalesce(w.balance, 0) <> coalesce(l.sum, 0)
UNION ALL
SELECT 'books: done, and not so said, or said, and not done', order_id
	FROM sale WHERE is_payment_done <> (paid = lines) OR booked <> paid

-- Accounts: what banks did
UNION ALL
-- What came for an order that had failed is the buyer's, and given back by people.
SELECT 'accounts: what came in and was taken back is not so in the books', concat_ws(' ', b.order_id, b.amount, l.amount)
	FROM bank b JOIN sale s USING (order_id) LEFT JOIN account l USING (order_id)
	WHERE b.amount - CASE WHEN s.failed > 0 THEN b.given_back ELSE 0 END <> coalesce(l.amount, 0)
UNION ALL
SELECT 'accounts: sellers have something else than the bank left', concat_ws(' ', b.order_id, b.amount, l.sold)
	FROM bank b JOIN sale s USING (order_id) LEFT JOIN account l USING (order_id)
	WHERE coalesce(l.sold, 0) <> CASE WHEN s.paid > 0 THEN b.amount ELSE 0 END
UNION ALL
SELECT 'accounts: a wallet has something else than the bank left', concat_ws(' ', o.order_id, o.line_no, b.amount, w.sum)
	FROM bank b JOIN payments.payment_order o USING (order_id)
		LEFT JOIN (SELECT coalesce(deposit_payment_order_id, payment_order_id) AS id, sum(amount) AS sum
			FROM payments.wallet_transaction WHERE refund_id IS NULL GROUP BY 1) w USING (id)
	WHERE coalesce(w.sum, 0) <> CASE WHEN o.payment_order_status = 'SUCCESS' AND b.amount > 0 THEN o.amount - o.commission ELSE 0 END
UNION ALL
SELECT 'accounts: deposits, or reversals, that the bank did not make', concat_ws(' ', b.order_id, l.deposits, l.reversals)
	FROM bank b JOIN account l USING (order_id)
	WHERE l.deposits > b.deposits OR l.reversals > b.reversals
UNION ALL
SELECT 'accounts: issued, and not known to us, or the other way round', coalesce(b.order_id, v.order_id)
	FROM (SELECT order_id FROM bank WHERE issued > 0) b FULL JOIN payments.virtual_account v USING (order_id)
	WHERE b.order_id IS NULL OR v.order_id IS NULL
UNION ALL
SELECT 'accounts: a call waits for a deposit that came, or of which nobody will come', d.order_id
	FROM payments.psp_call_deposit d JOIN sale s USING (order_id) WHERE s.paid + s.failed > 0
UNION ALL
SELECT 'accounts: an event for other than what was booked, or told before it was issued', concat_ws(' ', order_id, kind, t.n, e.n)
	FROM (SELECT order_id, kind, count(*) AS n FROM payments.ledger_transaction WHERE kind LIKE 'deposit.%' GROUP BY 1, 2) t
		FULL JOIN (SELECT order_id, kind, count(*) AS n FROM payments.event WHERE kind LIKE 'deposit.%' GROUP BY 1, 2) e USING (order_id, kind)
	WHERE CASE kind WHEN 'deposit.awaited' THEN e.n > 1 OR NOT EXISTS (SELECT FROM bank b WHERE b.order_id = e.order_id AND b.issued = 1)
		ELSE t.n IS DISTINCT FROM e.n END

-- Refunds: captured minus refunded, order by order, and each of them once
UNION ALL
SELECT 'refunds: given back more than once', c.order_id
	FROM cancel c GROUP BY c.order_id, c.token HAVING count(*) > 1
UNION ALL
SELECT 'refunds: more was given back than was paid', c.order_id
	FROM cancel c GROUP BY c.order_id
	HAVING sum(amount) > (SELECT sum(h.amount) FROM charge h WHERE h.order_id = c.order_id)
UNION ALL
SELECT 'refunds: given back, and not a refund of ours that is done', concat_ws(' ', c.order_id, c.token, c.amount)
	FROM cancel c WHERE NOT EXISTS (SELECT FROM payments.refund r
		WHERE r.order_id = c.order_id AND r.token = c.token AND r.amount = c.amount AND r.currency = c.currency
			AND r.refund_status = 'SUCCESS' AND r.transaction_key = c.transaction_key)
UNION ALL
SELECT 'refunds: done, and not given back', format('%s refund %s', r.order_id, r.id)
	FROM payments.refund r
	WHERE r.refund_status = 'SUCCESS' AND r.origin <> 'psp'
		AND NOT EXISTS (SELECT FROM cancel c WHERE c.order_id = r.order_id AND c.token = r.token)
UNION ALL
-- of those of the dashboard some may not be known yet
SELECT 'refunds: recorded, and nobody cancelled it', format('%s refund %s', r.order_id, r.id)
	FROM payments.refund r
	WHERE r.origin = 'psp' AND (r.refund_status <> 'SUCCESS' OR NOT EXISTS (SELECT FROM elsewhere c
		WHERE c.order_id = r.order_id AND c.transaction_key = r.transaction_key AND c.amount = r.amount AND c.currency = r.currency))
UNION ALL
SELECT 'refunds: given back under a key that is not the refund''s', c.order_id
	FROM cancel c WHERE NOT EXISTS (SELECT FROM payments.psp_call p JOIN payments.refund r ON r.id = p.refund_id
		WHERE p.order_id = c.order_id AND p.idempotency_key = c.idempotency_key AND r.token = c.token)
UNION ALL
SELECT 'refunds: an order''s books are not what was captured minus what was given back', concat_ws(' ', s.order_id,
		coalesce(h.amount, 0), coalesce(c.amount, 0), coalesce(l.amount, 0), s.refunded)
	FROM (SELECT order_id, sum(refunded_amount) AS refunded FROM payments.payment_order GROUP BY order_id) s
		LEFT JOIN (SELECT order_id, sum(amount) AS amount FROM charge GROUP BY order_id) h USING (order_id)
		LEFT JOIN (SELECT order_id, sum(amount) AS amount FROM (SELECT order_id, amount FROM cancel
				UNION ALL SELECT r.order_id, r.amount FROM payments.refund r WHERE r.origin = 'psp') x GROUP BY order_id) c USING (order_id)
		LEFT JOIN (SELECT t.order_id, sum(e.amount) AS amount FROM payments.ledger_transaction t
				JOIN payments.ledger_entry e ON e.transaction_id = t.id JOIN payments.ledger_account a ON a.id = e.account_id
			WHERE t.kind IN ('payment.captured', 'payment.refunded') AND a.code ~ '^psp:toss(:|$)' GROUP BY 1) l USING (order_id)
	WHERE coalesce(l.amount, 0) <> coalesce(h.amount, 0) - coalesce(c.amount, 0) OR s.refunded <> coalesce(c.amount, 0)
UNION ALL
SELECT 'refunds: two cancels of a payment within a second', concat_ws(' ', path, (at_us - before) / 1000, 'ms')
	FROM (SELECT path, at_us, lag(at_us) OVER (PARTITION BY path ORDER BY at_us) AS before
		FROM arrival WHERE operation = 'cancel') a
	WHERE at_us - before < 1000000
UNION ALL
SELECT 'refunds: not exactly one event of the end, or a history that does not lead there', format('%s refund %s', r.order_id, r.id)
	FROM payments.refund r
		LEFT JOIN (SELECT payload ->> 'refund_id' AS id, string_agg(kind, ' ' ORDER BY kind) AS kinds FROM payments.event
			WHERE kind LIKE 'refund.%' GROUP BY 1) e ON e.id = r.id::text
		LEFT JOIN (SELECT refund_id, (array_agg(to_status ORDER BY id DESC))[1] AS last,
				bool_or(from_status IN ('SUCCESS', 'FAILURE')) AS undone
			FROM payments.refund_history GROUP BY 1) h ON h.refund_id = r.id
	WHERE e.kinds IS DISTINCT FROM CASE WHEN r.origin = 'psp' THEN 'refund.recorded' ELSE CASE r.refund_status WHEN 'SUCCESS' THEN 'refund.requested refund.succeeded'
			WHEN 'FAILURE' THEN 'refund.failed refund.requested' ELSE 'refund.requested' END END
		OR h.last IS DISTINCT FROM r.refund_status AND r.refund_status <> 'REQUESTED' OR h.undone

UNION ALL
SELECT 'claims: paid, its time is over, and it is neither claimed nor given back', c.order_id
	FROM payments.payment_claim c JOIN payments.payment_order o USING (order_id)
	WHERE c.claim_status = 'waiting' AND o.payment_order_status = 'SUCCESS' AND c.due_at < now() - interval '30 s' AND c.problem IS NULL
UNION ALL
SELECT 'claims: claimed and given back by itself, or given back twice', r.order_id
	FROM payments.refund r LEFT JOIN payments.payment_claim c ON c.order_id = r.order_id
	WHERE r.origin = 'claim' GROUP BY r.order_id, c.claim_status, c.refund_id
	HAVING c.claim_status IS DISTINCT FROM 'lapsed' OR count(*) > 1 OR min(r.id) IS DISTINCT FROM c.refund_id

-- What others were told
UNION ALL
SELECT 'events: not exactly one of ' || w.kind, w.order_id
	FROM (SELECT order_id, 'payment.confirmed' AS kind, paid > 0 AS expected FROM sale
			UNION ALL SELECT order_id, 'payment.completed', paid > 0 FROM sale
			UNION ALL SELECT order_id, 'payment.failed', failed > 0 FROM sale) w
		LEFT JOIN (SELECT order_id, kind, count(*) AS n FROM payments.event GROUP BY 1, 2) e USING (order_id, kind)
	WHERE coalesce(e.n, 0) <> w.expected::int

UNION ALL
SELECT 'history: it does not lead from NOT_STARTED to the present state', o.order_id
	FROM payments.payment_order o
		LEFT JOIN (SELECT payment_order_id, bool_or(from_status <> before) AS broken,
				bool_or(from_status IN ('SUCCESS', 'FAILURE')) AS undone, (array_agg(to_status ORDER BY id DESC))[1] AS last
			FROM (SELECT *, lag(to_status, 1, 'NOT_STARTED') OVER (PARTITION BY payment_order_id ORDER BY id) AS before
				FROM payments.payment_order_history) h
			GROUP BY 1) h ON h.payment_order_id = o.id
	WHERE o.payment_order_status <> coalesce(h.last, 'NOT_STARTED') OR h.broken OR h.undone;
