-- An hour's statement: opening balance, about a hundred entries of a million,
-- closing balance
\set back random(3600, 31535999)
SELECT * FROM payments.statement(:till, now() - :back * interval '1 s', now() - (:back - 3600) * interval '1 s');
