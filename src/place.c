/*
 * place.c
 *		Which data directory on which machine this server runs on.
 *
 * A base backup has everything that the original has, the system identifier
 * too.  What it cannot have is the same file: PG_VERSION is written by whoever
 * makes a data directory, and never again, so its path, its inode and the time
 * of its birth tell copies from the original, and the machine's id tells
 * machines.  The device's number is left out, since a restart may change it.
 *
 * A copy of a whole machine, disks and secret files and all, looks the same.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "place.h"

#define MACHINE_ID_FILE		"/etc/machine-id"
#define MACHINE_DIGITS		16

static void birth_of(const char *path, char *birth, size_t size);
static void machine(char *digits);

const char *
pay_place(void)
{
	static char *place = NULL;
	char	   *folder;
	char		path[MAXPGPATH + 20];
	char		birth[60];
	char		digits[MACHINE_DIGITS + 1];
	struct stat st;

	if (place != NULL)
		return place;
	folder = realpath(DataDir, NULL);
	if (folder == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not find the data directory: %m")));
	snprintf(path, sizeof(path), "%s/PG_VERSION", folder);
	if (stat(path, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", path)));
	birth_of(path, birth, sizeof(birth));
	strlcpy(path, folder, sizeof(path));
	free(folder);

	machine(digits);
	place = MemoryContextStrdup(TopMemoryContext,
								psprintf("%s, inode %llu, born %s, machine %s", path,
										 (unsigned long long) st.st_ino, birth, digits));
	return place;
}

/* When the file was made, if the system knows. */
static void
birth_of(const char *path, char *birth, size_t size)
{
#ifdef STATX_BTIME
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &st) == 0 &&
		(st.stx_mask & STATX_BTIME) != 0)
	{
		snprintf(birth, size, "%lld.%09u",
				 (long long) st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
		return;
	}
#endif
	strlcpy(birth, "unknown", size);
}

/* The machine's id is not to be shown: some digits of a digest of it. */
static void
machine(char *digits)
{
	char		text[100] = "payments\n";
	size_t		known = strlen(text);
	int			fd = open(MACHINE_ID_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t		len = fd < 0 ? -1 :
	read(fd, text + known, sizeof(text) - known);
	unsigned char digest[SHA256_DIGEST_LENGTH];

	if (fd >= 0)
		close(fd);
	if (len <= 0)
	{
		strlcpy(digits, "unknown", MACHINE_DIGITS + 1);
		return;
	}
	SHA256((const unsigned char *) text, known + len, digest);
	for (int i = 0; i < MACHINE_DIGITS / 2; i++)
		snprintf(digits + 2 * i, 3, "%02x", digest[i]);
}
