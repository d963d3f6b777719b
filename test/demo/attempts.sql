-- The attempts of one order, and what each came to
SELECT s.attempt_no AS no, s.operation,
	to_char(extract(epoch FROM s.claimed_at - min(s.claimed_at) OVER ()), '90.999') || ' s' AS "sent after",
	left(c.idempotency_key, 8) || '…' AS "idempotency key",
	a.transport, a.http_status AS http, a.meaning, a.action
FROM payments.psp_attempt s
	JOIN payments.psp_call c ON c.id = s.call_id
	JOIN payments.psp_answer a USING (call_id, attempt_no)
WHERE s.order_id = :'order'
ORDER BY s.call_id, s.attempt_no;
