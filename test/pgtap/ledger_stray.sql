-- What is effective long before or after its neighbours changes no balance and
-- no statement, on either clock or both, whatever the order of times and
-- however far snapshots have got; and a few of them do not make reading slow.
SELECT plan(28);
SET timezone = 'UTC';
SET client_min_messages = warning;

CREATE PROCEDURE pg_temp.write_all(max_rows int) LANGUAGE plpgsql AS $$
DECLARE
	target bigint := (SELECT last_value FROM payments.ledger_transaction_id_seq);
BEGIN
	WHILE (SELECT done_id FROM payments.ledger_horizon) < target LOOP
		PERFORM payments.write_snapshots(max_rows);
		COMMIT;
	END LOOP;
END $$;

-- Accounts, by the order of their times; m is the number of the transaction.
CREATE TEMP TABLE shape (name text, transactions int, each int);
INSERT INTO shape VALUES
	('calm', 900, 1),	-- in order
	('late', 4400, 1),	-- one in 20 by up to 30 days
	('early', 4400, 1),	-- one in 20 by up to years
	('wild', 4400, 1),	-- in no order
	('back', 4400, 1),	-- an old year after a newer one
	('burst', 900, 1),	-- many at the same time
	('odd', 2300, 2);	-- two entries in each transaction, and late
CREATE FUNCTION pg_temp.at(shape text, m int) RETURNS timestamptz LANGUAGE sql AS $$
	SELECT CASE shape
		WHEN 'late' THEN x.t - CASE WHEN m % 20 = 0 THEN random() * interval '30 days' ELSE '0' END
		WHEN 'early' THEN x.t + CASE WHEN m % 20 = 0 THEN random() * interval '3 years' ELSE '0' END
		WHEN 'wild' THEN x.t - random() * interval '300 days'
		WHEN 'back' THEN x.t - CASE WHEN m > 2700 THEN interval '1 year' ELSE '0' END
		WHEN 'burst' THEN date_trunc('day', x.t) - CASE WHEN m % 7 = 0 THEN interval '5 days' ELSE '0' END
		WHEN 'odd' THEN x.t - CASE WHEN m % 9 = 0 THEN interval '40 days' ELSE '0' END
		ELSE x.t END
	FROM (SELECT '2025-01-01'::timestamptz + m * interval '1 hour') x (t)
$$;
-- What there is, in another place
CREATE TEMP TABLE entry (code text, transaction_id bigint, entry_no int, amount numeric, effective_at timestamptz, recorded_at timestamptz);
CREATE INDEX ON entry (code);
-- From the first to the last number, by the hundred, so that each hundred has a recorded time of its own
CREATE PROCEDURE pg_temp.post_some(first int, last int) LANGUAGE plpgsql AS $$
DECLARE
	s record;
BEGIN
	FOR s IN SELECT name, each, m FROM shape, generate_series(first, least(last, transactions) - 1, 100) m ORDER BY m, name LOOP
		PERFORM payments.post_batch(t.keys, t.kinds, t.counts, e.accounts, e.amounts, effective_ats => t.times)
		FROM (SELECT array_agg(format('st:%s:%s', s.name, i) ORDER BY i) AS keys, array_agg('test'::text) AS kinds,
				array_agg(s.each + 1) AS counts, array_agg(pg_temp.at(s.name, i) ORDER BY i) AS times
			FROM generate_series(s.m, s.m + 99) i) t,
			(SELECT array_agg(CASE WHEN e > s.each THEN 'liability:st' ELSE 'asset:st_' || s.name END ORDER BY i, e) AS accounts,
				array_agg(CASE WHEN e > s.each THEN - i * s.each ELSE i END ORDER BY i, e) AS amounts
			FROM generate_series(s.m, s.m + 99) i, generate_series(1, s.each + 1) e) e;
		COMMIT;
	END LOOP;
	TRUNCATE entry;
	INSERT INTO entry SELECT a.code, e.transaction_id, e.entry_no, e.amount, t.effective_at, t.recorded_at
		FROM payments.ledger_account a JOIN payments.ledger_entry e ON e.account_id = a.id JOIN payments.ledger_transaction t ON t.id = e.transaction_id;
	ANALYZE entry;
END $$;

