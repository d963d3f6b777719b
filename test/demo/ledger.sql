-- The journal, and its sum
SELECT CASE entry_no WHEN 1 THEN order_id END AS "order", account,
	to_char(debit, '9,999,999') AS debit, to_char(credit, '9,999,999') AS credit
FROM (
	SELECT transaction_id, entry_no, order_id, account, debit, credit
	FROM payments.ledger WHERE kind LIKE 'payment.%'
	UNION ALL
	SELECT NULL, 1, 'total', '', sum(debit), sum(credit)
	FROM payments.ledger WHERE kind LIKE 'payment.%'
) AS l
ORDER BY transaction_id NULLS LAST, entry_no;
