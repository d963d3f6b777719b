--
-- verify: for each way to break the books, the invariant that is broken says so
-- with a counterexample, and no other does.  (That it holds after all that the
-- other tests have done, is verify_all's.  This one looks two hundred times, so it
-- comes before those that fill the books.)
--
-- To break them takes force: the guards are put to sleep in the catalogue.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT payments.set_seller(1401, 0.1);
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 1000}, {"seller_id": 1402, "amount": 500},
	{"seller_id": 1401, "amount": 30}]', order_id => 'verify-paid');
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 19.90}]', order_id => 'verify-usd', currency => 'USD');
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 7}]', order_id => 'verify-open');
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 8}, {"seller_id": 1401, "amount": 9}]', order_id => 'verify-failed');
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 6}]', order_id => 'verify-new');
SELECT payments.confirm('verify-paid', 'pay_verify_1', 1530), payments.confirm('verify-usd', 'pay_verify_2', 19.90),
	payments.confirm('verify-open', 'pay_verify_3', 7), payments.fail('verify-failed', 'CODE', 'message');
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 5}]', order_id => 'verify-expired');
SELECT payments.fail('verify-expired', 'EXPIRED_UNSENT', 'as if by the worker');
SELECT test.settle('verify-paid'), test.settle('verify-usd');
-- one into an account, and an account that nobody paid into
INSERT INTO payments.virtual_account VALUES ('verify-usd', '20', 'X1', now(), now());
INSERT INTO payments.deposit_movement SELECT order_id, 1, 'deposit', 19.90, transaction_key, 'tx', NULL, NULL, effective_at, now()
	FROM payments.ledger_transaction WHERE order_id = 'verify-usd';
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 4}]', order_id => 'verify-closed');
SELECT payments.fail('verify-closed', 'DEPOSIT_EXPIRED', 'as if by the worker');
INSERT INTO payments.virtual_account VALUES ('verify-closed', '20', 'X2', now(), now(), now());
INSERT INTO payments.psp_call SELECT -55, order_id, id, merchant, 'confirm', 'pay_verify_5', 'KRW', 4, 'verify-closed-key-0', '{}', NULL, now()
	FROM payments.payment_event WHERE order_id = 'verify-closed';
INSERT INTO payments.psp_attempt SELECT -55, n, 'verify-closed', 'query', 1, now() FROM generate_series(1, 2) n;
INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
	SELECT -55, n, 'verify-closed', 'query', 'answered', 'lapsed', false, CASE n WHEN 1 THEN 'query' ELSE 'fail' END, 0, now() FROM generate_series(1, 2) n;
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1401, "amount": 77}]', order_id => 'verify-resolved');
SELECT payments.confirm('verify-resolved', 'pay_verify_4', 77);
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = now() WHERE order_id = 'verify-resolved';
SELECT payments.resolve('verify-resolved', 'succeeded', 'note', 77, 'pay_verify_4');
-- refunds: one that a person saw, and one that is open; and a claim
SELECT payments.set_seller(1407, 0.1);
SELECT amount FROM payments.checkout(1400, '[{"seller_id": 1407, "amount": 1000}]', order_id => 'verify-refund');
SELECT payments.confirm('verify-refund', 'pay_verify_5', 1000, claim_within => '1 hour');
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = now() WHERE order_id = 'verify-refund';
SELECT payments.resolve('verify-refund', 'succeeded', 'note', 1000, 'pay_verify_5');
SELECT payments.claim('verify-refund');
SELECT payments.refund('verify-refund', 'x', 300) > 0 AS refund, payments.refund('verify-refund', 'x', 50) > 0 AS other;
INSERT INTO payments.psp_attempt (call_id, attempt_no, order_id, operation, epoch, claimed_at)
	SELECT call_id, 1, order_id, 'cancel', 1, now() FROM payments.psp_call_queue WHERE order_id = 'verify-refund';
UPDATE payments.psp_call_queue SET state = 'D', attempt_no = 1, first_sent_at = now() WHERE order_id = 'verify-refund';
SELECT payments.resolve_refund('verify-refund', id, 'succeeded', 'note', 300, 'tx_verify') FROM payments.refund
	WHERE order_id = 'verify-refund' AND amount = 300;
