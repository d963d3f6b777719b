-- One transfer between two of :accounts accounts.  The key is what a client has
-- at hand: 19 digits that rise with time, as a snowflake id's.
\set x random(0, :accounts - 1)
\set y (:x + random(1, :accounts - 1)) % :accounts
\set amount random(1, 100000)
\set n :n + 1
\set key :base * 1000000000 + :n * 100 + :client_id
SELECT payments.post_entries(:key, 'transfer', ARRAY['liability:' || :x, 'liability:' || :y],
	ARRAY[:amount::numeric, - :amount::numeric]);
