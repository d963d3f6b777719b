/*-------------------------------------------------------------------------
 *
 * table.c
 *	  Hash table of links that live inside their owners.
 *
 * The table compares hashes only; the caller walks the links of one hash
 * with sim_table_first and sim_table_next and compares its own key.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

/* Hashes bytes; several parts are hashed by passing the last result on. */
uint64_t
sim_hash(uint64_t seed, const void *bytes, size_t length)
{
	const unsigned char *p = bytes;
	uint64_t	hash = seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ (hash >> 29);
}

static void
grow(Table *table)
{
	size_t		size = table->size ? table->size * 2 : 1024;
	Link	  **slots = sim_alloc(size * sizeof(Link *));

	for (size_t i = 0; i < table->size; i++)
	{
		Link	   *link = table->slots[i];

		while (link != NULL)
		{
			Link	   *next = link->next;
			Link	  **slot = &slots[link->hash & (size - 1)];

			link->next = *slot;
			*slot = link;
			link = next;
		}
	}
	free(table->slots);
	table->slots = slots;
	table->size = size;
}

/* Adds a link; the newest of equal hashes is found first until growth. */
void
sim_table_add(Table *table, Link *link, uint64_t hash, void *owner)
{
	Link	  **slot;

	if (table->count >= table->size)
		grow(table);
	slot = &table->slots[hash & (table->size - 1)];
	link->hash = hash;
	link->owner = owner;
	link->next = *slot;
	*slot = link;
	table->count++;
}

static Link *
same_hash(Link *link, uint64_t hash)
{
	while (link != NULL && link->hash != hash)
		link = link->next;
	return link;
}

Link *
sim_table_first(const Table *table, uint64_t hash)
{
	if (table->size == 0)
		return NULL;
	return same_hash(table->slots[hash & (table->size - 1)], hash);
}

Link *
sim_table_next(const Link *link)
{
	return same_hash(link->next, link->hash);
}

/* Empties the table and releases every owner. */
void
sim_table_clear(Table *table, void (*release) (void *owner))
{
	for (size_t i = 0; i < table->size; i++)
	{
		Link	   *link = table->slots[i];

		while (link != NULL)
		{
			Link	   *next = link->next;

			release(link->owner);
			link = next;
		}
	}
	free(table->slots);
	memset(table, 0, sizeof(*table));
}
