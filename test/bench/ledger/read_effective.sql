-- What had happened by a time within the last year
\set back random(0, 31535999)
SELECT payments.balance(:till, now() - :back * interval '1 s');
