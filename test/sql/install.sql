--
-- CREATE EXTENSION: into a schema of its own, and nowhere else.  Runs first, and
-- makes the helpers that the other tests use (schema test).
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- a schema that somebody made first is not adopted
CREATE SCHEMA payments;
CREATE EXTENSION payments;  -- fails
DROP SCHEMA payments;
CREATE EXTENSION payments SCHEMA public;  -- fails

CREATE EXTENSION payments;
SELECT payments.version() = extversion AS library_is_the_script_s
	FROM pg_extension WHERE extname = 'payments';
SELECT code, minor_units FROM payments.currency ORDER BY code;
SELECT count(*) AS merchants FROM payments.merchant;
SELECT count(*) AS broken FROM payments.verify() WHERE NOT holds;
SELECT count(*) AS workers FROM payments.worker_status
	WHERE database = current_database();

ALTER EXTENSION payments SET SCHEMA public;  -- fails
CREATE EXTENSION payments;  -- fails
CREATE EXTENSION IF NOT EXISTS payments;

--
-- Helpers.  Everybody may use them.
--
CREATE SCHEMA test;
GRANT USAGE ON SCHEMA test TO PUBLIC;

-- Run a statement; what came of it, as one row.  A failed one leaves no trace.
CREATE FUNCTION test.try(statement text,
	OUT code text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	code := '00000';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
END
$$;

-- Every row of every table of the extension, with its place and its writer:
-- two images are equal only if nothing at all was written between them.
CREATE FUNCTION test.image() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result text := '';
	one text;
	name regclass;
BEGIN
	FOR name IN SELECT c.oid FROM pg_class c
		WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
		ORDER BY relname
	LOOP
		EXECUTE format('SELECT string_agg(concat_ws('' '', ctid, xmin, t), ''|'''
			' ORDER BY ctid) FROM %s t', name) INTO one;
		result := result || name::text || ':' || coalesce(one, '');
	END LOOP;
	RETURN md5(result);
END
$$;

-- Wait until no transaction is running that could hold back the feed: it waits
-- for those of other databases too, and autovacuum has some.
CREATE FUNCTION test.calm() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..1000 LOOP
		EXIT WHEN pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot());
		PERFORM pg_sleep(0.01);
	END LOOP;
END
$$;

