/*-------------------------------------------------------------------------
 *
 * api.c
 *	  What a request of the public API means, from routing to the answer.
 *
 * The order of checks is: credentials, path, rate, length of the idempotency
 * key, stored answer, test code, fault, execution.  A request is worked on in
 * two steps, begin and finish, with an optional wait between them; normally
 * it is executed in the first, and the wait holds back a finished answer.
 * Until finish, the idempotency key is in flight and the payment is busy.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

#define MAX_IDEMPOTENCY_KEY 300

typedef struct Route
{
	const char *method;
	const char *path;			/* ends in '/': the argument follows */
	const char *suffix;			/* what comes behind the argument */
	Operation	operation;
	size_t		argument;		/* where the argument goes */
} Route;

static const Route routes[] = {
	{"POST", "/v1/payments/confirm", "", OPERATION_CONFIRM, 0},
	{"POST", "/v1/payments/", "/cancel", OPERATION_CANCEL,
	offsetof(Request, payment_key)},
	{"GET", "/v1/payments/orders/", "", OPERATION_QUERY,
	offsetof(Request, order_id)},
	{"GET", "/v1/payments/", "", OPERATION_QUERY,
	offsetof(Request, payment_key)},
	{"GET", "/v1/transactions", "", OPERATION_TRANSACTIONS, 0},
};

static int	unfinished;

Answer
sim_answer_code(const char *name)
{
	return (Answer) {.code = sim_code_find(name)};
}

/* The present state of a payment. */
Answer
sim_answer_payment(const Payment *payment)
{
	return (Answer) {.payment = payment,.version = payment->version_count - 1};
}

/*
 * Does the path fit the route?  Where the argument begins, and how long it is.
 */
static bool
fits_route(const Route *route, const char *path, const char **argument,
		   size_t *argument_length)
{
	size_t		length = strlen(route->path);
	size_t		suffix = strlen(route->suffix);
	size_t		rest;

	if (strncmp(path, route->path, length) != 0)
		return false;
	*argument = path + length;
	rest = strlen(*argument);
	if (route->path[length - 1] != '/')
		return rest == 0;
	if (rest < suffix || strcmp(*argument + rest - suffix, route->suffix) != 0)
		return false;
	*argument_length = rest - suffix;
	return memchr(*argument, '/', *argument_length) == NULL;
}

/* Decodes %XX; NULL if the text is malformed, empty or has a NUL. */
char *
sim_decode_percent(const char *text)
{
	char	   *result = sim_copy(text, strlen(text));
	char	   *out = result;

	for (; *text != '\0'; text++)
	{
		unsigned	code = (unsigned char) *text;

		if (code == '%')
		{
			char		digits[3] = {text[1], text[1] ? text[2] : '\0', '\0'};

			if (strspn(digits, "0123456789abcdefABCDEF") != 2)
				break;
			code = (unsigned) strtoul(digits, NULL, 16);
			text += 2;
		}
		if (code == 0)
			break;
		*out++ = (char) code;
	}
	*out = '\0';
	if (*text == '\0' && *result != '\0')
		return result;
	free(result);
	return NULL;
}

/* Finds the operation and its argument; the error, or NULL. */
static const char *
find_route(Request *request)
{
	const char *problem = "NOT_FOUND";

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
	{
		const Route *route = &routes[i];
		const char *encoded;
		size_t		length = 0;
		char	   *text;
		char	   *argument;

		if (!fits_route(route, request->path, &encoded, &length))
			continue;
		if (strcmp(request->method, route->method) != 0)
		{
			problem = "NOT_FOUND_HTTP_METHOD";
			continue;
		}
		request->operation = route->operation;
		if (route->argument == 0)
			return NULL;
		text = sim_copy(encoded, length);
		argument = sim_decode_percent(text);
		free(text);
		if (argument == NULL)
			return "INVALID_REQUEST";
		*(char **) ((char *) request + route->argument) = argument;
		return NULL;
	}
	return problem;
}

/* Counts the request against its key's limit per minute, if one is set. */
static bool
within_rate(ApiKey *key)
{
	int64_t		minute = sim_clock_now() / (60 * SECOND);

	if (key->minute != minute)
	{
		key->minute = minute;
		key->requests_in_minute = 0;
	}
	key->requests_in_minute++;
	return sim_settings.requests_per_minute == 0 ||
		key->requests_in_minute <= sim_settings.requests_per_minute;
}

/* Everything that is refused before the idempotency store is asked. */
static const Code *
check_request(Request *request)
{
	const Code *code = sim_api_key_check(request->authorization,
										 &request->api_key);
	const char *problem;

	if (code != NULL)
		return code;
	problem = find_route(request);
	if (problem == NULL && request->body_too_large)
		problem = "PAYLOAD_TOO_LARGE";
	if (problem == NULL && !within_rate(request->api_key))
		problem = "TOO_MANY_REQUESTS";
	if (strcmp(request->method, "POST") != 0)
		request->idempotency_key = NULL;
	if (problem == NULL && request->idempotency_key != NULL &&
		strlen(request->idempotency_key) > MAX_IDEMPOTENCY_KEY)
		problem = "INVALID_IDEMPOTENCY_KEY";
	return problem ? sim_code_find(problem) : NULL;
}

