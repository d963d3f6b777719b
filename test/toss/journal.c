/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  The simulator's own books: every charge and cancel that was executed.
 *
 * This is what audits compare with the merchant's books, so an entry is made
 * by the execution itself and nothing else, and it reaches the file before
 * any byte of the answer is sent.  Kinds: "charge" (a confirm that moved
 * money), "issue" (a confirm that only issued a virtual account), "deposit"
 * and "deposit-error" (money came to an account, or was taken back), "cancel"
 * (money went back) and "withdraw" (a cancel before the deposit: none did).
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simulator.h"

typedef struct Entry
{
	const char *kind;
	const Payment *payment;
	int			version;		/* that it made */
	const ApiKey *api_key;
	char	   *idempotency_key;	/* or NULL */
	int64_t		time;
	char		trace[33];
} Entry;

#define MAX_CURRENCIES 16

typedef struct Total
{
	char		currency[4];
	Amount		amount;
	Amount		canceled;
} Total;

static Entry *entries;
static size_t entry_count;
static size_t entry_capacity;
static int	file = -1;

/* Opens the file that every entry is appended to. */
bool
sim_journal_open(const char *path)
{
	file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC,
				0644);
	return file >= 0;
}

/* What an entry does to the money charged: +1, 0 or -1 times the amount. */
static int
money_sign(const char *kind)
{
	if (strcmp(kind, "issue") == 0 || strcmp(kind, "withdraw") == 0 ||
		strcmp(kind, "cancel") == 0 || strcmp(kind, "dashboard") == 0)
		return 0;
	return strcmp(kind, "deposit-error") == 0 ? -1 : 1;
}

/* What a cancel gives back; 0 for everything else. */
static Amount
canceled_by(const Entry *entry)
{
	return strcmp(entry->kind, "cancel") != 0 ? 0 :
		entry->payment->versions[entry->version].canceled;
}

/* Which cancel it is, for those who look for their own. */
static void
write_cancel(Text *out, const Entry *entry)
{
	const Version *version = &entry->payment->versions[entry->version];
	char		key[40];

	if (version->canceled == 0)
		return;
	sim_payment_transaction_key(key, entry->payment, version->transaction);
	sim_text_add(out, ",\"transactionKey\":");
	sim_text_add_json(out, key);
	sim_text_add(out, ",\"cancelReason\":");
	sim_text_add_json(out, version->reason);
}

static void
write_entry(Text *out, const Entry *entry)
{
	const Version *version = &entry->payment->versions[entry->version];

	sim_text_add(out, "{\"kind\":\"");
	sim_text_add(out, entry->kind);
	sim_text_add(out, "\",\"paymentKey\":");
	sim_text_add_json(out, entry->payment->key);
	sim_text_add(out, ",\"orderId\":");
	sim_text_add_json(out, entry->payment->order->id);
	sim_text_add(out, ",\"amount\":");
	sim_amount_write(out, version->canceled ? version->canceled :
					 entry->payment->amount);
	sim_text_add(out, ",\"currency\":\"");
	sim_text_add(out, entry->payment->currency);
	sim_text_add(out, "\",\"idempotencyKey\":");
	sim_text_add_json(out, entry->idempotency_key);
	sim_text_add(out, ",\"apiKey\":");
	sim_text_add_json(out, entry->api_key ? entry->api_key->fingerprint :
					  NULL);
	sim_text_add(out, ",\"timeUs\":");
	sim_text_add_int(out, entry->time);
	sim_text_add(out, ",\"traceId\":");
	sim_text_add_json(out, *entry->trace ? entry->trace : NULL);
	write_cancel(out, entry);
	sim_text_add(out, "}\n");
}

/* Books an execution; the lock must be held. */
void
sim_journal_add(const char *kind, Payment *payment,
				const char *idempotency_key, const ApiKey *api_key,
				const char *trace)
{
	Entry	   *entry;
	int			sign = money_sign(kind);

	if (entry_count == entry_capacity)
	{
		entry_capacity = entry_capacity ? entry_capacity * 2 : 1024;
		entries = realloc(entries, entry_capacity * sizeof(Entry));
		if (entries == NULL)
			abort();
	}
	entry = &entries[entry_count++];
	memset(entry, 0, sizeof(*entry));
	entry->kind = kind;
	entry->payment = payment;
	entry->version = payment->version_count - 1;
	entry->api_key = api_key;
	entry->idempotency_key = idempotency_key ?
		sim_copy(idempotency_key, strlen(idempotency_key)) : NULL;
	entry->time = sim_clock_real();
	if (trace != NULL)
		memcpy(entry->trace, trace, sizeof(entry->trace));

	payment->order->charges += sign;
	payment->order->charged += sign * payment->amount;
	payment->order->cancels += strcmp(kind, "cancel") == 0;
	payment->order->canceled += canceled_by(entry);

	if (file >= 0)
	{
		static Text line;

		line.length = 0;
		write_entry(&line, entry);
		if (write(file, line.data, line.length) != (ssize_t) line.length)
			perror("toss-simulator: could not write the journal");
	}
}