-- The state of an order in one line, without ids and times.
CREATE FUNCTION test.order_line(for_order text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT concat_ws(', ', p.status, coalesce(p.payment_key, 'no key'),
		CASE WHEN p.is_payment_done THEN 'done' END,
		(SELECT count(*) FROM payments.psp_call c WHERE c.order_id = p.order_id) || ' calls',
		(SELECT count(*) FROM payments.psp_call_queue q WHERE q.order_id = p.order_id) || ' open',
		(SELECT count(*) FROM payments.payment_order_history h WHERE h.order_id = p.order_id) || ' in history',
		(SELECT string_agg(kind, ' ' ORDER BY id) FROM payments.event e WHERE e.order_id = p.order_id))
	FROM payments.payment p WHERE p.order_id = for_order
$$;

-- What the worker does when the PSP has approved an order, in plain SQL.
CREATE FUNCTION test.settle(for_order text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	paid payments.payment_event;
	call payments.psp_call;
	line payments.payment_order;
	tx bigint := nextval('payments.ledger_transaction_id_seq');
	n int := 0;
	entries int;
	entry record;
BEGIN
	SELECT * INTO STRICT paid FROM payments.payment_event e WHERE order_id = for_order FOR NO KEY UPDATE;
	SELECT c.* INTO STRICT call FROM payments.psp_call c
		JOIN payments.psp_call_queue q ON q.call_id = c.id WHERE q.order_id = for_order;

	-- sent and answered
	INSERT INTO payments.psp_attempt VALUES (call.id, 1, for_order, 'confirm', 1, clock_timestamp());
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, http_status,
			meaning, suspect, action, payment_key, psp_order_id, currency, amount, psp_status,
			body_size, received_at)
		VALUES (call.id, 1, for_order, 'confirm', 'answered', 200, 'approved', false, 'succeed',
			paid.payment_key, for_order, paid.currency, paid.amount, 'DONE', 2, clock_timestamp());

	-- the ledger
	CREATE TEMP TABLE movement (n int GENERATED ALWAYS AS IDENTITY, code text, kind text, amount numeric)
		ON COMMIT DROP;
	INSERT INTO pg_temp.movement (code, kind, amount) VALUES
		('psp:toss', 'asset', paid.amount), ('buyer:' || paid.buyer_id, 'liability', - paid.amount);
	FOR line IN SELECT * FROM payments.payment_order o WHERE o.order_id = for_order ORDER BY line_no LOOP
		INSERT INTO pg_temp.movement (code, kind, amount) VALUES
			('buyer:' || line.buyer_id, 'liability', line.amount),
			('seller:' || line.seller_id, 'liability', - line.amount);
		IF line.commission > 0 THEN
			INSERT INTO pg_temp.movement (code, kind, amount) VALUES
				('seller:' || line.seller_id, 'liability', line.commission),
				('platform:commission', 'revenue', - line.commission);
		END IF;
	END LOOP;
	UPDATE pg_temp.movement SET code = code || ':' || paid.currency WHERE paid.currency <> 'KRW';
	INSERT INTO payments.ledger_account (id, code, kind, currency, created_at)
		SELECT nextval('payments.ledger_account_id_seq'), m.code, m.kind, paid.currency, now()
		FROM (SELECT DISTINCT code, kind FROM pg_temp.movement) m
		ON CONFLICT (code) DO NOTHING;
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, order_id, effective_at, recorded_at)
		VALUES (tx, 'payment:' || for_order, 'payment.captured', for_order, now(), now());
	SELECT count(*) INTO entries FROM pg_temp.movement;
	INSERT INTO payments.ledger_entry
		SELECT tx, a.id, m.n, entries, paid.currency, m.amount, for_order
		FROM pg_temp.movement m JOIN payments.ledger_account a ON a.code = m.code;
	INSERT INTO payments.ledger_balance AS b (account_id, stripe, stripes, state, held, balance)
		SELECT a.id, 0, 1, 'o', 0, sum(m.amount)
		FROM pg_temp.movement m JOIN payments.ledger_account a ON a.code = m.code GROUP BY a.id
		ON CONFLICT ON CONSTRAINT ledger_balance_pkey DO UPDATE SET balance = b.balance + EXCLUDED.balance;
	DROP TABLE pg_temp.movement;

	-- the wallets
	INSERT INTO payments.wallet AS w (seller_id, currency, balance, version, updated_at)
		SELECT o.seller_id, paid.currency, sum(o.amount - o.commission), 1, now()
		FROM payments.payment_order o WHERE o.order_id = for_order GROUP BY o.seller_id
		ON CONFLICT ON CONSTRAINT wallet_pkey DO UPDATE
		SET balance = w.balance + EXCLUDED.balance, version = w.version + 1;
	INSERT INTO payments.wallet_transaction
		SELECT nextval('payments.wallet_transaction_id_seq'), o.seller_id, paid.currency, k.kind, k.amount,
			for_order, o.id, now()
		FROM payments.payment_order o
			CROSS JOIN LATERAL (VALUES ('sale', o.amount), ('commission', - o.commission)) k (kind, amount)
		WHERE o.order_id = for_order AND k.amount <> 0;

	-- the outbox, the order, the queue
	INSERT INTO payments.cluster SELECT 1, (SELECT system_identifier FROM pg_control_system()), now()
		WHERE NOT EXISTS (SELECT FROM payments.cluster);
	INSERT INTO payments.event
		SELECT nextval('payments.event_id_seq'), 'payment.confirmed', for_order, '{}', now(),
			max(generation), pg_current_xact_id() FROM payments.cluster;
	UPDATE payments.payment_order o SET payment_order_status = 'SUCCESS', status_reason = 'confirm: approved',
		ledger_updated = true, wallet_updated = true WHERE o.order_id = for_order;
	DELETE FROM payments.psp_call_queue q WHERE q.order_id = for_order;
END
$$;
REVOKE ALL ON FUNCTION test.settle(text) FROM PUBLIC;

-- a merchant for everybody
SELECT payments.set_merchant('default', 'test_gck_regress');
