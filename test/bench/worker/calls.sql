-- Our calls, for latencies.sql
CREATE TEMP VIEW call AS
	SELECT c.idempotency_key AS key, pg_xact_commit_timestamp(c.xmin) AS enqueued,
		pg_xact_commit_timestamp(a.xmin) AS settled
	FROM payments.psp_call c JOIN payments.psp_answer a ON a.call_id = c.id AND a.attempt_no = 1
	WHERE :condition;
