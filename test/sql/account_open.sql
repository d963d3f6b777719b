--
-- Promise: an operator opens accounts with kind, currency, limits and stripes of
-- his own; repeated it changes nothing, with other content it is refused; and
-- no account that payments books on becomes another than its code says.
--
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_account_operator;
SELECT payments.grant_to('regress_account_operator', 'operator');
SET ROLE regress_account_operator;

-- a chart of accounts of one's own: the first part is free when the kind is given
SELECT payments.open_account('ao_wallet:7', 'liability', floor => 0, ceiling => 1000000, reason => 'customer 7') AS id \gset
SELECT payments.open_account('ao_wallet:7:USD', 'liability', floor => -5.25) > 0 AS opened;
SELECT payments.open_account('ao_fees', 'revenue') AS code_needs_a_name; -- fails
SELECT payments.open_account('ao_fees:all', 'revenue', 'JPY', stripes => 8) > 0 AS opened;
SELECT payments.open_account('psp:ao_toss') > 0 AS opened, payments.open_account('psp:ao_exact', floor => 0) > 0 AS opened,
	payments.open_account('buyer:910001:USD', 'liability', 'USD') > 0 AS opened, payments.open_account('asset:ao_dollars', currency => 'USD') > 0 AS opened;
SELECT account, kind, currency, state, mode, stripes, floor, ceiling, balance, normal_balance, held, available
FROM payments.accounts WHERE account ~ 'ao_|buyer:910001' ORDER BY account COLLATE "C";

-- repeated: the same id, also when limits have changed since, and whatever the reason
SELECT payments.open_account('ao_wallet:7', 'liability', 'KRW', 0, 1000000, 1) = :id AS same;
SELECT payments.set_account_limits('ao_wallet:7', 0, NULL, 'a good customer');
SELECT payments.open_account('ao_wallet:7', 'liability', floor => 0.00, ceiling => 1000000, reason => 'again') = :id AS same;
SELECT payments.open_account('psp:ao_toss', stripes => 16) > 0 AS same;
-- also of one that its first posting opened
SELECT payments.post('ao:1', 'test', '[{"account": "psp:ao_implicit", "amount": 5}, {"account": "ao_wallet:7", "amount": -5}]') > 0 AS posted;
SELECT payments.open_account('psp:ao_implicit') > 0 AS same;

-- with other content
SELECT t.* FROM (VALUES
	($$'ao_wallet:7', 'liability'$$),
	($$'ao_wallet:7', 'asset', 'USD', 1, 2$$),
	($$'ao_wallet:7', 'liability', floor => 0, ceiling => 1000000, stripes => 2$$),
	($$'ao_fees:all', 'revenue', 'JPY', stripes => 7$$),
	($$'psp:ao_implicit', floor => 0$$),
	($$'psp:ao_implicit', stripes => 1$$)) AS v (arguments),
	test.try(format('SELECT payments.open_account(%s)', arguments)) t;

-- what is not meant
SELECT v.arguments, t.code, t.message, t.detail FROM (VALUES
	($$NULL$$),
	($$''$$),
	($$'ao wallet:7', 'liability'$$),
	($$'ao_wallet:8'$$),
	($$'ao_wallet:8', ''$$),
	($$'ao_wallet:8', 'equity'$$),
	($$'seller:910001', 'asset'$$),
	($$'asset:ao_x', 'liability'$$),
	($$'seller:910001', currency => 'USD'$$),
	($$'buyer:910001', currency => 'USD'$$),
	($$'psp:ao_dollars', currency => 'USD'$$),
	($$'platform:ao_dollars', currency => 'USD'$$),
	($$'buyer:910001:JPY', currency => 'KRW'$$),
	($$'ao_wallet:8:USD', 'liability', 'KRW'$$),
	($$'ao_wallet:8', 'liability', 'XXX'$$),
	($$'ao_wallet:8', 'liability', ''$$),
	($$'ao_wallet:8', 'liability', floor => 0.5$$),
	($$'ao_wallet:8', 'liability', floor => 'NaN'$$),
	($$'ao_wallet:8', 'liability', ceiling => 'Infinity'$$),
	($$'ao_wallet:8', 'liability', ceiling => 1e15$$),
	($$'ao_wallet:8', 'liability', floor => 5, ceiling => 4$$),
	($$'ao_wallet:8', 'liability', floor => 5$$),
	($$'ao_wallet:8', 'liability', ceiling => -5$$),
	($$'ao_wallet:8', 'liability', stripes => 0$$),
	($$'ao_wallet:8', 'liability', stripes => 65$$),
	($$'ao_wallet:8', 'liability', floor => 0, stripes => 2$$),
	($$'ao_wallet:8', 'liability', reason => ''$$)) AS v (arguments),
	test.try(format('SELECT payments.open_account(%s)', arguments)) t;
