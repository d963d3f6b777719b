/*-------------------------------------------------------------------------
 *
 * control.c
 *	  The control interface: plain HTTP on the loopback address.
 *
 * It stands in for the buyer's browser, moves the clock, plans faults and
 * shows the books.  It has a listener of its own, so that nothing of it can
 * be reached through the public port.  One const table holds the calls; each
 * handler runs with the lock held, writes JSON and returns an HTTP status.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include "simulator.h"

#define MAX_BODY (512u * 1024 * 1024)

typedef struct Call
{
	struct MHD_Connection *connection;
	const char *argument;		/* the rest of the path */
	Text		body;
	JsonDoc		json;
	Text		out;
} Call;

typedef struct Handler
{
	const char *method;
	const char *path;			/* ends in '/': takes an argument */
	int			(*run) (Call *call);
	bool		unlocked;		/* takes the lock itself, or needs none */
} Handler;

static int
problem(Call *call, int status, const char *code, const char *message)
{
	call->out.length = 0;
	sim_text_add(&call->out, "{\"code\":");
	sim_text_add_json(&call->out, code);
	sim_text_add(&call->out, ",\"message\":");
	sim_text_add_json(&call->out, message);
	sim_text_add(&call->out, "}\n");
	return status;
}

static int
bad_value(Call *call, const char *name)
{
	return problem(call, 400, "INVALID_REQUEST", name);
}

static bool
valid_key(const char *key)
{
	return *key != '\0' && strlen(key) <= 200 &&
		strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789-_=.") == strlen(key);
}

static bool
has_approved(const char *order_id)
{
	const Order *order = sim_order_find(order_id);

	for (const Payment *payment = order ? order->newest : NULL;
		 payment != NULL; payment = payment->older)
	{
		if (payment->executions > 0)
			return true;
	}
	return false;
}

/*
 * Reads what the browser would have asked for; order_id, if given, goes
 * before the object's own.  NULL, or the name of the member that is wrong.
 */
static const char *
read_payment(const JsonDoc *doc, const JsonNode *object,
			 const char *order_id, PaymentRequest *request)
{
	const JsonNode *amount = sim_json_member(doc, object, "amount");
	const char *mid = sim_json_string(doc, object, "mid", NULL);

	request->key = sim_json_string(doc, object, "paymentKey", NULL);
	request->order_id = order_id ? order_id :
		sim_json_string(doc, object, "orderId", "");
	request->order_name = sim_json_string(doc, object, "orderName",
										  "테스트 상품");
	request->currency = sim_json_string(doc, object, "currency", "KRW");
	request->method = sim_method_find(sim_json_string(doc, object, "method",
													  "카드"));
	request->mid = mid ? sim_api_key_mid(mid) : sim_api_key_default()->mid;
	if (request->key != NULL && !valid_key(request->key))
		return "paymentKey";
	if (!sim_order_id_valid(request->order_id))
		return "orderId";
	if (amount == NULL ||
		(amount->kind != JSON_NUMBER && amount->kind != JSON_STRING) ||
		amount->length == 0 ||
		!sim_amount_parse(amount->text, amount->length, &request->amount) ||
		request->amount <= 0)
		return "amount";
	if (strlen(request->currency) != 3)
		return "currency";
	if (request->method == NULL)
		return "method";
	if (request->mid == NULL)
		return "mid";
	return NULL;
}

static void
write_made(Text *out, const Payment *payment)
{
	sim_text_add(out, "{\"paymentKey\":");
	sim_text_add_json(out, payment->key);
	sim_text_add(out, ",\"orderId\":");
	sim_text_add_json(out, payment->order->id);
	sim_text_add(out, ",\"amount\":");
	sim_amount_write(out, payment->amount);
	sim_text_add(out, "}");
}

/* Creates one payment; NULL and an answered problem if it cannot be. */
static Payment *
make_payment(Call *call, const JsonNode *object, const char *order_id,
			 bool authenticate, int *status)
{
	PaymentRequest request;
	const char *wrong = read_payment(&call->json, object, order_id,
									 &request);
	Payment    *payment;

	if (wrong != NULL)
	{
		*status = bad_value(call, wrong);
		return NULL;
	}
	if (request.key != NULL && sim_payment_find(request.key) != NULL)
	{
		*status = problem(call, 409, "DUPLICATED_PAYMENT_KEY",
						  "the payment key is taken");
		return NULL;
	}
	if (!sim_settings.duplicate_order && has_approved(request.order_id))
	{
		*status = problem(call, 400, "DUPLICATED_ORDER_ID",
						  "the order was already paid");
		return NULL;
	}
	payment = sim_payment_create(&request);
	if (authenticate)
		sim_payment_authenticate(payment);
	return payment;
}