/* Answers from the store; false if the key is new. */
static bool
replay(Request *request)
{
	Idempotent *entry;

	if (request->idempotency_key == NULL)
		return false;
	entry = sim_idempotent_find(request->api_key, request->method,
								request->path, request->idempotency_key);
	if (entry == NULL)
		return false;
	if (entry->in_flight)
	{
		request->answer = sim_answer_code("IDEMPOTENT_REQUEST_PROCESSING");
		request->done = "in flight";
		return true;
	}
	request->answer = entry->answer;
	memcpy(request->original_trace, entry->trace, sizeof(entry->trace));
	request->replayed = true;
	request->done = "replayed";
	return true;
}

/* The key's answer is lost: what was a replay is a new request. */
static void
forget(Request *request)
{
	sim_idempotent_forget(request->api_key, request->method, request->path,
						  request->idempotency_key);
	request->answer = (Answer) {0};
	request->original_trace[0] = '\0';
	request->replayed = false;
	request->done = NULL;
}

/* Does what the request asks, as far as the fault lets it. */
static void
execute(Request *request)
{
	const Fault *fault = &request->fault;

	if (request->operation == OPERATION_QUERY)
		request->answer = sim_query_execute(request);
	else if (request->operation == OPERATION_TRANSACTIONS)
		request->answer = sim_transactions_execute(request);
	else if (request->operation == OPERATION_CANCEL &&
			 (fault->kind == NULL || fault->after == AFTER_DONE ||
			  fault->after == AFTER_LATE))
		request->answer = sim_cancel_execute(request);
	else if (request->operation == OPERATION_CONFIRM &&
			 fault->kind != NULL && fault->after == AFTER_ABORTED)
	{
		Payment    *payment;

		sim_confirm_abort(request, fault->code);
		payment = request->payment_key ?
			sim_payment_find(request->payment_key) : NULL;
		request->answer = payment ? sim_answer_payment(payment) :
			sim_answer_code("NOT_FOUND_PAYMENT_SESSION");
	}
	else if (fault->kind != NULL && (fault->after == AFTER_UNCHANGED ||
									 fault->after == AFTER_ABORTED))
	{
		Payment    *payment = request->payment_key ?
		sim_payment_find(request->payment_key) : NULL;

		request->answer = payment ? sim_answer_payment(payment) :
			sim_answer_code("NOT_FOUND_PAYMENT_SESSION");
		request->done = "not executed";
	}
	else
		request->answer = sim_confirm_execute(request);

	if (request->form == FORM_REFUSE)
		request->answer = (Answer) {.code = fault->code};
}

/* How long the answer waits: the fault's delay and everybody's. */
static int64_t
wait_time(const Request *request)
{
	int64_t		wait = sim_settings.delay_ms;

	if (sim_settings.delay_jitter_ms > 0)
		wait += (int64_t) (sim_random() %
						   (uint64_t) (sim_settings.delay_jitter_ms + 1));
	if (request->fault.kind == NULL || request->form == FORM_LAG ||
		request->form == FORM_DRIP)
		return wait;
	return request->fault.delay_ms < 0 ? -1 : wait + request->fault.delay_ms;
}

static bool
moves_money(const Request *request)
{
	return request->operation == OPERATION_CONFIRM ||
		request->operation == OPERATION_CANCEL;
}

/*
 * Takes the fault for the request and decides what it means: whether
 * the request reaches the API at all, and whether it is executed late.
 */
static bool
take_fault(Request *request, bool known)
{
	bool		reached = true;
	Fault	   *fault = &request->fault;

	if (!sim_fault_take(request->operation, request->payment_key,
						request->order_id,
						request->request_on_connection > 1,
						known, fault))
		return true;
	request->form = fault->kind->form;
	if (fault->after == AFTER_UNCHANGED && request->form != FORM_REFUSE)
	{
		/* Lost on the way: no trace in the idempotency store. */
		reached = !moves_money(request);
		if (request->form == FORM_NORMAL)
			request->form = FORM_RESET;
	}
	request->execute_late = fault->after == AFTER_LATE;
	return reached;
}

