-- :n confirms in tables without bloat, with statistics of what is in them
TRUNCATE net.http_request_queue, net._http_response;
BEGIN;
SELECT post('ord_' || md5(i || clock_timestamp()::text), 1000 + i % 499000) FROM generate_series(1, :n) i;
ANALYZE net.http_request_queue;
COMMIT;
