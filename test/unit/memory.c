/*
 * memory.c
 *		palloc for tests of code that expects a memory context around it.
 */
#include "postgres_fe.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define MAX_PIECES		1000000

static void *pieces[MAX_PIECES];
static size_t n_pieces;

static size_t
find(void *pointer)
{
	/* the newest are asked for most */
	for (size_t i = n_pieces; i > 0; i--)
	{
		if (pieces[i - 1] == pointer)
			return i - 1;
	}
	abort();
}

void *
palloc(Size size)
{
	void	   *pointer = malloc(size > 0 ? size : 1);

	if (pointer == NULL || n_pieces == MAX_PIECES)
		abort();
	pieces[n_pieces++] = pointer;
	return pointer;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
palloc_extended(Size size, int flags)
{
	return palloc0(size);
}

void *
repalloc(void *pointer, Size size)
{
	size_t		place = find(pointer);

	pieces[place] = realloc(pointer, size > 0 ? size : 1);
	if (pieces[place] == NULL)
		abort();
	return pieces[place];
}

void
pfree(void *pointer)
{
	size_t		place = find(pointer);

	free(pointer);
	pieces[place] = pieces[--n_pieces];
}

char *
pstrdup(const char *in)
{
	return strcpy(palloc(strlen(in) + 1), in);
}

char *
pnstrdup(const char *in, Size size)
{
	size_t		len = strnlen(in, size);
	char	   *out = palloc(len + 1);

	memcpy(out, in, len);
	out[len] = '\0';
	return out;
}

void *
pg_malloc(size_t size)
{
	return palloc(size);
}

void *
pg_malloc0(size_t size)
{
	return palloc0(size);
}

void *
pg_malloc_extended(size_t size, int flags)
{
	return palloc0(size);
}

void *
pg_realloc(void *pointer, size_t size)
{
	return repalloc(pointer, size);
}

char *
pg_strdup(const char *in)
{
	return pstrdup(in);
}

void
pg_free(void *pointer)
{
	if (pointer != NULL)
		pfree(pointer);
}

void
memory_reset(void)
{
	while (n_pieces > 0)
		free(pieces[--n_pieces]);
}

size_t
memory_pieces(void)
{
	return n_pieces;
}

char *
memory_exact(const char *text, size_t *len)
{
	char	   *copy;

	*len = strlen(text);
	copy = malloc(*len > 0 ? *len : 1);
	memcpy(copy, text, *len);
	return copy;
}