-- At n times of each account, and the microseconds beside them, known at another entry's time or at any: how
-- many were compared, and how many were wrong on the one clock, the other, and both
CREATE FUNCTION pg_temp.wrong(n int) RETURNS text LANGUAGE sql AS $$
	WITH x AS MATERIALIZED (SELECT code, effective_at + (o.n % 3 - 1) * interval '1 us' AS as_of,
			CASE WHEN o.n % 5 > 0 THEN recorded_at + (o.n % 2 - 1) * interval '1 us' ELSE 'infinity' END AS known_at
		FROM (SELECT code, effective_at, lead(recorded_at, 1, 'infinity') OVER (PARTITION BY code ORDER BY random()) AS recorded_at,
				row_number() OVER (PARTITION BY code ORDER BY random()) AS n FROM entry) o WHERE o.n <= wrong.n)
	SELECT format('%s: %s, %s, %s', count(*), count(*) FILTER (WHERE payments.balance(x.code, x.as_of) <> s.as_of),
		count(*) FILTER (WHERE payments.balance(x.code, NULL, x.known_at) <> s.known_at),
		count(*) FILTER (WHERE payments.balance(x.code, x.as_of, x.known_at) <> s.both_clocks))
	FROM x CROSS JOIN LATERAL (SELECT coalesce(sum(e.amount) FILTER (WHERE e.effective_at <= x.as_of), 0) AS as_of,
			coalesce(sum(e.amount) FILTER (WHERE e.recorded_at <= x.known_at), 0) AS known_at,
			coalesce(sum(e.amount) FILTER (WHERE e.effective_at <= x.as_of AND e.recorded_at <= x.known_at), 0) AS both_clocks
		FROM entry e WHERE e.code = x.code) s
$$;
-- Statements of hours, days and all times: how many, how many wrong, and whether they had many lines
CREATE FUNCTION pg_temp.wrong_statements(n int) RETURNS text LANGUAGE sql AS $$
	WITH x AS MATERIALIZED (SELECT code, clock, known_at, CASE WHEN o.n % 10 > 0 THEN at END AS from_at,
			CASE WHEN o.n % 4 = 0 THEN at + interval '1 hour' WHEN o.n % 4 < 3 THEN at + interval '10 days' END AS to_at
		FROM (SELECT code, clock, CASE clock WHEN 'effective' THEN effective_at ELSE recorded_at END AS at,
				lead(recorded_at, 1, 'infinity') OVER (PARTITION BY code ORDER BY random()) AS known_at,
				row_number() OVER (PARTITION BY code, clock ORDER BY random()) AS n
			FROM entry, unnest(ARRAY['effective', 'recorded']) clock) o WHERE o.n <= wrong_statements.n)
	SELECT format('%s: %s, %s', count(*), count(*) FILTER (WHERE s.lines IS DISTINCT FROM p.lines OR s.opening IS DISTINCT FROM p.opening),
		CASE WHEN sum(cardinality(s.lines)) > 10000 THEN 'many' ELSE 'few' END)
	FROM x CROSS JOIN LATERAL (SELECT array_agg((s.transaction_id, s.entry_no::int, coalesce(s.debit, - s.credit)) ORDER BY s.transaction_id, s.entry_no)
				FILTER (WHERE s.line = 'entry') AS lines, min(s.balance) FILTER (WHERE s.line = 'opening') AS opening
			FROM payments.statement(x.code, x.from_at, x.to_at, x.clock, x.known_at) s) s
		CROSS JOIN LATERAL (SELECT array_agg((e.transaction_id, e.entry_no, e.amount) ORDER BY e.transaction_id, e.entry_no)
				FILTER (WHERE e.at >= coalesce(x.from_at, '-infinity') AND (e.at < x.to_at OR x.to_at IS NULL)) AS lines,
				coalesce(sum(e.amount) FILTER (WHERE e.at < x.from_at), 0) AS opening
			FROM (SELECT *, CASE x.clock WHEN 'effective' THEN effective_at ELSE recorded_at END AS at FROM entry
				WHERE code = x.code AND recorded_at <= x.known_at) e) p
$$;

