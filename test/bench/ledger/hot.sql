-- One transfer between the account :hot, which all have in common, and another.
\set y random(0, :accounts - 1)
\set amount random(1, 100000)
\set n :n + 1
\set key :base * 1000000000 + :n * 100 + :client_id
SELECT payments.post_entries(:key, 'transfer', ARRAY[:hot, 'liability:' || :y],
	ARRAY[:amount::numeric, - :amount::numeric]);
