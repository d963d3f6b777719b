-- What was known then to have happened by then
\set back random(0, 31535999)
\set ms random(0, :load_ms)
SELECT payments.balance(:till, now() - :back * interval '1 s', to_timestamp(:load_start::float8 + :ms::float8 / 1000));
