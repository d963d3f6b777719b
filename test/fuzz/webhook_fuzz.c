/*
 * webhook_fuzz.c
 *		Any bytes as a webhook: no crash, and nothing in it that could not be
 *		stored or shown.  The first line goes to the signature's header.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "toss.h"
#include "toss_signature.h"
#include "toss_webhook.h"

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
check_text(const char *text, size_t max)
{
	if (text == NULL)
		return;
	must(strlen(text) >= 1 && strlen(text) <= max);
	for (const char *p = text; *p; p++)
		must(*p > ' ' && *p <= '~');
}

static void
check_webhook(const PayTossWebhook *webhook)
{
	check_text(webhook->event_type, 64);
	check_text(webhook->payment_key, 200);
	check_text(webhook->order_id, 64);
	check_text(webhook->status, 40);
	check_text(webhook->transaction_key, 64);
	check_text(webhook->event_id, 100);
	check_text(webhook->secret, 200);
	must((webhook->kind == PAY_WEBHOOK_GARBAGE) == (webhook->reason != NULL));
	must((webhook->kind == PAY_WEBHOOK_GARBAGE) == (webhook->event_type == NULL));
	must((webhook->kind == PAY_WEBHOOK_PAYMENT) == (webhook->payment_key != NULL));
	must((webhook->kind == PAY_WEBHOOK_PAYMENT || webhook->kind == PAY_WEBHOOK_DEPOSIT) ==
		 (webhook->order_id != NULL && webhook->status != NULL));
	must(webhook->kind != PAY_WEBHOOK_DEPOSIT || webhook->secret != NULL);
	must(webhook->payment_key == NULL || pay_toss_valid_payment_key(webhook->payment_key));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {
		"0000000000000000000000000000000000000000000000000000000000000000"
	};
	PayTossWebhook webhook;
	char	   *copy = malloc(size > 0 ? size : 1);
	char	   *header = malloc(size + 1);
	char	   *end;

	/* a copy of its own, so that reading beyond the end is seen */
	memcpy(copy, data, size);
	pay_toss_webhook_read(copy, size, &webhook);
	memcpy(header, data, size);
	header[size] = '\0';
	end = strchr(header, '\n');
	if (end != NULL)
		*end = '\0';
	(void) pay_toss_signature_is_valid(header, copy, size, "t", keys, 1, true);
	free(copy);
	free(header);
	check_webhook(&webhook);
	memory_reset();
	return 0;
}
