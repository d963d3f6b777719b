-- Of the calls in the view "call", in milliseconds: from the commit of the
-- call until its request arrived, p50 and p99; from the answer until it was
-- settled and committed, p50 and p99; all of it, p99; how many there were.
CREATE TEMP TABLE requests (line jsonb);
\set copy '\\copy requests FROM ' :'file' ' WITH (FORMAT csv, QUOTE E''\\x01'', DELIMITER E''\\x02'')'
:copy
CREATE TEMP TABLE latency AS
	SELECT (r.line ->> 'timeUs')::numeric / 1000 - extract(epoch FROM c.enqueued) * 1000 AS wire,
		extract(epoch FROM c.settled) * 1000 - (r.line ->> 'answeredUs')::numeric / 1000 AS settled,
		extract(epoch FROM c.settled - c.enqueued) * 1000 AS whole
	FROM requests r JOIN call c ON c.key = r.line ->> 'idempotencyKey';
SELECT concat_ws(' ',
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY wire))::numeric, 2),
		round((percentile_cont(0.99) WITHIN GROUP (ORDER BY wire))::numeric, 2),
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY settled))::numeric, 2),
		round((percentile_cont(0.99) WITHIN GROUP (ORDER BY settled))::numeric, 2),
		round((percentile_cont(0.99) WITHIN GROUP (ORDER BY whole))::numeric, 2), count(*))
	FROM latency HAVING count(*) > 0;
