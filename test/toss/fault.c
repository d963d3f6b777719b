/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Which request goes wrong, and how.
 *
 * Owns the list of faults that were asked for and the const table of their
 * kinds.  A fault is taken, and its count used up, by a request that matches
 * it; the oldest matching fault wins, and random faults come last.  A
 * refusal decides what the API answers and is not taken by a replay, which
 * cannot be refused; every other kind happens on the wire and can be.  A fault
 * that answers anew waits for a replay, and makes a new request of it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

typedef struct Planned
{
	struct Planned *next;
	Operation	operation;		/* NONE: any */
	char	   *payment_key;	/* both NULL: any request */
	char	   *order_id;
	bool		reused_only;
	int64_t		count;
	Fault		fault;
} Planned;

static const FaultKind kinds[] = {
	{.name = "refuse",.form = FORM_REFUSE,.after = AFTER_UNCHANGED},
	{.name = "reset-before",.form = FORM_RESET,.after = AFTER_UNCHANGED,
	.after_fixed = true},
	{.name = "reset-after",.form = FORM_RESET,.after = AFTER_DONE,
	.after_fixed = true},
	{.name = "close",.form = FORM_CLOSE,.after = AFTER_DONE},
	{.name = "close-reused",.form = FORM_CLOSE,.after = AFTER_DONE,
	.reused_only = true},
	{.name = "hang",.form = FORM_NORMAL,.after = AFTER_DONE,.hangs = true},
	{.name = "slow",.form = FORM_NORMAL,.after = AFTER_DONE,.delay_ms = 1000},
	{.name = "plain",.form = FORM_NORMAL,.after = AFTER_DONE},
	{.name = "drip",.form = FORM_DRIP,.after = AFTER_DONE},
	{.name = "cut",.form = FORM_CUT,.after = AFTER_DONE},
	{.name = "garbage",.form = FORM_GARBAGE,.after = AFTER_DONE},
	{.name = "empty",.form = FORM_EMPTY,.after = AFTER_DONE},
	{.name = "html502",.form = FORM_HTML502,.after = AFTER_UNCHANGED},
	{.name = "content-type",.form = FORM_CONTENT_TYPE,.after = AFTER_DONE},
	{.name = "redirect",.form = FORM_REDIRECT,.after = AFTER_UNCHANGED},
	{.name = "oversize",.form = FORM_OVERSIZE,.after = AFTER_DONE},
	{.name = "deep",.form = FORM_DEEP,.after = AFTER_DONE},
	{.name = "bare",.form = FORM_BARE,.after = AFTER_DONE},
	{.name = "wrong-amount",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.amount = true}},
	{.name = "wrong-order",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.order = true}},
	{.name = "wrong-key",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.key = true}},
	{.name = "wrong-currency",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.currency = true}},
	{.name = "unknown-status",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.status = true}},
	{.name = "canceled",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.canceled = true}},
	{.name = "unknown-fields",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.unknown_fields = true}},
	{.name = "duplicate-keys",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.duplicate_keys = true}},
	{.name = "no-cancel",.form = FORM_DISTORT,.after = AFTER_DONE,
	.distortion = {.cancels = true}},
	{.name = "lag",.form = FORM_LAG,.after = AFTER_DONE,.delay_ms = 1000},
};

typedef struct NamedAfter
{
	const char *name;
	After		after;
} NamedAfter;

typedef struct NamedOperation
{
	const char *name;
	Operation	operation;
} NamedOperation;

static const NamedAfter afters[] = {
	{"unchanged", AFTER_UNCHANGED},
	{"aborted", AFTER_ABORTED},
	{"done", AFTER_DONE},
	{"late", AFTER_LATE},
};

static const NamedOperation operations[] = {
	{"any", OPERATION_NONE},
	{"confirm", OPERATION_CONFIRM},
	{"query", OPERATION_QUERY},
	{"cancel", OPERATION_CANCEL},
	{"transactions", OPERATION_TRANSACTIONS},
};

static Planned *planned;

const FaultKind *
sim_fault_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* Enumerates the kinds; NULL past the end. */
const FaultKind *
sim_fault_kind_at(size_t position)
{
	if (position >= sizeof(kinds) / sizeof(kinds[0]))
		return NULL;
	return &kinds[position];
}

static bool
find_after(const char *name, After *after)
{
	for (size_t i = 0; i < sizeof(afters) / sizeof(afters[0]); i++)
	{
		if (strcmp(afters[i].name, name) == 0)
		{
			*after = afters[i].after;
			return true;
		}
	}
	return false;
}

static bool
find_operation(const char *name, Operation *operation)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
	{
		if (strcmp(operations[i].name, name) == 0)
		{
			*operation = operations[i].operation;
			return true;
		}
	}
	return false;
}

/* Fills what a fault of this kind does unless told otherwise. */
static void
fault_init(Fault *fault, const FaultKind *kind)
{
	fault->kind = kind;
	fault->code = sim_code_find("PROVIDER_ERROR");
	fault->after = kind->after;
	fault->delay_ms = kind->hangs ? -1 : kind->delay_ms;
}

static void
planned_free(Planned *plan)
{
	free(plan->payment_key);
	free(plan->order_id);
	free(plan);
}

