/*
 * shared_memory.h
 *		The library's parts of the server's shared memory.
 */
#ifndef PAY_SHARED_MEMORY_H
#define PAY_SHARED_MEMORY_H

/*
 * One part: its name, how large it is, the owner's pointer to it, and what makes
 * it what it is at the start of the server and after a crash.  start finds its
 * own pointer set, and the memory zeroed.
 */
typedef struct PaySharedMemory
{
	const char *name;
	Size		size;
	void	  **place;
	void		(*start) (void);
} PaySharedMemory;

/* Ask for a part; only while preloading.  It is kept, not copied. */
extern void pay_shared_memory_add(const PaySharedMemory *part);

#endif							/* PAY_SHARED_MEMORY_H */
