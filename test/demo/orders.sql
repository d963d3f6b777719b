-- One line an order
SELECT p.order_id AS "order", c.name || '  ' || c.english AS customer,
	p.status || CASE WHEN p.is_expired THEN ', expired' ELSE '' END AS status,
	to_char(p.amount, '9,999,999') AS won,
	coalesce(p.failure_code, p.method) AS "how, or why not"
FROM payments.payment p
	JOIN shop.customer c ON c.id = p.buyer_id
ORDER BY p.order_id;