SELECT payments.post('verify-post', 'test', '[{"account": "asset:verify", "amount": 5}, {"account": "revenue:verify", "amount": -5},
	{"account": "asset:verify", "amount": 3}, {"account": "revenue:verify", "amount": -3}]') > 0 AS posted;
SELECT payments.reverse(payments.post_entries('verify-reversed', 'test', '{asset:verify,revenue:verify}', '{50,-50}'), 'in part',
	'[{"account": "revenue:verify", "amount": 20}, {"account": "asset:verify", "amount": -20}]') > 0 AS reversed;
SELECT payments.open_account('verify_wallet:1', 'liability', floor => 0, ceiling => 100) > 0 AS opened,
	payments.open_account('verify_hot:1', 'asset', stripes => 4) > 0 AS opened;
SELECT payments.post('verify-wallet', 'test', '[{"account": "verify_hot:1", "amount": 55}, {"account": "verify_wallet:1", "amount": -55}]') > 0 AS posted;
SELECT count(payments.hold('verify:' || k, 'verify_wallet:1', 7)) FROM unnest(ARRAY['open', 'posted', 'voided']) k;
SELECT payments.post_hold(id, 'test', '[{"account": "verify_wallet:1", "amount": 5}, {"account": "verify_hot:1", "amount": -5}]') > 0 AS posted
	FROM payments.holds WHERE hold_key = 'verify:posted';
SELECT payments.void_hold(id, 'why') FROM payments.holds WHERE hold_key = 'verify:voided';
-- not on the stripe of whatever process this is
UPDATE payments.ledger_balance SET balance = CASE stripe WHEN 0 THEN 50 ELSE 0 END
	WHERE account_id = (SELECT id FROM payments.ledger_account WHERE code = 'verify_hot:1');
SELECT payments.freeze_account('verify_wallet:1', 'why');

-- one in ten is late by days: strays, in snapshots
SELECT count(payments.post('verify-many:' || m, 'test', '[{"account": "asset:verify_many", "amount": 1}, {"account": "revenue:verify_many", "amount": -1}]',
	effective_at => now() - (CASE WHEN m % 10 = 0 THEN m ELSE 0 END) * interval '1 day')) FROM generate_series(1, 200) m;
-- and none is
SELECT count(payments.post('verify-even:' || m, 'test', '[{"account": "asset:verify_even", "amount": 1}, {"account": "revenue:verify_even", "amount": -1}]'))
	FROM generate_series(1, 140) m;
DO $$
BEGIN
	WHILE (SELECT done_id < s.last_value FROM payments.ledger_horizon, payments.ledger_transaction_id_seq s) LOOP
		PERFORM payments.write_snapshots(), payments.seal_ledger(100000);
		COMMIT;
	END LOOP;
END $$;

-- the books are right
SELECT invariant, holds, checked > 0 AS has_looked, counterexample FROM payments.verify();

--
-- Break them, look, and forget it
--
CREATE FUNCTION pg_temp.broken_by(statements text, asleep boolean DEFAULT true,
	OUT invariant text, OUT counterexample text) RETURNS SETOF record
LANGUAGE plpgsql AS $$
DECLARE
	found jsonb;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		CREATE TEMP TABLE states ON COMMIT DROP AS SELECT t.oid, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
			WHERE asleep AND relnamespace = 'payments'::regnamespace;
		UPDATE pg_trigger t SET tgenabled = 'D' FROM pg_temp.states s WHERE s.oid = t.oid;
		-- make this session notice
		UPDATE pg_class SET relname = relname WHERE relnamespace = 'payments'::regnamespace;
		EXECUTE statements;
		UPDATE pg_trigger t SET tgenabled = s.tgenabled FROM pg_temp.states s WHERE s.oid = t.oid;
		SELECT jsonb_agg(jsonb_build_array(v.invariant, v.counterexample)) INTO found FROM payments.verify() v
			WHERE NOT v.holds OR v.counterexample IS NOT NULL;
		RAISE EXCEPTION 'forget it' USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN NULL;
	END;
	RETURN QUERY SELECT f ->> 0, regexp_replace(regexp_replace(regexp_replace(f ->> 1, '(payment order|transaction|call|hold|refund) [0-9]+', '\1 n', 'g'),
			'^(changed [^:]*):.*', '\1'), '^seal .*(digest|sealed).*', 'seal: \1')
		FROM jsonb_array_elements(coalesce(found, '[["nothing was noticed", null]]')) f;
