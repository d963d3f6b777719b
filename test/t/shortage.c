/*
 * shortage.c
 *		What runs short when a test says so: the disk's space, sockets, and memory.
 *
 * Preloaded into a server (Shortage.pm).  The file that SHORTAGE names is mapped
 * into every process of the server's: eight-byte numbers, in the order of struct
 * Shortage, that the test writes and reads.
 *
 * A disk that is full still takes what replaces something: only what makes a
 * file longer fails.  Memory runs out for one process, at one allocation, and
 * for as many behind it as the test says.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BASE	1
#define PG_WAL	2

#define NEXT(function)	dlsym(RTLD_NEXT, #function)

typedef struct Shortage
{
	volatile int64_t full;		/* where there is no space: BASE, PG_WAL */
	volatile int64_t refused;	/* how often there was none, or no socket */
	volatile int64_t pid;		/* the process that memory runs out for */
	int64_t		passes;			/* allocations that go well before */
	int64_t		length;			/* and how many then do not */
	int64_t		failed;			/* how many have not */
	volatile int64_t no_sockets;	/* none can be opened */
	volatile int64_t of_curl;	/* only allocations by libcurl itself count */
} Shortage;

static Shortage none;
static Shortage *shortage = &none;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("SHORTAGE");
	int			fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void	   *map = fd < 0 ? MAP_FAILED :
	mmap(NULL, sizeof(Shortage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map != MAP_FAILED)
		shortage = map;
	if (fd >= 0)
		close(fd);
}

/*
 * Memory
 */

/* Is that a place in libcurl's code? */
static bool
is_curl(void *caller)
{
	Dl_info		info;

	return dladdr(caller, &info) != 0 && info.dli_fname != NULL &&
		strstr(info.dli_fname, "libcurl") != NULL;
}

static bool
is_out_of_memory(void *caller)
{
	if (shortage->pid == 0 || shortage->pid != getpid() ||
		(shortage->of_curl != 0 && !is_curl(caller)) ||
		__atomic_fetch_sub(&shortage->passes, 1, __ATOMIC_RELAXED) > 0 ||
		__atomic_fetch_sub(&shortage->length, 1, __ATOMIC_RELAXED) <= 0)
		return false;
	__atomic_fetch_add(&shortage->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return is_out_of_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return is_out_of_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return is_out_of_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

/*
 * Sockets
 */

static bool
has_no_sockets(void)
{
	if (shortage->no_sockets == 0)
		return false;
	__atomic_fetch_add(&shortage->refused, 1, __ATOMIC_RELAXED);
	errno = EMFILE;
	return true;
}

int
socket(int domain, int type, int protocol)
{
	static int	(*next) (int, int, int);

	if (next == NULL)
		next = NEXT(socket);
	return has_no_sockets() ? -1 : next(domain, type, protocol);
}

int
socketpair(int domain, int type, int protocol, int pair[2])
{
	static int	(*next) (int, int, int, int[2]);

	if (next == NULL)
		next = NEXT(socketpair);
	return has_no_sockets() ? -1 : next(domain, type, protocol, pair);
}

/*
 * The disk
 */

static bool
is_full(int fd, off_t end)
{
	char		link[40] = "/proc/self/fd/";
	char		path[4096];
	char		digits[12];
	char	   *digit = digits + sizeof(digits) - 1;
	ssize_t		len;
	struct stat at;
	int			n = fd;

	if (shortage->full == 0 || fd < 0)
		return false;
	*digit = '\0';
	do
		*--digit = '0' + n % 10;
	while ((n /= 10) > 0);
	strcat(link, digit);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0 || fstat(fd, &at) != 0 || end <= at.st_size)
		return false;
	path[len] = '\0';
	if (!((shortage->full & BASE) && strstr(path, "/base/") != NULL) &&
		!((shortage->full & PG_WAL) && strstr(path, "/pg_wal/") != NULL))
		return false;
	__atomic_fetch_add(&shortage->refused, 1, __ATOMIC_RELAXED);
	errno = ENOSPC;
	return true;
}

static size_t
length_of(const struct iovec *parts, int n)
{
	size_t		length = 0;

	for (int i = 0; i < n; i++)
		length += parts[i].iov_len;
	return length;
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	static ssize_t (*next) (int, const void *, size_t);

	if (next == NULL)
		next = NEXT(write);
	if (shortage->full != 0 && is_full(fd, lseek(fd, 0, SEEK_CUR) + n))
		return -1;
	return next(fd, bytes, n);
}

#define PWRITE(name) \
ssize_t \
name(int fd, const void *bytes, size_t n, off_t offset) \
{ \
	static ssize_t (*next) (int, const void *, size_t, off_t); \
\
	if (next == NULL) \
		next = NEXT(name); \
	return is_full(fd, offset + n) ? -1 : next(fd, bytes, n, offset); \
}

#define PWRITEV(name) \
ssize_t \
name(int fd, const struct iovec *parts, int n, off_t offset) \
{ \
	static ssize_t (*next) (int, const struct iovec *, int, off_t); \
\
	if (next == NULL) \
		next = NEXT(name); \
	return is_full(fd, offset + length_of(parts, n)) ? -1 : \
		next(fd, parts, n, offset); \
}

/* posix_fallocate returns its error */
#define ALLOCATE(name) \
int \
name(int fd, off_t offset, off_t n) \
{ \
	static int	(*next) (int, off_t, off_t); \
\
	if (next == NULL) \
		next = NEXT(name); \
	return is_full(fd, offset + n) ? ENOSPC : next(fd, offset, n); \
}

PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)