static int
create(Call *call, bool authenticate)
{
	int			status = 200;
	Payment    *payment = make_payment(call, &call->json.nodes[0], NULL,
									   authenticate, &status);

	if (payment == NULL)
		return status;
	write_made(&call->out, payment);
	sim_text_add(&call->out, "\n");
	return 200;
}

static int
run_pay(Call *call)
{
	return create(call, true);
}

static int
run_create(Call *call)
{
	return create(call, false);
}

/*
 * Many payments in one call: {"orderIds":[...], "amount":...} with one
 * amount for all, or {"payments":[{...}, ...]}.
 */
static int
run_bulk(Call *call)
{
	const JsonNode *root = &call->json.nodes[0];
	const JsonNode *ids = sim_json_member(&call->json, root, "orderIds");
	const JsonNode *list = sim_json_member(&call->json, root, "payments");
	const JsonNode *from = ids ? ids : list;
	bool		first = true;
	int			status = 400;

	if (from == NULL || from->kind != JSON_ARRAY)
		return bad_value(call, "orderIds or payments");
	sim_text_add(&call->out, "{\"payments\":[");
	for (const JsonNode *node = sim_json_first(&call->json, from);
		 node != NULL; node = sim_json_next(&call->json, node))
	{
		Payment    *payment;

		if (node->kind != (ids ? JSON_STRING : JSON_OBJECT))
			return bad_value(call, ids ? "orderIds" : "payments");
		payment = make_payment(call, ids ? root : node,
							   ids ? node->text : NULL, true, &status);
		if (payment == NULL)
			return status;
		sim_text_add(&call->out, first ? "" : ",\n");
		write_made(&call->out, payment);
		first = false;
	}
	sim_text_add(&call->out, "]}\n");
	return 200;
}

/* The payment named in the body; NULL and an answered problem otherwise. */
static Payment *
named_payment(Call *call, int *status)
{
	const char *key = sim_json_string(&call->json, &call->json.nodes[0],
									  "paymentKey", NULL);
	Payment    *payment = key ? sim_payment_find(key) : NULL;

	if (key == NULL)
		*status = bad_value(call, "paymentKey");
	else if (payment == NULL)
		*status = problem(call, 404, "NOT_FOUND_PAYMENT",
						  "there is no such payment");
	return payment;
}

static int
wrong_state(Call *call, Payment *payment)
{
	return problem(call, 409, "WRONG_STATE",
				   sim_status_name(sim_payment_status(payment)));
}

static int
show(Call *call, Payment *payment)
{
	sim_payment_status(payment);
	sim_payment_write(&call->out, payment, payment->version_count - 1, NULL);
	sim_text_add(&call->out, "\n");
	return 200;
}

static int
run_authenticate(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);

	if (payment == NULL)
		return status;
	if (sim_payment_status(payment) != STATUS_READY || payment->abandoned)
		return wrong_state(call, payment);
	sim_payment_authenticate(payment);
	return show(call, payment);
}

/* The buyer closes the window: no state changes, but he will not be back. */
static int
run_abandon(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);

	if (payment == NULL)
		return status;
	payment->abandoned = true;
	sim_text_add(&call->out, "{\"code\":\"PAY_PROCESS_CANCELED\",\"message\":"
				 "\"사용자에 의해 결제가 취소되었습니다.\"}\n");
	return 200;
}

/* The payment fails in the window; answers what the fail URL would carry. */
static int
run_fail(Call *call)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);
	const Code *code = sim_code_find(sim_json_string(&call->json,
													 &call->json.nodes[0],
													 "code",
													 "PAY_PROCESS_ABORTED"));
	Status		state;

	if (payment == NULL)
		return status;
	if (code == NULL)
		return bad_value(call, "code");
	state = sim_payment_status(payment);
	if (state != STATUS_READY && state != STATUS_IN_PROGRESS)
		return wrong_state(call, payment);
	sim_payment_add_version(payment, STATUS_ABORTED, sim_clock_now(), code);
	sim_text_format(&call->out, "{\"code\":\"%s\",\"message\":", code->name);
	sim_text_add_json(&call->out, code->message);
	sim_text_format(&call->out, ",\"orderId\":\"%s\"}\n", payment->order->id);
	return 200;
}