END $$;

-- nothing broken, nothing found: the method itself is harmless
SELECT * FROM pg_temp.broken_by('SELECT 1');

-- 1: an entry changed (and its balance with it), entries gone, their number changed, another currency
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_entry SET amount = 6 WHERE amount = 5 AND transaction_id =
		(SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post');
	UPDATE payments.ledger_balance SET balance = balance + 1 WHERE account_id =
		(SELECT id FROM payments.ledger_account WHERE code = 'asset:verify')$$);
SELECT * FROM pg_temp.broken_by($$
	DELETE FROM payments.ledger_entry WHERE entry_no > 2 AND transaction_id =
		(SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post');
	UPDATE payments.ledger_balance SET balance = balance - 3 * sign(balance) WHERE account_id IN
		(SELECT id FROM payments.ledger_account WHERE code ~ ':verify$')$$);
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_entry SET entry_count = 5 WHERE entry_no = 1 AND transaction_id =
		(SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post')$$);
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_entry SET currency = 'USD' WHERE entry_no = 1 AND transaction_id =
		(SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post')$$);
-- 2: a header without entries
SELECT * FROM pg_temp.broken_by($$
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
		VALUES (-1, 'verify-empty', 'test', now(), now())$$);
-- 25: entries of another currency than their account, of no transaction, of no account
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_entry SET currency = 'USD' WHERE transaction_id =
		(SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post')$$);
SELECT * FROM pg_temp.broken_by($$
	INSERT INTO payments.ledger_entry SELECT -1, id, n, 2, 'KRW', 3 - 2 * n FROM payments.ledger_account, generate_series(1, 2) n
		WHERE code = 'asset:verify'$$);
SELECT * FROM pg_temp.broken_by($$
	INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
		VALUES (-1, 'verify-nobody', 'test', now(), now());
	INSERT INTO payments.ledger_entry SELECT -1, -1, n, 2, 'KRW', 3 - 2 * n FROM generate_series(1, 2) n$$);
-- 3: a balance that is not the sum, one that is gone
SELECT * FROM pg_temp.broken_by($$UPDATE payments.ledger_balance SET balance = balance + 1 WHERE account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'asset:verify')$$);
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_balance WHERE account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'revenue:verify')$$);
-- 4: a wallet whose journal says otherwise
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.wallet_transaction
	VALUES (-1, 1402, 'KRW', 'sale', 5, '', NULL, now())$$);
-- 5: wallet and journal agree, but nobody owes it; a wallet that is not there
SELECT * FROM pg_temp.broken_by($$
	INSERT INTO payments.wallet_transaction VALUES (-1, 1402, 'KRW', 'sale', 5, '', NULL, now());
	UPDATE payments.wallet SET balance = balance + 5 WHERE seller_id = 1402$$);
SELECT * FROM pg_temp.broken_by($$
	INSERT INTO payments.wallet VALUES (1403, 'KRW', 5, 0, 1, now());
	INSERT INTO payments.wallet_transaction VALUES (-1, 1403, 'KRW', 'sale', 5, '', NULL, now())$$);
-- 6: money of one line in the journal of the other, the ledger's proof gone, a flag without anything behind it
-- (all lines are wrong; which of them it shows depends on how many digits their ids have)
SELECT invariant, regexp_replace(counterexample, '[0-9]+ in the wallet', 'n in the wallet') AS counterexample FROM pg_temp.broken_by($$
	UPDATE payments.wallet_transaction SET amount = amount + CASE amount WHEN 1000 THEN 1 ELSE -1 END
		WHERE order_id = 'verify-paid' AND kind = 'sale' AND seller_id = 1401$$);
SELECT invariant, regexp_replace(counterexample, '[0-9]+ in the wallet', 'n in the wallet') AS counterexample
	FROM pg_temp.broken_by($$UPDATE payments.ledger_transaction SET kind = 'payment.lost' WHERE order_id = 'verify-paid'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.wallet_transaction SET payment_order_id = NULL WHERE order_id = 'verify-usd'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.wallet_transaction SET order_id = 'verify-paid' WHERE order_id = 'verify-usd' AND kind = 'sale'$$);
