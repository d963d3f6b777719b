/*
 * memory.h
 *		palloc for tests of code that expects a memory context around it.
 *
 * These replace the frontend versions of libpgcommon.  Each piece comes from
 * malloc, so that the address sanitizer sees its bounds; memory_reset frees
 * them all, as the reset of a context would.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include <stddef.h>

extern void memory_reset(void);
extern size_t memory_pieces(void);	/* not yet freed */

/* A copy exactly as long as the text, so that reading on is seen; to be freed. */
extern char *memory_exact(const char *text, size_t *len);

#endif							/* TEST_MEMORY_H */
