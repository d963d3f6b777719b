--
-- Promise: payments.rebuild_balances() puts right, in one call, what all the tests
-- before have inserted into the journal by hand.  (Broken in every way, one by one:
-- balances_broken.)
--
-- plans for as many rows as other tests have left
ANALYZE payments.ledger_account, payments.ledger_transaction, payments.ledger_entry, payments.ledger_balance;
SELECT count(*) > 0 AS has_found FROM payments.rebuild_balances();
SELECT count(*) FROM payments.rebuild_balances();
SELECT invariant, counterexample FROM payments.verify() WHERE NOT holds;