/* Reads one fault into plan; NULL, or the name of what is wrong. */
static const char *
read_fault(const JsonDoc *doc, Planned *plan)
{
	const JsonNode *body = &doc->nodes[0];
	const JsonNode *any = sim_json_member(doc, body, "any");
	const JsonNode *reused = sim_json_member(doc, body, "reused");
	const JsonNode *anew = sim_json_member(doc, body, "anew");
	const FaultKind *kind;
	const char *text;

	kind = sim_fault_kind(sim_json_string(doc, body, "kind", ""));
	if (kind == NULL)
		return "kind";
	fault_init(&plan->fault, kind);
	if (!find_operation(sim_json_string(doc, body, "on", "any"),
						&plan->operation))
		return "on";
	text = sim_json_string(doc, body, "after", NULL);
	if (text != NULL && (kind->after_fixed ||
						 !find_after(text, &plan->fault.after)))
		return "after";
	text = sim_json_string(doc, body, "code", NULL);
	if (text != NULL)
		plan->fault.code = sim_code_find(text);
	if (plan->fault.code == NULL)
		return "code";
	sim_json_int(doc, body, "delayMs", &plan->fault.delay_ms);
	plan->count = 1;
	sim_json_int(doc, body, "count", &plan->count);
	if (plan->count < 1)
		return "count";
	plan->reused_only = kind->reused_only ||
		(reused != NULL && reused->kind == JSON_TRUE);
	plan->fault.anew = anew != NULL && anew->kind == JSON_TRUE;

	text = sim_json_string(doc, body, "paymentKey", NULL);
	plan->payment_key = text ? sim_copy(text, strlen(text)) : NULL;
	text = sim_json_string(doc, body, "orderId", NULL);
	plan->order_id = text ? sim_copy(text, strlen(text)) : NULL;
	if (plan->payment_key == NULL && plan->order_id == NULL &&
		(any == NULL || any->kind != JSON_TRUE))
		return "orderId, paymentKey or any";
	return NULL;
}

/* Plans the fault in the body; NULL, or the name of what is wrong. */
const char *
sim_fault_add(const JsonDoc *doc)
{
	Planned    *plan = sim_alloc(sizeof(Planned));
	const char *problem = read_fault(doc, plan);
	Planned   **last = &planned;

	if (problem != NULL)
	{
		planned_free(plan);
		return problem;
	}
	while (*last != NULL)
		last = &(*last)->next;
	*last = plan;
	return NULL;
}

void
sim_fault_clear(void)
{
	while (planned != NULL)
	{
		Planned    *plan = planned;

		planned = plan->next;
		planned_free(plan);
	}
}

static bool
matches(const char *wanted, const char *actual)
{
	return wanted == NULL || (actual != NULL && strcmp(wanted, actual) == 0);
}

/* "Any" is any request about a payment: lists are struck by name only. */
static bool
strikes(Operation wanted, Operation operation)
{
	return wanted == operation ||
		(wanted == OPERATION_NONE && operation != OPERATION_TRANSACTIONS);
}

/* Draws a random fault; always uses the same number of draws. */
static bool
take_random(Operation operation, bool reused_connection, bool replay,
			Fault *fault)
{
	Settings   *s = &sim_settings;
	Operation	on = OPERATION_NONE;
	uint64_t	luck;
	uint64_t	which;
	uint64_t	side;

	if (s->random_rate <= 0)
		return false;
	luck = sim_random_next(&s->random_state) >> 11;
	which = sim_random_next(&s->random_state);
	side = sim_random_next(&s->random_state);
	find_operation(s->random_on, &on);
	if (!strikes(on, operation) ||
		(double) luck >= s->random_rate * 9007199254740992.0)
		return false;

	fault_init(fault, s->random_kinds[which %
									  (uint64_t) s->random_kind_count]);
	if ((fault->kind->form == FORM_REFUSE && replay) ||
		(fault->kind->reused_only && !reused_connection))
		return false;
	fault->code = sim_code_find(s->random_code);
	if (s->random_delay_ms > 0)
		fault->delay_ms = s->random_delay_ms;
	if (!fault->kind->after_fixed && strcmp(s->random_after, "random") == 0)
		fault->after = side & 1024 ? AFTER_DONE : AFTER_UNCHANGED;
	else if (!fault->kind->after_fixed)
		find_after(s->random_after, &fault->after);
	return true;
}

/*
 * Takes the fault that applies to a request, if any; the lock must be held.
 */
bool
sim_fault_take(Operation operation, const char *payment_key,
			   const char *order_id, bool reused_connection, bool replay,
			   Fault *fault)
{
	for (Planned **link = &planned; *link != NULL; link = &(*link)->next)
	{
		Planned    *plan = *link;

		if (!strikes(plan->operation, operation) ||
			!matches(plan->payment_key, payment_key) ||
			!matches(plan->order_id, order_id) ||
			(plan->reused_only && !reused_connection) ||
			(plan->fault.kind->form == FORM_REFUSE && replay &&
			 !plan->fault.anew) ||
			(plan->fault.anew && !replay) ||
			(plan->fault.kind->form == FORM_LAG &&
			 operation != OPERATION_QUERY))
			continue;
		*fault = plan->fault;
		if (--plan->count <= 0)
		{
			*link = plan->next;
			planned_free(plan);
		}
		return true;
	}
	return take_random(operation, reused_connection, replay, fault);
}

/* Appends the planned faults as an array. */
void
sim_fault_write(Text *out)
{
	sim_text_add(out, "[");
	for (Planned *plan = planned; plan != NULL; plan = plan->next)
	{
		sim_text_format(out, "%s{\"kind\":\"%s\",\"on\":\"%s\",\"after\":\"%s\","
						"\"count\":%lld,\"delayMs\":%lld,\"orderId\":",
						plan == planned ? "" : ",", plan->fault.kind->name,
						operations[plan->operation].name,
						afters[plan->fault.after].name,
						(long long) plan->count,
						(long long) plan->fault.delay_ms);
		sim_text_add_json(out, plan->order_id);
		sim_text_add(out, ",\"paymentKey\":");
		sim_text_add_json(out, plan->payment_key);
		sim_text_add(out, "}");
	}
	sim_text_add(out, "]");
}
