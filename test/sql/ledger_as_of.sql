--
-- Promise: a balance at any time, on either clock or both, is the sum of the
-- entries of then, wherever snapshots have got to and however ids, times and
-- entries fall; and snapshots take in each entry once, in rows that stay.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

-- Steps see each other committed.  Somebody else's transaction (autovacuum)
-- may hold them up for a moment.
CREATE PROCEDURE pg_temp.write_all(max_rows int) LANGUAGE plpgsql AS $$
DECLARE
	target bigint := (SELECT last_value FROM payments.ledger_transaction_id_seq);
BEGIN
	WHILE (SELECT done_id FROM payments.ledger_horizon) < target LOOP
		PERFORM payments.write_snapshots(max_rows);
		COMMIT;
	END LOOP;
END $$;

-- Postings of 2 to 9 entries on few accounts, so that some occur often in one;
-- effective in order, or not; every seventh at the same time.
CREATE PROCEDURE pg_temp.post_some(name text, n int, jitter interval) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM payments.post(format('ao:%s:%s', name, i), 'test',
			(SELECT jsonb_agg(jsonb_build_object('account', CASE WHEN e % 2 = 0 THEN 'asset:ao_1' ELSE 'liability:ao_' || e END, 'amount', e * i))
				|| jsonb_build_array(jsonb_build_object('account', 'psp:ao', 'amount', - sum(e * i)))
				FROM generate_series(1, 1 + i % 8) e),
			effective_at => '2026-01-01 00:00+00'::timestamptz + (i - i % 7) * interval '1 hour' - random() * jitter);
		COMMIT;
	END LOOP;
END $$;

CREATE VIEW pg_temp.times AS SELECT t.effective_at, t.recorded_at FROM payments.ledger_transaction t WHERE t.transaction_key ~ '^ao:';
CREATE FUNCTION pg_temp.wrong() RETURNS TABLE (as_of bigint, known_at bigint, both_clocks bigint, ends bigint) LANGUAGE sql AS $$
	WITH a AS MATERIALIZED (SELECT id, code FROM payments.ledger_account WHERE code ~ ':ao(_|$)'),
	e AS MATERIALIZED (SELECT e.account_id, e.amount, t.effective_at, t.recorded_at
		FROM payments.ledger_entry e JOIN payments.ledger_transaction t ON t.id = e.transaction_id JOIN a ON a.id = e.account_id),
	x AS MATERIALIZED (SELECT o.effective_at + (o.n % 3 - 1) * interval '1 microsecond' AS as_of, o.recorded_at AS known_at
		FROM (SELECT *, row_number() OVER () AS n FROM (SELECT * FROM pg_temp.times ORDER BY random() LIMIT 5) t) o)
	SELECT count(*) FILTER (WHERE payments.balance(a.code, x.as_of) <> coalesce((SELECT sum(amount) FROM e WHERE account_id = a.id AND effective_at <= x.as_of), 0)),
		count(*) FILTER (WHERE payments.balance(a.code, NULL, x.known_at) <> coalesce((SELECT sum(amount) FROM e WHERE account_id = a.id AND recorded_at <= x.known_at), 0)),
		count(*) FILTER (WHERE payments.balance(a.code, x.as_of, x.known_at) <> coalesce((SELECT sum(amount) FROM e
			WHERE account_id = a.id AND effective_at <= x.as_of AND recorded_at <= x.known_at), 0)),
		count(*) FILTER (WHERE payments.balance(a.code, '-infinity') <> 0 OR payments.balance(a.code, 'infinity') <> payments.balance(a.code)
			OR payments.balance(a.code, 'infinity', 'infinity') <> payments.balance(a.code) OR payments.balance(a.code, known_at => '2020-01-01') <> 0)
	FROM a, x;
$$;

SELECT setseed(0.46);
CALL pg_temp.post_some('a', 150, '0');
SELECT * FROM pg_temp.wrong();
CALL pg_temp.write_all(100);
SELECT * FROM pg_temp.wrong();
CREATE TEMP TABLE rows AS SELECT s.*, s.ctid AS place, s.xmin AS writer FROM payments.ledger_snapshot s;

-- more, with a tail that no snapshot has; then that one too; then bit by bit
CALL pg_temp.post_some('b', 150, '400 hours');
SELECT * FROM pg_temp.wrong();
CALL pg_temp.write_all(10000);
SELECT * FROM pg_temp.wrong();
CALL pg_temp.post_some('c', 500, '1 hour');
CALL pg_temp.write_all(1);
SELECT * FROM pg_temp.wrong();