-- 7: a total that is not the sum
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET amount = 5 WHERE order_id = 'verify-new'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_order SET amount = 60000 WHERE order_id = 'verify-new'$$);
-- 8: done too early, and told so; not done although it is
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.payment_event SET is_payment_done = true WHERE order_id = 'verify-open';
	INSERT INTO payments.event SELECT -1, 'payment.completed', 'verify-open', '{}', now(), 1, '1'$$);
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.payment_event SET is_payment_done = false WHERE order_id = 'verify-paid';
	DELETE FROM payments.event WHERE order_id = 'verify-paid' AND kind = 'payment.completed'$$);
-- 9: history lost, history forged, a state without history
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.payment_order_history WHERE order_id = 'verify-open'$$);
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.payment_order_history WHERE order_id = 'verify-usd' AND to_status = 'EXECUTING'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_order_history SET order_id = 'verify-paid' WHERE order_id = 'verify-usd' AND to_status = 'EXECUTING'$$);
SELECT * FROM pg_temp.broken_by($$
	INSERT INTO payments.payment_order_history SELECT -1, order_id, id, 'UNKNOWN', 'NOT_STARTED', NULL, 'me', now()
		FROM payments.payment_order WHERE order_id = 'verify-new'$$);
-- 10: two approvals
SELECT * FROM pg_temp.broken_by($$
	UPDATE pg_index SET indisunique = false WHERE indexrelid = 'payments.psp_answer_one_approval'::regclass;
	INSERT INTO payments.psp_attempt SELECT call_id, 2, order_id, operation, epoch, claimed_at
		FROM payments.psp_attempt WHERE order_id = 'verify-paid';
	INSERT INTO payments.psp_answer SELECT (jsonb_populate_record(a, '{"attempt_no": 2}')).*
		FROM payments.psp_answer a WHERE order_id = 'verify-paid'$$);
-- 11: success without proof of key, order, currency, amount, meaning, or at all
SELECT x.change, b.* FROM unnest(ARRAY['payment_key = ''pay_verify_2''', 'psp_order_id = ''verify-usd''', 'currency = ''USD''',
		'amount = 1529', 'amount = NULL', 'meaning = ''waiting''']) WITH ORDINALITY x (change, n),
	pg_temp.broken_by(format('UPDATE payments.psp_answer SET %s WHERE order_id = ''verify-paid''', change)) b ORDER BY n;
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.psp_answer WHERE order_id = 'verify-paid'$$);
SELECT x.change, b.* FROM unnest(ARRAY['payment_key = ''pay_verify_1''', 'currency = ''USD''', 'amount = 78']) WITH ORDINALITY x (change, n),
	pg_temp.broken_by(format('UPDATE payments.operator_action SET %s WHERE order_id = ''verify-resolved''', change)) b ORDER BY n;
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.operator_action WHERE order_id = 'verify-resolved'$$);
-- 12: nobody works on it; somebody works on what is over
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.psp_call_queue WHERE order_id = 'verify-open'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at)
	SELECT id, order_id, 1, now() FROM payments.psp_call WHERE order_id = 'verify-paid'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_call_queue (call_id, order_id, merchant_id, due_at)
	SELECT id, 'verify-new', 1, now() FROM payments.psp_call WHERE order_id = 'verify-paid'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_call_deposit (call_id, order_id, merchant_id, attempt_no, due_at)
	SELECT id, order_id, 1, 1, now() FROM payments.psp_call WHERE order_id = 'verify-open'$$);
-- 28: a merchant that the call is not of, or that is none
SELECT * FROM pg_temp.broken_by($$UPDATE payments.psp_call_queue SET merchant_id = 9 WHERE order_id = 'verify-open'$$);
-- 13: an answer to what was never sent, or was sent later, or for another order
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.psp_attempt WHERE order_id = 'verify-paid'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.psp_attempt SET claimed_at = now() + interval '1 day' WHERE order_id = 'verify-paid'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.psp_attempt SET order_id = 'verify-usd' WHERE order_id = 'verify-paid'$$);
-- 14: half a won, a currency that nobody knows
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.payment_event SET amount = 6.5 WHERE order_id = 'verify-new';
	UPDATE payments.payment_order SET amount = 6.5 WHERE order_id = 'verify-new'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET currency = 'XXX' WHERE order_id = 'verify-new'$$);
