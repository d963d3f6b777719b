-- three.sql for pgledger: two transfers in one call
\set x random(0, :accounts - 1)
\set y (:x + random(1, :accounts - 2)) % :accounts
\set z (:y + 1) % :accounts + 100000
\set y :y + 100000
\set x :x + 100000
\set part random(1, 1000)
SELECT id FROM pgledger_create_transfers(ARRAY[
	ROW('pgla_01JTVST7XAES5BXHWZN4' || :x, 'pgla_01JTVST7XAES5BXHWZN4' || :y, 97 * :part::numeric)::transfer_request,
	ROW('pgla_01JTVST7XAES5BXHWZN4' || :x, 'pgla_01JTVST7XAES5BXHWZN4' || :z, 3 * :part::numeric)::transfer_request]);
