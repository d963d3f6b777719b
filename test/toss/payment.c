/*-------------------------------------------------------------------------
 *
 * payment.c
 *	  Orders and payments, and the lock that guards all state.
 *
 * A payment is a list of versions that only grows.  Whatever was answered
 * once can therefore be written again, byte for byte, from the payment and
 * the number of the version: replays and lagging queries need no copies.
 * Expiry is not an event but is noticed when somebody looks.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

#define READY_LIFETIME (30 * 60 * SECOND)
#define IN_PROGRESS_LIFETIME (10 * 60 * SECOND)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Table payments;
static Table orders;

void
sim_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
sim_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* 6 to 64 of letters, digits and -_=. as accepted from the SDK. */
bool
sim_order_id_valid(const char *order_id)
{
	size_t		length = strspn(order_id,
								"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
								"abcdefghijklmnopqrstuvwxyz"
								"0123456789-_=.");

	return length >= 6 && length <= 64 && order_id[length] == '\0';
}

Payment *
sim_payment_find(const char *key)
{
	uint64_t	hash = sim_hash(0, key, strlen(key));

	for (Link *link = sim_table_first(&payments, hash); link != NULL;
		 link = sim_table_next(link))
	{
		Payment    *payment = link->owner;

		if (strcmp(payment->key, key) == 0)
			return payment;
	}
	return NULL;
}

Order *
sim_order_find(const char *order_id)
{
	uint64_t	hash = sim_hash(0, order_id, strlen(order_id));

	for (Link *link = sim_table_first(&orders, hash); link != NULL;
		 link = sim_table_next(link))
	{
		Order	   *order = link->owner;

		if (strcmp(order->id, order_id) == 0)
			return order;
	}
	return NULL;
}

/*
 * The payment that a query by order shows to a merchant: the newest that was
 * executed, else the newest.  NULL if there is none.
 */
Payment *
sim_payment_find_order(const char *order_id, const char *mid)
{
	Order	   *order = sim_order_find(order_id);
	Payment    *newest = NULL;

	for (Payment *payment = order ? order->newest : NULL; payment != NULL;
		 payment = payment->older)
	{
		if (payment->mid != mid)
			continue;
		if (payment->executions > 0)
			return payment;
		if (newest == NULL)
			newest = payment;
	}
	return newest;
}

static Order *
order_get(const char *order_id)
{
	Order	   *order = sim_order_find(order_id);

	if (order == NULL)
	{
		size_t		length = strlen(order_id);

		order = sim_alloc(sizeof(Order));
		order->id = sim_copy(order_id, length);
		sim_table_add(&orders, &order->by_id, sim_hash(0, order_id, length),
					  order);
	}
	return order;
}

/* Draws a key of the newer shape: 5 of the MID, the time, 5 at random. */
static char *
draw_key(const char *mid)
{
	char		key[5 + 14 + 5 + 1];

	do
	{
		uint64_t	seed = sim_random();

		for (int i = 0; i < 5; i++)
			key[i] = i < (int) strlen(mid) ? mid[i] : '_';
		sim_clock_compact(key + 5, sim_clock_now());
		sim_random_alnum(key + 19, 5, &seed);
		key[24] = '\0';
	} while (sim_payment_find(key) != NULL);
	return sim_copy(key, 24);
}

/*
 * Makes a READY payment; the lock must be held and the key must be new.
 * The request's strings are copied, except the MID, which must come from
 * sim_api_key_mid.
 */
Payment *
sim_payment_create(const PaymentRequest *request)
{
	Payment    *payment = sim_alloc(sizeof(Payment));
	const char *name = request->order_name ? request->order_name : "";

	payment->key = request->key ? sim_copy(request->key, strlen(request->key))
		: draw_key(request->mid);
	payment->order_name = *name ? sim_copy(name, strlen(name)) : "";
	payment->mid = request->mid;
	payment->method = request->method;
	memcpy(payment->currency, request->currency, 3);
	payment->amount = request->amount;
	payment->requested_at = sim_clock_now();
	payment->due_at = payment->requested_at +
		sim_settings.account_seconds * SECOND;
	payment->order = order_get(request->order_id);
	payment->older = payment->order->newest;
	payment->order->newest = payment;
	payment->seed = sim_hash(1, payment->key, strlen(payment->key));
	sim_table_add(&payments, &payment->by_key,
				  sim_hash(0, payment->key, strlen(payment->key)), payment);
	sim_payment_add_version(payment, STATUS_READY, payment->requested_at,
							NULL);
	return payment;
}

