-- Wait until the worker has settled :n payments; the rate is the result.  The
-- clock starts at the first claim of its run.
CREATE FUNCTION pg_temp.drain(n bigint) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '10 min';
BEGIN
	WHILE coalesce((SELECT sum(settled) FROM payments.worker_slots()), 0) < n LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION 'the worker does not come to an end';
		END IF;
		PERFORM pg_sleep(0.005);
	END LOOP;
	RETURN clock_timestamp();
END
$$;
SELECT pg_temp.drain(:n) AS ended \gset
SELECT round((:n / extract(epoch FROM :'ended'::timestamptz - min(claimed_at)))::numeric, 1)
FROM payments.psp_attempt
WHERE epoch = (SELECT max(epoch) FROM payments.worker_epoch);
