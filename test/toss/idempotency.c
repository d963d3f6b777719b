/*-------------------------------------------------------------------------
 *
 * idempotency.c
 *	  Answers stored under the Idempotency-Key.
 *
 * The scope is API key, method, path and key; the body is no part of it, as
 * at Toss.  An answer is stored as what it says (a code, or a version of a
 * payment) because that writes the same bytes again.  An entry lives 15 days
 * of the movable clock from its first use; a dead one is passed over.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

#define LIFETIME (15 * 86400 * SECOND)

static Table entries;

static char *
make_scope(const char *method, const char *path, const char *key)
{
	Text		scope = {0};

	sim_text_add(&scope, method);
	sim_text_add(&scope, " ");
	sim_text_add(&scope, path);
	sim_text_add(&scope, " ");
	sim_text_add(&scope, key);
	return scope.data;
}

static uint64_t
scope_hash(const ApiKey *api_key, const char *scope)
{
	return sim_hash((uint64_t) (uintptr_t) api_key, scope, strlen(scope));
}

/* The live entry of a scope, or NULL; the lock must be held. */
Idempotent *
sim_idempotent_find(const ApiKey *api_key, const char *method,
					const char *path, const char *key)
{
	char	   *scope = make_scope(method, path, key);
	int64_t		oldest = sim_clock_now() - LIFETIME;
	Idempotent *found = NULL;

	for (Link *link = sim_table_first(&entries, scope_hash(api_key, scope));
		 link != NULL; link = sim_table_next(link))
	{
		Idempotent *entry = link->owner;

		if (entry->api_key == api_key && strcmp(entry->scope, scope) == 0 &&
			entry->first_used >= oldest)
		{
			found = entry;
			break;
		}
	}
	free(scope);
	return found;
}

/* As if the entry's time were over; the lock must be held. */
void
sim_idempotent_forget(const ApiKey *api_key, const char *method,
					  const char *path, const char *key)
{
	Idempotent *entry = sim_idempotent_find(api_key, method, path, key);

	if (entry != NULL && !entry->in_flight)
		entry->first_used = INT64_MIN;
}

/* Adds an entry in flight; the lock must be held. */
Idempotent *
sim_idempotent_add(const ApiKey *api_key, const char *method,
				   const char *path, const char *key, const char *trace)
{
	Idempotent *entry = sim_alloc(sizeof(Idempotent));

	entry->api_key = api_key;
	entry->scope = make_scope(method, path, key);
	entry->first_used = sim_clock_now();
	entry->in_flight = true;
	memcpy(entry->trace, trace, sizeof(entry->trace));
	sim_table_add(&entries, &entry->link, scope_hash(api_key, entry->scope),
				  entry);
	return entry;
}

/*
 * Stores the answer.  A 409 is never stored, and with store5xx off a server
 * error is not either: the entry dies, and the next request is a new one.
 */
void
sim_idempotent_finish(Idempotent *entry, const Answer *answer)
{
	entry->in_flight = false;
	entry->answer = *answer;
	if (answer->code != NULL &&
		(answer->code->status == 409 ||
		 (answer->code->status >= 500 && !sim_settings.store_5xx)))
		entry->first_used = INT64_MIN;
}

size_t
sim_idempotent_count(void)
{
	return entries.count;
}

static void
release(void *owner)
{
	Idempotent *entry = owner;

	free(entry->scope);
	free(entry);
}

void
sim_idempotent_reset(void)
{
	sim_table_clear(&entries, release);
}
