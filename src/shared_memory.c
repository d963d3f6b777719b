/*
 * shared_memory.c
 *		The library's parts of the server's shared memory, asked for and made.
 *
 * Who owns a part knows how large it is and what is in it; when memory is asked
 * for, and that one process makes it while no other looks, is the same for all.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "shared_memory.h"

#define MAX_PARTS	8

static const PaySharedMemory *parts[MAX_PARTS];
static int	n_parts = 0;

static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

static void request_memory(void);
static void start_memory(void);

void
pay_shared_memory_add(const PaySharedMemory *part)
{
	if (n_parts == MAX_PARTS)
		elog(ERROR, "too many parts of shared memory");
	if (n_parts == 0)
	{
		next_request_hook = shmem_request_hook;
		shmem_request_hook = request_memory;
		next_startup_hook = shmem_startup_hook;
		shmem_startup_hook = start_memory;
	}
	parts[n_parts++] = part;
}

static void
request_memory(void)
{
	if (next_request_hook)
		next_request_hook();
	for (int i = 0; i < n_parts; i++)
		RequestAddinShmemSpace(parts[i]->size);
}

static void
start_memory(void)
{
	if (next_startup_hook)
		next_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < n_parts; i++)
	{
		bool		found;

		*parts[i]->place = ShmemInitStruct(parts[i]->name, parts[i]->size,
										   &found);
		if (found)
			continue;
		memset(*parts[i]->place, 0, parts[i]->size);
		parts[i]->start();
	}
	LWLockRelease(AddinShmemInitLock);
}
