-- The books prove themselves: every invariant, how many rows were looked at,
-- and a counterexample where it does not hold.

CREATE FUNCTION payments.verify(
	OUT invariant text, OUT holds boolean, OUT checked bigint, OUT counterexample text)
	RETURNS SETOF record
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 16 SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	-- every sub-query gives: number looked at, first counterexample or NULL
	SELECT v.invariant, v.counterexample IS NULL, v.checked, v.counterexample
	FROM (
		SELECT 1 AS n, 'ledger transactions are whole and add up to zero in every currency' AS invariant,
			count(*) AS checked,
			min(format('ledger transaction %s: currency %s adds up to %s, %s of %s entries',
				t.transaction_id, t.currency, t.total, t.present, t.expected))
				FILTER (WHERE t.total <> 0 OR t.present <> t.expected OR t.lowest <> t.expected) AS counterexample
		FROM (SELECT e.transaction_id, e.currency, sum(e.amount) AS total,
				max(e.entry_count) AS expected, min(e.entry_count) AS lowest,
				max(w.present) AS present
			FROM ONLY payments.ledger_entry e
				JOIN (SELECT transaction_id, count(*) AS present
					FROM ONLY payments.ledger_entry GROUP BY transaction_id) w USING (transaction_id)
			GROUP BY e.transaction_id, e.currency) t

		UNION ALL
		SELECT 2, 'every ledger transaction has entries',
			count(*),
			min(format('ledger transaction %s', t.id)) FILTER (WHERE e.transaction_id IS NULL)
		FROM ONLY payments.ledger_transaction t
			LEFT JOIN (SELECT DISTINCT transaction_id FROM ONLY payments.ledger_entry) e ON e.transaction_id = t.id

		UNION ALL
		SELECT 3, 'balances are the sums of their entries',
			count(*),
			min(format('account %s: balance %s, entries %s', a.code, coalesce(b.balance, 0), coalesce(e.amount, 0)))
				FILTER (WHERE coalesce(b.balance, 0) <> coalesce(e.amount, 0))
		FROM ONLY payments.ledger_account a
			LEFT JOIN (SELECT account_id, sum(balance) AS balance
				FROM ONLY payments.ledger_balance GROUP BY account_id) b ON b.account_id = a.id
			LEFT JOIN (SELECT account_id, sum(amount) AS amount
				FROM ONLY payments.ledger_entry GROUP BY account_id) e ON e.account_id = a.id

		UNION ALL
		SELECT 4, 'wallets are the sums of their journals',
			count(*),
			min(format('wallet of seller %s in %s: balance %s, journal %s',
				w.seller_id, w.currency, w.balance, coalesce(j.amount, 0)))
				FILTER (WHERE w.balance <> coalesce(j.amount, 0))
		FROM ONLY payments.wallet w
			LEFT JOIN (SELECT seller_id, currency, sum(amount) AS amount
				FROM ONLY payments.wallet_transaction GROUP BY seller_id, currency) j
				USING (seller_id, currency)

		UNION ALL
		SELECT 5, 'wallets are the credit of their sellers'' ledger accounts',
			count(*),
			min(format('seller %s in %s: wallet %s, ledger %s',
				coalesce(w.seller_id::text, l.seller), coalesce(w.currency, l.currency),
				coalesce(w.balance, 0), coalesce(l.balance, 0)))
				FILTER (WHERE coalesce(w.balance, 0) <> coalesce(l.balance, 0))
		FROM ONLY payments.wallet w
			FULL JOIN (SELECT split_part(a.code, ':', 2) AS seller, a.currency, - sum(e.amount) AS balance
				FROM ONLY payments.ledger_account a
					JOIN ONLY payments.ledger_entry e ON e.account_id = a.id
				WHERE a.code LIKE 'seller:%'
				GROUP BY 1, 2) l
				ON l.seller = w.seller_id::text AND l.currency = w.currency

		UNION ALL
		SELECT 6, 'an order is in the ledger and the wallet exactly when its flags say so',
			count(*),
			min(format('payment order %s of "%s": ledger_updated %s with %s credited, wallet_updated %s with %s in the wallet',
				o.id, o.order_id, o.ledger_updated, coalesce(l.credited, 0), o.wallet_updated, coalesce(j.amount, 0)))
				FILTER (WHERE o.wallet_updated <> (j.payment_order_id IS NOT NULL)
					OR coalesce(j.sale, o.amount) <> o.amount
					OR coalesce(j.amount, o.amount - o.commission) <> o.amount - o.commission
					OR j.order_ids <> ARRAY[o.order_id]
					OR o.ledger_updated <> (l.order_id IS NOT NULL)
					OR coalesce(l.credited, s.owed) <> s.owed)
		FROM ONLY payments.payment_order o
			JOIN (SELECT order_id, seller_id, sum(amount - commission) AS owed
				FROM ONLY payments.payment_order GROUP BY order_id, seller_id) s
				ON s.order_id = o.order_id AND s.seller_id = o.seller_id
			LEFT JOIN (SELECT payment_order_id, sum(amount) AS amount,
					sum(amount) FILTER (WHERE kind = 'sale') AS sale, array_agg(DISTINCT order_id) AS order_ids
				FROM ONLY payments.wallet_transaction WHERE payment_order_id IS NOT NULL
				GROUP BY payment_order_id) j ON j.payment_order_id = o.id
			LEFT JOIN (SELECT t.order_id, split_part(a.code, ':', 2) AS seller, - sum(e.amount) AS credited
				FROM ONLY payments.ledger_transaction t
					JOIN ONLY payments.ledger_entry e ON e.transaction_id = t.id
					JOIN ONLY payments.ledger_account a ON a.id = e.account_id
				WHERE t.kind = 'payment.captured' AND a.code LIKE 'seller:%'
				GROUP BY 1, 2) l
				ON l.order_id = o.order_id AND l.seller = o.seller_id::text

		UNION ALL
		SELECT 7, 'payment events are the sums of their orders',
			count(*),
			min(format('order "%s": event %s, orders %s', e.order_id, e.amount, coalesce(o.amount, 0)))
				FILTER (WHERE e.amount IS DISTINCT FROM o.amount)
		FROM ONLY payments.payment_event e
			LEFT JOIN (SELECT payment_event_id, sum(amount) AS amount
				FROM ONLY payments.payment_order GROUP BY payment_event_id) o ON o.payment_event_id = e.id

		UNION ALL
		SELECT 8, 'payment events are done exactly when all their orders have both flags',
			count(*),
			min(format('order "%s": is_payment_done is %s', e.order_id, e.is_payment_done))
				FILTER (WHERE e.is_payment_done IS DISTINCT FROM o.finished)
		FROM ONLY payments.payment_event e
			LEFT JOIN (SELECT payment_event_id, bool_and(ledger_updated AND wallet_updated) AS finished
				FROM ONLY payments.payment_order GROUP BY payment_event_id) o ON o.payment_event_id = e.id

		UNION ALL
		SELECT 9, 'histories are continuous and end in the present state',
			count(*),
			min(format('payment order %s of "%s"', o.id, o.order_id))
				FILTER (WHERE o.payment_order_status <> coalesce(h.last, 'NOT_STARTED') OR h.broken
					OR h.order_ids <> ARRAY[o.order_id])
		FROM ONLY payments.payment_order o
			LEFT JOIN (SELECT payment_order_id,
					(array_agg(to_status ORDER BY id DESC))[1] AS last,
					bool_or(from_status <> coalesce(previous, 'NOT_STARTED')) AS broken, array_agg(DISTINCT order_id) AS order_ids
				FROM (SELECT payment_order_id, order_id, id, from_status, to_status,
						lag(to_status) OVER (PARTITION BY payment_order_id ORDER BY id) AS previous
					FROM ONLY payments.payment_order_history) s
				GROUP BY payment_order_id) h ON h.payment_order_id = o.id

		UNION ALL
		SELECT 10, 'at most one approved answer settles an order',
			count(*),
			min(format('order "%s": %s approvals', a.order_id, a.approvals)) FILTER (WHERE a.approvals > 1)
		FROM (SELECT order_id, count(*) FILTER (WHERE action = 'succeed') AS approvals
			FROM ONLY payments.psp_answer GROUP BY order_id) a

		UNION ALL
		SELECT 11, 'every success is proved, by an answer or by a person, with our key and amount',
			count(*),
			min(format('order "%s"', e.order_id)) FILTER (WHERE NOT EXISTS (
				SELECT FROM ONLY payments.psp_answer a
				WHERE a.order_id = e.order_id AND a.action = 'succeed' AND a.meaning = 'approved'
					AND a.payment_key = e.payment_key AND a.psp_order_id = e.order_id
					AND a.currency = e.currency AND a.amount = e.amount)
				AND NOT EXISTS (SELECT FROM ONLY payments.operator_action o
				WHERE o.order_id = e.order_id AND o.action = 'resolve' AND o.outcome = 'succeeded'
					AND o.payment_key = e.payment_key AND o.currency = e.currency AND o.amount = e.amount))
		FROM ONLY payments.payment_event e
		WHERE EXISTS (SELECT FROM ONLY payments.payment_order o
			WHERE o.payment_event_id = e.id AND o.payment_order_status = 'SUCCESS')

		UNION ALL
		SELECT 12, 'every order under way has an open call, and no other has one',
			count(*),
			min(format('order "%s": status %s, %s', p.order_id, p.status,
				CASE WHEN q.calls IS NULL THEN 'no open call' ELSE format('call %s is open', q.calls) END))
				FILTER (WHERE coalesce(q.n, 0) <> CASE WHEN p.status IN ('EXECUTING', 'UNKNOWN') THEN 1 ELSE 0 END)
		FROM (SELECT order_id, CASE WHEN min(payment_order_status) = max(payment_order_status)
				THEN min(payment_order_status) ELSE 'UNKNOWN' END AS status
			FROM ONLY payments.payment_order GROUP BY order_id) p
			LEFT JOIN (SELECT order_id, count(*) AS n, string_agg(call_id::text, ', call ' ORDER BY call_id) AS calls
				FROM (SELECT order_id, call_id FROM ONLY payments.psp_call_queue
					UNION ALL SELECT order_id, call_id FROM ONLY payments.psp_call_deposit) c
				WHERE NOT EXISTS (SELECT FROM ONLY payments.psp_call x WHERE x.id = c.call_id AND x.operation IN ('cancel', 'look'))
				GROUP BY order_id) q ON q.order_id = p.order_id

		UNION ALL
		SELECT 13, 'every answer belongs to an attempt that was committed before it',
			count(*),
			min(format('call %s attempt %s', a.call_id, a.attempt_no))
				FILTER (WHERE s.call_id IS NULL OR s.claimed_at > a.received_at
					OR s.order_id <> a.order_id OR c.order_id <> a.order_id)
		FROM ONLY payments.psp_answer a
			LEFT JOIN ONLY payments.psp_attempt s USING (call_id, attempt_no)
			LEFT JOIN ONLY payments.psp_call c ON c.id = a.call_id

		UNION ALL
		SELECT 14, 'amounts are no finer than their currencies, which are known',
			count(*),
			min(format('order "%s": %s %s', e.order_id, e.amount, e.currency))
				FILTER (WHERE c.code IS NULL OR e.amount <> trunc(e.amount, c.minor_units))
		FROM ONLY payments.payment_event e
			LEFT JOIN ONLY payments.currency c ON c.code = e.currency

		UNION ALL
		SELECT 15, 'every final order has told so, once',
			count(*),
			min(format('order "%s": status %s, %s confirmed, %s failed, %s completed',
				p.order_id, p.status, coalesce(v.confirmed, 0), coalesce(v.failed, 0), coalesce(v.completed, 0)))
				FILTER (WHERE coalesce(v.confirmed, 0) <> CASE WHEN p.status = 'SUCCESS' THEN 1 ELSE 0 END
					OR coalesce(v.failed, 0) <> CASE WHEN p.status = 'FAILURE' THEN 1 ELSE 0 END
					OR coalesce(v.completed, 0) <> CASE WHEN p.done THEN 1 ELSE 0 END)
		FROM (SELECT e.order_id, e.is_payment_done AS done,
				CASE WHEN min(o.payment_order_status) = max(o.payment_order_status)
					THEN min(o.payment_order_status) ELSE 'UNKNOWN' END AS status
			FROM ONLY payments.payment_event e
				JOIN ONLY payments.payment_order o ON o.payment_event_id = e.id
			GROUP BY e.order_id, e.is_payment_done) p
			LEFT JOIN (SELECT order_id, count(*) FILTER (WHERE kind = 'payment.confirmed') AS confirmed,
					count(*) FILTER (WHERE kind = 'payment.failed') AS failed,
					count(*) FILTER (WHERE kind = 'payment.completed') AS completed
				FROM ONLY payments.event GROUP BY order_id) v ON v.order_id = p.order_id

		UNION ALL
		SELECT 16, 'sequences draw this node''s numbers',
			count(*),
			min(format('sequence payments.%s goes in steps of %s from %s', s.sequencename, s.increment_by, s.start_value))
				FILTER (WHERE s.increment_by <> coalesce(n.nodes, 1)
					OR (coalesce(s.last_value, n.node) - coalesce(n.node, 0)) % coalesce(n.nodes, 1) <> 0)
		FROM pg_sequences s LEFT JOIN ONLY payments.node n ON true
		WHERE s.schemaname = 'payments'

		UNION ALL
		SELECT 17, 'every guard is in place and fires for everybody',
			count(*),
			min(format('trigger %s on %s is not ENABLE ALWAYS', g.tgname, g.tgrelid::regclass))
				FILTER (WHERE g.tgenabled <> 'A')
		FROM pg_trigger g
			JOIN pg_class c ON c.oid = g.tgrelid
		WHERE c.relnamespace = 'payments'::regnamespace AND NOT g.tgisinternal

		UNION ALL
		SELECT 18, 'a reversal takes back no more than there was',
			count(*),
			min(format('ledger transaction %s takes %s of %s %s back from account %s',
				r.id, r.amount, coalesce(o.amount, 0), r.currency, a.code))
				FILTER (WHERE r.amount NOT BETWEEN least(- coalesce(o.amount, 0), 0) AND greatest(- coalesce(o.amount, 0), 0))
		FROM (SELECT t.id, t.reverses_id, e.account_id, e.currency, sum(e.amount) AS amount
				FROM ONLY payments.ledger_transaction t
					JOIN ONLY payments.ledger_entry e ON e.transaction_id = t.id
				WHERE t.reverses_id IS NOT NULL
				GROUP BY t.id, t.reverses_id, e.account_id, e.currency) r
			JOIN ONLY payments.ledger_account a ON a.id = r.account_id
			LEFT JOIN LATERAL (SELECT sum(e.amount) AS amount FROM ONLY payments.ledger_entry e
				WHERE e.transaction_id = r.reverses_id AND e.account_id = r.account_id) o ON true

		UNION ALL
		SELECT 19, 'balance rows are complete and say what their accounts'' last events say',
			count(*),
			min(format('account %s: %s rows say %s, its last event %s', a.code, coalesce(b.n, 0),
				coalesce(nullif(concat_ws(', ', 'state ' || b.state, b.stripes || ' stripes', 'floor ' || b.floor, 'ceiling ' || b.ceiling,
					CASE WHEN b.kinds > 1 THEN 'and disagree' END), ''), 'nothing'),
				coalesce(nullif(concat_ws(', ', 'state ' || e.state, e.stripes || ' stripes', 'floor ' || e.floor, 'ceiling ' || e.ceiling), ''), 'is none')))
				FILTER (WHERE b.n <> b.stripes OR b.kinds <> 1 OR e.account_id IS NOT NULL AND b.n IS NULL
					OR b.state <> coalesce(e.state, 'o') OR b.stripes <> coalesce(e.stripes, b.stripes)
					OR b.floor IS DISTINCT FROM e.floor OR b.ceiling IS DISTINCT FROM e.ceiling)
		FROM ONLY payments.ledger_account a
			LEFT JOIN (SELECT account_id, count(*) AS n, max(stripes) AS stripes,
					count(DISTINCT ROW(stripes, state, floor, ceiling)) AS kinds,
					max(state::text) AS state, max(floor) AS floor, max(ceiling) AS ceiling
				FROM ONLY payments.ledger_balance GROUP BY account_id) b ON b.account_id = a.id
			LEFT JOIN (SELECT DISTINCT ON (account_id) account_id, state::text, stripes, floor, ceiling
				FROM ONLY payments.ledger_account_event ORDER BY account_id, id DESC) e ON e.account_id = a.id

		UNION ALL
		SELECT 20, 'what is held is the sum of the open holds',
			count(*),
			min(format('account %s: held %s, open holds %s', a.code, coalesce(b.held, 0), coalesce(h.held, 0)))
				FILTER (WHERE coalesce(b.held, 0) <> coalesce(h.held, 0))
		FROM ONLY payments.ledger_account a
			LEFT JOIN (SELECT account_id, sum(held) AS held
				FROM ONLY payments.ledger_balance GROUP BY account_id) b ON b.account_id = a.id
			LEFT JOIN (SELECT account_id, sum(amount) AS held
				FROM ONLY payments.ledger_hold h
				WHERE NOT EXISTS (SELECT FROM ONLY payments.ledger_hold_end e WHERE e.hold_id = h.id)
				GROUP BY account_id) h ON h.account_id = a.id

		UNION ALL
		SELECT 21, 'no account is past its limits, but those that payments books on',
			count(*),
			min(format('account %s: balance %s, held %s, floor %s, ceiling %s', a.code, n.balance, n.held, b.floor, b.ceiling))
				FILTER (WHERE (n.balance - n.held < b.floor OR n.balance > b.ceiling)
					AND split_part(a.code, ':', 1) NOT IN ('psp', 'buyer', 'seller', 'platform'))
		FROM ONLY payments.ledger_balance b
			JOIN ONLY payments.ledger_account a ON a.id = b.account_id
			CROSS JOIN LATERAL (SELECT
				CASE WHEN a.kind IN ('asset', 'expense') THEN b.balance ELSE - b.balance END AS balance,
				-- what is past its time counts no more
				b.held - coalesce((SELECT sum(o.amount) FROM ONLY payments.ledger_hold_open o
					WHERE o.account_id = b.account_id AND o.expires_at <= clock_timestamp()), 0) AS held) n
		WHERE b.floor IS NOT NULL OR b.ceiling IS NOT NULL

		UNION ALL
		SELECT 22, 'holds are open or ended, and posted ones have taken what they say',
			count(*),
			min(format('hold %s', h.id))
				FILTER (WHERE (e.hold_id IS NULL) <> (o.hold_id IS NOT NULL)
					OR o.account_id <> h.account_id OR o.amount <> h.amount
					OR o.hold_id IS NOT NULL AND o.expires_at IS DISTINCT FROM h.expires_at
					OR e.amount > h.amount
					OR e.outcome = 'posted' AND (t.id IS NULL OR t.transaction_key <> format('hold:%s', h.id)
						OR e.amount IS DISTINCT FROM (SELECT sum(CASE WHEN a.kind IN ('asset', 'expense') THEN - l.amount ELSE l.amount END)
							FROM ONLY payments.ledger_entry l JOIN ONLY payments.ledger_account a ON a.id = l.account_id
							WHERE l.transaction_id = e.transaction_id AND l.account_id = h.account_id)))
		FROM ONLY payments.ledger_hold h
			LEFT JOIN ONLY payments.ledger_hold_end e ON e.hold_id = h.id
			LEFT JOIN ONLY payments.ledger_hold_open o ON o.hold_id = h.id
			LEFT JOIN ONLY payments.ledger_transaction t ON t.id = e.transaction_id

		UNION ALL
		SELECT 23, 'snapshots are the sums of their entries, without a gap',
			count(*),
			min(format('account %s: snapshot %s of level %s', a.code, s.ordinal, s.level))
				FILTER (WHERE s.place IS NULL OR s.ordinal <> s.place OR s.found IS DISTINCT FROM
					(s.first_id, s.last_id, s.entries, s.strays, s.amount, s.min_effective_at, s.max_effective_at,
						s.min_recorded_at, s.max_recorded_at)
					OR s.run IS DISTINCT FROM CASE WHEN s.strays BETWEEN 1 AND 32768 THEN s.sorted END
					OR cardinality(s.run) <> s.strays OR NOT s.pages_right)
		FROM (SELECT account_id, level, ordinal, s.first_id, s.last_id, s.entries, s.strays, s.amount, s.min_effective_at,
				s.max_effective_at, s.min_recorded_at, s.max_recorded_at, s.place, f.found, r.run, r.pages_right, x.sorted
			FROM (SELECT *, row_number() OVER (PARTITION BY account_id, level ORDER BY ordinal) - 1 AS place
				FROM ONLY payments.ledger_snapshot) s
				-- strays: the run that there is
				FULL JOIN (SELECT account_id, level, ordinal, array_agg(ROW(s.at, s.id, s.sum) ORDER BY page, place) AS run,
						bool_and(p.min_effective_at = p.effective_ats[1]) AS pages_right
					FROM ONLY payments.ledger_stray p
						CROSS JOIN LATERAL ROWS FROM (unnest(p.effective_ats), unnest(p.transaction_ids), unnest(p.sums))
							WITH ORDINALITY AS s (at, id, sum, place)
					GROUP BY account_id, level, ordinal) r USING (account_id, level, ordinal)
				-- and as it should be: of level 1, their entries; above, the runs of the 64 rows below
				LEFT JOIN (SELECT account_id, level, ordinal, array_agg(ROW(n.at, n.id, n.sum) ORDER BY n.at, n.id) AS sorted
					FROM (SELECT *, sum(amount) OVER (PARTITION BY account_id, level, ordinal ORDER BY at, id) AS sum
						FROM (SELECT p.account_id, p.level, p.ordinal, t.effective_at AS at, t.id,
								(SELECT sum(e.amount) FROM ONLY payments.ledger_entry e
									WHERE e.account_id = p.account_id AND e.transaction_id = t.id) AS amount
							FROM (SELECT DISTINCT account_id, level, ordinal, unnest(transaction_ids) AS id
								FROM ONLY payments.ledger_stray WHERE level = 1) p
								JOIN ONLY payments.ledger_transaction t ON t.id = p.id
							UNION ALL
							SELECT p.account_id, p.level + 1, p.ordinal / 64, s.at, s.id,
								s.sum - lag(s.sum, 1, 0.0) OVER (PARTITION BY account_id, level, ordinal ORDER BY page, place)
							FROM ONLY payments.ledger_stray p
								CROSS JOIN LATERAL ROWS FROM (unnest(p.effective_ats), unnest(p.transaction_ids), unnest(p.sums))
									WITH ORDINALITY AS s (at, id, sum, place)) u) n
					GROUP BY account_id, level, ordinal) x USING (account_id, level, ordinal)
				-- the sums: of level 1, all entries since the row before; above, the 64 rows below
				LEFT JOIN (SELECT e.account_id, 1 AS level, e.ordinal, (min(e.id), max(e.id), count(*),
							count(*) FILTER (WHERE e.is_first AND p.id IS NOT NULL)::integer,
							coalesce(sum(e.amount) FILTER (WHERE p.id IS NULL), 0),
							coalesce(min(e.effective_at) FILTER (WHERE p.id IS NULL), 'infinity'),
							coalesce(max(e.effective_at) FILTER (WHERE p.id IS NULL), '-infinity'),
							min(e.recorded_at), max(e.recorded_at)) AS found
						-- an account's entries in order, each with the number of rows that end before it
						FROM (SELECT *, count(*) FILTER (WHERE is_end) OVER w AS ordinal, lag(id) OVER w IS DISTINCT FROM id AS is_first
							FROM (SELECT e.account_id, e.transaction_id AS id, false AS is_end, e.amount, t.effective_at, t.recorded_at
								FROM (SELECT account_id, max(last_id) AS last_id FROM ONLY payments.ledger_snapshot GROUP BY account_id) l
									JOIN ONLY payments.ledger_entry e ON e.account_id = l.account_id AND e.transaction_id <= l.last_id
									JOIN ONLY payments.ledger_transaction t ON t.id = e.transaction_id
								UNION ALL
								SELECT account_id, last_id, true, NULL, NULL, NULL FROM ONLY payments.ledger_snapshot WHERE level = 1) u
							WINDOW w AS (PARTITION BY account_id ORDER BY id, is_end ROWS UNBOUNDED PRECEDING)) e
							LEFT JOIN (SELECT DISTINCT account_id, ordinal, unnest(transaction_ids) AS id
								FROM ONLY payments.ledger_stray WHERE level = 1) p
								ON p.account_id = e.account_id AND p.ordinal = e.ordinal AND p.id = e.id
						WHERE NOT e.is_end
						GROUP BY e.account_id, e.ordinal
					UNION ALL
					SELECT account_id, level + 1, ordinal / 64, (min(first_id), max(last_id), sum(entries)::bigint, sum(strays)::integer,
							sum(amount), min(min_effective_at), max(max_effective_at), min(min_recorded_at), max(max_recorded_at))
						FROM ONLY payments.ledger_snapshot GROUP BY 1, 2, 3) f USING (account_id, level, ordinal)) s
			LEFT JOIN ONLY payments.ledger_account a ON a.id = s.account_id

		UNION ALL
		SELECT 24, 'snapshots lie behind the mark up to which ids are final',
			count(*),
			coalesce(min(format('account %s: snapshot %s of level %s', a.code, s.ordinal, s.level)) FILTER (WHERE s.last_id > h.done_id),
				CASE WHEN count(*) > count(h.done_id) THEN 'there is no mark' END,
				-- an id that is drawn below the mark would not be seen by snapshots
				(SELECT format('ids are drawn from %s on, and up to %s they are final', q.last_value, m.candidate_id)
					FROM ONLY payments.ledger_horizon m, payments.ledger_transaction_id_seq q
					WHERE q.last_value < m.candidate_id))
		FROM ONLY payments.ledger_snapshot s
			LEFT JOIN ONLY payments.ledger_horizon h ON true
			LEFT JOIN ONLY payments.ledger_account a ON a.id = s.account_id

		UNION ALL
		SELECT 25, 'entries have their ledger transaction, and an account of their currency',
			count(*),
			min(format('entry %s of ledger transaction %s: %s', e.entry_no, e.transaction_id,
				CASE WHEN t.id IS NULL THEN 'there is no such transaction'
					WHEN a.id IS NULL THEN format('there is no account %s', e.account_id)
					ELSE format('%s on account %s of %s', e.currency, a.code, a.currency) END))
				FILTER (WHERE t.id IS NULL OR a.currency IS DISTINCT FROM e.currency)
		FROM ONLY payments.ledger_entry e
			LEFT JOIN ONLY payments.ledger_transaction t ON t.id = e.transaction_id
			LEFT JOIN ONLY payments.ledger_account a ON a.id = e.account_id

		UNION ALL
		SELECT 26, 'the schema is as it was recorded',
			(SELECT count(*) FROM jsonb_object_keys((SELECT r.objects
				FROM ONLY payments.schema_record r ORDER BY r.id DESC LIMIT 1))),
			CASE WHEN p.n > 0 THEN format('%s%s', p.first, CASE WHEN p.n > 1 THEN format(' (and %s more)', p.n - 1) END) END
		FROM (SELECT count(*) AS n, min(s.problem) AS first FROM payments.schema_problems() s) p

		UNION ALL
		SELECT 27, 'orders that a person resolved are what he said, and no answer settled them',
			count(*),
			min(format('order "%s": resolved as %s, status %s%s', o.order_id, o.outcome, coalesce(p.status, 'none'),
				CASE WHEN a.order_id IS NOT NULL THEN format(', answer %s settled it', a.action) END))
				FILTER (WHERE p.status IS DISTINCT FROM CASE o.outcome WHEN 'succeeded' THEN 'SUCCESS' ELSE 'FAILURE' END
					OR a.order_id IS NOT NULL)
		FROM ONLY payments.operator_action o
			LEFT JOIN LATERAL (SELECT CASE WHEN min(l.payment_order_status) = max(l.payment_order_status)
					THEN min(l.payment_order_status)::text ELSE 'mixed' END AS status
				FROM ONLY payments.payment_order l WHERE l.order_id = o.order_id) p ON true
			LEFT JOIN LATERAL (SELECT a.order_id, a.action FROM ONLY payments.psp_answer a
				WHERE a.order_id = o.order_id AND a.action IN ('succeed', 'fail') LIMIT 1) a ON true
		WHERE o.action = 'resolve'

		UNION ALL
		SELECT 28, 'open calls stand in the queues of their merchants',
			count(*),
			min(format('call %s of order "%s" is in the queue of merchant %s', q.call_id, q.order_id, q.merchant_id))
				FILTER (WHERE m.id IS DISTINCT FROM q.merchant_id)
		FROM (SELECT call_id, order_id, merchant_id FROM ONLY payments.psp_call_queue
				UNION ALL SELECT call_id, order_id, merchant_id FROM ONLY payments.psp_call_deposit) q
			LEFT JOIN ONLY payments.psp_call c ON c.id = q.call_id
			LEFT JOIN ONLY payments.merchant m ON m.name = c.merchant

		UNION ALL
		SELECT 29, 'complete reconciliations have read their whole period, page by page',
			count(*),
			coalesce(min(format('reconciliation %s: read up to %s of %s, transactions %s, of its pages %s', r.id, r.slice_since, r.until,
				r.transactions, p.transactions))
				FILTER (WHERE r.state = 'C' AND r.slice_since IS DISTINCT FROM r.until OR r.transactions <> p.transactions),
				(SELECT format('finding %s', f.id) FROM ONLY payments.reconciliation_finding f
				WHERE NOT EXISTS (SELECT FROM ONLY payments.reconciliation x WHERE x.id = f.reconciliation_id) LIMIT 1))
		FROM ONLY payments.merchant m
			LEFT JOIN ONLY payments.reconciliation r ON r.merchant = m.name
			LEFT JOIN LATERAL (SELECT coalesce(sum(g.transactions), 0) AS transactions FROM ONLY payments.reconciliation_page g
				WHERE g.reconciliation_id = r.id AND g.counted) p ON true

		UNION ALL
		SELECT 30, 'of orders that expired unsent no attempt was ever begun',
			count(*),
			min(format('order "%s": call %s attempt %s', e.order_id, s.call_id, s.attempt_no))
				FILTER (WHERE s.call_id IS NOT NULL)
		FROM (SELECT DISTINCT order_id FROM ONLY payments.payment_order
				WHERE failure_code = 'EXPIRED_UNSENT') e
			LEFT JOIN ONLY payments.psp_attempt s ON s.order_id = e.order_id

		UNION ALL
		SELECT 55, 'what came into an account is numbered, and its order is what it says',
			count(*),
			min(format('order "%s": %s movements up to %s, status %s, paid %s', v.order_id, m.n, m.last, p.status, p.flagged))
				FILTER (WHERE m.n <> m.last OR p.flagged AND m.n = 0 OR NOT p.flagged AND m.n > 0 AND p.status <> 'FAILURE'
					OR v.expired_at IS NOT NULL AND m.n = 0 AND p.status <> 'FAILURE')
		FROM ONLY payments.virtual_account v
			CROSS JOIN LATERAL (SELECT count(*) AS n, coalesce(max(x.movement_no), 0) AS last
				FROM ONLY payments.deposit_movement x WHERE x.order_id = v.order_id) m
			CROSS JOIN LATERAL (SELECT bool_and(o.ledger_updated AND o.wallet_updated) AS flagged,
					CASE WHEN min(o.payment_order_status) = max(o.payment_order_status) THEN min(o.payment_order_status) ELSE 'UNKNOWN' END AS status
				FROM ONLY payments.payment_order o WHERE o.order_id = v.order_id) p

		UNION ALL
		SELECT 56, 'orders whose accounts expired had no deposit when Toss was asked, twice',
			count(*),
			min(format('order "%s": %s answers say so, %s that it was paid', e.order_id, a.lapsed, a.approved))
				FILTER (WHERE a.lapsed < 2 OR a.approved > 0 OR v.expired_at IS NULL)
		FROM (SELECT DISTINCT order_id FROM ONLY payments.payment_order WHERE failure_code = 'DEPOSIT_EXPIRED') e
			LEFT JOIN ONLY payments.virtual_account v ON v.order_id = e.order_id
			CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE x.meaning = 'lapsed' AND x.action <> 'late') AS lapsed,
					count(*) FILTER (WHERE x.meaning = 'approved' AND x.received_at < v.expired_at) AS approved
				FROM ONLY payments.psp_answer x WHERE x.order_id = e.order_id) a

		UNION ALL
		SELECT 57, 'deposits and their reversals are in the ledger, as of when they happened',
			count(*),
			min(format('order "%s": movement %s of %s, ledger transaction "%s" of %s', m.order_id, m.movement_no, m.amount, m.ledger_key,
				coalesce(l.amount, 0)))
				FILTER (WHERE l.amount IS DISTINCT FROM CASE m.kind WHEN 'deposit' THEN m.amount ELSE - m.amount END
					OR l.effective_at <> m.effective_at OR l.order_id IS DISTINCT FROM m.order_id)
		FROM ONLY payments.deposit_movement m
			LEFT JOIN LATERAL (SELECT t.order_id, t.effective_at, sum(e.amount) AS amount
				FROM ONLY payments.ledger_transaction t
					JOIN ONLY payments.ledger_entry e ON e.transaction_id = t.id
					JOIN ONLY payments.ledger_account a ON a.id = e.account_id
				WHERE t.transaction_key = m.ledger_key AND a.code LIKE 'psp:%'
				GROUP BY t.id) l ON true

		UNION ALL
		SELECT 58, 'wallets gave back and got again what banks took back and buyers paid again',
			count(*),
			min(format('order "%s": movement %s is %s in the wallets', m.order_id, m.movement_no, coalesce(w.amount, 0)))
				FILTER (WHERE coalesce(w.amount, 0) <> CASE WHEN p.status <> 'SUCCESS' THEN 0 WHEN m.kind = 'deposit' THEN p.amount ELSE - p.amount END)
		FROM ONLY payments.deposit_movement m
			CROSS JOIN LATERAL (SELECT sum(o.amount - o.commission) AS amount, min(o.payment_order_status) AS status
				FROM ONLY payments.payment_order o WHERE o.order_id = m.order_id) p
			LEFT JOIN LATERAL (SELECT sum(x.amount) AS amount FROM ONLY payments.wallet_transaction x
				WHERE x.order_id = m.order_id AND x.deposit_no = m.movement_no) w ON true
		WHERE m.movement_no > 1 OR p.status <> 'SUCCESS'

		UNION ALL
		SELECT 59, 'accounts that refunds go to are there as long as they are needed',
			count(*),
			min(format('refund %s of order "%s": %s, %s', r.id, r.order_id, r.refund_status,
				CASE WHEN a.refund_id IS NULL THEN 'it has no account' ELSE 'it has an account' END))
				FILTER (WHERE (a.refund_id IS NOT NULL) <> (v.order_id IS NOT NULL AND r.refund_status NOT IN ('SUCCESS', 'FAILURE')))
		FROM ONLY payments.refund r
			LEFT JOIN ONLY payments.virtual_account v ON v.order_id = r.order_id AND v.issued_at <= r.created_at
			LEFT JOIN ONLY payments.refund_account a ON a.refund_id = r.id AND a.order_id = r.order_id

		UNION ALL
		SELECT 31, 'ledger transactions are what they were when they were sealed', s.checked, s.problem
		FROM payments.check_seals() s

		UNION ALL
		SELECT 32, 'orders that nobody confirmed ended as failed, at the time that they say',
			count(*),
			min(format('order "%s": %s, status %s', e.order_id, CASE WHEN e.abandoned_at IS NULL THEN 'nobody confirmed it, and it does not say when it ended'
					ELSE 'it says that nobody confirmed it' END, p.status))
				FILTER (WHERE (e.abandoned_at IS NOT NULL) <> (e.payment_key IS NULL AND p.status <> 'NOT_STARTED')
					OR e.abandoned_at IS NOT NULL AND p.status <> 'FAILURE')
		FROM ONLY payments.payment_event e
			JOIN (SELECT order_id, CASE WHEN min(payment_order_status) = max(payment_order_status)
					THEN min(payment_order_status) ELSE 'UNKNOWN' END AS status
				FROM ONLY payments.payment_order GROUP BY order_id) p ON p.order_id = e.order_id
		WHERE e.payment_key IS NULL OR e.abandoned_at IS NOT NULL

		UNION ALL
		SELECT 33, 'of the orders over the same lines one at most can still be paid, or is',
			count(*),
			coalesce(min(format('order "%s" is a retry of "%s", which is not there or names no newest one', r.order_id, r.retry_of))
					FILTER (WHERE f.retried_as IS NULL),
				min(format('order "%s" is over the lines of "%s" and is %s, and the newest of them is "%s"', p.order_id, f.order_id, p.status, f.retried_as))
					FILTER (WHERE p.status <> 'FAILURE'))
		FROM ONLY payments.payment_event r
			LEFT JOIN ONLY payments.payment_event f ON f.order_id = r.retry_of
			LEFT JOIN LATERAL (SELECT x.order_id, CASE WHEN min(x.payment_order_status) = max(x.payment_order_status)
					THEN min(x.payment_order_status) ELSE 'UNKNOWN' END AS status
				FROM ONLY payments.payment_order x
				WHERE x.order_id IN (r.order_id, f.order_id) AND x.order_id <> f.retried_as
				GROUP BY x.order_id) p ON true
		WHERE r.retry_of IS NOT NULL

		UNION ALL
		SELECT 40, 'refunds are the sums of their lines, which lie within one order',
			count(*),
			min(format('refund %s of "%s": %s, lines %s', r.id, r.order_id, r.amount, coalesce(l.amount, 0)))
				FILTER (WHERE r.amount IS DISTINCT FROM l.amount OR l.strangers)
		FROM ONLY payments.refund r
			LEFT JOIN (SELECT l.refund_id, sum(l.amount) AS amount,
					bool_or(o.order_id IS DISTINCT FROM l.order_id OR l.order_id IS DISTINCT FROM f.order_id) AS strangers
				FROM ONLY payments.refund_line l
					LEFT JOIN ONLY payments.payment_order o ON o.id = l.payment_order_id
					LEFT JOIN ONLY payments.refund f ON f.id = l.refund_id
				GROUP BY l.refund_id) l ON l.refund_id = r.id

		UNION ALL
		SELECT 41, 'payment orders count what refunds give back, and it is no more than was paid',
			count(*),
			min(format('payment order %s of "%s": %s and %s of %s, refunds %s and %s', o.id, o.order_id, o.refunded_amount, o.refunding_amount,
				o.amount, coalesce(l.done, 0), coalesce(l.open, 0)))
				FILTER (WHERE o.refunded_amount <> coalesce(l.done, 0) OR o.refunding_amount <> coalesce(l.open, 0)
					OR o.refunded_amount + o.refunding_amount > o.amount
					OR coalesce(l.commission, 0) NOT BETWEEN 0 AND o.commission
					OR o.refunded_amount + o.refunding_amount = o.amount AND coalesce(l.commission, 0) <> o.commission)
		FROM ONLY payments.payment_order o
			LEFT JOIN (SELECT l.payment_order_id, sum(l.amount) FILTER (WHERE r.refund_status = 'SUCCESS') AS done,
					sum(l.amount) FILTER (WHERE r.refund_status IN ('REQUESTED', 'EXECUTING', 'UNKNOWN')) AS open,
					sum(l.commission) FILTER (WHERE r.refund_status <> 'FAILURE') AS commission
				FROM ONLY payments.refund_line l JOIN ONLY payments.refund r ON r.id = l.refund_id
				GROUP BY l.payment_order_id) l ON l.payment_order_id = o.id

		UNION ALL
		SELECT 42, 'histories of refunds are continuous and end in the present state',
			count(*),
			min(format('refund %s of "%s"', r.id, r.order_id))
				FILTER (WHERE r.refund_status <> coalesce(h.last, 'REQUESTED') OR h.broken
					OR h.first <> CASE r.origin WHEN 'psp' THEN 'EXECUTING' ELSE 'REQUESTED' END::payments.refund_status)
		FROM ONLY payments.refund r
			LEFT JOIN (SELECT refund_id, (array_agg(to_status ORDER BY id DESC))[1] AS last,
					(array_agg(from_status ORDER BY id))[1] AS first, bool_or(from_status <> previous) AS broken
				FROM (SELECT refund_id, id, from_status, to_status,
						lag(to_status) OVER (PARTITION BY refund_id ORDER BY id) AS previous
					FROM ONLY payments.refund_history) s
				GROUP BY refund_id) h ON h.refund_id = r.id

		UNION ALL
		SELECT 43, 'a refund is booked, as the mirror image of its lines, exactly when it is done',
			count(*),
			min(format('refund %s of "%s": status %s, psp:toss %s, sellers %s, platform %s, wallets %s', r.id, r.order_id, r.refund_status,
				coalesce(t.psp, 0), coalesce(t.sellers, 0), coalesce(t.platform, 0), coalesce(w.amount, 0)))
				FILTER (WHERE (t.refund_key IS NOT NULL) <> (r.refund_status = 'SUCCESS')
					OR (w.refund_id IS NOT NULL) <> (r.refund_status = 'SUCCESS')
					OR r.refund_status = 'SUCCESS' AND (t.psp <> - r.amount OR coalesce(t.buyers, 0) <> 0 OR t.order_id <> r.order_id
						OR t.sellers <> l.net OR coalesce(t.platform, 0) <> l.commission OR w.amount <> - l.net))
		FROM ONLY payments.refund r
			LEFT JOIN (SELECT refund_id, sum(amount - commission) AS net, sum(commission) AS commission
				FROM ONLY payments.refund_line GROUP BY refund_id) l ON l.refund_id = r.id
			LEFT JOIN (SELECT t.transaction_key AS refund_key, min(t.order_id) AS order_id,
					sum(e.amount) FILTER (WHERE a.code LIKE 'psp:toss%') AS psp,
					sum(e.amount) FILTER (WHERE a.code LIKE 'buyer:%') AS buyers,
					sum(e.amount) FILTER (WHERE a.code LIKE 'seller:%') AS sellers,
					sum(e.amount) FILTER (WHERE a.code LIKE 'platform:commission%') AS platform
				FROM ONLY payments.ledger_transaction t
					JOIN ONLY payments.ledger_entry e ON e.transaction_id = t.id
					JOIN ONLY payments.ledger_account a ON a.id = e.account_id
				WHERE t.kind = 'payment.refunded'
				GROUP BY t.transaction_key) t ON t.refund_key = 'cancel:' || r.transaction_key
			LEFT JOIN (SELECT refund_id, sum(amount) AS amount FROM ONLY payments.wallet_transaction
				WHERE refund_id IS NOT NULL GROUP BY refund_id) w ON w.refund_id = r.id

		UNION ALL
		SELECT 44, 'every refund under way has an open call, and those behind it wait for it',
			count(*),
			min(format('refund %s of "%s": status %s', r.id, r.order_id, r.refund_status))
				FILTER (WHERE (r.refund_status IN ('EXECUTING', 'UNKNOWN')) <> (q.refund_id IS NOT NULL)
					OR r.refund_status = 'REQUESTED' AND NOT EXISTS (SELECT FROM ONLY payments.psp_call_queue o WHERE o.order_id = r.order_id))
		FROM ONLY payments.refund r
			LEFT JOIN (SELECT c.refund_id FROM ONLY payments.psp_call_queue q JOIN ONLY payments.psp_call c ON c.id = q.call_id
				WHERE c.refund_id IS NOT NULL) q ON q.refund_id = r.id

		UNION ALL
		SELECT 45, 'every refund that is done is proved, by an answer that shows it or by a person',
			count(*),
			min(format('refund %s of "%s"', r.id, r.order_id))
				FILTER (WHERE 1 <> CASE r.origin WHEN 'psp' THEN (SELECT count(*) FROM ONLY payments.psp_answer a
						WHERE a.order_id = r.order_id AND a.call_id = r.proof_call_id AND a.attempt_no = r.proof_attempt_no AND a.action <> 'late'
							AND a.payment_key = e.payment_key AND a.currency = e.currency AND a.amount = e.amount)
					ELSE (SELECT count(*) FROM ONLY payments.operator_action o
						WHERE o.refund_id = r.id AND o.outcome = 'succeeded' AND o.amount = r.amount AND o.transaction_key = r.transaction_key)
					+ (SELECT count(*) FROM ONLY payments.psp_call c
						JOIN ONLY payments.psp_answer a ON a.order_id = c.order_id AND a.call_id = c.id
					WHERE c.refund_id = r.id AND c.amount = r.amount AND a.action = 'refund' AND a.meaning = 'refunded'
						AND a.transaction_key = r.transaction_key AND a.payment_key = e.payment_key AND a.currency = e.currency
						AND a.amount = e.amount) END)
		FROM ONLY payments.refund r
			JOIN ONLY payments.payment_event e ON e.id = r.payment_event_id
		WHERE r.refund_status = 'SUCCESS'

		UNION ALL
		SELECT 46, 'wallets have reserved what open refunds will take',
			count(*),
			min(format('wallet of seller %s in %s: %s, open refunds %s', w.seller_id, w.currency, w.pending, coalesce(r.net, 0)))
				FILTER (WHERE w.pending <> coalesce(r.net, 0))
		FROM ONLY payments.wallet w
			LEFT JOIN (SELECT o.seller_id, r.currency, sum(l.amount - l.commission) AS net
				FROM ONLY payments.refund r
					JOIN ONLY payments.refund_line l ON l.refund_id = r.id
					JOIN ONLY payments.payment_order o ON o.id = l.payment_order_id
				WHERE r.refund_status IN ('REQUESTED', 'EXECUTING', 'UNKNOWN')
				GROUP BY o.seller_id, r.currency) r ON r.seller_id = w.seller_id AND r.currency = w.currency

		UNION ALL
		SELECT 47, 'every refund has told so, once',
			count(*),
			min(format('refund %s of "%s": status %s, %s requested, %s succeeded, %s recorded, %s failed', r.id, r.order_id, r.refund_status,
				coalesce(v.requested, 0), coalesce(v.succeeded, 0), coalesce(v.recorded, 0), coalesce(v.failed, 0)))
				FILTER (WHERE coalesce(v.requested, 0) <> CASE r.origin WHEN 'psp' THEN 0 ELSE 1 END
					OR coalesce(v.recorded, 0) <> CASE r.origin WHEN 'psp' THEN 1 ELSE 0 END
					OR coalesce(v.succeeded, 0) <> CASE WHEN r.refund_status = 'SUCCESS' AND r.origin <> 'psp' THEN 1 ELSE 0 END
					OR coalesce(v.failed, 0) <> CASE WHEN r.refund_status = 'FAILURE' THEN 1 ELSE 0 END)
		FROM ONLY payments.refund r
			LEFT JOIN (SELECT payload ->> 'refund_id' AS refund_id, count(*) FILTER (WHERE kind = 'refund.requested') AS requested,
					count(*) FILTER (WHERE kind = 'refund.succeeded') AS succeeded,
					count(*) FILTER (WHERE kind = 'refund.recorded') AS recorded,
					count(*) FILTER (WHERE kind = 'refund.failed') AS failed
				FROM ONLY payments.event WHERE kind IN ('refund.requested', 'refund.succeeded', 'refund.recorded', 'refund.failed')
				GROUP BY 1) v ON v.refund_id = r.id::text

		UNION ALL
		SELECT 48, 'orders to be claimed ended as their payments did, with their own refunds',
			count(*),
			min(format('order "%s": %s, status %s', coalesce(c.order_id, r.order_id), coalesce(c.claim_status, 'not to be claimed'), p.status))
				FILTER (WHERE c.order_id IS NULL OR (c.refund_id IS NOT NULL) <> (r.id IS NOT NULL)
					OR c.claim_status IN ('claimed', 'lapsed') AND p.status IS DISTINCT FROM 'SUCCESS'
					OR c.claim_status = 'void' AND p.status IS DISTINCT FROM 'FAILURE')
		FROM ONLY payments.payment_claim c
			FULL JOIN (SELECT id, order_id FROM ONLY payments.refund WHERE origin = 'claim') r ON r.id = c.refund_id AND r.order_id = c.order_id
			LEFT JOIN LATERAL (SELECT CASE WHEN min(o.payment_order_status) = max(o.payment_order_status)
					THEN min(o.payment_order_status) ELSE 'UNKNOWN' END AS status
				FROM ONLY payments.payment_order o WHERE o.order_id = coalesce(c.order_id, r.order_id)) p ON true

		UNION ALL
		SELECT 50, 'webhooks that are believed wait, or have an outcome, and no others do',
			count(*),
			min(format('webhook %s: %s, %s', w.id, w.verdict, CASE WHEN q.webhook_id IS NOT NULL AND o.webhook_id IS NOT NULL THEN 'waits, and has an outcome'
					WHEN q.webhook_id IS NOT NULL THEN 'waits' WHEN o.webhook_id IS NOT NULL THEN 'has an outcome' ELSE 'has no outcome, and does not wait' END))
				FILTER (WHERE (q.webhook_id IS NOT NULL)::integer + (o.webhook_id IS NOT NULL)::integer
					<> CASE WHEN w.verdict IN ('hint', 'proved', 'unverified') THEN 1 ELSE 0 END)
		FROM ONLY payments.webhook w
			LEFT JOIN ONLY payments.webhook_queue q ON q.webhook_id = w.id
			LEFT JOIN ONLY payments.webhook_outcome o ON o.webhook_id = w.id

		UNION ALL
		SELECT 51, 'looks at payments only ask, and are open or have ended once',
			count(*),
			min(format('look %s at order "%s"', c.id, c.order_id))
				FILTER (WHERE EXISTS (SELECT FROM ONLY payments.psp_attempt a WHERE a.call_id = c.id AND a.operation <> 'query')
					OR (SELECT count(*) FROM ONLY payments.psp_call_queue q WHERE q.call_id = c.id)
						+ (SELECT count(*) FROM ONLY payments.psp_answer a WHERE a.order_id = c.order_id AND a.call_id = c.id AND a.action IN ('learn', 'give up')) <> 1)
		FROM ONLY payments.psp_call c
		WHERE c.operation = 'look'
	) v
	ORDER BY v.n
	$$;
COMMENT ON FUNCTION payments.verify() IS
'Checks every invariant over the whole of the tables: one row each, with a counterexample where it does not hold';
