/*-------------------------------------------------------------------------
 *
 * webhook.c
 *	  Webhooks: what Toss tells the merchant by itself.
 *
 * A change of a payment's state puts one into a list, or two; a thread sends
 * them to webhookUrl, as often as Toss does: success is 200 within ten
 * seconds, and there are seven more tries, the last four days of the movable
 * clock after the first.  Without an address they are kept for GET /webhooks,
 * for tests that carry them themselves.
 *
 * What goes wrong is drawn when a webhook is made: it is lost, sent twice,
 * held back so that others overtake it, or comes with a forged one in front
 * of it.  A body is written when it is sent: the version it is about does not
 * change any more.
 *
 *-------------------------------------------------------------------------
 */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control.h"
#include "webhook.h"

#define TIMEOUT 10				/* seconds that the receiver has */
#define OVERTAKEN_MS 300		/* at least, when it is held back */
#define POLL_US 5000

static const int64_t gaps[] = {1, 4, 16, 64, 256, 1024, 4096};	/* minutes */

#define TRIES (1 + (int) (sizeof(gaps) / sizeof(gaps[0])))

static const char *const kind_names[] = {"payment", "deposit", "payout", "raw"};

static const char *const state_names[] = {"waits", "delivered", "given up", "lost"};

/* The list is in the order of their making; the lock of payment.c guards it. */
static Webhook *first;
static Webhook *last;
static int64_t made;
static int64_t waiting;
static pthread_t thread;
static bool running;

static bool
draw(int64_t percent)
{
	return percent > 0 && (int64_t) (sim_random() % 100) < percent;
}

static Webhook *
add(WebhookKind kind, Payment *payment, int version)
{
	Webhook    *webhook = sim_alloc(sizeof(Webhook));
	int64_t		delay = sim_settings.webhook_delay_ms;

	webhook->number = ++made;
	webhook->kind = kind;
	webhook->payment = payment;
	webhook->version = version;
	webhook->created_at = sim_clock_now();
	webhook->id_seed = sim_random();
	if (draw(sim_settings.webhook_reorder_percent))
		delay += OVERTAKEN_MS + (int64_t) (sim_random() % OVERTAKEN_MS);
	if (delay > 0)
		webhook->not_before = sim_clock_monotonic() + delay * 1000;
	if (last != NULL)
		last->next = webhook;
	else
		first = webhook;
	last = webhook;
	waiting++;
	return webhook;
}

/* One about a payment, with whatever goes wrong with it. */
static void
add_about(WebhookKind kind, Payment *payment, int version)
{
	Webhook    *webhook;

	if (draw(sim_settings.webhook_forge_percent))
		add(kind, payment, version)->forged = true;
	webhook = add(kind, payment, version);
	if (draw(sim_settings.webhook_duplicate_percent))
		add(kind, payment, version)->id_seed = webhook->id_seed;
	if (draw(sim_settings.webhook_lose_percent))
	{
		webhook->state = WEBHOOK_LOST;
		waiting--;
	}
}

/* A payment has a new version; the lock must be held. */
void
sim_webhook_changed(Payment *payment)
{
	int			version = payment->version_count - 1;
	Status		status = payment->versions[version].status;
	bool		tells = status == STATUS_DONE || status == STATUS_CANCELED ||
		status == STATUS_PARTIAL_CANCELED;

	if (sim_settings.webhook_url[0] == '\0' && !sim_settings.webhook_keep)
		return;
	if (version > 0 && payment->versions[version - 1].status == status &&
		status == STATUS_WAITING_FOR_DEPOSIT)
		return;					/* the due date has passed: no word of it */
	if (sim_settings.webhook_payments &&
		(tells || status == STATUS_EXPIRED || status == STATUS_ABORTED))
		add_about(WEBHOOK_PAYMENT, payment, version);
	if (sim_settings.webhook_deposits && sim_method_is_deposit(payment->method) &&
		(tells || status == STATUS_WAITING_FOR_DEPOSIT))
		add_about(WEBHOOK_DEPOSIT, payment, version);
}