/* Appends all entries as JSON lines; the lock must be held. */
void
sim_journal_write(Text *out)
{
	for (size_t i = 0; i < entry_count; i++)
		write_entry(out, &entries[i]);
}

typedef struct Summary
{
	Text	   *out;
	bool		multiple_only;
	size_t		written;
	size_t		orders;
	size_t		multiple;
} Summary;

static void
write_order(Order *order, void *arg)
{
	Summary    *summary = arg;

	if (order->charges == 0)
		return;
	summary->orders++;
	summary->multiple += order->charges > 1 ? 1 : 0;
	if (summary->out == NULL ||
		(summary->multiple_only && order->charges < 2))
		return;
	sim_text_add(summary->out, summary->written++ ? ",{" : "{");
	sim_text_add(summary->out, "\"orderId\":");
	sim_text_add_json(summary->out, order->id);
	sim_text_add(summary->out, ",\"charges\":");
	sim_text_add_int(summary->out, order->charges);
	sim_text_add(summary->out, ",\"amount\":");
	sim_amount_write(summary->out, order->charged);
	sim_text_format(summary->out, ",\"cancels\":%d,\"canceled\":",
					order->cancels);
	sim_amount_write(summary->out, order->canceled);
	sim_text_add(summary->out, "}");
}

/* Adds up the entries by currency; returns the number of currencies. */
static int
sum_currencies(Total totals[MAX_CURRENCIES], int64_t *charges)
{
	int			count = 0;

	*charges = 0;
	for (size_t i = 0; i < entry_count; i++)
	{
		const Payment *payment = entries[i].payment;
		int			sign = money_sign(entries[i].kind);
		int			at = 0;

		while (at < count &&
			   strcmp(totals[at].currency, payment->currency) != 0)
			at++;
		if (at == MAX_CURRENCIES)
			continue;
		if (at == count)
		{
			memset(&totals[at], 0, sizeof(Total));
			strcpy(totals[count++].currency, payment->currency);
		}
		totals[at].amount += sign * payment->amount;
		totals[at].canceled += canceled_by(&entries[i]);
		*charges += sign;
	}
	return count;
}

/*
 * Appends the summary: counts, sums by currency, the orders charged more
 * than once and, if wanted, every order.  The lock must be held.
 */
void
sim_journal_summary(Text *out, bool with_orders)
{
	Total		totals[MAX_CURRENCIES];
	Summary		summary = {0};
	int64_t		charges;
	int			currencies = sum_currencies(totals, &charges);

	sim_payment_each_order(write_order, &summary);
	sim_text_format(out, "{\"charges\":%lld,\"orders\":%zu,"
					"\"chargedMoreThanOnce\":%zu,\"amount\":{",
					(long long) charges, summary.orders, summary.multiple);
	for (int i = 0; i < currencies; i++)
	{
		sim_text_format(out, "%s\"%s\":", i ? "," : "", totals[i].currency);
		sim_amount_write(out, totals[i].amount);
	}
	sim_text_add(out, "},\"canceled\":[");
	for (int i = 0; i < currencies; i++)
	{
		sim_text_format(out, "%s{\"currency\":\"%s\",\"amount\":",
						i ? "," : "", totals[i].currency);
		sim_amount_write(out, totals[i].canceled);
		sim_text_add(out, "}");
	}
	sim_text_add(out, "],\"multiple\":[");
	summary = (Summary) {.out = out,.multiple_only = true};
	sim_payment_each_order(write_order, &summary);
	sim_text_add(out, "]");
	if (with_orders)
	{
		sim_text_add(out, ",\"perOrder\":[");
		summary = (Summary) {.out = out};
		sim_payment_each_order(write_order, &summary);
		sim_text_add(out, "]");
	}
	sim_text_add(out, "}\n");
}

/* Forgets all entries; with empty_file the file loses them too. */
void
sim_journal_reset(bool empty_file)
{
	for (size_t i = 0; i < entry_count; i++)
		free(entries[i].idempotency_key);
	free(entries);
	entries = NULL;
	entry_count = entry_capacity = 0;
	if (empty_file && file >= 0 && ftruncate(file, 0) != 0)
		perror("toss-simulator: could not empty the journal");
}