/* The part of begin after the request was found to be well-formed. */
static void
work_on(Request *request)
{
	bool		known = replay(request);
	bool		reached;
	Payment    *payment;

	if (request->operation == OPERATION_CONFIRM)
		sim_confirm_read(request);
	else if (request->operation == OPERATION_CANCEL)
		sim_cancel_read(request);
	else if (request->operation == OPERATION_QUERY)
		sim_query_find(request);

	if (!known && request->test_code != NULL && request->api_key->is_test &&
		sim_settings.test_codes)
	{
		request->answer = sim_answer_code(request->test_code);
		if (request->answer.code == NULL)
			request->answer = sim_answer_code("INVALID_TEST_CODE");
		request->done = "test code";
		reached = known = true;
		if (request->idempotency_key != NULL)
			request->idempotent =
				sim_idempotent_add(request->api_key, request->method,
								   request->path, request->idempotency_key,
								   request->trace);
	}
	else
		reached = take_fault(request, known);
	if (request->fault.anew && request->replayed)
	{
		forget(request);
		known = false;
	}
	request->wait_ms = wait_time(request);
	if (known)
	{
		request->execute_late = false;
		return;
	}

	if (reached && request->idempotency_key != NULL)
		request->idempotent =
			sim_idempotent_add(request->api_key, request->method,
							   request->path, request->idempotency_key,
							   request->trace);
	if (sim_settings.execute_late && request->wait_ms != 0 &&
		request->fault.kind == NULL)
		request->execute_late = true;
	if (!request->execute_late)
		execute(request);

	/* While the answer waits, nobody else can move this payment. */
	payment = moves_money(request) && request->wait_ms != 0 && reached && request->payment_key ?
		sim_payment_find(request->payment_key) : NULL;
	if (payment != NULL)
	{
		payment->busy++;
		request->busy = payment;
	}
}

/* The HTTP status that the client will see, 0 for none. */
static int
wire_status(const Request *request)
{
	switch (request->form)
	{
		case FORM_RESET:
		case FORM_CLOSE:
			return 0;
		case FORM_HTML502:
			return 502;
		case FORM_REDIRECT:
			return 301;
		case FORM_GARBAGE:
		case FORM_EMPTY:
		case FORM_DEEP:
		case FORM_BARE:
			return 200;
		default:
			return request->answer.code ? request->answer.code->status : 200;
	}
}

/*
 * Writes the body of the answer, distorted if the fault is of that kind.
 * This happens under the lock, so that nobody needs a payment after finish.
 */
static void
write_body(Request *request)
{
	const Answer *answer = &request->answer;

	if (answer->code != NULL)
		sim_code_write(&request->answer_body, answer->code);
	else if (answer->payment != NULL)
		sim_payment_write(&request->answer_body, answer->payment,
						  answer->version, request->form == FORM_DISTORT ?
						  &request->fault.kind->distortion : NULL);
	else if (request->operation == OPERATION_TRANSACTIONS)
		sim_transactions_write(&request->answer_body, request);
}

static void
finish(Request *request)
{
	RequestRecord *record = sim_request_log_find(request->log_sequence);

	if (request->busy != NULL)
		request->busy->busy--;
	request->busy = NULL;
	if (request->execute_late)
		execute(request);
	request->execute_late = false;
	if (request->idempotent != NULL)
		sim_idempotent_finish(request->idempotent, &request->answer);
	request->idempotent = NULL;
	write_body(request);

	if (record == NULL)
		return;
	record->status = wire_status(request);
	snprintf(record->done, sizeof(record->done), "%s%s%s",
			 request->done ? request->done :
			 request->answer.code ? "refused" : "answered",
			 request->fault.kind ? ", " : "",
			 request->fault.kind ? request->fault.kind->name : "");
	sim_request_log_finish(record);
}

/*
 * First step: decides everything and, unless it is to be late, executes.
 * When wait_ms is 0 the request is finished too; otherwise the caller waits
 * and calls sim_api_finish.
 */
void
sim_api_begin(Request *request)
{
	RequestRecord *record;
	const Code *code;

	sim_lock();
	sim_trace_id(request->trace);
	record = sim_request_log_add(request->method, request->path,
								 request->idempotency_key,
								 request->body.data, request->body.length);
	if (record != NULL)
	{
		record->received_at = request->received_at;
		record->connection = request->connection_number;
		record->request_on_connection = request->request_on_connection;
		memcpy(record->trace, request->trace, sizeof(record->trace));
		strcpy(record->done, "waiting");
		request->log_sequence = record->sequence;
	}

	code = check_request(request);
	if (sim_settings.down)
	{
		request->form = FORM_RESET;
		request->done = "down";
	}
	else if (code != NULL)
	{
		request->answer = (Answer) {.code = code};
		request->wait_ms = wait_time(request);
	}
	else
		work_on(request);
	if (request->wait_ms == 0)
		finish(request);
	else
		unfinished++;
	sim_unlock();
}

/* Second step, after the wait. */
void
sim_api_finish(Request *request)
{
	sim_lock();
	finish(request);
	unfinished--;
	sim_unlock();
}

/* Requests between begin and finish; the lock must be held. */
int
sim_api_unfinished(void)
{
	return unfinished;
}

/* Frees what a request owns. */
void
sim_api_release(Request *request)
{
	free(request->path);
	free(request->payment_key);
	free(request->order_id);
	free(request->list.start_date);
	free(request->list.end_date);
	free(request->list.starting_after);
	free(request->list.limit);
	sim_json_free(&request->json);
	sim_text_free(&request->body);
	sim_text_free(&request->answer_body);
}
