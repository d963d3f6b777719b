-- From one account to two others, 97 and 3 percent.
\set x random(0, :accounts - 1)
\set y (:x + random(1, :accounts - 2)) % :accounts
\set z (:y + 1) % :accounts
\set part random(1, 1000)
\set n :n + 1
\set key :base * 1000000000 + :n * 100 + :client_id
SELECT payments.post_entries(:key, 'transfer', ARRAY['liability:' || :x, 'liability:' || :y, 'liability:' || :z],
	ARRAY[100 * :part::numeric, -97 * :part::numeric, -3 * :part::numeric]);