-- rows of 64 entries or a few more, under rows of 64 rows; none was changed
SELECT a.code, s.level, count(*) > 0 AS some, avg(s.entries) > 48 AND max(s.entries) < 64 + 9 AS right_size,
	bool_and(s.level > 1 OR s.entries = (SELECT count(*) FROM payments.ledger_entry e WHERE e.account_id = s.account_id
		AND e.transaction_id BETWEEN s.first_id AND s.last_id)) AS right
FROM payments.ledger_snapshot s JOIN payments.ledger_account a ON a.id = s.account_id
WHERE a.code ~ ':ao(_|$)' AND a.code !~ '_[2-9]$' OR a.code = 'liability:ao_5' GROUP BY a.code, s.level ORDER BY a.code COLLATE "C", s.level;
-- exactly 64 where an account has one entry in each
SELECT s.level, count(*) > 5 AS several, min(s.entries), max(s.entries) FROM payments.ledger_snapshot s
JOIN payments.ledger_account a ON a.id = s.account_id WHERE a.code = 'psp:ao' GROUP BY s.level;
SELECT count(*) AS changed FROM rows r LEFT JOIN payments.ledger_snapshot s USING (account_id, level, ordinal)
WHERE (s.ctid, s.xmin, s.amount) IS DISTINCT FROM (r.place, r.writer, r.amount);
-- what is left over is less than a row and a ledger transaction
SELECT max(n) < 64 + 9 AS short_tails FROM (SELECT count(*) AS n FROM payments.ledger_entry e
	JOIN payments.ledger_account a ON a.id = e.account_id
	WHERE a.code ~ ':ao(_|$)' AND e.transaction_id > coalesce((SELECT max(last_id) FROM payments.ledger_snapshot s WHERE s.account_id = a.id), 0)
	GROUP BY a.id) t;
SELECT payments.write_snapshots() AS nothing_new;

-- many entries of one account in one ledger transaction, and a level above
SELECT count(payments.post('ao:big:' || m, 'test', (SELECT jsonb_agg(jsonb_build_object('account', 'asset:ao_1', 'amount', 1))
	|| jsonb_build_array(jsonb_build_object('account', 'psp:ao', 'amount', - n)) FROM generate_series(1, n)),
	effective_at => '2026-01-03 00:00+00'::timestamptz + m * interval '7 hours')) FROM generate_series(1, 75) m, LATERAL (SELECT CASE m WHEN 40 THEN 700 ELSE 60 END) v (n);
CALL pg_temp.write_all(3000);
SELECT * FROM pg_temp.wrong();
SELECT s.level, count(*) > 1 OR level > 1 AS several FROM payments.ledger_snapshot s JOIN payments.ledger_account a ON a.id = s.account_id
WHERE a.code = 'asset:ao_1' GROUP BY s.level ORDER BY s.level;

-- Thrown away and built anew
SELECT payments.rebuild_snapshots();
SELECT count(*) AS rows FROM payments.ledger_snapshot;
SELECT * FROM pg_temp.wrong();
CALL pg_temp.write_all(100000);
SELECT * FROM pg_temp.wrong();
SELECT level, count(*) > 0 AS some FROM payments.ledger_snapshot GROUP BY level ORDER BY level;

-- An account without entries, and one that is not there
SELECT payments.open_account('ao_empty:1', 'asset') > 0 AS opened;
SELECT payments.balance('ao_empty:1'), payments.balance('ao_empty:1', now()), payments.balance('ao_empty:1', known_at => now());
SELECT t.* FROM test.try('SELECT payments.balance(''ao_none:1'', now())') t;
SELECT t.* FROM test.try('SELECT payments.balance(NULL, now())') t;
SELECT t.* FROM unnest(ARRAY['0', 'NULL', '1000001']) n, test.try(format('SELECT payments.write_snapshots(%s)', n)) t;

-- Striped and back: the entries do not care.
SELECT payments.set_account_stripes('asset:ao_1', 8, 'hot');
SELECT payments.post('ao:striped', 'test', '[{"account": "asset:ao_1", "amount": 1}, {"account": "psp:ao", "amount": -1}]', effective_at => '2026-01-01') > 0 AS posted;
SELECT * FROM pg_temp.wrong();
SELECT invariant, holds FROM payments.verify() WHERE invariant ~ 'snapshot';
