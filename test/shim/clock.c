/*
 * clock.c
 *		A wall clock that a test can set, for the processes that preload this.
 *
 * CLOCK_FILE in the environment of the first process names a file of eight bytes:
 * by how many seconds the clock is wrong.  All processes see a change at once.
 * The steady clock is left alone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset = NULL;

__attribute__((constructor)) static void
map(void)
{
	const char *name = getenv("CLOCK_FILE");
	int			fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
	void	   *memory;

	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED)
		offset = memory;
	close(fd);
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result = (int) syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && offset != NULL && clock == CLOCK_REALTIME)
		now->tv_sec += *offset;
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec time;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &time);
	now->tv_sec = time.tv_sec;
	now->tv_usec = time.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (result != NULL)
		*result = now.tv_sec;
	return now.tv_sec;
}
