--
-- refund_sequences: a thousand refunds of all kinds, by amount and by line, that
-- end well or badly, one after the other (REFUND_ROUNDS=10000 in the environment:
-- so many; unit/refund_test.c does ten thousand of the arithmetic).  No sum is
-- ever off by one won, and what is given back to the last won leaves nothing.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set rounds 1000
\getenv rounds REFUND_ROUNDS

BEGIN;
SELECT setseed(0.5);
SELECT count(payments.set_seller(1610 + n, round(n / 37.0, 6))) FROM generate_series(1, 9) n;
SELECT count(payments.checkout(1611, (SELECT jsonb_agg(jsonb_build_object('seller_id', 1610 + 1 + (n + l) % 9, 'amount', 1 + (random() * 3000)::int))
	FROM generate_series(1, 1 + n % 5) l), order_id => 'refund-many-' || n)) FROM generate_series(1, 60) n;
SELECT count(payments.confirm(order_id, order_id, amount)) FROM payments.payment_event WHERE order_id LIKE 'refund-many-%';
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, outcome_unknown = true, epoch = 1,
	first_sent_at = clock_timestamp() - interval '1 hour' WHERE order_id LIKE 'refund-many-%';
SELECT count(payments.resolve(order_id, 'succeeded', 'seen', amount, order_id)) FROM payments.payment_event WHERE order_id LIKE 'refund-many-%';

-- the call of an order ends: sent, answered by nobody, and seen by a person
CREATE PROCEDURE pg_temp.end_call(o text, succeeds boolean) LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	SELECT f.id, f.amount, q.call_id INTO r FROM payments.psp_call_queue q JOIN payments.psp_call c ON c.id = q.call_id
		JOIN payments.refund f ON f.id = c.refund_id WHERE q.order_id = o;
	IF NOT FOUND THEN RETURN; END IF;
	INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at) VALUES (r.call_id, 1, o, 'cancel', 1, now());
	UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, epoch = 1, first_sent_at = now() - interval '1 hour' WHERE order_id = o;
	IF succeeds THEN
		PERFORM payments.resolve_refund(o, r.id, 'succeeded', 'seen', r.amount, 'tx_many_' || r.id);
	ELSE
		PERFORM payments.resolve_refund(o, r.id, 'failed', 'not there');
	END IF;
	-- nobody is going to look whether that is so
	DELETE FROM payments.psp_call_queue q USING payments.psp_call c WHERE c.id = q.call_id AND q.order_id = o AND c.operation = 'look';
END $$;

CREATE PROCEDURE pg_temp.many(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	o record;
	no int;
	took int := 0;
	refused int := 0;
BEGIN
	FOR n IN 1 .. rounds LOOP
		no := 1 + (random() * 59)::int;
		SELECT e.order_id, e.amount, (SELECT id FROM payments.payment_order WHERE order_id = e.order_id ORDER BY random() LIMIT 1) AS line
			INTO o FROM payments.payment_event e WHERE e.order_id = 'refund-many-' || no;
		IF n % 2 = 0 THEN CALL pg_temp.end_call(o.order_id, random() < 0.6); END IF;
		BEGIN
			PERFORM payments.refund(o.order_id, 'x', CASE WHEN random() < 0.95 THEN 1 + (random() * o.amount / 12)::int END,
				CASE WHEN random() < 0.3 THEN o.line END);
			took := took + 1;
		EXCEPTION WHEN SQLSTATE 'PY032' THEN
			refused := refused + 1;
		END;
	END LOOP;
	RAISE NOTICE 'refunds were taken: %, and refused: %', took > rounds / 5, refused > rounds / 20;
END $$;
CALL pg_temp.many(:rounds);

-- on the way every sum is right
CREATE VIEW pg_temp.sums AS SELECT e.order_id, e.amount AS paid,
		(SELECT coalesce(sum(amount), 0) FROM payments.refund r WHERE r.order_id = e.order_id AND refund_status = 'SUCCESS') AS refunded,
		(SELECT sum(l.amount) FROM payments.ledger_transaction t JOIN payments.ledger_entry l ON l.transaction_id = t.id
			JOIN payments.ledger_account a ON a.id = l.account_id WHERE t.order_id = e.order_id AND a.code = 'psp:toss') AS with_the_psp,
		(SELECT - sum(l.amount) FROM payments.ledger_transaction t JOIN payments.ledger_entry l ON l.transaction_id = t.id
			JOIN payments.ledger_account a ON a.id = l.account_id WHERE t.order_id = e.order_id AND a.code = 'platform:commission') AS commission,
		(SELECT sum(amount) FROM payments.wallet_transaction w WHERE w.order_id = e.order_id) AS with_the_sellers
	FROM payments.payment_event e WHERE e.order_id LIKE 'refund-many-%';
SELECT bool_and(with_the_psp = paid - refunded) AS psp, bool_and(coalesce(commission, 0) + with_the_sellers = paid - refunded) AS sellers_and_platform,
	bool_or(refunded > 0 AND refunded < paid) AS some_in_part FROM pg_temp.sums;
SELECT invariant, holds FROM payments.verify() WHERE invariant ~ 'refund|wallets|ledger' AND NOT holds;

-- to the last won
DO $$
DECLARE
	o text;
BEGIN
	FOR o IN SELECT order_id FROM payments.payment_event WHERE order_id LIKE 'refund-many-%' LOOP
		WHILE EXISTS (SELECT FROM payments.psp_call_queue WHERE order_id = o) LOOP
			CALL pg_temp.end_call(o, random() < 0.5);
		END LOOP;
		BEGIN
			PERFORM payments.refund(o, 'the rest');
			CALL pg_temp.end_call(o, true);
		EXCEPTION WHEN SQLSTATE 'PY032' THEN NULL;
		END;
	END LOOP;
END $$;
SELECT count(*) AS orders, sum(paid - refunded) AS kept, sum(with_the_psp) AS psp, sum(commission) AS commission, sum(with_the_sellers) AS sellers FROM pg_temp.sums;
SELECT count(*) FILTER (WHERE refunded_amount = amount AND refunding_amount = 0) AS lines_given_back, count(*) AS lines FROM payments.payment_order
	WHERE order_id LIKE 'refund-many-%';
SELECT count(*) AS wallets, min(balance), max(balance), max(pending) FROM payments.wallet WHERE seller_id BETWEEN 1611 AND 1619;
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds AND invariant !~ '^looks';
ROLLBACK;