SELECT setseed(0.47);
CALL pg_temp.post_some(1, 2000);
SELECT is(pg_temp.wrong(10), '80: 0, 0, 0', 'balances without snapshots');
CALL pg_temp.write_all(777);
SELECT is(pg_temp.wrong(40), '320: 0, 0, 0', 'balances, with snapshots taken bit by bit');
CALL pg_temp.post_some(2001, 4200);
CALL pg_temp.write_all(5000);
CALL pg_temp.post_some(4201, 4400);
SELECT is(pg_temp.wrong(60), '480: 0, 0, 0', 'balances, with a tail that is in no snapshot');
SELECT is(pg_temp.wrong_statements(20), '320: 0, many', 'statements');
SELECT is_empty('SELECT * FROM payments.verify() WHERE NOT holds', 'the books are sound');

-- Which are strays: those that we meant, and little else
SELECT is(round(sum(s.strays) * 100 / sum(s.entries) * max(each))::int, v.percent, format('%s strays in a hundred: %s', v.percent, v.name))
FROM (VALUES ('calm', 0), ('late', 5), ('early', 5), ('wild', 100), ('odd', 11)) v (name, percent)
	JOIN shape USING (name) JOIN payments.ledger_account a ON a.code = 'asset:st_' || v.name
	JOIN payments.ledger_snapshot s ON s.account_id = a.id AND s.level = 1
GROUP BY v.name, v.percent ORDER BY v.percent, v.name;
-- A time lies in few rows
SELECT cmp_ok(max(n.rows), '<=', 3::bigint, 'few rows have a time in common: ' || a.code)
FROM payments.ledger_account a CROSS JOIN LATERAL (
	SELECT (SELECT count(*) FROM payments.ledger_snapshot o WHERE o.account_id = a.id AND o.level = 1
		AND s.max_effective_at BETWEEN o.min_effective_at AND o.max_effective_at) AS rows
	FROM payments.ledger_snapshot s WHERE s.account_id = a.id AND s.level = 1 AND s.strays < s.entries) n
WHERE a.code ~ '_(calm|late|early|back|odd)$' GROUP BY a.code ORDER BY a.code COLLATE "C";

-- A balance reads few entries: two rows of the tree, and a tail
CREATE FUNCTION pg_temp.entries_read() RETURNS bigint LANGUAGE sql AS $$
	SELECT coalesce(idx_tup_fetch, 0) + seq_tup_read FROM pg_stat_xact_user_tables WHERE schemaname = 'payments' AND relname = 'ledger_entry'
$$;
CREATE FUNCTION pg_temp.cost(account text, as_of timestamptz, known_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := pg_temp.entries_read();
BEGIN
	PERFORM payments.balance(account, as_of, known_at);
	RETURN pg_temp.entries_read() - before;
END $$;
CALL pg_temp.write_all(100000);
SELECT cmp_ok(max(pg_temp.cost(x.code, x.effective_at, x.recorded_at)), '<=', (64 * 5)::bigint, 'few entries are read: ' || x.code)
FROM (SELECT code, effective_at, recorded_at, row_number() OVER (PARTITION BY code ORDER BY random()) AS n FROM entry
	WHERE code ~ '_(late|early|wild|back)$') x WHERE x.n <= 50 GROUP BY x.code ORDER BY x.code COLLATE "C";

-- Rows with too many strays for a run: they are looked for below.
SELECT isnt_empty($$ SELECT * FROM payments.ledger_stray WHERE level = 2 $$, 'there are runs of a higher level');
BEGIN;
UPDATE payments.ledger_snapshot SET strays = 32769 WHERE level = 2 AND strays > 0;
DELETE FROM payments.ledger_stray WHERE level = 2;
SELECT is(pg_temp.wrong(30), '240: 0, 0, 0', 'balances, where there are none');
SELECT is(pg_temp.wrong_statements(5), '80: 0, many', 'and statements');
ROLLBACK;

-- Thrown away and built anew, in another rhythm, they are the same.
CREATE TEMP TABLE before AS SELECT * FROM payments.ledger_stray;
SELECT lives_ok('SELECT payments.rebuild_snapshots()', 'thrown away');
SELECT is_empty('SELECT * FROM payments.ledger_stray', 'and gone');
SELECT is(pg_temp.wrong(10), '80: 0, 0, 0', 'balances are right meanwhile');
CALL pg_temp.write_all(100000);
SELECT is(pg_temp.wrong(30), '240: 0, 0, 0', 'and when they are built anew');
SELECT bag_eq('SELECT * FROM payments.ledger_stray', 'SELECT * FROM before', 'which gives the same');
SELECT is_empty('SELECT * FROM payments.verify() WHERE NOT holds', 'the books are sound');
SELECT * FROM finish();
