-- Promise: a currency may be added at any time and is known at once, in every
-- session; its minor units never change, so a session may remember them; what
-- was rolled back is not remembered.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET lock_timeout = '10s';

CREATE FUNCTION pg_temp.post(currency text, amount numeric) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM payments.post_entries(format('cu:%s:%s', currency, amount), 'test', ARRAY['asset:cu:' || currency, 'liability:cu:' || currency],
		ARRAY[amount, - amount], ARRAY[currency, currency]);
	RETURN 'posted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Added and used in one transaction that is rolled back, or in a savepoint
SELECT pg_temp.post('XTS', 1.25);
BEGIN;
INSERT INTO payments.currency VALUES ('XTS', 2, 'for tests');
SELECT pg_temp.post('XTS', 1.25);
ROLLBACK;
SELECT pg_temp.post('XTS', 1.25);
BEGIN;
SAVEPOINT s;
INSERT INTO payments.currency VALUES ('XTS', 0, 'for tests');
SELECT pg_temp.post('XTS', 1.25), pg_temp.post('XTS', 1);
ROLLBACK TO s;
SELECT pg_temp.post('XTS', 1.25);
INSERT INTO payments.currency VALUES ('XTS', 3, 'for tests');
SELECT pg_temp.post('XTS', 1.255);
ROLLBACK;
BEGIN;
INSERT INTO payments.currency VALUES ('XTS', 2, 'for tests');
SELECT pg_temp.post('XTS', 1.25);
PREPARE TRANSACTION 'regress_currency';
SELECT pg_temp.post('XTS', 1.25);
ROLLBACK PREPARED 'regress_currency';
SELECT pg_temp.post('XTS', 1.25);

-- For good; not even a superuser changes what it means or takes it away.
INSERT INTO payments.currency VALUES ('XTS', 2, 'for tests');
SELECT pg_temp.post('XTS', 1.25);
SELECT pg_temp.post('XTS', 1.255);
UPDATE payments.currency SET minor_units = 3 WHERE code = 'XTS'; -- fails
UPDATE payments.currency SET code = 'XTX' WHERE code = 'XTS'; -- fails
DELETE FROM payments.currency WHERE code = 'XTS'; -- fails
TRUNCATE payments.currency; -- fails
INSERT INTO payments.currency VALUES ('XTS', 3, 'for tests') ON CONFLICT (code) DO UPDATE SET minor_units = 3; -- fails
SET session_replication_role = replica;
UPDATE payments.currency SET minor_units = 3 WHERE code = 'XTS'; -- fails
RESET session_replication_role;
UPDATE payments.currency SET name = 'for tests only' WHERE code = 'XTS'; -- fails
SELECT * FROM payments.currency WHERE code = 'XTS';

-- By force, with the guard put to sleep in the catalogue: the session that
-- remembers sees it at once.
BEGIN;
SELECT pg_temp.post('XTS', 0.02);
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'currency_forbid_change';
UPDATE pg_class SET relname = relname WHERE oid = 'payments.currency'::regclass;
UPDATE payments.currency SET minor_units = 3 WHERE code = 'XTS';
SELECT pg_temp.post('XTS', 1.255);
ROLLBACK;
SELECT pg_temp.post('XTS', 1.255);
\c
SELECT payments.post_entries('cu:other', 'test', '{asset:cu:XTS,liability:cu:XTS}', '{0.05,-0.05}', '{XTS,XTS}') > 0 AS posted;
SELECT payments.balance('asset:cu:XTS');
