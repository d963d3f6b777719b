/*-------------------------------------------------------------------------
 *
 * control.c
 *	  The control interface: plain HTTP on the loopback address.
 *
 * It moves the clock, plans faults and shows the books; what it does in
 * place of the buyer's browser is in browser.c.  It has a listener of its
 * own, so that nothing of it can be reached through the public port.  One
 * const table holds the calls; each handler runs with the lock held, writes
 * JSON and returns an HTTP status.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include "control.h"

#define MAX_BODY (512u * 1024 * 1024)

typedef struct Handler
{
	const char *method;
	const char *path;			/* ends in '/': takes an argument */
	int			(*run) (Call *call);
	bool		unlocked;		/* takes the lock itself, or needs none */
} Handler;

/* Answers with an error instead of what was written; returns status. */
int
sim_control_problem(Call *call, int status, const char *code,
					const char *message)
{
	call->out.length = 0;
	sim_text_add(&call->out, "{\"code\":");
	sim_text_add_json(&call->out, code);
	sim_text_add(&call->out, ",\"message\":");
	sim_text_add_json(&call->out, message);
	sim_text_add(&call->out, "}\n");
	return status;
}

/* Answers that a member of the body is missing or wrong. */
int
sim_control_bad_value(Call *call, const char *name)
{
	return sim_control_problem(call, 400, "INVALID_REQUEST", name);
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

	return wrong ? sim_control_bad_value(call, wrong) : ok(call);
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

	return wrong ? sim_control_bad_value(call, wrong) : show_settings(call);
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
		return sim_control_bad_value(call, "advance");
	sim_clock_advance(seconds);
	sim_webhook_notice();
	return show_clock(call);
}

/* Connections that are open keep the one that they were made with. */
static int
run_certificate(Call *call)
{
	const char *kind = sim_json_string(&call->json, &call->json.nodes[0],
									   "kind", "");
	char	   *authority = NULL;
	const char *wrong = sim_tls_serve(kind, &authority);

	if (wrong != NULL)
		return sim_control_bad_value(call, wrong);
	sim_text_add(&call->out, "{\"authority\":");
	sim_text_add_json(&call->out, authority);
	sim_text_add(&call->out, "}\n");
	free(authority);
	return 200;
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
		return sim_control_problem(call, 409, "BUSY", "requests are waiting: "
								   "release them or let them end");
	sim_fault_clear();
	sim_journal_reset(true);
	sim_request_log_reset(true);
	sim_idempotent_reset();
	sim_transaction_reset();
	sim_webhook_reset();
	sim_payment_reset();
	sim_settings_reset();
	sim_clock_advance(-sim_clock_offset());
	return ok(call);
}

static const Handler handlers[] = {
	{"POST", "/pay", sim_browser_pay, false},
	{"POST", "/pay/bulk", sim_browser_bulk, false},
	{"POST", "/create", sim_browser_create, false},
	{"POST", "/authenticate", sim_browser_authenticate, false},
	{"POST", "/abandon", sim_browser_abandon, false},
	{"POST", "/fail", sim_browser_fail, false},
	{"POST", "/deposit", sim_browser_deposit, false},
	{"POST", "/deposit-error", sim_browser_deposit_error, false},
	{"POST", "/approve", sim_browser_approve, false},
	{"POST", "/cancel", sim_browser_cancel, false},
	{"POST", "/transaction", sim_transaction_add_raw, false},
	{"GET", "/webhooks", sim_webhook_list, false},
	{"POST", "/webhook", sim_webhook_add, false},
	{"POST", "/fault", run_fault, false},
	{"GET", "/faults", run_faults, false},
	{"POST", "/faults/clear", run_faults_clear, false},
	{"POST", "/release", run_release, true},
	{"POST", "/settings", run_settings, false},
	{"GET", "/settings", show_settings, false},
	{"POST", "/clock", run_clock, false},
	{"GET", "/clock", show_clock, false},
	{"POST", "/certificate", run_certificate, false},
	{"GET", "/journal", run_journal, false},
	{"GET", "/requests", run_requests, false},
	{"GET", "/summary", run_summary, false},
	{"GET", "/payments/", sim_browser_payment, false},
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
			return sim_control_problem(call, 400, "INVALID_JSON",
									   "the body is not valid JSON");
		call->argument = path + length;
		if (handler->unlocked)
			return handler->run(call);
		sim_lock();
		status = handler->run(call);
		sim_unlock();
		return status;
	}
	return sim_control_problem(call, 404, "NOT_FOUND", "there is no such call");
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
