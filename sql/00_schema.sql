-- The schema is made here, by CREATE EXTENSION itself: were it named in the
-- control file, a schema that somebody made first would be adopted, and its
-- owner could drop the ledger.
\echo Use "CREATE EXTENSION payments" to load this file. \quit

CREATE SCHEMA payments;
COMMENT ON SCHEMA payments IS
'Orders, payments, double-entry ledger, wallets and events of a Toss Payments merchant';

CREATE TYPE payments.payment_order_status AS ENUM
	('NOT_STARTED', 'EXECUTING', 'SUCCESS', 'FAILURE', 'UNKNOWN');
COMMENT ON TYPE payments.payment_order_status IS
'State of a payment order; SUCCESS and FAILURE are final, UNKNOWN means that nobody can tell yet';

CREATE TYPE payments.checkout_result AS
	(order_id text, amount numeric, currency text, order_name text, expires_at timestamptz);
COMMENT ON TYPE payments.checkout_result IS
'What payments.checkout returns: the order id and the amount to show, computed here';

-- The trigger function that many tables share.
CREATE FUNCTION payments.forbid_change() RETURNS trigger
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'payments_forbid_change';
COMMENT ON FUNCTION payments.forbid_change() IS
'Trigger: refuses UPDATE, DELETE and TRUNCATE of rows that record what happened';
