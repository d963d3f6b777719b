-- Every account, and the sums that have to be equal
SELECT account, kind, to_char(debits, '9,999,999') AS debits,
	to_char(credits, '9,999,999') AS credits,
	to_char(nullif(debit_balance, 0), '9,999,999') AS "debit balance",
	to_char(nullif(credit_balance, 0), '9,999,999') AS "credit balance"
FROM (
	SELECT account, kind, debits, credits, debit_balance, credit_balance, false AS last
	FROM payments.trial_balance
	UNION ALL
	SELECT 'total', '', sum(debits), sum(credits), sum(debit_balance), sum(credit_balance), true
	FROM payments.trial_balance
) AS t
ORDER BY last, kind, account;