-- 15: told twice, never, or what is not so
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.event WHERE order_id = 'verify-failed'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.event SELECT -1, kind, order_id, payload, now(), 1, '1'
	FROM payments.event WHERE order_id = 'verify-paid' AND kind = 'payment.confirmed'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.event SELECT -1, 'payment.confirmed', 'verify-open', '{}', now(), 1, '1'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.event SELECT -1, 'payment.failed', 'verify-paid', '{}', now(), 1, '1'$$);
-- 16: another node's numbers (more of it in set_node)
SELECT * FROM pg_temp.broken_by($$ALTER SEQUENCE payments.event_id_seq INCREMENT BY 2$$);
-- 17: a guard that sleeps, one that does not bind a replication role, one that is gone
SELECT * FROM pg_temp.broken_by($$UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'payment_order_guard'$$, false);
SELECT * FROM pg_temp.broken_by($$UPDATE pg_trigger SET tgenabled = 'O' WHERE tgname = 'ledger_entry_forbid_change'$$, false);
SELECT * FROM pg_temp.broken_by($$DELETE FROM pg_trigger WHERE tgname = 'ledger_entry_zero_sum'$$, false);
-- 18: more is taken back than there was, by both; on the same side; from another account
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_transaction SET reverses_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post')
		WHERE reverses_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-reversed')$$);
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_transaction SET reverses_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-post')
		WHERE reverses_id IS NULL AND transaction_key = 'verify-reversed'$$);
SELECT * FROM pg_temp.broken_by($$
	UPDATE payments.ledger_transaction SET reverses_id = (SELECT id FROM payments.ledger_transaction WHERE order_id = 'verify-usd' AND kind = 'payment.captured')
		WHERE reverses_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = 'verify-reversed')$$);
