/*-------------------------------------------------------------------------
 *
 * webhook_text.c
 *	  What a webhook sends: three envelopes, and the headers.
 *
 * Where Toss does not say how something is, a switch says it: whether a
 * further try keeps its id, whether a deposit's time has an offset, whether
 * the bytes of the security key sign or its text.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "webhook.h"

/* "2026-11-22T10:20:00.000000", with or without the offset */
static void
write_created_at(Text *out, int64_t time, bool with_offset)
{
	Text		quoted = {0};

	sim_clock_write(&quoted, time);
	sim_text_add_bytes(out, quoted.data, 20);
	if (!with_offset)
		sim_text_format(out, ".%06d", (int) (time % SECOND));
	sim_text_add(out, with_offset ? "+09:00\"" : "\"");
	sim_text_free(&quoted);
}

void
sim_webhook_write_body(Text *out, const Webhook *webhook)
{
	static const Distortion lie = {.amount = true};
	const Version *state = webhook->payment == NULL ? NULL :
		&webhook->payment->versions[webhook->version];
	char		key[40];
	char		secret[64];

	switch (webhook->kind)
	{
		case WEBHOOK_RAW:
			sim_text_add(out, webhook->raw);
			break;
		case WEBHOOK_PAYMENT:
			sim_text_add(out, "{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"createdAt\":");
			write_created_at(out, webhook->created_at, false);
			sim_text_add(out, ",\"data\":");
			sim_payment_write(out, webhook->payment, webhook->version,
							  webhook->forged ? &lie : NULL);
			sim_text_add(out, "}");
			break;
		case WEBHOOK_DEPOSIT:
			sim_payment_transaction_key(key, webhook->payment, state->transaction);
			sim_payment_secret(secret, webhook->payment);
			sim_text_add(out, "{\"createdAt\":");
			write_created_at(out, webhook->created_at, sim_settings.webhook_deposit_offset);
			sim_text_format(out, ",\"secret\":\"%s\",\"status\":\"%s\","
							"\"transactionKey\":\"%s\",\"orderId\":\"%s\"}",
							webhook->forged ? "ps_0000000000000000000000forged" : secret,
							sim_status_name(state->status), key,
							webhook->payment->order->id);
			break;
		case WEBHOOK_PAYOUT:
			sim_text_add(out, "{\"eventType\":\"payout.changed\",\"createdAt\":");
			write_created_at(out, webhook->created_at, true);
			sim_text_format(out, ",\"version\":\"2022-11-16\",\"eventId\":\"ev_%lld\","
							"\"entityType\":\"payout\",\"entityBody\":{\"status\":\"COMPLETED\"}}",
							(long long) webhook->number);
			break;
	}
}

/* "whtrans_a01j..."; whether a further try keeps it is not documented. */
static void
write_id(Text *out, const Webhook *webhook)
{
	uint64_t	state = webhook->id_seed +
		(sim_settings.webhook_keeps_id ? 0 : (uint64_t) webhook->tries);
	char		id[33] = {0};

	sim_random_alnum(id, sizeof(id) - 1, &state);
	sim_text_format(out, "whtrans_a01%s", id);
}

/* "v1:...,v1:..." over body, ':' and time; the key is one of zeros. */
static void
write_signature(Text *out, const Text *body, const char *time, bool forged)
{
	Text		message = {0};
	char		text_key[65];
	unsigned char bytes[32] = {0};
	unsigned char digest[32];

	memset(text_key, '0', 64);
	text_key[64] = '\0';
	bytes[0] = forged;
	sim_text_add_bytes(&message, body->data, body->length);
	sim_text_add(&message, ":");
	sim_text_add(&message, time);
	for (int i = 0; i < 2; i++)
	{
		gnutls_datum_t plain = {digest, sizeof(digest)};
		gnutls_datum_t encoded;

		/* the second is by the key that comes next, or went before */
		bytes[1] = (unsigned char) i;
		if (sim_settings.webhook_text_key && i == 0 && !forged)
			gnutls_hmac_fast(GNUTLS_MAC_SHA256, text_key, 64, message.data,
							 message.length, digest);
		else
			gnutls_hmac_fast(GNUTLS_MAC_SHA256, bytes, sizeof(bytes), message.data,
							 message.length, digest);
		if (gnutls_base64_encode2(&plain, &encoded) != 0)
			abort();
		sim_text_format(out, "%sv1:%.*s", i ? "," : "", (int) encoded.size, encoded.data);
		gnutls_free(encoded.data);
	}
	sim_text_free(&message);
}

void
sim_webhook_write_headers(Text *out, const Webhook *webhook, const Text *body, bool as_json)
{
	const char *start = as_json ? ",\"tosspayments-webhook-" : "tosspayments-webhook-";
	const char *middle = as_json ? "\":\"" : ": ";
	const char *end = as_json ? "\"" : "\r\n";
	Text		time = {0};

	sim_clock_write(&time, sim_clock_now());
	time.data[time.length - 1] = '\0';
	sim_text_format(out, "%stransmission-time%s%s%s", as_json ? start + 1 : start, middle,
					time.data + 1, end);
	sim_text_format(out, "%stransmission-retried-count%s%d%s", start, middle,
					webhook->tries, end);
	sim_text_format(out, "%stransmission-id%s", start, middle);
	write_id(out, webhook);
	sim_text_add(out, end);
	if (webhook->kind == WEBHOOK_PAYOUT)
	{
		sim_text_format(out, "%ssignature%s", start, middle);
		write_signature(out, body, time.data + 1, webhook->forged);
		sim_text_add(out, end);
	}
	sim_text_free(&time);
}
