--
-- verify holds, and has looked at rows of every kind, after all that the other
-- tests have done, with snapshots and seals over all of it.  (That it sees what is
-- broken: books_broken.)
--
DO $$
BEGIN
	WHILE (SELECT done_id < s.last_value FROM payments.ledger_horizon, payments.ledger_transaction_id_seq s) LOOP
		PERFORM payments.write_snapshots(100000), payments.seal_ledger(100000);
		COMMIT;
	END LOOP;
END $$;
SELECT invariant, holds, checked > 0 AS has_looked, counterexample FROM payments.verify();