static void
notice(Order *order, void *arg)
{
	for (Payment *payment = order->newest; payment != NULL; payment = payment->older)
		(void) sim_payment_status(payment);
}

/* The clock has moved: what expired meanwhile is told. */
void
sim_webhook_notice(void)
{
	if (sim_settings.webhook_url[0] != '\0' || sim_settings.webhook_keep)
		sim_payment_each_order(notice, NULL);
}

/*
 * Sending
 */

/* Connects to the receiver; -1 when that is not possible. */
static int
reach(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	struct timeval timeout = {.tv_sec = TIMEOUT};
	int			fd = -1;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	for (struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next)
	{
		fd = socket(each->ai_family, each->ai_socktype, each->ai_protocol);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		if (connect(fd, each->ai_addr, each->ai_addrlen) != 0)
		{
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

/* The status of the answer, or 0. */
static int
send_request(const char *host, const char *port, const Text *request)
{
	char		answer[64] = {0};
	size_t		length = 0;
	int			fd = reach(host, port);
	int			status = 0;

	if (fd < 0)
		return 0;
	for (size_t sent = 0; sent < request->length;)
	{
		ssize_t		n = send(fd, request->data + sent, request->length - sent, MSG_NOSIGNAL);

		if (n <= 0)
		{
			close(fd);
			return 0;
		}
		sent += (size_t) n;
	}
	while (length < sizeof(answer) - 1)
	{
		ssize_t		n = recv(fd, answer + length, sizeof(answer) - 1 - length, 0);

		if (n <= 0)
			break;
		length += (size_t) n;
	}
	close(fd);
	if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1)
		return 0;
	return status;
}

/* http://host:port/path */
static bool
split_url(const char *url, char host[128], char port[8], const char **path)
{
	static const char scheme[] = "http://";
	size_t		length;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return false;
	url += sizeof(scheme) - 1;
	length = strcspn(url, ":/");
	if (length == 0 || length >= 128)
		return false;
	memcpy(host, url, length);
	host[length] = '\0';
	url += length;
	strcpy(port, "80");
	if (*url == ':')
	{
		length = strspn(++url, "0123456789");
		if (length == 0 || length >= 8)
			return false;
		memcpy(port, url, length);
		port[length] = '\0';
		url += length;
	}
	*path = *url == '/' ? url : "/";
	return true;
}

/* The next that is to be sent; the lock must be held. */
static Webhook *
next_due(void)
{
	if (waiting == 0 || sim_settings.webhook_url[0] == '\0')
		return NULL;
	for (Webhook *webhook = first; webhook != NULL; webhook = webhook->next)
		if (webhook->state == WEBHOOK_WAITS &&
			webhook->not_before <= sim_clock_monotonic() &&
			webhook->due <= sim_clock_now())
			return webhook;
	return NULL;
}

static void
note_try(int64_t number, int status)
{
	for (Webhook *webhook = first; webhook != NULL; webhook = webhook->next)
	{
		if (webhook->number != number)
			continue;
		webhook->status = status;
		webhook->tries++;
		if (status == 200 ||
			(sim_settings.webhook_takes_2xx && status >= 200 && status < 300))
			webhook->state = WEBHOOK_DELIVERED;
		else if (webhook->tries == TRIES)
			webhook->state = WEBHOOK_GIVEN_UP;
		else
			webhook->due = sim_clock_now() + gaps[webhook->tries - 1] * 60 * SECOND;
		if (webhook->state != WEBHOOK_WAITS)
			waiting--;
	}
}

/* Sends one, if one is due. */
static bool
send_next(void)
{
	char		host[128];
	char		port[8];
	const char *path;
	Text		request = {0};
	Text		body = {0};
	Webhook    *webhook;
	int64_t		number;
	int			status = 0;

	sim_lock();
	webhook = next_due();
	if (webhook == NULL)
	{
		sim_unlock();
		return false;
	}
	number = webhook->number;
	if (split_url(sim_settings.webhook_url, host, port, &path))
	{
		sim_webhook_write_body(&body, webhook);
		sim_text_format(&request, "POST %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n"
						"Content-Type: application/json\r\nContent-Length: %zu\r\n",
						path, host, port, body.length);
		sim_webhook_write_headers(&request, webhook, &body, false);
		sim_text_add(&request, "\r\n");
		sim_text_add_bytes(&request, body.data, body.length);
	}
	sim_unlock();

	if (request.length > 0)
		status = send_request(host, port, &request);
	sim_text_free(&request);
	sim_text_free(&body);

	sim_lock();
	note_try(number, status);
	sim_unlock();
	return true;
}

static void *
run(void *arg)
{
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		if (!send_next())
			usleep(POLL_US);
	return NULL;
}

bool
sim_webhook_start(void)
{
	running = true;
	return pthread_create(&thread, NULL, run, NULL) == 0;
}

void
sim_webhook_stop(void)
{
	__atomic_store_n(&running, false, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	sim_webhook_reset();
}

/* Forgets them all; the lock must be held, or no thread be left. */
void
sim_webhook_reset(void)
{
	while (first != NULL)
	{
		Webhook    *webhook = first;

		first = webhook->next;
		free(webhook->raw);
		free(webhook);
	}
	last = NULL;
	waiting = 0;
}

/*
 * The control interface
 */

/* GET /webhooks: JSON lines, oldest first, with what the next try would send. */
int
sim_webhook_list(Call *call)
{
	for (Webhook *webhook = first; webhook != NULL; webhook = webhook->next)
	{
		Text		body = {0};

		sim_webhook_write_body(&body, webhook);
		sim_text_add(&body, "");
		sim_text_format(&call->out, "{\"number\":%lld,\"kind\":\"%s\",\"state\":\"%s\",\"forged\":%s,"
						"\"tries\":%d,\"status\":%d,\"orderId\":", (long long) webhook->number,
						kind_names[webhook->kind], state_names[webhook->state],
						webhook->forged ? "true" : "false", webhook->tries, webhook->status);
		sim_text_add_json(&call->out, webhook->payment ? webhook->payment->order->id : NULL);
		sim_text_add(&call->out, ",\"headers\":{");
		sim_webhook_write_headers(&call->out, webhook, &body, true);
		sim_text_add(&call->out, "},\"body\":");
		sim_text_add_json(&call->out, body.data);
		sim_text_add(&call->out, "}\n");
		sim_text_free(&body);
	}
	return 200;
}

/*
 * POST /webhook: one more, as if something had happened: of kind payment or
 * deposit about the last state of paymentKey, payout, or raw with this body.
 */
int
sim_webhook_add(Call *call)
{
	const JsonNode *root = &call->json.nodes[0];
	const JsonNode *forged = sim_json_member(&call->json, root, "forged");
	const char *kind = sim_json_string(&call->json, root, "kind", "payment");
	const char *raw = sim_json_string(&call->json, root, "raw", "");
	Payment    *payment = sim_payment_find(sim_json_string(&call->json, root, "paymentKey", ""));
	Webhook    *webhook;
	int			found = -1;

	for (int i = 0; i < 4; i++)
		if (strcmp(kind_names[i], kind) == 0)
			found = i;
	if (found < 0)
		return sim_control_bad_value(call, "kind");
	if ((found == WEBHOOK_PAYMENT || found == WEBHOOK_DEPOSIT) && payment == NULL)
		return sim_control_problem(call, 404, "NOT_FOUND_PAYMENT", "there is no such payment");
	if (payment != NULL)
		(void) sim_payment_status(payment);
	webhook = add((WebhookKind) found, payment, payment ? payment->version_count - 1 : 0);
	webhook->forged = forged != NULL && forged->kind == JSON_TRUE;
	if (found == WEBHOOK_RAW)
		webhook->raw = sim_copy(raw, strlen(raw));
	sim_text_format(&call->out, "{\"number\":%lld}\n", (long long) webhook->number);
	return 200;
}
