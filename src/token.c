/*
 * token.c
 *		The token: what a database needs, besides its own rows, to be armed.
 *
 * Owns the file "arming.SYSTEM.OID" in payments.secret_dir (the cluster's system
 * identifier and the database's oid; no merchant's name has a dot in it).  It
 * holds a random number, of which the database keeps a digest, and a mark: how
 * far the write-ahead log had come when a charge was last sent.
 *
 * Taking the file away is all that a fencing script has to do.  So nothing here
 * ever makes it anew but pay_token_create: the mark is written into the file
 * that is there, through a descriptor, in one sector.  The mark is not flushed.
 * One that is lost with the machine only sees less; it is never ahead of what
 * is durable, so it gives no false alarm.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "port.h"
#include "storage/fd.h"

#include "secret.h"
#include "token.h"

#define RANDOM_BYTES	32
#define TOKEN_LINE		(2 * RANDOM_BYTES + 1)
#define MARK_FORMAT		"%016llX %020lld\n"
#define MARK_LINE		38
#define FILE_SIZE		(TOKEN_LINE + MARK_LINE)
#define PATH_SIZE		(MAXPGPATH + 50)

static char *find_path(char *path);
static char *open_and_read(int flags, int *fd, char *path, PayToken *token);
static const char *read_file(int fd, PayToken *token);
static int	write_mark(char *line, XLogRecPtr mark, TimestampTz server_start);
static void to_digest(const char *text, char *digest);

char *
pay_token_read(PayToken *token)
{
	char		path[PATH_SIZE];
	int			fd;
	char	   *why = open_and_read(O_RDONLY, &fd, path, token);

	if (why == NULL)
		close(fd);
	return why;
}

char *
pay_token_mark(const char *digest, XLogRecPtr mark)
{
	char		path[PATH_SIZE];
	char		line[MARK_LINE + 1];
	PayToken	token;
	int			fd;
	char	   *why = open_and_read(O_RDWR, &fd, path, &token);

	if (why != NULL)
		return why;
	if (strcmp(token.digest, digest) != 0)
		why = psprintf("file \"%s\" is another token", path);
	else if (write_mark(line, mark, PgStartTime) != MARK_LINE ||
			 pwrite(fd, line, MARK_LINE, TOKEN_LINE) != MARK_LINE)
		why = psprintf("file \"%s\" cannot be written", path);
	close(fd);
	return why;
}

void
pay_token_create(PayToken *token, XLogRecPtr mark)
{
	char		path[PATH_SIZE];
	char		new_path[PATH_SIZE + 4];
	char		text[FILE_SIZE + 1];
	uint8		random[RANDOM_BYTES];
	char	   *why = find_path(path);
	int			fd;
	bool		written;

	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no place for the token: %s", why),
				 errhint("The token is a file beside the secret keys, outside the data directory.")));
	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random token")));

	for (int i = 0; i < RANDOM_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	to_digest(text, token->digest);
	text[TOKEN_LINE - 1] = '\n';
	(void) write_mark(text + TOKEN_LINE, mark, PgStartTime);
	token->mark = mark;
	token->server_start = PgStartTime;

	/* What a crash has left of an earlier try is not ours to write into. */
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	(void) unlink(new_path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			  S_IRUSR | S_IWUSR);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", new_path),
				 errhint("The server's user must be able to write to payments.secret_dir.")));
	written = write(fd, text, FILE_SIZE) == FILE_SIZE;
	explicit_bzero(text, sizeof(text));
	if (close(fd) != 0 || !written)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", new_path)));
	durable_rename(new_path, path, ERROR);
}

/* Where the file is (PATH_SIZE bytes); NULL, or what is wrong. */
static char *
find_path(char *path)
{
	char		folder[MAXPGPATH];
	const char *why = pay_secret_folder(folder);

	if (why != NULL)
		return psprintf("payments.secret_dir %s", why);
	snprintf(path, PATH_SIZE, "%s/arming." UINT64_FORMAT ".%u", folder,
			 GetSystemIdentifier(), MyDatabaseId);
	return NULL;
}

static char *
open_and_read(int flags, int *fd, char *path, PayToken *token)
{
	char	   *why = find_path(path);
	const char *wrong;

	if (why != NULL)
		return why;
	*fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return psprintf("file \"%s\" %s", path,
						errno == ENOENT ? "does not exist" :
						errno == ELOOP ? "is a symbolic link" :
						"cannot be opened");

	wrong = read_file(*fd, token);
	if (wrong == NULL)
		return NULL;
	close(*fd);
	return psprintf("file \"%s\" %s", path, wrong);
}

static const char *
read_file(int fd, PayToken *token)
{
	struct stat st;
	char		text[FILE_SIZE + 1];
	const char *wrong;
	unsigned long long mark;
	long long	server_start;

	if (fstat(fd, &st) != 0)
		return "cannot be looked at";
	wrong = pay_secret_check_file(&st);
	if (wrong != NULL)
		return wrong;
	if (st.st_size != FILE_SIZE || read(fd, text, FILE_SIZE) != FILE_SIZE)
		return "does not hold a token";
	text[FILE_SIZE] = '\0';
	if (strspn(text, "0123456789abcdef") != TOKEN_LINE - 1 ||
		text[TOKEN_LINE - 1] != '\n' ||
		sscanf(text + TOKEN_LINE, "%16llX %20lld", &mark, &server_start) != 2)
		return "does not hold a token";

	text[TOKEN_LINE - 1] = '\0';
	to_digest(text, token->digest);
	token->mark = mark;
	token->server_start = server_start;
	explicit_bzero(text, sizeof(text));
	return NULL;
}

static int
write_mark(char *line, XLogRecPtr mark, TimestampTz server_start)
{
	return snprintf(line, MARK_LINE + 1, MARK_FORMAT,
					(unsigned long long) mark, (long long) server_start);
}

static void
to_digest(const char *text, char *digest)
{
	unsigned char sha256[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *) text, 2 * RANDOM_BYTES, sha256);
	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
		snprintf(digest + 2 * i, 3, "%02x", sha256[i]);
}
