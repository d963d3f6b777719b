-- What each seller sold, what the market keeps of it, and what is owed
SELECT CASE WHEN w.seller_id IS NULL THEN 'total' ELSE max(s.name || '  ' || s.english) END AS seller,
	to_char(sum(t.amount) FILTER (WHERE t.kind = 'sale'), '9,999,999') AS sales,
	to_char(- sum(t.amount) FILTER (WHERE t.kind = 'commission'), '9,999,999') AS commission,
	to_char(- sum(t.amount) FILTER (WHERE t.kind NOT IN ('sale', 'commission')), '9,999,999') AS "given back",
	to_char(sum(w.balance) FILTER (WHERE t.first), '9,999,999') AS owed
FROM payments.wallet w
	JOIN shop.seller s ON s.id = w.seller_id
	JOIN (SELECT *, row_number() OVER (PARTITION BY seller_id ORDER BY id) = 1 AS first
		FROM payments.wallet_transaction) t USING (seller_id)
GROUP BY ROLLUP (w.seller_id)
ORDER BY w.seller_id NULLS LAST;
