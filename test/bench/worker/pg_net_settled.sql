-- Wait until nothing is queued; looked at seldom, because the queue has no index.
DO $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '20 min';
BEGIN
	WHILE EXISTS (SELECT FROM net.http_request_queue) LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION 'pg_net does not come to an end';
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
