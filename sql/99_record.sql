-- The end: triggers get the states they must have, then the schema as it now
-- is becomes the one that payments.verify and the worker compare with.

SELECT pg_catalog.count(*) FROM payments.rearm();
SELECT payments.record_schema('created');