/* The buyer proved who he is: from now on it can be confirmed. */
void
sim_payment_authenticate(Payment *payment)
{
	payment->authenticated_at = sim_clock_now();
	sim_payment_add_version(payment, STATUS_IN_PROGRESS,
							payment->authenticated_at, NULL);
}

/* Moves a payment to its next state; the lock must be held. */
void
sim_payment_add_version(Payment *payment, Status status, int64_t clock_time,
						const Code *failure)
{
	Version    *version;

	if (payment->version_count == payment->version_capacity)
	{
		payment->version_capacity += payment->version_capacity ? 8 : 3;
		payment->versions = realloc(payment->versions, sizeof(Version) *
									(size_t) payment->version_capacity);
		if (payment->versions == NULL)
			abort();
	}
	version = &payment->versions[payment->version_count++];
	version->status = status;
	version->real_time = sim_clock_real();
	version->clock_time = clock_time;
	version->failure = failure;
	version->transaction = payment->version_count - 1;
	version->account_expired = false;
	version->canceled = 0;
	version->reason = NULL;
	version->balance = payment->version_count > 1 ?
		version[-1].balance : payment->amount;
	sim_webhook_changed(payment);
}

/* A virtual account past its due date keeps its state but says so. */
static void
notice_due_date(Payment *payment)
{
	Version		last = payment->versions[payment->version_count - 1];

	if (last.status != STATUS_WAITING_FOR_DEPOSIT || last.account_expired ||
		sim_settings.account_stays_open || sim_clock_now() <= payment->due_at)
		return;
	sim_payment_add_version(payment, last.status, payment->due_at, NULL);
	payment->versions[payment->version_count - 1].transaction =
		last.transaction;
	payment->versions[payment->version_count - 1].account_expired = true;
}

/* The present state, after noticing that a time limit has passed. */
Status
sim_payment_status(Payment *payment)
{
	static const Code expired = {
		400, "EXPIRED_PAYMENT", "결제가 만료되었습니다. 다시 시도해주세요."
	};
	Status		status = payment->versions[payment->version_count - 1].status;
	int64_t		end;

	if (status == STATUS_READY)
		end = payment->requested_at + READY_LIFETIME;
	else if (status == STATUS_IN_PROGRESS)
		end = payment->authenticated_at + IN_PROGRESS_LIFETIME;
	else
	{
		notice_due_date(payment);
		return status;
	}
	if (sim_clock_now() <= end)
		return status;
	sim_payment_add_version(payment, STATUS_EXPIRED, end, &expired);
	return STATUS_EXPIRED;
}

/* The version that was current at a real time; -1 before the first. */
int
sim_payment_version_at(const Payment *payment, int64_t real_time)
{
	int			version = payment->version_count - 1;

	while (version >= 0 && payment->versions[version].real_time > real_time)
		version--;
	return version;
}

/* Visits every order, in no particular order; the lock must be held. */
void
sim_payment_each_order(void (*visit) (Order *order, void *arg), void *arg)
{
	for (size_t i = 0; i < orders.size; i++)
	{
		for (Link *link = orders.slots[i]; link != NULL; link = link->next)
			visit(link->owner, arg);
	}
}

static void
release_payment(void *owner)
{
	Payment    *payment = owner;

	free((char *) payment->key);
	if (*payment->order_name != '\0')
		free((char *) payment->order_name);
	for (int i = 0; i < payment->version_count; i++)
		free(payment->versions[i].reason);
	free(payment->versions);
	free(payment);
}

static void
release_order(void *owner)
{
	Order	   *order = owner;

	free(order->id);
	free(order);
}

/* Forgets everything; no request may be waiting. */
void
sim_payment_reset(void)
{
	sim_table_clear(&payments, release_payment);
	sim_table_clear(&orders, release_order);
}