-- 19: rows that say another thing than the last event; a stripe that is gone; a state that nobody ordered
SELECT x.change, b.* FROM unnest(ARRAY['state = ''o''', 'floor = NULL', 'floor = 1', 'ceiling = 101']) WITH ORDINALITY x (change, n),
	pg_temp.broken_by(format('UPDATE payments.ledger_balance SET %s WHERE account_id =
		(SELECT id FROM payments.ledger_account WHERE code = ''verify_wallet:1'')', change)) b ORDER BY n;
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_balance WHERE stripe = 3 AND account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'verify_hot:1')$$);
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_balance WHERE account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'verify_hot:1')$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.ledger_balance SET state = 'f' WHERE stripe = 2 AND account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'verify_hot:1')$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.ledger_balance SET state = 'c' WHERE account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'asset:verify')$$);
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_account_event WHERE event = 'frozen' AND account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'verify_wallet:1')$$);
-- 20: more is held than the holds say, or less
SELECT * FROM pg_temp.broken_by($$UPDATE payments.ledger_balance SET held = 8 WHERE account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'verify_wallet:1')$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.ledger_balance SET held = 2 WHERE account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'asset:verify')$$);
-- 21: below the floor by the balance, by what is held; above the ceiling
SELECT x.change, b.* FROM unnest(ARRAY['floor = 51', 'floor = 44', 'ceiling = 49']) WITH ORDINALITY x (change, n),
	pg_temp.broken_by(format('UPDATE payments.ledger_balance SET %s WHERE account_id =
			(SELECT id FROM payments.ledger_account WHERE code = ''verify_wallet:1'');
		UPDATE payments.ledger_account_event SET %s WHERE event = ''frozen'' AND account_id =
			(SELECT id FROM payments.ledger_account WHERE code = ''verify_wallet:1'')', change, change)) b ORDER BY n;
-- 22: no end and not open; open and ended; open as something else; posted without its transaction, for more, for less
SELECT x.statement, b.* FROM unnest(ARRAY[
		'DELETE FROM payments.ledger_hold_open',
		'INSERT INTO payments.ledger_hold_open SELECT id, account_id, amount, expires_at FROM payments.ledger_hold WHERE hold_key = ''verify:posted''',
		'UPDATE payments.ledger_hold_open SET amount = amount + 1',
		'UPDATE payments.ledger_hold_open SET account_id = (SELECT id FROM payments.ledger_account WHERE code = ''asset:verify'')',
		'UPDATE payments.ledger_hold_open SET expires_at = now()',
		'UPDATE payments.ledger_hold_end SET transaction_id = (SELECT id FROM payments.ledger_transaction WHERE transaction_key = ''verify-post'') WHERE outcome = ''posted''
			AND hold_id = (SELECT id FROM payments.ledger_hold WHERE hold_key = ''verify:posted'')',
		'UPDATE payments.ledger_hold_end SET transaction_id = -1 WHERE hold_id = (SELECT id FROM payments.ledger_hold WHERE hold_key = ''verify:posted'')',
		'UPDATE payments.ledger_hold_end SET amount = 4 WHERE hold_id = (SELECT id FROM payments.ledger_hold WHERE hold_key = ''verify:posted'')',
		'UPDATE payments.ledger_hold SET amount = 4 WHERE hold_key = ''verify:posted''']) WITH ORDINALITY x (statement, n),
	pg_temp.broken_by(x.statement || CASE WHEN x.statement ~ 'ledger_hold_open' AND x.statement !~ 'INSERT'
		THEN ' WHERE hold_id = (SELECT id FROM payments.ledger_hold WHERE hold_key = ''verify:open'')' ELSE '' END) b ORDER BY n;
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_hold_end WHERE hold_id =
	(SELECT id FROM payments.ledger_hold WHERE hold_key = 'verify:voided')$$);
-- snapshots: a wrong sum, count or time; one gone from the middle; a mark that is behind, or gone
SELECT x.change, b.* FROM (VALUES ('amount = amount + 1'), ('entries = entries + 1'), ('first_id = first_id - 1'), ('max_effective_at = max_effective_at + interval ''1 us'''),
		('min_recorded_at = min_recorded_at - interval ''1 us'''), ('strays = strays + 1')) x (change),
	pg_temp.broken_by(format('UPDATE payments.ledger_snapshot SET %s WHERE level = 1 AND ordinal = 1 AND account_id =
		(SELECT id FROM payments.ledger_account WHERE code = ''asset:verify_many'')', x.change)) b;
-- rows that are in order by their numbers and not by their entries, or share some; one above them that is right, and one that is not
SELECT x.change, b.* FROM (VALUES ('last_id = last_id + 1'), ('last_id = (SELECT last_id - 1 FROM payments.ledger_snapshot y WHERE y.account_id = s.account_id AND y.ordinal = 0)')) x (change),
	pg_temp.broken_by(format('UPDATE payments.ledger_snapshot s SET %s, first_id = 1 WHERE level = 1 AND ordinal = 1 AND account_id =
		(SELECT id FROM payments.ledger_account WHERE code = ''asset:verify_even'')', x.change)) b;
SELECT x.amount, b.* FROM (VALUES ('sum(amount)'), ('sum(amount) + 1')) x (amount),
	pg_temp.broken_by(format('INSERT INTO payments.ledger_snapshot SELECT account_id, min(first_id), max(last_id), min(min_effective_at), max(max_effective_at),
			min(min_recorded_at), max(max_recorded_at), sum(entries), 0, 0, 2, %s FROM payments.ledger_snapshot
		WHERE account_id = (SELECT id FROM payments.ledger_account WHERE code = ''asset:verify_even'') GROUP BY account_id', x.amount)) b;
-- a wrong time, transaction or sum of strays; all of them gone, or where none are
SELECT x.change, b.* FROM (VALUES ('effective_ats[2] = effective_ats[2] + interval ''1 us'''), ('min_effective_at = min_effective_at - interval ''1 us'''),
		('transaction_ids[2] = transaction_ids[1]'), ('sums[1] = sums[1] + 1'), ('sums[5] = sums[5] + 1'), ('ordinal = 7'), ('level = 2')) x (change),
	pg_temp.broken_by(format('UPDATE payments.ledger_stray SET %s WHERE level = 1 AND ordinal = 1 AND account_id =
		(SELECT id FROM payments.ledger_account WHERE code = ''asset:verify_many'')', x.change)) b;
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_stray WHERE level = 1 AND ordinal = 1 AND account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'asset:verify_many')$$);
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.ledger_snapshot WHERE level = 1 AND ordinal = 1 AND account_id =
	(SELECT id FROM payments.ledger_account WHERE code = 'asset:verify_many')$$);
SELECT * FROM pg_temp.broken_by($$WITH a AS (SELECT id FROM payments.ledger_account WHERE code = 'asset:verify_many')
	INSERT INTO payments.ledger_snapshot SELECT a.id, 1, 2, now(), now(), now(), now(), 1, 0, 0, 2, 0 FROM a$$);
SELECT invariant FROM pg_temp.broken_by('UPDATE payments.ledger_horizon SET done_id = 0');
SELECT * FROM pg_temp.broken_by('DELETE FROM payments.ledger_horizon');

-- 27: resolved, and not so; resolved, and settled by an answer as well
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.operator_action SELECT -1, order_id, call_id, 'resolve', 'failed', NULL, NULL, NULL, NULL, 'note', 'me', now()
	FROM payments.psp_call_queue WHERE order_id = 'verify-open'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_attempt SELECT call_id, 1, order_id, 'confirm', 1, acted_at
		FROM payments.operator_action WHERE order_id = 'verify-resolved';
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
		SELECT call_id, 1, order_id, 'confirm', 'answered', 'refused', false, 'fail', 0, now()
		FROM payments.operator_action WHERE order_id = 'verify-resolved'$$);

-- 30: expired unsent, and an attempt was begun
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_attempt VALUES (-1, 1, 'verify-expired', 'confirm', 1, now())$$);
-- 32: it says that nobody confirmed it, and it is under way, or open; it failed unconfirmed, and does not say when
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET abandoned_at = now(), payment_key = NULL WHERE order_id = 'verify-open'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET abandoned_at = now() WHERE order_id = 'verify-new'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET abandoned_at = NULL WHERE order_id = 'verify-failed'$$);
-- 33: a retry of what can still be paid, of what is not there, of what knows nothing of it; two of them
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET retried_as = 'verify-new' WHERE order_id = 'verify-open';
	UPDATE payments.payment_event SET retry_of = 'verify-open' WHERE order_id = 'verify-new'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET retry_of = 'verify-none' WHERE order_id = 'verify-new'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET retry_of = 'verify-failed' WHERE order_id = 'verify-new'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.payment_event SET retried_as = 'verify-new' WHERE order_id = 'verify-failed';
	UPDATE payments.payment_event SET retry_of = 'verify-failed' WHERE order_id IN ('verify-new', 'verify-open')$$);

-- 40 to 48: refunds, line by line, in the books, in their histories, with their calls, proofs and news; and claims
SELECT x.change, b.* FROM unnest(ARRAY[
		'UPDATE payments.refund_line SET amount = amount + 1 WHERE order_id = ''verify-refund'' AND amount = 50',
		'UPDATE payments.refund_line SET commission = commission + 1 WHERE order_id = ''verify-refund'' AND amount = 300',
		'UPDATE payments.refund SET amount = amount + 1 WHERE order_id = ''verify-refund'' AND amount = 50',
		'UPDATE payments.payment_order SET refunded_amount = refunded_amount + 1 WHERE order_id = ''verify-refund''',
		'UPDATE payments.payment_order SET refunding_amount = 0 WHERE order_id = ''verify-refund''',
		'UPDATE payments.refund_history SET to_status = ''UNKNOWN'' WHERE order_id = ''verify-refund'' AND to_status = ''SUCCESS''',
		'UPDATE payments.refund_history SET from_status = ''UNKNOWN'' WHERE order_id = ''verify-refund'' AND from_status = ''REQUESTED''',
		'UPDATE payments.refund SET transaction_key = ''tx_other'' WHERE order_id = ''verify-refund'' AND amount = 300',
		'UPDATE payments.ledger_transaction SET order_id = ''verify-paid'' WHERE transaction_key = ''cancel:tx_verify''',
		'UPDATE payments.wallet_transaction SET amount = amount + 1 WHERE order_id = ''verify-refund'' AND kind = ''refund''',
		'DELETE FROM payments.psp_call_queue WHERE order_id = ''verify-refund''',
		'DELETE FROM payments.operator_action WHERE order_id = ''verify-refund'' AND refund_id IS NOT NULL',
		'UPDATE payments.operator_action SET transaction_key = ''tx_other'' WHERE order_id = ''verify-refund'' AND refund_id IS NOT NULL',
		'UPDATE payments.wallet SET pending = pending - 1 WHERE seller_id = 1407',
		'DELETE FROM payments.event WHERE order_id = ''verify-refund'' AND kind = ''refund.succeeded''',
		'UPDATE payments.event SET kind = ''refund.recorded'' WHERE order_id = ''verify-refund'' AND kind = ''refund.succeeded''',
		'UPDATE payments.payment_claim SET claim_status = ''void'', claimed_by = NULL WHERE order_id = ''verify-refund''',
		'UPDATE payments.refund SET origin = ''claim'' WHERE order_id = ''verify-refund'' AND amount = 50']) WITH ORDINALITY x (change, n),
	pg_temp.broken_by(x.change) b ORDER BY n;
-- 50: a webhook that nobody looks at, and one of a stranger that has an outcome
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.webhook (id, received_at, kind, verdict, body_size, body_sha256) VALUES (-1, now(), 'payment', 'hint', 0, '')$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.webhook (id, received_at, kind, verdict, body_size, body_sha256) VALUES (-1, now(), 'garbage', 'garbage', 0, '');
	INSERT INTO payments.webhook_outcome VALUES (-1, NULL, 'known', NULL, now())$$);
-- 51: a look that is not open and has not ended; one that did more than ask
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation, payment_key, currency, amount, idempotency_key, request_body, created_at)
	SELECT -1000, order_id, id, merchant, 'look', 'key', currency, amount, 'a look that did not end', '{}', now() FROM payments.payment_event WHERE order_id = 'verify-failed'$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.psp_call (id, order_id, payment_event_id, merchant, operation, payment_key, currency, amount, idempotency_key, request_body, created_at)
	SELECT -1000, order_id, id, merchant, 'look', 'key', currency, amount, 'a look that confirmed', '{}', now() FROM payments.payment_event WHERE order_id = 'verify-failed';
	INSERT INTO payments.psp_attempt VALUES (-1000, 1, 'verify-failed', 'confirm', 1, now());
	INSERT INTO payments.psp_answer (call_id, attempt_no, order_id, operation, transport, meaning, suspect, action, body_size, received_at)
		VALUES (-1000, 1, 'verify-failed', 'confirm', 'answered', 'approved', false, 'learn', 0, now())$$);
