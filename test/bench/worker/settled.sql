-- Wait until no call is open, with a new snapshot each time.
DO $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '20 min';
BEGIN
	WHILE EXISTS (SELECT FROM payments.psp_call_queue) LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION 'the worker does not come to an end';
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.005);
	END LOOP;
END
$$;
