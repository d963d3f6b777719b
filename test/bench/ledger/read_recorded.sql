-- What was known at a time while the account was being loaded
\set ms random(0, :load_ms)
SELECT payments.balance(:till, NULL, to_timestamp(:load_start::float8 + :ms::float8 / 1000));
