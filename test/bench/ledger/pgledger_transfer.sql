-- transfer.sql for pgledger; the ids of accounts have its form.
\set x random(0, :accounts - 1)
\set y (:x + random(1, :accounts - 1)) % :accounts + 100000
\set x :x + 100000
\set amount random(1, 100000)
SELECT id FROM pgledger_create_transfer('pgla_01JTVST7XAES5BXHWZN4' || :x, 'pgla_01JTVST7XAES5BXHWZN4' || :y,
	:amount);
