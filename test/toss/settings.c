/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The switches that can be set at run time.
 *
 * One const table maps the names of POST /settings to the fields.  What the
 * documentation of Toss leaves open is a switch here, with the default that
 * our notes suggest.  A body is applied as a whole or, if any member is
 * unknown or of the wrong type, not at all.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

typedef enum SettingKind
{
	SETTING_INT,
	SETTING_BOOL,
	SETTING_TEXT,
	SETTING_CODE
} SettingKind;

typedef struct Setting
{
	const char *name;
	SettingKind kind;
	size_t		offset;
	size_t		size;			/* of a text */
} Setting;

#define FIELD(name, kind, field) \
	{name, kind, offsetof(Settings, field), sizeof(((Settings *) 0)->field)}

static const Setting settings[] = {
	FIELD("delayMs", SETTING_INT, delay_ms),
	FIELD("delayJitterMs", SETTING_INT, delay_jitter_ms),
	FIELD("executeLate", SETTING_BOOL, execute_late),
	FIELD("auto", SETTING_TEXT, auto_prefix),
	FIELD("store5xx", SETTING_BOOL, store_5xx),
	FIELD("amountMismatch", SETTING_CODE, amount_mismatch),
	FIELD("merchantMismatch", SETTING_CODE, merchant_mismatch),
	FIELD("queryUnconfirmed", SETTING_BOOL, query_unconfirmed),
	FIELD("queryLagMs", SETTING_INT, query_lag_ms),
	FIELD("queryIntervalMs", SETTING_INT, query_interval_ms),
	FIELD("cancelIntervalMs", SETTING_INT, cancel_interval_ms),
	FIELD("requestsPerMinute", SETTING_INT, requests_per_minute),
	FIELD("retryAfterSeconds", SETTING_INT, retry_after_seconds),
	FIELD("sessionHidesDone", SETTING_BOOL, session_hides_done),
	FIELD("duplicateOrder", SETTING_BOOL, duplicate_order),
	FIELD("quotedAmount", SETTING_BOOL, quoted_amount),
	FIELD("testCodes", SETTING_BOOL, test_codes),
	FIELD("keepRequests", SETTING_BOOL, keep_requests),
	FIELD("down", SETTING_BOOL, down),
	FIELD("webhookUrl", SETTING_TEXT, webhook_url),
	FIELD("webhookKeep", SETTING_BOOL, webhook_keep),
	FIELD("webhookPayments", SETTING_BOOL, webhook_payments),
	FIELD("webhookDeposits", SETTING_BOOL, webhook_deposits),
	FIELD("webhookDelayMs", SETTING_INT, webhook_delay_ms),
	FIELD("webhookLosePercent", SETTING_INT, webhook_lose_percent),
	FIELD("webhookDuplicatePercent", SETTING_INT, webhook_duplicate_percent),
	FIELD("webhookReorderPercent", SETTING_INT, webhook_reorder_percent),
	FIELD("webhookForgePercent", SETTING_INT, webhook_forge_percent),
	FIELD("webhookKeepsId", SETTING_BOOL, webhook_keeps_id),
	FIELD("webhookTakes2xx", SETTING_BOOL, webhook_takes_2xx),
	FIELD("webhookDepositOffset", SETTING_BOOL, webhook_deposit_offset),
	FIELD("webhookTextKey", SETTING_BOOL, webhook_text_key),
	FIELD("accountSeconds", SETTING_INT, account_seconds),
	FIELD("accountStaysOpen", SETTING_BOOL, account_stays_open),
	FIELD("transactionsLagMs", SETTING_INT, transactions_lag_ms),
	FIELD("transactionsMaxRows", SETTING_INT, transactions_max_rows),
	FIELD("transactionsMaxDays", SETTING_INT, transactions_max_days),
	FIELD("transactionsDescending", SETTING_BOOL, transactions_descending),
	FIELD("transactionsUtc", SETTING_BOOL, transactions_utc),
	FIELD("transactionsEndExclusive", SETTING_BOOL, transactions_end_exclusive),
	FIELD("transactionsInclusive", SETTING_BOOL, transactions_inclusive),
	FIELD("transactionsNegative", SETTING_BOOL, transactions_negative),
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

Settings	sim_settings;

/* Back to the defaults. */
void
sim_settings_reset(void)
{
	static const Settings defaults = {
		.store_5xx = true,
		.amount_mismatch = "FORBIDDEN_REQUEST",
		.merchant_mismatch = "FORBIDDEN_REQUEST",
		.query_unconfirmed = true,
		.test_codes = true,
		.keep_requests = true,
		.cancel_interval_ms = 1000,
		.webhook_payments = true,
		.webhook_deposits = true,
		.webhook_keeps_id = true,
		.account_seconds = 168 * 3600,
		.random_on = "any",
		.random_code = "PROVIDER_ERROR",
	};

	sim_settings = defaults;
}

static bool
apply_text(char *field, size_t size, const JsonNode *value)
{
	const char *text = value->kind == JSON_NULL ? "" : value->text;

	if ((value->kind != JSON_STRING && value->kind != JSON_NULL) ||
		strlen(text) >= size)
		return false;
	strcpy(field, text);
	return true;
}

static bool
apply_one(const Setting *setting, Settings *target, const JsonNode *value)
{
	char	   *field = (char *) target + setting->offset;
	Amount		number;

	switch (setting->kind)
	{
		case SETTING_INT:
			if (value->kind != JSON_NUMBER ||
				!sim_amount_parse(value->text, value->length, &number) ||
				number < 0 || number % AMOUNT_SCALE != 0)
				return false;
			*(int64_t *) field = number / AMOUNT_SCALE;
			return true;
		case SETTING_BOOL:
			if (value->kind != JSON_TRUE && value->kind != JSON_FALSE)
				return false;
			*(bool *) field = value->kind == JSON_TRUE;
			return true;
		case SETTING_TEXT:
			return apply_text(field, setting->size, value);
		case SETTING_CODE:
			return value->kind == JSON_STRING &&
				sim_code_find(value->text) != NULL &&
				apply_text(field, setting->size, value);
	}
	return false;
}

/* Reads randomFaults: rate (0 switches off), seed, kinds, on, after, ... */
static bool
apply_random(const JsonDoc *doc, const JsonNode *value, Settings *target)
{
	const JsonNode *rate = sim_json_member(doc, value, "rate");
	const JsonNode *kinds = sim_json_member(doc, value, "kinds");
	const char *on = sim_json_string(doc, value, "on", "any");
	const char *after = sim_json_string(doc, value, "after", "");
	const char *code = sim_json_string(doc, value, "code", "PROVIDER_ERROR");
	int64_t		seed = 1;

	if (value->kind == JSON_NULL)
	{
		target->random_rate = 0;
		return true;
	}
	if (rate == NULL || rate->kind != JSON_NUMBER || strlen(on) >= 8 ||
		strlen(after) >= 12 || sim_code_find(code) == NULL)
		return false;
	target->random_rate = strtod(rate->text, NULL);
	sim_json_int(doc, value, "seed", &seed);
	target->random_state = (uint64_t) seed;
	target->random_delay_ms = 0;
	sim_json_int(doc, value, "delayMs", &target->random_delay_ms);
	strcpy(target->random_on, on);
	strcpy(target->random_after, after);
	strcpy(target->random_code, code);

	target->random_kind_count = 0;
	for (const JsonNode *kind = kinds ? sim_json_first(doc, kinds) : NULL;
		 kind != NULL; kind = sim_json_next(doc, kind))
	{
		const FaultKind *found = kind->kind == JSON_STRING ?
		sim_fault_kind(kind->text) : NULL;

		if (found == NULL || target->random_kind_count == MAX_RANDOM_KINDS)
			return false;
		target->random_kinds[target->random_kind_count++] = found;
	}
	return target->random_kind_count > 0 || target->random_rate == 0;
}

/*
 * Applies the body of POST /settings; returns NULL, or the name of the
 * member that is wrong, in which case nothing changed.
 */
const char *
sim_settings_apply(const JsonDoc *doc)
{
	Settings	next = sim_settings;

	if (doc->nodes[0].kind != JSON_OBJECT)
		return "body";
	for (const JsonNode *node = sim_json_first(doc, &doc->nodes[0]);
		 node != NULL; node = sim_json_next(doc, node))
	{
		size_t		i;

		if (strcmp(node->name, "randomFaults") == 0)
		{
			if (!apply_random(doc, node, &next))
				return node->name;
			continue;
		}
		for (i = 0; i < SETTING_COUNT; i++)
		{
			if (strcmp(settings[i].name, node->name) == 0)
				break;
		}
		if (i == SETTING_COUNT || !apply_one(&settings[i], &next, node))
			return node->name;
	}
	sim_settings = next;
	return NULL;
}

/* Appends all settings as an object. */
void
sim_settings_write(Text *out)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
	{
		const char *field = (const char *) &sim_settings + settings[i].offset;

		sim_text_format(out, "%s\"%s\":", i ? "," : "{", settings[i].name);
		if (settings[i].kind == SETTING_INT)
			sim_text_add_int(out, *(const int64_t *) field);
		else if (settings[i].kind == SETTING_BOOL)
			sim_text_add(out, *(const bool *) field ? "true" : "false");
		else
			sim_text_add_json(out, field);
	}
	sim_text_format(out, ",\"randomFaults\":{\"rate\":%g,\"kinds\":[",
					sim_settings.random_rate);
	for (int i = 0; i < sim_settings.random_kind_count; i++)
		sim_text_format(out, "%s\"%s\"", i ? "," : "",
						sim_settings.random_kinds[i]->name);
	sim_text_add(out, "]}}");
}
