-- hot.sql for pgledger
\set y random(100001, 100000 + :accounts - 1)
\set amount random(1, 100000)
SELECT id FROM pgledger_create_transfer('pgla_01JTVST7XAES5BXHWZN4100000', 'pgla_01JTVST7XAES5BXHWZN4' || :y, :amount);
