-- The calls of pg_net that have a response, for latencies.sql
CREATE TEMP VIEW call AS
	SELECT s.key, pg_xact_commit_timestamp(s.xmin) AS enqueued, pg_xact_commit_timestamp(r.xmin) AS settled
	FROM sent s JOIN net._http_response r ON r.id = s.request
	WHERE r.status_code = 200 AND s.request > :since;
