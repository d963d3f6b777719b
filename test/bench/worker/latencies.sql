-- Of the calls that :condition picks, in milliseconds: from the commit of the
-- call until its request arrived, p50 and p99; from the answer until it was
-- settled and committed, p50 and p99; all of it, p99; how many there were.
CREATE TEMP TABLE requests (line jsonb);
\set copy '\\copy requests FROM ' :'file' ' WITH (FORMAT csv, QUOTE E''\\x01'', DELIMITER E''\\x02'')'
:copy
CREATE TEMP TABLE latency AS
	SELECT (r.line ->> 'timeUs')::numeric / 1000
			- extract(epoch FROM pg_xact_commit_timestamp(c.xmin)) * 1000 AS wire,
		extract(epoch FROM pg_xact_commit_timestamp(a.xmin)) * 1000
			- (r.line ->> 'answeredUs')::numeric / 1000 AS settled,
		extract(epoch FROM pg_xact_commit_timestamp(a.xmin) - pg_xact_commit_timestamp(c.xmin)) * 1000 AS whole
	FROM requests r
		JOIN payments.psp_call c ON c.idempotency_key = r.line ->> 'idempotencyKey'
		JOIN payments.psp_answer a ON a.call_id = c.id AND a.attempt_no = 1
	WHERE :condition;
SELECT concat_ws(' ',
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY wire))::numeric, 2),
		round((percentile_cont(0.99) WITHIN GROUP (ORDER BY wire))::numeric, 2),
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY settled))::numeric, 2),
		round((percentile_cont(0.99) WITHIN GROUP (ORDER BY settled))::numeric, 2),
		round((percentile_cont(0.99) WITHIN GROUP (ORDER BY whole))::numeric, 2), count(*))
	FROM latency HAVING count(*) > 0;
