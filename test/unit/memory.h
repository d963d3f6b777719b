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

#endif							/* TEST_MEMORY_H */