static int
deposit(Call *call, Status from, Status to, const char *kind)
{
	int			status = 404;
	Payment    *payment = named_payment(call, &status);

	if (payment == NULL)
		return status;
	if (sim_payment_status(payment) != from ||
		!sim_method_is_deposit(payment->method) ||
		payment->versions[payment->version_count - 1].account_expired)
		return wrong_state(call, payment);
	sim_payment_add_version(payment, to, sim_clock_now(), NULL);
	sim_journal_add(kind, payment, NULL, NULL, NULL);
	return show(call, payment);
}

static int
run_deposit(Call *call)
{
	return deposit(call, STATUS_WAITING_FOR_DEPOSIT, STATUS_DONE, "deposit");
}

static int
run_deposit_error(Call *call)
{
	return deposit(call, STATUS_DONE, STATUS_WAITING_FOR_DEPOSIT,
				   "deposit-error");
}

static int
run_payment(Call *call)
{
	Payment    *payment = sim_payment_find(call->argument);

	if (payment == NULL)
		return problem(call, 404, "NOT_FOUND_PAYMENT",
					   "there is no such payment");
	return show(call, payment);
}

static int
ok(Call *call)
{
	sim_text_add(&call->out, "{\"ok\":true}\n");
	return 200;
}

static int
run_fault(Call *call)
{
	const char *wrong = sim_fault_add(&call->json);

	return wrong ? bad_value(call, wrong) : ok(call);
}

static int
run_faults(Call *call)
{
	sim_fault_write(&call->out);
	return 200;
}

static int
run_faults_clear(Call *call)
{
	sim_fault_clear();
	sim_settings.random_rate = 0;
	return ok(call);
}

static int
run_release(Call *call)
{
	sim_text_format(&call->out, "{\"released\":%zu}\n",
					sim_delay_release(true));
	return 200;
}

static int
show_settings(Call *call)
{
	sim_settings_write(&call->out);
	sim_text_add(&call->out, "\n");
	return 200;
}

static int
run_settings(Call *call)
{
	const char *wrong = sim_settings_apply(&call->json);

	return wrong ? bad_value(call, wrong) : show_settings(call);
}

static int
show_clock(Call *call)
{
	sim_text_add(&call->out, "{\"now\":");
	sim_clock_write(&call->out, sim_clock_now());
	sim_text_format(&call->out, ",\"timeUs\":%lld,\"advanced\":%lld}\n",
					(long long) sim_clock_now(),
					(long long) sim_clock_offset());
	return 200;
}

/* The clock only goes forward, as everything that expired stays expired. */
static int
run_clock(Call *call)
{
	int64_t		seconds;

	if (!sim_json_int(&call->json, &call->json.nodes[0], "advance",
					  &seconds) ||
		seconds < 0 || seconds > INT64_C(10000000000))
		return bad_value(call, "advance");
	sim_clock_advance(seconds);
	return show_clock(call);
}

static int
run_journal(Call *call)
{
	sim_journal_write(&call->out);
	return 200;
}

static int
run_requests(Call *call)
{
	sim_request_log_write(&call->out);
	return 200;
}

static int
run_summary(Call *call)
{
	const char *orders = MHD_lookup_connection_value(call->connection,
													 MHD_GET_ARGUMENT_KIND,
													 "orders");

	sim_journal_summary(&call->out, orders == NULL || *orders != '0');
	return 200;
}

static int
run_codes(Call *call)
{
	const Code *code;

	sim_text_add(&call->out, "[");
	for (size_t i = 0; (code = sim_code_at(i)) != NULL; i++)
		sim_text_format(&call->out, "%s{\"status\":%d,\"code\":\"%s\"}",
						i ? ",\n" : "", code->status, code->name);
	sim_text_add(&call->out, "]\n");
	return 200;
}

static int
run_health(Call *call)
{
	sim_text_format(&call->out, "{\"ok\":true,\"waiting\":%zu,"
					"\"idempotencyKeys\":%zu}\n", sim_delay_waiting(),
					sim_idempotent_count());
	return 200;
}

