-- Load :size transfers in one post_batch; pgbench counts the calls of each of
-- its :clients in :i.  Effective over a year, one in a hundred late, by up to
-- :late.  From :debit, or, when that is "any", from any account.
\set i :i + 1
\set first ((:i - 1) * :clients + :client_id) * :size
WITH t AS MATERIALIZED (
	SELECT n, x, (x + 1 + floor(random() * (:accounts - 1))::integer) % :accounts AS y,
		(1 + floor(random() * 100000))::numeric AS amount,
		now() - interval '365 days' * (1 - (:first + n) / :total::float8)
			- CASE WHEN n % 100 = 0 THEN random() ELSE 0 END * :late::interval AS effective_at
	FROM generate_series(1, :size) n, CAST(floor(random() * :accounts + n * 0) AS integer) x),
h AS (
	SELECT array_agg((:base::bigint * 1000000000 + :first + n)::text ORDER BY n) AS keys,
		array_fill('transfer'::text, ARRAY[count(*)::integer]) AS kinds,
		array_fill(2, ARRAY[count(*)::integer]) AS counts,
		array_agg(effective_at ORDER BY n) AS effective_ats FROM t),
e AS (
	SELECT array_agg(account ORDER BY n, side) AS accounts, array_agg(amount ORDER BY n, side) AS amounts
	FROM (SELECT n, 1 AS side, CASE :debit::text WHEN 'any' THEN 'liability:' || x ELSE :debit END AS account, amount FROM t
		UNION ALL SELECT n, 2, 'liability:' || y, - amount FROM t) s)
SELECT count(*) FROM h, e, payments.post_batch(h.keys, h.kinds, h.counts, e.accounts, e.amounts,
	effective_ats => h.effective_ats);