-- 55: a deposit that is missing, that is too much, of an order that is not paid; an account that expired, and its order goes on
SELECT * FROM pg_temp.broken_by($$UPDATE payments.deposit_movement SET movement_no = 3$$);
SELECT * FROM pg_temp.broken_by($$DELETE FROM payments.deposit_movement$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.virtual_account VALUES ('verify-open', '20', 'X3', now(), now(), now())$$);
-- 56: it was asked once, and late; it was paid; it does not say so
SELECT * FROM pg_temp.broken_by($$UPDATE payments.psp_answer SET action = 'late' WHERE call_id = -55 AND attempt_no = 1$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.psp_answer SET meaning = 'approved' WHERE call_id = -55 AND attempt_no = 1$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.virtual_account SET expired_at = NULL WHERE order_id = 'verify-closed'$$);
-- 57: booked under another key, over another amount, as of another time
SELECT * FROM pg_temp.broken_by($$UPDATE payments.deposit_movement SET ledger_key = 'payment:verify-paid'$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.deposit_movement SET amount = 20$$);
SELECT * FROM pg_temp.broken_by($$UPDATE payments.deposit_movement SET effective_at = effective_at + interval '1 s'$$);

-- 58: a reversal that no wallet knows of
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.deposit_movement SELECT order_id, 2, 'reversal', amount, 'deposit:verify-usd:2', NULL, NULL, NULL, now(), now()
	FROM payments.deposit_movement$$);

-- 59: an account that outlives its refund; one that is not needed; one that is missing
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.refund_account SELECT id, order_id, '88', '1', 'Kim', now()
	FROM payments.refund WHERE refund_status = 'SUCCESS' AND order_id LIKE 'verify-%' ORDER BY id LIMIT 1$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.refund_account SELECT id, order_id, '88', '1', 'Kim', now()
	FROM payments.refund WHERE refund_status = 'EXECUTING' AND order_id LIKE 'verify-%' ORDER BY id LIMIT 1$$);
SELECT * FROM pg_temp.broken_by($$INSERT INTO payments.virtual_account SELECT order_id, '20', 'X3', NULL, created_at
	FROM payments.refund WHERE refund_status = 'EXECUTING' AND order_id LIKE 'verify-%' ORDER BY id LIMIT 1$$);

-- all of it is forgotten
SELECT count(*) AS broken FROM payments.verify() WHERE NOT holds;
SELECT count(DISTINCT tgenabled) AS kinds, min(tgenabled) AS enabled FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid
	WHERE relnamespace = 'payments'::regnamespace AND NOT tgisinternal;