-- nothing came of it
SELECT account FROM payments.accounts WHERE account ~ 'ao_wallet:8|ao_x|910001' ORDER BY 1;
-- what the hints say
SELECT DISTINCT t.hint FROM unnest(ARRAY['ao_wallet:8'', ''equity', 'ao_wallet:8', 'seller:910001'', ''asset', 'ao_wallet:8:USD'', ''asset'', ''KRW']) a,
	test.try(format('SELECT payments.open_account(''%s'')', a)) t ORDER BY 1;

-- posting to them: the kind given stands, and the currency is the account's
SELECT payments.post('ao:2', 'test', '[{"account": "asset:ao_dollars", "currency": "USD", "amount": 1.25},
	{"account": "ao_wallet:7:USD", "currency": "USD", "amount": -1.25}]') > 0 AS posted;
SELECT payments.post('ao:3', 'test', '[{"account": "asset:ao_dollars", "amount": 1}, {"account": "ao_wallet:7", "amount": -1}]'); -- fails
SELECT account, balance, normal_balance, available FROM payments.accounts WHERE account IN ('asset:ao_dollars', 'ao_wallet:7:USD') ORDER BY 1;

-- what happened, by whom: the role that was logged in, not the one it acts as
SELECT a.code, e.event, e.state, e.stripes, e.floor, e.ceiling, e.reason, e.actor = session_user AS by_us, e.actor = current_user AS by_role
FROM payments.ledger_account_event e JOIN payments.ledger_account a ON a.id = e.account_id WHERE a.code ~ 'ao_' ORDER BY e.id; -- fails
RESET ROLE;
SELECT a.code, e.event, e.state, e.stripes, e.floor, e.ceiling, e.reason, e.actor = session_user AS by_us
FROM payments.ledger_account_event e JOIN payments.ledger_account a ON a.id = e.account_id WHERE a.code ~ 'ao_' ORDER BY e.id;
-- and none of it ever changes
\set VERBOSITY sqlstate
UPDATE payments.ledger_account_event SET reason = 'none'; -- fails
DELETE FROM payments.ledger_account_event; -- fails
TRUNCATE payments.ledger_account_event; -- fails
\set VERBOSITY default

-- a role without the right
CREATE ROLE regress_account_nobody;
SELECT payments.grant_to('regress_account_nobody', 'application');
SET ROLE regress_account_nobody;
SELECT t.code, t.message FROM unnest(ARRAY['open_account(''asset:ao_x'')', 'set_account_limits(''asset:ao_x'', 0, 0, ''why'')',
	'set_account_stripes(''asset:ao_x'', 1, ''why'')', 'freeze_account(''asset:ao_x'', ''why'')', 'unfreeze_account(''asset:ao_x'', ''why'')',
	'close_account(''asset:ao_x'', ''why'')', 'reopen_account(''asset:ao_x'', ''why'')', 'rebuild_balances()',
	'hold(''ao:1'', ''asset:ao_x'', 1)', 'post_hold(1, ''test'', ''[]'')', 'void_hold(1, ''why'')', 'expire_holds()']) f,
	test.try('SELECT payments.' || f) t;
SELECT t.code, t.message FROM unnest(ARRAY['accounts', 'holds', 'ledger_account_event', 'ledger_hold', 'ledger_hold_end', 'ledger_hold_open']) r,
	test.try('SELECT * FROM payments.' || r) t;
RESET ROLE;
DROP OWNED BY regress_account_nobody, regress_account_operator;
DROP ROLE regress_account_nobody, regress_account_operator;
