-- The story of one order, from everything that was written down about it.
--
-- payments.status, in the verdict, also refuses an order that there is not.
-- Of a payment key only the ends are told: who may see it finds it in
-- payments.payment.

CREATE FUNCTION payments.explain(order_id text,
	OUT at timestamptz, OUT after interval, OUT story text)
	RETURNS SETOF record
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 30 SET search_path = pg_catalog, pg_temp
	AS $$
	WITH call AS MATERIALIZED (
		SELECT c.id, c.created_at, c.payment_key, c.renews_call_id, c.refund_id, c.amount, c.currency, c.operation,
			CASE c.operation WHEN 'look' THEN 'look, ' ELSE
				concat('refund ' || c.refund_id || ', ', CASE WHEN row_number() OVER w > 1 THEN format('renewal %s, ', row_number() OVER w - 1) END) END AS name
		FROM ONLY payments.psp_call c WHERE c.order_id = explain.order_id
		WINDOW w AS (PARTITION BY c.refund_id, c.operation = 'look' ORDER BY c.id)),
	told (at, place, n, sub, story) AS (
		SELECT e.created_at, 1, 0::bigint, 0, format('checked out by buyer %s: %s %s, merchant "%s"%s', e.buyer_id, e.amount, e.currency, e.merchant,
			CASE WHEN e.payment_key IS NULL THEN format(', to be confirmed before %s', to_char(e.expires_at, 'YYYY-MM-DD HH24:MI:SSOF')) END)
		FROM ONLY payments.payment_event e WHERE e.order_id = explain.order_id

		UNION ALL
		SELECT o.created_at, 2, o.line_no, 0, format('    line %s: %s to seller %s%s%s', o.line_no, o.amount, o.seller_id,
			CASE WHEN o.product_name IS NOT NULL THEN format(' for %s x %s', o.quantity, o.product_name) END,
			CASE WHEN o.commission > 0 THEN format(', of which %s are commission', o.commission) END)
		FROM ONLY payments.payment_order o WHERE o.order_id = explain.order_id

		UNION ALL
		SELECT c.created_at, 3, c.id, 0, CASE WHEN c.operation = 'look' THEN 'call queued: look at the payment'
			WHEN c.renews_call_id IS NULL AND c.refund_id IS NOT NULL
			THEN format('%scall queued: cancel %s %s of the payment', c.name, c.amount, c.currency)
			WHEN c.renews_call_id IS NULL
			THEN format('call queued: confirm payment %s', CASE WHEN length(c.payment_key) > 16
				THEN concat(left(c.payment_key, 6), '...', right(c.payment_key, 4)) ELSE concat(left(c.payment_key, length(c.payment_key) / 3), '...') END)
			ELSE format('%scall queued: the same with a new idempotency key, since the old one''s answer was an error and nothing had been processed', c.name) END
		FROM call c

		UNION ALL
		SELECT a.claimed_at, 4, a.call_id, a.attempt_no, format('%sattempt %s: %s, begun by run %s of the worker', c.name, a.attempt_no, a.operation, a.epoch)
		FROM ONLY payments.psp_attempt a JOIN call c ON c.id = a.call_id

		UNION ALL
		SELECT a.received_at, 5, a.call_id, a.attempt_no, concat(c.name, 'attempt ', a.attempt_no, ': ',
			CASE a.transport WHEN 'answered' THEN format('HTTP %s in %s ms (%s, first byte after %s ms): ', a.http_status, round(a.total_us / 1000.0, 1),
					CASE WHEN a.connect_us > 0 THEN format('connected after %s ms', round(a.connect_us / 1000.0, 1)) ELSE 'on a kept connection' END,
					round(a.first_byte_us / 1000.0, 1))
				ELSE '' END,
			a.meaning, ' (' || nullif(concat_ws(', ', nullif(a.code, upper(replace(a.meaning, ' ', '_'))), a.amount || ' ' || a.currency, a.detail,
				CASE WHEN a.suspect THEN 'SUSPECT: not what we asked for' END), '') || ')',
			' -> ', a.action)
		FROM ONLY payments.psp_answer a JOIN call c ON c.id = a.call_id WHERE a.order_id = explain.order_id

		UNION ALL
		SELECT min(h.changed_at), 8, min(h.id), 0, format('%s -> %s by "%s"%s%s', h.from_status, h.to_status, h.actor, ': ' || h.reason,
			CASE WHEN count(*) > 1 THEN format(' (%s lines)', count(*)) END)
		FROM ONLY payments.payment_order_history h WHERE h.order_id = explain.order_id
		GROUP BY h.from_status, h.to_status, h.actor, h.reason

		UNION ALL
		SELECT t.recorded_at, 6, t.id, 0, format('ledger transaction "%s"%s%s', t.transaction_key,
			CASE WHEN t.reverses_id IS NOT NULL THEN format(', reverses %s', t.reverses_id) END,
			CASE WHEN t.effective_at <> t.recorded_at THEN format(', effective %s', to_char(t.effective_at, 'YYYY-MM-DD HH24:MI:SSOF')) END)
		FROM ONLY payments.ledger_transaction t WHERE t.order_id = explain.order_id

		UNION ALL
		SELECT t.recorded_at, 6, t.id, e.entry_no, format('    %s %s %s', CASE WHEN e.amount > 0 THEN 'debit ' ELSE 'credit' END, a.code, abs(e.amount))
		FROM ONLY payments.ledger_transaction t
			JOIN ONLY payments.ledger_entry e ON e.transaction_id = t.id
			JOIN ONLY payments.ledger_account a ON a.id = e.account_id
		WHERE t.order_id = explain.order_id

		UNION ALL
		SELECT w.created_at, 7, w.id, 0, format('wallet of seller %s: %s %s %s (%s)', w.seller_id, CASE WHEN w.amount > 0 THEN 'plus' ELSE 'minus' END,
			abs(w.amount), w.currency, w.kind)
		FROM ONLY payments.wallet_transaction w WHERE w.order_id = explain.order_id

		UNION ALL
		SELECT v.occurred_at, 9, v.id, 0, format('event %s%s', v.kind, ', code ' || (v.payload ->> 'code'))
		FROM ONLY payments.event v WHERE v.order_id = explain.order_id

		UNION ALL
		SELECT r.created_at, 1, r.id, 1, CASE r.origin WHEN 'psp' THEN format('refund %s recorded, canceled at the PSP and not by us: %s %s, %s', r.id, r.amount, r.currency, r.reason)
			ELSE format('refund %s requested by "%s": %s %s, %s', r.id, r.requested_by, r.amount, r.currency, r.reason) END
		FROM ONLY payments.refund r WHERE r.order_id = explain.order_id

		UNION ALL
		SELECT h.changed_at, 8, h.id, 1, format('refund %s %s -> %s by "%s"%s', h.refund_id, h.from_status, h.to_status, h.actor, ': ' || h.reason)
		FROM ONLY payments.refund_history h WHERE h.order_id = explain.order_id

		UNION ALL
		SELECT p.created_at, 3, 0, 0, format('to be claimed within %s of its payment, or it is given back', p.claim_within)
		FROM ONLY payments.payment_claim p WHERE p.order_id = explain.order_id

		UNION ALL
		SELECT p.ended_at, 11, 0, 0, CASE p.claim_status WHEN 'claimed' THEN format('claimed by "%s"', p.claimed_by)
			WHEN 'void' THEN 'nothing to claim: it was not paid'
			ELSE concat('not claimed in time', ': refund ' || p.refund_id || ' gives it back') END
		FROM ONLY payments.payment_claim p WHERE p.order_id = explain.order_id AND p.ended_at IS NOT NULL

		UNION ALL
		SELECT w.received_at, 10, w.id, 0, format('webhook %s %s: %s%s', w.event_type, w.status, w.verdict, ', ' || o.outcome)
		FROM ONLY payments.webhook w
			LEFT JOIN ONLY payments.webhook_outcome o ON o.webhook_id = w.id
		WHERE w.order_id = explain.order_id

		UNION ALL
		SELECT v.issued_at, 6, 0, 0, format('account issued to pay into, at bank %s%s', v.bank_code, ', until ' || to_char(v.due_at, 'YYYY-MM-DD HH24:MI:SSOF'))
		FROM ONLY payments.virtual_account v WHERE v.order_id = explain.order_id

		UNION ALL
		SELECT v.expired_at, 6, 0, 1, 'the account is closed: nobody paid into it in time'
		FROM ONLY payments.virtual_account v WHERE v.order_id = explain.order_id AND v.expired_at IS NOT NULL

		UNION ALL
		SELECT m.recorded_at, 6, 0, m.movement_no, format('%s %s: %s, effective %s%s', m.kind, m.movement_no, m.amount,
			to_char(m.effective_at, 'YYYY-MM-DD HH24:MI:SSOF'), ', transaction ' || m.transaction_key)
		FROM ONLY payments.deposit_movement m WHERE m.order_id = explain.order_id

		UNION ALL
		SELECT o.acted_at, 0, o.id, 0, format('%s by "%s"%s', CASE o.action WHEN 'retry' THEN 'pushed'
			WHEN 'resolve_refund' THEN format('refund %s resolved as %s', o.refund_id, o.outcome)
			ELSE format('resolved as %s', o.outcome) END, o.actor, ': ' || o.note)
		FROM ONLY payments.operator_action o WHERE o.order_id = explain.order_id

		UNION ALL
		SELECT f.found_at, 10, f.id, 0, format('found in Toss''s list, reconciliation %s: %s (%s)', f.reconciliation_id, f.kind,
			concat_ws(', ', f.status, f.amount || ' ' || f.currency, 'transaction ' || f.transaction_key, f.detail))
		FROM ONLY payments.reconciliation_finding f WHERE f.order_id = explain.order_id

		UNION ALL
		SELECT x.ended_at, 10, f.id, 1, CASE x.outcome WHEN 'closed' THEN format('finding "%s" closed by "%s": %s', f.kind, x.actor, x.note)
			ELSE format('finding "%s" ended by reconciliation %s: %s', f.kind, x.reconciliation_id, x.outcome) END
		FROM ONLY payments.reconciliation_finding f JOIN ONLY payments.reconciliation_finding_end x ON x.finding_id = f.id
		WHERE f.order_id = explain.order_id

		-- the verdict, and then what is to come
		UNION ALL
		SELECT now.now, 98 + x.n, 0, 0, x.story
		FROM (SELECT clock_timestamp(), payments.status(explain.order_id),
				(SELECT e.expires_at <= clock_timestamp() FROM ONLY payments.payment_event e WHERE e.order_id = explain.order_id)) now (now, status, is_late)
			LEFT JOIN (SELECT order_id, call_id, state, next_operation, attempt_no, failures, phase, due_at, outcome_unknown, first_sent_at
				FROM ONLY payments.psp_call_queue
				UNION ALL
				SELECT order_id, call_id, 'P', 'Q', attempt_no, 0, 'D', due_at, false, first_sent_at
				FROM ONLY payments.psp_call_deposit) q ON q.order_id = explain.order_id
			LEFT JOIN ONLY payments.psp_call c ON c.id = q.call_id
			LEFT JOIN call k ON k.id = q.call_id
			LEFT JOIN ONLY payments.payment_claim p ON p.order_id = explain.order_id
			LEFT JOIN LATERAL (SELECT CASE q.next_operation WHEN 'C' THEN 'confirm' WHEN 'X' THEN 'cancel' ELSE 'query' END) o (operation) ON true
			-- what keeps the call from going: its worker, or its merchant
			LEFT JOIN LATERAL (SELECT CASE WHEN w.state IS NULL THEN 'no worker serves this database'
					WHEN w.state <> 'running' AND NOT (w.state = 'disarmed' AND q.next_operation = 'Q') THEN concat('the worker is ', w.state, ': ' || w.reason)
					WHEN m.breaker <> 'closed' THEN format('the circuit breaker of merchant "%s" is open', m.merchant)
					WHEN m.paused_until > now.now THEN format('the PSP asked to wait until %s', to_char(m.paused_until, 'YYYY-MM-DD HH24:MI:SSOF'))
					WHEN m.starved_since IS NOT NULL OR m.in_flight >= m.max_in_flight THEN format('the limits of merchant "%s" are used up', m.merchant)
					WHEN w.reason !~ 'merchant "' OR strpos(w.reason, format('merchant "%s"', m.merchant)) > 0 THEN w.reason END
				FROM payments.merchant_stats m
					LEFT JOIN payments.worker_slots() w ON w.database = current_database() AND w.shard = (hashtext(explain.order_id) & 2147483647) % w.shards
				WHERE m.merchant = c.merchant AND q.state = 'P' AND q.due_at <= now.now LIMIT 1) held (why) ON true
			LEFT JOIN LATERAL (SELECT nullif(concat_ws(', ', a.meaning, nullif(a.code, upper(replace(a.meaning, ' ', '_'))), a.detail), '')
				FROM ONLY payments.psp_answer a WHERE a.order_id = q.order_id AND a.call_id = q.call_id ORDER BY a.attempt_no DESC LIMIT 1) l (answer) ON true
			CROSS JOIN LATERAL (VALUES
				(0, format('now %s: %s', now.status, CASE
					WHEN now.status = 'SUCCESS' AND p.claim_status = 'waiting' THEN 'paid, and not claimed'
					WHEN now.status IN ('SUCCESS', 'FAILURE') THEN 'final'
					WHEN q.state IS NULL AND now.is_late THEN 'nobody confirmed it in time'
					WHEN q.state IS NULL THEN 'nobody has confirmed it'
					WHEN q.phase IN ('D', 'L') THEN 'an account was issued, and the buyer has not paid into it'
					WHEN q.outcome_unknown OR now.status = 'UNKNOWN' THEN 'a confirm may have been executed, and nothing has decided that'
					WHEN q.first_sent_at IS NULL THEN 'nothing was sent'
					ELSE 'it was sent, and nothing has decided it' END)),
				(1, 'next: ' || CASE
					WHEN q.state = 'S' THEN format('%sattempt %s is in flight', k.name, q.attempt_no)
					WHEN q.state = 'D' THEN concat(k.name, 'a person decides: payments.retry, or payments.resolve', CASE WHEN c.operation = 'cancel' THEN '_refund' END,
						'; the last answer was ' || l.answer)
					WHEN q.due_at <= now.now THEN concat(k.name, format('a %s, due since %s', o.operation, to_char(q.due_at, 'YYYY-MM-DD HH24:MI:SSOF')), '; ' || held.why)
					WHEN q.state = 'P' THEN concat(k.name, format('a %s at %s', o.operation, to_char(q.due_at, 'YYYY-MM-DD HH24:MI:SSOF')),
						', after ' || nullif(q.failures, 0) || ' failures')
					WHEN now.status = 'SUCCESS' AND p.claim_status = 'waiting' THEN coalesce('a person, since it could not be given back: ' || p.problem,
						format('the worker looks at %s whether it was claimed', to_char(p.due_at, 'YYYY-MM-DD HH24:MI:SSOF'))) END))
				x (n, story))
	SELECT t.at, t.at - min(t.at) OVER (), t.story FROM told t
		WHERE t.story IS NOT NULL ORDER BY t.place >= 98, t.at, t.place, t.n, t.sub
	$$;
COMMENT ON FUNCTION payments.explain(text) IS
'The story of one order in the order of time: lines, calls, attempts and answers with durations, transitions, bookings, events, operators, and what happens next';
