-- Accounts of pgledger whose balance is not the sum of their entries
SELECT a.id, a.balance, sum(e.amount)
FROM pgledger_accounts a LEFT JOIN pgledger_entries e ON e.account_id = a.id
GROUP BY a.id
HAVING a.balance <> coalesce(sum(e.amount), 0);