/* Forgets everything but the API keys; refused while requests wait. */
static int
run_reset(Call *call)
{
	if (sim_api_unfinished() > 0)
		return problem(call, 409, "BUSY", "requests are waiting: "
					   "release them or let them end");
	sim_fault_clear();
	sim_journal_reset(true);
	sim_request_log_reset(true);
	sim_idempotent_reset();
	sim_payment_reset();
	sim_settings_reset();
	sim_clock_advance(-sim_clock_offset());
	return ok(call);
}

static const Handler handlers[] = {
	{"POST", "/pay", run_pay, false},
	{"POST", "/pay/bulk", run_bulk, false},
	{"POST", "/create", run_create, false},
	{"POST", "/authenticate", run_authenticate, false},
	{"POST", "/abandon", run_abandon, false},
	{"POST", "/fail", run_fail, false},
	{"POST", "/deposit", run_deposit, false},
	{"POST", "/deposit-error", run_deposit_error, false},
	{"POST", "/fault", run_fault, false},
	{"GET", "/faults", run_faults, false},
	{"POST", "/faults/clear", run_faults_clear, false},
	{"POST", "/release", run_release, true},
	{"POST", "/settings", run_settings, false},
	{"GET", "/settings", show_settings, false},
	{"POST", "/clock", run_clock, false},
	{"GET", "/clock", show_clock, false},
	{"GET", "/journal", run_journal, false},
	{"GET", "/requests", run_requests, false},
	{"GET", "/summary", run_summary, false},
	{"GET", "/payments/", run_payment, false},
	{"GET", "/codes", run_codes, false},
	{"POST", "/reset", run_reset, false},
	{"GET", "/health", run_health, false},
};

/* Finds and runs the handler; an empty POST body counts as {}. */
static int
dispatch(Call *call, const char *method, const char *path)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
	{
		const Handler *handler = &handlers[i];
		size_t		length = strlen(handler->path);
		bool		rest = handler->path[length - 1] == '/';
		int			status;

		if (strcmp(handler->method, method) != 0 ||
			strncmp(handler->path, path, length) != 0 ||
			(!rest && path[length] != '\0'))
			continue;
		if (call->body.length == 0)
			sim_text_add(&call->body, "{}");
		if (!sim_json_parse(&call->json, call->body.data, call->body.length))
			return problem(call, 400, "INVALID_JSON",
						   "the body is not valid JSON");
		call->argument = path + length;
		if (handler->unlocked)
			return handler->run(call);
		sim_lock();
		status = handler->run(call);
		sim_unlock();
		return status;
	}
	return problem(call, 404, "NOT_FOUND", "there is no such call");
}

static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *path,
	   const char *method, const char *version, const char *data,
	   size_t *size, void **context)
{
	Call	   *call = *context;
	struct MHD_Response *response;
	enum MHD_Result result;
	int			status;

	if (call == NULL)
	{
		call = sim_alloc(sizeof(Call));
		call->connection = connection;
		*context = call;
		return MHD_YES;
	}
	if (*size > 0)
	{
		if (call->body.length + *size > MAX_BODY)
			return MHD_NO;
		sim_text_add_bytes(&call->body, data, *size);
		*size = 0;
		return MHD_YES;
	}

	status = dispatch(call, method, path);
	sim_text_add(&call->out, "");
	response = MHD_create_response_from_buffer(call->out.length,
											   call->out.data,
											   MHD_RESPMEM_MUST_FREE);
	memset(&call->out, 0, sizeof(call->out));
	MHD_add_response_header(response, "Content-Type", "application/json");
	result = MHD_queue_response(connection, (unsigned) status, response);
	MHD_destroy_response(response);
	return result;
}

static void
notify_completed(void *cls, struct MHD_Connection *connection,
				 void **context, enum MHD_RequestTerminationCode code)
{
	Call	   *call = *context;

	if (call == NULL)
		return;
	sim_json_free(&call->json);
	sim_text_free(&call->body);
	sim_text_free(&call->out);
	free(call);
	*context = NULL;
}

/* Starts the control listener on 127.0.0.1; NULL if the port is taken. */
struct MHD_Daemon *
sim_control_start(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t) port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD,
							(uint16_t) port, NULL, NULL, handle, NULL,
							MHD_OPTION_SOCK_ADDR, &address,
							MHD_OPTION_NOTIFY_COMPLETED, notify_completed,
							NULL, MHD_OPTION_END);
}
