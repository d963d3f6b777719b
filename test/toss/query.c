/*-------------------------------------------------------------------------
 *
 * query.c
 *	  GET /v1/payments/{paymentKey} and /v1/payments/orders/{orderId}.
 *
 * A query never changes a payment, apart from noticing that it expired.
 * Answers may lag behind: they then show the version of that time.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "simulator.h"

/*
 * Finds the payment that a query means and completes the request's ids, so
 * that a fault planned for either one matches.  NULL if there is none, or it
 * is another merchant's.  The lock must be held.
 */
Payment *
sim_query_find(Request *request)
{
	Payment    *payment;

	if (request->payment_key != NULL)
	{
		payment = sim_payment_find(request->payment_key);
		if (payment != NULL && payment->mid != request->api_key->mid)
			payment = NULL;
	}
	else
		payment = sim_payment_find_order(request->order_id,
										 request->api_key->mid);
	if (payment == NULL)
		return NULL;

	if (request->payment_key == NULL)
		request->payment_key = sim_copy(payment->key, strlen(payment->key));
	if (request->order_id == NULL)
		request->order_id = sim_copy(payment->order->id,
									 strlen(payment->order->id));
	return payment;
}

/* Answers a query; the lock must be held. */
Answer
sim_query_execute(Request *request)
{
	Payment    *payment = sim_query_find(request);
	int64_t		lag_ms = sim_settings.query_lag_ms;
	int64_t		now = sim_clock_monotonic();
	Answer		answer = {0};
	Status		status;

	if (payment == NULL)
		return sim_answer_code("NOT_FOUND_PAYMENT");
	if (payment->queried_at != 0 && now - payment->queried_at <
		sim_settings.query_interval_ms * 1000)
		return sim_answer_code("FORBIDDEN_CONSECUTIVE_REQUEST");
	payment->queried_at = now;

	sim_payment_status(payment);
	if (request->form == FORM_LAG)
		lag_ms = request->fault.delay_ms;
	answer.payment = payment;
	answer.version = lag_ms == 0 ? payment->version_count - 1 :
		sim_payment_version_at(payment, sim_clock_real() - lag_ms * 1000);
	if (answer.version < 0)
		return sim_answer_code("NOT_FOUND_PAYMENT");
	status = payment->versions[answer.version].status;
	if (!sim_settings.query_unconfirmed &&
		(status == STATUS_READY || status == STATUS_IN_PROGRESS))
		return sim_answer_code("NOT_FOUND_PAYMENT");
	return answer;
}
